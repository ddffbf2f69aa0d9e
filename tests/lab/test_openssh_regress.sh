# SPDX-License-Identifier: Apache-2.0
# A few of OpenSSH's own regression tests through the box: the quick ones (tests/interop/openssh-regress runs them all).
# Runs beside others.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tests=(envpass stderr-data exit-status-signal)
said=$("$here/../interop/openssh-regress" "${tests[@]}") || { printf '%s\n' "$said"; exit 1; }
printf '%s\n' "$said"
grep -q "^${#tests[@]} passed, 0 not, 0 " <<<"$said" || { echo "  FAIL  ${#tests[@]} tests passed, both ways"; exit 1; }
for test in "${tests[@]}"; do echo "  ok    $test"; done
