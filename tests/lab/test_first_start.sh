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

# A policy that needs what is not made yet is taken, and told of.
audited() {
	cat >"$STATE/audited.yaml" <<-YAML
		default: allow
		rules:
		  - {name: admins, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice]$1}}
	YAML
}
audited ''
capture reeve policy check "$STATE/audited.yaml"
contains "origins entered by certificate, without a CA: check warns" "warning: rule 'admins' logs in to origins with certificates" "$err"
capture reeve policy apply "$STATE/audited.yaml"
equal "the policy is in force all the same" 0 "$status"
contains "apply warns, too, and says what to do" "reeve ca create --type user" "$err"
equal "programs can read it" 1 "$(reeve policy check "$STATE/audited.yaml" --json | json 'len(j["warnings"])')"
audited ', origin_auth: [password]'
capture reeve policy apply "$STATE/audited.yaml"
equal "by password none is needed" "0 " "$status $err"
holds "with the CA" reeve ca create --type user
audited ', origin_auth: [password, certificate]'
capture reeve policy apply "$STATE/audited.yaml"
equal "nothing is missing" "0 " "$status $err"
reeved_stop
reeved_start
capture reeve policy apply "$STATE/audited.yaml"
equal "nor after a restart" "0 " "$status $err"
