/* SPDX-License-Identifier: Apache-2.0 */
/* What a PKCS#11 module can do where it runs. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/keeper/token.h"
#include "tests/unit/control/folder.h"

static char directory_path[FOLDER_PATH_SIZE];

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	rpc_log_set((enum rpc_log_level)0);
	folder_make(directory_path, "token");
}

static void teardown(void)
{
	folder_remove(directory_path);
}

TestSuite(token, .init = setup, .fini = teardown, .timeout = 300);

static void write_pin(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	cr_assert(fd >= 0 && write(fd, "4711\n", 5) == 5);
	close(fd);
}

Test(token, a_module_cannot_do_what_none_needs)
{
	static const char *const refused[] = {"execve", "unshare", "clone", "ptrace", "process_vm_readv",
	    "mount", "init_module", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl",
	    "kill"};
	static const char *const done[] = {"thread", "socket", "open", "self"};
	struct token_settings settings = {.module = HOSTILE_MODULE};
	struct token token;
	uint8_t environment[256], room[64];
	struct wire_out out = wire_into(environment, sizeof(environment)),
	                blob = wire_into(room, sizeof(room));
	char report[128], variable[160], text[2048], line[64], error[KEEPER_ERROR_MAX] = "";

	snprintf(settings.pin_file, sizeof(settings.pin_file), "%s/pin", directory_path);
	write_pin(settings.pin_file);
	snprintf(report, sizeof(report), "%s/report", directory_path);
	snprintf(variable, sizeof(variable), "HOSTILE_REPORT=%s", report);
	wire_put_cstring(&out, variable);
	settings.environment = (struct wire_span){environment, wire_written(&out)};
	cr_assert_eq(token_start(&token, &settings), 0);
	cr_expect_not(token_key(&token, TOKEN_FIND, "pkcs11:token=t;object=o", 0, &blob, error));
	cr_expect(strstr(error, "PKCS#11") != NULL, "got %s", error);
	close(token.fd);
	FILE *file = fopen(report, "r");
	cr_assert_not_null(file, "the module was not loaded");
	text[0] = '\n';
	text[1 + fread(text + 1, 1, sizeof(text) - 2, file)] = '\0';
	fclose(file);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		snprintf(line, sizeof(line), "\n%s EPERM\n", refused[i]);
		cr_expect(strstr(text, line) != NULL, "%s was not refused:%s", refused[i], text);
	}
	for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++) {
		snprintf(line, sizeof(line), "\n%s done\n", done[i]);
		cr_expect(strstr(text, line) != NULL, "%s was refused:%s", done[i], text);
	}
}
