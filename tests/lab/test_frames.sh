# SPDX-License-Identifier: Apache-2.0
# Every kind of frame through the box over af_xdp, both ways, byte by byte; order; nothing of the box's own.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
client sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=1
frames forward
frames order
sleep 1
frames quiet 3
# and it would hear: a port that is given its voice back is heard
box sysctl -qw net.ipv6.conf.boxc.disable_ipv6=0
box ip link set boxc arp on
box ip link set boxc down
box ip link set boxc up
heard=$(python3 "$here/frames.py" "$LAB-client" "$LAB-origin" quiet 3 2>&1)
contains "a port whose kernel speaks would be heard" FAIL "$heard"
