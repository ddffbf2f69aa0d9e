/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate: OpenSSH user certificates (PROTOCOL.certkeys), read and judged.
 *
 * Theory of operation. libssh tells only that the client holds the certified key; whether the certificate
 * means anything is decided here, and all of it: that it is a user certificate, that a CA which counts signed
 * these very bytes, that now lies within its validity, that it names principals, that every critical option
 * is one that we know and enforce. Order matters: nothing of the content is told to the client before the
 * signature held, so that a made-up certificate cannot ask questions.
 */
#ifndef CONTROL_CERTIFICATE_CERTIFICATE_H
#define CONTROL_CERTIFICATE_CERTIFICATE_H

#include <time.h>

#include "control/certificate/public_key.h"

#define CERTIFICATE_TYPE_USER 1
#define CERTIFICATE_PRINCIPALS_MAX 256
#define CERTIFICATE_TEXT_MAX 256
/* Bytes of critical options; OpenSSH has no bound of its own but that of a packet. */
#define CERTIFICATE_COMMAND_MAX 8192
#define CERTIFICATE_SOURCE_MAX 4096

/* All spans point into the blob. */
struct certificate {
	struct public_key key;       /* the certified key */
	struct wire_span plain_tail; /* its parts as bytes, as they follow the type in a plain blob */
	uint64_t serial;
	uint32_t type;
	struct wire_span key_id, principals; /* principals: strings, one after the other */
	uint64_t valid_after, valid_before;  /* unix seconds; [after, before) */
	struct wire_span critical_options, extensions;
	struct wire_span ca_blob;
	struct wire_span signed_bytes, signature;
};

/* Does the blob begin with the type name of a certificate? */
bool certificate_is(struct wire_span blob);
/* False where the blob is no whole certificate of a known type. */
bool certificate_parse(struct wire_span blob, struct certificate *certificate);
/* The certified key as a plain blob. False: it does not fit. */
bool certificate_plain_key(const struct certificate *certificate, struct wire_out *out);

/* What a good certificate says. */
struct certificate_facts {
	char key_id[CERTIFICATE_TEXT_MAX];               /* empty: none that could name anybody */
	char force_command[CERTIFICATE_COMMAND_MAX + 1]; /* empty: none */
	uint32_t permits;                                /* enum rpc_permit, the five extensions of OpenSSH */
	uint8_t sk_flags; /* what a security key must have noticed: PUBLIC_KEY_TOUCHED … */
};

enum certificate_verdict {
	CERTIFICATE_GOOD = 0,
	CERTIFICATE_STRANGE, /* not of that CA, or not intact: nothing is told to the client */
	CERTIFICATE_REFUSED, /* ours, but it may not now; `why` is for the client */
};

/* Judges a parsed certificate. `ca`: plain blob of the CA that counts. `intact`: the
 * signature of that CA over just these bytes was found good before. `client_addr`: 4 or 16 bytes. On REFUSED,
 * `why` is a sentence for the user ("your certificate expired at …"). */
enum certificate_verdict certificate_judge(const struct certificate *certificate, struct wire_span ca,
    bool intact, time_t now, struct wire_span client_addr, struct certificate_facts *facts, char *why,
    size_t why_size);

/* Is `principal` among the certificate's principals? */
bool certificate_names(const struct certificate *certificate, const char *principal);

/* Is the address (4 or 16 bytes) within one of the comma separated networks ("192.0.2.0/24,2001:db8::1")?
 * *malformed: the list has an entry that is none of them, an empty one, or a network with bits behind its
 * length (then nothing matches): what OpenSSH takes no certificate with. */
bool certificate_address_in(const char *list, struct wire_span address, bool *malformed);

#endif
