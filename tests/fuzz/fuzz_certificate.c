/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: control/certificate/certificate.c, control/certificate/public_key.c, control/certificate/verify.c; deps: rpc, libsodium, libcrypto */
/* clang-format on */
/* A certificate from a stranger, judged as if the CA that it names were ours: verification runs on foreign
 * keys. */
#include <stdlib.h>

#include "control/certificate/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t address[4] = {198, 51, 100, 1};
	struct wire_span blob = {data, size};
	struct certificate certificate;
	struct certificate_facts facts;
	struct public_key key;
	char why[256];

	(void)public_key_parse(blob, &key);
	if (!certificate_parse(blob, &certificate))
		return 0;
	if (!certificate_is(blob))
		abort();
	(void)certificate_judge(&certificate, certificate.ca_blob, size % 2 == 0, 1800000000,
	    (struct wire_span){address, 4}, &facts, why, sizeof(why));
	(void)certificate_names(&certificate, "alice");
	return 0;
}
