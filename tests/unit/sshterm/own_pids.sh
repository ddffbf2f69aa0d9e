# SPDX-License-Identifier: Apache-2.0
# Sourced by a test before anything else: it runs anew in a PID namespace of its own, so that whatever it starts, daemons
# too, ends with it, however it ends; nobody is left to hold its output open. One that is ended from outside (it took too
# long) says what it was at.
if [ -z "${OWN_PIDS:-}" ] && unshare --pid --fork --kill-child --mount-proc true 2>/dev/null; then
	OWN_PIDS=1 exec unshare --pid --fork --kill-child --mount-proc bash "$0" "$@"
fi
ended_from_outside() {
	printf 'ended from outside at line %s: %s\n' "${BASH_LINENO[*]}" "$BASH_COMMAND"
	exit 143
}
trap ended_from_outside TERM

# within SECONDS COMMAND…: waits until the command succeeds, in vain at most so long.
within() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$until" ] || { echo "waited in vain: $*"; return 1; }
		sleep 0.05
	done
}
