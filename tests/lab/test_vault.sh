# SPDX-License-Identifier: Apache-2.0
# The vault: gear that trusts no CA is logged into with a password or key that users never see, and that nobody finds.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
secret=C0rrect-h0rse-battery
policy <<'YAML'
default: allow
rules:
  - {name: gear, action: audit_ssh, match: {dst_port: 2201-2209}, ssh: {users: {groups: [sre]}, logins: [alice, picky, stern], origin_auth: [certificate, vault]}}
  - {name: vault-first, action: audit_ssh, match: {dst_port: 2211-2219}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [vault, certificate]}}
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"], origin_auth: [vault]}}
YAML
told() { # WHAT TEXT CMD…
	local what=$1 text=$2
	shift 2
	capture "$@"
	if [ "$status" = 0 ]; then mismatch "$what" "a failure" "success: $out"; else contains "$what" "$text" "$err"; fi
}

# -- the gear: a password alone, a question alone, keys alone; each with a host key of its own --------------------
shadow=$(sed "s|^alice:[^:]*:|alice:$(openssl passwd -6 "$secret"):|" "$STATE/origin/etc/shadow")
printf '%s\n' "$shadow" >"$STATE/origin/etc/shadow" # in place: it is mounted
printf 'auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n' >"$STATE/origin/pam"
origin mount --bind "$STATE/origin/pam" /etc/pam.d/sshd
mkdir -p /run/sshd
gear_pids=()
gear() { # PORT SETTING…
	local port=$1 log=$STATE/gear$1.log
	shift
	ssh-keygen -q -t ed25519 -N '' -f "$STATE/gear_$port"
	"$here/lab" exec origin "$(command -v sshd)" -D -e -f /dev/null -p "$port" -h "$STATE/gear_$port" -o PidFile=none "$@" \
		>"$log" 2>&1 </dev/null &
	gear_pids+=($!)
	wait_until 5 grep -q listening "$log" || give_up "no sshd at port $port: $(tail -n 1 "$log")"
	reeve target add "[198.51.100.2]:$port" --key "$STATE/gear_$port.pub" >/dev/null
}
trap 'kill "${gear_pids[@]}" 2>/dev/null; session_end' EXIT
gear 2201 -o UsePAM=yes -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=no -o PubkeyAuthentication=no
gear 2202 -o UsePAM=yes -o PasswordAuthentication=no -o KbdInteractiveAuthentication=yes -o PubkeyAuthentication=no
gear 2203 -o UsePAM=no -o PasswordAuthentication=no -o AuthorizedKeysFile="$STATE/gear_keys" -o StrictModes=no
: >"$STATE/gear_keys"
dropbearkey -t ed25519 -f "$STATE/gear_2204" >"$STATE/gear_2204.said" 2>&1
grep -o '^ssh-ed25519 .*' "$STATE/gear_2204.said" >"$STATE/gear_2204.pub"
"$here/lab" exec origin "$(command -v dropbear)" -F -E -p 2204 -r "$STATE/gear_2204" -P "$STATE/dropbear.pid" >"$STATE/gear2204.log" 2>&1 </dev/null &
gear_pids+=($!)
wait_until 5 origin bash -c ': </dev/tcp/127.0.0.1/2204' || give_up "no dropbear"
reeve target add "[198.51.100.2]:2204" --key "$STATE/gear_2204.pub" >/dev/null
login() { client ssh -o BatchMode=yes -p "$1" "alice@origin" "echo in" 2>&1 | grep -v "Permanently added"; }

# -- a password -------------------------------------------------------------------------------------------------
contains "an empty vault is told" "vault put" "$(login 2201)"
put() { printf '%s\n' "$secret" | limited "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" vault put --target "$1" --login "${2:-alice}" --password-stdin; }
told "an address that no host key is pinned for" "reeve target add" put 198.51.100.99
said=$(put '[198.51.100.2]:2201')
contains "put, by an address" "password of alice" "$said"
equal "an sshd that takes passwords alone" in "$(login 2201)"
contains "another host has another key: nothing for it" "vault put" "$(login 2202)"
put "$(ssh-keygen -lf "$STATE/gear_2202.pub" | cut -d' ' -f2)" >/dev/null
equal "one that asks a question alone, put by its fingerprint" in "$(login 2202)"
put '[198.51.100.2]:2204' >/dev/null
equal "dropbear, which knows no certificates" in "$(login 2204)"
contains "put again: in the place of the former one" "in the place" "$(printf 'wr0ng\n' | limited "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" vault put --target '[198.51.100.2]:2204' --login alice --password-stdin)"
contains "a password that is not right any more" "did not accept the vault's password" "$(login 2204)"

