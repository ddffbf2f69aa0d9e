# SPDX-License-Identifier: Apache-2.0
# kill -9 of an SSH worker: its sessions end and say why, the other worker's go on, forwarding does not notice.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
sed -i '/^sshterm:/s/cores: \[[0-9]*\]/cores: [0, 0]/' "$STATE/reeved.yaml"
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
equal "two workers" 2 "$(children sshterm | wc -l)"

for i in 1 2 3 4 5 6 7 8; do background "$STATE/s$i" ssh -tt alice@origin 'while :; do echo tick; sleep 0.1; done'; done
for i in 1 2 3 4 5 6 7 8; do wait_until 10 grep -q tick "$STATE/s$i" || fail "session $i did not start"; done
wire_watch
victim=$(child sshterm)
killed_at=$(now_ms)
kill -KILL "$victim"
holds "another takes its place" replacement sshterm "$(children sshterm | grep -v "$victim" | head -n 1)"
contains "a session after the crash" again "$(ssh_client -q alice@origin echo again)"
within "is served soon (ms after the kill)" 2500 $(($(now_ms) - killed_at))
wire_report
equal "forwarding lost nothing" 0 "$ping_lost"
within "and did not pause (ms)" 200 "$longest_gap"

# Each has ended, or goes on.
ended_or_grows() { [ -e "$STATE/s$1.status" ] || has_grown "$STATE/s$1" "$2"; }
ended=0 live=0
for i in 1 2 3 4 5 6 7 8; do wait_until 5 ended_or_grows $i "$(stat -c %s "$STATE/s$i")"; done
for i in 1 2 3 4 5 6 7 8; do
	if [ -e "$STATE/s$i.status" ]; then ended=$((ended + 1)); else live=$((live + 1)); grows "$STATE/s$i" || fail "session $i hangs"; fi
done
at_least "sessions of the dead worker ended" 1 "$ended"
at_least "those of the other go on" 1 "$live"
eventually 5 "they are marked worker_lost" bash -c "[ \$('$BUILD/control/cli/reeve' --socket '$STATE/control.sock' sessions --json | grep -o worker_lost | wc -l) -ge $ended ]"
lost() { reeve ls --json | json '" ".join(r["ProgramID"] for r in rows if r.get("close_reason") == "worker_lost")'; }
all_listed() { [ "$(lost | wc -w)" -ge "$ended" ]; }
eventually 5 "and so are their programs" all_listed
readable=0
for id in $(lost); do
	rm -f "$STATE/r" "$STATE/r.zip"
	reeve get "$id" -o "$STATE/r" >/dev/null 2>&1 && reeve decrypt -i "$STATE/r" -k "$STATE/sshkey" -o "$STATE/r.zip" >/dev/null 2>&1 &&
		unzip -p "$STATE/r.zip" term_data.txt | grep -q tick && readable=$((readable + 1))
done
equal "their recordings are readable to the last block" "$ended" "$readable"
