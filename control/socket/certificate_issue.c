/* SPDX-License-Identifier: Apache-2.0 */
#include "control/socket/certificate_issue.h"

#include <stdlib.h>

void certificate_issued(struct certificate_issue *issue, int error, bool decoded, struct wire_span refusal,
    struct wire_span certificate)
{
	struct request *request = issue->request;

	if (error != 0 || !decoded || refusal.len > 0) {
		if (!keeper_failed(request, error))
			keeper_complains(request, refusal);
	} else {
		char *line = public_key_line_print(certificate, issue->key_id);
		request_audit(request, issue->event,
		    json_pack(
		        "{s:s, s:I}", issue->holder, issue->key_id, "serial", (json_int_t)issue->serial));
		request_result(request, line == NULL
		                            ? NULL
		                            : json_pack("{s:s, s:I, s:s, s:I}", "certificate", line, "serial",
		                                  (json_int_t)issue->serial, "key_id", issue->key_id,
		                                  "valid_before", (json_int_t)issue->valid_before));
		free(line);
	}
	free(issue);
}
