# SPDX-License-Identifier: Apache-2.0
# Certificates of the box's own client CA, made wrong in one way each: refused, and the user is told which way. The
# CA's key is taken out of the keeper's file for it, as somebody who had stolen it would.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
keys=$STATE/client/.ssh
reeve ca show --type client >"$STATE/ca.pub"
python3 - "$STATE/state/keeper/ca-client.key" "$STATE/ca.pub" >"$STATE/ca" <<'PY'
import base64, struct, sys
seed = open(sys.argv[1], "rb").read()[22:54]
line = next(l for l in open(sys.argv[2]) if "ssh-ed25519 " in l)
blob = base64.b64decode(line.split("ssh-ed25519 ")[1].split()[0])
string = lambda b: struct.pack(">I", len(b)) + b
public = blob[-32:]
private = b"\0" * 8 + string(b"ssh-ed25519") + string(public) + string(seed + public) + string(b"ca")
private += bytes(range(1, 1 + -len(private) % 8))
key = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"") + struct.pack(">I", 1) + string(blob) + string(private)
print("-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.encodebytes(key).decode() + "-----END OPENSSH PRIVATE KEY-----")
PY
chmod 600 "$STATE/ca"
issued=$(ssh-keygen -L -f "$keys/alice-cert.pub")
serial=$(sed -n 's/^ *Serial: //p' <<<"$issued") id=$(sed -n 's/^ *Key ID: "\(.*\)"/\1/p' <<<"$issued")
ssh-keygen -q -t ed25519 -N '' -f "$keys/crafted"

names=(-n alice)
# craft OPTIONS…: alice's certificate over again, but for the options; then what ssh says with it
craft() {
	rm -f "$keys/crafted-cert.pub"
	ssh-keygen -q -s "$STATE/ca" -I "$id" -z "$serial" "${names[@]}" -V -5m:+1h "$@" "$keys/crafted.pub" || give_up "ssh-keygen -s $*"
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
refused "a serial that was never given out" "not valid any more" -z 4711
# What the certificate does not allow, the rule cannot give.
craft -O clear >/dev/null
contains "one without permit-pty gives no terminal" "PTY allocation request failed" \
	"$(client ssh -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -i "$keys/crafted" -tt alice@origin true 2>&1)"
contains "a forced command is inherited by the origin's certificate" forced "$(craft -O force-command='echo forced')"
reeve user rm alice >/dev/null
refused "of a user who was removed" "removed"
enrol alice alice,root sre
refused "of one who was removed and enrolled anew" "removed"
equal "no origin ever saw such a session" 0 "$(grep -c 'Accepted publickey for bob' "$STATE/origin/sshd.log")"
