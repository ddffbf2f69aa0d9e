/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed: what `reeve` seals to the keeper's key (seal.c), so that control hands on what it cannot read. Each
 * text begins with its purpose: none can be given for another.
 *
 *   CA key:  string SEALED_CA_KEY, u8 enum rpc_ca, string private key's fields
 *   secret:  string SEALED_SECRET, string target, string login, u8 enum rpc_secret, string secret, string
 * zeros
 */
#ifndef CONTROL_KEEPER_SEALED_H
#define CONTROL_KEEPER_SEALED_H

#include "config/wire/wire.h"

#define SEALED_CA_KEY "portreeve ca key 1"
#define SEALED_SECRET "portreeve vault 1"
#define SEALED_PADDED_TO 256 /* bytes: lengths of passwords are nobody's business */

/* Zeros, as a string, that bring what was written to a multiple of SEALED_PADDED_TO. */
static inline void sealed_pad(struct wire_out *out)
{
	static const uint8_t zeros[SEALED_PADDED_TO];

	wire_put_string(out, zeros, SEALED_PADDED_TO - (wire_written(out) + 4) % SEALED_PADDED_TO);
}

#endif
