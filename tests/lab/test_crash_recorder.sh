# SPDX-License-Identifier: Apache-2.0
# kill -9 of the recorder, again and again, while sessions run: nobody notices, and every file decrypts whole. Sessions
# go on until each kill was got over.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
# How soon a recorder is up again is a matter of the machine; what comes of the time without it is test_strict's.
setting sshterm 'recorder_patience: 1m'
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
all_closed() { [ "$(reeve ls --json --limit 3 | json 'sum(r["live"] for r in rows)')" = 0 ]; }
# Standard input is what one of the clients has seen.
is_one_of_them() {
	cat >"$STATE/recorded"
	cmp -s "$STATE/recorded" "$STATE/s1" || cmp -s "$STATE/recorded" "$STATE/s2" || cmp -s "$STATE/recorded" "$STATE/s3"
}
for mode in best_effort strict; do
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate], recording: $mode}}
	YAML
	rm -f "$STATE"/s[0-9]*
	rm -f "$STATE/origin/home/alice/enough"
	for i in 1 2 3; do background "$STATE/s$i" ssh -q alice@origin "n=0; until [ -e enough ]; do echo $i-\$((n += 1)); sleep 0.1; done; echo $i-end"; done
	wait_until 10 grep -q 3-5 "$STATE/s3"
	for kill in 1 2 3; do
		victim=$(child recorder)
		kill -KILL "$victim"
		replacement recorder "$victim" >/dev/null || fail "no new recorder"
		# The next one dies only once this one serves: how many may die within the patience of a strict session is
		# another matter (test_strict).
		for i in 1 2 3; do grows "$STATE/s$i" || fail "$mode: session $i stands still after kill $kill: $(cat "$STATE/s$i.err")"; done
	done
	touch "$STATE/origin/home/alice/enough"
	for i in 1 2 3; do
		wait_until 30 test -e "$STATE/s$i.status" || fail "$mode: session $i hangs"
		equal "$mode: session $i ended well" "0 $i-end" "$(cat "$STATE/s$i.status") $(tail -n 1 "$STATE/s$i")"
	done
	whole=0
	wait_until 10 all_closed || fail "$mode: programs are still listed as live"
	for id in $(reeve ls --json --limit 3 | json '" ".join(r["ProgramID"] for r in rows)'); do
		rm -f "$STATE/r" "$STATE/r.zip"
		reeve get "$id" -o "$STATE/r" >/dev/null 2>&1 && reeve decrypt -i "$STATE/r" -k "$STATE/sshkey" -o "$STATE/r.zip" >/dev/null 2>&1 &&
			unzip -p "$STATE/r.zip" data_from_server.txt | is_one_of_them && whole=$((whole + 1))
	done
	equal "$mode: recordings that decrypt whole" 3 "$whole"
done
