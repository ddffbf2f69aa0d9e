/* SPDX-License-Identifier: Apache-2.0 */
/* keygen: the auditor's key pair; the private half is written 0600 and never leaves the auditor. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/cli/command.h"
#include "control/cli/table.h"
#include "recorder/format/format.h"

#define PATH_ROOM 4096

/* Writes a new file; an existing one is never overwritten: it may open a year of recordings. */
static int write_key_file(const char *path, const uint8_t key[FORMAT_KEY_SIZE], mode_t mode)
{
	char text[45];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0 && errno == EEXIST)
		return complain("%s is there already; a key is never overwritten, choose another name", path);
	if (fd < 0)
		return complain("cannot write %s: %s", path, strerror(errno));
	format_key_encode(key, text);
	bool written = write(fd, text, 44) == 44 && fsync(fd) == 0;
	int error = errno;
	sodium_memzero(text, sizeof(text));
	close(fd);
	if (!written) {
		unlink(path);
		return complain("cannot write %s: %s", path, strerror(error));
	}
	return EXIT_OK;
}

static int run_keygen(const struct call *call)
{
	uint8_t secret[FORMAT_KEY_SIZE], public[FORMAT_KEY_SIZE];
	char public_path[PATH_ROOM];
	char text[45];
	const char *path = call_option(call, "output");

	if (path == NULL || *path == '\0')
		path = "sshkey";
	if (snprintf(public_path, sizeof(public_path), "%s.pub", path) >= (int)sizeof(public_path))
		return complain("the path is too long");
	if (sodium_init() < 0 || format_keypair(secret, public) != 0)
		return complain("cannot make a key: the system has no randomness to give");
	int status = write_key_file(path, secret, 0600);
	sodium_memzero(secret, sizeof(secret));
	if (status == EXIT_OK) {
		status = write_key_file(public_path, public, 0644);
		if (status != EXIT_OK)
			unlink(path);
	}
	if (status != EXIT_OK)
		return status;
	format_key_encode(public, text);
	if (call->json) {
		json_t *made = json_pack(
		    "{s:s, s:s, s:s}", "private_key", path, "public_key", public_path, "public", text);
		print_json(made);
		json_decref(made);
		return EXIT_OK;
	}
	printf("private key: %s (keep it off the box; whoever has it reads the recordings)\n"
	       "public key:  %s (name it under recorder.recipients)\n"
	       "             %s\n",
	    path, public_path, text);
	return EXIT_OK;
}

const struct command keygen_command = {
    .group = "keygen",
    .arguments = "[-o FILE]",
    .summary = "make an auditor's key pair",
    .text = "Makes the key pair that recordings are sealed to: FILE is the private half, FILE.pub the\n"
            "public one, each 44 characters of base64 without a newline, as ssh-log-cli makes them. The box\n"
            "needs only FILE.pub. An existing file is never overwritten.",
    .options = {{"output", 'o', "FILE", "name of the private key (default: sshkey)", false}},
    .run = run_keygen,
};
