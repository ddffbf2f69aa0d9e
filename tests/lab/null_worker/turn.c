/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lab/null_worker/turn.h"

#include <stdlib.h>
#include <string.h>

#define TURN_BURST 256        /* descriptors taken in one turn */
#define KEPT_ROOM 4096        /* least capacity of a piece: single bytes share it */
#define PLACES_MAX 0x1000000u /* flows that a dataplane may name */

/* Bytes that found no slab. */
struct kept {
	struct kept *next;
	uint32_t at, len, room;
	uint8_t bytes[];
};

struct turn_leg {
	struct kept *first, *last;
	uint64_t consumed, reported; /* of what came from this leg's peer */
	bool fin_came, fin_put;
	/* towards this leg's peer */
	uint32_t slabs_out, send_credit;
	uint32_t open_slab, open_len;
	uint8_t *open_bytes;
};

struct turn_flow {
	uint64_t id;
	struct turn_leg leg[2];
	uint32_t receive_credit;
	bool reset, gone, is_dirty, is_starving;
	struct turn_flow *next_dirty, *next_starving;
};

/* -- flows -- */

static struct turn_flow *flow_find(const struct turn_lane *lane, uint64_t id)
{
	uint32_t place = (uint32_t)id;
	struct turn_flow *flow = place < lane->places ? lane->flows[place] : NULL;

	return flow != NULL && flow->id == id ? flow : NULL;
}

static bool place_make(struct turn_lane *lane, uint32_t place)
{
	uint32_t places = lane->places > 0 ? lane->places : 1024;

	if (place >= PLACES_MAX)
		return false;
	while (places <= place)
		places *= 2;
	if (places == lane->places)
		return true;
	struct turn_flow **flows = realloc(lane->flows, places * sizeof(struct turn_flow *));
	if (flows == NULL)
		return false;
	memset(flows + lane->places, 0, (places - lane->places) * sizeof(struct turn_flow *));
	lane->flows = flows;
	lane->places = places;
	return true;
}

static void mark_dirty(struct turn_lane *lane, struct turn_flow *flow)
{
	if (flow->is_dirty)
		return;
	flow->is_dirty = true;
	flow->next_dirty = lane->dirty;
	lane->dirty = flow;
}

static void mark_starving(struct turn_lane *lane, struct turn_flow *flow)
{
	if (flow->is_starving)
		return;
	flow->is_starving = true;
	flow->next_starving = lane->starving;
	lane->starving = flow;
}

/* Nothing of it goes anywhere any more. */
static void flow_silence(struct turn_lane *lane, struct turn_flow *flow)
{
	flow->reset = true;
	for (unsigned i = 0; i < 2; i++) {
		struct turn_leg *leg = &flow->leg[i];
		while (leg->first != NULL) {
			struct kept *kept = leg->first;
			leg->first = kept->next;
			free(kept);
		}
		leg->last = NULL;
		if (leg->open_slab != SLAB_NONE)
			slab_untake(lane->out, leg->open_slab);
		leg->open_slab = SLAB_NONE;
	}
}

static void flow_free_unlisted(struct turn_flow *flow)
{
	if (flow->gone && !flow->is_dirty && !flow->is_starving)
		free(flow);
}

static void flow_gone(struct turn_lane *lane, struct turn_flow *flow)
{
	flow_silence(lane, flow);
	lane->flows[(uint32_t)flow->id] = NULL;
	lane->live--;
	flow->gone = true;
	flow_free_unlisted(flow);
}

static void say(struct turn_lane *lane, uint64_t flow, uint16_t type, uint32_t leg)
{
	/* A ring without room for a reset: the dataplane keeps the flow until its time-outs. */
	(void)slab_put(
	    lane->out, &(struct slab_desc){.slab = SLAB_NONE, .type = type, .aux = leg, .flow = flow});
}

