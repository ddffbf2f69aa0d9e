# SPDX-License-Identifier: Apache-2.0
# A full flow table: forwarding goes on, a new audited connection is dropped and counted, room helps at once.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
setting dataplane 'flows: 64'
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
client python3 -c '
import socket, sys, time
socks = []
for n in range(110):
    s = socket.socket(); s.settimeout(0.15)
    try: s.connect(("198.51.100.2", 22)); socks.append(s)
    except OSError: s.close()
print(len(socks), flush=True)
time.sleep(8)' >"$STATE/hoard" &
hoard=$!
wait_until 60 test -s "$STATE/hoard"
at_most "connections that were taken over" 64 "$(cat "$STATE/hoard")"
at_least "the table was used" 32 "$(cat "$STATE/hoard")"
equal "forwarding goes on" "Hello from the origin." "$(client curl -s -m 3 http://origin/)"
holds "ping, too" client ping -c 2 -i 0.2 -W 1 origin
contains "the refusals are counted" "full" "$(reeve stats --all | grep -i full)"
wait $hoard
eventually 30 "with room, the next is served" ssh_client -q -o ConnectTimeout=3 alice@origin true
