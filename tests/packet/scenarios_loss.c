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
{"duplicate ACKs are counted anew behind a new one", "setup no-sack no-timestamps\nadopt\nwrite client 7300\nto-client A 1+1460 1\nto-client A 1461+1460 1\nto-client A 2921+1460 1\nto-client A 4381+1460 1\nto-client A 5841+1460 1\nwait 20\nclient A 1 1\nclient A 1 1\nclient A 1 1461\nclient A 1 1461\nclient A 1 1461\nquiet\nclient A 1 7301\nwait 500\nquiet\ncount retransmits 0\n"},
{"segments with data are no duplicate ACKs", "setup no-sack no-timestamps\nadopt\nwrite client 2920\nto-client A 1+1460 1\nto-client A 1461+1460 1\nwait 20\nclient A 1+10 1\nclient A 11+10 1\nclient A 21+10 1\nclient A 31+10 1\nwait 41\nto-client A 2921 41\nquiet\ncount retransmits 0\n"},
{"window updates are no duplicate ACKs", "setup no-sack no-timestamps\nadopt\nwrite client 2920\nto-client A 1+1460 1\nto-client A 1461+1460 1\nwait 20\nclient A 1 1 win 500\nclient A 1 1 win 490\nclient A 1 1 win 480\nclient A 1 1 win 470\nquiet\ncount retransmits 0\n"},
{"SACK of more than was sent is ignored, whatever it covers", "setup\nadopt\nwrite client 2896\nto-client A 1+1448 1\nto-client A 1449+1448 1\nwait 10\nclient A 1 1 sack 1449-9000\nwait 100\nquiet\nclient A 1 2897\nwait 2000\nquiet\ncount retransmits 0\n"},
{"the RTO grows to 120 s, and no further", "setup no-sack retries 20 keepalive 0\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 1010\nto-client A 1+100 1\nwait 2010\nto-client A 1+100 1\nwait 4010\nto-client A 1+100 1\nwait 8010\nto-client A 1+100 1\n"
	"wait 16010\nto-client A 1+100 1\nwait 32010\nto-client A 1+100 1\nwait 64010\nto-client A 1+100 1\nwait 119000\nquiet\nwait 1100\nto-client A 1+100 1\nwait 119000\nquiet\nwait 1100\nto-client A 1+100 1\n"},
{"the RTO follows the variance", "setup no-sack no-timestamps\nadopt\nwrite client 10\nto-client A 1+10 1\nwait 300\nclient A 1 11\nwrite client 10\nto-client A 11+10 1\nwait 500\nclient A 1 21\nwrite client 10\nto-client A 21+10 1\nwait 955\nquiet\nwait 35\nto-client A 21+10 1\n"},
{"a timer that was due while the lcore was held up", "setup no-sack\nadopt\nwrite client 100\nto-client A 1+100 1\njump 20000\nturn\nto-client A 1+100 1\nclient A 1 101\nwait 3000\nquiet\n"},
{"an ACK too soon for the retransmission is of the original", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 100\nclient A 1 101\nwrite client 5792\nto-client A 101+1448 1\nto-client A 1549+1448 1\nto-client A 2997+1448 1\nto-client A 4445+1448 1\n"
	"wait 50\nwrite client 2896\nto-client A 5893+1448 1\nto-client A 7341+1448 1\nwait 50\nclient A 1 101 sack 1549-5893\nto-client A 101+1448 1\nwait 1\nclient A 1 5893\nwait 40\nquiet\nclient A 1 8789\nwait 1000\nquiet\ncount retransmits 1\n"},
{"what arrived long ago and is only now known of is no RTT sample", "setup no-timestamps\nadopt\nwrite client 10\nto-client A 1+10 1\nwait 100\nclient A 1 11\nwrite client 5840\nto-client A 11+1460 1\nto-client A 1471+1460 1\nto-client A 2931+1460 1\nto-client A 4391+1460 1\n"
	"wait 210\nto-client A 4391+1460 1\nwait 310\nto-client A 11+1460 1\nwait 500\nclient A 1 1471 sack 2931-4391\nto-client A 1471+1460 1\nto-client A 4391+1460 1\nwait 10\nclient A 1 5851\nwrite client 10\nto-client A 5851+10 1\nwait 390\nquiet\nwait 25\nto-client A 5851+10 1\nclient A 1 5861\n"},
{"part of a lost segment is acknowledged", "setup no-sack\nadopt\nwrite client 2896\nto-client A 1+1448 1\nto-client A 1449+1448 1\nwait 1020\nto-client A 1+1448 1\nclient A 1 2000\nto-client A 2000+897 1\nclient A 1 2897\nwait 3000\nquiet\n"},
{"what was lost and lies beyond the window waits for it", "setup no-sack no-scale window 60000\nadopt\nclient A 1 1 win 60000\nwrite client 4344\nto-client A 1+1448 1\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nwait 1020\nto-client A 1+1448 1\nclient A 1 1449 win 1448\nto-client A 1449+1448 1\nquiet\nclient A 1 2897 win 1448\nto-client A 2897+1448 1\nclient A 1 4345\nwait 3000\nquiet\n"},
{"a window that is not used does not grow", "setup\nadopt\nwrite client 15928\nturn\nto-client A 1+1448 1\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nto-client A 4345+1448 1\nto-client A 5793+1448 1\nto-client A 7241+1448 1\nto-client A 8689+1448 1\nto-client A 10137+1448 1\nto-client A 11585+1448 1\nto-client A 13033+1448 1\nquiet\n"
	"wait 10\nclient A 1 2897\nto-client A 14481+1448 1\ncwnd client 17376\nwait 10\nclient A 1 15929\nwrite client 100\nto-client A 15929+100 1\nwait 10\nclient A 1 16029\nwrite client 100\nto-client A 16029+100 1\nwait 10\nclient A 1 16129\ncwnd client 30408\n"},
{"an RTT sample ends the back-off", "setup no-sack\nadopt\nwrite client 2896\nto-client A 1+1448 1\nto-client A 1449+1448 1\nwait 1020\nto-client A 1+1448 1\nwait 2020\nto-client A 1+1448 1\nclient A 1 1449 echo 0\nto-client A 1449+1448 1\nwait 190\nquiet\nwait 30\nto-client A 1449+1448 1\nclient A 1 2897\nwait 2000\nquiet\n"},
{"segments that arrived long ago give no RTT where the ACK is of a retransmission", "setup no-sack no-timestamps\nadopt\nwrite client 10\nto-client A 1+10 1\nwait 100\nclient A 1 11\nwrite client 5840\nframes client 4\nwait 310\nto-client A 11+1460 1\nwait 100\nclient A 1 5851\nturn\nwrite client 10\nto-client A 5851+10 1\nwait 290\nquiet\nwait 25\nto-client A 5851+10 1\n"},
{"the RTO runs anew with each ACK (RFC 6298 5.3)", "setup no-sack\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwait 50\nclient A 1 1449\nwrite client 2896\nframes client 2\nwait 150\nclient A 1 2897\nwait 200\nquiet\nwait 50\nto-client A 2897+1448 1\n"},
{"without SACK a duplicate ACK lets a segment go", "setup no-sack no-timestamps\nadopt\nwrite client 29200\nframes client 10\nwait 20\nclient A 1 1\nto-client A 14601+1460 1\nquiet\nclient A 1 1\nto-client A 16061+1460 1\nquiet\n"},
{"a FIN is no duplicate ACK", "setup no-sack no-timestamps\nadopt\nwrite client 2920\nframes client 2\nwait 20\nclient A 1 1\nclient A 1 1\nclient FA 1 1\nto-client A 2921 2\nquiet\ncount retransmits 0\n"},
{"an ACK of something sent twice ends the full back-off, though it gives no RTT", "setup no-sack no-timestamps\nadopt\nwrite client 100\nto-client A 1+100 1\nwrite client 100\nto-client A 101+100 1\nwait 1010\nframes client 2\nwait 2010\nframes client 2\nwait 4010\nframes client 2\nclient A 1 101\nwait 1980\nquiet\nwait 30\nto-client A 101+100 1\n"},
{"an echo of what was never sent is no RTT", "setup no-sack\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 1010\nto-client A 1+100 1\nclient A 1 101 echo 2000000000\nwrite client 100\nto-client A 101+100 1\nwait 980\nquiet\nwait 30\nto-client A 101+100 1\n"},
{"RTO: backs off to a minute at least", "setup no-sack no-timestamps retries 20 keepalive 0\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 20\nclient A 1 101\nwrite client 100\nto-client A 101+100 1\nwait 210\nto-client A 101+100 1\nwait 410\n"
	"to-client A 101+100 1\nwait 810\nto-client A 101+100 1\nwait 1610\nto-client A 101+100 1\nwait 3210\nto-client A 101+100 1\nwait 6410\nto-client A 101+100 1\nwait 12810\nto-client A 101+100 1\nwait 25610\n"
	"to-client A 101+100 1\nwait 51210\nto-client A 101+100 1\nwait 59000\nquiet\n"},
{NULL, NULL},
};
