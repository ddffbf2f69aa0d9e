# SPDX-License-Identifier: Apache-2.0
# recording: strict. Nothing passes, in either direction, before the recorder has said that it is on the disk: with
# the recorder stopped a session stands still, goes on with it, and ends where it stays away. best_effort does not wait.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
setting sshterm 'recorder_patience: 12s'
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
rule() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"], recording: $1}}
	YAML
}
typed=$STATE/origin/home/alice/typed
# A session that writes down what it reads and says something itself; fed through a pipe that stays open.
live() {
	rm -f "$STATE"/live* "$STATE/feed" "$typed"
	mkfifo "$STATE/feed"
	(LIMIT=60 client ssh alice@origin 'echo up; (while sleep 0.2; do echo tick; done) & exec cat >typed' <"$STATE/feed" >"$STATE/live" 2>"$STATE/live.err"; echo $? >"$STATE/live.status") &
	exec 7>"$STATE/feed"
	wait_until 10 grep -q tick "$STATE/live" || fail "no session: $(cat "$STATE/live.err")"
	echo one >&7
	wait_until 5 grep -q one "$typed" || fail "nothing reaches the origin"
}
stop_recorder() {
	kill -STOP "$(child recorder)"
	stopped_at=$(now_ms)
	# What was flushed just before passes; from then on, under strict, nothing does.
	if [ "$1" = strict ]; then wait_until 5 stands_still || fail "output goes on while nothing is flushed"; fi
	size=$(stat -c %s "$STATE/live")
	echo two >&7
}
stands_still() {
	local before
	before=$(stat -c %s "$STATE/live")
	sleep 0.8 # four ticks
	[ "$(stat -c %s "$STATE/live")" = "$before" ]
}
rule strict
live
recorder=$(child recorder)
stop_recorder strict
sleep 1.5
equal "strict: nothing comes from the origin while nothing is flushed" "$size" "$(stat -c %s "$STATE/live")"
lacks "nor goes to it" two "$(cat "$typed")"
kill -CONT "$recorder"
eventually 4 "and then it goes on: what was typed arrives" grep -q two "$typed"
holds "and what was said" grows "$STATE/live"
stop_recorder strict
eventually 20 "where the recorder stays away the session ends" test -e "$STATE/live.status"
at_least "not before recorder_patience: 12s (ms)" 11500 $(($(now_ms) - stopped_at))
contains "and its user is told why" "record" "$(cat "$STATE/live.err")"
equal "what was never flushed never reached the origin" 1 "$(grep -c two "$typed")"
kill -CONT "$(child recorder)"
exec 7>&-

rule best_effort
live
stop_recorder best_effort
has_passed() { grep -q two "$typed"; }
eventually 5 "best_effort: typing passes while the recorder stands still" has_passed
holds "and so does output" grows "$STATE/live"
kill -CONT "$(child recorder)"
exec 7>&-
