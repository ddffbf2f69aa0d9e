# SPDX-License-Identifier: Apache-2.0
# Certificate authorities as an admin has them: shown, and used by stock OpenSSH.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

# -- host certificates for origins ------------------------------------------------------------------------------
holds "a host CA is made" reeve ca create --type host
for type in ed25519 ecdsa rsa; do
	ssh-keygen -q -t "$type" -N '' -f "$STATE/origin_$type" </dev/null
	capture reeve ca sign-host "$STATE/origin_$type.pub" --names Origin,198.51.100.2,2001:DB8:0::2 --ttl 52w
	contains "sign-host: an origin's $type key is certified" "HostCertificate" "$out$err"
	said=$(ssh-keygen -L -f "$STATE/origin_$type-cert.pub")
	contains "  as a host certificate" "host certificate" "$said"
	contains "  for its names" "198.51.100.2" "$said"
	contains "  without options" "Critical Options: (none)" "$said"
done
line=$(reeve ca show --type host --known-hosts 'origin,198.51.100.*,2001:db8:*' 2>/dev/null)
contains "ca show --known-hosts: a line of known_hosts" "@cert-authority origin,198.51.100.*,2001:db8:* ssh-ed25519 AAAA" "$line"

# A stock client beside the box meets a stock sshd that shows the certificate: nothing to ask, nothing to learn.
printf '%s\n' "$line" >"$STATE/client/certified_hosts"
mkdir -p /run/sshd
certified() { # TYPE NAME ALGORITHM: the client logs in at port 2222, which no rule audits, trusting the host CA alone
	local log=$STATE/certified_sshd.log pid
	rm -f "$log" # the one before listened, too
	"$here/lab" exec origin "$(command -v sshd)" -D -e -f /dev/null -p 2222 -h "$STATE/origin_$1" \
		-o HostCertificate="$STATE/origin_$1-cert.pub" -o PidFile=none -o UsePAM=no >"$log" 2>&1 </dev/null &
	pid=$!
	wait_until 5 grep -qs listening "$log" || echo "no sshd"
	client ssh -F none -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=none \
		-o UserKnownHostsFile="$STATE/client/certified_hosts" -o HostKeyAlias="$2" -o HostKeyAlgorithms="$3" -o PreferredAuthentications=none \
		alice@origin true 2>&1
	kill "$pid"
	wait "$pid" 2>/dev/null
}
for each in ed25519:ssh-ed25519 ecdsa:ecdsa-sha2-nistp256 rsa:rsa-sha2-512; do
	# The host is believed once authentication is what fails.
	contains "a client trusts the origin's ${each%:*} certificate" "Permission denied" \
		"$(certified "${each%:*}" origin "${each#*:}-cert-v01@openssh.com")"
done
contains "under an address that was typed in capitals" "Permission denied" \
	"$(certified ed25519 2001:db8::2 ssh-ed25519-cert-v01@openssh.com)"
contains "and not under another name" "Host key verification failed" "$(certified ed25519 198.51.100.3 ssh-ed25519-cert-v01@openssh.com)"

# -- a CA's key is replaced while people work ---------------------------------------------------------------------
lines() { reeve ca show --type "$1" 2>/dev/null; }
trusted() { lines user >"$STATE/origin/user_ca.pub"; }
login() { ssh_client alice@origin 'echo in' 2>/dev/null; }
signs() { reeve ca show --type "$1" --json | json 'j["fingerprint"]'; }
told() { # WHAT TEXT CMD…
	local what=$1 text=$2
	shift 2
	capture "$@"
	if [ "$status" = 0 ]; then mismatch "$what" "a failure" "success: $out"; else contains "$what" "$text" "$err"; fi
}

equal "alice logs in" in "$(login)"
first=$(signs user)
told "commit before rotate" "reeve ca rotate makes one" reeve ca rotate --commit
told "two steps at once" "one at a time" reeve ca rotate --commit --retire
told "an algorithm that is none" "ecdsa-p256" reeve ca rotate --algorithm dsa
holds "rotate: a next key" reeve ca rotate --algorithm ecdsa-p256
equal "both are shown, the next one first" "ecdsa-sha2-nistp256 ssh-ed25519" "$(lines user | cut -d' ' -f1 | paste -sd' ')"
equal "the current one signs on" "$first" "$(signs user)"
told "a second next key" "--abandon" reeve ca rotate
equal "origins that know the current key alone let alice in" in "$(login)"
reeve ca rotate --commit >/dev/null 2>&1
second=$(signs user)
fails_to "committed: the next key signs" [ "$first" = "$second" ]
equal "an origin that was forgotten refuses" "" "$(login)"
reeve ca rotate --undo >/dev/null 2>&1
equal "undone: it lets alice in again" "$first in" "$(signs user) $(login)"
trusted
reeve ca rotate --commit >/dev/null 2>&1
equal "with both lines at the origin, the new key's certificates do" "$second in" "$(signs user) $(login)"
holds "retire" reeve ca rotate --retire
equal "one line is left" ecdsa-sha2-nistp256 "$(lines user | cut -d' ' -f1)"
trusted
equal "and is enough" in "$(login)"
reeve ca rotate --algorithm rsa >/dev/null 2>&1 && trusted && reeve ca rotate --commit --keep 1h >/dev/null 2>&1
equal "an RSA key signs, too" in "$(login)"
contains "fingerprint: what each key is for" "old: trusted until" "$(reeve ca fingerprint)"
keeper=$(child keeper)
kill -9 "$keeper"
replacement keeper "$keeper" >/dev/null
eventually 10 "a new keeper signs with the same key" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' ca show 2>/dev/null | grep -q '^ssh-rsa'"
equal "and alice is let in" in "$(login)"

# The client CA: what it signed before counts until its key is retired.
reeve ca rotate --type client >/dev/null 2>&1
equal "client CA, a next key: alice's certificate is good" in "$(login)"
reeve ca rotate --type client --commit >/dev/null 2>&1
equal "  committed: still" in "$(login)"
enrol bob bob sre
use_identity bob
equal "  and bob's by the new key" in "$(ssh_client bob@origin 'echo in' 2>/dev/null)"
reeve ca rotate --type client --retire >/dev/null 2>&1
equal "  retired: bob's" in "$(ssh_client bob@origin 'echo in' 2>/dev/null)"
use_identity alice
equal "  and alice's is nobody's" "" "$(login)"
events=$(cat "$STATE"/state/*audit*)
contains "steps are in the audit log" '"event":"ca.rotate"' "$events"

# -- a key that exists already --------------------------------------------------------------------------------------
ssh-keygen -q -t ecdsa -N 'a passphrase' -f "$STATE/brought"
import() { # TYPED ARGUMENTS…
	local typed=$1
	shift
	printf 'expect Passphrase\nsend %s\nexpect reeve-says\nend\n' "$typed" |
		limited python3 "$here/pty_session.py" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' ca import $*; echo reeve-says" 2>&1
}
contains "import: a wrong passphrase" "passphrase is wrong" "$(import wrong "$STATE/brought")"
contains "import: the key, as the next one" "$(cut -d' ' -f2 "$STATE/brought.pub")" "$(import 'a passphrase' "$STATE/brought")"
told "once" "--abandon" bash -c "ssh-keygen -q -t ed25519 -N '' -f '$STATE/other' && '$BUILD/control/cli/reeve' --socket '$STATE/control.sock' ca import '$STATE/other'"
trusted
reeve ca rotate --commit >/dev/null 2>&1
equal "and it signs" "$(ssh-keygen -lf "$STATE/brought.pub" | cut -d' ' -f2) in" "$(signs user) $(ssh_client bob@origin true 2>/dev/null; use_identity bob; ssh_client bob@origin 'echo in' 2>/dev/null)"
told "a public key is none" "no private key" reeve ca import "$STATE/brought.pub"
ssh-keygen -q -t rsa -m PEM -N '' -f "$STATE/old_format"
told "an older format is told how to be rewritten" "ssh-keygen -p" reeve ca import "$STATE/old_format"
lacks "nothing of it lies there in the clear" : "$(grep -rlaF -f <(sed -n 2,4p "$STATE/brought") "$STATE/state" "$REEVED_LOG" 2>/dev/null | sed 's/$/:/')"
