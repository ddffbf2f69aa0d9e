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
{"small segments wait for 40 ms together", "setup\nadopt\nclient PA 1+100 1\nwait 20\nclient PA 101+100 1\nclient PA 201+100 1\nwait 19\nquiet\nwait 2\nto-client A 1 301\nwait 100\nquiet\n"},
{"the second of two small but full segments is answered", "setup\nadopt\nclient A 1+536 1\nturn\nquiet\nclient A 537+536 1\nto-client A 1 1073\nquiet\n"},
{"Nagle is off: each write goes at once", "setup\nadopt\nwrite client 1\nto-client A 1+1 1\nwrite client 1\nto-client A 2+1 1\nwrite client 1\nto-client A 3+1 1\nclient A 1 4\nwait 300\nquiet\n"},
{"what is written together goes together, the last byte pushed", "setup\nadopt\nwrite client 2000\nto-client A 1+1448 1\nto-client PA 1449+552 1\nclient A 1 2001\nwait 300\nquiet\n"},
{"a burst of four full segments: one ACK is enough if all are read at once", "setup\nadopt\nclient A 1+1448 1\nclient A 1449+1448 1\nclient A 2897+1448 1\nclient A 4345+1448 1\nto-client A 1 5793\nquiet\n"},
{"a FIN is answered at once", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nquiet\n"},
{"a filled gap is answered at once", "setup\nadopt\nclient A 11+10 1\nto-client A 1 1 sack 11-21\nclient A 1+5 1\nto-client A 1 6 sack 11-21\nclient A 6+5 1\nto-client A 1 21 nosack\nquiet\n"},
{"an owed ACK that went with data is not owed", "setup\nadopt\nclient A 1+10 1\nwait 30\nwrite client 5\nto-client A 1+5 11\nclient A 11+10 6\nwait 41\nto-client A 6 21\nquiet\n"},
{"an ACK that found no buffer is not forgotten", "setup\nadopt\nno-buffers\nclient A 1+1448 1\nclient A 1449+1448 1\nquiet\nbuffers\nwait 50\nto-client A 1 2897\nquiet\n"},
{"an ACK of a FIN that found no buffer", "setup\nadopt\nno-buffers\nclient FA 1 1\nturn\nbuffers\nwait 50\nto-client A 1 2\nquiet\n"},
{"a segment with data does not make up for a SACK", "setup\nadopt\nclient A 101+10 1\nto-client A 1 1 sack 101-111\nclient FA 300 1\nwrite client 5\nto-client A 1+5 1\nto-client A 6 1 sack 101-111\nclient A 1 6\nwait 500\nquiet\n"},
{"every second full segment, of an odd size", "setup\nadopt\nrepeat 20\nclient A 1+1447 1\nturn\nquiet\nclient A 1448+1447 1\nto-client A 1 2895\non client 2894\nagain\nrepeat 20\nclient A 1+1447 1\nturn\nquiet\nclient A 1448+1447 1\nto-client A 1 2895\non client 2894\nagain\n"},
{"every second segment of a peer whose path has become narrower", "setup\nadopt\nclient A 1+1448 1\nclient A 1449+1448 1\nto-client A 1 2897\nclient A 2897+948 1\nturn\nquiet\nclient A 3845+948 1\nto-client A 1 4793\nclient A 4793+948 1\nturn\nquiet\nclient A 5741+948 1\nto-client A 1 6689\nquiet\n"},
{"every second segment of a peer that sends less than 536", "setup\nadopt\nclient A 1+524 1\nturn\nquiet\nclient A 525+524 1\nto-client A 1 1049\nclient A 1049+524 1\nturn\nquiet\nclient A 1573+524 1\nto-client A 1 2097\nquiet\n"},
{"keystrokes of one size are no full segments", "setup\nadopt\nclient PA 1+52 1\nwait 5\nclient PA 53+52 1\nwait 5\nclient PA 105+52 1\nwait 28\nquiet\nwait 3\nto-client A 1 157\nclient PA 157+60 1\nclient A 217+60 1\nturn\nquiet\nclient A 277+40 1\nclient A 317+40 1\nturn\nquiet\nclient A 357+1448 1\nclient A 1805+1448 1\nto-client A 1 3253\nclient A 3253+1448 1\nturn\nquiet\n"},
{"the ACK of a hole that found no buffer is not forgotten", "setup\nadopt\nno-buffers\nclient A 101+100 1\nturn\nbuffers\nwait 50\nto-client A 1 1 sack 101-201\nquiet\n"},
{"after a loss: each segment beyond the hole is answered, what fills it, and then every second one", "setup\nadopt\nclient A 1449+1448 1\nto-client A 1 1 sack 1449-2897\nclient A 2897+1448 1\nto-client A 1 1 sack 1449-4345\nclient A 1+1448 1\nto-client A 1 4345\nclient A 4345+1448 1\nturn\nquiet\nclient A 5793+1448 1\nto-client A 1 7241\nquiet\n"},
{NULL, NULL},
};
