/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>

#include "recorder/confine.h"
#include "tests/unit/confine/bell_attempts.h"

static int confine_self(void)
{
	return confine(open("/tmp", O_RDONLY | O_DIRECTORY));
}

Test(recorder_confine, others_cannot_be_blocked_or_signalled)
{
	bell_attempts_refused(confine_self, BELL_ENDED_BY + SIGSYS);
}
