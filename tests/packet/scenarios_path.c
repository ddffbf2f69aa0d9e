/* SPDX-License-Identifier: Apache-2.0 */
/* Segment sizes: what each side announced, the link, ICMP, black holes. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_path[] = {
{"MSS as announced", "setup mss 1000\nadopt\nwrite client 1100\nto-client A 1+988 1\nto-client A 989+112 1\nquiet\n"},
{"MSS not announced", "setup mss 0\nadopt\nwrite client 600\nto-client A 1+524 1\nto-client A 525+76 1\nquiet\n"},
{"MSS not announced, IPv6", "setup v6 mss 0\nadopt\nwrite client 1300\nto-client A 1+1208 1\nto-client A 1209+92 1\nquiet\n"},
{"MSS clamped to the link", "setup mss 8960\nadopt\nwrite client 1500\nto-client A 1+1448 1\nto-client A 1449+52 1\nquiet\n"},
{"jumbo segments", "setup mtu 9000 mss 8960\nadopt\nwrite client 9000\nto-client A 1+8948 1\nto-client A 8949+52 1\nclient A 1+8948 9001\ngot client 8948\n"
	"client A 17897+8948 9001\nto-client A 9001 8949 sack 17897-26845\nclient A 8949+8948 9001\ngot client 26844\nto-client A 9001 26845\nquiet\n"},
{"jumbo segments, IPv6 in VLAN", "setup v6 vlan 12 mtu 9000 mss 8940\nadopt\nwrite origin 9000\nto-origin A 1+8928 1\nto-origin A 8929+72 1\norigin A 1+8928 9001\ngot origin 8928\n"},

{"path MTU: smaller segments", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000\nto-client A 1+948 1\nto-client A 949+500 1\nclient A 1 1449\nwrite client 1448\nto-client A 1449+948 1\nto-client A 2397+500 1\ncount icmp_consumed 1\ncount path_mtu_lowered 1\n"},
{"path MTU, IPv6", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nicmp client 1 1280\nto-client A 1+1208 1\nto-client A 1209+220 1\n"},
{"path MTU, of the origin, in QinQ", "setup vlan 42 7\nadopt\nwrite origin 1448\nto-origin A 1+1448 1\nicmp origin 1 1000\nto-origin A 1+948 1\nto-origin A 949+500 1\n"},
{"path MTU: a quote of nothing in flight is a lie", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 5000 600\nquiet\nicmp client 0 600\nquiet\nclient A 1 1449\nicmp client 1 600\nwrite client 1448\nto-client A 1449+1448 1\ncount path_mtu_lowered 0\ncount icmp_consumed 3\n"},
{"path MTU: what fits was not too big", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1400 len 500\nquiet\nicmp client 1 1500\nquiet\nicmp client 1 65535\nquiet\ncount path_mtu_lowered 0\n"},
{"path MTU: a quote without a sequence number, which is 0", "setup isn-origin 0xffffffff\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000 quoted 4\nquiet\ncount icmp_consumed 1\n"},
{"path MTU: a message with a wrong checksum", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000 bad\nquiet\ncount bad_checksum 1\ncount icmp_consumed 0\n"},
{"path MTU: a message with a wrong checksum, IPv6", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nicmp client 1 1280 bad\nquiet\ncount bad_checksum 1\n"},
{"path MTU: a message from the side that the segment did not go to", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000 wrong-side\nquiet\ncount wrong_side 1\n"},
{"path MTU: not below the least: smaller pieces are the routers' to make", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 68\nmay-fragment client\nto-client A 1+500 1\nto-client A 501+500 1\nto-client A 1001+448 1\nwrite origin 100\nto-origin A 1+100 1\n"},
{"path MTU: a small segment that is said to be too big changes nothing", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nicmp client 1 68 len 100\ncount path_mtu_lowered 0\nclient A 1 101\nwrite client 1448\nto-client A 101+1448 1\n"},
{"path MTU: what is tried whole is not to be cut, and what follows it neither", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 68\nmay-fragment client\nto-client A 1+500 1\nto-client A 501+500 1\nto-client A 1001+448 1\nwait 20\nclient A 1 1449\nwait 601000\n"
	"never-fragment client\nwrite client 3448\nto-client A 1449+1448 1\nmay-fragment client\nto-client A 2897+500 1\nto-client A 3397+500 1\nto-client A 3897+500 1\nto-client A 4397+500 1\nwait 20\nclient A 1 4897\n"
	"count path_mtu_raised 1\nnever-fragment client\nwrite client 1448\nto-client A 4897+1448 1\n"},
{"path MTU: less than any IPv6 link has is nonsense (RFC 8201 4)", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nicmp client 1 1279\nicmp client 1 100\nicmp client 1 0\nquiet\ncount path_mtu_lowered 0\nicmp client 1 1280\nto-client A 1+1208 1\nto-client A 1209+220 1\n"},
{"path MTU: a quote of nothing in flight is a lie, IPv6", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nicmp client 5000 1280\nquiet\nicmp client 0 1280\nquiet\nicmp client 1429 1280\nquiet\nclient A 1 1429\nicmp client 1 1280\nwrite client 1428\nto-client A 1429+1428 1\ncount path_mtu_lowered 0\ncount icmp_consumed 4\n"},
{"path MTU: what fits was not too big, IPv6; a message from the other side", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nicmp client 1 1300 len 500\nquiet\nicmp client 1 1500\nquiet\nicmp client 1 1280 wrong-side\nquiet\ncount wrong_side 1\ncount path_mtu_lowered 0\n"},
{"path MTU: a router that does not say", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 0\nto-client A 1+1440 1\nto-client A 1441+8 1\nicmp client 1 0 len 1440\nto-client A 1+954 1\nto-client A 955+486 1\n"},
{"path MTU: it never grows", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000\nto-client A 1+948 1\nto-client A 949+500 1\nicmp client 1 1400\nquiet\nclient A 1 1449\nwrite client 1448\nto-client A 1449+948 1\ncount path_mtu_lowered 1\n"},

{"black hole: full segments vanish", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwait 1010\nto-client A 1+1448 1\nwait 1010\nto-client A 1+1448 1\nwait 2010\nto-client A 1+1448 1\ncount black_holes 0\nwait 4010\nto-client A 1+1012 1\ncount black_holes 1\n"
	"client A 1 1013\nto-client A 1013+436 1\nclient A 1 1449\nwrite client 1448\nto-client A 1449+1012 1\nclient A 1 2461\nto-client A 2461+436 1\nclient A 1 2897\nquiet\n"},
{"black hole: smaller and smaller", "setup mtu 9000 mss 8960\nadopt\nwrite client 8948\nto-client A 1+8948 1\nwait 1010\nto-client A 1+8948 1\nwait 1010\nto-client A 1+8948 1\nwait 2010\nto-client A 1+8948 1\nwait 4010\nto-client A 1+1448 1\nwait 8010\nto-client A 1+1012 1\n"
	"wait 16010\nto-client A 1+524 1\nwait 32010\nto-client A 1+524 1\ncount black_holes 3\n"},
{"black hole, IPv6", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nwait 1010\nto-client A 1+1428 1\nwait 1010\nto-client A 1+1428 1\nwait 2010\nto-client A 1+1428 1\nwait 4010\nto-client A 1+1208 1\nwait 8010\nto-client A 1+1208 1\ncount black_holes 1\n"},
{"black hole: a small segment is not lost for its size", "setup\nadopt\nwrite client 500\nto-client A 1+500 1\nwait 1010\nto-client A 1+500 1\nwait 1010\nto-client A 1+500 1\nwait 2010\nto-client A 1+500 1\nwait 4010\nto-client A 1+500 1\nwait 8010\nto-client A 1+500 1\ncount black_holes 0\n"
	"client A 1 501\nwrite client 1448\nto-client A 501+1448 1\n"},
{"black hole of the origin alone", "setup\nadopt\nwrite origin 1448\nto-origin A 1+1448 1\nwait 1010\nto-origin A 1+1448 1\nwait 1010\nto-origin A 1+1448 1\nwait 2010\nto-origin A 1+1448 1\nwait 4010\nto-origin A 1+1012 1\nwrite client 1448\nto-client A 1+1448 1\n"},
{"black hole: a segment that is not full, and too big all the same", "setup\nadopt\nwrite client 737\nto-client A 1+737 1\nwait 1020\nto-client A 1+737 1\nwait 1020\nto-client A 1+737 1\nwait 2020\nto-client A 1+737 1\nwait 4020\nto-client A 1+524 1\nclient A 1 525\nto-client A 525+213 1\nclient A 1 738\nwait 500\nquiet\ncount black_holes 1\n"},
{"path MTU: what is small enough was not lost", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwrite client 100\nto-client A 1449+100 1\nicmp client 1 1000\nto-client A 1+948 1\nto-client A 949+500 1\nquiet\n"},
{"black hole: a FIN is no byte", "setup\nadopt\nclient A 1 1 win 0\nwrite client 1012\nfinish client\nclient A 1 1 win 512\nto-client FA 1+1012 1\nwait 1020\nto-client FA 1+1012 1\nwait 1020\nto-client FA 1+1012 1\nwait 2020\nto-client FA 1+1012 1\nwait 4020\nto-client A 1+524 1\ncount black_holes 1\n"},
{"path MTU: a message about a connection that is over changes nothing", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\norigin R 1 0\nto-client RA 1449 1\nicmp client 1 1000\nquiet\ncount path_mtu_lowered 0\ncount icmp_consumed 1\n"},
{"a shut window is no black hole", "setup retries 12\nadopt\nwrite client 1448\nto-client A 1+1448 1\nclient A 1 1 win 0\nwait 1010\nframes client 1\nclient A 1 1 win 0\nwait 2010\nframes client 1\nclient A 1 1 win 0\nwait 4010\nframes client 1\n"
	"client A 1 1 win 0\nwait 8010\nframes client 1\nclient A 1 1 win 0\nwait 16010\nclient A 1 1 win 512\ncount black_holes 0\n"},
{"a black hole that was an outage: full size is tried, and is back", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwait 20\nclient A 1 1449\nwrite client 14480\nframes client 10\nwait 3500\nframes client 4-90\ncount black_holes 2\nclient A 1 15929\ncount path_mtu_raised 0\n"
	"write client 5240\nframes client 10\nwait 20\nclient A 1 21169\nwait 9300\nwrite client 3668\nframes client 7\nwait 20\nclient A 1 24837\nwait 700\nwrite client 3544\nto-client A 24837+1448 1\nto-client A 26285+524 1\n"
	"to-client A 26809+524 1\nto-client A 27333+524 1\nto-client A 27857+524 1\nwait 20\nclient A 1 28381\ncount path_mtu_raised 1\nwrite client 2896\nto-client A 28381+1448 1\nto-client A 29829+1448 1\n"},
{"a black hole that is one: what was tried goes in pieces, and is not tried again soon", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwait 20\nclient A 1 1449\nwrite client 14480\nframes client 10\nwait 3500\nframes client 4-90\ncount black_holes 2\nclient A 1 15929\ncount path_mtu_raised 0\n"
	"write client 5240\nframes client 10\nwait 20\nclient A 1 21169\nwait 9300\nwrite client 3668\nframes client 7\nwait 20\nclient A 1 24837\nwait 700\nwrite client 3544\nto-client A 24837+1448 1\nto-client A 26285+524 1\n"
	"to-client A 26809+524 1\nto-client A 27333+524 1\nto-client A 27857+524 1\nwait 20\nclient A 1 24837 sack 26285-28381\nto-client A 24837+524 1\nto-client A 25361+524 1\nto-client A 25885+400 1\nwait 20\nclient A 1 28381\n"
	"count path_mtu_raised 0\ncount retransmit_timeouts 4\nwait 30000\nwrite client 3668\nto-client A 28381+524 1\nframes client 6\nwait 20\nclient A 1 32049\nwait 600000\nwrite client 3544\nto-client A 32049+1448 1\n"
	"frames client 4\n"},
{"path MTU: after ten minutes full size is tried", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000\nto-client A 1+948 1\nto-client A 949+500 1\nwait 20\nclient A 1 1449\nwait 590000\nwrite client 5688\nframes client 6\nwait 20\nclient A 1 7137\n"
	"wait 11000\nwrite client 5688\nto-client A 7137+1448 1\nframes client 5\nwait 20\nclient A 1 12825\ncount path_mtu_raised 1\nwrite client 1448\nto-client A 12825+1448 1\n"},
{"path MTU: too little behind it to try", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000\nto-client A 1+948 1\nto-client A 949+500 1\nwait 20\nclient A 1 1449\nwait 601000\nwrite client 5239\nto-client A 1449+948 1\nframes client 5\n"
	"wait 20\nclient A 1 6688\nwrite client 5240\nto-client A 6688+1448 1\nframes client 4\n"},
{NULL, NULL},
};
