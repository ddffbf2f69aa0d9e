/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives out of order, twice or overlapping. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_reorder[] = {
{"out of order, SACKed, reassembled", "setup\nadopt\nclient A 1449+1448 1\nto-client A 1 1 sack 1449-2897\n"
	"client A 4345+1448 1\nto-client A 1 1 sack 4345-5793 1449-2897\nclient A 2897+1448 1\nto-client A 1 1 sack 1449-5793\n"
	"got client 0\nclient A 1+1448 1\ngot client 5792\nto-client A 1 5793 nosack\nquiet\n"},
{"reordered without SACK", "setup no-sack\nadopt\nclient A 1449+1448 1\nto-client A 1 1 nosack\nclient A 1+1448 1\nto-client A 1 2897\ngot client 2896\n"},
{"overlapping segments", "setup\nadopt\nclient A 101+100 1\nto-client A 1 1 sack 101-201\nclient A 51+100 1\nto-client A 1 1 sack 51-201\n"
	"client A 301+50 1\nto-client A 1 1 sack 301-351 51-201\nclient A 151+300 1\nto-client A 1 1 sack 51-451\nclient A 1+60 1\ngot client 450\nto-client A 1 451 nosack\n"},
{"a duplicate is reported", "setup\nadopt\nclient A 1+100 1\nwait 41\nto-client A 1 101\nclient A 1+100 1\nto-client A 1 101 sack 1-101\ngot client 100\nquiet\n"},
{"partly old, partly new", "setup\nadopt\nclient A 1+100 1\nclient A 51+100 1\ngot client 150\nto-client A 1 151 sack 51-101\n"},
{"reorder memory is bounded", "setup reorder 3048 window 512\nadopt\nclient A 101+10 1\nto-client A 1 1 sack 101-111\n"
	"client A 201+10 1\nto-client A 1 1 sack 201-211 101-111\nclient A 301+10 1\nto-client A 1 1 sack 301-311 201-211 101-111\n"
	"client A 401+10 1\nto-client A 1 1 sack 401-411 301-311 201-211\nclient A 501+10 1\nto-client A 1 1\n"
	"count reorder_dropped 1\nclient A 1+100 1\ngot client 110\n"},
{"a duplicate is reported once", "setup\nadopt\nclient A 1+100 1\nwait 41\nto-client A 1 101\nclient A 1+100 1\nto-client A 1 101 sack 1-101\nclient A 101+100 1\nwait 41\nto-client A 1 201 nosack\n"},
{"four SACK blocks where there are no timestamps", "setup no-timestamps\nadopt\nclient A 101+10 1\nto-client A 1 1 sack 101-111\nclient A 201+10 1\nto-client A 1 1 sack 201-211 101-111\nclient A 301+10 1\nto-client A 1 1 sack 301-311 201-211 101-111\n"
	"client A 401+10 1\nto-client A 1 1 sack 401-411 301-311 201-211 101-111\nclient A 501+10 1\nto-client A 1 1 sack 501-511 401-411 301-311 101-111\n"},
{NULL, NULL},
};
