/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keeper/host_wait.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/keeper/searcher.h"

#define REFUSED_TOLD_EVERY 1000

/* A message that waits, copied whole. */
struct waiting {
	struct waiting *next;
	uint8_t name[HOST_KEY_NAME_SIZE];
	uint16_t type;
	uint32_t id;
	size_t len;
	uint8_t body[];
};

struct host_wait {
	int searcher;
	unsigned asked_count, waiting_count;
	uint64_t refused;
	struct host_search asked[HOST_SEARCHES_MAX]; /* without what they are made of */
	struct waiting *first, **last;               /* in the order in which they came */
};

struct host_wait *host_wait_create(int searcher)
{
	struct host_wait *wait = calloc(1, sizeof(*wait));

	if (wait == NULL)
		return NULL;
	wait->searcher = searcher;
	wait->last = &wait->first;
	return wait;
}

void host_wait_forget(struct host_wait *wait)
{
	while (wait->first != NULL) {
		struct waiting *next = wait->first->next;
		free(wait->first);
		wait->first = next;
	}
	wait->last = &wait->first;
	wait->waiting_count = 0;
}

void host_wait_destroy(struct host_wait *wait)
{
	if (wait == NULL)
		return;
	host_wait_forget(wait);
	close(wait->searcher);
	free(wait);
}

int host_wait_fd(const struct host_wait *wait)
{
	return wait->searcher;
}

static bool is_asked(const struct host_wait *wait, const uint8_t name[HOST_KEY_NAME_SIZE])
{
	for (unsigned i = 0; i < wait->asked_count; i++)
		if (memcmp(wait->asked[i].name, name, HOST_KEY_NAME_SIZE) == 0)
			return true;
	return false;
}

static bool ask(struct host_wait *wait, const struct host_search *search)
{
	if (is_asked(wait, search->name))
		return true;
	if (wait->asked_count == HOST_SEARCHES_MAX || !searcher_ask(wait->searcher, search))
		return false;
	struct host_search *asked = &wait->asked[wait->asked_count++];
	*asked = *search;
	sodium_memzero(asked->derived, sizeof(asked->derived));
	return true;
}

static bool keep(
    struct host_wait *wait, const struct rpc_message *message, const uint8_t name[HOST_KEY_NAME_SIZE])
{
	struct waiting *one =
	    wait->waiting_count == HOST_WAITING_MAX ? NULL : malloc(sizeof(*one) + message->body.len);

	if (one == NULL)
		return false;
	*one = (struct waiting){.type = message->type, .id = message->id, .len = message->body.len};
	memcpy(one->name, name, sizeof(one->name));
	if (one->len > 0)
		memcpy(one->body, message->body.at, one->len);
	*wait->last = one;
	wait->last = &one->next;
	wait->waiting_count++;
	return true;
}

enum host_waiting host_wait_for(struct keeper *keeper, const struct rpc_message *message, enum host_seed seed,
    const char *target_id, struct wire_span type)
{
	struct host_wait *wait = keeper->host_wait;
	struct host_search search;

	if (wait == NULL || !host_keys_must_search(keeper->host_keys, seed, target_id, type, &search))
		return HOST_WAIT_NOT;
	bool waits = ask(wait, &search) && keep(wait, message, search.name);
	sodium_memzero(search.derived, sizeof(search.derived));
	if (!waits && wait->refused++ % REFUSED_TOLD_EVERY == 0)
		rpc_log(RPC_LOG_WARNING,
		    "more RSA host keys are asked for at once than can be searched for: %llu questions were "
		    "refused "
		    "so far",
		    (unsigned long long)wait->refused);
	return waits ? HOST_WAITS : HOST_WAIT_FULL;
}

/* Whatever waits for that name, out of the list. */
static struct waiting *take_out(struct host_wait *wait, const uint8_t name[HOST_KEY_NAME_SIZE])
{
	struct waiting *out = NULL, **out_last = &out, **at = &wait->first;

	while (*at != NULL) {
		struct waiting *one = *at;
		if (memcmp(one->name, name, sizeof(one->name)) != 0) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		one->next = NULL;
		*out_last = one;
		out_last = &one->next;
		wait->waiting_count--;
	}
	wait->last = at;
	return out;
}

static int answer(struct keeper *keeper, struct rpc_link *control, struct waiting *list)
{
	int error = 0;

	while (list != NULL) {
		struct waiting *one = list;
		struct rpc_message message = {
		    .type = one->type, .id = one->id, .body = {one->body, one->len}, .fds = {-1, -1, -1, -1}};
		list = one->next;
		if (error >= 0)
			error = requests_take(keeper, control, &message);
		free(one);
	}
	return error;
}

int host_wait_take(struct keeper *keeper, struct rpc_link *control)
{
	struct host_wait *wait = keeper->host_wait;
	uint8_t name[HOST_KEY_NAME_SIZE];
	struct host_hint hint;
	int got = searcher_take(wait->searcher, name, &hint);

	if (got <= 0)
		return got == 0 ? 0 : -ESRCH;
	for (unsigned i = 0; i < wait->asked_count; i++) {
		if (memcmp(wait->asked[i].name, name, sizeof(name)) != 0)
			continue;
		host_keys_learn(keeper->host_keys, &wait->asked[i], &hint);
		wait->asked[i] = wait->asked[--wait->asked_count];
		return answer(keeper, control, take_out(wait, name));
	}
	return -ESRCH; /* nobody asked it that */
}
