/* SPDX-License-Identifier: Apache-2.0 */
#include "control/certificate/host_certificate.h"

#include <string.h>

#define CERTIFICATE_HOST 2

/* None at all is for nobody. */
static bool for_one_of(const struct certificate *certificate, const struct words *names)
{
	struct wire in = wire_over(certificate->principals.at, certificate->principals.len);

	for (unsigned i = 0; wire_left(&in) > 0 && i < CERTIFICATE_PRINCIPALS_MAX; i++) {
		struct wire_span principal = wire_string(&in);
		for (size_t n = 0; n < names->count && !in.failed; n++)
			if (principal.len > 0 && word_fits(principal, names->at[n]))
				return true;
	}
	return false;
}

const char *host_certificate_judge(
    const struct certificate *certificate, const struct words *names, time_t now)
{
	struct public_key ca;

	if (certificate->type != CERTIFICATE_HOST)
		return "is no host certificate";
	if (!public_key_parse(certificate->ca_blob, &ca) ||
	    !public_key_verify(&ca, certificate->signed_bytes, certificate->signature, 0))
		return "is not intact";
	if (now < 0 || (uint64_t)now < certificate->valid_after)
		return "is not valid yet";
	if ((uint64_t)now >= certificate->valid_before)
		return "has expired";
	if (certificate->critical_options.len > 0)
		return "has options that are not understood here";
	if (!for_one_of(certificate, names))
		return "is for other names";
	return NULL;
}
