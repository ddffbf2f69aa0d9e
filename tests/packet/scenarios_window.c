/* SPDX-License-Identifier: Apache-2.0 */
/* Windows, the peers' and ours: closing, shrinking, probing. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_window[] = {
{"zero window: persist probes, more and more rarely", "setup\nadopt\nclient A 1 1 win 0\nwrite client 100\nquiet\nwait 1010\nto-client A 0 1\n"
	"client A 1 1 win 0\nwait 1990\nquiet\nwait 30\nto-client A 0 1\nclient A 1 1 win 0\nwait 100\nclient A 1 1 win 512\nto-client A 1+100 1\n"},
{"zero window, never answered", "setup retries 3\nadopt\nclient A 1 1 win 0\nwrite client 100\nwait 1010\nto-client A 0 1\nwait 2010\nto-client A 0 1\nwait 4010\nto-client A 0 1\n"
	"wait 8010\nto-client RA 1 1\nto-origin RA 1 1\ntold client reset\n"},
{"a window too small for a segment waits, then goes", "setup no-scale\nadopt\nclient A 1 1 win 100\nwrite client 1000\nquiet\nwait 1010\nto-client A 1+100 1\nclient A 1 101 win 2000\nto-client A 101+900 1\n"},
{"the window shrinks below what was sent", "setup no-scale window 60000\nadopt\nwrite client 2896\nto-client A 1+1448 1\nto-client A 1449+1448 1\nclient A 1 1449 win 0\nwait 300\nto-client A 1449+1448 1\n"
	"write client 100\nquiet\nclient A 1 2897 win 1000\nto-client A 2897+100 1\n"},
{"our window closes and opens", "setup credit 8192 no-scale\nadopt\nclient A 1+1448 1\nclient A 1449+1448 1\nto-client A 1 2897\nclient A 2897+1448 1\nclient A 4345+1448 1\n"
	"to-client A 1 5793\nclient A 5793+1448 1\nclient A 7241+1448 1\nto-client A 1 8689\ngot client 8192\nconsume client 8192\ngot client 8688\nquiet\n"},
{"never beyond the credit, never back", "setup credit 4000 no-scale reorder 65536\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\n"
	"client A 1+1000 1\nwait 41\nto-client A 1 1001 win 3000\nclient A 1001+1000 1\nclient A 2001+1000 1\nto-client A 1 3001 win 1000\nclient A 3001+1000 1\nwait 41\nto-client A 1 4001 win 0\n"
	"client A 4001+1 1\nto-client A 1 4001 win 0\ngot client 4000\nconsume client 4000\nto-client A 1 4001 win 4000\nquiet\n"},
{"the worker's channel is full", "setup\nadopt\nfull\nclient A 1+100 1\nclient FA 101+50 1\nwait 41\nto-client A 1 152\ngot client 0\nready\ngot client 150\ntold client fin\n"},
{"bytes up to the window's edge, and not one more", "setup credit 3000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\n"
	"client A 2501+501 1\nto-client A 1 1 sack 2501-3001\nclient A 3001+10 1\nto-client A 1 1 sack 2501-3001\nclient A 1+2500 1\ngot client 3000\nto-client A 1 3001\nquiet\n"},
{"a byte behind the window's edge is none of ours", "setup credit 3000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\n"
	"client A 3002+10 1\nto-client A 1 1 nosack\nclient A 3002+10 1\nquiet\ncount out_of_window 2\ncount reordered 0\n"},
{"a closed window takes nothing but says so", "setup credit 2000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 2000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\n"
	"client A 1+2000 1\nwait 41\nto-client A 1 2001 win 0\nclient A 2001+500 1\nto-client A 1 2001 win 0\nclient A 2000+1 1\nto-client A 1 2001 win 0\nclient FA 2001 1\nto-client A 1 2002 win 0\ntold client fin\ngot client 2000\nquiet\n"},
{"a byte more at a time does not open the window (silly windows)", "setup credit 4000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 4000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\n"
	"client A 1+2000 1\nclient A 2001+2000 1\nto-client A 1 4001 win 0\nconsume client 1\nconsume client 100\nconsume client 500\nquiet\nconsume client 2500\nto-client A 1 4001 win 2500\nconsume client 2600\nquiet\n"},
{"zero window: the update is lost, a probe finds it open", "setup\nadopt\nclient A 1 1 win 0\nwrite client 100\nwait 1010\nto-client A 0 1\nclient A 1 1 win 512\nto-client A 1+100 1\nclient A 1 101\nwait 2000\nquiet\n"},
{"zero window: the FIN waits, too", "setup\nadopt\nclient A 1 1 win 0\nfinish client\nquiet\nwait 1010\nto-client A 0 1\nclient A 1 1 win 0\nwait 2010\nto-client A 0 1\nclient A 1 1 win 1\nto-client FA 1 1\nclient A 1 2\nwait 5000\nquiet\n"},
{"zero window: answered for an hour, the connection stays", "setup retries 3\nadopt\nclient A 1 1 win 0\nwrite client 100\nwait 1010\nto-client A 0 1\nclient A 1 1 win 0\nwait 2010\nto-client A 0 1\nclient A 1 1 win 0\nwait 4010\nto-client A 0 1\n"
	"client A 1 1 win 0\nwait 8010\nto-client A 0 1\nclient A 1 1 win 0\nwait 16010\nto-client A 0 1\nclient A 1 1 win 0\nwait 32010\nto-client A 0 1\nclient A 1 1 win 0\nwait 60010\nto-client A 0 1\nclient A 1 1 win 0\nwait 60010\nto-client A 0 1\nclient A 1 1 win 512\nto-client A 1+100 1\nlive\n"},
{"the window shrinks to nothing, what was sent is offered again for as long as the peer answers (RFC 9293 3.8.6)", "setup retries 3\nadopt\nwrite client 100\nto-client A 1+100 1\nclient A 1 1 win 0\n"
	"wait 1010\nto-client A 1+100 1\nclient A 1 1 win 0\nwait 2010\nto-client A 1+100 1\nclient A 1 1 win 0\nwait 4010\nto-client A 1+100 1\nclient A 1 1 win 0\n"
	"wait 8020\nto-client A 1+100 1\nclient A 1 1 win 0\nwait 16020\nto-client A 1+100 1\nclient A 1 1 win 0\nwait 32020\nto-client A 1+100 1\nclient A 1 101 win 512\nlive\nwait 9000\nquiet\n"},
{"the window shrinks to nothing and the peer is gone", "setup retries 3\nadopt\nwrite client 100\nto-client A 1+100 1\nclient A 1 1 win 0\n"
	"wait 1010\nto-client A 1+100 1\nwait 1010\nto-client A 1+100 1\nwait 2010\nto-client A 1+100 1\nwait 4010\nto-client A 1+100 1\nwait 8020\nto-client RA 101 1\nto-origin RA 1 1\ngone\ncount timeouts 1\n"},
{"an ACK of something new brings its window, whatever its own number", "setup no-scale window 10000\nadopt\nclient A 101 1 win 10000\nwrite client 10000\nto-client A 1+1448 1\nto-client A 1449+1448 1\nto-client A 2897+1448 1\n"
	"to-client A 4345+1448 1\nto-client A 5793+1448 1\nto-client A 7241+1448 1\nto-client A 8689+1312 1\nclient A 1+100 8689 win 1312\ngot client 100\nwrite client 3000\nwait 41\nto-client A 10001 101\nquiet\n"
	"client A 101 10001 win 6000\nto-client A 10001+1448 101\nto-client A 11449+1448 101\nto-client A 12897+104 101\nquiet\n"},
{"an old segment does not bring back an old window", "setup no-scale window 10000\nadopt\nclient A 11+10 1 win 2000\nto-client A 1 1\nclient A 1+10 1 win 60000\nto-client A 1 21\nwrite client 3000\nto-client A 1+1448 21\nquiet\nclient A 21 1449 win 2000\nto-client A 1449+1448 21\n"},
{"windows of 1 GB", "setup\nclient S 0 0 opts 020405b403030e01\nto-origin S 0 0\norigin SA 0 1 opts 020405b403030e01\nto-client SA 0 1\nclient A 1 1 win 65535 opts 01010101\nto-origin A 1 1\nwrite client 2000\nto-client A 1+1460 1\nto-client A 1461+540 1\nclient A 1 2001 win 1 opts 01010101\nwrite client 2000\nto-client A 2001+1460 1\nto-client A 3461+540 1\n"},
{"a scale of 15 means 14 (RFC 7323 2.3)", "setup\nclient S 0 0 opts 020405b403030f01\nto-origin S 0 0\norigin SA 0 1 opts 020405b403030001\nto-client SA 0 1\nclient A 1 1 win 1 opts 01010101\nto-origin A 1 1\nwrite client 40000\n"
	"to-client A 1+1460 1\nto-client A 1461+1460 1\nto-client A 2921+1460 1\nto-client A 4381+1460 1\nto-client A 5841+1460 1\nto-client A 7301+1460 1\nto-client A 8761+1460 1\nto-client A 10221+1460 1\nto-client A 11681+1460 1\nto-client A 13141+1460 1\nquiet\nwait 100\n"
	"client A 1 14601 win 1 opts 01010101\nto-client A 14601+1460 1\nto-client A 16061+1460 1\nto-client A 17521+1460 1\nto-client A 18981+1460 1\nto-client A 20441+1460 1\nto-client A 21901+1460 1\nto-client A 23361+1460 1\nto-client A 24821+1460 1\nto-client A 26281+1460 1\nto-client A 27741+1460 1\nto-client A 29201+1460 1\nwait 50\nquiet\n"},
{"both ends are closed by the worker, the peer's window never opens: it ends all the same", "setup fin-wait 5000\nadopt\nclient A 1 1 win 0\nwrite client 100\nfinish client\nfinish origin\nto-origin FA 1 1\norigin FA 1 2\nto-origin A 2 2\n"
	"wait 1010\nto-client A 0 1\nclient A 1 1 win 0\nwait 2010\nto-client A 0 1\nclient A 1 1 win 0\nwait 4010\nto-client RA 1 1\ngone\ncount timeouts 1\nquiet\n"},
{"the channel takes a part", "setup\nadopt\nroom 700\nclient A 1+1448 1\nclient FA 1449+100 1\nto-client A 1 1550\ngot client 700\ntold client nothing\nroom 300\nready\ngot client 1000\ntold client nothing\nroom 100000\nready\ngot client 1548\ntold client fin\nquiet\n"},
{"a segment that ends at the window's edge is wholly within it", "setup credit 3000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nclient A 1501+1500 1\nto-client A 1 1 sack 1501-3001\nclient A 1+1500 1\ngot client 3000\nto-client A 1 3001\ncount out_of_window 0\nquiet\n"},
{"a FIN beyond the window's edge is not taken with the bytes before it", "setup credit 3000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 3000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nclient FA 2901+200 1\nto-client A 1 1 sack 2901-3001\nclient A 1+2900 1\nto-client A 1 3001 win 0\ngot client 3000\ntold client nothing\n"
	"consume client 3000\nto-client A 1 3001 win 3000\nclient A 3001+100 1\ngot client 3100\ntold client nothing\nwait 41\nto-client A 1 3101\n"},
{"a closed window does not open by a few bytes, even where there is an ACK to send", "setup credit 4000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 4000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\n"
	"client A 1+2000 1\nclient A 2001+2000 1\nto-client A 1 4001 win 0\nconsume client 100\nclient A 4001+1 1\nto-client A 1 4001 win 0\nquiet\n"},
{"a slow reader is waited for, however long its worker has closed", "setup fin-wait 3000 no-scale window 1448\nadopt\nclient A 1 1 win 1448\nwrite client 7240\nfinish client\nfinish origin\nto-client A 1+1448 1\nto-origin FA 1 1\norigin A 1 2\nwait 900\nclient A 1 1449 win 1448\nto-client A 1449+1448 1\nwait 900\n"
	"client A 1 2897 win 1448\nto-client A 2897+1448 1\nwait 900\nclient A 1 4345 win 1448\nto-client A 4345+1448 1\nwait 900\nclient A 1 5793 win 1449\nto-client FA 5793+1448 1\nwait 900\nlive\nclient A 1 7242 win 1448\nwait 2900\nlive\nclient FA 1 7242\nto-client A 7242 2\norigin FA 1 2\nto-origin A 2 2\ngone\n"},
{"what waits for the worker is no gap", "setup\nadopt\nfull\nclient A 1+100 1\nclient A 301+100 1\nto-client A 1 101 sack 301-401\nclient A 501+100 1\nto-client A 1 101 sack 501-601 301-401\n"},
{"a window by the other end's scale", "setup\nclient S 0 0 opts 020405b403030201\nto-origin S 0 0\norigin SA 0 1 win 65160 opts 020405b403030501\nto-client SA 0 1\nclient A 1 1 win 60000 opts 01010101\nto-origin A 1 1 win 65535\nclient A 1+1460 1 opts 01010101\nclient A 1461+1460 1 opts 01010101\nto-client A 1 2921 win 8100\n"},
{"a FIN that was received: nobody is told of a window", "setup credit 4000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 4000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nclient A 1+2000 1\nclient FA 2001+2000 1\nto-client A 1 4002 win 0\nconsume client 4000\nquiet\n"},
{"zero window: it opens a little, the probes begin anew", "setup no-scale\nadopt\nclient A 1 1 win 0\nwrite client 100\nwait 1010\nto-client A 0 1\nclient A 1 1 win 0\nwait 2010\nto-client A 0 1\nclient A 1 1 win 50\nquiet\nwait 980\nquiet\nwait 30\nto-client A 1+50 1\n"},
{"a window update is worth a full segment of the peer's", "setup credit 8000 no-scale\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 8000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nclient A 1+1448 1\nclient A 1449+1448 1\nto-client A 1 2897\nclient A 2897+1448 1\nclient A 4345+1448 1\nto-client A 1 5793\n"
	"client A 5793+1448 1\nconsume client 1100\nquiet\nconsume client 1500\nto-client A 1 7241\nquiet\n"},
{"a scale that the origin does not speak is not the client's either", "setup\nclient S 0 0 opts 020405b403030701\nto-origin S 0 0\norigin SA 0 1 opts 020405b4\nto-client SA 0 1\nclient A 1 1 win 100 opts 01010101\nto-origin A 1 1\nwrite client 1000\nquiet\n"},
{"the window of a SYN-ACK is not scaled (RFC 7323 2.2)", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 win 1000\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nwrite origin 3000\nto-origin A 1+1000 1\nquiet\n"},
{"zero window: the probes do not begin with the RTO's back-off", "setup no-sack no-timestamps\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 1010\nto-client A 1+100 1\nwait 2010\nto-client A 1+100 1\nwrite client 2000\nclient A 1 101 win 0\nquiet\nwait 1010\nto-client A 100 1\nclient A 1 101 win 0\nwait 1980\nquiet\nwait 30\nto-client A 100 1\n"},
{"zero window: what goes when it opens has an RTO without the probes' back-off", "setup no-sack no-timestamps\nadopt\nclient A 1 1 win 0\nwrite client 100\nwait 1010\nto-client A 0 1\nclient A 1 1 win 0\nwait 2010\nto-client A 0 1\nclient A 1 1 win 0\nclient A 1 1 win 512\nto-client A 1+100 1\nwait 990\nquiet\nwait 20\nto-client A 1+100 1\ncwnd client 1460\n"},
{"shut over bytes on their way, for minutes, by a peer that answers: it lives, and gets them when it opens", "setup keepalive 0\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 20\nclient A 1 101\nwrite client 100\nto-client A 101+100 1\nclient A 1 101 win 0\nwait 205\nclient A 1 101 win 0\nwait 205\nclient A 1 101 win 0\n"
	"wait 410\nclient A 1 101 win 0\nwait 810\nclient A 1 101 win 0\nwait 1610\nclient A 1 101 win 0\nwait 3210\nclient A 1 101 win 0\nwait 6410\nclient A 1 101 win 0\nwait 12810\nclient A 1 101 win 0\nwait 25610\n"
	"client A 1 101 win 0\nwait 51210\nclient A 1 101 win 0\nwait 51210\nclient A 1 101 win 0\nwait 51210\nclient A 1 101 win 0\nwait 51210\nclient A 1 101 win 0\nwait 51210\nclient A 1 101 win 0\nframes client 11\nlive\n"
	"count timeouts 0\nwait 5000\nclient A 1 101 win 512\nquiet\nwait 210\nto-client A 101+100 1\nclient A 1 201 win 512\nwait 60000\nquiet\ncount timeouts 0\nlive\n"},
{"shut over bytes on their way, by a peer that then is gone", "setup keepalive 0 retries 3\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 20\nclient A 1 101\nwrite client 100\nto-client A 101+100 1\nclient A 1 101 win 0\nwait 210\nto-client A 101+100 1\nclient A 1 101 win 0\n"
	"wait 410\nto-client A 101+100 1\nclient A 1 101 win 0\nwait 810\nto-client A 101+100 1\nclient A 1 101 win 0\nwait 1610\nto-client A 101+100 1\nlive\nwait 3210\nto-client A 101+100 1\nwait 6410\nto-client A 101+100 1\n"
	"live\nwait 12810\nto-client RA 201 1\nto-origin RA 1 1\ntold client reset\ncount timeouts 1\n"},
{NULL, NULL},
};
