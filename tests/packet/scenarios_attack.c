/* SPDX-License-Identifier: Apache-2.0 */
/* RSTs, SYNs, ACKs and data from inside and outside the window (RFC 5961). */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_attack[] = {
{"RST arrives at the other side", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\ntold client reset\ngone\ncount resets_in 1\nquiet\n"},
{"RST of the origin", "setup\nadopt\norigin R 1 0\nto-client RA 1 1\ntold origin reset\ngone\n"},
{"RST inside the window, not exact: challenge", "setup\nadopt\nclient R 100 0\nto-client A 1 1\nlive\ncount challenge_acks 1\nclient R 200 0\nquiet\nwait 600\nclient R 200 0\nto-client A 1 1\n"},
{"RST outside the window", "setup\nadopt\nclient R 90000000 0\nclient R -50 0\nquiet\nlive\ncount out_of_window 2\n"},
{"SYN in an open connection: challenge", "setup\nadopt\nclient S 5 0\nto-client A 1 1\nlive\nclient S 50 0\nquiet\n"},
{"an ACK of what was not sent: challenge", "setup\nadopt\nclient A 1 900\nto-client A 1 1\nclient A 1 1000000000\nquiet\nlive\n"},
{"data far ahead of the window", "setup\nadopt\nclient A 5000000+10 1\nto-client A 1 1\nclient A 5000000+10 1\nquiet\ngot client 0\n"},
{"an RST is challenged by the peer", "setup\nadopt\nreset client\nto-client RA 1 1\nquiet\nclient A 1 1\nto-client R 1 0\nquiet\n"},
{NULL, NULL},
};
