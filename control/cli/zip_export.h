/* SPDX-License-Identifier: Apache-2.0 */
/* zip_export: a recording as the zip that ssh-log-cli makes of it. */
#ifndef CONTROL_CLI_ZIP_EXPORT_H
#define CONTROL_CLI_ZIP_EXPORT_H

#include "control/cli/recording.h"

/* Writes `path` (0600; replaced only when all went well). 0, or -1 after a message. */
int zip_export(struct recording *recording, const char *path);

#endif