static void flow_open(struct turn_lane *lane, const struct slab_desc *desc, const uint8_t *bytes)
{
	struct slab_flow about;

	if (bytes == NULL || desc->len < sizeof(about))
		return;
	memcpy(&about, bytes, sizeof(about));
	struct turn_flow *flow = place_make(lane, (uint32_t)desc->flow) ? calloc(1, sizeof(*flow)) : NULL;
	if (flow == NULL) {
		say(lane, desc->flow, SLAB_LEG_RESET, SLAB_LEG_BOTH);
		return;
	}
	if (lane->flows[(uint32_t)desc->flow] != NULL)
		flow_gone(lane, lane->flows[(uint32_t)desc->flow]);
	flow->id = desc->flow;
	flow->receive_credit = about.receive_credit;
	for (unsigned i = 0; i < 2; i++) {
		flow->leg[i].send_credit = about.send_credit;
		flow->leg[i].open_slab = SLAB_NONE;
	}
	lane->flows[(uint32_t)desc->flow] = flow;
	lane->live++;
	lane->total++;
}

/* -- bytes -- */

static bool put_open_slab(struct turn_lane *lane, struct turn_flow *flow, unsigned to)
{
	struct turn_leg *leg = &flow->leg[to];
	struct slab_desc desc = {
	    .slab = leg->open_slab, .len = leg->open_len, .type = SLAB_LEG_DATA, .aux = to, .flow = flow->id};

	if (!slab_put(lane->out, &desc))
		return false;
	leg->open_slab = SLAB_NONE;
	return true;
}

static bool take_open_slab(struct turn_lane *lane, struct turn_flow *flow, unsigned to)
{
	struct turn_leg *leg = &flow->leg[to];

	if (leg->slabs_out >= leg->send_credit)
		return false; /* one that comes back marks the flow dirty */
	leg->open_slab = slab_take(lane->out, &leg->open_bytes);
	if (leg->open_slab == SLAB_NONE) {
		mark_starving(lane, flow);
		return false;
	}
	leg->open_len = 0;
	leg->slabs_out++;
	return true;
}

/* Writes towards the peer of leg `to`; returns bytes taken. */
static uint32_t flow_write(
    struct turn_lane *lane, struct turn_flow *flow, unsigned to, const uint8_t *at, uint32_t len)
{
	struct turn_leg *leg = &flow->leg[to];
	uint32_t size = slab_size(lane->out), done = 0;

	if (leg->fin_put)
		return len; /* echo: the other leg has ended this one */
	while (done < len) {
		if (leg->open_slab == SLAB_NONE && !take_open_slab(lane, flow, to))
			break;
		uint32_t part = size - leg->open_len < len - done ? size - leg->open_len : len - done;
		memcpy(leg->open_bytes + leg->open_len, at + done, part);
		leg->open_len += part;
		done += part;
		if (leg->open_len == size && !put_open_slab(lane, flow, to))
			break;
	}
	lane->bytes += done;
	return done;
}

static bool keep(struct turn_leg *leg, const uint8_t *at, uint32_t len)
{
	struct kept *kept = leg->last;

	if (kept == NULL || kept->room - kept->len < len) {
		uint32_t room = len > KEPT_ROOM ? len : KEPT_ROOM;
		kept = malloc(sizeof(*kept) + room);
		if (kept == NULL)
			return false;
		*kept = (struct kept){.room = room};
		if (leg->last != NULL)
			leg->last->next = kept;
		else
			leg->first = kept;
		leg->last = kept;
	}
	memcpy(kept->bytes + kept->len, at, len);
	kept->len += len;
	return true;
}

static unsigned target(const struct turn_lane *lane, unsigned from)
{
	return lane->mode == TURN_ECHO ? from : !from;
}

static void flow_data(
    struct turn_lane *lane, struct turn_flow *flow, unsigned from, const uint8_t *at, uint32_t len)
{
	struct turn_leg *leg = &flow->leg[from];
	uint32_t done = leg->first == NULL ? flow_write(lane, flow, target(lane, from), at, len) : 0;

	leg->consumed += done;
	if (done < len && !keep(leg, at + done, len - done)) {
		/* A hole in the stream: nothing after it may go on. */
		say(lane, flow->id, SLAB_LEG_RESET, SLAB_LEG_BOTH);
		flow_silence(lane, flow);
	}
	mark_dirty(lane, flow);
}

