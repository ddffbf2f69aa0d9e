# SPDX-License-Identifier: Apache-2.0
# The recordings' disk is full. Sessions under best_effort go on, and what is not recorded is told; those under strict
# end, and say why; once there is room, recording goes on without a restart.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
mkdir -p "$STATE/recordings"
mount -t tmpfs -o size=2M,mode=700 portreeve-full "$STATE/recordings" || skip "no tmpfs can be mounted"
# Before the lab's files are removed; whoever still has it open keeps it until it ends.
trap 'status=$?; umount -l "$STATE/recordings"; (exit $status); session_end' EXIT
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
recording() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: a, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: [alice], recording: $1}}
	YAML
}
recording best_effort

# The last column of the newest session's programs.
recorded() {
	reeve session show "$(reeve sessions --json | json "rows[0]['session_id']")" |
		awk '/^PROGRAM/ { on = 1; next } /^$/ { on = 0 } on { print $NF }'
}
equal "there is room" "in" "$(ssh_client -q alice@origin echo in)"
equal "and it is recorded" yes "$(recorded)"
equal "best_effort: a download fills the disk, and goes on" 8000000 "$(ssh_client -q alice@origin 'head -c 8000000 /dev/urandom' | wc -c)"
is_recorded() { [ "$(recorded)" = "$1" ]; }
eventually 10 "session show tells that its recording failed" is_recorded failed
at_least "and so does a counter" 1 "$(reeve stats --json | json "j['recorder']['write_errors']")"
contains "and the log says why" "No space left on device" "$(cat "$REEVED_LOG")"

recording strict
capture ssh_client alice@origin 'base64 -w 0 /dev/urandom | head -c 8000000'
equal "strict: the session ends" 255 "$status"
contains "and says why" "cannot be recorded any more" "$err"

find "$STATE/recordings" -name '*.sshlog' -size +1000k -delete
equal "with room again a strict session passes" "in" "$(ssh_client -q alice@origin echo in)"
equal "and is recorded" yes "$(recorded)"

# Not a byte is left: what begins is not recorded, its worker is told so, and that it went on meanwhile is no fault of it.
cat /dev/zero >"$STATE/recordings/ballast" 2>/dev/null
recording best_effort
equal "best_effort: a program that cannot be recorded runs" "in" "$(ssh_client -q alice@origin echo in)"
eventually 10 "session show tells that it was not recorded" is_recorded failed
at_least "and is counted" 1 "$(reeve stats --json | json "j['recorder']['programs_refused']")"
lacks "and no rule is said to be broken" "handle that is not open" "$(cat "$REEVED_LOG")"
rm "$STATE/recordings/ballast"
none_is_live() { [ "$(reeve ls --limit 1000 --json | json 'sum(r["live"] for r in rows)')" = 0 ]; }
eventually 10 "with room again the index tells that all programs are over" none_is_live
