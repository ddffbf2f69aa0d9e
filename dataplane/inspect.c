/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst of frames: look, ask, settle.
 *
 *  look    Each frame's flow, by a glance where it is an everyday one, else by a whole walk. What the
 * decision table knows of it is fetched; the table's cache lines are asked for a whole burst before they are
 * read. ask     The rest have their keys, in both orientations, gathered and put to rte_acl at once. settle
 * One by one, in the order of arrival, so that nothing is reordered: on, dropped, answered, or to the TCP
 * endpoint of the lcore that owns the flow.
 *
 * What is never asked about: frames that are not IP (ARP, LLDP, STP, …) and neighbour discovery, which is
 * IPv6's ARP; without them there is no wire. A frame that contradicts itself is judged by the addresses that
 * could be read, as a later fragment is; it is dropped where a rule blocks it or may audit it (the endpoint
 * behind the box must not see what the box could not), else it goes on as it came.
 */
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "dataplane/glance.h"
#include "dataplane/judge.h"
#include "dataplane/lcore.h"
#include "dataplane/prohibit.h"

#define PROTO_TCP 6
#define SCRATCH_SIZE 65536
#define EDITS_WITHIN 256    /* headers, the only part of a frame that the endpoint edits */
#define ICMP_ANSWERS_S 1000 /* a second and lcore (RFC 1812 4.3.2.8, RFC 4443 2.4 f) */
#define MALFORMED_LOG_US 60000000

enum path {
	PATH_KNOWN, /* the decision stands in `known`; no frame was read */
	PATH_PASS,  /* not for the policy */
	PATH_ASK4,  /* rules of questions 2·ask and 2·ask + 1 */
	PATH_ASK6,
	PATH_SCATTERED, /* in several mbufs: looked at alone */
};

struct item {
	struct rte_mbuf *m;
	enum path path;
	unsigned ask;
	uint64_t low, high;
	struct decision_entry4 *bucket;
	struct decision known;
	struct frame frame;
};

struct burst {
	struct item item[LCORE_BURST];
	unsigned asks4, asks6;
	struct policy_key4 keys4[2 * LCORE_BURST];
	struct policy_key6 keys6[2 * LCORE_BURST];
	uint32_t rules4[2 * LCORE_BURST], rules6[2 * LCORE_BURST];
};

struct burst *inspect_room(void)
{
	return aligned_alloc(64, (sizeof(struct burst) + 63) / 64 * 64);
}

static uint8_t link_of(uint8_t port)
{
	return port / 2;
}

static enum tcp_port_side side_of(uint8_t port)
{
	return port % 2 == 0 ? TCP_INSIDE : TCP_OUTSIDE;
}

static void count_hit(struct lcore *lc, uint32_t rule, uint32_t bytes)
{
	struct policy_hits *hits = &lc->policy->hits[lc->index][rule];

	hits->packets++;
	hits->bytes += bytes;
}

/* ND (RFC 4861): types 133 to 137, from the link itself (hop limit 255, which no router lets through). */
static bool is_neighbour_discovery(const struct frame *f)
{
	uint8_t type;

	if (f->kind != FRAME_ICMP || f->family != 6 || f->ttl != 255)
		return false;
	type = f->bytes[f->l4_offset];
	return type >= 133 && type <= 137;
}

/* -- answers -------------------------------------------------------------------------------------- */

static bool may_answer_icmp(struct lcore *lc)
{
	uint64_t passed = lc->now_us - lc->icmp_refill_us;

	if (passed >= 1000000) {
		lc->icmp_refill_us = lc->now_us;
		lc->icmp_tokens = ICMP_ANSWERS_S;
	}
	if (lc->icmp_tokens == 0) {
		lc->counters.answer_limited++;
		return false;
	}
	lc->icmp_tokens--;
	return true;
}

static void answer_icmp(struct lcore *lc, const struct packet *p)
{
	uint8_t answer[PROHIBIT_MAX];
	uint32_t len = prohibit_answer(answer, p->frame);

	if (len == 0 || !may_answer_icmp(lc))
		return;
	struct rte_mbuf *m = rte_pktmbuf_alloc(lc->dataplane->ports.mbufs);
	char *at = m == NULL ? NULL : rte_pktmbuf_append(m, (uint16_t)len);
	if (at == NULL) {
		rte_pktmbuf_free(m);
		lc->counters.no_mbuf++;
		return;
	}
	memcpy(at, answer, len);
	lcore_send(lc, p->port, m);
	lc->counters.answered_icmp++;
}