static void drain(struct turn_lane *lane, struct turn_flow *flow, unsigned from)
{
	struct turn_leg *leg = &flow->leg[from];

	while (leg->first != NULL) {
		struct kept *kept = leg->first;
		uint32_t left = kept->len - kept->at;
		uint32_t done = flow_write(lane, flow, target(lane, from), kept->bytes + kept->at, left);
		leg->consumed += done;
		kept->at += done;
		if (done < left)
			return;
		leg->first = kept->next;
		if (leg->first == NULL)
			leg->last = NULL;
		free(kept);
	}
}

/* -- the end of a turn -- */

/* Have all bytes gone out that come before this leg's FIN? */
static bool fin_due(const struct turn_lane *lane, const struct turn_flow *flow, unsigned to)
{
	const struct turn_leg *leg = &flow->leg[to], *other = &flow->leg[!to];

	if (leg->fin_put || leg->open_slab != SLAB_NONE)
		return false;
	if (lane->mode == TURN_ECHO)
		return leg->first == NULL && (leg->fin_came || other->fin_came);
	return other->fin_came && other->first == NULL;
}

/* The window opens in steps of an eighth of the credit, as with the real worker. */
static bool report(struct turn_lane *lane, struct turn_flow *flow, unsigned from)
{
	struct turn_leg *leg = &flow->leg[from];
	struct slab_desc desc = {.slab = SLAB_NONE,
	    .type = SLAB_LEG_CONSUMED,
	    .aux = from,
	    .flow = flow->id,
	    .arg = leg->consumed};

	if (leg->consumed - leg->reported == 0 || leg->consumed - leg->reported < flow->receive_credit / 8)
		return true;
	if (!slab_put(lane->out, &desc))
		return false;
	leg->reported = leg->consumed;
	return true;
}

/* False: the ring is full, to be tried again. */
static bool flow_settle(struct turn_lane *lane, struct turn_flow *flow)
{
	for (unsigned i = 0; i < 2; i++)
		drain(lane, flow, i);
	for (unsigned i = 0; i < 2; i++) {
		struct turn_leg *leg = &flow->leg[i];
		struct slab_desc fin = {.slab = SLAB_NONE, .type = SLAB_LEG_FIN, .aux = i, .flow = flow->id};
		if (leg->open_slab != SLAB_NONE && !put_open_slab(lane, flow, i))
			return false;
		if (!report(lane, flow, i))
			return false;
		if (!fin_due(lane, flow, i))
			continue;
		if (!slab_put(lane->out, &fin))
			return false;
		leg->fin_put = true;
	}
	return true;
}

void turn_settle(struct turn_lane *lane)
{
	struct turn_flow *flow = lane->dirty, *again = NULL;

	if (lane->in == NULL || lane->out == NULL)
		return;
	while (flow != NULL) {
		struct turn_flow *next = flow->next_dirty;
		if (!flow->reset && !flow_settle(lane, flow)) {
			flow->next_dirty = again;
			again = flow;
		} else {
			flow->is_dirty = false;
			flow_free_unlisted(flow);
		}
		flow = next;
	}
	lane->dirty = again;
	slab_publish(lane->out);
	slab_consumer_publish(lane->in);
}

/* -- what comes in -- */

static void feed_starving(struct turn_lane *lane)
{
	while (lane->starving != NULL) {
		struct turn_flow *flow = lane->starving;
		lane->starving = flow->next_starving;
		flow->is_starving = false;
		if (flow->gone)
			flow_free_unlisted(flow);
		else
			mark_dirty(lane, flow);
	}
}

