# SPDX-License-Identifier: Apache-2.0
# Sourced by a test before anything else. As root it runs anew in namespaces of its own: of processes, so that whatever it
# starts, daemons too, ends with it, however it ends, and nobody is left to hold its output open; of networks, so that
# every port is free. One that is ended from outside (it took too long) says what it was at.
own_namespaces=(unshare --pid --net --fork --kill-child --mount-proc)
if [ -z "${OWN_NAMESPACES:-}" ] && "${own_namespaces[@]}" ip link set lo up 2>/dev/null; then
	OWN_NAMESPACES=1 exec "${own_namespaces[@]}" bash "$0" "$@"
fi
[ -z "${OWN_NAMESPACES:-}" ] || ip link set lo up
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
