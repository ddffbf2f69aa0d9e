/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: control/policy/policy.c, control/policy/ssh*.c, control/policy/match.c, control/policy/compile.c, control/identity/words.c, control/certificate/public_key.c, control/settings/yaml.c, control/settings/strict.c; deps: rpc, yaml-0.1, libsodium */
/* clang-format on */
/* Whatever the text, it is a policy whose every match can be read back from what the dataplane gets, or an
 * error. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void read_back(const struct policy *policy)
{
	size_t size = 0;
	int fd = policy_compile(policy, &size);
	uint8_t *bytes = malloc(size + 1);

	must(fd >= 0 && bytes != NULL && pread(fd, bytes, size, 0) == (ssize_t)size);
	struct wire in = wire_over(bytes, size);
	wire_skip(&in, 14);
	must(wire_u32(&in) == policy->rule_count);
	for (uint32_t i = 0; i < policy->rule_count; i++) {
		struct rpc_policy_match match;
		(void)wire_string(&in);
		wire_skip(&in, 6);
		for (uint32_t left = wire_u32(&in); left > 0; left--)
			must(rpc_get_policy_match(&in, &match));
	}
	must(wire_done(&in));
	free(bytes);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char link[] = "lab";
	static char *links[] = {link};
	const struct policy_context context = {.links = {links, 1}, .recipient_count = 1};
	struct policy_fault fault;
	struct policy *policy = policy_parse("fuzz", (const char *)data, size, &context, &fault);

	if (policy == NULL) {
		must(fault.text[0] != '\0');
		return 0;
	}
	/* A thousand matches show all there is to see of a blob. */
	if (policy->match_count < 1000)
		read_back(policy);
	policy_release(policy);
	return 0;
}
