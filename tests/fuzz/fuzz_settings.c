/* SPDX-License-Identifier: Apache-2.0 */
/* sources: control/settings/*.c; deps: yaml-0.1 format wire */
/* reeved.yaml, whole: an administrator's slip must give an error, never a crash. */
#include <stdlib.h>
#include <string.h>

#include "control/settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings settings;
	char error[YAML_MESSAGE_MAX];

	if (!settings_parse(&settings, "fuzz", (const char *)data, size, error, sizeof(error)) &&
	    error[0] == '\0')
		abort();
	return 0;
}
