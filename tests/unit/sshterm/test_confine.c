/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>

#include "sshterm/confine.h"
#include "tests/unit/confine/bell_attempts.h"

static int confine(void)
{
	int error = confine_identity();

	return error != 0 ? error : confine_calls();
}

Test(sshterm_confine, others_cannot_be_blocked_or_signalled)
{
	bell_attempts_refused(confine, EPERM);
}