# Gear that wants a certificate, then a password: the rule may have the two in either order.
both=(-o UsePAM=yes -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes -o TrustedUserCAKeys="$STATE/origin/user_ca.pub")
gear 2206 "${both[@]}" -o AuthenticationMethods=publickey,password
gear 2211 "${both[@]}" -o AuthenticationMethods=publickey,password
gear 2212 "${both[@]}" -o AuthenticationMethods=publickey,keyboard-interactive
contains "a vault that lacks the password says so" "vault put" "$(login 2206)"
contains "also where it comes first" "vault put" "$(login 2211)"
for port in 2206 2211 2212; do put "[198.51.100.2]:$port" >/dev/null; done
equal "a certificate, then the vault's password" in "$(login 2206)"
equal "the vault being first in the rule" in "$(login 2211)"
equal "also for a question" in "$(login 2212)"
for port in 2206 2211 2212; do reeve vault rm --target "[198.51.100.2]:$port" --login alice >/dev/null; done

# Gear that offers both and takes a password in a dialogue alone.
ssh-keygen -q -t ed25519 -N '' -f "$STATE/gear_2205"
"$here/lab" exec origin /usr/bin/python3 "$here/asking_origin.py" 2205 "$STATE/gear_2205" >"$STATE/gear2205.log" 2>&1 </dev/null &
gear_pids+=($!)
wait_until 10 grep -q ready "$STATE/gear2205.log" || give_up "no asking origin"
reeve target add "[198.51.100.2]:2205" --key "$STATE/gear_2205.pub" >/dev/null
reeve user change alice --login alice,picky,stern >/dev/null || give_up "alice's logins"
reeve user cert alice --key "$STATE/client/.ssh/alice.pub" --ttl 1h >/dev/null 2>&1 || give_up "alice's certificate"
for login in picky stern; do secret='correct horse battery' put '[198.51.100.2]:2205' "$login" >/dev/null; done
at_picky() { client ssh -o BatchMode=yes -p 2205 "$1@origin" true 2>&1 | grep -v "Permanently added"; }
contains "a password that is refused, and taken as an answer" "in as picky" "$(at_picky picky)"
equal "each was tried once" "picky: password wrong picky: answer right" "$(grep picky "$STATE/gear2205.log" | xargs)"
contains "one that is asked for more" "asks login 'stern' for more than the vault's password" "$(at_picky stern)"
secret=old put '[198.51.100.2]:2205' picky >/dev/null
contains "one that is not right in either" "did not accept the vault's password" "$(at_picky picky)"
equal "which was tried once more each" "picky: password wrong picky: answer wrong" "$(grep picky "$STATE/gear2205.log" | tail -n 2 | xargs)"
for login in picky stern; do reeve vault rm --target '[198.51.100.2]:2205' --login "$login" >/dev/null; done

# At the terminal: typed twice, not echoed.
typed() { # FIRST SECOND
	printf 'expect Password of alice\nsend %s\nexpect Once more\nsend %s\nexpect reeve-says\nend\n' "$1" "$2" |
		limited python3 "$here/pty_session.py" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' vault put --target '[198.51.100.2]:2204' --login alice; echo reeve-says"
}
said=$(typed "$secret" "$secret" 2>&1)
contains "typed at the terminal" "in the vault" "$said"
lacks "without echo" "$secret" "$said"
contains "two that differ are none" "differ" "$(typed "$secret" other 2>&1)"
equal "and it works" in "$(login 2204)"

