/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all tables of scenarios. */
#include "tests/packet/scenario.h"

const struct scenario *const SCENARIOS[] = {
#define SCENARIO_TABLE(table) table,
    SCENARIO_TABLES(SCENARIO_TABLE) NULL,
};
