/* SPDX-License-Identifier: Apache-2.0 */
/* stats: every counter of the dataplane as lines "name value", summed over the lcores. */
#ifndef DATAPLANE_STATS_H
#define DATAPLANE_STATS_H

#include "dataplane/lcore.h"

/*
 * Writes into `text` and returns its length. Rules that were never hit are left out, and when the room ends
 * the rest is counted in `rules.not_shown`. Called by the control thread while the lcores count on: a sum may
 * be a burst behind.
 */
size_t stats_write(const struct dataplane *dataplane, const struct policy *policy, char *text, size_t size);

#endif