# -- a key ------------------------------------------------------------------------------------------------------
for type in ed25519 ecdsa rsa; do
	ssh-keygen -q -t "$type" -N '' -f "$STATE/gear_key_$type"
	cp "$STATE/gear_key_$type.pub" "$STATE/gear_keys"
	reeve vault put --target '[198.51.100.2]:2203' --login alice --key "$STATE/gear_key_$type" >/dev/null
	equal "an sshd that knows the vault's $type key" in "$(login 2203)"
done
contains "ls shows what there is" "$(ssh-keygen -lf "$STATE/gear_key_rsa.pub" | cut -d' ' -f2)" "$(reeve vault ls)"
equal "ls --json: keys and passwords" "key password password password" "$(reeve vault ls --json | json '" ".join(sorted(r["kind"] for r in rows))')"
: >"$STATE/gear_keys"
contains "a key that the origin does not know" "did not accept the vault's key" "$(login 2203)"
mkdir -p "$STATE/origin/home/alice/.ssh" && cp "$STATE/gear_key_rsa.pub" "$STATE/origin/home/alice/.ssh/authorized_keys"
reeve vault put --target '[198.51.100.2]:2204' --login alice --key "$STATE/gear_key_rsa" >/dev/null
chown -R "$(stat -c %u:%g "$STATE/origin/home/alice")" "$STATE/origin/home/alice/.ssh" && chmod 700 "$STATE/origin/home/alice/.ssh"
equal "dropbear, with an RSA key" in "$(login 2204)"
rm "$STATE/origin/home/alice/.ssh/authorized_keys"
ssh-keygen -q -t ed25519 -N 'a passphrase' -f "$STATE/locked"
said=$(printf 'expect Passphrase\nsend a passphrase\nexpect reeve-says\nend\n' | limited python3 "$here/pty_session.py" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' vault put --target '[198.51.100.2]:2203' --login alice --key '$STATE/locked'; echo reeve-says" 2>&1)
contains "a key file's passphrase is asked for" "in the vault" "$said"
cp "$STATE/locked.pub" "$STATE/gear_keys"
equal "and the key is the one in it" in "$(login 2203)"
said=$(printf 'expect Passphrase\nsend another\nexpect reeve-says\nend\n' | limited python3 "$here/pty_session.py" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' vault put --target '[198.51.100.2]:2203' --login alice --key '$STATE/locked'; echo reeve-says" 2>&1)
contains "a wrong passphrase is told" "passphrase is wrong" "$said"

# -- who gets it --------------------------------------------------------------------------------------------------
keeper=$(child keeper)
kill -9 "$keeper"
replacement keeper "$keeper" >/dev/null
eventually 10 "the next keeper has it, too" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' vault ls | grep -q password"
equal "and gives it" in "$(login 2201)"
holds "rm" reeve vault rm --target '[198.51.100.2]:2201' --login alice
contains "nothing is left for that host" "vault put" "$(login 2201)"
told "rm twice" "holds nothing" reeve vault rm --target '[198.51.100.2]:2201' --login alice
events=$(audit_log)
contains "its use is in the audit log" '"event":"vault.use"' "$events"
contains "and who put what there" '"event":"vault.put"' "$events"

# -- what would do nothing is refused ------------------------------------------------------------------------------
would_do_nothing() {
	printf 'default: allow\nrules:\n  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [vault], %s}}\n' "$1" >"$STATE/nothing.yaml"
	told "$1" "$2" reeve policy check "$STATE/nothing.yaml"
}
would_do_nothing 'certificate_ttl: 1m' "origin_auth has no certificate"
would_do_nothing 'legacy: {}' "expected client, origin or both"
would_do_nothing 'legacy: {origin: []}' "expected at least 1 item"

# -- nothing stays ------------------------------------------------------------------------------------------------
reeved_stop
lacks "no password in the box's files and logs" : "$(grep -rlaF -e "$secret" "$STATE/state" "$STATE/recordings" "$REEVED_LOG" 2>/dev/null | sed 's/$/:/')"
lacks "nor half a private key" : "$(grep -rlaF -f <(sed -n 2,4p "$STATE/gear_key_rsa") "$STATE/state" "$STATE/recordings" "$REEVED_LOG" 2>/dev/null | sed 's/$/:/')"
at_least "which were looked at" 5 "$(find "$STATE/state" "$STATE/recordings" "$REEVED_LOG" -type f | wc -l)"
