# SPDX-License-Identifier: Apache-2.0
# The demo, as the README has it: all that it says holds, and nothing of it is left.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
# Its lab has no name, unless somebody's stands already.
name=
! ip netns list | grep -Eq '^(client|origin|box)( |$)' || name=${LAB}d
look_at_load
said=$(LAB=$name timeout "$((300 * patience))" "$root/tests/demo" --built 2>&1 </dev/null)
status=$?
equal "the demo's exit status" 0 "$status"
lacks "nothing in it does not hold" FAIL "$said"
fails_to "nothing of its lab is left" grep -Eq "^${name:+$name-}(client|origin|box)( |$)" <(ip netns list)
[ "$status" = 0 ] || echo "$said"

LAB=${LAB}p timeout "$((300 * patience))" "$root/tests/demo" --built 2>&1 </dev/null | head -n 8 >/dev/null
equal "nor of one whose reader goes away (| head)" "" "$(ip netns list | grep "^${LAB}p-")$(ls -d "/run/portreeve-lab-${LAB}p" 2>/dev/null)"
