# SPDX-License-Identifier: Apache-2.0
# The first start: the policy's file is read until a start has come to something, and not after that. Runs beside
# others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
wire=off # it is down most of the time here
starts_and_fails() {
	limited "${reeved_command[@]}" -c "$STATE/reeved.yaml" >"$STATE/failed.log" 2>&1 </dev/null
	equal "$1: reeved ends" 1 $?
}
lab_up
cp "$STATE/reeved.yaml" "$STATE/good.yaml"
contains "PORTREEVE_LOG: what is no level is told" "PORTREEVE_LOG=loud is no level: expected error," \
	"$(PORTREEVE_LOG=loud "${reeved_command[@]}" -c "$STATE/reeved.yaml" --check 2>&1)"
cat >"$STATE/policy.yaml" <<-'YAML'
	default: allow
	rules:
	  - {name: mistaken, action: block, match: {protocol: tcp, dst_port: 80}}
YAML
sed -i -E 's/outside: "[^"]*"/outside: "0000:7f:1f.7"/' "$STATE/reeved.yaml"
starts_and_fails "a port that is not there"
contains "and says which" 'outside port "0000:7f:1f.7": there is no such port' "$(cat "$STATE/failed.log")"
lacks "and of no policy that it is in force" 'is in force' "$(cat "$STATE/failed.log")"

cp "$STATE/good.yaml" "$STATE/reeved.yaml"
printf 'default: allow\nrules: []\n' >"$STATE/policy.yaml"
reeved_start
contains "what was corrected in the policy meanwhile holds" 'rules: []' "$(reeve policy show)"
lacks "and nothing of before" mistaken "$(reeve policy show)"
equal "so that nothing is blocked" "Hello from the origin." "$(client curl -s http://origin/)"

reeved_stop
printf 'default: block\nrules: []\n' >"$STATE/policy.yaml"
: >"$REEVED_LOG"
reeved_start
contains "after a start that came to something the file is not read" 'default: allow' "$(reeve policy show)"
contains "which is said" "$STATE/policy.yaml was not read" "$(cat "$REEVED_LOG")"
