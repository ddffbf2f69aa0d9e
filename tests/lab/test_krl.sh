# SPDX-License-Identifier: Apache-2.0
# Revocation lists made by ssh-keygen -k, through the tool and stock ssh: who gets in no more, live sessions, damage.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice]}}
YAML
keys=$STATE/client/.ssh
try() { client ssh -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -o StrictHostKeyChecking=accept-new \
	-i "$keys/$1" alice@origin 'echo in as $USER' 2>&1 | grep -v '^Warning: Permanently'; }
enrol bob alice sre
ssh-keygen -q -t ed25519 -N '' -f "$keys/plain"
reeve user add carol --login alice --group sre --key "$keys/plain.pub" >/dev/null

capture reeve krl show
contains "nothing is revoked at first" "no revocation list is in force" "$err"
ssh-keygen -q -k -f "$STATE/list" -z 7 "$keys/alice-cert.pub"
contains "a list is loaded" 7 "$(reeve krl load "$STATE/list")"
said=$(try alice)
lacks "a certificate by its serial" "in as" "$said"
contains "its user is told" "your certificate is revoked" "$said"
contains "another's is good" "in as alice" "$(try bob)"
contains "an enrolled key, too" "in as alice" "$(try plain)"

client ssh -n -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -i "$keys/plain" alice@origin 'sleep 60' >"$STATE/said" 2>&1 &
live() { [ "$(reeve sessions --live --json | json 'len([r for r in rows if r["granted"]])')" = 1 ]; }
eventually 15 "a session is there" live
ssh-keygen -q -k -u -f "$STATE/list" "$keys/plain.pub"
contains "it ends with its key" "live sessions ended: 1" "$(reeve krl load "$STATE/list" --kill)"
wait $! || true
contains "and the user is told why" "revoked" "$(cat "$STATE/said")"
contains "as whoever comes with it" "your key is revoked" "$(try plain)"
head -c 60 "$STATE/list" >"$STATE/half"
capture reeve krl load "$STATE/half"
contains "half a list is refused" "cut or damaged; what was in force stays so" "$err"
lacks "and it does" "in as" "$(try plain)"
reeve ca show --type client | grep -o 'ssh-ed25519 [^ ]*' | head -n 1 >"$STATE/ca.pub"
ssh-keygen -q -k -f "$STATE/list" "$STATE/ca.pub"
reeve krl load "$STATE/list" >/dev/null
contains "a CA with all that it signed" "your certificate is revoked (its CA is)" "$(try bob)"
kill -KILL "$(child control)"
eventually 15 "control is back" reeve krl show
lacks "and the list with it" "in as" "$(try bob)"
holds "an admin clears it" reeve krl clear
contains "and all is as before" "in as alice" "$(try alice)"
