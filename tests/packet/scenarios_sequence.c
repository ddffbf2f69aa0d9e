/* SPDX-License-Identifier: Apache-2.0 */
/* Sequence numbers and timestamps at their wrap; PAWS; urgent data. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_sequence[] = {
{"sequence numbers wrap", "setup isn-client 0xfffffff0 isn-origin 0xffffff00\nadopt\nclient A 1+1448 1\nclient A 1449+1448 1\nto-client A 1 2897\ngot client 2896\n"
	"write client 1000\nto-client A 1+1000 2897\nclient A 2897 1001\nclient A 4345+100 1001\nto-client A 1001 2897 sack 4345-4445\nclient A 2897+1448 1001\ngot client 4444\nto-client A 1001 4445\n"
	"client FA 4445 1001\nto-client A 1001 4446\ntold client fin\n"},
{"the wrap falls into a hole", "setup isn-client 0xffffffc0\nadopt\nclient A 101+100 1\nto-client A 1 1 sack 101-201\nclient A 1+100 1\nto-client A 1 201\ngot client 200\n"},
{"PAWS drops what is older", "setup\nadopt\nclient A 1+10 1 ts 500000\nwait 41\nto-client A 1 11\nclient A 11+10 1 ts 400000\nto-client A 1 11\ngot client 10\ncount paws_dropped 1\n"
	"client A 11+10 1 ts 500001\ngot client 20\n"},
{"PAWS does not apply to RST", "setup\nadopt\nclient A 1 1 ts 500000\nclient R 1 0 ts 400000\nto-origin RA 1 1\ntold client reset\n"},
{"urgent data is passed in line", "setup\nadopt\nclient PUA 1+10 1\ngot client 10\nquiet\n"},
{"wrap inside a SACK block that we report", "setup isn-client 0xffffff6a\nadopt\nclient A 101+100 1\nto-client A 1 1 sack 101-201\nclient A 301+100 1\n"
	"to-client A 1 1 sack 301-401 101-201\nclient A 1+100 1\ngot client 200\nto-client A 1 201 sack 301-401\nclient A 201+100 1\ngot client 400\nto-client A 1 401 nosack\nquiet\n"},
{"wrap inside a SACK block of the peer", "setup isn-origin 0xfffff448\nadopt\nwrite client 7240\nto-client A 1+1448 1\nto-client A 1449+1448 1\n"
	"to-client A 2897+1448 1\nto-client A 4345+1448 1\nto-client A 5793+1448 1\nwait 20\nclient A 1 1 sack 1449-7241\nto-client A 1+1448 1\nquiet\nclient A 1 7241\nwait 500\nquiet\ncount retransmits 1\n"},
{"wrap inside a segment that is lost", "setup isn-client 0xfffffff0\nadopt\nwrite origin 100\nto-origin A 1+100 1\nwait 1020\nto-origin A 1+100 1\norigin A 1 101\nwrite origin 10\nto-origin A 101+10 1\norigin A 1 111\nwait 500\nquiet\n"},
{"wrap inside our window's edge", "setup isn-client 0xffffff00 credit 4000 no-scale\nadopt\nclient A 1+1000 1\nwait 41\nto-client A 1 1001 win 64160\nclient A 1001+1000 1\nwait 41\nto-client A 1 2001\ngot client 2000\nquiet\n"},
{"a FIN is the last number before the wrap", "setup isn-client 0xfffffffe isn-origin 0xfffffffe\nadopt\nclient FA 1 1\nto-client A 1 2\ntold client fin\nfinish origin\nto-origin FA 1 1\n"
	"origin A 1 2\nfinish client\nto-client FA 1 2\nclient A 2 2\norigin FA 1 2\nto-origin A 2 2\ntold origin fin\ngone\n"},
{"a FIN is the first number after the wrap", "setup isn-client 0xffffffff isn-origin 0xffffffff\nadopt\nclient FA 1 1\nto-client A 1 2\ntold client fin\nfinish origin\nto-origin FA 1 1\n"
	"origin A 1 2\nfinish client\nto-client FA 1 2\nclient A 2 2\norigin FA 1 2\nto-origin A 2 2\ntold origin fin\ngone\n"},
{"a FIN with data across the wrap, lost and out of order", "setup isn-client 0xffffffce isn-origin 0xffffffce\nadopt\nclient FA 51+50 1\nto-client A 1 1 sack 51-101\nclient A 1+50 1\nto-client A 1 102\ngot client 100\n"
	"told client fin\nwrite client 100\nto-client A 1+100 102\nfinish client\nto-client FA 101 102\nwait 1020\nto-client FA 101 102\nwait 1000\nto-client A 1+100 102\nto-client FA 101 102\nclient A 102 102\nwait 900\nquiet\n"},
{"the clocks of timestamps wrap", "setup clock 0xffffec64\nadopt\nclient A 1+10 1\nwait 41\nto-client A 1 11\nwait 5000\nclient A 11+10 1\ngot client 20\nwait 41\nto-client A 1 21\n"
	"origin A 1+10 1\nwait 41\nto-origin A 1 11\nwait 5000\nclient A 21+10 1\ngot client 30\nwrite origin 10\nto-origin A 1+10 11\norigin A 11 11\ncount paws_dropped 0\nwait 41\nto-client A 1 31\nquiet\n"},
{"PAWS: its edges", "setup\nadopt\nclient A 1+10 1 ts 500000\nwait 41\nto-client A 1 11 ecr 500000\nclient A 11+10 1 ts 499999\nto-client A 1 11 ecr 500000\ngot client 10\ncount paws_dropped 1\n"
	"client A 11+10 1 ts 500000\ngot client 20\nwait 41\nto-client A 1 21\nclient A 21+10 1 ts 2147983647\ngot client 30\nwait 41\nto-client A 1 31 ecr 2147983647\n"
	"client A 31+10 1 ts 499998\ngot client 40\ncount paws_dropped 1\n"},
{"PAWS: an old segment without data is not answered again and again", "setup\nadopt\nclient A 1+10 1 ts 500000\nwait 41\nto-client A 1 11\nclient A 11 1 ts 400000\nto-client A 1 11\n"
	"client A 11 1 ts 400000\nclient A 11 1 ts 400001\nquiet\ncount paws_dropped 3\nwait 600\nclient A 11 1 ts 400000\nto-client A 1 11\nquiet\n"},
{"PAWS: after 25 days of silence any clock is right, and is the new one", "setup keepalive 0\nadopt\nclient A 1+10 1 ts 500000\nwait 41\nto-client A 1 11 ecr 500000\nwait 2160000000\nquiet\n"
	"client A 11+10 1 ts 499000\ngot client 20\nwait 41\nto-client A 1 21 ecr 499000\nclient A 21+10 1 ts 499500\ngot client 30\nwait 41\nto-client A 1 31 ecr 499500\n"
	"client A 31+10 1 ts 498000\nto-client A 1 31 ecr 499500\ncount paws_dropped 1\n"},
{"timestamps: the echo is of the segment that moved the window (RFC 7323 4.3)", "setup\nadopt\nclient A 1+10 1 ts 100000\nclient A 11+10 1 ts 100500\nwait 41\nto-client A 1 21 ecr 100000\n"
	"client A 31+10 1 ts 100700\nto-client A 1 21 ecr 100000 sack 31-41\nclient A 21+10 1 ts 100600\nto-client A 1 41 ecr 100600\n"},
{"timestamps: a segment without them is still taken", "setup\nadopt\nclient A 1+10 1 opts 01010101\ngot client 10\nwait 41\nto-client A 1 11 opts-len 12\n"},
{"urgent data beyond what was received", "setup\nadopt\nclient PUA 1+10 1 urg 4000\ngot client 10\nclient A 11+10 1\ngot client 20\nwait 41\nto-client A 1 21\nquiet\n"},
{"an older SYN-ACK that comes late does not set our clock back", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 ts 90000\nto-client SA 0 1\norigin SA 0 1 ts 89000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nwrite client 10\nto-client A 1+10 1 ts 90000\n"},
{"the echo of a repetition is of the repetition", "setup\nadopt\nclient A 1+10 1 ts 500000\nclient A 11+10 1 ts 500010\nwait 41\nto-client A 1 21 ecr 500000\nclient A 1+10 1 ts 500400\nto-client A 1 21 ecr 500400 sack 1-11\nquiet\n"},
{NULL, NULL},
};
