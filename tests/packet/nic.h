/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic: finishes frames as a port does that offers checksums and TSO. Written apart from the endpoint, and
 * strict: a frame that a real port would send out wrong is refused.
 */
#ifndef TESTS_PACKET_NIC_H
#define TESTS_PACKET_NIC_H

#include "dataplane/tcp/tcp.h"

/* Each frame that goes on the wire is given to `send`. False: the frame is not as a port expects it. */
bool nic_finish(const uint8_t *bytes, uint32_t len, const struct tcp_unfinished *what,
    void (*send)(void *context, const uint8_t *bytes, uint32_t len), void *context);

#endif
