/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake that passes, and how a connection is taken over. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_adoption[] = {
{"adoption", "setup\nadopt\nlive\ncount adopted 1\ncount flows 1\ncount legs_established 1\n"
	"client A 1+21 1\ngot client 21\nwait 41\nto-client A 1 22\n"
	"origin A 1+40 1\ngot origin 40\nwait 41\nto-origin A 1 41\nquiet\n"},
{"adoption, IPv6", "setup v6\nadopt\nclient PA 1+100 1\ngot client 100\nwrite origin 300\nto-origin A 1+300 1\n"
	"origin A 1 301\nwait 41\nto-client A 1 101\nquiet\n"},
{"adoption, VLAN", "setup vlan 42\nadopt\nclient PA 1+100 1\nwrite client 10\nto-client A 1+10 101\nquiet\n"},
{"adoption, QinQ and IPv6", "setup v6 vlan 42 7\nadopt\nclient PA 1+100 1\nwrite client 10\nto-client A 1+10 101\nquiet\n"},
{"adoption by data", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\n"
	"client PA 1+50 1\nto-origin A 1 1\ngot client 50\nquiet\n"},
{"the last ACK of the handshake is lost", "setup\nadopt\norigin SA 0 1\nto-origin A 1 1\norigin SA 0 1\nto-origin A 1 1\nquiet\n"},
{"SYN and SYN-ACK repeated", "setup\nclient S 0 0\nto-origin S 0 0\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\n"
	"to-client SA 0 1\norigin SA 0 1\nto-client SA 0 1\nclient S 0 0\nto-origin S 0 0\nclient A 1 1\nto-origin A 1 1\nquiet\n"},
{"a second attempt from the same port", "setup\nclient S 0 0\nto-origin S 0 0\nclient S 5000 0\nto-origin S 5000 0\n"
	"origin SA 0 5001\nto-client SA 0 5001\nclient A 5001 1\nto-origin A 5001 1\ncount adopted 1\n"},
{"a closed port looks closed", "setup\nclient S 0 0\nto-origin S 0 0\norigin RA 0 1\nto-client RA 0 1\ncount flows 0\nquiet\n"},
{"a stray RST does not end the handshake", "setup\nclient S 0 0\nto-origin S 0 0\norigin RA 0 77\nto-client RA 0 77\ncount flows 1\n"},
{"no answer: the handshake is forgotten", "setup handshake 3000\nclient S 0 0\nto-origin S 0 0\nwait 2990\ncount flows 1\nwait 20\ncount flows 0\nquiet\n"},
{"TFO, MPTCP and others become NOPs, ECN goes", "setup\nclient SEC 0 0 opts 020405b4220a01020304050607080101\n"
	"to-origin S 0 0 opts-len 16\n"},
{"payload of a SYN is cut", "setup\nclient S 0+100 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1+100 1\nto-origin A 1 1\ngot client 100\n"},
{"MD5 is refused", "setup\nclient S 0 0 opts 020405b4131200112233445566778899aabbccddeeff0101\ncount unsupported 1\ncount flows 0\n"},
{"data before the handshake's end is not passed", "setup\nclient S 0 0\nto-origin S 0 0\nclient A 2+10 1\nquiet\norigin SA 0 1\n"
	"to-client SA 0 1\norigin A 1+10 1\nquiet\nclient A 1+10 77\nquiet\ncount adopted 0\n"},
{"a SYN with a wrong checksum", "setup\nclient S 0 0 bad\nquiet\ncount bad_checksum 1\ncount flows 0\n"},
{"table full: the new SYN is dropped, the old flows go on", "setup flows 1\nadopt\nclient S 0 0 port 40001\nquiet\ncount table_full 1\nclient PA 1+10 1\ngot client 10\n"
	"wait 41\nto-client A 1 11\nquiet\n"},
{"table full: a handshake that hangs gives way", "setup flows 1\nclient S 0 0\nto-origin S 0 0\nwait 4000\nclient S 0 0 port 40001\nquiet\ncount table_full 1\n"
	"wait 1100\nclient S 0 0 port 40001\nto-origin S 0 0\ncount flows 1\n"},
{"nobody to take it", "setup\nno-worker\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1\n"
	"to-client RA 1 1\nto-origin RA 1 1\ncount worker_none 1\nquiet\nwait 1100\ncount flows 0\n"},
{"by the wrong port", "setup\nadopt\nclient A 1+10 1 wrong-side\nquiet\ncount wrong_side 1\ngot client 0\n"},
{"a wrong checksum", "setup\nadopt\nclient A 1+10 1 bad\nwait 50\nquiet\ncount bad_checksum 1\ngot client 0\n"},
{NULL, NULL},
};
