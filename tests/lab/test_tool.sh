# SPDX-License-Identifier: Apache-2.0
# The tool as somebody new meets it: help, ids that are a session's, --json of every command, files that are cut off,
# and programs that are not for starting by hand.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
policy <<-'YAML'
	default: allow
	rules:
	  - {name: a, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice]}}
YAML

# told WHAT TEXT CMD…: the command fails, and its message has the text
told() {
	local what=$1 text=$2
	shift 2
	capture "$@"
	if [ "$status" = 0 ]; then mismatch "$what" "a failure" "success: $out"; else contains "$what" "$text" "$err"; fi
}
contains "reeve ca --help lists the CA's commands" "ca rotate" "$(reeve ca --help)"
lacks "and no others" "user add" "$(reeve ca --help)"
equal "reeve help ca is the same" "$(reeve ca --help)" "$(reeve help ca)"
equal "reeve help user add is reeve user add --help" "$(reeve user add --help)" "$(reeve help user add)"
told "half a command" "create, show" reeve ca
told "help on nothing" "unknown command 'nothing'" reeve help nothing
equal "summaries stand in one column, also behind letters of several bytes" "[44]" "$(reeve help target | python3 -c 'import re, sys
print(sorted({len(m[0]) for m in re.finditer("^  target .*?  (?=(list|pin|import|tell|take|accept) )", sys.stdin.buffer.read().decode(), re.M)}))')"

for program in control/reeve-control control/keeper/reeve-keeper sshterm/reeve-sshterm recorder/reeve-recorder dataplane/reeve-dataplane; do
	told "${program##*/} by hand" "started by reeved" "$BUILD/$program"
	told "${program##*/} with a file for a socket" "started by reeved" bash -c "'$BUILD/$program' 3</dev/null"
done

# Sessions and their programs. One connection with two of them is one session.
listed() { [ "$(reeve ls --json | json 'sum(not r["live"] for r in rows)')" = "$1" ]; }
ssh_client -q alice@origin echo one >/dev/null
wait_until 10 listed 1
one=$(reeve ls --json | json "rows[0]['SessionID']")
holds "get SESSION takes its only program" reeve get "$one" -o "$STATE/one.sshlog"
equal "and it is that" one "$(reeve play -i "$STATE/one.sshlog" -k "$STATE/sshkey" --no-wait)"
client bash -c 'ssh -qMNf -S ~/mux alice@origin; ssh -q -S ~/mux alice@origin echo first; ssh -q -S ~/mux alice@origin echo second; ssh -q -S ~/mux -O exit alice@origin' >/dev/null 2>&1
wait_until 10 listed 3
two=$(reeve ls --json | json "rows[0]['SessionID']")
told "of two it asks which" "a session of 2 programs: --program" reeve get "$two" -o "$STATE/two.sshlog"
holds "--program 2 is an answer" reeve get "$two" --program 2 -o "$STATE/two.sshlog"

# What a variable that is not set makes of a call does not mean everything.
told "play ''" "a word is empty" reeve play "" -k "$STATE/sshkey"
told "get ''" "a word is empty" reeve get ""
told "ls --session ''" "not nothing" reeve ls --session ""
# Lists say where they are cut short.
contains "sessions --limit 1: there are more" "more (--limit N)" "$(reeve sessions --limit 1)"
equal "and one is shown" 1 "$(reeve sessions --limit 1 --json | json 'len(rows)')"
lacks "all of them are no more than all" "more (" "$(reeve sessions)"
told "a limit that is none" "from 1 to 10000" reeve sessions --limit 0
contains "ls --limit 1: there are more" "more (--limit N)" "$(reeve ls --limit 1)"
# A reader that goes away (`reeve ls | head`) is no error to be told of: Python gives children SIGPIPE's default back.
equal "it ends quietly where nobody reads" "-13 b''" "$(python3 -c 'import os, subprocess, sys
r, w = os.pipe(); os.close(r)
done = subprocess.run(sys.argv[1:], stdout=w, stderr=subprocess.PIPE); print(done.returncode, done.stderr)' "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" policy show)"

