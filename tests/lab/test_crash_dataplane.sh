# SPDX-License-Identifier: Apache-2.0
# kill -9 of the dataplane: the wire is back within two seconds, audited sessions end and say why.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
background "$STATE/live" ssh alice@origin 'while :; do echo tick; sleep 0.1; done'
wait_until 10 grep -q tick "$STATE/live"
wire_watch
victim=$(child dataplane)
kill -KILL "$victim"
holds "another takes its place" replacement dataplane "$victim"
wire_report
within "the wire was dead for (ms)" 2000 "$longest_gap"
equal "the last policy is in force" 1 "$(client nc -w 1 -z origin 23; echo $?)"
equal "a new session" again "$(ssh_client -q alice@origin echo again)"
eventually 5 "the old session has ended at the client, which says nothing itself" test -e "$STATE/live.status"
eventually 5 "marked dataplane_lost" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' sessions --json | grep -q dataplane_lost"
lost() { reeve ls --json | json '" ".join(r["ProgramID"] for r in rows if r.get("close_reason") == "dataplane_lost")'; }
is_listed() { [ -n "$(lost)" ]; }
eventually 5 "so is its program" is_listed
id=$(lost)
reeve get "$id" -o "$STATE/r" >/dev/null 2>&1
holds "its recording is finished and opens" reeve decrypt -i "$STATE/r" -k "$STATE/sshkey" -o "$STATE/r.zip"
contains "with what was said" tick "$(unzip -p "$STATE/r.zip" data_from_server.txt 2>/dev/null)"

for again in 1 2 3; do
	victim=$(child dataplane)
	kill -KILL "$victim"
	replacement dataplane "$victim" >/dev/null
	eventually 4 "the wire is back, time $again" client ping -c 1 -W 1 origin
done
