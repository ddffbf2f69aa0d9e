/* SPDX-License-Identifier: Apache-2.0 */
/* Path MTU. */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_path[] = {
{"path MTU: smaller segments", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000\nto-client A 1+948 1\nto-client A 949+500 1\nclient A 1 1449\nwrite client 1448\nto-client A 1449+948 1\nto-client A 2397+500 1\ncount icmp_consumed 1\n"},
{"path MTU, IPv6", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nicmp client 1 1280\nto-client A 1+1208 1\nto-client A 1209+220 1\n"},
{"path MTU: a quote of nothing in flight is a lie", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 5000 600\nquiet\nclient A 1 1449\nicmp client 1 600\nwrite client 1448\nto-client A 1449+1448 1\n"},
{"path MTU: not below the least", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 68\nto-client A 1+500 1\nto-client A 501+500 1\nto-client A 1001+448 1\n"},
{NULL, NULL},
};
