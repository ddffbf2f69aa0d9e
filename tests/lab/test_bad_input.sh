# SPDX-License-Identifier: Apache-2.0
# Hostile frames and clients that are none: bounded in time and memory, counted, logged once, the next is served.
# Runs beside others.
wire=off # its frames are wrong on purpose, and go on as they are
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
setting sshterm 'login_grace: 6s'
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
equal "before" in "$(ssh_client -q alice@origin echo in)"
dataplane=$(child dataplane) worker=$(child sshterm)
memory() { awk '/^Rss:/ { n += $2 } END { print n }' "/proc/$1/smaps_rollup"; }
memory_before=$(memory "$worker")

frames malformed
frames malformed
equal "the dataplane is the same process" "$dataplane" "$(child dataplane)"
equal "after thousands of malformed frames a session" in "$(ssh_client -q alice@origin echo in)"
holds "and forwarding" client ping -c 2 -i 0.2 -W 10 origin

live() { reeve sessions --live --json | json 'len(rows)'; }
has_sessions() { [ "$(live)" -ge "$1" ]; }
logged() { grep -c 'not logged in' "$REEVED_LOG"; }
logged_more_than() { [ "$(logged)" -gt "$1" ]; }
for kind in http silent banner garbage kexinit slow half binary; do
	before=$(logged)
	borne=$(LIMIT=90 client python3 "$here/hostile.py" $kind)
	eventually 2 "$kind: logged" logged_more_than "$before"
	equal "$kind: in one line" 1 $(($(logged) - before))
	within "$kind: borne for (ms)" 9000 "${borne:-99999}"
	equal "$kind: the next client is served" in "$(ssh_client -q alice@origin echo in)"
done
LIMIT=90 client python3 "$here/hostile.py" silent 150 >/dev/null &
wait_until 10 has_sessions 100 || fail "the silent ones are not there: $(live) are"
equal "150 silent clients: another is served meanwhile" in "$(ssh_client -q alice@origin echo in)"
LIMIT=90 client python3 "$here/hostile.py" banner 30 >/dev/null
wait
at_least "those that spoke no SSH are counted" 33 "$(counter not_ssh)"
equal "the worker is the same process" "$worker" "$(child sshterm)"
nobody_live() { [ "$(live)" = 0 ]; }
eventually 10 "no session of theirs is left" nobody_live
at_most "its memory has grown by (KB)" 40000 $(($(memory "$worker") - memory_before))
at_most "lines in the box's log" 800 "$(wc -l <"$REEVED_LOG")"
