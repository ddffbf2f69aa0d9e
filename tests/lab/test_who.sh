# SPDX-License-Identifier: Apache-2.0
# Who gets in: certificates checked wholly, enrolled keys, logins; who does not, and what they are told.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
keys=$STATE/client/.ssh

# what ssh says when the keys of FILEs (and certificates beside them) are offered to LOGIN: try FILE LOGIN [FILE]…
try() {
	local login=$2 file files=()
	for file in "$1" "${@:3}"; do files+=(-i "$keys/$file"); done
	client ssh -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -o StrictHostKeyChecking=accept-new \
		-o GlobalKnownHostsFile=none "${files[@]}" "$login@origin" 'echo in as $USER' 2>&1 | grep -v '^Warning: Permanently'
}

contains "a certificate of the box's client CA" "in as alice" "$(try alice alice)"
lacks "not as somebody else" "in as" "$(try alice bob)"
contains "and the client is told who may not be whom" "bob" "$(try alice bob)"

ssh-keygen -q -t ed25519 -N '' -f "$keys/nobody"
lacks "a key that nobody enrolled" "in as" "$(try nobody alice)"

ssh-keygen -q -t ed25519 -N '' -f "$STATE/other_ca"
ssh-keygen -q -t ed25519 -N '' -f "$keys/forged"
ssh-keygen -q -s "$STATE/other_ca" -I forged -n alice -V +1h "$keys/forged.pub"
lacks "a certificate of another CA" "in as" "$(try forged alice)"

# The keys that the last login with success true or false had offered, by fingerprint, key id, CA and refusal: audited SUCCESS.
audited() { grep '"event":"auth"' "$STATE/state/audit.jsonl" | grep "\"success\":$1" | tail -n 1 |
	json "'\n'.join(sorted(' '.join(str(k.get(f, '-')) for f in ('fingerprint', 'key_id', 'ca', 'refused')) for k in j.get('offered', [])))"; }
fingerprint() { ssh-keygen -lf "$1" | cut -d' ' -f2; }
forged=$(fingerprint "$keys/forged.pub") nobody=$(fingerprint "$keys/nobody.pub")
both="$forged - - nobody is enrolled with it
$forged forged $(fingerprint "$STATE/other_ca.pub") its CA does not count here"
are_audited() { [ "$(audited false)" = "$both" ]; }
wait_until 10 are_audited # the client may be gone before the box has told
equal "the audit log has the key, and the certificate with its CA, that were offered" "$both" "$(audited false)"
ended() { reeve sessions --json | json 'rows[0]["close_reason"]'; }
reason_is() { [ "$(ended)" = "$1" ]; }
wait_until 10 reason_is gave_up
equal "who has no further key gives up" gave_up "$(ended)"
for i in 1 2 3 4 5 6; do ssh-keygen -q -t ed25519 -N '' -f "$keys/wrong$i"; done
contains "who has too many" "too many authentication failures" "$(try wrong1 alice wrong2 wrong3 wrong4 wrong5 wrong6)"
wait_until 10 reason_is auth_failed
equal "and it is told that the box ended it" auth_failed "$(ended)"
contains "with a stranger's key first" "in as alice" "$(try nobody alice alice)"
contains "which stands there, too" "$nobody - - nobody is enrolled with it" "$(audited true)"

ssh-keygen -q -t ed25519 -N '' -f "$keys/short"
fails_to "a ttl of a second is refused at once" reeve user cert alice --key "$keys/short.pub" --ttl 1s
fails_to "and no certificate is left" test -e "$keys/short-cert.pub"
lacks "nor is its key anybody's" "in as" "$(try short alice)"

ssh-keygen -q -t ed25519 -N '' -f "$keys/plain"
holds "enrolling a plain key" reeve user add carol --login alice --key "$keys/plain.pub" --group sre
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate], recording: best_effort}}
YAML
contains "an enrolled key" "in as alice" "$(try plain alice)"
for type in ecdsa rsa; do
	ssh-keygen -q -t $type -N '' -f "$keys/plain_$type"
	reeve user add "carol$type" --login alice --key "$keys/plain_$type.pub" --group sre >/dev/null
	contains "an enrolled key, $type" "in as alice" "$(try plain_$type alice)"
done
enrol dave alice ops
lacks "a user of a group that the rule does not name" "in as" "$(try dave alice)"
reeve user rm carol >/dev/null
lacks "a user who was removed" "in as" "$(try plain alice)"
reeve user rm alice >/dev/null
lacks "a certificate of a user who was removed" "in as" "$(try alice alice)"
reeve user add alice --login alice --group sre >/dev/null
contains "nor is it good again when the name is" "removed" "$(try alice alice)"
reeve user rm alice >/dev/null

enrol erin alice sre
contains "pinned on first use" "in as alice" "$(try erin alice)"
lab sshd stop
rm "$STATE"/origin/ssh_host_*
for type in ed25519 ecdsa rsa; do ssh-keygen -q -t $type -N '' -f "$STATE/origin/ssh_host_${type}_key"; done
lab sshd start
logged=$(wc -l <"$STATE/origin/sshd.log")
changed=$(try erin alice)
lacks "an origin whose host key changed is not logged in to" "in as" "$changed"
contains "and the user is told why" "host key" "$changed"
lacks "the origin never heard who it was" alice "$(tail -n "+$((logged + 1))" "$STATE/origin/sshd.log")"
holds "the admin accepts the new key" reeve target forget 198.51.100.2
rm -f "$keys/known"
contains "and it goes on" "in as alice" "$(try erin alice)"

equal "the box's own sshd never learnt the users' keys" 0 "$(find "$STATE/origin/home" -name authorized_keys | wc -l)"
contains "the origin saw certificates minted for the session" "Accepted publickey for alice from 198.51.100.1" "$(cat "$STATE/origin/sshd.log")"
contains "which name the user" "erin" "$(grep 'Accepted publickey' "$STATE/origin/sshd.log" | tail -n 1)"
known=$(cut -d' ' -f3 "$keys/known" | sort -u)
lacks "the host key that clients see is the box's own for this target" "$(cut -d' ' -f2 "$STATE/origin/ssh_host_ed25519_key.pub")" "$known"
contains "the same under its IPv6 name" "$known" "$(client ssh-keyscan -t ed25519 origin6 2>/dev/null)"

# host_keys: strict. Nothing is pinned by itself; what an admin pins is enough, under that address alone.
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], host_keys: strict}}
YAML
reeve target forget 198.51.100.2 >/dev/null
unknown=$(try erin alice)
lacks "an origin that nobody pinned is not logged in to under host_keys: strict" "in as" "$unknown"
contains "and the user is told what helps" "reeve target add 198.51.100.2" "$unknown"
holds "which does it" reeve target add 198.51.100.2 --key "$STATE/origin/ssh_host_ed25519_key.pub"
contains "and it goes on" "in as alice" "$(try erin alice)"
