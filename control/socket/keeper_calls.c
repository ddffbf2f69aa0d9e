/* SPDX-License-Identifier: Apache-2.0 */
/* What methods ask of the keeper, and what is said when it cannot. */
#include "control/control.h"

#define ADMIN_TIMEOUT_MS 5000

bool keeper_failed(struct request *request, int error)
{
	if (error == 0)
		return false;
	request_fail(
	    request, SERVER_UNAVAILABLE, "the keeper (reeve-keeper) does not answer; try again in a moment");
	return true;
}

void keeper_complains(struct request *request, struct wire_span error)
{
	request_fail(request, SERVER_UNAVAILABLE, "the keeper could not do it: %.*s",
	    (int)(error.len > 400 ? 400 : error.len), (const char *)error.at);
}

struct call_options ask_keeper(struct request *request, uint16_t type, uint16_t reply_type, call_done done)
{
	return (struct call_options){.peer = &request->control->peers.keeper,
	    .type = type,
	    .reply_type = reply_type,
	    .timeout_ms = ADMIN_TIMEOUT_MS,
	    .wait = true,
	    .fd = -1,
	    .done = done,
	    .argument = request};
}
