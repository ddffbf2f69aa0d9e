# SPDX-License-Identifier: Apache-2.0
# A second factor by time: enrolled with reeve, its codes made by oathtool as a stock authenticator, typed into stock
# ssh; good once, refused wrong, locked after five, and gone with the user.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], second_factor: totp}}
YAML

# say CODE: what ssh says when CODE is typed at the box's question
say() {
	look_at_load
	cat >"$STATE/say.exp" <<-EXP
		set timeout $((25 * patience))
		log_user 1
		spawn -noecho $here/lab exec client ssh -o PreferredAuthentications=publickey,keyboard-interactive -o NumberOfPasswordPrompts=1 alice@origin echo in as alice
		expect {
			-re "(?i)code.*: ?\$" { send "$1\r"; exp_continue }
			-re "assword: ?\$" { send "\r"; exp_continue }
			eof
			timeout { puts TIMEOUT }
		}
	EXP
	limited expect -f "$STATE/say.exp" 2>&1
}
code() { oathtool --totp -b "$secret" ${1:+--now "$1"}; }

said=$(say 123456)
contains "who has none is told whom to ask" "you have none yet" "$said"
lacks "before any is asked for" "Verification code" "$said"
made=$(reeve user totp alice)
secret=$(grep -o 'secret=[A-Z2-7]*' <<<"$made" | head -n 1 | cut -d= -f2)
equal "a secret of 160 bits" 32 "${#secret}"
contains "an otpauth URI" "otpauth://totp/Portreeve:alice?secret=$secret&issuer=Portreeve" "$made"
contains "a code to read it from" "▀" "$made"
fails_to "it is shown once" reeve user totp alice
lacks "and lies nowhere in clear" "$secret" "$(cat "$STATE"/state/audit.jsonl "$REEVED_LOG")"
equal "nor as bytes" 0 "$(python3 -c '
import base64, pathlib, sys
secret = base64.b32decode(sys.argv[1])
print(sum(secret in f.read_bytes() for f in pathlib.Path(sys.argv[2]).rglob("*") if f.is_file()))' "$secret" "$STATE/state")"

lacks "wrong code" "in as" "$(say 000000)"
first=$(code)
contains "right code" "in as alice" "$(say "$first")"
contains "the same again" "used already" "$(say "$first")"
contains "in the audit log" '"method":"totp"' "$(audit_log)"
# The keeper's next run knows it, too.
kill -KILL "$(child keeper)"
sleep 0.5
lacks "the same after the keeper was restarted" "in as" "$(say "$first")"
for _ in 1 2 3 4 5; do said=$(say 000000); done
contains "five wrong ones lock" "too many wrong codes" "$said$(say "$(code)")"
lacks "also for a right one" "in as" "$(say "$(code now+30sec)")"
holds "an admin takes it away" reeve user totp alice --remove
fails_to "once" reeve user totp alice --remove
secret=$(reeve user totp alice --json | json 'j["secret"]')
contains "and gives another" "in as alice" "$(say "$(code)")"
reeve user rm alice >/dev/null
equal "it goes with the user" 0 "$(find "$STATE/state/keeper" -name 'totp-*' | wc -l)"
