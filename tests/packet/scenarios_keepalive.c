/* SPDX-License-Identifier: Apache-2.0 */
/* Silent peers. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_keepalive[] = {
{"keepalive finds the peer alive", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\nclient A 1 1\norigin A 1 1\nwait 3000\nquiet\nlive\n"},
{"keepalive finds the client dead", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\norigin A 1 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\n"
	"wait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client RA 1 1\nto-origin RA 1 1\ntold client reset\n"},
{"a peer's keepalive is answered", "setup\nadopt\nclient A 0 1\nto-client A 1 1\nclient A 0+1 1\nto-client A 1 1\nquiet\n"},
{"keepalive: none where the peer speaks", "setup keepalive 8000\nadopt\nwait 4000\nclient A 1+10 1\nwait 41\nto-client A 1 11\nwait 3970\nto-origin A 0 1\norigin A 1 1\nwait 7900\nquiet\n"},
{"keepalive: none where it is off", "setup keepalive 0\nadopt\nwait 864000000\nquiet\nlive\nclient A 1+10 1\ngot client 10\n"},
{"keepalive: none while bytes are on their way", "setup keepalive 8000 retries 20\nadopt\nwait 7900\norigin A 1 1\nwrite client 10\nto-client A 1+10 1\nwait 200\nquiet\n"},
{"keepalive: the last probe is answered", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\norigin A 1 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\n"
	"wait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 900\nclient A 1 1\nwait 500\nlive\ncount timeouts 0\n"},
{"keepalive: a peer that was restarted", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\nclient R 1 0\nto-origin RA 1 1\ntold client reset\ngone\n"},
{"keepalive: a segment too old to count is no sign of life", "setup keepalive 8000\nadopt\nwait 7000\norigin A 1 1\nclient A 90000000 1\nto-client A 1 1\nwait 1010\nto-client A 0 1\n"},
{"a window probe is answered, but no storm of them", "setup\nadopt\nclient A 0 1\nto-client A 1 1\nclient A 0 1\nclient A 0 1\nquiet\nwait 51\nclient A 0 1\nto-client A 1 1\nquiet\n"},
{"keepalive: probes are a second apart at least", "setup keepalive 4000\nadopt\nwait 4010\nto-client A 0 1\nto-origin A 0 1\norigin A 1 1\nwait 900\nquiet\nwait 110\nto-client A 0 1\n"},
{"keepalive: probes are 75 seconds apart at most", "setup keepalive 7200000\nadopt\nwait 7200010\nto-client A 0 1\nto-origin A 0 1\norigin A 1 1\nwait 74900\nquiet\nwait 110\nto-client A 0 1\n"},
{"keepalive: probes are an eighth of the time apart", "setup keepalive 80000\nadopt\nwait 80010\nto-client A 0 1\nto-origin A 0 1\norigin A 1 1\nwait 9900\nquiet\nwait 110\nto-client A 0 1\n"},
{NULL, NULL},
};
