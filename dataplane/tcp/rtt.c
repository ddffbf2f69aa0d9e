/* SPDX-License-Identifier: Apache-2.0 */
/* Round-trip time and the retransmission time-out that follows from it (RFC 6298). */
#include "dataplane/tcp/flow.h"

void rtt_sample(struct tcp_leg *leg, uint32_t rtt_us)
{
	if (leg->srtt_us == 0) {
		leg->srtt_us = rtt_us;
		leg->rttvar_us = rtt_us / 2;
		leg->min_rtt_us = rtt_us;
	} else {
		uint32_t off = leg->srtt_us > rtt_us ? leg->srtt_us - rtt_us : rtt_us - leg->srtt_us;
		leg->rttvar_us = leg->rttvar_us - leg->rttvar_us / 4 + off / 4;
		leg->srtt_us = leg->srtt_us - leg->srtt_us / 8 + rtt_us / 8;
	}
	if (leg->srtt_us == 0)
		leg->srtt_us = 1;
	if (rtt_us < leg->min_rtt_us)
		leg->min_rtt_us = rtt_us;
	uint64_t rto = leg->srtt_us + (4ull * leg->rttvar_us > 1000 ? 4ull * leg->rttvar_us : 1000);
	leg->rto_us = rto < RTO_MIN_US ? RTO_MIN_US : rto > RTO_MAX_US ? RTO_MAX_US : (uint32_t)rto;
}
