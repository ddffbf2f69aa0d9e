# SPDX-License-Identifier: Apache-2.0
# SIGTERM: sessions are told, recordings finished, and nothing is left behind.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
before=$(ls /var/run/dpdk /dev/shm 2>/dev/null | sort)
background "$STATE/live" ssh alice@origin 'while :; do echo tick; sleep 0.1; done'
wait_until 10 grep -q tick "$STATE/live"
id=$(reeve ls --json | json 'rows[0]["ProgramID"]')
processes=$(cat "/proc/$reeved_pid/task/$reeved_pid/children")
reeved_stop 20
within "it took (ms)" 15000 "$reeved_took"
eventually 3 "the client's session is over" test -e "$STATE/live.status"
lacks "by a message, not a broken pipe" "Broken pipe" "$(cat "$STATE/live.err")"
contains "which says why" "shutting down" "$(cat "$STATE/live.err")"
left=''
for pid in $processes; do [ ! -d "/proc/$pid" ] || left="$left $pid"; done
equal "no process is left" "" "$left"
fails_to "nor the control socket" test -S "$STATE/control.sock"
lacks "nor an XDP program on the ports" "xdp" "$(box ip link show boxc)$(box ip link show boxo)"
at_most "nor files of DPDK" "$(wc -l <<<"$before")" "$(ls /var/run/dpdk /dev/shm 2>/dev/null | sort | wc -l)"
file=$(find "$STATE/recordings" -type f -name "*$id*" ! -name '*.json' | head -n 1)
holds "the recording is finished" "$BUILD/control/cli/reeve" decrypt -i "$file" -k "$STATE/sshkey" -o "$STATE/r.zip"
contains "and has what was said" tick "$(unzip -p "$STATE/r.zip" data_from_server.txt 2>/dev/null)"
reeved_start
make_sure() { ssh_client -q alice@origin echo again; }
equal "and it starts again with users, CAs and policy" again "$(make_sure)"
