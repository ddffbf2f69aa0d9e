/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pieces of RFC 9180 that format.h's contexts are made of, apart so that the RFC's own vectors (which
 * have an info and an aad) can be run over the same code. Private to recorder/format and its tests.
 */
#ifndef RECORDER_FORMAT_HPKE_H
#define RECORDER_FORMAT_HPKE_H

#include "recorder/format/format.h"

#define HPKE_SECRET_SIZE 32

/* Section 4.1, Encap with a given ephemeral key pair and Decap. 0, or -EINVAL on an all-zero DH result. */
int hpke_encap(const uint8_t recipient[FORMAT_KEY_SIZE], const uint8_t ephemeral[FORMAT_KEY_SIZE],
    uint8_t encapsulated[FORMAT_KEY_SIZE], uint8_t shared[HPKE_SECRET_SIZE]);
int hpke_decap(const uint8_t encapsulated[FORMAT_KEY_SIZE], const uint8_t secret[FORMAT_KEY_SIZE],
    uint8_t shared[HPKE_SECRET_SIZE]);

/* Section 5.1, KeySchedule in base mode. */
void hpke_key_schedule(
    struct format_context *context, const uint8_t shared[HPKE_SECRET_SIZE], struct wire_span info);

/* Section 5.2, Seal and Open with the context's next sequence number; `out` takes len + or - the tag.
 * As format_seal and format_open, but of any length up to FORMAT_SEALED_MAX. */
int hpke_seal(
    struct format_context *context, struct wire_span aad, const uint8_t *plain, size_t len, uint8_t *out);
int hpke_open(
    struct format_context *context, struct wire_span aad, const uint8_t *sealed, size_t len, uint8_t *out);

#endif
