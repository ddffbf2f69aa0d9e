/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: control/certificate/krl.c, control/certificate/certificate.c, control/certificate/public_key.c, control/certificate/verify.c; deps: rpc, libsodium, libcrypto */
/* clang-format on */
/* A revocation list of whatever bytes: what was accepted can be asked, and says of what it cannot have named
 * that it is fine. */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "control/certificate/krl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t blob[51] = {
	    0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5', '1', '9', 0, 0, 0, 32, 7};
	uint8_t sha1[SHA_DIGEST_LENGTH], sha256[SHA256_DIGEST_LENGTH];
	struct krl krl;

	if (krl_parse((struct wire_span){data, size}, &krl) != NULL)
		return 0;
	bool named = memmem(data, size, blob, sizeof(blob)) != NULL ||
	             memmem(data, size, SHA1(blob, sizeof(blob), sha1), sizeof(sha1)) != NULL ||
	             memmem(data, size, SHA256(blob, sizeof(blob), sha256), sizeof(sha256)) != NULL;
	if (!named && krl_check(&krl, (struct wire_span){blob, sizeof(blob)}) != KRL_FINE)
		abort();
	/* The input itself as the key or certificate that is asked about. */
	(void)krl_check(&krl, (struct wire_span){data, size});
	if (krl.keys + krl.fingerprints + krl.key_ids > size)
		abort();
	return 0;
}
