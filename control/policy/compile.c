/* SPDX-License-Identifier: Apache-2.0 */
/* The policy as the dataplane reads it (layout in rpc.h), in a memfd that nobody can change any more. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/policy/policy.h"

#define MATCH_SIZE 58 /* bytes of an encoded match, with room to spare */
#define RULE_SIZE 16  /* of a rule, without its name and matches */
#define HEAD_SIZE 32

static void put_rule(struct wire_out *out, const struct policy *policy, const struct policy_rule *rule)
{
	wire_put_cstring(out, rule->name);
	wire_put_u8(out, rule->action);
	wire_put_u8(out, rule->block);
	wire_put_u8(out, rule->unavailable);
	wire_put_u8(out, rule->midstream);
	wire_put_u8(out, rule->policy_change);
	wire_put_u8(out, rule->unsupported);
	wire_put_u32(out, rule->match_count);
	for (uint32_t i = 0; i < rule->match_count; i++)
		rpc_put_policy_match(out, &policy->matches[rule->first_match + i]);
}

static int write_all(int fd, const uint8_t *at, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, at, len);
		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			at += written;
			len -= (size_t)written;
		}
	}
	return 0;
}

int policy_compile(const struct policy *policy, size_t *size)
{
	size_t room = HEAD_SIZE + (size_t)policy->match_count * MATCH_SIZE +
	              (size_t)policy->rule_count * (RULE_SIZE + POLICY_RULE_NAME_SIZE);
	uint8_t *bytes = malloc(room);
	struct wire_out out = wire_into(bytes, bytes == NULL ? 0 : room);

	wire_put_u32(&out, RPC_POLICY_VERSION);
	wire_put_u64(&out, policy->generation);
	wire_put_u8(&out, policy->default_action);
	wire_put_u8(&out, policy->default_block);
	wire_put_u32(&out, policy->rule_count);
	for (uint32_t i = 0; i < policy->rule_count; i++)
		put_rule(&out, policy, &policy->rules[i]);
	*size = wire_written(&out);
	int fd = out.failed ? -ENOMEM : memfd_create("portreeve-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		free(bytes);
		return out.failed ? -ENOMEM : -errno;
	}
	int error = write_all(fd, bytes, *size);
	free(bytes);
	if (error == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		error = -errno;
	if (error != 0) {
		close(fd);
		return error;
	}
	return fd;
}
