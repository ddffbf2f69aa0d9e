# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# session: what a lab test is written with. A test is a script beside this file that begins with
#
#     . "$(dirname "${BASH_SOURCE[0]}")/session.sh"
#     session_start            # lab, reeved, CAs, auditor's key, the lab's policy, user alice with a certificate
#
# and goes on with commands and assertions. An assertion that does not hold prints what was expected and what came,
# is counted, and the test goes on; at its end the script exits 1 where any was counted. Each test has a lab of its
# own (LAB=t<pid>), so several run side by side; nothing is left behind, however it ends.
set -uo pipefail

# -h or --help of a test or benchmark prints the words that its file opens with.
if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	[ -r "$0" ] || cd "$OLDPWD" || exit 1
	awk '!/^#/ { exit } !/^#!|SPDX|^# shellcheck/ { sub(/^# ?/, ""); if (said++ || $0 != "") print }' "$0"
	exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export BUILD=${BUILD:-$root/build}
export LAB=${LAB-t$$}
unset LAB_STATE
STATE=$("$here/lab" state)
REEVED_LOG=$STATE/reeved.log
failures=0
reeved_pid=''
libexec=''
. "$here/wire.sh"

# -- the lab and the box -------------------------------------------------------------------------------------

lab() { "$here/lab" "$@"; }

