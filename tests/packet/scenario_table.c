/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios; the language is explained in scenarios.c. MSS 1460 less timestamps is 1448 bytes a segment.
 */
#include <stddef.h>

struct scenario {
	const char *name, *text;
};

/* clang-format off */
const struct scenario SCENARIOS[] = {
{"adoption", "setup\nadopt\nlive\ncount adopted 1\ncount flows 1\ncount legs_established 1\n"
	"client A 1+21 1\ngot client 21\nwait 41\nto-client A 1 22\n"
	"origin A 1+40 1\ngot origin 40\nwait 41\nto-origin A 1 41\nquiet\n"},
{"adoption, IPv6", "setup v6\nadopt\nclient PA 1+100 1\ngot client 100\nwrite origin 300\nto-origin A 1+300 1\n"
	"origin A 1 301\nwait 41\nto-client A 1 101\nquiet\n"},
{"adoption, VLAN", "setup vlan 42\nadopt\nclient PA 1+100 1\nwrite client 10\nto-client A 1+10 101\nquiet\n"},
{"adoption, QinQ and IPv6", "setup v6 vlan 42 7\nadopt\nclient PA 1+100 1\nwrite client 10\nto-client A 1+10 101\nquiet\n"},
{"adoption by data", "setup\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\n"
	"client PA 1+50 1\nto-origin A 1 1\ngot client 50\nquiet\n"},
{"the last ACK of the handshake is lost", "setup\nadopt\norigin SA 0 1\nto-origin A 1 1\norigin SA 0 1\nto-origin A 1 1\nquiet\n"},
{"SYN and SYN-ACK repeated", "setup\nclient S 0 0\nto-origin S 0 0\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\n"
	"to-client SA 0 1\norigin SA 0 1\nto-client SA 0 1\nclient S 0 0\nto-origin S 0 0\nclient A 1 1\nto-origin A 1 1\nquiet\n"},
{"a second attempt from the same port", "setup\nclient S 0 0\nto-origin S 0 0\nclient S 5000 0\nto-origin S 5000 0\n"
	"origin SA 0 5001\nto-client SA 0 5001\nclient A 5001 1\nto-origin A 5001 1\ncount adopted 1\n"},
{"a closed port looks closed", "setup\nclient S 0 0\nto-origin S 0 0\norigin RA 0 1\nto-client RA 0 1\ncount flows 0\nquiet\n"},
{"a stray RST does not end the handshake", "setup\nclient S 0 0\nto-origin S 0 0\norigin RA 0 77\nto-client RA 0 77\ncount flows 1\n"},
{"no answer: the handshake is forgotten", "setup handshake 3000\nclient S 0 0\nto-origin S 0 0\nwait 2990\ncount flows 1\nwait 20\ncount flows 0\nquiet\n"},
{"TFO, MPTCP and others become NOPs, ECN goes", "setup\nclient SEC 0 0 opts 020405b4220a01020304050607080101\n"
	"to-origin S 0 0 opts-len 16\n"},
{"payload of a SYN is cut", "setup\nclient S 0+100 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1+100 1\nto-origin A 1 1\ngot client 100\n"},
{"MD5 is refused", "setup\nclient S 0 0 opts 020405b4131200112233445566778899aabbccddeeff0101\ncount unsupported 1\ncount flows 0\n"},
{"data before the handshake's end is not passed", "setup\nclient S 0 0\nto-origin S 0 0\nclient A 1+10 1\nquiet\norigin SA 0 1\n"
	"to-client SA 0 1\norigin A 1+10 1\nquiet\nclient A 1+10 77\nquiet\ncount adopted 0\n"},
{"a SYN with a wrong checksum", "setup\nclient S 0 0 bad\nquiet\ncount bad_checksum 1\ncount flows 0\n"},
{"table full: the new SYN is dropped, the old flows go on", "setup flows 1\nadopt\nclient S 0 0 port 40001\nquiet\ncount table_full 1\nclient PA 1+10 1\ngot client 10\n"
	"wait 41\nto-client A 1 11\nquiet\n"},
{"table full: a handshake that hangs gives way", "setup flows 1\nclient S 0 0\nto-origin S 0 0\nwait 4000\nclient S 0 0 port 40001\nquiet\ncount table_full 1\n"
	"wait 1100\nclient S 0 0 port 40001\nto-origin S 0 0\ncount flows 1\n"},
{"nobody to take it", "setup\nno-worker\nclient S 0 0\nto-origin S 0 0\norigin SA 0 1\nto-client SA 0 1\nclient A 1 1\n"
	"to-client RA 1 1\nto-origin RA 1 1\ncount worker_none 1\nquiet\nwait 1100\ncount flows 0\n"},
{"by the wrong port", "setup\nadopt\nclient A 1+10 1 wrong-side\nquiet\ncount wrong_side 1\ngot client 0\n"},
{"a wrong checksum", "setup\nadopt\nclient A 1+10 1 bad\nwait 50\nquiet\ncount bad_checksum 1\ngot client 0\n"},

{"ACK every second full segment, else within 40 ms", "setup\nadopt\nclient A 1+1448 1\nturn\nquiet\nclient A 1449+1448 1\n"
	"to-client A 1 2897\nclient A 2897+1448 1\nwait 39\nquiet\nwait 2\nto-client A 1 4345\nquiet\n"},
{"data carries the ACK", "setup\nadopt\nclient A 1+100 1\nwrite client 50\nto-client A 1+50 101\nclient A 101 51\nwait 60\nquiet\n"},
{"the worker's bytes are cut at the MSS, across slabs", "setup mss 3000\nadopt\nwrite origin 10000\n"
	"to-origin A 1+1448 1\nto-origin A 1449+1448 1\nto-origin A 2897+1448 1\nto-origin A 4345+1448 1\nto-origin A 5793+1448 1\n"
	"to-origin A 7241+1448 1\nto-origin A 8689+1312 1\norigin A 1 10001\nwait 300\nquiet\n"},
{"slow start, one window", "setup\nadopt\nwrite client 30000\n"
	"to-client A 1+1448 1\nto-client A 1449+1448 1\nto-client A 2897+1448 1\nto-client A 4345+1448 1\nto-client A 5793+1448 1\n"
	"to-client A 7241+1448 1\nto-client A 8689+1448 1\nto-client A 10137+1448 1\nto-client A 11585+1448 1\nto-client A 13033+1448 1\nquiet\n"
	"client A 1 2897\nto-client A 14481+1448 1\nto-client A 15929+1448 1\nto-client A 17377+1448 1\nto-client A 18825+1448 1\nquiet\n"},

{"out of order, SACKed, reassembled", "setup\nadopt\nclient A 1449+1448 1\nto-client A 1 1 sack 1449-2897\n"
	"client A 4345+1448 1\nto-client A 1 1 sack 4345-5793 1449-2897\nclient A 2897+1448 1\nto-client A 1 1 sack 1449-5793\n"
	"got client 0\nclient A 1+1448 1\ngot client 5792\nto-client A 1 5793 nosack\nquiet\n"},
{"reordered without SACK", "setup no-sack\nadopt\nclient A 1449+1448 1\nto-client A 1 1 nosack\nclient A 1+1448 1\nto-client A 1 2897\ngot client 2896\n"},
{"overlapping segments", "setup\nadopt\nclient A 101+100 1\nto-client A 1 1 sack 101-201\nclient A 51+100 1\nto-client A 1 1 sack 51-201\n"
	"client A 301+50 1\nto-client A 1 1 sack 301-351 51-201\nclient A 151+300 1\nto-client A 1 1 sack 51-451\nclient A 1+60 1\ngot client 450\nto-client A 1 451 nosack\n"},
{"a duplicate is reported", "setup\nadopt\nclient A 1+100 1\nwait 41\nto-client A 1 101\nclient A 1+100 1\nto-client A 1 101 sack 1-101\ngot client 100\nquiet\n"},
{"partly old, partly new", "setup\nadopt\nclient A 1+100 1\nclient A 51+100 1\ngot client 150\nto-client A 1 151 sack 51-101\n"},
{"reorder memory is bounded", "setup reorder 3048 window 512\nadopt\nclient A 101+10 1\nto-client A 1 1 sack 101-111\n"
	"client A 201+10 1\nto-client A 1 1 sack 201-211 101-111\nclient A 301+10 1\nto-client A 1 1 sack 301-311 201-211 101-111\n"
	"client A 401+10 1\nto-client A 1 1 sack 401-411 301-311 201-211\nclient A 501+10 1\nto-client A 1 1\n"
	"count reorder_dropped 1\nclient A 1+100 1\ngot client 110\n"},

{"one segment lost: fast retransmit by SACK", "setup\nadopt\nwrite client 7240\nto-client A 1+1448 1\nto-client A 1449+1448 1\n"
	"to-client A 2897+1448 1\nto-client A 4345+1448 1\nto-client A 5793+1448 1\nwait 20\nclient A 1 1 sack 1449-2897\nquiet\n"
	"client A 1 1 sack 1449-4345\nclient A 1 1 sack 1449-5793\nto-client A 1+1448 1\nclient A 1 7241\nwait 300\nquiet\ncount retransmits 1\n"},
{"one segment lost: three duplicate ACKs", "setup no-sack no-timestamps\nadopt\nwrite client 7300\nto-client A 1+1460 1\nto-client A 1461+1460 1\n"
	"to-client A 2921+1460 1\nto-client A 4381+1460 1\nto-client A 5841+1460 1\nwait 20\nclient A 1 1\nquiet\nclient A 1 1\nquiet\nclient A 1 1\n"
	"to-client A 1+1460 1\nclient A 1 1\nclient A 1 7301\nwait 300\nquiet\ncount retransmits 1\n"},
{"two lost: NewReno's partial ACK", "setup no-sack no-timestamps\nadopt\nwrite client 8760\nto-client A 1+1460 1\nto-client A 1461+1460 1\n"
	"to-client A 2921+1460 1\nto-client A 4381+1460 1\nto-client A 5841+1460 1\nto-client A 7301+1460 1\nwait 20\nclient A 1 1\nclient A 1 1\nclient A 1 1\n"
	"to-client A 1+1460 1\nwait 20\nclient A 1 2921\nto-client A 2921+1460 1\nclient A 1 8761\nwait 300\nquiet\ncount retransmits 2\n"},
{"the retransmission is lost too", "setup\nadopt\nwrite client 14480\nto-client A 1+1448 1\nto-client A 1449+1448 1\nto-client A 2897+1448 1\n"
	"to-client A 4345+1448 1\nto-client A 5793+1448 1\nto-client A 7241+1448 1\nto-client A 8689+1448 1\nto-client A 10137+1448 1\nto-client A 11585+1448 1\nto-client A 13033+1448 1\n"
	"wait 20\nclient A 1 1 sack 1449-5793\nto-client A 1+1448 1\nquiet\nwrite client 1448\nclient A 1 1 sack 1449-13033\n"
	"to-client A 14481+1448 1\nwait 20\nclient A 1 1 sack 1449-15929\nto-client A 1+1448 1\ncount retransmits 2\nclient A 1 15929\nwait 500\nquiet\n"},
{"all lost: time-out, doubled each time", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 990\nquiet\nwait 20\nto-client A 1+100 1\n"
	"wait 1980\nquiet\nwait 30\nto-client A 1+100 1\nclient A 1 101\nwait 5000\nquiet\ncount retransmits 2\n"},
{"the tail is lost", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 10\nclient A 1 101\nwrite client 100\nto-client A 101+100 1\nwait 190\nquiet\nwait 20\n"
	"to-client A 101+100 1\nclient A 1 201\nwait 500\nquiet\n"},
{"SACK reneging: after a time-out all is sent again", "setup\nadopt\nwrite client 2896\nto-client A 1+1448 1\nto-client A 1449+1448 1\nwait 10\n"
	"client A 1 1 sack 1449-2897\nwait 20\nto-client A 1+1448 1\nwait 1100\nto-client A 1+1448 1\nclient A 1 1449\nto-client A 1449+1448 1\nclient A 1 2897\nwait 500\nquiet\n"},
{"SACK of what was not sent is ignored", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nclient A 1 1 sack 500-900\nclient A 1 1 sack 50-20\nquiet\nclient A 1 101\nwait 2000\nquiet\n"},
{"retransmission limit", "setup retries 3\nadopt\nwrite client 100\nto-client A 1+100 1\nwait 1010\nto-client A 1+100 1\nwait 2010\nto-client A 1+100 1\n"
	"wait 4010\nto-client A 1+100 1\nwait 8010\nto-client RA 101 1\nto-origin RA 1 1\ntold client reset\ngone\ncount timeouts 1\nquiet\n"},
{"no buffer for a frame: later", "setup\nadopt\nno-buffers\nwrite client 100\nquiet\ncount no_buffer 1+\nbuffers\nwait 1100\nto-client A 1+100 1\nclient A 1 101\n"},

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

{"RST arrives at the other side", "setup\nadopt\nclient RA 1 1\nto-origin RA 1 1\ntold client reset\ngone\ncount resets_in 1\nquiet\n"},
{"RST of the origin", "setup\nadopt\norigin R 1 0\nto-client RA 1 1\ntold origin reset\ngone\n"},
{"RST inside the window, not exact: challenge", "setup\nadopt\nclient R 100 0\nto-client A 1 1\nlive\ncount challenge_acks 1\nclient R 200 0\nquiet\nwait 600\nclient R 200 0\nto-client A 1 1\n"},
{"RST outside the window", "setup\nadopt\nclient R 90000000 0\nclient R -50 0\nquiet\nlive\ncount out_of_window 2\n"},
{"SYN in an open connection: challenge", "setup\nadopt\nclient S 5 0\nto-client A 1 1\nlive\nclient S 50 0\nquiet\n"},
{"an ACK of what was not sent: challenge", "setup\nadopt\nclient A 1 900\nto-client A 1 1\nclient A 1 1000000000\nquiet\nlive\n"},
{"data far ahead of the window", "setup\nadopt\nclient A 5000000+10 1\nto-client A 1 1\nclient A 5000000+10 1\nquiet\ngot client 0\n"},
{"an RST is challenged by the peer", "setup\nadopt\nreset client\nto-client RA 1 1\nquiet\nclient A 1 1\nto-client R 1 0\nquiet\n"},
{"the worker resets both", "setup\nadopt\nreset both\nto-client RA 1 1\nto-origin RA 1 1\ngone\ntold client nothing\n"},
{"the worker is lost", "setup\nadopt\nwrite client 100\nto-client A 1+100 1\nlost\nto-client RA 101 1\nto-origin RA 1 1\ncount worker_lost 1\nwait 1100\ncount flows 0\nlive\n"},
{"a lost worker is found by the next segment", "setup\nadopt\nlost\nclient A 1+10 1\nto-client RA 1 1\nto-origin RA 1 1\ngot client 0\n"},
{"a worker that claims bytes it never got", "setup\nadopt\nfoul consumed\nto-client RA 1 1\nto-origin RA 1 1\ngone\ncount worker_violations 1\n"},
{"a worker that names a third leg", "setup\nadopt\nfoul leg\nto-client RA 1 1\nto-origin RA 1 1\ngone\n"},
{"a worker that writes after its FIN", "setup\nadopt\nfinish client\nto-client FA 1 1\nfoul data\nto-client RA 2 1\nto-origin RA 1 1\ngone\n"},
{"a worker that says an unknown word", "setup\nadopt\nfoul word\nto-client RA 1 1\nto-origin RA 1 1\ngone\n"},
{"a worker that exceeds its slabs", "setup slabs 2\nadopt\nclient A 1 1 win 0\nwrite client 4096\nwrite client 4096\nfoul data\nto-client RA 1 1\nto-origin RA 1 1\n"},

{"keepalive finds the peer alive", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\nclient A 1 1\norigin A 1 1\nwait 3000\nquiet\nlive\n"},
{"keepalive finds the client dead", "setup keepalive 8000\nadopt\nwait 8010\nto-client A 0 1\nto-origin A 0 1\norigin A 1 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\n"
	"wait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client A 0 1\nwait 1010\nto-client RA 1 1\nto-origin RA 1 1\ntold client reset\n"},
{"a peer's keepalive is answered", "setup\nadopt\nclient A 0 1\nto-client A 1 1\nclient A 0+1 1\nto-client A 1 1\nquiet\n"},

{"sequence numbers wrap", "setup isn-client 0xfffffff0 isn-origin 0xffffff00\nadopt\nclient A 1+1448 1\nclient A 1449+1448 1\nto-client A 1 2897\ngot client 2896\n"
	"write client 1000\nto-client A 1+1000 2897\nclient A 2897 1001\nclient A 4345+100 1001\nto-client A 1001 2897 sack 4345-4445\nclient A 2897+1448 1001\ngot client 4444\nto-client A 1001 4445\n"
	"client FA 4445 1001\nto-client A 1001 4446\ntold client fin\n"},
{"the wrap falls into a hole", "setup isn-client 0xffffffc0\nadopt\nclient A 101+100 1\nto-client A 1 1 sack 101-201\nclient A 1+100 1\nto-client A 1 201\ngot client 200\n"},
{"PAWS drops what is older", "setup\nadopt\nclient A 1+10 1 ts 500000\nwait 41\nto-client A 1 11\nclient A 11+10 1 ts 400000\nto-client A 1 11\ngot client 10\ncount paws_dropped 1\n"
	"client A 11+10 1 ts 500001\ngot client 20\n"},
{"PAWS does not apply to RST", "setup\nadopt\nclient A 1 1 ts 500000\nclient R 1 0 ts 400000\nto-origin RA 1 1\ntold client reset\n"},
{"urgent data is passed in line", "setup\nadopt\nclient PUA 1+10 1\ngot client 10\nquiet\n"},

{"path MTU: smaller segments", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 1000\nto-client A 1+948 1\nto-client A 949+500 1\nclient A 1 1449\nwrite client 1448\nto-client A 1449+948 1\nto-client A 2397+500 1\ncount icmp_consumed 1\n"},
{"path MTU, IPv6", "setup v6\nadopt\nwrite client 1428\nto-client A 1+1428 1\nicmp client 1 1280\nto-client A 1+1208 1\nto-client A 1209+220 1\n"},
{"path MTU: a quote of nothing in flight is a lie", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 5000 600\nquiet\nclient A 1 1449\nicmp client 1 600\nwrite client 1448\nto-client A 1449+1448 1\n"},
{"path MTU: not below the least", "setup\nadopt\nwrite client 1448\nto-client A 1+1448 1\nicmp client 1 68\nto-client A 1+500 1\nto-client A 501+500 1\nto-client A 1001+448 1\n"},
{NULL, NULL},
};
