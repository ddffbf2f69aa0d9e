/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sessions/proof.h"

#include <sodium.h>
#include <string.h>

#define SSH_MSG_USERAUTH_REQUEST 50
#define SIGNED_MAX (PROOF_MAX + 128)

static bool was_shown(struct wire_span host_key, const struct proof_host_keys *shown)
{
	uint8_t digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, host_key.at, host_key.len);
	for (unsigned i = 0; i < shown->count; i++)
		if (memcmp(digest, shown->digest[i], sizeof(digest)) == 0)
			return true;
	return shown->count == 0;
}

/* RFC 4252 section 7, and PROTOCOL section 3.1 of OpenSSH, whose method names the host key as well. */
static bool read_request(struct wire_span request, const struct proof_claim *claim, size_t *signed_len,
    struct wire_span *signature)
{
	struct wire in = wire_over(request.at, request.len);
	struct wire_span login = wire_string(&in), service = wire_string(&in), method = wire_string(&in);
	uint8_t has_signature = wire_u8(&in);

	(void)wire_string(&in); /* the algorithm: which it was, the signature says itself */
	struct wire_span blob = wire_string(&in);
	bool hostbound = wire_span_is(method, "publickey-hostbound-v00@openssh.com");
	if (hostbound && !was_shown(wire_string(&in), claim->shown))
		return false;
	*signed_len = (size_t)(in.at - request.at);
	*signature = wire_string(&in);
	return wire_done(&in) && has_signature == 1 && (hostbound || wire_span_is(method, "publickey")) &&
	       wire_span_is(service, "ssh-connection") && wire_span_same(login, claim->login) &&
	       wire_span_same(blob, claim->key_blob);
}

bool proof_holds(struct wire_span request, const struct proof_claim *claim)
{
	uint8_t room[SIGNED_MAX];
	struct wire_out out = wire_into(room, sizeof(room));
	struct wire_span signature;
	size_t signed_len;

	if (claim->session_identifier.len == 0 || request.len > PROOF_MAX ||
	    !read_request(request, claim, &signed_len, &signature))
		return false;
	wire_put_string(&out, claim->session_identifier.at, claim->session_identifier.len);
	wire_put_u8(&out, SSH_MSG_USERAUTH_REQUEST);
	wire_put_bytes(&out, request.at, signed_len);
	if (out.failed)
		return false;
	struct wire_span text = {room, wire_written(&out)};
	return public_key_verify(claim->key, text, signature, claim->sk_flags) ||
	       (claim->sha1 && public_key_verify_legacy(claim->key, text, signature));
}
