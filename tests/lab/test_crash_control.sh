# SPDX-License-Identifier: Apache-2.0
# kill -9 of control and of the keeper: wire and live sessions go on, and new sessions come in again by themselves.
# So do those that are being logged in when control is killed.
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

# Logins that are under way, each at another step.
logged_in=0 tried=0
for delay in 0.00 0.02 0.04 0.06 0.08 0.10; do
	victim=$(child control)
	rm -f "$STATE"/under_way*
	for n in 1 2 3 4 5; do
		background "$STATE/under_way$n" ssh alice@origin echo in
		sleep 0.03
	done
	sleep $delay
	kill -KILL "$victim"
	for n in 1 2 3 4 5; do
		wait_until 20 test -e "$STATE/under_way$n.status"
		tried=$((tried + 1))
		[ "$(cat "$STATE/under_way$n")" = in ] || cat "$STATE/under_way$n.err"
		[ "$(cat "$STATE/under_way$n")" != in ] || logged_in=$((logged_in + 1))
	done
	replacement control "$victim" >/dev/null
done
equal "logins that are under way when control is killed" "$tried" "$logged_in"
lacks "control: no key that was proven is doubted" "cannot show it" "$(reeved_says)"
