/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_recorder: the other end of a record channel, in a thread or driven by hand.
 *
 * It keeps what it is told as files DIR/<program id>.sshlog (header, blocks) and DIR/<program id>.open.json
 * and .close.json, and acknowledges at once. Tests that need a slower or a dying one drive a slab_consumer
 * themselves.
 */
#ifndef TESTS_UNIT_SSHTERM_FAKE_RECORDER_H
#define TESTS_UNIT_SSHTERM_FAKE_RECORDER_H

#include "dataplane/slab/slab.h"

struct fake_recorder;

/* Makes a channel, gives its producer end to the caller, and starts a thread on the other. `bell` is rung for
 * acknowledgements and taken over. */
struct fake_recorder *fake_recorder_start(const char *directory, uint32_t slabs, uint32_t slab_bytes,
    uint32_t epoch, int bell, struct slab_producer **end);
void fake_recorder_stop(struct fake_recorder *recorder);

#endif
