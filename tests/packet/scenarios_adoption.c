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
{"options that one end alone speaks are not spoken", "setup window 60000\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 opts 020405b4\nto-client SA 0 1\nclient A 1 1 opts 01010101\nto-origin A 1 1 opts-len 0\n"
	"client A 101+10 1 opts 01010101\nto-client A 1 1 nosack opts-len 0\nwrite client 3000\nto-client A 1+1460 1\nto-client A 1461+1460 1\nto-client A 2921+80 1\nquiet\n"},
{"no MSS option: 536 and 1220", "setup window 60000\nclient S 0 0 opts 01010101\nto-origin S 0 0\norigin SA 0 1 opts 01010101\nto-client SA 0 1\nclient A 1 1 opts 01010101\nto-origin A 1 1\nwrite client 1000\nto-client A 1+536 1\nto-client A 537+464 1\n"},
{"no MSS option, IPv6", "setup v6 window 60000\nclient S 0 0 opts 01010101\nto-origin S 0 0\norigin SA 0 1 opts 01010101\nto-client SA 0 1\nclient A 1 1 opts 01010101\nto-origin A 1 1\nwrite client 1500\nto-client A 1+1220 1\nto-client A 1221+280 1\n"},
{"an absurdly small MSS", "setup mss 1\nadopt\nwrite client 100\nto-client A 1+48 1\nto-client A 49+48 1\nto-client A 97+4 1\n"},
{"each leg has the MSS of its own peer", "setup window 60000\nclient S 0 0 opts 020403e8\nto-origin S 0 0\norigin SA 0 1 opts 020405b4\nto-client SA 0 1\nclient A 1 1 opts 01010101\nto-origin A 1 1\nwrite client 1500\nto-client A 1+1000 1\nto-client A 1001+500 1\nwrite origin 1500\nto-origin A 1+1460 1\nto-origin A 1461+40 1\n"},
{"adoption by data that is not the first", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 101+50 1\nto-client A 1 1 sack 101-151\nto-origin A 1 1\nclient A 1+100 1\ngot client 150\ncount adopted 1\n"},
{"adoption at the edges of what the origin offered", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 1000\nto-client SA 0 1\nclient A 1002 1\nto-origin A 1002 1\ncount adopted 0\nclient A 0 1\nto-origin A 0 1\ncount adopted 0\nclient A 1001 1\nto-origin A 1 1\ncount adopted 1\n"},
{"adoption by a FIN", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient FA 1+5 1\nto-client A 1 7\nto-origin A 1 1\ngot client 5\ntold client fin\ncount adopted 1\n"},
{"a wrong checksum during the handshake", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 bad\nquiet\nclient A 1 1 bad\nquiet\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1 bad\nquiet\ncount adopted 0\ncount bad_checksum 3\nclient A 1 1\nto-origin A 1 1\ncount adopted 1\n"},
{"a SYN-ACK of another connection is not noted", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 9000 5\nto-client SA 9000 5\nclient R 5 0\nto-origin R 5 0\ncount adopted 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\ncount adopted 1\nquiet\n"},
{"the origin's SYN in a handshake", "setup\nclient S 0 0\nto-origin S 0 0\norigin S 0 0\nquiet\n"},
{"RSTs that end a handshake", "setup\nclient S 0 0\nto-origin S 0 0\nclient R 77 0\nto-origin R 77 0\ncount flows 1\nclient R 1 0\nto-origin R 1 0\ncount flows 0\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\norigin R 77 0\nto-client R 77 0\ncount flows 1\norigin R 1 0\nto-client R 1 0\ncount flows 0\nquiet\n"},
{"what follows the end of options is nothing", "setup\nclient S 0 0 opts 020405b400020402\nto-origin S 0 0 opts 020405b400000000\norigin SA 0 1 opts 020405b404020101\nto-client SA 0 1\nclient A 1 1 opts 01010101\nto-origin A 1 1\nclient A 101+10 1 opts 01010101\nto-client A 1 1 nosack\n"},
{"options that are not ours are blanked where they stand", "setup\nclient S 0 0 opts 020405b4220a01020304050607080101\nto-origin S 0 0 opts 020405b4010101010101010101010101\norigin SA 0 1 opts 1e040000020405b4fd02030307010101\nto-client SA 0 1 opts 01010101020405b40101030307010101\n"},
{"options that are cut off", "setup\nclient S 0 0 opts 020405b408080000\nto-origin S 0 0 opts 020405b401010101\n"},
{"a SYN-ACK of another connection and its ACK", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 9000 5\nto-client SA 9000 5\nclient A 1 9001\nto-client R 9001 0\ncount adopted 0\ncount flows 0\n"},
{"the client's clock goes on as it was at adoption", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1 ts 90000\nto-origin A 1 1 ts 90000\nwait 100\nwrite origin 10\nto-origin A 1+10 1 ts 90100\n"},
{"a priority in one direction alone is the same VLAN: none", "setup\nclient S 0 0 priority 5\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1 priority 5\nto-origin A 1 1\ncount adopted 1\norigin A 1+10 1\nwait 41\nto-origin A 1 11\nclient A 1+10 1\ngot client 10\n"
	"count legs_established 1\n"},
{"an MSS beyond our own link is brought down to it", "setup mtu 1500 mss 8960 alone\nclient S 0 0\nto-origin S 0 0 opts 020405b401030307010104020101080a000130b000000000\n"},
{"a SYN that is repeated with a smaller MSS", "setup window 60000\nclient S 0 0 opts 020405b4\nframes origin 1\nclient S 0 0 opts 02040200\nframes origin 1\norigin SA 0 1 opts 020405b4\nframes client 1\nclient A 1 1 opts 01010101\nframes origin 1\nwrite client 1000\n"
	"to-client A 1+512 1\n"},
{"table full: a closed connection gives way", "setup flows 1\nadopt\nclient RA 1 1\nto-origin RA 1 1\ngone\nwait 10\nclient S 0 0 port 40001\nframes origin 1\ncount time_wait_cut 1\nclient RA 1 1\nquiet\n"},
{"table full: not one whose end the worker has not heard of", "setup flows 1\nadopt\nfull\nclient RA 1 1\nto-origin RA 1 1\nclient S 0 0 port 40001\nquiet\ncount table_full 1\ncount time_wait_cut 0\nready\ntold client reset\ngone\nclient S 0 0 port 40001\nframes origin 1\n"},
{NULL, NULL},
};
