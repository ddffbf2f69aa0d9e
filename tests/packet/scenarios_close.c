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
{"both close at once", "setup\nadopt\nfinish client\nfinish origin\nto-client FA 1 1\nto-origin FA 1 1\nclient FA 1 1\nto-client A 2 2\nclient A 2 2\norigin FA 1 1\nto-origin A 2 2\norigin A 2 2\ngone\ntold client fin\n"},
{"FIN out of order", "setup\nadopt\nclient FA 101+10 1\nto-client A 1 1 sack 101-111\ntold client nothing\nclient A 1+100 1\nto-client A 1 112\ngot client 110\ntold client fin\n"},
{"FIN after all data, with the last of it", "setup\nadopt\nwrite client 2000\nto-client A 1+1448 1\nto-client A 1449+552 1\nfinish client\nto-client FA 2001 1\nclient A 1 2002\nquiet\n"},
{"our FIN is lost", "setup\nadopt\nfinish client\nto-client FA 1 1\nwait 1010\nto-client FA 1 1\nclient A 1 2\nwait 3000\nquiet\n"},
{"their FIN is repeated", "setup\nadopt\nclient FA 1 1\nto-client A 1 2\nclient FA 1 1\nto-client A 1 2\nquiet\n"},
{"TIME_WAIT absorbs strays", "setup\nadopt\nclient FA 1+10 1\nto-client A 1 12\nfinish origin\nfinish client\nto-origin FA 1 1\nto-client FA 1 12\nclient A 12 2\norigin FA 1 2\nto-origin A 2 2\ngone\n"
	"client A 1+10 1\nto-client A 2 12\nclient FA 11 1\nquiet\nclient RA 12 2\nquiet\ncount flows 1\nwait 1000\ncount flows 0\nquiet\n"},
{"a new connection on a port in TIME_WAIT", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\ngone\nclient S 100000 0\nto-origin S 100000 0\ncount syn_tracked 2\n"},
{"a peer that never closes its half", "setup fin-wait 5000\nadopt\nfinish client\nfinish origin\nto-client FA 1 1\nto-origin FA 1 1\nclient A 1 2\norigin A 1 2\nwait 5010\nto-client RA 2 1\nto-origin RA 2 1\ngone\n"},
{NULL, NULL},
};
