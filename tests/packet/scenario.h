/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario: one text in the language that scenarios.c explains. MSS 1460 less timestamps is 1448 bytes a
 * segment. A file scenarios_NAME.c holds one table, ended by {NULL, NULL}; scenario_table.c lists the tables.
 */
#ifndef TESTS_PACKET_SCENARIO_H
#define TESTS_PACKET_SCENARIO_H

#include <stddef.h>

struct scenario {
	const char *name, *text;
};

/* Every table, in the order they are run. */
#define SCENARIO_TABLES(F)                                                                                   \
	F(scenarios_adoption)                                                                                \
	F(scenarios_acks)                                                                                    \
	F(scenarios_reorder)                                                                                 \
	F(scenarios_loss)                                                                                    \
	F(scenarios_recovery)                                                                                \
	F(scenarios_window)                                                                                  \
	F(scenarios_close)                                                                                   \
	F(scenarios_attack)                                                                                  \
	F(scenarios_worker)                                                                                  \
	F(scenarios_keepalive)                                                                               \
	F(scenarios_sequence)                                                                                \
	F(scenarios_path)                                                                                    \
	F(scenarios_ip)

#define SCENARIO_DECLARE(table) extern const struct scenario table[];
SCENARIO_TABLES(SCENARIO_DECLARE)
#undef SCENARIO_DECLARE

extern const struct scenario *const SCENARIOS[]; /* ended by NULL */

#endif
