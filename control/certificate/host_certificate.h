/* SPDX-License-Identifier: Apache-2.0 */
/* host_certificate: certificates that origins show (PROTOCOL.certkeys), judged. */
#ifndef CONTROL_CERTIFICATE_HOST_CERTIFICATE_H
#define CONTROL_CERTIFICATE_HOST_CERTIFICATE_H

#include <time.h>

#include "control/certificate/certificate.h"
#include "control/identity/words.h"

/* NULL: a host certificate, intact by the CA that it names, good now, for one of the names, which may be
 * patterns in the certificate, without options that must be understood. Else what is wrong with it, for
 * people. Whether its CA is to be trusted is the caller's to say. */
const char *host_certificate_judge(
    const struct certificate *certificate, const struct words *names, time_t now);

#endif
