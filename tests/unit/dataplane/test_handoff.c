/* SPDX-License-Identifier: Apache-2.0 */
/* The lcore's end of the slab channels, against a worker's end in the same process. */
#include "dataplane/handoff.h"
#include "dataplane/tcp/flow.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLABS 64
#define SLAB_BYTES 1024
#define FLOWS 512
#define FLOW(n) ((uint64_t)1 << 32 | (n))

struct end {
	struct slab_consumer *in;
	struct slab_producer *out;
};

static struct handoff *handoff;
static struct tcp_shard *shard;
static struct tcp_hooks hooks;
static struct end end[2];
static int bell = -1; /* the lcore's, that the workers ring */

static void attach_with(uint32_t slabs, uint32_t worker, uint32_t epoch)
{
	int down = slab_create(slabs, SLAB_BYTES, epoch), up = slab_create(SLABS, SLAB_BYTES, epoch);

	cr_assert_eq(slab_consumer_open(&end[worker].in, dup(down), dup(bell)), 0);
	cr_assert_eq(slab_producer_open(&end[worker].out, dup(up), -1), 0);
	cr_assert_eq(handoff_attach(handoff, shard, worker, HANDOFF_TO_WORKER, down, -1, epoch, 1), 0);
	cr_assert_eq(handoff_attach(handoff, shard, worker, HANDOFF_FROM_WORKER, up, -1, epoch, 1), 0);
}

static void attach(uint32_t worker, uint32_t epoch)
{
	attach_with(SLABS, worker, epoch);
}

static void start(void)
{
	struct tcp_config config;

	tcp_config_defaults(&config);
	config.flows = FLOWS;
	config.workers = 2;
	config.reorder_total = 1 << 20;
	bell = eventfd(0, EFD_NONBLOCK);
	handoff = handoff_create(2, config.flows);
	handoff_hooks(handoff, &hooks);
	shard = tcp_shard_create(&config, &hooks);
	cr_assert_not_null(shard);
}

static void stop(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (end[i].in != NULL)
			slab_consumer_close(end[i].in);
		slab_producer_close(end[i].out);
	}
	tcp_shard_destroy(shard);
	handoff_destroy(handoff);
	close(bell);
}

TestSuite(handoff, .init = start, .fini = stop);

static struct slab_desc next(unsigned worker, const uint8_t **bytes)
{
	struct slab_desc desc = {.slab = SLAB_NONE};

	handoff_flush(handoff);
	if (!slab_get(end[worker].in, &desc, bytes))
		desc.type = 0;
	return desc;
}

static int open_flow(uint32_t n)
{
	return hooks.worker_open(
	    hooks.worker_context, FLOW(n), &(struct slab_flow){.family = 4, .client_port = 7});
}

Test(handoff, nobody_is_up_until_both_lanes_are)
{
	int down = slab_create(SLABS, SLAB_BYTES, 1);

	cr_expect_eq(open_flow(1), -1);
	cr_assert_eq(handoff_attach(handoff, shard, 0, HANDOFF_TO_WORKER, down, -1, 1, 1), 0);
	cr_expect_not(handoff_any_up(handoff));
	cr_expect_eq(open_flow(1), -1);
	cr_expect_eq(handoff_attach(handoff, shard, 9, HANDOFF_TO_WORKER, dup(1), -1, 1, 1), -EINVAL);
	cr_expect_neq(handoff_attach(handoff, shard, 1, HANDOFF_TO_WORKER, dup(1), -1, 1, 1), 0);
}

Test(handoff, flows_go_where_fewest_are)
{
	const uint8_t *bytes;
	unsigned count[2] = {0};

	attach(0, 1);
	attach(1, 1);
	for (uint32_t i = 0; i < 6; i++) {
		int worker = open_flow(i);
		cr_assert(worker == 0 || worker == 1);
		count[worker]++;
	}
	cr_expect_eq(count[0], 3u);
	struct slab_desc desc = next(0, &bytes);
	cr_expect_eq(desc.type, SLAB_FLOW_OPEN);
	struct slab_flow about;
	memcpy(&about, bytes, sizeof(about));
	cr_expect_eq(about.client_port, 7);
	cr_expect(hooks.worker_gone(hooks.worker_context, 1, FLOW(1)));
	cr_expect_eq(open_flow(9), 1);
	cr_expect_eq(handoff_counters(handoff)->workers_up, 2u);
}

