/* SPDX-License-Identifier: Apache-2.0 */
/* What we send is lost: fast retransmit, time-outs, SACK reneging, limits. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_loss[] = {
{"one segment lost: fast retransmit by SACK", "setup\nadopt\nwrite client 7240\nto-client A 1+1448 1\nto-client A 1449+1448 1\n"
	"to-client A 2897+1448 1\nto-client A 4345+1448 1\nto-client A 5793+1448 1\nwait 20\nclient A 1 1 sack 1449-2897\nquiet\n"
	"client A 1 1 sack 1449-4345\nclient A 1 1 sack 1449-5793\nto-client A 1+1448 1\nclient A 1 7241\nwait 300\nquiet\ncount retransmits 1\n"},
{"one segment lost: three duplicate ACKs", "setup no-sack no-timestamps\nadopt\nwrite client 7300\nto-client A 1+1460 1\nto-client A 1461+1460 1\n"
	"to-client A 2921+1460 1\nto-client A 4381+1460 1\nto-client A 5841+1460 1\nwait 20\nclient A 1 1\nquiet\nclient A 1 1\nquiet\nclient A 1 1\n"
	"to-client A 1+1460 1\nclient A 1 1\nclient A 1 7301\nwait 300\nquiet\ncount retransmits 1\n"},
{"two lost: NewReno's partial ACK", "setup no-sack no-timestamps\nadopt\nwrite client 8760\nto-client A 1+1460 1\nto-client A 1461+1460 1\n"
	"to-client A 2921+1460 1\nto-client A 4381+1460 1\nto-client A 5841+1460 1\nto-client A 7301+1460 1\nwait 20\nclient A 1 1\nclient A 1 1\nclient A 1 1\n"
	"to-client A 1+1460 1\nwait 20\nclient A 1 2921\nto-client A 2921+1460 1\nclient A 1 8761\nwait 300\nquiet\ncount retransmits 2\n"},
{"the retransmission is lost too", "setup\nadopt\nwrite client 14480\nto-client A 1+1448 1\nto-client A 1449+1448 1\nto-client A 2897+1448 1\n"
	"to-client A 4345+1448 1\nto-client A 5793+1448 1\nto-client A 7241+1448 1\nto-client A 8689+1448 1\nto-client A 10137+1448 1\nto-client A 11585+1448 1\nto-client A 13033+1448 1\n"
	"wait 20\nclient A 1 1 sack 1449-5793\nto-client A 1+1448 1\nquiet\nwrite client 1448\nclient A 1 1 sack 1449-13033\n"
	"to-client A 14481+1448 1\nwait 20\nclient A 1 1 sack 1449-15929\nto-client A 1+1448 1\ncount retransmits 2\nclient A 1 15929\nwait 500\nquiet\n"},
{"all lost: time-out, doubled each time", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 990\nquiet\nwait 20\nto-client A 1+100 1\n"
	"count tail_probes 1\nwait 980\nquiet\nwait 30\nto-client A 1+100 1\ncount retransmit_timeouts 1\nwait 1980\nquiet\nwait 30\nto-client A 1+100 1\nclient A 1 101\nwait 5000\nquiet\ncount retransmits 3\n"},
{"the tail is lost", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 10\nclient A 1 101\nwrite client 100\nto-client A 101+100 1\nwait 190\nquiet\nwait 20\n"
	"to-client A 101+100 1\nclient A 1 201\nwait 500\nquiet\n"},
{"SACK reneging: after a time-out all is sent again", "setup\nadopt\nwrite client 2896\nto-client A 1+1448 1\nto-client A 1449+1448 1\nwait 10\n"
	"client A 1 1 sack 1449-2897\nwait 20\nto-client A 1+1448 1\nwait 1100\nto-client A 1+1448 1\nclient A 1 1449\nquiet\ncount sack_reneged 0\nwait 30\nto-client A 1449+1448 1\ncount sack_reneged 1\nclient A 1 2897\nwait 500\nquiet\n"},
{"SACK of what was not sent is ignored", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nclient A 1 1 sack 500-900\nclient A 1 1 sack 50-20\nquiet\nclient A 1 101\nwait 2000\nquiet\n"},
{"retransmission limit", "setup retries 3\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 1010\nto-client A 1+100 1\nwait 1010\nto-client A 1+100 1\nwait 2010\nto-client A 1+100 1\n"
	"wait 4010\nto-client A 1+100 1\nwait 8010\nto-client RA 101 1\nto-origin RA 1 1\ntold client reset\ngone\ncount timeouts 1\nquiet\n"},
{"no buffer for a frame: later", "setup\nadopt\nno-buffers\nwrite client 100\nquiet\ncount no_buffer 1+\nbuffers\nwait 1100\nto-client A 1+100 1\nclient A 1 101\n"},
{NULL, NULL},
};
