# SPDX-License-Identifier: Apache-2.0
# The control socket and its tool: what wrong input gets told, and who may ask.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
socket=$STATE/control.sock

# told WHAT TEXT CMD…: the command fails, and its message has the text
told() {
	local what=$1 text=$2
	shift 2
	capture "$@"
	if [ "$status" = 0 ]; then mismatch "$what" "a failure" "success: $out"; else contains "$what" "$text" "$err"; fi
}
told "an unknown command" "reeve --help" reeve polcy
told "a user twice" "alice" reeve user add alice --login alice
told "a certificate for nobody" "nobody" reeve user cert nobody --key "$STATE/client/.ssh/alice.pub"
told "a key file that is none" "key" reeve user add frank --login frank --key /etc/hostname
told "a ttl that is none" "ttl" reeve user cert alice --key "$STATE/client/.ssh/alice.pub" --ttl soon
told "a ttl that is too long" "from 1m to 30d" reeve user cert alice --key "$STATE/client/.ssh/alice.pub" --ttl 31d
told "and one that is too short" "from 1m to 30d" reeve user cert alice --key "$STATE/client/.ssh/alice.pub" --ttl 59s
told "a CA twice" "already" reeve ca create --type user
told "a CA of an unknown type" "user, client or host" reeve ca create --type server
told "a host certificate without its CA" "reeve ca create --type host" reeve ca sign-host "$STATE/client/.ssh/alice.pub" --names web1
told "a line of known_hosts for another CA" "--type host" reeve ca show --known-hosts '*'
told "a session that is none" "ffffffff" reeve session show ffffffff-ffff
told "half a call" "missing: SESSION" reeve session show
told "no login" "--login is empty" reeve user add frank --login ""
told "a limit that is none" "from 1 to 1000" reeve ls --limit many
printf 'default: allow\nrules:\n\t- {name: x}\n' >"$STATE/tab.yaml"
told "a policy indented by tabs" "tab.yaml:3:1: not YAML: (is there a tab?" reeve policy apply "$STATE/tab.yaml"
told "a policy file that is not there" "/nowhere" reeve policy apply /nowhere
told "a socket that is not there" "/nowhere" "$BUILD/control/cli/reeve" --socket /nowhere sessions
cat "$STATE/client/.ssh/alice.pub" "$STATE/client/.ssh/alice.pub" >"$STATE/two.pub"
told "a file of two keys" "several keys: expected one in a file" reeve user add frank --login frank --key "$STATE/two.pub"
{ cat "$STATE/client/.ssh/alice.pub"; printf '  \t\n'; } >"$STATE/blank.pub"
told "a blank line is no key" "nobody" reeve user cert nobody --key "$STATE/blank.pub"
told "a file without an end" "too long to be a public key" reeve user add frank --login frank --key /dev/zero
fails_to "half an enrolment is none" bash -c "'$BUILD/control/cli/reeve' --socket '$socket' user ls | grep -q frank"


# What was issued stands in the audit log: not for a path that cannot be written.
key=$STATE/client/.ssh/alice.pub
issued() { grep -c '"event": *"cert.create"' "$STATE/state/audit.jsonl"; }
before=$(issued)
told "a certificate that goes nowhere" "cannot write /nowhere/x" reeve user cert alice --key "$key" -o /nowhere/x
equal "and is not issued" "$before" "$(issued)"
told "one that is not issued" "nobody" reeve user cert nobody --key "$key" -o "$STATE/fresh"
fails_to "leaves no file" test -e "$STATE/fresh"
printf 'an older and longer one: %01000d\n' 0 >"$STATE/older"
cp "$STATE/older" "$STATE/as_it_was"
told "and in the place of an older one" "nobody" reeve user cert nobody --key "$key" -o "$STATE/older"
holds "leaves that" cmp "$STATE/older" "$STATE/as_it_was"
holds "which one that is issued replaces" reeve user cert alice --key "$key" -o "$STATE/older"
equal "and stands in the audit log" $((before + 1)) "$(issued)"
equal "wholly" 1 "$(grep -c . "$STATE/older")"
contains "with a certificate" "serial" "$(ssh-keygen -Lf "$STATE/older" | tr '[:upper:]' '[:lower:]')"
contains "-o /dev/stdout is for pipes" "ssh-ed25519-cert" "$(reeve user cert alice --key "$key" -o /dev/stdout)"
for list in '10.0.0.0/8,,::1' '10.0.0.5/8'; do # ssh-keygen refuses them, and sshd a certificate that has them
	told "source addresses $list" "as OpenSSH reads it" reeve user cert alice --key "$key" --source-address "$list" -o "$STATE/fresh"
done

printf '198.51.100.9 %s\nweb1 \0\n' "$(cut -d' ' -f1,2 "$key")" >"$STATE/nul_hosts"
told "a known_hosts file with a NUL" "line 2 holds a NUL byte" reeve target import "$STATE/nul_hosts"
ssh-keygen -q -t ed25519 -N '' -f "$STATE/cut"
head -n 3 "$STATE/cut" >"$STATE/cut_off"
told "a private key that is cut off" "is cut off" reeve ca import "$STATE/cut_off" --type host

