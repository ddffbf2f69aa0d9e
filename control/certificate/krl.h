/* SPDX-License-Identifier: Apache-2.0 */
/*
 * krl: OpenSSH's key revocation lists (PROTOCOL.krl), as `ssh-keygen -k` makes them.
 *
 * Theory of operation. A list is checked whole when it is loaded, and kept as its bytes; a question walks
 * them again, by the same code. So what was accepted can be read, and nothing has to be built that a hostile
 * list could make large: a bitmap stands for many serials, and stays a bitmap. Questions are asked only about
 * keys that are enrolled and certificates whose CA counts, so strangers cannot have long lists walked.
 *
 * As with OpenSSH, signatures in a list are not looked at (the control socket says who may load one), and
 * what is not known in it, unless it says that it may be ignored, makes it unusable.
 */
#ifndef CONTROL_CERTIFICATE_KRL_H
#define CONTROL_CERTIFICATE_KRL_H

#include <stdbool.h>
#include <stdint.h>

#include "control/certificate/certificate.h"

#define KRL_MAX (8u << 20) /* bytes of a list */

struct krl {
	struct wire_span bytes;      /* the caller's; it must outlive this */
	uint64_t version, generated; /* its number, as its maker counts; unix seconds */
	char comment[128];           /* printable, cut to fit */
	/* How much it revokes. */
	uint64_t keys, fingerprints, serials, key_ids;
};

/* NULL, or what is wrong with the list (follows on "the revocation list "). */
const char *krl_parse(struct wire_span bytes, struct krl *krl);

enum krl_verdict { KRL_FINE = 0, KRL_KEY, KRL_SERIAL, KRL_KEY_ID, KRL_CA };
/* Is the key or certificate (a whole blob, already parsed as one by the caller's lights) revoked, and by
 * what? A certificate is by its key, by its CA's key, or by serial or key id. What cannot be read as either
 * is KRL_KEY. */
enum krl_verdict krl_check(const struct krl *krl, struct wire_span blob);
/* "its key", "its CA", … for messages. */
const char *krl_verdict_text(enum krl_verdict verdict);

#endif
