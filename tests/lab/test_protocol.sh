# SPDX-License-Identifier: Apache-2.0
# SSH's connection protocol as no stock program speaks it: invented requests, channels and messages, tiny windows,
# half-closed channels, exit signals with a core dump, keepalives; all of it arrives as sent, and is in the header.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: [22, 2222]}, ssh: {users: {groups: [sre]}, logins: ["{user}"], origin_auth: [certificate]}}
YAML
LIMIT=200 origin /usr/bin/python3 "$here/strange_ssh.py" origin 2222 "$STATE/origin" >"$STATE/strange.out" 2>"$STATE/strange.err" &
wait_until 10 grep -qs ready "$STATE/strange.out" || give_up "no fake origin: $(cat "$STATE/strange.err")"

strange() { strange_client "$1" client "$2" 2222 "${@:3}"; }
# strange_client NAME KIND ADDRESS PORT [PART…]
strange_client() {
	local line
	while IFS= read -r line; do
		case $line in
		ok\ *) pass "$1: ${line#ok }" ;;
		*) fail "$1: $line" ;;
		esac
	done < <(LIMIT=60 client /usr/bin/python3 "$here/strange_ssh.py" "$2" "$3" "$4" alice "$STATE/client/.ssh/alice" "${@:5}" 2>&1 || echo "FAIL broke off")
}
strange best_effort 198.51.100.2
strange "the transport" 198.51.100.2 compression transport
strange "the largest packets" 198.51.100.2 largest
strange_client "a swift paramiko" swift 198.51.100.2 22
fails_to "the log says why, and not that a socket failed" grep -q 'client_failed: Socket error' "$REEVED_LOG"
equal "of both" 2 "$(grep -c 'client_failed: .*no match for method compression' "$REEVED_LOG")"
strange "good-bye" 198.51.100.2 farewell
eventually 5 "a client's DISCONNECT arrives with its code and text" grep -qx '14 the client says why' "$STATE/origin/client-said"
equal "all the banners of an origin, in order, once each" "greeting 0 greeting 1 greeting 2" \
	"$(LIMIT=5 client ssh -p 2222 alice@198.51.100.2 flood 2>&1 >/dev/null | grep -o 'greeting [0-9]' | paste -sd' ')"
header() { # of the newest program that ended by SEGV: EXPRESSION over its header, h
	local id
	id=$(reeve ls --json --limit 30 | json '[r["ProgramID"] for r in rows if r.get("exit_signal") == "SEGV"][0]')
	reeve get "$id" -o "$STATE/rec" >/dev/null && python3 -c '
import base64, json, struct, sys
f = open(sys.argv[1], "rb"); h = json.loads(base64.b64decode(f.read(struct.unpack(">I", f.read(4))[0])))
print(eval(sys.argv[2]))' "$STATE/rec" "$1"
	rm -f "$STATE/rec"
}
eventually 5 "the exit signal is in the session log" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' ls --json | grep -q SEGV"
equal "and in the header, wholly" "None SEGV True it fell" \
	"$(header '"%s %s %s %s" % tuple(h["exit_data"][k] for k in ("status", "signal", "core_dumped", "error_msg"))')"
