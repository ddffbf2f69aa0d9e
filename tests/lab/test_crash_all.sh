# SPDX-License-Identifier: Apache-2.0
# kill -9 of each process in turn, under live sessions on two workers and an upload of 100 MB: only what was in the
# process that died ends, the upload arrives whole, every recording opens.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
sed -i '/^sshterm:/s/cores: \[[0-9]*\]/cores: [0, 1]/' "$STATE/reeved.yaml"
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice

head -c 100000000 /dev/zero | openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 2>/dev/null >"$STATE/client/large" ||
	head -c 100000000 /dev/urandom >"$STATE/client/large"
for i in 1 2 3 4 5 6; do background "$STATE/s$i" ssh -tt alice@origin 'while :; do echo tick; sleep 0.1; done'; done
for i in 1 2 3 4 5 6; do wait_until 10 grep -q tick "$STATE/s$i" || fail "session $i did not start"; done
busy() { cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%d", n }'; } # ns
read -r one two < <(children sshterm | paste -sd' ')
before_one=$(busy "$one") before_two=$(busy "$two")
background "$STATE/upload" scp -q -l 100000 "$STATE/client/large" alice@origin:
uploading() { [ "$(stat -c %s "$STATE/origin/home/alice/large" 2>/dev/null || echo 0)" -ge 3000000 ]; }
wait_until 10 uploading || fail "the upload does not begin"
# The upload's worker is the one that works.
victim=$one
[ $(($(busy "$one") - before_one)) -lt $(($(busy "$two") - before_two)) ] || victim=$two
wire_watch

all_live() {
	local i
	for i in 1 2 3 4 5 6; do [ ! -e "$STATE/s$i.status" ] || return 1; done
}
for name in keeper control recorder; do
	pid=$(child $name)
	kill -KILL "$pid"
	holds "$name: another takes its place" replacement "$name" "$pid"
	for i in 1 2 3 4 5 6; do grows "$STATE/s$i" || fail "$name: session $i stands still"; done
	holds "$name: every session goes on" all_live
	holds "$name: the upload goes on" test ! -e "$STATE/upload.status"
done
kill -KILL "$victim"
eventually 10 "the other worker: a new session is served" ssh_client -q alice@origin true
ended_or_grows() { [ -e "$STATE/s$1.status" ] || has_grown "$STATE/s$1" "$2"; }
gone=0
for i in 1 2 3 4 5 6; do wait_until 5 ended_or_grows $i "$(stat -c %s "$STATE/s$i")"; done
for i in 1 2 3 4 5 6; do [ ! -e "$STATE/s$i.status" ] || gone=$((gone + 1)); done
at_least "the other worker: its sessions ended" 1 "$gone"
at_most "and no others" 5 "$gone"
wire_report
equal "forwarding lost nothing in all this" 0 "$ping_lost"
eventually 40 "the upload ends" test -e "$STATE/upload.status"
equal "well" 0 "$(cat "$STATE/upload.status")"
holds "and is what was sent" cmp "$STATE/client/large" "$STATE/origin/home/alice/large"
for i in 1 2 3 4 5 6; do [ -e "$STATE/s$i.status" ] || grows "$STATE/s$i" || fail "session $i hangs"; done

pid=$(child dataplane)
kill -KILL "$pid"
holds "the dataplane: another takes its place" replacement dataplane "$pid"
eventually 5 "a new session is served" ssh_client -q -o ConnectTimeout=2 alice@origin true
eventually 5 "the others have ended" bash -c "ls $STATE/s{1,2,3,4,5,6}.status"
opened=0
programs=$(reeve ls --json --limit 20 | json '" ".join(r["ProgramID"] for r in rows if r.get("recorded", True))')
for id in $programs; do
	rm -f "$STATE/r" "$STATE/r.zip"
	reeve get "$id" -o "$STATE/r" >/dev/null 2>&1 && LIMIT=60 reeve decrypt -i "$STATE/r" -k "$STATE/sshkey" -o "$STATE/r.zip" >/dev/null 2>&1 && opened=$((opened + 1))
done
equal "every recording opens" "$(wc -w <<<"$programs")" "$opened"
at_least "and there is one for each program" 7 "$opened"
upload=$(reeve ls --json --limit 20 | json '[r["ProgramID"] for r in rows if r["ProgramType"] == "subsystem"][0]')
rm -f "$STATE/r" "$STATE/r.zip"
reeve get "$upload" -o "$STATE/r" >/dev/null 2>&1
LIMIT=60 reeve decrypt -i "$STATE/r" -k "$STATE/sshkey" -o "$STATE/r.zip" >/dev/null 2>&1
at_least "the upload's recording is whole, though the recorder died meanwhile (bytes from the client)" 100000000 \
	"$(unzip -p "$STATE/r.zip" data_from_client.txt | wc -c)"
