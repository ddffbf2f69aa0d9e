/* SPDX-License-Identifier: Apache-2.0 */
/* Silent peers. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_keepalive[] = {
{"keepalive finds the peer alive", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\nclient A 1 1\norigin A 1 1\nwait 3000\nquiet\nlive\n"},
{"keepalive finds the client dead", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\norigin A 1 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\n"
	"wait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client RA 1 1\nto-origin RA 1 1\ntold client reset\n"},
{"a peer's keepalive is answered", "setup\nadopt\nclient A 0 1\nto-client A 1 1\nclient A 0+1 1\nto-client A 1 1\nquiet\n"},
{NULL, NULL},
};
