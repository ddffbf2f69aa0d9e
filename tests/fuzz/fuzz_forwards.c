/* SPDX-License-Identifier: Apache-2.0 */
/* sources: sshterm/forwards.c; deps: wire rpc */
/*
 * Forwarding rules as a worker gets them, and the places that clients ask for. Input: u8 kind, u32 port,
 * string rules, the rest a host or path. What is not valid is never asked; and a list cannot allow more than
 * a list of everything, nor a name by one case and not by another, nor a path that is not plain.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/forwards.h"

static void check_host(
    struct wire_span rules, enum rpc_forward_kind kind, struct wire_span host, uint32_t port, bool allowed)
{
	uint8_t *other = malloc(host.len + 1);

	for (size_t i = 0; i < host.len; i++)
		other[i] = (uint8_t)(islower(host.at[i]) ? toupper(host.at[i]) : tolower(host.at[i]));
	if (forwards_allow_host(rules, kind, (struct wire_span){other, host.len}, port) != allowed)
		abort();
	free(other);
	if (allowed && forwards_extent(rules, kind) == RPC_FORWARD_LISTED && port > 65535)
		abort();
}

static void check_path(
    struct wire_span rules, enum rpc_forward_kind kind, struct wire_span path, bool allowed)
{
	if (!allowed || forwards_extent(rules, kind) != RPC_FORWARD_LISTED)
		return;
	if (path.len < 2 || path.at[0] != '/' || memchr(path.at, 0, path.len) != NULL ||
	    memmem(path.at, path.len, "/..", 3) == path.at + path.len - 3 ||
	    memmem(path.at, path.len, "/../", 4) != NULL || memmem(path.at, path.len, "//", 2) != NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct wire in = wire_over(input, size);
	enum rpc_forward_kind kind = (enum rpc_forward_kind)(wire_u8(&in) % RPC_FORWARD_TUN);
	uint32_t port = wire_u32(&in);
	struct wire_span rules = wire_string(&in);
	struct wire_span place = wire_bytes(&in, wire_left(&in));

	if (in.failed || !rpc_forwards_valid(rules))
		return 0;
	if (kind == RPC_FORWARD_UNIX_LOCAL || kind == RPC_FORWARD_UNIX_REMOTE)
		check_path(rules, kind, place, forwards_allow_path(rules, kind, place));
	else
		check_host(rules, kind, place, port, forwards_allow_host(rules, kind, place, port));
	return 0;
}