# An origin is what people call it, whatever stands in the table.
reeve target add 2001:db8::77 --key "$STATE/cut.pub" >/dev/null
reeve target name 2001:db8::77 gear.example.com >/dev/null
put() { printf 'secret\n' | limited "$BUILD/control/cli/reeve" --socket "$socket" vault put --target "$1" --login admin --password-stdin; }
for typed in 2001:db8::77 '[2001:db8::77]:22' 2001:DB8:0::77 Gear.Example.COM; do
	contains "vault --target $typed" "in the vault" "$(put "$typed")"
done
told "but not another port" "no host key is pinned" put '[2001:db8::77]:23'
holds "vault rm, too" reeve vault rm --target Gear.example.com --login admin
reeve target forget 2001:db8::77 >/dev/null

raw() { python3 -c '
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b"\n")
f = s.makefile(); line = f.readline(); print(json.loads(line).get("error", {}).get("code", "result") if line else "closed")' "$socket" "$1"; }
equal "not JSON" -32700 "$(raw 'hello')"
equal "not a request" -32600 "$(raw '{"jsonrpc": "2.0", "id": 1}')"
equal "an unknown method" -32601 "$(raw '{"jsonrpc": "2.0", "id": 1, "method": "sessions.make"}')"
contains "wrong parameters" "2" "$(raw '{"jsonrpc": "2.0", "id": 1, "method": "user.add", "params": {"name": 7}}')"
equal "a method" result "$(raw '{"jsonrpc": "2.0", "id": 1, "method": "user.ls", "params": {}}')"
before=$(awk '/^Rss:/ { print $2 }' "/proc/$(child control)/smaps_rollup")
python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1])
try:
    for _ in range(1024): s.sendall(b"x" * 65536)
except OSError: pass' "$socket"
at_most "64 MB without a newline are not kept (KB)" 20000 $(($(awk '/^Rss:/ { print $2 }' "/proc/$(child control)/smaps_rollup") - before))
holds "and the next is served" reeve stats
said=$(setpriv --reuid nobody --regid nogroup --clear-groups "$BUILD/control/cli/reeve" --socket "$socket" user ls 2>&1)
fails_to "another user of the machine may not ask" setpriv --reuid nobody --regid nogroup --clear-groups "$BUILD/control/cli/reeve" --socket "$socket" user ls
contains "and is told so" "may not" "$said"

# Tables are for people: names, not ids; times in one style; narrow enough for a terminal.
ssh_client -q alice@origin echo something to record >/dev/null
eventually 5 "a recording is listed" bash -c "'$BUILD/control/cli/reeve' --socket '$socket' ls | grep -q exec"
listed=$(reeve ls)
equal "ls names the user" alice "$(awk 'NR == 2 { print $4 }' <<<"$listed")"
for table in "ls" "sessions" "user ls" "target ls" "session show $(reeve sessions --json | json 'rows[0]["session_id"]')"; do
	# shellcheck disable=SC2086
	said=$(reeve $table)
	lacks "$table: times as people write them" "T0" "$(grep -oE '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]' <<<"$said")"
	[[ $table == session\ show* ]] || at_most "$table: columns" 100 "$(wc -L <<<"$said")"
done
program=$(reeve ls --json | json 'rows[0]["ProgramID"]')
holds "get" reeve get "$program" -o "$STATE/got.sshlog"
told "get onto a file that is there" "is there already" reeve get "$program" -o "$STATE/got.sshlog"
(cd "$STATE" && reeve keygen -o other >/dev/null)
told "play with another key" "does not open with this key" reeve play "$program" -k "$STATE/other"
told "decrypt with no key" "(-k FILE names it)" reeve decrypt -i "$STATE/got.sshlog" -k "$STATE/nowhere"
told "decrypt garbage" "not a recording" reeve decrypt -i "$BUILD/control/reeved" -k "$STATE/other"
told "play what is not there" "there is no program" reeve play ffffffff -k "$STATE/other"
equal "in one line" 1 "$(wc -l <<<"$err")"

printf 'control: {socket: /x}\n' >"$STATE/bad.yaml"
capture "$BUILD/control/reeved" -c "$STATE/bad.yaml" --check
equal "reeved --check on bad settings" 2 "$status"
contains "says where" "bad.yaml:1" "$err"
holds "and on good ones is content" "$BUILD/control/reeved" -c "$STATE/reeved.yaml" --check

background "$STATE/live" ssh alice@origin 'echo up; sleep 60'
wait_until 10 grep -q up "$STATE/live"
id=$(reeve sessions --live --json | json 'rows[0]["session_id"]')
holds "session show by the first eight characters" reeve session show "${id:0:8}"
contains "live" "alice" "$(reeve sessions --live)"
holds "session kill" reeve session kill "$id" --reason "maintenance at noon"
eventually 5 "the user reads the reason" grep -q "maintenance at noon" "$STATE/live.err"
nobody_live() { [ "$(reeve sessions --live --json | json 'len(rows)')" = 0 ]; }
eventually 5 "nobody is left" nobody_live
contains "history has the reason" "maintenance at noon" "$(reeve session show "$id" --json)"
for command in "" keygen "policy check" "policy apply" "policy show" "ca create" "ca show" "user add" "user ls" "user rm" "user cert" \
	sessions "session show" "session kill" ls get play decrypt stats; do
	# shellcheck disable=SC2086
	at_least "reeve $command --help is worth reading (lines)" 3 "$(reeve $command --help | wc -l)"
done
