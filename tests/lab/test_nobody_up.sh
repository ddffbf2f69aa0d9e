# SPDX-License-Identifier: Apache-2.0
# Nobody up to take a session: held (the client's own retry finds it), refused or let through, as the rule says.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
movable_programs
reeved_start
make_cas
enrol alice alice sre
use_identity alice
rule() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, on_unavailable: $1, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate], recording: best_effort}}
	YAML
}
equal "before" in "$(ssh_client -q alice@origin echo in)"
for name in sshterm recorder; do
	without_program $name
	kill -KILL "$(child $name)"
	wait_until 5 grep -q "$name.* (pid .*starting it again" "$REEVED_LOG" || fail "reeved has not seen it"
	equal "$name down: forwarding goes on" "Hello from the origin." "$(client curl -s http://origin/)"
	rule reset
	capture ssh_client alice@origin true
	contains "$name down, reset: refused at once" "refused" "$err"
	rule allow
	contains "$name down, allow: the origin itself answers" "SSH-2.0-OpenSSH" "$(client bash -c 'exec 3<>/dev/tcp/origin/22; head -n 1 <&3')"
	rule hold
	background "$STATE/held" ssh -o ConnectTimeout=40 alice@origin 'echo held and served'
	sleep 2
	holds "$name down, hold: nothing yet" test ! -e "$STATE/held.status"
	with_program $name
	eventually 20 "$name: the held session is served once it is back" grep -q 'held and served' "$STATE/held"
	wait_until 10 test -e "$STATE/held.status" || cat "$STATE/held.err"
	rm -f "$STATE"/held*
done
