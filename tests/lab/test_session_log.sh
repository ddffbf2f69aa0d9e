# SPDX-License-Identifier: Apache-2.0
# The session log, the recording's header and the audit events: their fields by name, and what never stands in them.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
log() { find "$STATE/recordings" -name '*session*log*' -type f; }
lines() { cat $(log) 2>/dev/null | wc -l; }
# The newest line of the session log, as j.
newest() { tail -n 1 $(log) | json "$1"; }
# Runs what follows and waits for its line.
logged() {
	local before
	before=$(lines)
	"$@" >/dev/null 2>&1
	wait_until 5 has_more "$before" || fail "no line in the session log after: $*"
}
has_more() { [ "$(lines)" -gt "$1" ]; }
header() { # EXPRESSION over the newest recording's header, h
	reeve get "$(newest 'j["ProgramID"]')" -o "$STATE/rec" >/dev/null && python3 -c '
import base64, json, struct, sys
f = open(sys.argv[1], "rb"); n = struct.unpack(">I", f.read(4))[0]; h = json.loads(base64.b64decode(f.read(n)))
print(eval(sys.argv[2]))' "$STATE/rec" "$1"
	rm -f "$STATE/rec"
}
cloudflare="AccountID ClientAddress Datetime Error PTY Payload ProgramFinishDatetime ProgramID ProgramStartDatetime ProgramType ServerAddress SessionFinishDatetime SessionID SessionStartDatetime TargetID UserEmail UserID Username"

logged ssh_client alice@origin 'echo s3cret-word; exit 3'
equal "Cloudflare's fields, by their names, all there" "$cloudflare" "$(newest '" ".join(sorted(k for k in j if k[0].isupper()))')"
equal "ours are snake_case" True "$(newest 'str(all(k == k.lower() and "-" not in k for k in j if not k[0].isupper()))')"
equal "Payload is empty" "" "$(newest 'j["Payload"]')"
equal "who, from where, to where" "alice alice 198.51.100.1 198.51.100.2 exec" "$(newest '" ".join(j[k] for k in ("Username", "user", "ClientAddress", "ServerAddress", "ProgramType"))')"
equal "the exit status" 3 "$(newest 'j["exit_status"]')"
equal "no command line unless the rule says so" False "$(newest 'str("command" in j)')"
lacks "nowhere in what lies about" s3cret-word "$(grep -ras s3cret-word "$STATE/recordings" "$STATE/state" "$REEVED_LOG")"
equal "times are in order" True "$(newest 'str(j["SessionStartDatetime"] <= j["ProgramStartDatetime"] <= j["ProgramFinishDatetime"] <= j["Datetime"])')"
equal "the header takes 4096 bytes, with what never changes first" "4096 encapsulated_key started_at" "$(header '4 + n, list(h)[0], list(h)[1]' | tr -d "(),'")"
equal "no terminal" None "$(header 'h["pty"]')"
equal "how it ended" "3 None False" "$(header '"%s %s %s" % tuple(h["exit_data"][k] for k in ("status", "signal", "core_dumped"))')"

in_terminal() { printf 'expect alice@origin\nresize 100x40\nsend echo re"s"ized\nexpect resized\nsend exit 5\nend\n' | client python3 "$here/pty_session.py" --size 91x37 bash -c "stty intr ^X -echoke; exec ssh -q alice@origin"; }
logged in_terminal
equal "a shell" shell "$(newest 'j["ProgramType"]')"
equal "its terminal" "xterm-256color 91x37" "$(newest 'j["PTY"]')"
equal "the terminal in the header" "xterm-256color 91 37" "$(header '"%s %s %s" % tuple(h["pty"][k] for k in ("term", "width", "height"))')"
equal "with its modes by RFC 4254's names" "['VINTR', 24] ['ECHOKE', 0]" "$(header '"%s %s" % tuple([k, v] for k, v in h["pty"]["modes"] if k in ("VINTR", "ECHOKE"))')"
logged client bash -c 'echo "ls" | sftp -q -b - alice@origin'
equal "a subsystem" subsystem "$(newest 'j["ProgramType"]')"
logged client bash -c 'ssh -q -W localhost:22 alice@origin </dev/null | head -c 4'
equal "a forwarding, with where to" "direct-tcpip localhost:22" "$(newest 'j["ProgramType"] + " " + j["destination"]')"

policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"], log_exec: true}}
YAML
logged ssh_client alice@origin 'echo "logged, as the rule says"'
equal "log_exec: the command line stands there" 'echo "logged, as the rule says"' "$(newest 'j["command"]')"
equal "Payload is empty all the same" "" "$(newest 'j["Payload"]')"
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [alice]}, logins: ["{user}"], command_logging: false}}
YAML
logged ssh_client alice@origin 'echo s3cret-word; exit 4'
equal "command_logging false, by name: logged, not recorded" "exec 4 False" "$(newest '"%s %s %s" % (j["ProgramType"], j["exit_status"], j["recorded"])')"
lacks "and nothing of it is kept" s3cret-word "$(grep -ras s3cret-word "$STATE/recordings" "$STATE/state" "$REEVED_LOG")"

echo x >"$STATE/client/s3cret-word"
client bash -c 'cd && scp -O -q s3cret-word alice@origin:'
client ssh -s alice@origin unheard-of >/dev/null 2>&1
events=$(audit_log)
for event in session.start session.end auth exec resize subsystem sftp scp port; do
	contains "an audit event $event" "\"event\":\"$event\"" "$events"
done
contains "which has the new size" '"width":100,"height":40' "$events"
contains "a copy by scp with its direction" '"action":"upload"' "$(grep '"event":"scp"' <<<"$events")"
lacks "and no command line in them that the rule does not allow" s3cret-word "$events"