# How many times longer than on an idle machine of some speed things may take here now: by how slow this one is, what
# others have it do, and what its host takes from it. Limits below are multiplied by it. A limit is for what hangs, and
# for what is slow by itself; the machine is neither. Sets $slack, and for what merely must not hang $patience.
look_at_load() {
	local load running busy stolen
	read -r load _ _ running _ </proc/loadavg
	load=${load%.*} running=${running%%/*}
	machine_time
	busy=$((busy - busy_before + 1)) stolen=$((stolen - stolen_before))
	slack=$(((slowness * (1 + (load > running ? load : running) / cores) * (busy + stolen) + 10 * busy - 1) / (10 * busy)))
	[ "$slack" -le 30 ] || slack=30
	patience=$((slack < 3 ? 3 : slack))
}
# Sets $busy and $stolen: time that all cores ran something, and that they would have and the host did something else.
machine_time() {
	local user nice system irq softirq
	read -r _ user nice system _ _ irq softirq stolen _ </proc/stat
	busy=$((user + nice + system + irq + softirq))
}
# Tenths of what a small computation takes where the limits were set (30 ms); 10 where it is no slower.
machine_slowness() {
	local TIMEFORMAT=%U i took
	took=$({ time for ((i = 0; i < 30000; i++)); do :; done; } 2>&1)
	took=$((10#${took/[.,]/} / 3))
	printf '%s\n' "$((took < 10 ? 10 : took > 100 ? 100 : took))"
}
cores=$(nproc)
slowness=$(machine_slowness)
machine_time
busy_before=$busy stolen_before=$stolen

# Runs commands in the three namespaces; nothing waits longer than LIMIT seconds (default 30).
limited() { look_at_load; PTY_STEP_S=$((15 * patience)) timeout -k 2 "$((${LIMIT:-30} * patience))" "$@"; }
client() { limited "$here/lab" exec client "$@"; }
origin() { limited "$here/lab" exec origin "$@"; }
box() { limited "$here/lab" exec box "$@"; }
reeve() { limited "$BUILD/control/cli/reeve" --socket "$STATE/control.sock" "$@"; }
# A stock ssh at the client that never asks.
ssh_client() { client ssh -o BatchMode=yes "$@"; }

# A lab is one run's: a second one would take it from under the first.
claim_lab() {
	local pid start
	if read -r pid start 2>/dev/null <"$STATE.run" && [ "$pid" != $$ ] && [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ]; then
		give_up "this lab is in use by another run (process $pid); LAB=NAME before the command makes one of your own"
	fi
	printf '%s %s\n' $$ "$(started_at $$)" >"$STATE.run"
}
started_at() { awk '{ sub(/^.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null; }

lab_up() {
	[ "$(id -u)" = 0 ] || give_up "this needs root (sudo $0)"
	[ -x "$BUILD/control/cli/reeve" ] || give_up "nothing is built in $BUILD: tests/install && meson setup build && ninja -C build"
	claim_lab
	trap session_end EXIT
	trap 'interrupted 130' INT
	trap 'interrupted 143' TERM HUP
	lab up "$@" || give_up "the lab does not come up"
	wire_start
	reeve keygen -o "$STATE/sshkey" >/dev/null || give_up "reeve keygen failed"
}

# setting SECTION 'KEY: VALUE': one more setting in reeved.yaml, before reeved starts.
setting() { sed -i -E "s/^$1: +\{/&$2, /; s/^$1:\$/&\n  $2/" "$STATE/reeved.yaml"; }

# The box's programs in a folder of links: without_program NAME takes one away, so that it stays down once it has
# died; with_program NAME puts it back. To be called before reeved_start.
movable_programs() {
	local folder name
	libexec=$STATE/libexec
	mkdir -p "$libexec"
	for folder in dataplane sshterm recorder control control/keeper; do
		name=reeve-$(basename "$folder")
		ln -sf "$BUILD/$folder/$name" "$libexec/$name"
	done
}
without_program() { mv "$libexec/reeve-$1" "$libexec/gone-$1"; }
with_program() { mv "$libexec/gone-$1" "$libexec/reeve-$1"; }

# null_worker relay|echo: workers that speak no SSH but turn bytes round (null_worker/); before reeved_start. What
# connects to an audited port then talks to the other end (relay), or to itself (echo), through the box's TCP.
null_worker() {
	movable_programs
	ln -sf "$BUILD/tests/lab/null_sshterm_$1" "$libexec/reeve-sshterm"
}

# A policy that adopts what goes to the ports of the null worker's tests.
policy_streams() {
	policy <<-'YAML'
		default: allow
		rules:
		  - name: streams
		    action: audit_ssh
		    match: {protocol: tcp, dst_port: 7000-7099}
		    ssh: {users: {groups: [sre]}, logins: ["{user}"], origin_auth: [certificate]}
	YAML
}

# policy_ssh SETTINGS: alice, of the group sre, is audited at ports 22 and 2222, by a rule with these further settings
# (", legacy: {…}").
policy_ssh() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: [22, 2222]}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate]$1}}
	YAML
}

# What starts reeved, from its first word to its path.
reeved_command=("$BUILD/control/reeved")

reeved_start() {
	reeved_said_before=$(stat -c %s "$REEVED_LOG" 2>/dev/null || echo 0)
	# A session of its own: Ctrl-C at the terminal ends the test, which then stops reeved in order.
	setsid "${reeved_command[@]}" -c "$STATE/reeved.yaml" ${libexec:+--libexec "$libexec"} >>"$REEVED_LOG" 2>&1 </dev/null &
	reeved_pid=$!
	disown
	lab remember reeved "$reeved_pid"
	wait_until 20 reeved_ready || give_up "reeved was not ready within 20 s (times $patience for the machine)"
}

reeved_ready() {
	kill -0 "$reeved_pid" 2>/dev/null || give_up "reeved ended"
	grep -q 'reeved: notice: ready' <(reeved_says)
}
# What the running reeved has said: the log holds its predecessors' words, too.
reeved_says() { tail -c "+$((reeved_said_before + 1))" "$REEVED_LOG"; }

# SIGTERM, and waits until it is gone; sets reeved_took (ms).
reeved_stop() {
	local start
	[ -n "$reeved_pid" ] || return 0
	start=$(now_ms)
	kill -TERM "$reeved_pid" 2>/dev/null
	wait_until "${1:-15}" reeved_gone || { fail "reeved did not stop within ${1:-15} s of SIGTERM"; kill -KILL "$reeved_pid" 2>/dev/null; }
	reeved_took=$(($(now_ms) - start))
	reeved_pid=''
}
reeved_gone() { ! kill -0 "$reeved_pid" 2>/dev/null || [ "$(awk '{ sub(/^.*\) /, ""); print $1 }' "/proc/$reeved_pid/stat" 2>/dev/null)" = Z ]; }

# Makes the CAs; origins learn the origin-facing one, as an admin would do it.
make_cas() {
	reeve ca create --type user >"$STATE/origin/user_ca.pub" 2>/dev/null || give_up "reeve ca create --type user failed"
	reeve ca create --type client >/dev/null 2>&1 || give_up "reeve ca create --type client failed"
}

# enrol NAME LOGINS [GROUP]: a user with a certificate over a key of its own, ~/.ssh/NAME at the client.
enrol() {
	local name=$1 key=$STATE/client/.ssh/$1
	[ -e "$key" ] || ssh-keygen -q -t ed25519 -N '' -C "$name@client" -f "$key"
	reeve user add "$name" --login "$2" ${3:+--group "$3"} >/dev/null || give_up "reeve user add $name failed"
	reeve user cert "$name" --key "$key.pub" --ttl 1h >/dev/null 2>&1 || give_up "reeve user cert $name failed"
}

# Applies the policy that comes on standard input.
policy() {
	cat >"$STATE/policy-now.yaml"
	reeve policy apply "$STATE/policy-now.yaml" >/dev/null || give_up "the policy was not applied"
}

# The box between client and origin, alice enrolled; her certificate is what the client's ssh offers.
session_start() {
	lab_up "$@"
	reeved_start
	make_cas
	enrol alice alice,root sre
	use_identity alice
}

# The identity that the client's ssh offers.
use_identity() {
	cat >"$STATE/client/.ssh/config" <<-SSH
		StrictHostKeyChecking accept-new
		GlobalKnownHostsFile none
		IdentitiesOnly yes
		IdentityFile ~/.ssh/$1
		ConnectTimeout 10
	SSH
}

# From outside, as where it took too long: what was it at?
interrupted() { # exit status
	printf '  FAIL  ended from outside after %d s, at %s: %s\n' "$SECONDS" "${BASH_LINENO[*]}" "$BASH_COMMAND"
	exit "$1"
}

session_end() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP PIPE # of who looks at the beginning alone (| head)
	[ "$status" != 0 ] || wire_end
	# Who presses Ctrl-C knows why it ends.
	if [ "$status" != 130 ] && [ "$status$failures" != 00 ]; then show_logs; fi
	[ -z "$reeved_pid" ] || reeved_stop
	[ -n "${KEEP_LAB:-}" ] || lab down
	rm -f "$STATE.run"
	if [ "$status" -eq 0 ] && [ "$failures" -ne 0 ]; then status=1; fi
	exit "$status"
}

show_logs() {
	[ ! -s "$REEVED_LOG" ] || { echo "--- the box's log, its last 40 lines"; tail -n 40 "$REEVED_LOG"; }
	[ ! -s "$STATE/origin/sshd.log" ] || { echo "--- the origin's sshd, its last 15 lines"; tail -n 15 "$STATE/origin/sshd.log"; }
}

# A test that cannot run here.
skip() { echo "SKIP: $*"; exit 77; }
give_up() { echo "FAIL: $*"; exit 1; }

# -- the box's processes ---------------------------------------------------------------------------------------

# Pids of reeved's children of that name (dataplane, sshterm, recorder, control, keeper), one a line.
children() {
	local pid
	for pid in $(cat "/proc/$reeved_pid/task/$reeved_pid/children"); do
		case $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) in
		*reeve-"$1"*) printf '%s\n' "$pid" ;;
		esac
	done
}
child() { children "$1" | head -n 1; }

# Waits until a process of that name runs that is not PID, and prints it.
replacement() {
	local name=$1 old=$2 pid i
	for ((i = 0; i < 1200; i++)); do # a minute: a limit of the product's is for the test to set
		for pid in $(children "$name"); do
			[ "$pid" = "$old" ] || { printf '%s\n' "$pid"; return 0; }
		done
		sleep 0.05
	done
	return 1
}

# Starts CMD at the client in the background, its output in a file, its exit status in FILE.status once it ends.
# background FILE CMD…
background() {
	local file=$1
	shift
	rm -f "$file" "$file.err" "$file.status" # of one before
	(LIMIT=120 client "$@" >"$file" 2>"$file.err" </dev/null; echo $? >"$file.status") &
}
has_grown() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]; }
# Does the file still grow?
grows() { wait_until 3 has_grown "$1" "$(stat -c %s "$1" 2>/dev/null || echo 0)"; }

# A ping every 20 ms in the background; wire_report ends it and sets $ping_sent, $ping_lost, $longest_gap (ms).
wire_watch() { background "$STATE/ping" ping -D -i 0.02 -W 1 origin; ping_job=$!; wait_until 5 pinged 10; }
answers() { grep -c 'bytes from' "$STATE/ping" 2>/dev/null || true; }
pinged() { [ "$(($(answers)))" -ge "$1" ]; }
wire_report() {
	# What is lost is seen by answers that come after it.
	wait_until 20 pinged $(($(answers) + 10)) || fail "the wire is dead"
	client bash -c 'pkill -INT -x ping --ns $$ --nslist net' # of this lab alone
	wait "$ping_job"
	# Of those before the last that was answered: what was under way when ping was told to end is not lost.
	read -r ping_sent ping_lost < <(awk '/bytes from/ { match($0, /icmp_seq=[0-9]+/); n = substr($0, RSTART + 9, RLENGTH - 9) + 0; if (n > last) last = n; if (!seen[n]++) got++ }
		END { print last + 0, last - got }' "$STATE/ping")
	longest_gap=$(awk '/bytes from/ { t = substr($1, 2) + 0; if (last && t - last > gap) gap = t - last; last = t } END { printf "%d", gap * 1000 }' "$STATE/ping")
}

# -- looking -----------------------------------------------------------------------------------------------------

now_ms() { date +%s%3N; }

# capture CMD…: sets $out, $err and $status.
capture() {
	out='' err='' status=0
	out=$("$@" 2>"$STATE/stderr" </dev/null) || status=$?
	err=$(cat "$STATE/stderr")
}

# Crafted frames through the box (frames.py SUITE [NUMBER]); each of its lines is an assertion.
frames() {
	local line
	while IFS= read -r line; do
		case $line in
		ok\ *) pass "${line#ok }" ;;
		FAIL\ *) fail "${line#FAIL }" ;;
		*) printf '   %s\n' "$line" ;;
		esac
	done < <(LIMIT=120 limited python3 "$here/frames.py" "$LAB-client" "$LAB-origin" "$@" 2>&1 || [ $? = 1 ] || echo "FAIL frames.py $1 broke off")
}

# json EXPRESSION: evaluates a Python expression over the JSON on standard input, which is j; its list is rows.
json() { python3 -c '
import json, sys
j = json.load(sys.stdin)
rows = next((v for v in j.values() if isinstance(v, list)), None)
v = eval(sys.argv[1])
print(str(v).lower() if isinstance(v, bool) else v)' "$1"; }

# A counter by name, summed over all processes and threads of the box; 0 where there is none.
counter() { reeve stats --all --json | python3 -c '
import json, sys
def walk(v):
    if isinstance(v, dict):
        return sum(walk(x) if isinstance(x, dict) else (int(x) if k == sys.argv[1] else 0) for k, x in v.items())
    return 0
print(walk(json.load(sys.stdin)))' "$1"; }

# The audit log, with all that workers had told control when this was called: control takes their messages in turn with
# the tool's questions, so behind the second answer it has them.
audit_log() {
	reeve user ls >/dev/null
	reeve user ls >/dev/null
	cat "$STATE/state/audit.jsonl"
}

# wait_until SECONDS CMD…: true as soon as CMD is; false when the time is up.
wait_until() {
	local seconds=$1 start slack patience
	start=$(now_ms)
	shift
	until "$@"; do
		look_at_load
		[ $(($(now_ms) - start)) -lt $((seconds * 1000 * patience)) ] || return 1
		sleep 0.1
	done
}

# -- asserting -----------------------------------------------------------------------------------------------------

pass() { printf '  ok    %s\n' "$1"; }
fail() {
	printf '  FAIL  %s\n' "$1"
	failures=$((failures + 1))
}
mismatch() {
	fail "$1"
	printf '        expected: %s\n        got:      %s\n' "$2" "$3"
}

equal() { if [ "$2" = "$3" ]; then pass "$1"; else mismatch "$1" "$2" "$3"; fi; }
contains() { if [[ $3 == *"$2"* ]]; then pass "$1"; else mismatch "$1" "text with '$2'" "${3:-(nothing)}"; fi; }
lacks() { if [[ $3 != *"$2"* ]]; then pass "$1"; else mismatch "$1" "text without '$2'" "$3"; fi; }
at_most() { if [ "$3" -le "$2" ]; then pass "$1 ($3)"; else mismatch "$1" "at most $2" "$3"; fi; }
# within WHAT MS GOT: a time limit of the product's, in milliseconds.
within() {
	look_at_load
	if [ "$3" -le $(($2 * slack)) ]; then pass "$1 ($3)"; else mismatch "$1" "at most $2 (times $slack for the machine's speed and load)" "$3"; fi
}
at_least() { if [ "$3" -ge "$2" ]; then pass "$1 ($3)"; else mismatch "$1" "at least $2" "$3"; fi; }
# holds WHAT CMD…, fails_to WHAT CMD…: by exit status; output of a command that disappoints is shown.
holds() {
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then pass "$what"; else mismatch "$what" "$* to succeed" "status $?: $said"; fi
}
fails_to() {
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then mismatch "$what" "$* to fail" "success: $said"; else pass "$what"; fi
}
eventually() {
	local seconds=$1 what=$2
	shift 2
	if wait_until "$seconds" "$@"; then pass "$what"; else mismatch "$what" "within $seconds s: $*" "it did not happen"; fi
}
