/* SPDX-License-Identifier: Apache-2.0 */
/* certificate_issue: a certificate that an administrator asked for, while the keeper makes it. */
#ifndef CONTROL_SOCKET_CERTIFICATE_ISSUE_H
#define CONTROL_SOCKET_CERTIFICATE_ISSUE_H

#include "control/control.h"

#define CERTIFICATE_BACKDATE_S 60 /* for who checks it by a clock that is behind ours */

struct certificate_issue {
	struct request *request;
	const char *event; /* of the audit log, and its member that says whose it is */
	const char *holder;
	char key_id[256];
	uint64_t serial;
	int64_t valid_before;
};

/* What the keeper answered to `issue`, which is freed here: audited and handed on, or why there is none.
 * `decoded`: its answer could be read; `refusal`: what is wrong with the wish, empty for nothing. */
void certificate_issued(struct certificate_issue *issue, int error, bool decoded, struct wire_span refusal,
    struct wire_span certificate);

#endif
