# SPDX-License-Identifier: Apache-2.0
# Policies replaced while traffic runs: no packet lost, in force at once, and a bad one changes nothing.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
big() {
	echo "default: allow"
	echo "rules:"
	python3 -c '
for n in range(10000):
    print(f"  - {{name: r{n}, action: block, match: {{protocol: tcp, dst_ip: 203.{n >> 8 & 255}.{n & 255}.0/24, dst_port: {1 + n % 60000}}}}}")'
	echo "  - {name: last, action: $1, match: {protocol: tcp, dst_port: 80}}"
}
big block >"$STATE/block.yaml"
big allow >"$STATE/allow.yaml"
background "$STATE/live" ssh -q alice@origin 'while :; do echo tick; sleep 0.1; done'
wait_until 10 grep -q tick "$STATE/live"
wire_watch
for i in 1 2 3; do
	start=$(now_ms)
	reeve policy apply "$STATE/block.yaml" >/dev/null || fail "apply"
	within "10,000 rules are in force after (ms)" 1000 $(($(now_ms) - start))
	equal "web is blocked" "" "$(client curl -s -m 1 http://origin/)"
	reeve policy apply "$STATE/allow.yaml" >/dev/null || fail "apply"
	equal "web is allowed" "Hello from the origin." "$(client curl -s http://origin/)"
done
wire_report
equal "packets lost meanwhile" 0 "$ping_lost"
holds "a session under an older policy goes on" grows "$STATE/live"

before=$(reeve policy show)
printf 'default: allow\nrules:\n  - {name: a, action: blok, match: {dst_port: 1}}\n' >"$STATE/bad.yaml"
capture reeve policy apply "$STATE/bad.yaml"
equal "a bad policy is refused" 1 "$status"
contains "with its line" "3" "$err"
contains "with what was found" "blok" "$err"
contains "and what was expected" "audit_ssh" "$err"
equal "and nothing has changed" "$before" "$(reeve policy show)"
for bad in 'default: maybe' 'rules: 7' 'default: allow
rules: [{name: x, action: allow, match: {dst_ip: 300.1.1.1}}]' 'default: allow
rules: [{name: x, action: allow, match: {dst_port: 70000}}]' 'default: allow
rules: [{name: x, action: allow, mach: {}}]' 'default: allow
rules: [{name: x, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [a]}, logins: [a], origin_auth: [agent, password]}}]' '{' ''; do
	printf '%s\n' "$bad" >"$STATE/bad.yaml"
	fails_to "refused: $(head -c 60 <<<"$bad" | tr '\n' ' ')" reeve policy check "$STATE/bad.yaml"
done
