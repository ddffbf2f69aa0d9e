/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sessions/client_cas.h"

#include <string.h>

void client_cas_take(struct client_cas *cas, struct wire_span keys)
{
	struct wire in = wire_over(keys.at, keys.len);

	cas->count = 0;
	while (wire_left(&in) > 0 && cas->count < CLIENT_CAS_MAX) {
		struct wire_span one = wire_string(&in);
		struct wire key = wire_over(one.at, one.len);
		struct client_ca *ca = &cas->at[cas->count];
		(void)wire_u8(&key);  /* state */
		(void)wire_u64(&key); /* created at */
		ca->retire_at = (int64_t)wire_u64(&key);
		struct wire_span blob = wire_string(&key);
		if (key.failed || blob.len == 0 || blob.len > sizeof(ca->blob))
			return;
		memcpy(ca->blob, blob.at, blob.len);
		ca->len = blob.len;
		cas->count++;
	}
}

struct wire_span client_cas_find(const struct client_cas *cas, struct wire_span blob, int64_t now)
{
	for (unsigned i = 0; i < cas->count; i++) {
		const struct client_ca *ca = &cas->at[i];
		struct wire_span own = {ca->blob, ca->len};
		if (wire_span_same(blob, own) && (ca->retire_at == 0 || now < ca->retire_at))
			return own;
	}
	return (struct wire_span){0};
}
