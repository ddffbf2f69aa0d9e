/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both libraries are in the process because DPDK's af_xdp driver loads them, and print a dozen lines at each
 * start and stop that mean nothing here (a bpffs that is not needed, a detach that reeved does itself). What
 * goes wrong with a port is told by ports.c; PORTREEVE_LOG=debug shows these lines too.
 */
#include "dataplane/library_log.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "control/rpc/rpc.h"

#define LINE_MAX_BYTES 512

static int log_line(const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	int len = vsnprintf(line, sizeof(line), format, args);

	line[strcspn(line, "\n")] = '\0';
	rpc_log(RPC_LOG_DEBUG, "%s", line);
	return len;
}

static int from_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : log_line(format, args);
}

static int from_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return level == LIBXDP_DEBUG ? 0 : log_line(format, args);
}

void library_log_take(void)
{
	(void)libbpf_set_print(from_libbpf);
	(void)libxdp_set_print(from_libxdp);
}
