/* SPDX-License-Identifier: Apache-2.0 */
/* FINs in every order, TIME_WAIT. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_close[] = {
{"the client closes first", "setup\nadopt\nclient FA 1+10 1\nto-client A 1 12\ngot client 10\ntold client fin\nfinish origin\nto-origin FA 1 1\n"
	"origin A 1 2\norigin FA 1 2\nto-origin A 2 2\ntold origin fin\nfinish client\nto-client FA 1 12\nlive\nclient A 12 2\ngone\nquiet\ncount legs_established 0\nwait 1100\ncount flows 0\n"},
{"the origin closes first", "setup\nadopt\norigin FA 1 1\nto-origin A 1 2\ntold origin fin\nfinish client\nto-client FA 1 1\nclient FA 1 2\nto-client A 2 2\ntold client fin\n"
	"finish origin\nto-origin FA 1 2\norigin A 2 2\ngone\nwait 1100\ncount flows 0\n"},
{"half-closed, data still flows back", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nfinish origin\nto-origin FA 1 1\norigin A 1 2\norigin A 1+500 2\ngot origin 500\n"
	"write client 500\nto-client A 1+500 2\nclient A 2 501\nwait 41\nto-origin A 2 501\nlive\n"},
{"RST of one that has closed and was heard to the end", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\ntold client fin\nfinish origin\nto-origin FA 1 1\norigin A 1 2\n"
	"origin FA 1+10 2\nto-origin A 2 12\ngot origin 10\ntold origin fin\norigin RA 12 2\nquiet\nlive\n"
	"write client 10\nto-client A 1+10 2\nclient A 2 11\nfinish client\nto-client FA 11 2\nclient A 2 12\ngone\ntold client fin\n"},
{"RST of one that has our FIN, and has sent none", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nfinish origin\nto-origin FA 1 1\norigin A 1 2\norigin RA 1 2\nto-client RA 1 2\ngone\n"},
{"both close at once", "setup\nadopt\nfinish client\nfinish origin\nto-client FA 1 1\nto-origin FA 1 1\nclient FA 1 1\nto-client A 2 2\nclient A 2 2\norigin FA 1 1\nto-origin A 2 2\norigin A 2 2\ngone\ntold client fin\n"},
{"FIN out of order", "setup\nadopt\nclient FA 101+10 1\nto-client A 1 1 sack 101-111\ntold client nothing\nclient A 1+100 1\nto-client A 1 112\ngot client 110\ntold client fin\n"},
{"FIN after all data, with the last of it", "setup\nadopt\nwrite client 2000\nto-client A 1+1448 1\nto-client A 1449+552 1\nfinish client\nto-client FA 2001 1\nclient A 1 2002\nquiet\n"},
{"our FIN is lost", "setup\nadopt\nfinish client\nto-client FA 1 1\nwait 1010\nto-client FA 1 1\nclient A 1 2\nwait 3000\nquiet\n"},
{"their FIN is repeated", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nclient FA 1 1\nto-client A 1 2\nquiet\n"},
{"TIME_WAIT absorbs strays", "setup\nadopt\nclient FA 1+10 1\nto-client A 1 12\nfinish origin\nfinish client\nto-origin FA 1 1\nto-client FA 1 12\nclient A 12 2\norigin FA 1 2\nto-origin A 2 2\ngone\n"
	"client A 1+10 1\nto-client A 2 12\nclient FA 11 1\nquiet\nclient RA 12 2\nquiet\ncount flows 1\nwait 1000\ncount flows 0\nquiet\n"},
{"a new connection on a port in TIME_WAIT", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\ngone\nclient S 100000 0\nto-origin S 100000 0\ncount syn_tracked 2\n"},
{"a peer that never closes its half", "setup fin-wait 5000\nadopt\nfinish client\nfinish origin\nto-client FA 1 1\nto-origin FA 1 1\nclient A 1 2\norigin A 1 2\nwait 5010\nto-client RA 2 1\nto-origin RA 2 1\ngone\n"},
{"half-closed by the origin, the client still sends", "setup keepalive 120000\nadopt\norigin FA 1 1\nto-origin A 1 2\nfinish client\nto-client FA 1 1\nclient A 1 2\nclient A 1+700 2\ngot client 700\nwait 41\nto-client A 2 701\nwrite origin 700\nto-origin A 1+700 2\norigin A 2 701\n"
	"wait 120000\nto-client A 1 701\nlive\n"},
{"a FIN with data and the ACK of ours", "setup\nadopt\nfinish client\nto-client FA 1 1\nclient FA 1+500 2\ngot client 500\nto-client A 2 502\ntold client fin\nfinish origin\nto-origin FA 1 1\norigin FA 1 2\nto-origin A 2 2\ngone\nquiet\n"},
{"both close at once, all is lost, all is repeated", "setup\nadopt\nfinish client\nfinish origin\nto-client FA 1 1\nto-origin FA 1 1\nwait 1020\nto-client FA 1 1\nto-origin FA 1 1\nclient FA 1 1\nto-client A 2 2\norigin FA 1 1\nto-origin A 2 2\n"
	"wait 900\nclient FA 1 1\nto-client A 2 2\nwait 150\nto-client FA 1 2\nto-origin FA 1 2\nclient A 2 2\norigin A 2 2\ngone\nquiet\n"},
{"FINs cross: theirs has not our FIN's ACK, the ACK comes later", "setup\nadopt\nfinish origin\nto-origin FA 1 1\norigin FA 1 1\nto-origin A 2 2\ntold origin fin\nlive\norigin A 2 2\nwait 3000\nquiet\n"},
{"a FIN is only the worker's business once all before it was taken", "setup\nadopt\nfull\nclient FA 1+10 1\nto-client A 1 12\ntold client nothing\nfinish origin\nto-origin FA 1 1\nfinish client\nto-client FA 1 12\nclient A 12 2\norigin FA 1 2\nto-origin A 2 2\n"
	"quiet\nlive\nready\ngot client 10\ntold client fin\ngone\nwait 1100\ncount flows 0\n"},
{"the end is told late where the channel is full", "setup\nadopt\nfull\nclient RA 1 1\nto-origin RA 1 1\ntold client nothing\nlive\nwait 5000\ncount flows 1\nready\ntold client reset\ngone\nwait 1100\ncount flows 0\n"},
{"the worker writes more before its FIN than a window takes", "setup no-scale window 2000\nadopt\nclient A 1 1 win 2000\nwrite client 3000\nfinish client\nto-client A 1+1448 1\nquiet\nclient A 1 1449 win 1448\nto-client A 1449+1448 1\nclient A 1 2897 win 104\nto-client A 2897+104 1\n"
	"client A 1 3001 win 1\nto-client FA 3001 1\nclient A 1 3002\nwait 5000\nquiet\n"},
{"TIME_WAIT: an old SYN is not a new connection", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nfinish origin\nfinish client\nto-origin FA 1 1\nto-client FA 1 2\nclient A 2 2\norigin FA 1 2\nto-origin A 2 2\ngone\n"
	"client S 1 0 ts 1\nto-client A 2 2\ncount flows 1\ncount syn_tracked 1\nquiet\n"},
{"TIME_WAIT: a SYN with a wrong checksum ends nothing", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\nclient S 100000 0 bad\nquiet\ncount flows 1\n"},
{"TIME_WAIT: a SYN beyond the old connection's numbers is a new one", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nfinish origin\nfinish client\nto-origin FA 1 1\nto-client FA 1 2\nclient A 2 2\norigin FA 1 2\nto-origin A 2 2\ngone\n"
	"client S 3 0\nto-origin S 3 0\norigin SA 5000 4\nto-client SA 5000 4\nclient A 4 5001\nto-origin A 4 5001\ncount adopted 2\ncount flows 1\nquiet\n"},
{"TIME_WAIT: a SYN by a later clock is a new one (RFC 6191)", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nfinish origin\nfinish client\nto-origin FA 1 1\nto-client FA 1 2\nclient A 2 2\norigin FA 1 2\nto-origin A 2 2\ngone\nwait 500\n"
	"client S -5000 0\nto-origin S -5000 0\ncount syn_tracked 2\nquiet\n"},
{"TIME_WAIT: the origin makes no connection", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\norigin S 100000 0\nquiet\norigin SA 100000 1\nto-origin R 1 0\ncount flows 1\nquiet\n"},
{"TIME_WAIT: begins anew with the peer's FIN, whose ACK was lost, not with what else comes", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nfinish origin\nfinish client\nto-origin FA 1 1\nto-client FA 1 2\nclient A 2 2\norigin FA 1 2\nto-origin A 2 2\ngone\nwait 900\nclient FA 1 2\nto-client A 2 2\nwait 900\ncount flows 1\nclient A 1 2\nto-client A 2 2\nclient FA 0 2\norigin RA 2 2\nclient FA 2 2\nwait 110\ncount flows 0\nclient FA 1 2\nto-client R 2 0\nto-origin A -1073741823 2\nquiet\n"},
{"one leg reset by the worker, the other closes in order", "setup\nadopt\nclient A 1+10 1\nreset client\nto-client RA 1 11\nwrite origin 100\nto-origin A 1+100 1\norigin A 1 101\nfinish origin\nto-origin FA 101 1\nlive\norigin FA 1 102\nto-origin A 102 2\ntold origin fin\ngone\nquiet\nwait 1100\ncount flows 0\n"},
{"one leg reset by the worker, the peer of the other never closes", "setup fin-wait 3000\nadopt\nreset client\nto-client RA 1 1\nfinish origin\nto-origin FA 1 1\norigin A 1 2\nwait 3010\nto-origin RA 2 1\ngone\ncount timeouts 1\nquiet\n"},
{"fin_wait_ms begins anew once the peer has taken all", "setup fin-wait 3000\nadopt\nfinish client\nfinish origin\nto-client FA 1 1\nto-origin FA 1 1\norigin FA 1 2\nto-origin A 2 2\nwait 1020\nto-client FA 1 1\nwait 900\nclient A 1 2\nwait 2900\nlive\nquiet\nwait 110\nto-client RA 2 1\ngone\n"},
{"answers to strays of a leg that was reset are few", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\norigin A 1 1\nto-origin R 1 0\norigin A 1 1\nto-origin R 1 0\norigin A 1 1\nto-origin R 1 0\norigin A 1 1\nto-origin R 1 0\norigin A 1 1\nto-origin R 1 0\norigin A 1 1\nto-origin R 1 0\norigin A 1 1\nto-origin R 1 0\norigin A 1 1\nto-origin R 1 0\n"
	"origin A 1 1\nquiet\nwait 510\norigin A 1 1\nto-origin R 1 0\norigin R 1 0\nquiet\n"},
{"a connection that is reset with an ACK owed gives way at once", "setup\nadopt\nclient A 1+10 1\nturn\nclient RA 11 1\nto-origin RA 1 1\nclient S 100000 0\nto-origin S 100000 0\nwait 100\nquiet\ncount syn_tracked 2\n"},
{"an RST has the number that the challenge names", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nreset client\nto-client RA 101 1\nclient A 1 51\nto-client R 51 0\nclient A 1 1\nto-client R 1 0\nquiet\n"},
{"late words of the worker do not touch the next connection", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\ngone\nclient S 100000 0\nto-origin S 100000 0\norigin SA 5000 100001\nto-client SA 5000 100001\nclient A 100001 5001\nto-origin A 100001 5001\n"
	"late\nturn\nquiet\ncount worker_violations 0\ncount legs_established 1\n"},
{"no new connection under the same ports before the worker knows of the end", "setup\nadopt\nfull\nclient RA 1 1\nto-origin RA 1 1\nlive\nclient S 100000 0\nquiet\ncount syn_tracked 1\nready\ngone\nclient S 100000 0\nto-origin S 100000 0\ncount syn_tracked 2\n"},
{"TIME_WAIT: an ACK of where both stand is not answered", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nfinish origin\nfinish client\nto-origin FA 1 1\nto-client FA 1 2\nclient A 2 2\norigin FA 1 2\nto-origin A 2 2\ngone\nwait 600\nclient A 2 2\norigin A 2 2\nquiet\n"},
{"a FIN of a number before what was received is none", "setup\nadopt\nclient A 1+10 1\nwait 41\nto-client A 1 11\nclient FA 10 1\nto-client A 1 11\ntold client nothing\nclient A 11+10 1\ngot client 20\nclient FA 21 1\nto-client A 1 22\ntold client fin\n"},
{"a connection that gives way with an ACK owed is not in the way of the next", "setup\nadopt\nclient A 1+10 1\nclient RA 11 1\nclient S 100000 0\nto-origin RA 1 1\nto-origin S 100000 0\norigin SA 5000 100001\nto-client SA 5000 100001\nclient A 100001 5001\nto-origin A 100001 5001\nquiet\n"},
{NULL, NULL},
};
