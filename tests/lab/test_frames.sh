# SPDX-License-Identifier: Apache-2.0
# Every kind of frame through the box over af_xdp, both ways, byte by byte; order; nothing of the box's own.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
client sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=1
frames forward
frames order
sleep 1
frames quiet 3
