# SPDX-License-Identifier: Apache-2.0
# Settings of reeved.yaml and of rules that no other test sees at work: each is set, and shown to do what it says.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
busy() { awk '{ sub(/^.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; } # hundredths of a second
busy_for_a_second() {
	local pid before
	pid=$(child "$1")
	before=$(busy "$pid")
	sleep 1
	echo $(($(busy "$pid") - before))
}
# Of a second, the hundredths in which its busiest thread ran or would have run, had the machine had a core for it.
wanted_to_run() { cat /proc/"$1"/task/*/schedstat | awk '{ n = int(($1 + $2) / 10000000); if (n > most) most = n } END { print most }'; }
runnable_for_a_second() {
	local pid before start
	pid=$(child "$1")
	start=$(now_ms)
	before=$(wanted_to_run "$pid")
	sleep 1
	echo $((($(wanted_to_run "$pid") - before) * 1000 / ($(now_ms) - start)))
}
restart() { # SECTION 'KEY: VALUE' …
	reeved_stop
	cp "$STATE/reeved.plain" "$STATE/reeved.yaml"
	while [ $# -gt 0 ]; do
		setting "$1" "$2"
		shift 2
	done
	: >"$REEVED_LOG"
	reeved_start
}
lab_up
cp "$STATE/reeved.yaml" "$STATE/reeved.plain"
sed -i 's/^  idle: adaptive$//' "$STATE/reeved.plain"
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
equal "dataplane.congestion: cubic, unless said otherwise" 1 "$(counter tcp.congestion.cubic)"
equal "before" in "$(ssh_client -q alice@origin echo in)"
bulk() { ssh_client -q alice@origin 'head -c 100000000 /dev/zero' | wc -c; }
equal "a download" 100000000 "$(bulk)"
at_least "receive_window_max: 6 MB, unless said otherwise: windows grow" 1 "$(counter tcp.window_grown)"
sleep 1
at_most "idle: adaptive: a worker without work uses (1/100 s a second)" 15 "$(busy_for_a_second sshterm)"
at_most "and so does the dataplane" 15 "$(busy_for_a_second dataplane)"

restart sshterm 'idle: poll' sshterm 'sessions: 2' control 'stop_grace: 0s' control 'auditors: [nobody]' dataplane 'rx_descriptors: 512' dataplane 'mbufs: 8192'
sleep 1
at_least "sshterm.idle: poll: the worker never sleeps (1/100 s a second)" 80 "$(runnable_for_a_second sshterm)"
equal "an auditor may look" 0 "$(setpriv --reuid nobody --regid nogroup --clear-groups "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" sessions >/dev/null 2>&1; echo $?)"
fails_to "but not change anything" setpriv --reuid nobody --regid nogroup --clear-groups "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" user rm alice
by_stranger() { setpriv --reuid daemon --regid nogroup --clear-groups "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" "$@" 2>&1; }
equal "who has no role is told so, and nothing beyond it: get" "1 may not use this socket" \
	"$(by_stranger get 12345678 -o /dev/null | sed 's/^reeve: uid [0-9]* \(may.*socket\).*/1 \1/')"
equal "  and play" "1 may not use this socket" \
	"$(cd "$STATE" && chmod 755 . && install -o daemon sshkey strangers && by_stranger play 12345678 -k strangers | sed 's/^reeve: uid [0-9]* \(may.*socket\).*/1 \1/')"
# One after the other: of the places of those that have not logged in, a single source gets a share only.
for n in one two; do
	background "$STATE/$n" ssh alice@origin 'echo up; sleep 60'
	wait_until 10 grep -q up "$STATE/$n" || fail "session $n: $(cat "$STATE/$n.err")"
done
fails_to "sshterm.sessions: 2: a third is refused" ssh_client -q -o ConnectTimeout=3 alice@origin true
reeved_stop
within "stop_grace: 0s: nobody is waited for (ms)" 3000 "$reeved_took"

restart dataplane 'idle: poll' dataplane 'congestion: newreno' dataplane 'receive_credit: 32768' dataplane 'receive_window_max: 32768' \
	dataplane 'receive_memory: 1048576' dataplane 'keepalive: 10s' dataplane 'send_credit: 4' dataplane 'send_buffer_max: 32768' dataplane 'send_memory: 1048576'
sleep 1
background "$STATE/silent" ssh alice@origin 'echo in; sleep 100'
equal "a download through small windows and buffers" 100000000 "$(bulk)"
equal "receive_window_max: 32768: no window grows beyond" 0 "$(counter tcp.window_grown)"
equal "send_buffer_max: 32768: nor does what a worker may have out" 0 "$(counter tcp.send_grown)"
equal "dataplane.congestion: newreno" 1 "$(counter tcp.congestion.newreno)"
at_least "dataplane.idle: poll: the lcore never sleeps (1/100 s a second)" 80 "$(runnable_for_a_second dataplane)"

policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"], auth_attempts: 2, certificate_ttl: 30s, login_grace: 10s}}
YAML
for n in 1 2 3; do ssh-keygen -q -t ed25519 -N '' -f "$STATE/client/.ssh/wrong$n"; done
contains "auth_attempts: 2: the third key is not asked for" "too many" \
	"$(client ssh -F none -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -i "$STATE/client/.ssh/wrong1" -i "$STATE/client/.ssh/wrong2" -i "$STATE/client/.ssh/alice" alice@origin true 2>&1)"
ssh_client -q alice@origin 'sed s/^publickey.// $SSH_USER_AUTH' >"$STATE/shown-cert.pub"
equal "certificate_ttl: 30s, from a minute ago" 90 "$(python3 -c '
import datetime, re, sys
begin, end = (datetime.datetime.fromisoformat(t) for t in re.search("from (\\S+) to (\\S+)", sys.argv[1]).groups())
print(int((end - begin).total_seconds()))' "$(ssh-keygen -L -f "$STATE/shown-cert.pub")")"
start=$(now_ms)
client python3 -c '
import socket
s = socket.create_connection(("198.51.100.2", 22), 20); s.sendall(b"SSH-2.0-slow\r\n"); s.settimeout(120)
try:
    while s.recv(1000): pass
except OSError: pass'
took=$(($(now_ms) - start))
at_least "login_grace: 10s: a client that does not log in has that long (ms)" 9000 "$took"
within "and no longer (ms)" 13000 "$took"

wait_until 30 eval '[ "$(counter tcp.keepalives)" -ge 2 ]' || fail "dataplane.keepalive: 10s: nobody was asked"
equal "who was asked, and lives, goes on" in "$(cat "$STATE/silent")"
equal "its connection, too" 0 "$(counter tcp.timeouts)"

# A rule's answer to TCP that the box cannot take over: a SYN with an MD5 signature (RFC 2385).
signed_syn() { python3 - "$here" "$LAB-client" "$LAB-origin" <<'PY'
import struct, sys, time
here, client, origin = sys.argv[1:4]
frames = {"__name__": "frames"}
exec(compile(open(here + "/frames.py").read().rsplit("\nmain()", 1)[0], "frames.py", "exec"), frames)
near, far = frames["Port"](client), frames["Port"](origin)
def total(b):
    s = sum(struct.unpack(f">{len(b) // 2}H", b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
src, dst = bytes([198, 51, 100, 77]), bytes([198, 51, 100, 2])
tcp = struct.pack(">HHIIBBHHH", 4000, 22, 1, 0, 0xa0, 2, 1000, 0, 0) + b"\x13\x12" + b"k" * 16 + b"\1\1"
tcp = tcp[:16] + struct.pack(">H", total(src + dst + struct.pack(">HH", 6, len(tcp)) + tcp)) + tcp[18:]
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, src, dst)
ip = ip[:10] + struct.pack(">H", total(ip)) + ip[12:]
near.send(far.mac + near.mac + b"\x08\x00" + ip + tcp)
end, seen = time.monotonic() + 20, set()
while time.monotonic() < end:
    for name, port, where, flags in (("passed", far, (26, src), 2), ("reset", near, (30, src), 4)):
        f = port.receive(0.05)
        if f and f[12:14] == b"\x08\x00" and f[where[0]:where[0] + 4] == where[1] and f[23] == 6 and f[47] & flags:
            seen.add(name)
            end = min(end, time.monotonic() + 1)  # and whether the other comes, too
print(",".join(sorted(seen)) or "nothing")
PY
}
for how in reset pass; do
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, on_unsupported: $how, ssh: {users: {groups: [sre]}, logins: ["{user}"]}}
	YAML
	if [ $how = reset ]; then expected=reset; else expected=passed; fi
	equal "on_unsupported: $how" $expected "$(signed_syn)"
done

# A connection that was merely forwarded when a rule began to audit it.
for how in keep reset; do
	policy <<<'default: allow'
	rm -f "$STATE/held" "$STATE/go"
	mkfifo "$STATE/go"
	client python3 -c '
import socket, sys, time
s = socket.create_connection(("198.51.100.2", 22), 20); s.settimeout(20)
print(s.recv(100)[:7].decode(), flush=True)
sys.stdin.readline() # until the new policy is in force
try: s.sendall(b"not SSH\r\n"); print("the origin says", s.recv(100)[:7].decode())
except OSError as e: print(type(e).__name__)' <"$STATE/go" >"$STATE/held" &
	held=$!
	exec 8>"$STATE/go"
	wait_until 5 test -s "$STATE/held"
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, on_policy_change: $how, ssh: {users: {groups: [sre]}, logins: ["{user}"]}}
	YAML
	echo >&8
	wait $held
	exec 8>&-
	if [ $how = keep ]; then expected="the origin says Invalid"; else expected=ConnectionResetError; fi
	equal "on_policy_change: $how" "$expected" "$(tail -n 1 "$STATE/held")"
	equal "and a new connection is audited" in "$(ssh_client -q alice@origin echo in)"
done
