# SPDX-License-Identifier: Apache-2.0
# A full flow table: forwarding goes on, a new audited connection is dropped and counted, room helps at once.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
setting dataplane 'flows: 64'
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
mkfifo "$STATE/enough"
client python3 -c '
import select, socket, sys
socks, waiting, ready = [], {}, select.poll()
for n in range(110):
    s = socket.socket(); s.setblocking(False); s.connect_ex(("198.51.100.2", 22))
    waiting[s.fileno()] = s
    ready.register(s, select.POLLOUT)
while True: # until none has come through for as long as a SYN is tried again twice
    got = ready.poll(3500)
    if not got: break
    for fd, _ in got:
        ready.unregister(fd)
        socks.append(waiting.pop(fd))
for s in waiting.values(): s.close()
print(sum(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 for s in socks), flush=True)
sys.stdin.read()' <"$STATE/enough" >"$STATE/hoard" &
hoard=$!
exec 8>"$STATE/enough"
wait_until 30 test -s "$STATE/hoard"
at_most "connections that were taken over" 64 "$(cat "$STATE/hoard")"
at_least "the table was used" 32 "$(cat "$STATE/hoard")"
equal "forwarding goes on" "Hello from the origin." "$(client curl -s http://origin/)"
holds "ping, too" client ping -c 2 -i 0.2 -W 10 origin
contains "the refusals are counted" "full" "$(reeve stats --all | grep -i full)"
exec 8>&-
wait $hoard
eventually 30 "with room, the next is served" ssh_client -q -o ConnectTimeout=3 alice@origin true
