/* SPDX-License-Identifier: Apache-2.0 */
/* sources: control/sessions/proof.c, control/certificate/public_key.c, control/certificate/verify.c; deps:
 * rpc, libsodium, libcrypto */
/* A login request as a worker, which may be taken over, shows it: whatever its bytes are, it proves nothing
 * about a key whose private half nobody has used. First byte: the lengths of login and host key. */
#include <sodium.h>
#include <stdlib.h>

#include "control/sessions/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The public key of RFC 8032's first test (7.1): no input knows how to sign for it. */
	static const uint8_t blob[51] = {0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5', '1', '9',
	    0, 0, 0, 32, 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64,
	    0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
	    0x51, 0x1a};
	static const uint8_t exchange_hash[32] = {1, 2, 3};
	struct public_key key;

	if (size == 0 || !public_key_parse((struct wire_span){blob, sizeof(blob)}, &key))
		return 0;
	size_t login = data[0] % 16, host = data[0] / 16;
	if (1 + login + host > size)
		return 0;
	struct proof_host_keys shown = {.count = host > 0};
	crypto_hash_sha256(shown.digest[0], data + 1 + login, host);
	const struct proof_claim claim = {
	    .session_identifier = {exchange_hash, sizeof(exchange_hash)},
	    .login = {data + 1, login},
	    .key_blob = {blob, sizeof(blob)},
	    .key = &key,
	    .sha1 = size % 2 != 0,
	    .shown = &shown,
	};
	if (proof_holds((struct wire_span){data + 1 + login + host, size - 1 - login - host}, &claim))
		abort();
	return 0;
}
