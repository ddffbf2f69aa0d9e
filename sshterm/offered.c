/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/offered.h"

#include <stdio.h>
#include <string.h>

#include "sshterm/session.h"
#include "sshterm/worker.h"

/* Its place, or OFFERED_TARGETS. */
static unsigned find(const struct offered *offered, const struct session *session)
{
	unsigned i = 0;

	while (i < OFFERED_TARGETS && (strcmp(offered->targets[i].target_id, session->target_id) != 0 ||
	                                  strcmp(offered->targets[i].rule_name, session->rule_name) != 0))
		i++;
	return i;
}

void offered_note(const struct session *session, struct offered_ways ways)
{
	struct offered *offered = &session->worker->offered;
	unsigned at = find(offered, session);

	if (session->target_id[0] == '\0')
		return;
	if (at == OFFERED_TARGETS) {
		at = offered->next++ % OFFERED_TARGETS;
		snprintf(offered->targets[at].rule_name, sizeof(offered->targets[at].rule_name), "%s",
		    session->rule_name);
		snprintf(offered->targets[at].target_id, sizeof(offered->targets[at].target_id), "%s",
		    session->target_id);
	}
	offered->targets[at].ways = ways;
}

struct offered_ways offered_last(const struct session *session)
{
	const struct offered *offered = &session->worker->offered;
	unsigned at = session->target_id[0] == '\0' ? OFFERED_TARGETS : find(offered, session);

	return at == OFFERED_TARGETS ? (struct offered_ways){true, true} : offered->targets[at].ways;
}
