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
{NULL, NULL},
};
