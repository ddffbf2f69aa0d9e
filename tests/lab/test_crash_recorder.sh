# SPDX-License-Identifier: Apache-2.0
# kill -9 of the recorder, again and again, while sessions run: nobody notices, and every file decrypts whole.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
for mode in best_effort strict; do
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate], recording: $mode}}
	YAML
	rm -f "$STATE"/s[0-9]*
	for i in 1 2 3; do background "$STATE/s$i" ssh -q alice@origin "for n in \$(seq 60); do echo $i-\$n; sleep 0.1; done"; done
	wait_until 10 grep -q 3-5 "$STATE/s3"
	for kill in 1 2 3; do
		victim=$(child recorder)
		kill -KILL "$victim"
		replacement recorder "$victim" >/dev/null || fail "no new recorder"
		sleep 1
	done
	for i in 1 2 3; do
		wait_until 30 test -e "$STATE/s$i.status" || fail "$mode: session $i hangs"
		equal "$mode: session $i ended well" "0 $i-60" "$(cat "$STATE/s$i.status") $(tail -n 1 "$STATE/s$i")"
	done
	sleep 1
	whole=0
	for id in $(reeve ls --json --limit 3 | json '" ".join(r["ProgramID"] for r in rows)'); do
		rm -f "$STATE/r" "$STATE/r.zip"
		reeve get "$id" -o "$STATE/r" >/dev/null 2>&1 && reeve decrypt -i "$STATE/r" -k "$STATE/sshkey" -o "$STATE/r.zip" >/dev/null 2>&1 &&
			[ "$(unzip -p "$STATE/r.zip" data_from_server.txt | wc -l)" = 60 ] && whole=$((whole + 1))
	done
	equal "$mode: recordings that decrypt whole" 3 "$whole"
done