static bool reclaim(struct turn_lane *lane)
{
	struct slab_desc desc;
	uint64_t status;
	bool any = false;

	while (slab_reclaim(lane->out, &desc, &status, false)) {
		struct turn_flow *flow = flow_find(lane, desc.flow);
		any = true;
		if (flow == NULL || desc.aux > SLAB_LEG_ORIGIN)
			continue;
		flow->leg[desc.aux].slabs_out--;
		if (flow->leg[0].first != NULL || flow->leg[1].first != NULL)
			mark_dirty(lane, flow);
	}
	if (any)
		feed_starving(lane);
	return any;
}

static void take(struct turn_lane *lane, const struct slab_desc *desc, const uint8_t *bytes)
{
	struct turn_flow *flow = flow_find(lane, desc->flow);

	if (desc->type == SLAB_FLOW_OPEN && flow == NULL) {
		flow_open(lane, desc, bytes);
	} else if (flow == NULL) {
		lane->strays += desc->type != SLAB_FLOW_GONE;
	} else if (desc->type == SLAB_FLOW_GONE) {
		flow_gone(lane, flow);
	} else if (desc->type == SLAB_FLOW_RESET) {
		flow_silence(lane, flow);
	} else if (!flow->reset && desc->aux <= SLAB_LEG_ORIGIN) {
		if (desc->type == SLAB_FLOW_DATA && bytes != NULL) {
			flow_data(lane, flow, desc->aux, bytes, desc->len);
		} else if (desc->type == SLAB_FLOW_FIN) {
			flow->leg[desc->aux].fin_came = true;
			mark_dirty(lane, flow);
		} else if (desc->type == SLAB_FLOW_CREDIT) {
			flow->leg[desc->aux].send_credit = (uint32_t)desc->arg;
			mark_dirty(lane, flow);
		}
	}
	if (bytes != NULL)
		slab_return(lane->in, desc->slab, 0);
}

bool turn_poll(struct turn_lane *lane)
{
	struct slab_desc desc;
	const uint8_t *bytes;

	if (lane->in == NULL || lane->out == NULL)
		return false;
	bool any = reclaim(lane);
	for (int i = 0; i < TURN_BURST && slab_get(lane->in, &desc, &bytes); i++) {
		take(lane, &desc, bytes);
		any = true;
	}
	return any;
}

/* -- the rest -- */

void turn_asleep(struct turn_lane *lane, bool asleep)
{
	if (lane->in != NULL)
		slab_consumer_asleep(lane->in, asleep);
	if (lane->out != NULL)
		slab_producer_asleep(lane->out, asleep);
}

bool turn_ready(const struct turn_lane *lane)
{
	return lane->in != NULL && lane->out != NULL &&
	       (lane->dirty != NULL || slab_consumer_ready(lane->in) || slab_producer_ready(lane->out));
}

bool turn_corrupt(const struct turn_lane *lane)
{
	return (lane->in != NULL && slab_consumer_corrupt(lane->in)) ||
	       (lane->out != NULL && slab_producer_corrupt(lane->out));
}

void turn_reset_all(struct turn_lane *lane)
{
	if (lane->in == NULL || lane->out == NULL)
		return;
	for (uint32_t i = 0; i < lane->places; i++)
		if (lane->flows[i] != NULL && !lane->flows[i]->reset) {
			say(lane, lane->flows[i]->id, SLAB_LEG_RESET, SLAB_LEG_BOTH);
			flow_silence(lane, lane->flows[i]);
		}
}

void turn_drop(struct turn_lane *lane)
{
	for (uint32_t i = 0; i < lane->places; i++)
		if (lane->flows[i] != NULL)
			flow_gone(lane, lane->flows[i]);
	free(lane->flows);
	lane->flows = NULL;
	lane->places = 0;
	while (lane->dirty != NULL) {
		struct turn_flow *flow = lane->dirty;
		lane->dirty = flow->next_dirty;
		flow->is_dirty = false;
		flow_free_unlisted(flow);
	}
	while (lane->starving != NULL) {
		struct turn_flow *flow = lane->starving;
		lane->starving = flow->next_starving;
		flow->is_starving = false;
		flow_free_unlisted(flow);
	}
	slab_consumer_close(lane->in);
	slab_producer_close(lane->out);
	lane->in = NULL;
	lane->out = NULL;
}
