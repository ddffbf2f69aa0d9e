# SPDX-License-Identifier: Apache-2.0
# kill -9 of control and of the keeper: wire and live sessions go on, and new sessions come in again by themselves.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
one_live() { [ "$(reeve sessions --live --json | json 'len(rows)')" = 1 ]; }
for name in control keeper; do
	rm -f "$STATE"/live*
	background "$STATE/live" ssh alice@origin "while :; do echo tick; sleep 0.1; done"
	wait_until 10 grep -q tick "$STATE/live"
	wire_watch
	victim=$(child $name)
	kill -KILL "$victim"
	killed_at=$(now_ms)
	equal "$name: a session right after the kill" in "$(ssh_client -q alice@origin echo in)"
	within "$name: it waited no longer than (ms)" 4000 $(($(now_ms) - killed_at))
	lacks "$name: another process serves" "$victim" "$(children $name)"
	holds "$name: the live session goes on" grows "$STATE/live"
	wire_report
	equal "$name: forwarding lost nothing" 0 "$ping_lost"
	holds "$name: the policy is still known" bash -c "'$BUILD/control/cli/reeve' --socket '$STATE/control.sock' policy show | grep -q prod-ssh"
	eventually 5 "$name: the live session is still listed, and no other" one_live
	id=$(reeve sessions --live --json | json 'rows[0]["session_id"]')
	holds "$name: and can be ended" reeve session kill "$id" --reason enough
	eventually 5 "$name: the client is told" grep -q enough "$STATE/live.err"
	eventually 5 "$name: and is gone" test -e "$STATE/live.status"
done
