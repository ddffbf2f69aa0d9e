# SPDX-License-Identifier: Apache-2.0
# Each process holds what its work needs and no more: looked at from outside, while sessions run.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
background "$STATE/live" ssh alice@origin 'while :; do echo tick; sleep 0.1; done'
wait_until 10 grep -q tick "$STATE/live"
status() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr -s '\t' ' '; }
for name in control keeper dataplane sshterm recorder; do
	pid=$(child $name)
	equal "$name: no new privileges" 1 "$(status "$pid" NoNewPrivs)"
	equal "$name: its system calls are filtered" 2 "$(status "$pid" Seccomp)"
	equal "$name: leaves no core" "0 0" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$pid/limits")"
	# /proc shows those that may not be dumped as root's, whoever they run as; memory dumps in madvise are beside it.
	equal "$name: cannot be dumped or traced by its own user" root "$(stat -c %U "/proc/$pid/mem")"
	[ "$name" = dataplane ] || equal "$name: no capabilities" 0000000000000000 "$(status "$pid" CapEff)"
	sockets=$(find "/proc/$pid/fd" -lname 'socket:*' | while read -r fd; do readlink "$fd" | tr -dc '0-9\n'; done)
	inet=$(cat /proc/"$pid"/net/{tcp,tcp6,udp,udp6,raw,raw6} 2>/dev/null | awk '{ print $10 }' | grep -Fxc -e "${sockets//$'\n'/$'\n'}" || true)
	equal "$name: no socket of the network" 0 "${inet:-0}"
done
equal "and each of its threads has the same" 1 "$(cat /proc/"$(child dataplane)"/task/*/status | grep CapEff | sort -u | wc -l)"
tasks=(/proc/"$(child sshterm)"/task/*)
equal "a worker has one thread for what takes long" 2 "${#tasks[@]}"
for what in Uid Gid Groups CapPrm CapInh CapEff CapBnd NoNewPrivs Seccomp Seccomp_filters Cpus_allowed SigBlk; do
	# Signals are the worker's; all else is the same.
	equal "of each thread of it: $what" "$([ $what = SigBlk ] && echo 2 || echo 1)" \
		"$(cat "${tasks[@]/%//status}" | grep "^$what:" | sort -u | wc -l)"
done
equal "the dataplane's capabilities, if any, are few" 1 "$(python3 -c 'import sys; print(int(bin(int(sys.argv[1], 16)).count("1") <= 3))' "$(status "$(child dataplane)" CapEff)")"
equal "a worker has no file open" "" "$(find "/proc/$(child sshterm)/fd" -lname '/*' ! -lname '/dev/*' ! -lname '/memfd*' ! -lname '/proc*' ! -lname "$REEVED_LOG" -printf '%l\n')"
equal "the keeper has its directory and nothing else" "" "$(find "/proc/$(child keeper)/fd" -lname '/*' ! -lname '/dev/*' ! -lname '/memfd*' ! -lname "$STATE/state/keeper*" ! -lname "$REEVED_LOG" -printf '%l\n')"
equal "keys are for the keeper alone" "700 600" "$(stat -c %a "$STATE/state/keeper" "$STATE/state/keeper/ca-user.key" | tr '\n' ' ' | sed 's/ $//')"
equal "users' sessions are for nobody else to read" 0 "$(find "$STATE/recordings" -perm /007 -type f | wc -l)"
# Nothing of a session's plaintext is in the memory of those that must not have it.
background "$STATE/secret" ssh alice@origin 'echo s3cret-$((6*7))-plaintext; sleep 300'
wait_until 10 grep -q s3cret-42 "$STATE/secret"
in_memory() { python3 - "$1" <<'PY'
import re, sys
pid, found = sys.argv[1], 0
with open(f"/proc/{pid}/mem", "rb", 0) as mem:
    for line in open(f"/proc/{pid}/maps"):
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
        if m:
            try:
                at, end = (int(x, 16) for x in m.groups())
                mem.seek(at)
                found += mem.read(end - at).count(b"s3cret-42-plaintext")
            except (OSError, OverflowError, ValueError):
                pass
print(found)
PY
}
bash -c 'sleep 300; true' s3cret-42-plaintext &
at_least "where it is, it is found" 1 "$(in_memory $!)"
kill $!
for name in control keeper dataplane recorder; do
	equal "$name: no plaintext in its memory" 0 "$(in_memory "$(child $name)")"
done
