/* SPDX-License-Identifier: Apache-2.0 */
/* algorithms: what the legs of a session offer, in order of preference, as libssh takes it. */
#ifndef SSHTERM_ALGORITHMS_H
#define SSHTERM_ALGORITHMS_H

#include <stdbool.h>

#include "config/wire/wire.h"

#define ALGORITHMS_LIST_MAX 768

struct algorithms {
	char kex[ALGORITHMS_LIST_MAX];
	char host_keys[ALGORITHMS_LIST_MAX];
	char ciphers[ALGORITHMS_LIST_MAX];
	char macs[ALGORITHMS_LIST_MAX];
	char user_keys[ALGORITHMS_LIST_MAX]; /* client leg: what users sign by */
	int rsa_bits_min;
};

/* legacy: names that the rule allows beyond the modern ones (control/rpc/legacy.h), comma separated; unknown
 * ones are passed over. False: they do not fit. */
/* As the client's server. certificates: a host CA certifies our keys. */
bool algorithms_of_client_leg(struct algorithms *algorithms, struct wire_span legacy, bool certificates);
/* As the origin's client. preferred: host key algorithms (certificates of such, too) to be asked for before
 * the others, comma separated. */
bool algorithms_of_origin_leg(
    struct algorithms *algorithms, struct wire_span legacy, struct wire_span preferred);
/* Does a list, comma separated, name this algorithm? */
bool algorithms_name(struct wire_span list, struct wire_span wanted);

#endif