static void refuse_tcp(struct lcore *lc, const struct packet *p)
{
	tcp_refuse(lc->shard, link_of(p->port), side_of(p->port), p->frame);
}

static void block(struct lcore *lc, struct packet *p, uint32_t rule)
{
	uint8_t how = policy_rule(lc->policy, rule)->block;

	lc->counters.blocked++;
	if (how == RPC_BLOCK_RESET && p->frame->kind == FRAME_TCP) {
		refuse_tcp(lc, p);
		lc->counters.answered_reset++;
	} else if (how != RPC_BLOCK_DROP) {
		answer_icmp(lc, p);
	}
	lcore_drop(p);
}

/* -- TCP that a rule audits ------------------------------------------------------------------------ */

static void put_decision(struct lcore *lc, const struct packet *p, enum decision_verdict verdict,
    uint32_t rule, bool as_sent, bool kept)
{
	struct decision_key key;

	decision_key(&key, link_of(p->port), p->frame);
	const struct decision decision = {
	    .generation = (uint32_t)lc->policy->generation,
	    .rule = rule,
	    .seen_s = lc->now_s,
	    .verdict = (uint8_t)verdict,
	    .flags = (uint8_t)((as_sent == key.low_sent ? DECISION_LOW_BEGAN : 0) |
	                       (p->frame->kind == FRAME_TCP ? DECISION_TCP : 0) | (kept ? DECISION_KEPT : 0)),
	};
	decisions_put(&lc->decisions, p->frame->family, &key, &decision);
}

/* The endpoint cut the payload off a SYN, or edited options: the mbuf follows. */
static void write_back(struct packet *p, uint32_t len)
{
	if (p->copied) {
		uint32_t edited = p->len < EDITS_WITHIN ? p->len : EDITS_WITHIN;
		uint32_t done = 0;
		for (struct rte_mbuf *m = p->m; m != NULL && done < edited; m = m->next) {
			uint32_t part = RTE_MIN((uint32_t)m->data_len, edited - done);
			memcpy(rte_pktmbuf_mtod(m, uint8_t *), p->bytes + done, part);
			done += part;
		}
	}
	if (len < p->len)
		(void)rte_pktmbuf_trim(p->m, (uint16_t)(p->len - len));
}

static void act_on(struct lcore *lc, struct packet *p, enum tcp_verdict verdict, uint32_t len, bool edited)
{
	if (verdict != TCP_FORWARD) {
		lcore_drop(p);
		return;
	}
	if (p->whole != NULL && (edited || len != p->len)) {
		lc->counters.fragments_dropped++; /* its fragments no longer say what was decided */
		lcore_drop(p);
		return;
	}
	if (p->whole == NULL && (p->copied || len != p->len))
		write_back(p, len);
	lcore_pass(lc, p);
}

