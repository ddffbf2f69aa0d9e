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
{NULL, NULL},
};