Test(handoff, bytes_of_a_leg_share_a_slab_and_words_come_behind_them)
{
	const uint8_t *bytes;

	attach(0, 1);
	open_flow(1);
	cr_assert_eq(next(0, &bytes).type, SLAB_FLOW_OPEN);
	cr_expect_eq(hooks.worker_data(hooks.worker_context, 0, FLOW(1), 0, (const uint8_t *)"abc", 3), 3u);
	cr_expect_eq(hooks.worker_data(hooks.worker_context, 0, FLOW(1), 0, (const uint8_t *)"def", 3), 3u);
	cr_expect_eq(hooks.worker_data(hooks.worker_context, 0, FLOW(1), 1, (const uint8_t *)"x", 1), 1u);
	cr_expect(hooks.worker_fin(hooks.worker_context, 0, FLOW(1), 1));
	cr_expect(hooks.worker_reset(hooks.worker_context, 0, FLOW(1), 0, ETIMEDOUT));
	struct slab_desc desc = next(0, &bytes);
	cr_expect_eq(desc.type, SLAB_FLOW_DATA);
	cr_expect_eq(desc.len, 6u);
	cr_expect_eq(desc.aux, 0u);
	cr_expect_eq(memcmp(bytes, "abcdef", 6), 0);
	desc = next(0, &bytes);
	cr_expect(desc.type == SLAB_FLOW_DATA && desc.aux == 1 && desc.len == 1);
	desc = next(0, &bytes);
	cr_expect(desc.type == SLAB_FLOW_FIN && desc.aux == 1);
	desc = next(0, &bytes);
	cr_expect(desc.type == SLAB_FLOW_RESET && desc.arg == ETIMEDOUT);
}

Test(handoff, no_flow_takes_all_slabs_of_a_lane)
{
	uint8_t block[SLAB_BYTES] = {0};
	const uint8_t *bytes;
	uint32_t taken = 0, slabs[SLABS], n = 0;

	attach(0, 1);
	open_flow(1);
	open_flow(2);
	for (unsigned i = 0; i < SLABS; i++)
		taken += hooks.worker_data(hooks.worker_context, 0, FLOW(1), 0, block, sizeof(block));
	cr_expect(taken >= 4 * SLAB_BYTES && taken < 16 * SLAB_BYTES, "one flow took %u bytes", taken);
	cr_expect_eq(hooks.worker_data(hooks.worker_context, 0, FLOW(1), 0, block, 1), 0u);
	cr_expect_eq(hooks.worker_data(hooks.worker_context, 0, FLOW(2), 0, block, 1), 1u);
	/* Given back, they may be had again. */
	for (struct slab_desc desc; (desc = next(0, &bytes)).type != 0;)
		if (desc.type == SLAB_FLOW_DATA)
			slabs[n++] = desc.slab;
	while (n > 0)
		slab_return(end[0].in, slabs[--n], 0);
	slab_consumer_publish(end[0].in);
	cr_expect(handoff_ready(handoff));
	cr_expect(handoff_poll(handoff, shard, 2) > 0);
	cr_expect_eq(hooks.worker_data(hooks.worker_context, 0, FLOW(1), 0, block, 1), 1u);
}

Test(handoff, slabs_of_flows_that_are_over_come_back_at_once)
{
	uint8_t *bytes;
	struct slab_desc desc = {.slab = 0, .type = SLAB_LEG_DATA, .len = 5, .aux = 0, .flow = FLOW(3)};
	uint64_t status;

	attach(0, 1);
	desc.slab = slab_take(end[0].out, &bytes);
	cr_assert(slab_put(end[0].out, &desc));
	slab_publish(end[0].out);
	cr_expect_eq(handoff_poll(handoff, shard, 2), 1u);
	handoff_flush(handoff);
	cr_expect(slab_reclaim(end[0].out, &desc, &status, false));
	cr_expect_eq(handoff_counters(handoff)->violations, 0u);
}

Test(handoff, a_new_epoch_replaces_the_worker)
{
	attach(0, 1);
	open_flow(1);
	struct end old = end[0];
	attach(0, 2);
	cr_expect_eq(handoff_counters(handoff)->workers_lost, 1u);
	cr_expect(handoff_any_up(handoff));
	cr_expect_eq(open_flow(2), 0);
	handoff_detach(handoff, shard, 0, 3);
	cr_expect_not(handoff_any_up(handoff));
	cr_expect_eq(open_flow(3), -1);
	cr_expect_eq(hooks.worker_data(hooks.worker_context, 0, FLOW(2), 0, (const uint8_t *)"x", 1), 0u);
	slab_consumer_close(old.in);
	slab_producer_close(old.out);
}

Test(handoff, sleeping_and_waking)
{
	struct slab_desc desc = {.slab = SLAB_NONE, .type = SLAB_LEG_FIN, .flow = FLOW(3)};

	attach(0, 1);
	handoff_asleep(handoff, true);
	cr_expect_not(handoff_ready(handoff));
	cr_assert(slab_put(end[0].out, &desc));
	slab_publish(end[0].out);
	cr_expect(handoff_ready(handoff));
	handoff_asleep(handoff, false);
	cr_expect_eq(handoff_poll(handoff, shard, 2), 1u);
	cr_expect_not(handoff_ready(handoff));
}

/* A connection that is over, of which its worker is to hear. */
static const struct tcp_flow *end_flow(uint16_t number)
{
	struct flow_key key = {0};

	memcpy(&key, &number, sizeof(number));
	struct tcp_flow *flow = flow_new(shard, &key);
	cr_assert_not_null(flow);
	flow->state = FLOW_TIME_WAIT;
	flow->worker = 0;
	flow->worker_epoch = shard->workers[0].epoch;
	flow->flags = FLOW_HAS_WORKER | FLOW_TELL_GONE;
	flow_settle(shard, flow, 1);
	return flow;
}