strange "many" 198.51.100.2 many
# Who goes without a word, by FIN alone, is gone for the other at once, and not when the box's patience ends.
# shellcheck disable=SC2016
capture ssh_client -q alice@origin 'date +%s%3N; sleep 0.5; kill -KILL $PPID; sleep 10' # what it wrote is to be on its way
within "an origin that goes without DISCONNECT: its client knows within, ms" 4000 $(($(now_ms) - out))
equal "and ends as ssh does when the connection has gone" 255 $status
mkfifo "$STATE/quiet"
gone=$(client sh -c 'exec 9<>"$0/quiet"; ssh -q alice@origin "echo >in; cat; date +%s%3N >gone; mv gone knew" <&9 2>/dev/null &
	until [ -e "$0/origin/home/alice/in" ]; do sleep 0.1; done; kill -KILL $!; date +%s%3N' "$STATE")
eventually 8 "a client that goes without DISCONNECT: its origin hears of it" test -s "$STATE/origin/home/alice/knew"
within "and does so within, ms" 4000 $(($(cat "$STATE/origin/home/alice/knew") - gone))
# An origin that hangs up behind its last word: its client gets all of that, as it would without the box, though it is
# stopped meanwhile, or slow.
client sysctl -qw net.ipv4.tcp_rmem='4096 65536 65536'
rm -f "$STATE"/origin/leav{e,ing}
# shellcheck disable=SC2016
(
	LIMIT=120 client sh -c 'ssh -q -p 2222 alice@198.51.100.2 "leave 300000" >"$0/kept" & echo $! >"$0/stopped"; wait $!' "$STATE"
	echo $? >"$STATE/kept.status"
) &
waiter=$!
wait_until 15 test -e "$STATE/origin/leaving" || fail "no program that leaves"
kill -STOP "$(cat "$STATE/stopped")"
touch "$STATE/origin/leave"
sleep 13
kill -CONT "$(cat "$STATE/stopped")"
wait $waiter
equal "all bytes of an origin that had hung up, to a client that was stopped for 13 s, and their status" "300000 0" \
	"$(stat -c %s "$STATE/kept") $(cat "$STATE/kept.status")"
LIMIT=60 client /usr/bin/python3 "$here/slow_relay.py" 2200 198.51.100.2 2222 80000 >"$STATE/relay.out" 2>&1 &
wait_until 10 grep -qs up "$STATE/relay.out" || fail "no relay: $(cat "$STATE/relay.out")"
# shellcheck disable=SC2016
equal "and to one that takes 80 KB a second" 400000 "$(LIMIT=60 client sh -c 'ssh -q -p 2200 -i "$0" -o IdentitiesOnly=yes \
	-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null alice@127.0.0.1 "leave 400000" | wc -c' "$STATE/client/.ssh/alice")"
# Keepalives of stock programs, from either end; and a rekey that the origin asks for, under load.
equal "keepalives of the client" ok "$(ssh_client -q -o ServerAliveInterval=1 -o ServerAliveCountMax=3 alice@origin 'sleep 6; echo ok')"
origin_sshd() {
	lab sshd stop
	printf '%s\n' "$@" >>"$STATE/origin/sshd_config"
	lab sshd start
}
origin_sshd 'ClientAliveInterval 1' 'ClientAliveCountMax 3'
equal "and of the origin" ok "$(ssh_client -q alice@origin 'sleep 6; echo ok')"
sed -i '/^ClientAlive/d' "$STATE/origin/sshd_config"
origin_sshd 'RekeyLimit 1M'
equal "the origin asks for new keys at each megabyte of ten, under load" "$(head -c 10000000 /dev/zero | sha256sum)" \
	"$(LIMIT=60 client ssh -q alice@origin 'head -c 10000000 /dev/zero' | sha256sum)"
equal "and up" "$(head -c 10000000 /dev/zero | sha256sum)" \
	"$(head -c 10000000 /dev/zero | LIMIT=60 client ssh -q alice@origin sha256sum)"

equal "both ask for new keys again and again, at once, with bytes both ways" "$(head -c 10000000 /dev/zero | sha256sum)" \
	"$(head -c 10000000 /dev/zero | LIMIT=60 client ssh -q -o RekeyLimit=700K alice@origin cat | sha256sum)"
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: [22, 2222]}, ssh: {users: {groups: [sre]}, logins: ["{user}"], recording: strict}}
YAML
strange strict 2001:db8::2
strange "strict, the largest packets" 2001:db8::2 largest
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 2222}, ssh: {users: {groups: [sre]}, logins: ["{user}"], permit: []}}
YAML
strange "nothing permitted" 198.51.100.2 narrow
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 2222}, ssh: {users: {groups: [sre]}, logins: ["{user}"], session_notice: this is kept}}
YAML
strange "a notice" 198.51.100.2 noticed
kill %1 2>/dev/null
