/* SPDX-License-Identifier: Apache-2.0 */
/* library_log: what libbpf and libxdp print goes into our log, at debug, instead of raw onto stderr. */
#ifndef DATAPLANE_LIBRARY_LOG_H
#define DATAPLANE_LIBRARY_LOG_H

/* To be called before a port is made. */
void library_log_take(void);

#endif