/* Everything that there is for the worker to take: how many GONEs are among it. */
static unsigned drain(void)
{
	struct slab_desc desc;
	const uint8_t *bytes;
	unsigned gone = 0;

	handoff_flush(handoff);
	while (slab_get(end[0].in, &desc, &bytes))
		gone += desc.type == SLAB_FLOW_GONE;
	return gone;
}

static bool rung(void)
{
	uint64_t count;

	return read(bell, &count, sizeof(count)) == sizeof(count);
}

/* An lcore's way into sleep. */
static bool falls_asleep(void)
{
	(void)handoff_poll(handoff, shard, 2);
	handoff_flush(handoff);
	handoff_asleep(handoff, true);
	return !handoff_ready(handoff);
}

/* Words without slabs fill the ring: no slab will come back for which the lcore would be woken. */
Test(handoff, who_waits_for_room_in_the_ring_alone_is_rung)
{
	struct slab_desc desc;
	const uint8_t *bytes;

	attach(0, 1);
	open_flow(1);
	while (hooks.worker_fin(hooks.worker_context, 0, FLOW(1), 0))
		;
	end_flow(2);
	cr_assert(falls_asleep());
	cr_expect_not(rung());
	cr_assert(slab_get(end[0].in, &desc, &bytes));
	slab_consumer_publish(end[0].in);
	cr_expect(rung(), "one was taken");
	cr_expect(handoff_ready(handoff));
	handoff_asleep(handoff, false);
	(void)handoff_poll(handoff, shard, 2);
	cr_expect_eq(drain(), 1u);
	/* Nothing waits any more: what the worker takes now is no reason to wake. */
	cr_expect(hooks.worker_fin(hooks.worker_context, 0, FLOW(1), 0));
	cr_assert(falls_asleep());
	cr_assert(slab_get(end[0].in, &desc, &bytes));
	slab_consumer_publish(end[0].in);
	cr_expect_not(rung());
}

Test(handoff, who_waits_for_slabs_is_not_rung_for_room)
{
	uint8_t block[SLAB_BYTES] = {0};
	struct slab_desc desc;
	const uint8_t *bytes;

	attach(0, 1);
	open_flow(1);
	while (hooks.worker_data(hooks.worker_context, 0, FLOW(1), 0, block, sizeof(block)) > 0)
		;
	handoff_flush(handoff);
	handoff_asleep(handoff, true);
	while (slab_get(end[0].in, &desc, &bytes))
		;
	slab_consumer_publish(end[0].in);
	cr_expect_not(rung(), "the worker holds them");
	slab_return(end[0].in, desc.slab, 0);
	slab_consumer_publish(end[0].in);
	cr_expect(rung());
}

Test(handoff, all_that_waited_for_room_have_their_turn)
{
	unsigned gone = 0;

	/* A ring of 1024. */
	attach_with(512, 0, 1);
	open_flow(1);
	while (hooks.worker_fin(hooks.worker_context, 0, FLOW(1), 0))
		;
	for (uint16_t i = 0; i < 300; i++)
		end_flow(i);
	/* The worker takes nothing: that is no reason to stay awake. */
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(handoff_poll(handoff, shard, 2), 0u);
	cr_expect_eq(drain(), 0u, "there was room: nobody had to wait");
	/* As long as the lcore would not go to sleep. */
	while (handoff_poll(handoff, shard, 2) > 0 || handoff_ready(handoff))
		gone += drain();
	gone += drain();
	cr_expect_eq(gone, 300u, "%u of 300 had their say", gone);
}

static const struct tcp_flow *slabless;

/* The word of one flow waits for slabs, which do not come back. */
static bool gone_but_slabless(void *context, int number, uint64_t flow)
{
	static const uint8_t block[SLAB_BYTES];

	if (flow != flow_id(shard, slabless))
		return hooks.worker_gone(context, number, flow);
	while (hooks.worker_data(context, number, FLOW(1), 0, block, sizeof(block)) > 0)
		;
	return false;
}

Test(handoff, who_waits_for_slabs_holds_up_nobody_else)
{
	unsigned gone = 0;

	attach_with(512, 0, 1);
	open_flow(1);
	while (hooks.worker_fin(hooks.worker_context, 0, FLOW(1), 0))
		;
	slabless = end_flow(0);
	shard->hooks.worker_gone = gone_but_slabless;
	for (uint16_t i = 1; i <= 300; i++)
		end_flow(i);
	cr_expect_eq(drain(), 0u, "there was room: nobody had to wait");
	while (handoff_poll(handoff, shard, 2) > 0)
		gone += drain();
	gone += drain();
	cr_expect_eq(gone, 300u, "%u of 300 had their say", gone);
	/* It alone is no work. */
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(handoff_poll(handoff, shard, 2), 0u);
}
