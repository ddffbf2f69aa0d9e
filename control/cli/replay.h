/* SPDX-License-Identifier: Apache-2.0 */
/* replay: a recording on the auditor's own terminal, with its own timing. */
#ifndef CONTROL_CLI_REPLAY_H
#define CONTROL_CLI_REPLAY_H

#include <stdbool.h>

#include "control/cli/recording.h"

struct replay_pace {
	double speed;    /* 1: as it was; 0: without waiting */
	double idle_max; /* seconds: longer pauses are cut to this; 0: none are */
};

/* Writes what the origin sent to standard output. 0, or -1 after a message. */
int replay_run(struct recording *recording, const struct replay_pace *pace);
/* Reads --speed, --max-idle and --no-wait of a call. False after a message. */
struct call;
bool replay_pace_of(const struct call *call, struct replay_pace *pace);

#endif