/* What the NIC found wrong or could not say is summed again: its word is only ever taken for good. */
static void note_checksum(const struct lcore *lc, struct packet *p)
{
	p->frame->l4_checked = p->m != NULL && lc->dataplane->ports.port[p->port].rx_checksum &&
	                       (p->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

/* False: the endpoint does not know the flow, the packet is still the caller's. */
static bool give_to_flow(struct lcore *lc, struct packet *p)
{
	uint8_t before[EDITS_WITHIN];
	uint32_t len = p->len, head = RTE_MIN(p->len, (uint32_t)EDITS_WITHIN);

	note_checksum(lc, p);

	if (p->whole != NULL)
		memcpy(before, p->bytes, head);
	enum tcp_verdict verdict =
	    tcp_input(lc->shard, link_of(p->port), side_of(p->port), p->frame, p->bytes, &len, lc->now_us);
	if (verdict == TCP_UNKNOWN)
		return false;
	act_on(lc, p, verdict, len, p->whole != NULL && memcmp(before, p->bytes, head) != 0);
	return true;
}

static bool available(const struct lcore *lc)
{
	return handoff_any_up(lc->handoff) &&
	       atomic_load_explicit(&lc->dataplane->control_up, memory_order_relaxed) &&
	       atomic_load_explicit(&lc->dataplane->recorder_up, memory_order_relaxed);
}

static void unavailable(struct lcore *lc, struct packet *p, uint32_t rule)
{
	switch (policy_rule(lc->policy, rule)->unavailable) {
	case RPC_UNAVAILABLE_RESET:
		lc->counters.audit_refused++;
		refuse_tcp(lc, p);
		lcore_drop(p);
		break;
	case RPC_UNAVAILABLE_ALLOW:
		lc->counters.audit_let_by++;
		/* The shard answers for all lcores; where it is full the decision table has to do. */
		if (!tcp_pass(lc->shard, link_of(p->port), side_of(p->port), p->frame, lc->now_us))
			put_decision(lc, p, DECISION_PASS, rule, true, true);
		lcore_pass(lc, p);
		break;
	default: /* the client's retry, a second later, may find somebody */
		lc->counters.audit_held++;
		lcore_drop(p);
	}
}

static void begin_audit(struct lcore *lc, struct packet *p, uint32_t rule)
{
	const struct policy_rule *r = policy_rule(lc->policy, rule);
	const struct tcp_rule said = {rule, lc->policy->generation, r->unsupported};
	uint8_t before[EDITS_WITHIN];
	uint32_t len = p->len, head = RTE_MIN(p->len, (uint32_t)EDITS_WITHIN);

	if (!available(lc)) {
		unavailable(lc, p, rule);
		return;
	}
	memcpy(before, p->bytes, head);
	enum tcp_verdict verdict = tcp_syn(
	    lc->shard, link_of(p->port), side_of(p->port), p->frame, p->bytes, &len, &said, lc->now_us);
	act_on(lc, p, verdict, len, memcmp(before, p->bytes, head) != 0);
}

static void midstream(struct lcore *lc, struct packet *p, uint32_t rule)
{
	switch (policy_rule(lc->policy, rule)->midstream) {
	case RPC_MIDSTREAM_PASS:
		lc->counters.midstream_passed++;
		lcore_pass(lc, p);
		break;
	case RPC_MIDSTREAM_DROP:
		lc->counters.midstream_dropped++;
		lcore_drop(p);
		break;
	default:
		lc->counters.midstream_reset++;
		refuse_tcp(lc, p);
		tcp_ask_other(lc->shard, link_of(p->port), side_of(p->port), p->frame);
		lcore_drop(p);
	}
}

/* -- settling ------------------------------------------------------------------------------------- */

static void settle(struct lcore *lc, struct packet *p, const struct judged *judged)
{
	count_hit(lc, judged->rule, p->len);
	switch (judged->judgement) {
	case JUDGE_PASS:
		lc->counters.kept += judged->kept;
		put_decision(lc, p, DECISION_PASS, judged->rule, judged->as_sent, judged->kept);
		lcore_pass(lc, p);
		break;
	case JUDGE_BLOCK:
		put_decision(lc, p, DECISION_BLOCK, judged->rule, judged->as_sent, false);
		block(lc, p, judged->rule);
		break;
	case JUDGE_CUT:
		lc->counters.cut++;
		put_decision(lc, p, DECISION_AUDIT, judged->rule, judged->as_sent, false);
		refuse_tcp(lc, p);
		lcore_drop(p);
		break;
	case JUDGE_AUDIT:
		put_decision(lc, p, DECISION_AUDIT, judged->rule, judged->as_sent, false);
		if (judge_begins(p->frame))
			begin_audit(lc, p, judged->rule);
		else
			midstream(lc, p, judged->rule);
	}
}

static void ask_alone(struct lcore *lc, uint8_t port, const struct frame *f, uint32_t rules[2])
{
	lc->counters.asked++;
	if (f->family == 4) {
		struct policy_key4 keys[2];
		policy_key4(&keys[0], link_of(port), f, false);
		policy_key4(&keys[1], link_of(port), f, true);
		policy_ask4(lc->policy, keys, 2, rules);
	} else {
		struct policy_key6 keys[2];
		policy_key6(&keys[0], link_of(port), f, false);
		policy_key6(&keys[1], link_of(port), f, true);
		policy_ask6(lc->policy, keys, 2, rules);
	}
}

static struct judged judge_packet(
    struct lcore *lc, const struct packet *p, const uint32_t rules[2], const struct decision *known)
{
	struct decision_key key;

	decision_key(&key, link_of(p->port), p->frame);
	return judge(lc->policy, p->frame, rules[0], rules[1], known, key.low_sent);
}

/* TCP that this lcore owns: the endpoint first, then the policy, as for the first of a flow. */
static void own_tcp(struct lcore *lc, struct packet *p)
{
	uint32_t rules[2];
	struct decision_key key;

	if (give_to_flow(lc, p))
		return;
	decision_key(&key, link_of(p->port), p->frame);
	struct decision known = decisions_find(&lc->decisions, p->frame->family, &key, lc->now_s);
	ask_alone(lc, p->port, p->frame, rules);
	struct judged judged = judge_packet(lc, p, rules, &known);
	settle(lc, p, &judged);
}

static void release_fragment(void *context, void *handle)
{
	(void)context;
	rte_pktmbuf_free(handle);
}

static void own_other(struct lcore *lc, struct packet *p)
{
	const struct decision none = {.verdict = DECISION_NONE};
	uint32_t rules[2];

	ask_alone(lc, p->port, p->frame, rules);
	struct judged judged = judge_packet(lc, p, rules, &none);
	settle(lc, p, &judged);
}

/* A datagram put together here: if another lcore owns its flow, it goes there in its fragments. */
static void own_whole(struct lcore *lc, uint8_t port, struct reassemble_whole *whole)
{
	struct frame frame;

	frame_parse(&frame, whole->bytes, whole->len);
	struct packet p = {
	    .whole = whole, .port = port, .bytes = whole->bytes, .len = whole->len, .frame = &frame};
	if (frame.kind == FRAME_MALFORMED) {
		lc->counters.malformed[frame.malformation]++;
		lc->counters.fragments_dropped++;
		lcore_drop(&p);
		return;
	}
	if (frame.kind != FRAME_TCP) { /* extension headers in the later fragments hid what it is */
		own_other(lc, &p);
		return;
	}
	unsigned owner = handover_owner(lc, &frame, false);
	if (owner == lc->index) {
		own_tcp(lc, &p);
		return;
	}
	for (unsigned i = 0; i < whole->handle_count; i++)
		handover_put(lc, owner, whole->handles[i], HANDOVER_FRAGMENT, port);
}

static void own_fragment(struct lcore *lc, struct packet *p)
{
	struct reassemble_whole whole;

	if (lc->reassembler == NULL)
		lc->reassembler = reassemble_create(release_fragment, NULL);
	if (lc->reassembler == NULL || p->copied) {
		lc->counters.fragments_dropped++;
		lcore_drop(p);
		return;
	}
	switch (reassemble_add(lc->reassembler, p->port, p->frame, p->m, lc->now_us, &whole)) {
	case REASSEMBLE_HELD:
		return;
	case REASSEMBLE_WHOLE:
		own_whole(lc, p->port, &whole);
		return;
	case REASSEMBLE_REFUSED:
		lc->counters.fragments_dropped++;
		lcore_drop(p);
	}
}

static void settle_fragment(struct lcore *lc, struct packet *p, const uint32_t rules[2])
{
	uint32_t rule = RTE_MIN(rules[0], rules[1]);

	if (frame_may_be_tcp(p->frame) && policy_audits_pair(lc->policy, link_of(p->port), p->frame)) {
		unsigned owner = handover_owner(lc, p->frame, true);
		if (owner == lc->index)
			own_fragment(lc, p);
		else
			handover_put(lc, owner, p->m, HANDOVER_FRAGMENT, p->port);
		return;
	}
	count_hit(lc, rule, p->len);
	if (policy_rule(lc->policy, rule)->action == RPC_ACTION_BLOCK)
		block(lc, p, rule);
	else
		lcore_pass(lc, p);
}

/* Says once a minute and kind what came, and how many since. */
static void log_malformed(struct lcore *lc, const struct packet *p)
{
	enum frame_malformation why = p->frame->malformation;

	if (lc->malformed_logged_us[why] != 0 &&
	    lc->now_us - lc->malformed_logged_us[why] < MALFORMED_LOG_US) {
		lc->malformed_unlogged[why]++;
		return;
	}
	rpc_log(RPC_LOG_WARNING,
	    "link %s, %s: a malformed frame of %u bytes: %s (%llu more of this kind since the last line)",
	    lc->dataplane->ports.port[p->port].link, p->port % 2 == 0 ? "inside" : "outside", p->len,
	    frame_malformation_text(why), (unsigned long long)lc->malformed_unlogged[why]);
	lc->malformed_logged_us[why] = lc->now_us;
	lc->malformed_unlogged[why] = 0;
}

static void settle_malformed(struct lcore *lc, struct packet *p, const uint32_t rules[2])
{
	uint32_t rule = p->frame->family == 0 ? lc->policy->rule_count : RTE_MIN(rules[0], rules[1]);
	bool audited = p->frame->family != 0 && policy_audits_pair(lc->policy, link_of(p->port), p->frame);

	lc->counters.malformed[p->frame->malformation]++;
	log_malformed(lc, p);
	count_hit(lc, rule, p->len);
	/* A chain of extension headers that is too long to walk hides what it carries: it is not let by. */
	if (audited || p->frame->malformation == FRAME_BAD_EXTENSIONS ||
	    policy_rule(lc->policy, rule)->action != RPC_ACTION_ALLOW) {
		lc->counters.malformed_dropped++;
		lcore_drop(p);
	} else {
		lc->counters.malformed_passed++;
		lcore_pass(lc, p);
	}
}

/* An ICMP error belongs to the flow that it quotes: to its endpoint, or wherever its rule says. */
static void own_icmp(struct lcore *lc, struct packet *p)
{
	if (tcp_icmp(lc->shard, link_of(p->port), side_of(p->port), p->frame, lc->now_us)) {
		lc->counters.icmp_consumed++;
		lcore_drop(p);
	} else {
		lcore_pass(lc, p);
	}
}

static void settle_icmp_error(
    struct lcore *lc, struct packet *p, const struct frame *quoted, const uint32_t rules[2])
{
	uint32_t about[2];
	uint32_t rule;

	ask_alone(lc, p->port, quoted, about);
	rule = RTE_MIN(RTE_MIN(rules[0], rules[1]), RTE_MIN(about[0], about[1]));
	count_hit(lc, rule, p->len);
	if (policy_rule(lc->policy, rule)->action == RPC_ACTION_BLOCK) {
		block(lc, p, rule);
		return;
	}
	if (quoted->protocol != PROTO_TCP) {
		lcore_pass(lc, p);
		return;
	}
	unsigned owner = handover_owner(lc, quoted, false);
	if (owner == lc->index)
		own_icmp(lc, p);
	else
		handover_put(lc, owner, p->m, HANDOVER_ICMP, p->port);
}

/* With several lcores a flow adopted under an older policy may be another's business though this policy does
 * not audit it any more: as long as sessions of older generations may live, its owner is asked. */
static bool settle_elsewhere(struct lcore *lc, struct packet *p, const struct judged *judged)
{
	unsigned owner;

	if (p->frame->kind != FRAME_TCP)
		return false;
	if (judged->judgement != JUDGE_AUDIT && !lc->policy->older_audits)
		return false;
	owner = handover_owner(lc, p->frame, false);
	if (owner == lc->index)
		return false;
	if (judged->judgement == JUDGE_AUDIT)
		put_decision(lc, p, DECISION_AUDIT, judged->rule, judged->as_sent, false);
	handover_put(lc, owner, p->m, HANDOVER_TCP, p->port);
	return true;
}

static void settle_asked(
    struct lcore *lc, struct packet *p, const uint32_t rules[2], const struct decision *known)
{
	struct frame quoted;

	switch (p->frame->kind) {
	case FRAME_MALFORMED:
		settle_malformed(lc, p, rules);
		return;
	case FRAME_FRAGMENT:
		settle_fragment(lc, p, rules);
		return;
	case FRAME_ICMP:
		if (frame_quoted(p->frame, &quoted)) {
			settle_icmp_error(lc, p, &quoted, rules);
			return;
		}
		break;
	case FRAME_TCP:
		/* An adopted session keeps its rule, whatever the policy says by now. */
		if (give_to_flow(lc, p))
			return;
		break;
	default:
		break;
	}
	struct judged judged = judge_packet(lc, p, rules, known);
	if (!settle_elsewhere(lc, p, &judged))
		settle(lc, p, &judged);
}

/* -- looking -------------------------------------------------------------------------------------- */

static bool policy_is_asked(const struct frame *f)
{
	return f->kind != FRAME_OTHER && !is_neighbour_discovery(f);
}

static void read_frame(struct lcore *lc, struct burst *b, struct item *it, uint8_t port)
{
	struct frame *f = &it->frame;
	struct decision_key key;

	frame_parse(f, rte_pktmbuf_mtod(it->m, uint8_t *), it->m->data_len);
	if (!policy_is_asked(f)) {
		it->path = PATH_PASS;
		return;
	}
	it->known.verdict = DECISION_NONE;
	if (f->kind != FRAME_FRAGMENT && f->kind != FRAME_MALFORMED) {
		decision_key(&key, link_of(port), f);
		it->known = decisions_find(&lc->decisions, f->family, &key, lc->now_s);
	}
	if (f->family == 6) {
		it->path = PATH_ASK6;
		it->ask = b->asks6++;
		policy_key6(&b->keys6[2 * it->ask], link_of(port), f, false);
		policy_key6(&b->keys6[2 * it->ask + 1], link_of(port), f, true);
	} else {
		it->path = PATH_ASK4;
		it->ask = b->asks4++;
		policy_key4(&b->keys4[2 * it->ask], link_of(port), f, false);
		policy_key4(&b->keys4[2 * it->ask + 1], link_of(port), f, true);
	}
}

static void look_up(struct lcore *lc, struct burst *b, struct item *it, uint8_t port)
{
	if (it->bucket != NULL) {
		struct decision *d = decision_in_bucket4(it->bucket, it->low, it->high);
		if (d != NULL && d->generation == (uint32_t)lc->policy->generation &&
		    lc->now_s - d->seen_s <= DECISION_IDLE_S && d->verdict != DECISION_NONE) {
			if (d->seen_s != lc->now_s)
				d->seen_s = lc->now_s;
			it->known = *d;
			it->path = PATH_KNOWN;
			return;
		}
	}
	read_frame(lc, b, it, port);
}

static void look(struct lcore *lc, struct burst *b, uint8_t port, struct rte_mbuf **frames, unsigned count)
{
	struct glance g;

	for (unsigned i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(frames[i], void *));
	for (unsigned i = 0; i < count; i++) {
		struct item *it = &b->item[i];
		it->m = frames[i];
		it->bucket = NULL;
		it->path = it->m->nb_segs > 1 ? PATH_SCATTERED : PATH_PASS;
		if (it->m->nb_segs > 1 ||
		    !glance4(&g, rte_pktmbuf_mtod(it->m, uint8_t *), it->m->data_len, link_of(port)))
			continue;
		it->low = g.low;
		it->high = g.high;
		it->bucket = decision_bucket4(&lc->decisions, decision_hash4(&lc->decisions, g.low, g.high));
		rte_prefetch0(it->bucket);
		rte_prefetch0(it->bucket + 2);
	}
	for (unsigned i = 0; i < count; i++)
		if (b->item[i].path != PATH_SCATTERED)
			look_up(lc, b, &b->item[i], port);
}

/* -- a decision that stood in the table ----------------------------------------------------------- */

static void settle_known(struct lcore *lc, struct item *it, uint8_t port)
{
	lc->counters.known_flow++;
	count_hit(lc, it->known.rule, it->m->pkt_len);
	if (it->known.verdict == DECISION_PASS) {
		lc->counters.passed++;
		lc->counters.kept += (it->known.flags & DECISION_KEPT) != 0;
		lcore_send(lc, port ^ 1u, it->m);
		return;
	}
	frame_parse(&it->frame, rte_pktmbuf_mtod(it->m, uint8_t *), it->m->data_len);
	struct packet p = {.m = it->m,
	    .port = port,
	    .bytes = rte_pktmbuf_mtod(it->m, uint8_t *),
	    .len = it->m->data_len,
	    .frame = &it->frame};
	if (it->known.verdict == DECISION_BLOCK) {
		block(lc, &p, it->known.rule);
		return;
	}
	unsigned owner = handover_owner(lc, &it->frame, false);
	if (owner == lc->index)
		own_tcp(lc, &p);
	else
		handover_put(lc, owner, p.m, HANDOVER_TCP, port);
}

/* -- frames in several mbufs ---------------------------------------------------------------------- */

/* Makes `m` readable in one piece: in place where there is room, else as a copy. False: too long for both. */
static bool make_linear(struct lcore *lc, struct rte_mbuf *m, struct packet *p)
{
	p->m = m;
	p->len = m->pkt_len;
	if (m->nb_segs == 1 || rte_pktmbuf_linearize(m) == 0) {
		p->bytes = rte_pktmbuf_mtod(m, uint8_t *);
		return true;
	}
	if (m->pkt_len > SCRATCH_SIZE)
		return false;
	p->copied = true;
	p->bytes = lc->scratch;
	(void)rte_pktmbuf_read(m, 0, m->pkt_len, lc->scratch);
	return true;
}

static void settle_alone(struct lcore *lc, struct rte_mbuf *m, uint8_t port)
{
	struct packet p = {.port = port};
	struct frame frame;
	struct decision known = {0};
	struct decision_key key;
	uint32_t rules[2];

	if (!make_linear(lc, m, &p)) {
		lc->counters.malformed[FRAME_BAD_IP_LENGTH]++;
		rte_pktmbuf_free(m);
		return;
	}
	frame_parse(&frame, p.bytes, p.len);
	p.frame = &frame;
	if (!policy_is_asked(&frame)) {
		lcore_pass(lc, &p);
		return;
	}
	rules[0] = rules[1] = lc->policy->rule_count;
	if (frame.family != 0)
		ask_alone(lc, port, &frame, rules);
	if (frame.kind != FRAME_FRAGMENT && frame.kind != FRAME_MALFORMED) {
		decision_key(&key, link_of(port), &frame);
		known = decisions_find(&lc->decisions, frame.family, &key, lc->now_s);
	}
	settle_asked(lc, &p, rules, &known);
}

/* -- the whole ------------------------------------------------------------------------------------ */

static void settle_item(struct lcore *lc, struct burst *b, struct item *it, uint8_t port)
{
	struct packet p = {.m = it->m,
	    .port = port,
	    .bytes = rte_pktmbuf_mtod(it->m, uint8_t *),
	    .len = it->m->data_len,
	    .frame = &it->frame};

	switch (it->path) {
	case PATH_KNOWN:
		settle_known(lc, it, port);
		break;
	case PATH_PASS:
		lcore_pass(lc, &p);
		break;
	case PATH_ASK4:
		settle_asked(lc, &p, &b->rules4[2 * it->ask], &it->known);
		break;
	case PATH_ASK6:
		settle_asked(lc, &p, &b->rules6[2 * it->ask], &it->known);
		break;
	case PATH_SCATTERED:
		settle_alone(lc, it->m, port);
		break;
	}
}

void inspect_burst(struct lcore *lc, uint8_t port, struct rte_mbuf **frames, unsigned count)
{
	struct burst *b = lc->burst;

	b->asks4 = b->asks6 = 0;
	look(lc, b, port, frames, count);
	if (b->asks4 > 0)
		policy_ask4(lc->policy, b->keys4, 2 * b->asks4, b->rules4);
	if (b->asks6 > 0)
		policy_ask6(lc->policy, b->keys6, 2 * b->asks6, b->rules6);
	lc->counters.asked += b->asks4 + b->asks6;
	for (unsigned i = 0; i < count; i++)
		settle_item(lc, b, &b->item[i], port);
}

void inspect_handed_over(struct lcore *lc, struct rte_mbuf *m, enum handover why)
{
	struct packet p = {.port = (uint8_t)(m->hash.usr >> 8)};
	struct frame frame;

	if (!make_linear(lc, m, &p)) {
		rte_pktmbuf_free(m);
		return;
	}
	frame_parse(&frame, p.bytes, p.len);
	p.frame = &frame;
	if (why == HANDOVER_TCP)
		own_tcp(lc, &p);
	else if (why == HANDOVER_FRAGMENT)
		own_fragment(lc, &p);
	else
		own_icmp(lc, &p);
}
