/* SPDX-License-Identifier: Apache-2.0 */
/* sources: control/rpc/messages.c config/wire/wire.c */
/* Every body decoder over bytes of a process that may be taken over: what is accepted encodes to the same. */
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"

static uint8_t room[2 * RPC_MESSAGE_MAX];

#define TRY(NAME, name, number)                                                                              \
	{                                                                                                    \
		struct rpc_##name body;                                                                      \
		struct wire_out out = wire_into(room, sizeof(room));                                         \
		if (rpc_get_##name((struct wire_span){data, size}, &body)) {                                 \
			rpc_put_##name(&out, &body);                                                         \
			if (out.failed || wire_written(&out) != size || memcmp(room, data, size) != 0)       \
				abort();                                                                     \
		}                                                                                            \
	}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_policy_match match;
	struct wire in = wire_over(data, size);

	if (size > RPC_MESSAGE_MAX)
		return 0;
	RPC_MESSAGES(TRY)
	while (wire_left(&in) > 0 && rpc_get_policy_match(&in, &match))
		;
	return 0;
}
