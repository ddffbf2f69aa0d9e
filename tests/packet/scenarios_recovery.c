/* SPDX-License-Identifier: Apache-2.0 */
/* How we recover: tail loss probes, PRR, reordering, what turns out to be a mistake, congestion windows,
 * bursts. */
#include "tests/packet/scenario.h"

/* One round trip of 50 ms, so that there is an RTT: 1448 bytes to the client. */
#define RTT_50 "adopt\nwrite client 1448\nto-client A 1+1448 1\nwait 50\nclient A 1 1449\n"
#define FIVE                                                                                                 \
	"write client 7240\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nto-client A 4345+1448 "        \
	"1\nto-client A 5793+1448 1\nto-client A 7241+1448 1\n"
#define TEN                                                                                                  \
	"write client 14480\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nto-client A 4345+1448 "       \
	"1\nto-client A 5793+1448 1\nto-client A 7241+1448 1\n"                                              \
	"to-client A 8689+1448 1\nto-client A 10137+1448 1\nto-client A 11585+1448 1\nto-client A "          \
	"13033+1448 1\nto-client A 14481+1448 1\n"

/* clang-format off */
const struct scenario scenarios_recovery[] = {
{"the tail of a flight is lost: a probe finds out", "setup\n" RTT_50 FIVE "wait 20\nclient A 1 2897\nquiet\nwait 91\nquiet\nwait 12\nto-client A 7241+1448 1\ncount tail_probes 1\n"
	"wait 50\nclient A 1 2897 sack 7241-8689\nto-client A 2897+1448 1\nquiet\nwait 50\nclient A 1 4345 sack 7241-8689\nto-client A 4345+1448 1\nto-client A 5793+1448 1\nquiet\nwait 50\nclient A 1 8689\nwait 1000\nquiet\n"
	"count retransmit_timeouts 0\ncount fast_recoveries 1\n"},
{"a probe is new data where there is some", "setup\n" RTT_50 TEN "write client 1448\nquiet\nwait 98\nquiet\nwait 10\nto-client A 15929+1448 1\nquiet\nwait 185\nquiet\nwait 20\nto-client A 1449+1448 1\nquiet\ncount tail_probes 1\n"},
{"one probe, then the time-out", "setup\n" RTT_50 FIVE "wait 110\nto-client A 7241+1448 1\nwait 190\nquiet\nwait 20\nto-client A 1449+1448 1\nquiet\ncount tail_probes 1\ncount retransmit_timeouts 1\n"},
{"a lone segment may be acknowledged late: no probe before the RTO", "setup\n" RTT_50 "write client 100\nto-client A 1449+100 1\nwait 195\nquiet\nwait 15\nto-client A 1449+100 1\ncount tail_probes 1\n"},
{"no probe without SACK", "setup no-sack\n" RTT_50 FIVE "wait 195\nquiet\nwait 15\nto-client A 1449+1448 1\ncount tail_probes 0\ncount retransmit_timeouts 1\n"},
{"a probe that filled the hole: the window shrinks once", "setup\n" RTT_50 "cwnd client 14480\nwrite client 2896\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nwait 110\nto-client A 2897+1448 1\nclient A 1 4345\nquiet\ncwnd client 14480\n"
	"write client 100\nto-client A 4345+100 1\nclient A 1 4445\ncwnd client 10136\n"},
{"a probe that was not needed: both copies arrive", "setup\n" RTT_50 "write client 2896\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nwait 110\nto-client A 2897+1448 1\nclient A 1 4345\nclient A 1 4345 sack 2897-4345\n"
	"write client 100\nto-client A 4345+100 1\nclient A 1 4445\ncwnd client 14480\n"},
{"the same, of a peer without D-SACK", "setup\n" RTT_50 "write client 2896\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nwait 110\nto-client A 2897+1448 1\nclient A 1 4345\nclient A 1 4345\n"
	"write client 100\nto-client A 4345+100 1\nclient A 1 4445\ncwnd client 14480\n"},

{"PRR: CUBIC comes down to seven tenths as ACKs come", "setup\n" RTT_50 TEN "write client 20000\nquiet\nwait 50\nclient A 1 1449 sack 2897-4345\nto-client A 15929+1448 1\nclient A 1 1449 sack 2897-5793\nto-client A 17377+1448 1\n"
	"client A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nquiet\n"
	"client A 1 1449 sack 2897-8689\nquiet\nclient A 1 1449 sack 2897-10137\nquiet\n"},
{"PRR: NewReno's half", "setup congestion newreno\n" RTT_50 TEN "write client 20000\nquiet\nwait 50\nclient A 1 1449 sack 2897-4345\nturn\nclient A 1 1449 sack 2897-5793\nturn\nclient A 1 1449 sack 2897-7241\n"
	"frames client 3\nclient A 1 1449 sack 2897-8689\nclient A 1 1449 sack 2897-10137\nturn\nquiet\nclient A 1 1449 sack 2897-11585\nframes client 1\nclient A 1 1449 sack 2897-13033\nquiet\nclient A 1 1449 sack 2897-14481\nquiet\n"
	"client A 1 1449 sack 2897-15929\nframes client 1\nwait 50\nclient A 1 15929 sack 15929-18825\ncwnd client 7240\n"},
{"recovery ends at ssthresh", "setup\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nquiet\nwait 50\nclient A 1 15929\nto-client A 15929+1448 1\ncwnd client 10902\ncount fast_recoveries 1\n"},
{"recovery ends at ssthresh: NewReno", "setup congestion newreno\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nquiet\nwait 50\nclient A 1 15929\nto-client A 15929+1448 1\ncwnd client 8688\n"},

{"reordered, not lost: undone by the echoed clock", "setup\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nquiet\nclient A 1 7241 echo 50\nto-client A 15929+1448 1\ncwnd client 15928\ncount spurious_recoveries 1\nclient A 1 17377\nwait 300\nquiet\n"},
{"lost, not reordered: the echo is of the retransmission", "setup\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nquiet\nwait 50\nclient A 1 15929 echo 0\nto-client A 15929+1448 1\ncwnd client 10902\ncount spurious_recoveries 0\n"},
{"reordered, not lost: undone by D-SACK", "setup no-timestamps\nadopt\nwrite client 1460\nto-client A 1+1460 1\nwait 50\nclient A 1 1461\nwrite client 7300\nto-client A 1461+1460 1\nto-client A 2921+1460 1\nto-client A 4381+1460 1\nto-client A 5841+1460 1\nto-client A 7301+1460 1\n"
	"wait 50\nclient A 1 1461 sack 2921-7301\nto-client A 1461+1460 1\nclient A 1 8761\ncount spurious_recoveries 0\ncwnd client 10220\nclient A 1 8761 sack 1461-2921\ncount spurious_recoveries 1\ncwnd client 14600\n"},
{"a time-out too early: undone by the echoed clock", "setup\n" RTT_50 FIVE "wait 110\nto-client A 7241+1448 1\nwait 210\nto-client A 1449+1448 1\ncwnd client 1448\nwait 10\nclient A 1 5793 echo 20\ncwnd client 18824\ncount spurious_recoveries 1\nquiet\n"
	"client A 1 8689\nwait 300\nquiet\ncount retransmits 2\n"},
{"a time-out: one segment, then slow start, SACKed ones are not sent again", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-4345\nwait 20\nto-client A 1449+1448 1\nwait 210\nto-client A 1449+1448 1\nquiet\ncount retransmit_timeouts 1\nwait 50\nclient A 1 4345 echo 0\n"
	"cwnd client 2896\nto-client A 4345+1448 1\nto-client A 5793+1448 1\nquiet\nwait 50\nclient A 1 7241 echo 0\nto-client A 7241+1448 1\nto-client A 8689+1448 1\nto-client A 10137+1448 1\nto-client A 11585+1448 1\nquiet\n"
	"wait 50\nclient A 1 13033 echo 0\nto-client A 13033+1448 1\nto-client A 14481+1448 1\nquiet\n"
	"wait 50\nclient A 1 15929\nwait 300\nquiet\ncount sack_reneged 0\n"},
{"SACK reneging in the middle: forgotten at the time-out, all is sent again", "setup\n" RTT_50 FIVE "wait 50\nclient A 1 1449 sack 2897-8689\nto-client A 1449+1448 1\nwait 50\nclient A 1 2897 echo 0\nquiet\nwait 40\nto-client A 2897+1448 1\ncount sack_reneged 1\nquiet\n"
	"wait 50\nclient A 1 4345 echo 0\nto-client A 4345+1448 1\nto-client A 5793+1448 1\nwait 50\nclient A 1 7241 echo 0\nto-client A 7241+1448 1\nwait 50\nclient A 1 8689 echo 0\nwait 500\nquiet\n"},
{"RACK's window widens where the peer reports duplicates", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nwait 5\nclient A 1 7241 echo 50\ncount spurious_recoveries 1\nclient A 1 7241 sack 1449-2897\nclient A 1 15929\n"
	"write client 14480\nframes client 10\nwait 50\nclient A 1 15929 sack 17377-21721\nwait 20\nquiet\nclient A 1 21721\nclient A 1 30409\ncount fast_recoveries 1\nquiet\n"},
{"and a loss is found all the same, a little later", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nwait 5\nclient A 1 7241 echo 50\ncount spurious_recoveries 1\nclient A 1 7241 sack 1449-2897\nclient A 1 7241 sack 1449-2897\nclient A 1 15929\n"
	"write client 14480\nframes client 10\nwait 50\nclient A 1 15929 sack 17377-21721\nwait 20\nquiet\nwait 10\nto-client A 15929+1448 1\ncount fast_recoveries 2\n"},
{"idle for long: the window is a new connection's", "setup\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 15929\nto-client A 15929+1448 1\nwait 50\nclient A 1 17377\ncwnd client 28960\nwait 1000\nwrite client 100\nto-client A 17377+100 1\ncwnd client 14480\n"},
{"idle for one RTO: half of it", "setup\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 15929\nto-client A 15929+1448 1\nwait 50\nclient A 1 17377\nwrite client 28960\nframes client 20\nwrite client 1448\nwait 50\nclient A 1 46337\nframes client 1\nwait 50\nclient A 1 47785\ncwnd client 57920\n"
	"wait 300\nwrite client 100\nto-client A 47785+100 1\ncwnd client 28960\n"},
{"a window that opens at once is paced", "setup\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 15929\nto-client A 15929+1448 1\nwait 50\nclient A 1 17377\nwrite client 28960\nframes client 20\nwrite client 1448\nwait 50\nclient A 1 46337 win 0\nquiet\n"
	"write client 57920\nwait 20\nclient A 1 46337 win 512\nframes client 10-18\nwait 12\nframes client 3-23\nwait 20\nframes client 3-23\ncount bursts_held 2+\n"},
{"needless by D-SACK: RACK learns from it", "setup no-timestamps\nadopt\nwrite client 1460\nto-client A 1+1460 1\nwait 50\nclient A 1 1461\nwrite client 7300\nframes client 5\nwait 50\nclient A 1 1461 sack 2921-7301\nto-client A 1461+1460 1\nwait 50\nclient A 1 8761\nclient A 1 8761 sack 1461-2921\n"
	"count spurious_recoveries 1\nwrite client 7300\nframes client 5\nwait 50\nclient A 1 8761 sack 10221-14601\nturn\nquiet\nclient A 1 16061\nwait 300\nquiet\n"},
{"recovery that the timer began sends one segment, ACKs bring the rest; undone, the rest was never lost", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-4345\nclient A 1 7241\nwrite client 10136\nframes client 4\nwait 49\nclient A 1 7241 sack 13033-14481\nframes client 2\nwait 20\nto-client A 7241+1448 1\nquiet\n"
	"client A 1 8689 echo 70\nframes client 1\ncount spurious_recoveries 1\nclient A 1 26065\nwait 300\nquiet\n"},
{"no probe during recovery", "setup\n" RTT_50 FIVE "wait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nquiet\nwait 190\nquiet\nwait 20\nto-client A 1449+1448 1\ncount tail_probes 0\n"},
{"a probe that was not needed, told with the ACK of more", "setup\n" RTT_50 "write client 2896\nframes client 2\nwait 110\nto-client A 2897+1448 1\nclient A 1 4345\nwrite client 100\nto-client A 4345+100 1\nclient A 1 4445 sack 2897-4345\ncwnd client 14480\n"},
{"two time-outs are one loss", "setup\n" RTT_50 TEN "wait 108\nto-client A 14481+1448 1\nwait 210\nto-client A 1449+1448 1\nwait 410\nto-client A 1449+1448 1\ncount retransmit_timeouts 2\nclient A 1 15929\ncwnd client 10574\n"},
{"reordering seen: later segments' arrival is no loss yet", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-4345\nclient A 1 7241\nclient A 1 7241 sack 8689-13033\nquiet\nwait 20\nto-client A 7241+1448 1\n"},
{"the RTO waits for the retransmission's ACK", "setup\n" RTT_50 FIVE "wait 110\nto-client A 7241+1448 1\nwait 150\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nwait 100\nquiet\nclient A 1 8689\nwait 300\nquiet\ncount retransmit_timeouts 0\n"},
{"one of two retransmissions was needless: nothing is undone (D-SACK)", "setup no-timestamps\nadopt\nwrite client 1460\nto-client A 1+1460 1\nwait 50\nclient A 1 1461\nwrite client 8760\nframes client 6\nwait 50\nclient A 1 1461 sack 4381-10221\nto-client A 1461+1460 1\nto-client A 2921+1460 1\n"
	"client A 1 10221\nclient A 1 10221 sack 1461-2921\ncount spurious_recoveries 0\nclient A 1 10221 sack 2921-4381\ncount spurious_recoveries 1\n"},
{"D-SACK of what was sent before or after an episode undoes nothing", "setup no-timestamps\nadopt\nwrite client 1460\nto-client A 1+1460 1\nwait 50\nclient A 1 1461\nwrite client 7300\nframes client 5\nwait 50\nclient A 1 1461 sack 2921-7301\nto-client A 1461+1460 1\nclient A 1 8761\n"
	"client A 1 8761 sack 1-1461\ncount spurious_recoveries 0\nwrite client 1460\nto-client A 8761+1460 1\nclient A 1 10221\nclient A 1 10221 sack 8761-10221\ncount spurious_recoveries 0\nclient A 1 10221 sack 1461-2921\ncount spurious_recoveries 1\n"},
{"a time-out too early is no reordering", "setup\n" RTT_50 FIVE "wait 110\nto-client A 7241+1448 1\nwait 210\nto-client A 1449+1448 1\nwait 10\nclient A 1 5793 echo 20\ncount spurious_recoveries 1\nclient A 1 8689\n"
	"write client 7240\nframes client 5\nwait 50\nclient A 1 8689 sack 10137-14481\nto-client A 8689+1448 1\n"},
{"what was sent before the retransmission that arrived is lost, too, though nothing is SACKed", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nwait 50\nclient A 1 7241 echo 0\nto-client A 7241+1448 1\n"},
{"a probe that was not needed is no reordering", "setup\n" RTT_50 "write client 2896\nframes client 2\nwait 110\nto-client A 2897+1448 1\nclient A 1 4345\nclient A 1 4345 sack 2897-4345\nwrite client 2896\nframes client 2\nwait 50\nclient A 1 4345 sack 5793-7241\nquiet\nwait 20\nto-client A 4345+1448 1\n"},
{"a loss that the timer finds in recovery is of the same episode", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-4345\nclient A 1 7241\nclient A 1 7241 sack 8689-13033\nquiet\nwait 20\nto-client A 7241+1448 1\nclient A 1 7241 sack 8689-13033 14481-15929\nquiet\nwait 20\nto-client A 13033+1448 1\ncount fast_recoveries 1\n"},
{"after a time-out the window grows, though it was not full before", "setup no-sack\n" RTT_50 "write client 100\nto-client A 1449+100 1\nwait 220\nto-client A 1449+100 1\ncwnd client 1448\nwait 50\nclient A 1 1549 echo 0\ncwnd client 1548\n"},
{"an ACK of old arrivals after a time-out brings two segments", "setup\n" RTT_50 TEN "wait 110\nto-client A 14481+1448 1\nwait 210\nto-client A 1449+1448 1\ncwnd client 1448\nwait 50\nclient A 1 13033 echo 0\ncwnd client 4344\n"},
{"a D-SACK within the second block (RFC 2883 4) widens RACK's window", "setup\n" RTT_50 FIVE "wait 50\nclient A 1 1449 sack 2897-4345 2897-4345\nwait 20\nquiet\nwait 12\nto-client A 1449+1448 1\n"},
{"RACK takes no echo of before the retransmission for the retransmission's", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nwait 60\nclient A 1 7241 echo 50 sack 8689-10137\ncount spurious_recoveries 1\nquiet\nwait 20\nto-client A 7241+1448 1\nquiet\n"},
{"RACK's window widens with each round that brings duplicates", "setup\n" RTT_50 FIVE "wait 50\nclient A 1 8689 sack 1449-2897\nclient A 1 8689 sack 1449-2897\nwrite client 2896\nframes client 2\nwait 50\nclient A 1 8689 sack 10137-11585\nwait 30\nquiet\nwait 12\nto-client A 8689+1448 1\n"},
{"RACK's window is a round trip at most", "setup\n" RTT_50 FIVE "wait 50\nclient A 1 8689 sack 1449-2897\nclient A 1 8689 sack 1449-2897\nclient A 1 8689 sack 1449-2897\nclient A 1 8689 sack 1449-2897\nclient A 1 8689 sack 1449-2897\nwrite client 2896\nframes client 2\nwait 50\nclient A 1 8689 sack 10137-11585\nwait 46\nquiet\nwait 10\nto-client A 8689+1448 1\n"},
{"RACK's window stays wide over a recovery", "setup\n" RTT_50 FIVE "wait 50\nclient A 1 8689 sack 1449-2897\nwrite client 7240\nframes client 5\nwait 50\nclient A 1 8689 sack 10137-14481\nto-client A 8689+1448 1\nwait 50\nclient A 1 15929 echo 0\nwrite client 2896\nframes client 2\nwait 50\nclient A 1 15929 sack 17377-18825\nwait 20\nquiet\nwait 12\nto-client A 15929+1448 1\n"},
{"a time-out does not lose what was sent just before it", "setup\n" RTT_50 "write client 1448\nto-client A 1449+1448 1\nwait 215\nto-client A 1449+1448 1\nwait 170\nwrite client 1448\nto-client A 2897+1448 1\nwait 30\nto-client A 1449+1448 1\ncount retransmit_timeouts 1\nwait 10\nclient A 1 2897 echo 0\nquiet\nclient A 1 4345\ncount retransmits 2\n"},
{"a FIN that was SACKed with what is before it, and reneged on", "setup\n" RTT_50 "write client 4344\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nto-client A 4345+1448 1\nfinish client\nto-client FA 5793 1\nwait 50\nclient A 1 1449 sack 2897-5794\nwait 20\nto-client A 1449+1448 1\nwait 50\nclient A 1 2897 echo 0\nquiet\nwait 40\nto-client A 2897+1448 1\ncount sack_reneged 1\n"
	"wait 50\nclient A 1 4345 echo 0\nto-client FA 4345+1448 1\nclient A 1 5794\nwait 500\nquiet\n"},
{"a short path takes its bursts from the ACKs", "setup\nadopt\nwrite client 120000\nframes client 10\nwait 2\nclient A 1 14481\nframes client 20\nwait 2\nclient A 1 43441\nframes client 40\ncount bursts_held 0\n"},
{"a long path is paced, but for as many as a new connection may send", "setup\nadopt\nwrite client 120000\nframes client 10\nwait 200\nclient A 1 14481\nframes client 20\nwait 200\nclient A 1 43441\nframes client 10-14\ncount bursts_held 1+\n"},
{"RACK's window is of the least round trip, not of the last", "setup\n" RTT_50 "write client 1448\nto-client A 1449+1448 1\nwait 150\nclient A 1 2897\nwrite client 2896\nframes client 2\nwait 110\nclient A 1 2897 sack 4345-5793\nquiet\nwait 20\nto-client A 2897+1448 1\n"},
{"of two retransmissions one was needless (its echo): nothing is undone yet", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 4345-8689\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nquiet\nclient A 1 2897 echo 50 sack 4345-8689\ncount spurious_recoveries 0\nwait 50\nclient A 1 15929 echo 0\ncount spurious_recoveries 0\n"},
{"PRR below ssthresh: as much as arrives, and a segment more for each ACK that shows no further loss", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 11585-15929\nframes client 3\nwait 50\nclient A 1 2897 sack 11585-15929\nframes client 2\nclient A 1 4345 sack 11585-15929\nframes client 2\ncwnd client 7240\n"},
{"PRR below ssthresh: what ACKs allowed while there was nothing to send is not lost", "setup\n" RTT_50 TEN "wait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nclient A 1 1449 sack 2897-8689\nclient A 1 1449 sack 2897-10137\nclient A 1 1449 sack 2897-11585\nclient A 1 1449 sack 2897-13033\nwrite client 14480\nframes client 4\n"},
{"records run out: the rest waits for ACKs, another leg does not", "setup alone sent 20 window 60000\nadopt\nwrite client 14480\nframes client 4\ncount no_segment 1+\nwrite origin 2896\nto-origin A 1+1448 1\nwait 20\nclient A 1 1449\nquiet\nclient A 1 2897\nto-client A 5793+1448 1\nquiet\norigin A 1 1449\nto-origin A 1449+1448 1\nclient A 1 5793\n"
	"frames client 2\nwait 20\nclient A 1 10137\nframes client 3\norigin A 1 2897\nwait 10\nclient A 1 14481\nwait 2000\nquiet\ncount retransmits 0\n"},
{"records run out: a flight's tail is probed by a retransmission", "setup alone sent 20\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwait 50\nclient A 1 1449\nwrite client 14480\nframes client 4\nwait 110\nto-client A 5793+1448 1\ncount tail_probes 1\nwait 50\nclient A 1 7241\nframes client 4\n"},
{"records run out: the last stands for the rest, a probe is one segment of it", "setup offloads sent 20\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwait 50\nclient A 1 1449\nwrite client 14480\nframes client 10\nwait 110\nto-client A 14481+1448 1\nquiet\ncount tail_probes 1\n"
	"wait 50\nclient A 1 1449 sack 14481-15929\nto-client A 1449+1448 1\nquiet\n"},
{"records run out: what stands for the rest is sent again in segments", "setup offloads sent 20\nadopt\nwrite client 1448\nto-client A 1+1448 1\nwait 50\nclient A 1 1449\nwrite client 14480\nframes client 10\nwait 50\nclient A 1 5793\nwait 250\nframes client 1\nwait 300\nto-client A 5793+1448 1\nquiet\nwait 20\nclient A 1 7241\nframes client 2\nwait 20\nclient A 1 10137\nframes client 4\nwait 20\nclient A 1 15929\nwait 1000\nquiet\n"},
{"a leg that has much to send leaves room for others: 64 segments a turn", "setup window 60000\nadopt\nwrite client 240000\nframes client 10\nwait 2\nclient A 1 14481\nframes client 20\nwait 2\nclient A 1 43441\nframes client 40\nwait 2\nclient A 1 101361\nframes client 64-66\nframes client 14-16\ncount bursts_held 0\n"},
{"undone: CUBIC's curve goes on where it was", "setup\n" RTT_50 TEN "write client 1448\nwait 50\nclient A 1 1449 sack 2897-7241\nto-client A 1449+1448 1\nquiet\nwait 50\nclient A 1 15929\nto-client A 15929+1448 1\ncwnd client 10902\n"
	"write client 28960\nframes client 6\nwait 50\nclient A 1 15929 sack 17377-21721\nframes client 1-2\nclient A 1 21721 echo 50\ncount spurious_recoveries 1\ncwnd client 11004\nframes client 0-9\nwait 50\nclient A 1 26065\ncwnd client 11306\n"},
{"RACK's window narrows after sixteen recoveries without a duplicate", "setup\n" RTT_50 FIVE "wait 50\nclient A 1 8689 sack 1449-2897\non origin 8688\n"
	"repeat 16\nwrite client 2896\nframes client 2\nwait 50\nclient A 1 1 sack 1449-2897\nwait 20\nquiet\nwait 12\nto-client A 1+1448 1\nwait 50\nclient A 1 2897 echo 0\non origin 2896\nagain\n"
	"count fast_recoveries 16\nwrite client 2896\nframes client 2\nwait 50\nclient A 1 1 sack 1449-2897\nwait 18\nto-client A 1+1448 1\n"},
{"NewReno: half of what was in flight, not of a window that was not used", "setup congestion newreno no-sack no-timestamps window 60000\nadopt\nwrite client 20440\nframes client 10\nwait 2\nclient A 1 14601\nframes client 4\nwait 2\nclient A 1 20441\nwrite client 60000\nframes client 20\nwait 2\n"
	"client A 1 49641\nturn\nframes client 22\nwait 2\nclient A 1 80441\nwait 2\nwrite client 5840\nframes client 4\nwait 2\nclient A 1 80441\nclient A 1 80441\nclient A 1 80441\nframes client 1\nwait 5\nclient A 1 86281\n"
	"turn\ncwnd client 2920\n"},
{"no SACK: after a time-out, duplicates at `recover` say nothing", "setup congestion newreno no-sack no-timestamps window 60000\nadopt\nwrite client 14600\nframes client 10\nwait 1010\nframes client 1\nclient A 1 14601\nturn\nwrite client 5840\nframes client 2-4\nwait 20\n"
	"client A 1 14601\nclient A 1 14601\nclient A 1 14601\nturn\ncount fast_recoveries 0\n"},
{NULL, NULL},
};
