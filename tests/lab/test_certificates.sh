# SPDX-License-Identifier: Apache-2.0
# Certificates of a CA that the rule trusts, made wrong in one way each: refused, and the user is told which way.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
keys=$STATE/client/.ssh
ssh-keygen -q -t ed25519 -N '' -f "$STATE/ca"
# named_by WHAT: what of the CA's certificates names a user.
named_by() {
	policy <<-YAML
		default: allow
		rules:
		  - name: s
		    action: audit_ssh
		    match: {dst_port: 22}
		    ssh: {users: {groups: [sre]}, logins: [alice], trusted_cas: [{key: "$(cat "$STATE/ca.pub")", user: $1}]}
	YAML
}
named_by key_id
ssh-keygen -q -t ed25519 -N '' -f "$keys/crafted"

names=(-n alice)
# craft OPTIONS…: a good certificate but for the options; then what ssh says with it
craft() {
	rm -f "$keys/crafted-cert.pub"
	ssh-keygen -q -s "$STATE/ca" -I "${id:-alice}" "${names[@]}" -V -5m:+1h "$@" "$keys/crafted.pub" || give_up "ssh-keygen -s $*"
	client ssh -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -o StrictHostKeyChecking=accept-new \
		-i "$keys/crafted" alice@origin 'echo in as $USER' 2>&1 | grep -v '^Warning: Permanently'
}
refused() { # WHAT TOLD OPTIONS…
	local what=$1 told=$2 said
	shift 2
	said=$(craft "$@")
	lacks "$what: not let in" "in as" "$said"
	contains "$what: told" "$told" "$said"
}
contains "the key works: a good one gets in" "in as alice" "$(craft)"
refused "expired" expired -V -2h:-1h
refused "not yet valid" "not valid before" -V +1h:+2h
refused "for another login" "not for the login name" -n bob
names=()
refused "without principals, which OpenSSH takes for all" "names no login"
names=(-n alice)
refused "from another address" "address" -O source-address=203.0.113.0/24
contains "from this one" "in as alice" "$(craft -O source-address=198.51.100.0/24)"
refused "a critical option that nobody knows" "option" -O critical:unheard@example.org=1
refused "a host's certificate" "Permission denied" -h
id=mallory
refused "of somebody who is not enrolled" "'mallory', who is not enrolled"
id=x$(printf 'é%.0s' {1..60})
refused "of a name that is cut within a letter" "who is not enrolled"
contains "which the audit log has, too" 'who is not enrolled' "$(grep '"event":"auth"' "$STATE/state/audit.jsonl" | tail -n 1)"
id=alice
# What the certificate does not allow, the rule cannot give.
craft -O clear >/dev/null
contains "one without permit-pty gives no terminal" "PTY allocation request failed" \
	"$(client ssh -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -i "$keys/crafted" -tt alice@origin true 2>&1)"
contains "a forced command is inherited by the origin's certificate" forced "$(craft -O force-command='echo forced')"
long=$(printf 'x%.0s' {1..8187})
contains "also one of 8 KB" forced "$(craft -O force-command="echo forced; : $(printf 'x%.0s' {1..8176})")"
refused "a longer one" "more than 8192 bytes" -O force-command="echo $long."
# Where a principal names the user, the key id need not.
nameless() {
	rm -f "$keys/crafted-cert.pub"
	ssh-keygen -q -s "$STATE/ca" -I '' -n alice -V -5m:+1h "$keys/crafted.pub" || give_up "ssh-keygen -I ''"
	client ssh -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -i "$keys/crafted" alice@origin 'echo in as $USER' 2>&1
}
contains "one without a key id names nobody" "no usable key id" "$(nameless)"
named_by principal
contains "but its principal does" "in as alice" "$(nameless)"
named_by key_id
reeve user rm alice >/dev/null
refused "of a user who was removed" "not enrolled"
equal "no origin ever saw such a session" 0 "$(grep -c 'Accepted publickey for bob' "$STATE/origin/sshd.log")"
