/* SPDX-License-Identifier: Apache-2.0 */
/* RSTs, SYNs, ACKs and data from inside and outside the window (RFC 5961). */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_attack[] = {
{"RST arrives at the other side", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\ntold client reset\ngone\ncount resets_in 1\nquiet\n"},
{"RST of the origin", "setup\nadopt\norigin R 1 0\nto-client RA 1 1\ntold origin reset\ngone\n"},
{"RST inside the window, not exact: challenge", "setup\nadopt\nclient R 100 0\nto-client A 1 1\nlive\ncount challenge_acks 1\nclient R 200 0\nquiet\nwait 600\nclient R 200 0\nto-client A 1 1\n"},
{"RST outside the window", "setup\nadopt\nclient R 90000000 0\nclient R -50 0\nquiet\nlive\ncount out_of_window 2\n"},
{"SYN in an open connection: challenge", "setup\nadopt\nclient S 5 0\nto-client A 1 1\nlive\nclient S 50 0\nquiet\n"},
{"an ACK of what was not sent: challenge", "setup\nadopt\nclient A 1 900\nto-client A 1 1\nclient A 1 1000000000\nquiet\nlive\n"},
{"data far ahead of the window", "setup\nadopt\nclient A 5000000+10 1\nto-client A 1 1\nclient A 5000000+10 1\nquiet\ngot client 0\n"},
{"an RST is challenged by the peer", "setup\nadopt\nreset client\nto-client RA 1 1\nquiet\nclient A 1 1\nto-client R 1 0\nquiet\n"},
{"RST at each edge of the window", "setup credit 3000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nclient A 1+100 1\nwait 41\nto-client A 1 101 win 2900\n"
	"client R 100 0\nclient RA 100 1\nquiet\ncount out_of_window 2\nclient R 3002 0\nquiet\ncount out_of_window 3\nclient R 102 0\nto-client A 1 101\nwait 600\nclient R 3000 0\nto-client A 1 101\nwait 600\nclient R 3001 0\nto-client A 1 101\n"
	"quiet\ncount challenge_acks 3\ncount resets_in 0\nlive\nclient R 101 0\nto-origin RA 1 1\ntold client reset\ngone\n"},
{"RST of the origin at each edge of the window", "setup credit 3000 no-scale\nclient S 0 0 win 3000\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1 win 3000\nto-origin A 1 1\n"
	"origin R 0 0\norigin R 3002 0\nquiet\norigin R 3001 0\nto-origin A 1 1\nwait 600\norigin R 2 0\nto-origin A 1 1\nquiet\nlive\norigin R 1 0\nto-client RA 1 1\ntold origin reset\ngone\n"},
{"RST with bytes: its number counts", "setup\nadopt\nclient R 2+10 0\nto-client A 1 1\nlive\nclient R 1+10 0\nto-origin RA 1 1\ngot client 0\ntold client reset\n"},
{"RST at the number after what waits out of order is no more exact", "setup\nadopt\nclient A 101+100 1\nto-client A 1 1 sack 101-201\nclient R 201 0\nto-client A 1 1 sack 101-201\nlive\nclient R 1 0\nto-origin RA 1 1\n"},
{"RST behind the peer's FIN", "setup\nadopt\nclient FA 1+10 1\nto-client A 1 12\nclient R 11 0\nquiet\nlive\nclient R 12 0\nto-origin RA 1 1\ngone\n"},
{"RST with a wrong checksum", "setup\nadopt\nclient R 1 0 bad\nquiet\nlive\ncount bad_checksum 1\n"},
{"RST by the wrong port", "setup\nadopt\nclient R 1 0 wrong-side\nquiet\nlive\ncount wrong_side 1\n"},
{"SYN at each edge of the window, and with all else", "setup credit 3000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\n"
	"client S 0 0\nto-client A 1 1\nwait 600\nclient S 1 0\nto-client A 1 1\nwait 600\nclient S 3001 0\nto-client A 1 1\nwait 600\nclient S 3002 0\nto-client A 1 1\nwait 600\nclient S 90000000 0\nto-client A 1 1\nwait 600\n"
	"client SA 1 1\nto-client A 1 1\nwait 600\nclient SFPUA 1 1\nto-client A 1 1\nquiet\ncount challenge_acks 7\nclient SFPUA 1+10 1\nquiet\ngot client 0\ntold client nothing\nlive\nclient SR 2 0\nquiet\nclient SR 1 0\nto-origin RA 1 1\n"},
{"challenge ACKs: a leg's rate is its own", "setup\nadopt\nclient S 5 0\nto-client A 1 1\norigin S 5 0\nto-origin A 1 1\nclient S 5 0\norigin S 5 0\nwait 490\nclient S 5 0\nquiet\nwait 20\nclient S 5 0\nto-client A 1 1\nquiet\n"},
{"blind data: its ACK at each edge (RFC 5961 5.2)", "setup no-scale window 1000\nadopt\nclient A 1+10 1\nwrite client 500\nto-client A 1+500 11\nclient A 11 501\n"
	"client A 11+10 502\nto-client A 501 11\ngot client 10\nwait 600\nclient A 11+10 -63740\nto-client A 501 11\ngot client 10\nwait 600\nclient A 11+10 2147484000\nto-client A 501 11\ngot client 10\n"
	"count challenge_acks 3\nclient A 11+10 -63739\ngot client 20\nclient A 21+10 501\ngot client 30\nclient A 31+10 1\ngot client 40\nwait 41\nto-client A 501 41\nquiet\n"},
{"data without an ACK", "setup\nadopt\nclient P 1+10 0\nclient F 1 0\nquiet\ngot client 0\ntold client nothing\n"},
{"a FIN out of the window", "setup credit 3000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nclient FA 3002 1\nto-client A 1 1\nclient A 1+10 1\ngot client 10\n"
	"client FA 1 1\nto-client A 1 11\ntold client nothing\nclient FA -500+10 1\nto-client A 1 11\nquiet\nlive\n"},
{"a second FIN elsewhere changes nothing", "setup\nadopt\nclient FA 101 1\nto-client A 1 1\nclient FA 51 1\nclient A 1+200 1\nto-client A 1 102\ngot client 100\ntold client fin\nclient A 102+50 1\nto-client A 1 102\ngot client 100\nquiet\n"},
{"what was received first stays (no second thoughts about bytes)", "setup\nadopt\nclient A 11+10 1\nto-client A 1 1 sack 11-21\nclient A 5+10 1\nto-client A 1 1 sack 5-21\nclient A 1+30 1\nto-client A 1 31\ngot client 30\nquiet\n"},
{"ACKs that were sent long ago say nothing", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nclient A 1 101\nclient A 1 51 win 0\nclient A 1 1 win 0\nwrite client 100\nto-client A 101+100 1\nclient A 1 201\nwait 1100\nquiet\n"},
{"a duplicate ACK without anything in flight", "setup no-sack\nadopt\nclient A 1 1\nclient A 1 1\nclient A 1 1\nclient A 1 1\nquiet\ncount retransmits 0\nwrite client 10\nto-client A 1+10 1\nclient A 1 11\nwait 1100\nquiet\n"},
{"midstream reset: the side that spoke is reset, the other is asked", "setup\nclient A 500+10 700\nto-client R 700 0\nto-origin A -1073741324 700\nquiet\ncount flows 0\norigin R 700 0\nquiet\n"},
{"midstream reset: a FIN and nothing to acknowledge", "setup\norigin F 500+10 0\nto-origin RA -1000000 511\nto-client A -1073741324 -1000000\nquiet\n"},
{"midstream pass", "setup midstream pass\nclient A 500 700\nto-origin A 500 700\norigin A 700 510\nto-client A 700 510\ncount passed 1\ncount adopted 0\nclient FA 510 720\nto-origin FA 510 720\nwait 1\n"
	"client S 100000 0\nto-origin S 100000 0\ncount passed 0\ncount syn_tracked 1\nquiet\n"},
{"midstream pass: forgotten when idle", "setup midstream pass\nclient A 500 700\nto-origin A 500 700\nwait 59000\nclient A 500 700\nto-origin A 500 700\nwait 599000\nclient A 510 700\nto-origin A 510 700\nwait 599000\ncount passed 1\nwait 602000\ncount passed 0\ncount flows 0\nquiet\n"},
{"midstream drop", "setup midstream drop\nclient A 500+10 700\norigin A 700 510\nclient R 510 0\nquiet\ncount flows 0\nclient S 0 0\nto-origin S 0 0\ncount syn_tracked 1\n"},
{"midstream: an RST is not answered, and a connection can be made under the same ports", "setup\norigin R 500 0\nquiet\nadopt\nclient A 1+10 1\ngot client 10\n"},
{"midstream pass: once both have closed it gives way in a full table, and not before", "setup flows 1 midstream pass\nclient A 500 700\nto-origin A 500 700\nclient FA 500 700\nto-origin FA 500 700\nwait 5000\nclient S 0 0 port 40001\nquiet\ncount table_full 1\norigin A 700+10 501\nframes client 1\n"
	"origin FA 710 501\nto-client FA 710 501\nclient A 501 711\nto-origin A 501 711\nclient S 0 0 port 40001\nframes origin 1\ncount passed 0\ncount time_wait_cut 1\n"},
{"midstream pass: FINs and RSTs may be anybody's", "setup flows 1 midstream pass\nclient A 500 700\nto-origin A 500 700\nclient FA 9000 700\norigin FA 90000 501\nframes client 1\nframes origin 1\nwait 30000\norigin A 700+10 500\nframes client 1\nclient S 0 0 port 40001\n"
	"quiet\ncount table_full 1\nwait 30000\nclient R 9000 0\nframes origin 1\nwait 599000\ncount passed 1\norigin A 700+10 500\nframes client 1\nclient S 0 0 port 40001\nquiet\ncount table_full 2\n"},
{"midstream pass: a reset one is forgotten when idle, or gives way", "setup flows 1 midstream pass\nclient A 500 700\nto-origin A 500 700\nclient R 500 0\nto-origin R 500 0\nwait 599000\ncount passed 1\nwait 2010\ncount passed 0\ncount flows 0\nclient A 500 700\nto-origin A 500 700\nclient R 500 0\nto-origin R 500 0\nclient S 0 0 port 40001\nframes origin 1\ncount passed 0\n"},
{"midstream pass: one frame and no more", "setup midstream pass handshake 8000\nclient A 500 700\nto-origin A 500 700\nwait 7900\ncount passed 1\nwait 200\ncount passed 0\ncount flows 0\n"},
{"midstream pass: in a full table the one frame gives way", "setup flows 1 midstream pass\nclient A 500 700\nto-origin A 500 700\nwait 5010\nclient S 0 0 port 40001\nframes origin 1\ncount passed 0\ncount syn_tracked 1\n"},
{NULL, NULL},
};
