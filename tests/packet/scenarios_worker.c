/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker does, right and wrong. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_worker[] = {
{"the worker resets both", "setup\nadopt\nreset both\nto-client RA 1 1\nto-origin RA 1 1\ngone\ntold client nothing\n"},
{"the worker is lost", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nlost\nto-client RA 101 1\nto-origin RA 1 1\ncount worker_lost 1\nwait 1100\ncount flows 0\nlive\n"},
{"a lost worker is found by the next segment", "setup\nadopt\nlost\nclient A 1+10 1\nto-client RA 1 1\nto-origin RA 1 1\ngot client 0\n"},
{"a worker that claims bytes it never got", "setup\nadopt\nfoul consumed\nto-client RA 1 1\nto-origin RA 1 1\ngone\ncount worker_violations 1\n"},
{"a worker that names a third leg", "setup\nadopt\nfoul leg\nto-client RA 1 1\nto-origin RA 1 1\ngone\n"},
{"a worker that writes after its FIN", "setup\nadopt\nfinish client\nto-client FA 1 1\nfoul data\nto-client RA 2 1\nto-origin RA 1 1\ngone\n"},
{"a worker that says an unknown word", "setup\nadopt\nfoul word\nto-client RA 1 1\nto-origin RA 1 1\ngone\n"},
{"a worker that exceeds its slabs", "setup slabs 2\nadopt\nclient A 1 1 win 0\nwrite client 4096\nwrite client 4096\nfoul data\nto-client RA 1 1\nto-origin RA 1 1\n"},
{"a worker that speaks for another's flow", "setup\nadopt\nfoul other\ncount worker_violations 1\nquiet\nlive\ncount legs_established 1\n"},
{"frames look as the other peer's last one did", "setup\nadopt\nclient A 1+10 1 ttl 33\nlooks origin 33\nwrite origin 10\nto-origin A 1+10 1\norigin A 1 11 ttl 44\nlooks client 44\nwait 41\nto-client A 1 11\nclient A 90000000 1 ttl 5\nto-client A 1 11\nwrite origin 10\nto-origin A 11+10 1\n"},
{NULL, NULL},
};
