# SPDX-License-Identifier: Apache-2.0
# Addresses bound to users with `reeve identity`, as a VPN's agent would: the table, its errors, its end.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

holds "an address is bound" reeve identity bind 198.51.100.1 alice --ttl 1h
contains "and listed" "198.51.100.1" "$(reeve identity ls)"
equal "in JSON, too" alice "$(reeve identity ls --json | json 'rows[0]["user"]')"
holds "saying it again renews it" reeve identity bind 198.51.100.1 alice --ttl 2h
equal "and it stays one" 1 "$(reeve identity ls --json | json 'len(rows)')"
contains "an IPv4-mapped address is its IPv4 address" "198.51.100.7" "$(reeve identity bind ::ffff:198.51.100.7 alice)"
capture reeve identity bind 198.51.100.0/24 alice
contains "a network is no address" "no host's address" "$err"
capture reeve identity bind 198.51.100.1 nobody
contains "nor is somebody who is not enrolled anybody" "there is no user 'nobody'" "$err"
capture reeve identity bind 198.51.100.1 alice --ttl 5s
equal "a ttl of seconds is the words' fault" 2 "$status"
enrol bob bob sre
contains "an address is one user's: it goes over" "it was alice's until now" "$(reeve identity bind 198.51.100.7 bob)"
holds "it is taken back" reeve identity unbind 198.51.100.7
fails_to "once" reeve identity unbind 198.51.100.7
kill -KILL "$(child control)"
eventually 15 "bindings outlive control" reeve identity ls
contains "all of them" "198.51.100.1" "$(reeve identity ls)"
holds "the user goes" reeve user rm alice
lacks "and the binding with it" "198.51.100.1" "$(reeve identity ls)"

# -- several people behind one address: the rule's ways are alternatives -------------------------------------------
enrol alice alice,root sre
ssh-keygen -q -t ed25519 -N '' -f "$STATE/client/.ssh/own"
reeve user add carol --login bob --group sre --key "$STATE/client/.ssh/own.pub" >/dev/null || give_up "carol was not enrolled"
reeve identity bind 198.51.100.1 alice >/dev/null
policy_shared() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: shared, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}", bob], identities: [$1]}}
	YAML
}
# as LOGIN [SSH OPTION…]: what a stock ssh says that has no key but those
as() {
	local login=$1
	shift
	client ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile=none -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null "$@" "$login@origin" 'echo in as $USER' 2>&1 | grep -v '^Warning: Permanently'
}
whose() { reeve sessions --json | json 'rows[0]["user"]'; }
policy_shared 'key, address'
said=$(as bob -i "$STATE/client/.ssh/own")
contains "a key gets its owner in from an address that is somebody else's" "in as bob" "$said"
equal "as the key's owner" carol "$(whose)"
said=$(as bob)
contains "without a key: as from any address" "Permission denied (publickey)" "$said"
lacks "whose address it is, a stranger does not learn" alice "$said"
contains "the audit log knows" '"bound_to":"alice"' "$(audit_log)"
contains "where the login is the address's user's, the address comes first" "in as alice" "$(as alice -i "$STATE/client/.ssh/own")"
equal "as that user" alice "$(whose)"
policy_shared 'certificate, address'
reeve user cert carol --key "$STATE/client/.ssh/own.pub" --ttl 1h >/dev/null 2>&1
contains "a certificate, likewise" "in as bob" "$(as bob -i "$STATE/client/.ssh/own")"
policy_shared 'address'
contains "where there is no other way, it is said who somebody is" "alice is not enrolled for the login name 'bob'" "$(as bob -i "$STATE/client/.ssh/own")"
