/* SPDX-License-Identifier: Apache-2.0 */
/* sources: sshterm/agent_protocol.c sshterm/agent_keys.c; deps: wire libsodium */
/*
 * What an agent answers. Input: u8 piece size, u8 how the origin verifies, then the bytes that come over the
 * channel. Checked besides memory: chosen keys lie in the answer, in order of rank, and have their
 * algorithms.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/agent_keys.h"
#include "sshterm/agent_protocol.h"

static void check_keys(const struct agent_keys *keys, struct wire_span body)
{
	char fingerprint[AGENT_FINGERPRINT_MAX];

	if (keys->count + keys->unfit + keys->skipped != keys->listed || keys->count > AGENT_KEYS_MAX)
		abort();
	for (unsigned i = 0; i < keys->count; i++) {
		const struct agent_key *key = &keys->keys[i];

		if (key->blob.at < body.at || key->blob.at + key->blob.len > body.at + body.len)
			abort();
		if (key->algorithm == NULL || key->signature == NULL ||
		    (i > 0 && keys->keys[i - 1].rank > key->rank))
			abort();
		if ((strstr(key->algorithm, "-cert-v01@openssh.com") != NULL) != key->certificate)
			abort();
		agent_fingerprint(fingerprint, key->blob);
		if (strlen(fingerprint) != 7 + 43)
			abort();
	}
}

static void read_answer(struct wire_span body, uint8_t how)
{
	static const char *const lists[] = {
	    NULL, "rsa-sha2-256,rsa-sha2-512", "ssh-ed25519,sk-ssh-ed25519@openssh.com", "rsa-sha2-256"};
	struct agent_wish wish = {
	    .login = "alice", .signature_algs = lists[how & 3], .sha1 = (how & 4) != 0, .now_s = 1000};
	struct agent_keys keys;
	struct wire_span signature;

	if (agent_read_signature(body, "ssh-ed25519", &signature) &&
	    (signature.len > AGENT_BLOB_MAX || signature.at < body.at))
		abort();
	if (!agent_keys_choose(&keys, body, &wish))
		return;
	check_keys(&keys, body);
	if (keys.count == 0)
		return;
	wish.proven = keys.keys[keys.count - 1].blob;
	if (!agent_keys_choose(&keys, body, &wish) || keys.count == 0 || keys.keys[0].rank != 0)
		abort(); /* what was proven comes first */
	check_keys(&keys, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct wire in = wire_over(input, size);
	size_t piece = wire_u8(&in) + 1u;
	uint8_t how = wire_u8(&in);
	struct agent_answer answer = {0};

	while (wire_left(&in) > 0) {
		size_t len = wire_left(&in) < piece ? wire_left(&in) : piece;
		enum agent_gathered gathered = agent_gather(&answer, wire_bytes(&in, len));

		if (gathered == AGENT_MALFORMED)
			break;
		if (gathered == AGENT_WHOLE) {
			/* In memory of its own size, so that a read beyond is seen. */
			struct wire_span body = agent_answer_body(&answer);
			uint8_t *exact = malloc(body.len);
			memcpy(exact, body.at, body.len);
			read_answer((struct wire_span){exact, body.len}, how);
			free(exact);
			agent_answer_clear(&answer);
		}
	}
	agent_answer_clear(&answer);
	return 0;
}
