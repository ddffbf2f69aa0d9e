/* SPDX-License-Identifier: Apache-2.0 */
/* When ACKs and data leave while nothing is lost. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_acks[] = {
{"ACK every second full segment, else within 40 ms", "setup\nadopt\nclient A 1+1448 1\nturn\nquiet\nclient A 1449+1448 1\n"
	"to-client A 1 2897\nclient A 2897+1448 1\nwait 39\nquiet\nwait 2\nto-client A 1 4345\nquiet\n"},
{"data carries the ACK", "setup\nadopt\nclient A 1+100 1\nwrite client 50\nto-client A 1+50 101\nclient A 101 51\nwait 60\nquiet\n"},
{"the worker's bytes are cut at the MSS, across slabs", "setup mss 3000\nadopt\nwrite origin 10000\n"
	"to-origin A 1+1448 1\nto-origin A 1449+1448 1\nto-origin A 2897+1448 1\nto-origin A 4345+1448 1\nto-origin A 5793+1448 1\n"
	"to-origin A 7241+1448 1\nto-origin A 8689+1312 1\norigin A 1 10001\nwait 300\nquiet\n"},
{"slow start, one window", "setup\nadopt\nwrite client 30000\n"
	"to-client A 1+1448 1\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nto-client A 4345+1448 1\nto-client A 5793+1448 1\n"
	"to-client A 7241+1448 1\nto-client A 8689+1448 1\nto-client A 10137+1448 1\nto-client A 11585+1448 1\nto-client A 13033+1448 1\nquiet\n"
	"client A 1 2897\nto-client A 14481+1448 1\nto-client A 15929+1448 1\nto-client A 17377+1448 1\nto-client A 18825+1448 1\nquiet\n"},
{NULL, NULL},
};
