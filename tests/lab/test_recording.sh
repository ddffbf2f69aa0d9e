# SPDX-License-Identifier: Apache-2.0
# What is recorded, how soon, and who can read it.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

recordings() { find "$STATE/recordings" -type f -size +0; }
newest() { reeve ls --json --limit 1 | json "rows[0]['$1']"; }
# Decrypts the newest program's recording into $STATE/zip/.
open_newest() {
	rm -rf "$STATE/zip" "$STATE/rec" && mkdir "$STATE/zip"
	reeve get "$(newest ProgramID)" -o "$STATE/rec" >/dev/null 2>&1 &&
		reeve decrypt -i "$STATE/rec" -k "$STATE/sshkey" -o "$STATE/zip/z.zip" >/dev/null 2>&1 &&
		unzip -qo "$STATE/zip/z.zip" -d "$STATE/zip"
}

ssh_client -q alice@origin 'echo spoken-by-the-origin; cat' <<<"typed-by-the-client" >/dev/null
holds "an exec's recording opens" open_newest
equal "what the origin said" "spoken-by-the-origin
typed-by-the-client" "$(cat "$STATE/zip/data_from_server.txt")"
equal "what the client typed" "typed-by-the-client" "$(cat "$STATE/zip/data_from_client.txt")"
lacks "nothing of it lies about in clear" "spoken-by" "$(grep -rl spoken-by "$STATE/recordings" "$STATE/state" 2>/dev/null)"
equal "its type" exec "$(newest ProgramType)"
equal "no payload in the session log" "" "$(newest Payload)"
fails_to "another key does not open it" bash -c "'$BUILD/control/cli/reeve' keygen -o '$STATE/wrong' && '$BUILD/control/cli/reeve' decrypt -i '$STATE/rec' -k '$STATE/wrong' -o '$STATE/no.zip'"

printf 'expect alice@origin\nresize 100x40\nsend echo sh"o"wn\nexpect shown\nsend exit\nend\n' |
	client python3 "$here/pty_session.py" --size 80x24 ssh -q alice@origin >"$STATE/seen"
holds "a shell's recording opens" open_newest
contains "the header line" 'COLUMNS="80" LINES="24"' "$(head -n 1 "$STATE/zip/term_data.txt")"
contains "its end" 'COMMAND_EXIT_CODE="0"' "$(tail -n 1 "$STATE/zip/term_data.txt")"
equal "timings add up to the data" "$(($(stat -c %s "$STATE/zip/term_data.txt") - $(head -n 1 "$STATE/zip/term_data.txt" | wc -c) - $(tail -n 1 "$STATE/zip/term_data.txt" | wc -c) - 1))" \
	"$(awk '{ n += $2 } END { print n }' "$STATE/zip/term_times.txt")"
equal "scriptreplay plays what was seen" 1 "$(cd "$STATE/zip" && scriptreplay --divisor 100 --timing term_times.txt term_data.txt | grep -c shown)"
contains "and so does reeve play" shown "$(reeve play "$(newest SessionID)" -k "$STATE/sshkey" --no-wait)"

head -c 30000000 /dev/urandom >"$STATE/client/big"
LIMIT=90 client bash -c 'ssh -q alice@origin "cat >big" <~/big'
holds "a big upload's recording opens" open_newest
holds "and is what was sent" cmp "$STATE/client/big" "$STATE/zip/data_from_client.txt"
equal "none of it was lost" 0 "$(reeve ls --json --limit 1 | json 'rows[0].get("lost_records", 0)')"

size_of_all() { recordings | xargs -r stat -c %s | awk '{ n += $1 } END { print n + 0 }'; }
has_size() { [ "$(size_of_all)" -ge "$1" ]; }
# Ten times 5000 bytes that the client tells us of; how long until they are in the file? The least counts: the machine
# may be late now and then, but a timer that is longer than a second is late each time.
within_a_second() {
	local kind=$1 before round passed took best=999999
	rm -f "$STATE/client/within"
	touch "$STATE/origin/home/alice/go-on"
	before=$(size_of_all)
	client bash -c 'ssh -q alice@origin "for n in 1 2 3 4 5 6 7 8 9 10; do test -e go-on || exit 0; head -c 5000 /dev/urandom; sleep 2; done" >~/within' &
	for round in 1 2 3 4 5 6 7 8 9 10; do
		wait_until 15 has_grown "$STATE/client/within" $((5000 * round - 1)) || fail "$kind: no bytes, round $round"
		passed=$(now_ms)
		wait_until 10 has_size $((before + 5000 * round)) || fail "$kind: round $round is not in the file"
		took=$(($(now_ms) - passed))
		[ "$took" -ge "$best" ] || best=$took
		[ "$best" -gt 1000 ] || break
	done
	at_most "$kind: bytes are in the file within a second after they passed (ms)" 1000 "$best"
	rm "$STATE/origin/home/alice/go-on"
	wait
}
within_a_second best_effort

ssh_policy() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate], $1}}
	YAML
}
ssh_policy 'recording: strict'
equal "strict: a command" done "$(ssh_client -q alice@origin echo done)"
within_a_second strict
equal "strict: a download is whole" "$(head -c 5000000 "$STATE/client/big" | sha256sum)" \
	"$(LIMIT=60 client ssh -q alice@origin 'head -c 5000000 big' | sha256sum)"

before=$(recordings | wc -l)
ssh_policy 'command_logging: false'
ssh_client -q alice@origin 'echo not recorded' >/dev/null
newest_is_unrecorded() { [ "$(newest recorded)" = false ]; }
eventually 5 "command_logging false: it is listed" newest_is_unrecorded
equal "command_logging false: no content" "$before" "$(recordings | wc -l)"
equal "but the session log has who and what" "exec alice" "$(newest ProgramType) $(newest Username)"
