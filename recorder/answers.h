/* SPDX-License-Identifier: Apache-2.0 */
/* What control asks: counters, lists, bytes of recordings. */
#ifndef RECORDER_ANSWERS_H
#define RECORDER_ANSWERS_H

#include "control/rpc/rpc.h"
#include "recorder/program.h"

/* rpc_dispatch handlers; `context` is the struct recorder. */
int answer_stats(void *context, struct rpc_link *link, struct rpc_message *message);
int answer_list(void *context, struct rpc_link *link, struct rpc_message *message);
int answer_read(void *context, struct rpc_link *link, struct rpc_message *message);

#endif