# Files that are no recordings.
head -c 100 "$STATE/one.sshlog" >"$STATE/cut"
told "cut off within its header" "ends within its header, after 100 of" reeve decrypt -i "$STATE/cut" -k "$STATE/sshkey"
# Of a recording that was closed and cut off afterwards, at a block's end or within one, what is left is written and told.
client bash -c 'ssh -q alice@origin "echo a; sleep 1; echo b"' >/dev/null
wait_until 10 listed 4
reeve get "$(reeve ls --json --limit 1 | json "rows[0]['ProgramID']")" -o "$STATE/whole.sshlog" >/dev/null
blocks=$(python3 -c 'import sys
file, at = open(sys.argv[1], "rb").read(), 4096
while at < len(file): print(at); at += 4 + int.from_bytes(file[at:at + 4], "big")' "$STATE/whole.sshlog")
last=$(tail -n 1 <<<"$blocks")
at_least "it has two blocks" 2 "$(wc -l <<<"$blocks")"
for size in "$last" $((last + 9)); do
	head -c "$size" "$STATE/whole.sshlog" >"$STATE/cut"
	told "cut to $size bytes: decrypt" "was cut off after it was closed" reeve decrypt -i "$STATE/cut" -k "$STATE/sshkey" -o "$STATE/cut.zip"
	contains "and the rest is written" a "$(unzip -p "$STATE/cut.zip" data_from_server.txt)"
	told "cut to $size bytes: play" "are missing" reeve play -i "$STATE/cut" -k "$STATE/sshkey" --no-wait
	contains "and plays" a "$out"
done
# One without a block opens with any key: it is told that there is nothing to open.
head -c 4096 "$STATE/whole.sshlog" >"$STATE/cut"
told "cut off behind its header" "before block 0" reeve decrypt -i "$STATE/cut" -k "$STATE/sshkey" -o "$STATE/cut.zip"
ssh_client -q alice@origin true
wait_until 10 listed 5
reeve get "$(reeve ls --json --limit 1 | json "rows[0]['ProgramID']")" -o "$STATE/empty.sshlog" >/dev/null
reeve keygen -o "$STATE/stranger" >/dev/null
capture reeve decrypt -i "$STATE/empty.sshlog" -k "$STATE/stranger" -o "$STATE/cut.zip"
equal "a program that said nothing: no failure" 0 "$status"
contains "and told" "holds no data" "$err"
told "a folder" "cannot read the recording $STATE: Is a directory" reeve decrypt -i "$STATE" -k "$STATE/sshkey"

# --json, where there is no table as well.
as_json() {
	local what=$1
	shift
	capture reeve "$@" --json
	equal "$what --json is JSON" object "$(python3 -c 'import json, sys; print("object" if isinstance(json.load(sys.stdin), dict) else "none")' <<<"$out" 2>/dev/null)"
}
origin_key=$STATE/origin/ssh_host_ed25519_key.pub
as_json "user add" user add carol --login carol
as_json "user cert" user cert carol --key "$STATE/client/.ssh/alice.pub" -o "$STATE/carol-cert.pub"
holds "which -o writes, too" ssh-keygen -Lf "$STATE/carol-cert.pub"
as_json "user rm" user rm carol
as_json "target name" target name 198.51.100.2 www
as_json "target unname" target unname 198.51.100.2 www
as_json "target add" target add 198.51.100.9 --key "$origin_key"
as_json "target forget" target forget 198.51.100.9
as_json "keygen" keygen -o "$STATE/another"
as_json "get" get "$one" -o "$STATE/three.sshlog"
as_json "decrypt" decrypt -i "$STATE/three.sshlog" -k "$STATE/sshkey"
told "play has none" "a replay has no JSON" reeve play "$one" -k "$STATE/sshkey" --json
serial=$(ssh-keygen -Lf "$STATE/carol-cert.pub" | awk '$1 == "Serial:" { print $2 + 1 }')
contains "user cert tells the serial and the end" "serial $serial, good until 20" "$(reeve user cert alice --key "$STATE/client/.ssh/alice.pub")"

# A user is changed and stays the same one: a session under the certificate of before, after each change.
enters() { ssh_client -q alice@origin echo in; }
told "of a change something must change" "nothing to change" reeve user change alice
told "nobody is changed" "no user 'nobody'" reeve user change nobody --group sre
told "the last login stays" "one login at least" reeve user change alice --login ,
equal "a group more" alice "$(reeve user change alice --group sre --group dba --json | json 'j["name"]')"
equal "and her certificate is good as before" in "$(enters)"
equal "without the rule's group" dba "$(reeve user change alice --group dba --json | json '",".join(j["groups"])')"
equal "it is no more" "" "$(enters)"
equal "with it again" in "$(reeve user change alice --group sre >/dev/null; enters)"
ssh-keygen -q -t ed25519 -N '' -f "$STATE/client/.ssh/further"
by_further_key() { ssh_client -q -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i "$STATE/client/.ssh/further" alice@origin echo in; }
equal "a key that is enrolled later" in "$(reeve user change alice --key "$STATE/client/.ssh/further.pub" >/dev/null; by_further_key)"
equal "--no-keys takes it away" "" "$(reeve user change alice --no-keys >/dev/null; by_further_key)"
contains "it is in the audit log" '"event":"user.change"' "$(tr -d ' ' <"$STATE/state/audit.jsonl")"

# The list of what a leg can have is told whole.
cat >"$STATE/legacy.yaml" <<-'YAML'
	default: allow
	rules:
	  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], legacy: {client: [foo]}}}
YAML
capture reeve policy check "$STATE/legacy.yaml"
contains "a wrong legacy algorithm is told with all that there are" "hmac-sha1-etm@openssh.com, hmac-sha1" "$err"

# A vault's target by the name that target name told.
reeve target name 198.51.100.2 www.example.com >/dev/null
vault() { printf 'secret\n' | limited "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" vault put --login root --password-stdin --target "$1"; }
holds "vault put --target NAME" vault www.example.com
told "and of a name that nobody has" "no host key is pinned for nowhere" vault nowhere
as_json "vault rm" vault rm --target www.example.com --login root

# More recordings than one of the box's messages tells of (rows with a long command line, straight into the index).
before=$(reeve ls --json | json 'len(rows)')
python3 - "$STATE/recordings/index.db" <<-'PYTHON'
	import json, sqlite3, sys, uuid
	with sqlite3.connect(sys.argv[1], timeout=20) as db:
	    for n in range(450):
	        db.execute("INSERT INTO programs(program_id, session_id, day, worker, recorded, strict, open, started_at, finished_at,"
	                   " blocks, file_size, close_reason, log) VALUES(?, ?, '2026/01/01', 0, 1, 0, 0, ?, ?, 0, 4096, 'closed', ?)",
	                   (str(uuid.uuid4()), str(uuid.uuid4()), 1000 + n, 1000 + n, json.dumps({"Command": "x" * 700})))
PYTHON
distinct() { json 'len(set(r["ProgramID"] for r in rows)), len(rows)'; }
equal "ls --limit goes on to the limit" "(400, 400)" "$(reeve ls --limit 400 --json | distinct)"
contains "and tells that there are more" "more (--limit N)" "$(reeve ls --limit 400)"
equal "or to the end" "($((before + 450)), $((before + 450)))" "$(reeve ls --limit 1000 --json | distinct)"
lacks "and then of no more" "more (--limit N)" "$(reeve ls --limit 1000)"
