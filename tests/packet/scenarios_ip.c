/* SPDX-License-Identifier: Apache-2.0 */
/* What else the peers' frames bear: options and extension headers, fragments, ECN, urgent data, other ways.
 */
#include "tests/packet/scenario.h"

/* clang-format off */
const struct scenario scenarios_ip[] = {
{"IPv4 options are read past, ours have none", "setup extended\nadopt\nclient PA 1+100 1\ngot client 100\nwrite origin 300\nto-origin A 1+300 1\norigin A 1+50 301\ngot origin 50\nwait 41\nto-origin A 301 51\nto-client A 1 101\n"},
{"IPv6 extension headers are read past, ours have none", "setup v6 extended\nadopt\nclient PA 1+100 1\ngot client 100\nwrite client 300\nto-client A 1+300 101\norigin A 1+50 1\ngot origin 50\n"},
{"IPv6 extension headers in QinQ", "setup v6 extended vlan 42 7\nadopt\nclient PA 1+100 1\ngot client 100\nwrite client 300\nto-client A 1+300 101\n"},

{"fragments", "setup\nadopt\nclient A 1+1400 1 fragments 512\ngot client 1400\nwait 41\nto-client A 1 1401\nquiet\n"},
{"fragments, backwards", "setup\nadopt\nclient A 1+1400 1 fragments 512 backwards\ngot client 1400\nwait 41\nto-client A 1 1401\n"},
{"fragments in VLAN, with options", "setup vlan 42 extended\nadopt\nclient A 1+1400 1 fragments 512 backwards\ngot client 1400\n"},
{"fragments, IPv6", "setup v6\nadopt\nclient A 1+1400 1 fragments 512\ngot client 1400\norigin A 1+1400 1 fragments 1280\ngot origin 1400\n"},
{"fragments, IPv6 in QinQ, with extension headers", "setup v6 vlan 42 7 extended\nadopt\nclient A 1+1400 1 fragments 512 backwards\ngot client 1400\n"},
{"an atomic fragment", "setup v6\nadopt\nclient A 1+100 1 fragments 1400\ngot client 100\n"},
{"fragments that overlap, IPv4", "setup\nadopt\nclient A 1+1400 1 fragments 512 overlapping\ngot client 0\nwait 41\nquiet\nclient A 1+1400 1 fragments 512\ngot client 1400\n"},
{"fragments that overlap, IPv6", "setup v6\nadopt\nclient A 1+1400 1 fragments 512 overlapping\ngot client 0\nwait 41\nquiet\n"},
{"a first fragment too small for a TCP header", "setup\nadopt\nclient A 1+100 1 fragments 8\ngot client 0\nclient A 1+100 1 fragments 16 backwards\ngot client 0\nclient A 1+100 1 fragments 24\ngot client 100\n"},
{"a first fragment too small for a TCP header, IPv6", "setup v6\nadopt\nclient A 1+100 1 fragments 16\ngot client 0\n"},
{"a datagram that never becomes whole", "setup\nadopt\nclient A 1+1400 1 fragments 512 but-last\nwait 41\nquiet\ngot client 0\nclient A 1+1400 1\ngot client 1400\n"},
{"fragments of a SYN", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1 fragments 24\nto-client SA 0 1\nclient A 1 1 fragments 24\nto-origin A 1 1\n"},
{"fragments of a segment with a wrong checksum", "setup\nadopt\nclient A 1+1400 1 fragments 512 bad\ngot client 0\ncount bad_checksum 1\n"},

{"ECN is negotiated away", "setup\nclient SEC 0 0\nto-origin S 0 0\norigin SAE 0 1\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\nquiet\n"},
{"ECN marks and flags of a peer do not come out at the other side", "setup\nadopt\nclient PAEC 1+100 1 ecn 3\ngot client 100\nwrite origin 100\nto-origin A 1+100 1\norigin PAE 1+10 101 ecn 1\nwrite client 10\nto-client A 1+10 101\n"},
{"ECN marks, IPv6", "setup v6\nadopt\nclient PAEC 1+100 1 ecn 3\ngot client 100\nwrite origin 100\nto-origin A 1+100 1\n"},

{"urgent data is passed in line, the pointer is not", "setup\nadopt\nclient PUA 1+10 1 urg 10\ngot client 10\nwrite origin 10\nto-origin A 1+10 1\nclient UA 11+5 1 urg 3\ngot client 15\nclient A 16+5 1 urg 77\ngot client 20\nwrite origin 10\nto-origin A 11+10 1\n"},
{"urgent data out of order", "setup\nadopt\nclient UA 11+10 1 urg 5\nto-client A 1 1 sack 11-21\nclient UA 1+10 1 urg 65535\ngot client 20\nto-client A 1 21\n"},
{"an urgent pointer without data", "setup\nadopt\nclient UA 1 1 urg 100\nquiet\ngot client 0\nlive\n"},

{"the SYN-ACK went another way", "setup\nclient S 0 0\nto-origin S 0 0\nclient A 1 1\nto-client R 1 0\nto-origin A 3221225473 1\nquiet\ncount flows 0\ncount adopted 0\n"},
{"the SYN-ACK went another way, data first", "setup\nclient S 0 0\nto-origin S 0 0\nclient PA 1+20 1\nto-client R 1 0\nto-origin A 3221225473 1\nquiet\ncount flows 0\n"},
{"the SYN-ACK went another way, the rule lets it pass", "setup midstream pass\nclient S 0 0\nto-origin S 0 0\nclient A 1 1\nto-origin A 1 1\nclient A 1 1\nto-origin A 1 1\nquiet\ncount adopted 0\n"},
{"the SYN-ACK went another way, the rule drops it", "setup midstream drop\nclient S 0 0\nto-origin S 0 0\nclient PA 1+20 1\nquiet\ncount flows 0\n"},
{"only the SYN-ACK comes by here", "setup\norigin SA 0 1\nto-origin R 1 0\nquiet\ncount flows 0\n"},
{"an ACK that is none of this handshake's", "setup\nclient S 0 0\nto-origin S 0 0\nclient A 100 1\nto-origin A 100 1\ncount flows 1\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1\nto-origin A 1 1\ncount adopted 1\n"},
{"strays of a closed connection stay on their side", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\ngone\nclient A 1+10 1\nto-client R 1 0\norigin A 1+10 1\nto-origin R 1 0\nquiet\nclient FA 5 1\nto-client R 1 0\nquiet\norigin RA 1 1\nquiet\n"},
{NULL, NULL},
};
