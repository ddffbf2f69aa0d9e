# SPDX-License-Identifier: Apache-2.0
# CA keys in a PKCS#11 token (softhsm2): made there, found there, and what happens when the token fails.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
module=/usr/lib/softhsm/libsofthsm2.so
[ -e "$module" ] && command -v softhsm2-util >/dev/null || skip "softhsm2 is missing (tests/install installs it)"
lab_up
mkdir -p "$STATE/tokens"
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$STATE/tokens" >"$STATE/softhsm2.conf"
export SOFTHSM2_CONF=$STATE/softhsm2.conf
softhsm2-util --init-token --free --label portreeve --pin 4711-pin --so-pin 0815 >/dev/null
(umask 077; echo 4711-pin >"$STATE/pin")
cat >>"$STATE/reeved.yaml" <<-YAML

	keeper:
	  pkcs11: {module: $module, pin_file: $STATE/pin, environment: ["SOFTHSM2_CONF=$STATE/softhsm2.conf"]}
YAML
reeved_start
told() { # WHAT TEXT CMD…
	local what=$1 text=$2
	shift 2
	capture "$@"
	if [ "$status" = 0 ]; then mismatch "$what" "a failure" "success: $out"; else contains "$what" "$text" "$err"; fi
}
uri() { echo "pkcs11:token=portreeve;object=$1"; }
guard_of() { # KEEPER: the token process; the keeper has another child, which searches for host keys
	local pid
	for pid in $(cat "/proc/$1/task/$1/children"); do [ "$(cat "/proc/$pid/comm")" = reeve-token ] && echo "$pid"; done
}
login() { ssh_client alice@origin 'echo in' 2>/dev/null; }

told "a URI that is none" "token=portreeve" reeve ca create --pkcs11 user-ca
told "one with a PIN in it" "pin_file" reeve ca create --pkcs11 "$(uri user-ca)?pin-value=4711"
told "a token that is not there" "there is no token 'other'" reeve ca create --pkcs11 "pkcs11:token=other;object=user-ca"
told "a key that is not there" "no key 'user-ca'" reeve ca import --pkcs11 "$(uri user-ca)"
capture reeve ca create --pkcs11 "$(uri user-ca)"
contains "create: the user CA's key is made in the token" "ssh-ed25519" "$out"
printf '%s\n' "$out" >"$STATE/origin/user_ca.pub"
told "not twice" "already" reeve ca rotate --pkcs11 "$(uri user-ca)"
reeve ca create --type client >/dev/null 2>&1
enrol alice alice,root sre
use_identity alice
equal "alice is let in by its certificates" in "$(login)"
contains "show --json: where it is" "object=user-ca" "$(reeve ca show --json)"

# Each algorithm, and a key that was there before.
for each in ecdsa-p256:ecdsa-sha2-nistp256 rsa-3072:ssh-rsa; do
	name=${each%:*}
	reeve ca rotate --algorithm "$name" --pkcs11 "$(uri "$name")" >/dev/null 2>&1
	reeve ca show 2>/dev/null >"$STATE/origin/user_ca.pub"
	reeve ca rotate --commit >/dev/null 2>&1
	equal "rotate to $name in the token" "${each#*:} in" "$(reeve ca show --json | json 'next(k["algorithm"] for k in rows if k["state"] == "current")') $(login)"
done
reeve ca rotate --retire >/dev/null 2>&1
capture reeve ca import --pkcs11 "$(uri user-ca)"
contains "import: a key that is in the token already" "ssh-ed25519" "$out"
reeve ca rotate --abandon >/dev/null 2>&1

# Nothing of it is in the box, and the module runs where no key is.
lacks "no PIN in files and logs" : "$(grep -rlaF 4711-pin "$STATE/state" "$REEVED_LOG" 2>/dev/null | sed 's/$/:/')"
keeper=$(child keeper)
fails_to "the keeper has not loaded the module" grep -q softhsm "/proc/$keeper/maps"
guard=$(guard_of "$keeper")
speaker=$(cat "/proc/$guard/task/$guard/children")
holds "its token process has" grep -q softhsm "/proc/${speaker% }/maps"
equal "without a capability" 0000000000000000 "$(awk '/^CapEff/ { print $2 }' "/proc/${speaker% }/status")"

# -- the token fails -----------------------------------------------------------------------------------------------
kill -9 "$speaker"
logs_in() { [ "$(login)" = in ]; }
eventually 10 "its module died: another one is started, alice is let in" logs_in
speaker=$(cat "/proc/$guard/task/$guard/children")
kill -STOP "$speaker"
told "it hangs: the first question finds out" "does not answer" reeve ca import --pkcs11 "$(uri ecdsa-p256)"
began=$(now_ms)
for _ in 1 2 3; do told "the next are refused" "not answered" reeve ca import --pkcs11 "$(uri ecdsa-p256)"; done
capture reeve user cert alice --key "$STATE/client/.ssh/alice.pub"
equal "and what needs no token is done" 0 "$status"
took=$(($(now_ms) - began))
within "at once (ms)" 2500 "$took"
kill -CONT "$speaker"
eventually 10 "it goes on: alice is let in" logs_in
mv "$STATE/tokens" "$STATE/tokens.away"
kill -9 $(cat "/proc/$guard/task/$guard/children") 2>/dev/null
said=$(ssh_client alice@origin true 2>&1)
contains "the token is gone: a session is refused, and told why" "key service" "$said"
eventually 10 "the log says what it is" grep -q "token: the PKCS#11 module does not start" "$REEVED_LOG"
capture reeve user cert alice --key "$STATE/client/.ssh/alice.pub"
equal "other keys sign on" 0 "$status"
equal "it is the same keeper" "$keeper" "$(child keeper)"
mv "$STATE/tokens.away" "$STATE/tokens"
eventually 20 "it is back: so is alice" logs_in
reeved_stop
gone() { [ "$(awk '{ sub(/^.*\) /, ""); print $1 }' "/proc/$1/stat" 2>/dev/null || echo Z)" = Z ]; }
eventually 5 "nothing of it is left" gone "$guard"

# -- the PIN is wrong: tokens lock, so it is tried once -----------------------------------------------------------
echo 4711-nip >"$STATE/pin"
: >"$REEVED_LOG"
reeved_start
tried() { grep -c "does not let us in" "$REEVED_LOG"; }
told "a wrong PIN" "the PIN is wrong" reeve ca import --pkcs11 "$(uri rsa-3072)"
for _ in 1 2 3 4; do
	told "it is not tried again" "restart reeved" reeve ca import --pkcs11 "$(uri rsa-3072)"
	ssh_client alice@origin true 2>/dev/null
done
keeper=$(child keeper)
guard=$(guard_of "$keeper")
speaker=$(cat "/proc/$guard/task/$guard/children")
kill -9 $speaker
another_speaks() { [ -n "$(cat "/proc/$guard/task/$guard/children")" ] && [ "$(cat "/proc/$guard/task/$guard/children")" != "$speaker" ]; }
eventually 10 "its token process dies, another one is started" another_speaks
told "nor by a new token process" "restart reeved" reeve ca import --pkcs11 "$(uri rsa-3072)"
told "another token is not meant" "there is no token 'other'" reeve ca import --pkcs11 "pkcs11:token=other;object=o"
equal "the token was given it once" 1 "$(tried)"
contains "the log says what to do" "correct the PIN's file" "$(cat "$REEVED_LOG")"
reeved_stop
echo 4711-pin >"$STATE/pin"
: >"$REEVED_LOG"
reeved_start
eventually 10 "corrected: alice is let in" logs_in
reeved_stop
