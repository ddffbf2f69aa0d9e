# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# fake_box.sh: what tests of a real reeve-sshterm between stock ends are written with; test.sh FAKE_BOX REEVE_SSHTERM
# sources it. It leaves the test in a folder of its own.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/own_namespaces.sh"
box=$(realpath "$1") worker=$(realpath "$2")
trap "" PIPE
sshd=$(command -v sshd || echo /usr/sbin/sshd)
if ! [ -x "$sshd" ] || ! command -v ssh >/dev/null; then
	echo "needs openssh-server and openssh-client"
	exit 77 # meson: skipped
fi
export LC_ALL=C
dir=$(mktemp -d)
me=$(id -un)
# Below those that the kernel gives to whoever connects.
port=$((20000 + RANDOM % 10000))
origin=$((port + 1))
passed=0 failed=0
pids=()

finish() {
	kill "${pids[@]}" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT

ok() {
	passed=$((passed + 1))
	echo "ok: $1"
}
not_ok() {
	failed=$((failed + 1))
	echo "FAILED: $1"
	[ $# -gt 1 ] && printf '  expected: %s\n  got: %s\n' "$2" "$3"
}
# is WHAT EXPECTED GOT
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "$2" "$3"; fi; }
# has WHAT PART TEXT
has() { case $3 in *"$2"*) ok "$1" ;; *) not_ok "$1" "… $2 …" "$3" ;; esac; }
# lacks NAME WHAT WHERE
lacks() { case $3 in *"$2"*) not_ok "$1" "no $2" "$3" ;; *) ok "$1" ;; esac; }
cd "$dir" || exit 2

# up [OPTION…]: a fresh box; its commands go to descriptor 5
up() {
	exec 5>&-
	# `out` too: until the new box has emptied it, it says that the one before is ready.
	rm -f commands out
	mkfifo commands
	"$box" --worker "$worker" --listen "$port" --origin "$origin" --keys "$dir" "$@" <commands >out 2>err &
	boxpid=$!
	pids+=("$boxpid")
	exec 5>commands
	within 60 grep -s ready out
	sed "s/^/[127.0.0.1]:$port /" host.pub >known
}
down() {
	echo stop >&5
	wait "$boxpid"
}
client() {
	timeout "${LIMIT:-150}" ssh -F none -o UserKnownHostsFile="$dir/known" -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes \
		-o IdentityAgent=none -o BatchMode=yes -p "$port" "$@"
}
# told TEXT: waits until the worker has told control so
told() { within 60 grep -- "$1" out; }
# times TEXT: how often so far
times() { grep -c -- "$1" out; }
# told_again TEXT TIMES: waits until it is told once more than TIMES
told_again() { within 60 more_often "$@"; }
more_often() { [ "$(times "$1")" -gt "$2" ]; }

# The test's last words.
finish_counting() {
	grep -v 'info: \|notice: \|no system call filter' err | grep -q . && { not_ok "nothing to warn of"; cat err; }
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}
