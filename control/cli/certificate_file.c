/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys and their certificates as files, and for how long a certificate is good. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define KEY_FILE_MAX 65536 /* bytes: one key, and comments */

long long parse_duration(const char *text)
{
	long long total = 0;

	if (*text == '\0')
		return -1;
	while (*text != '\0') {
		char *end;
		errno = 0;
		long long n = strtoll(text, &end, 10);
		long long unit = *end == 's'   ? 1
		                 : *end == 'm' ? 60
		                 : *end == 'h' ? 3600
		                 : *end == 'd' ? 86400
		                 : *end == 'w' ? 7 * 86400
		                               : 0;
		if (!isdigit((unsigned char)*text) || errno != 0 || unit == 0 || n > 3660LL * 86400 / unit)
			return -1;
		total += n * unit;
		text = end + 1;
	}
	return total > 0 ? total : -1;
}

/* The whole file, NUL-terminated. False after a message: what does not end is no key. */
static bool read_whole(const char *path, char text[KEY_FILE_MAX + 1])
{
	FILE *in = fopen(path, "re");

	if (in == NULL)
		return complain("cannot read the public key %s: %s", path, strerror(errno)), false;
	size_t len = fread(text, 1, KEY_FILE_MAX + 1, in);
	int error = ferror(in) != 0 ? errno : 0;
	fclose(in);
	if (error != 0)
		return complain("cannot read the public key %s: %s", path, strerror(error)), false;
	if (len > KEY_FILE_MAX)
		return complain("%s is too long to be a public key", path), false;
	text[len] = '\0';
	if (strlen(text) != len)
		return complain("%s holds no public key, but a NUL byte", path), false;
	return true;
}

bool read_public_key(const char *path, char line[KEY_LINE_MAX])
{
	static char text[KEY_FILE_MAX + 1];
	char *rest = text, *one, *found = NULL;

	if (!read_whole(path, text))
		return false;
	while ((one = strsep(&rest, "\r\n")) != NULL) {
		one += strspn(one, " \t");
		if (one[0] == '\0' || one[0] == '#')
			continue;
		if (strncmp(one, "-----BEGIN", 10) == 0)
			return complain("%s is a private key; give the public one (%s.pub?)", path, path),
			       false;
		if (found != NULL)
			return complain("%s holds several keys: expected one in a file", path), false;
		found = one;
	}
	if (found == NULL)
		return complain("%s holds no public key", path), false;
	if ((size_t)snprintf(line, KEY_LINE_MAX, "%s", found) >= KEY_LINE_MAX)
		return complain("%s is too long to be a public key", path), false;
	return true;
}

/* id_ed25519.pub -> id_ed25519-cert.pub, where ssh and sshd look for it. False where it does not fit. */
static bool certificate_path(const char *key_path, char *path, size_t room)
{
	size_t len = strlen(key_path);

	if (len > 4 && strcmp(key_path + len - 4, ".pub") == 0)
		len -= 4;
	return snprintf(path, room, "%.*s-cert.pub", (int)len, key_path) < (int)room;
}

/* Where the certificate goes, open before the box is asked for it: what was issued, and stands in the audit
 * log, should not be lost for a path. An older one stays until there is another. */
struct output {
	const char *path;
	int fd;     /* -1: nothing is written */
	bool fresh; /* there was none: it goes if there is nothing to be written */
};

static bool open_output(struct output *output)
{
	output->fd = open(output->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	output->fresh = output->fd >= 0;
	if (output->fd < 0 && errno == EEXIST)
		output->fd = open(output->path, O_WRONLY | O_CLOEXEC);
	if (output->fd < 0)
		complain("cannot write %s: %s", output->path, strerror(errno));
	return output->fd >= 0;
}

/* Writes the line with a newline; NULL: there is none. */
static int finish_output(const struct output *output, const char *line)
{
	struct stat there;
	bool written = false;

	if (line != NULL && fstat(output->fd, &there) == 0)
		/* Of a terminal or a pipe there is nothing to cut off. */
		written = (!S_ISREG(there.st_mode) || ftruncate(output->fd, 0) == 0) &&
		          dprintf(output->fd, "%s\n", line) == (int)strlen(line) + 1;
	if (line != NULL && !written)
		complain("cannot write %s: %s", output->path, strerror(errno));
	close(output->fd);
	if (line == NULL && output->fresh)
		(void)unlink(output->path);
	return written ? EXIT_OK : EXIT_FAILED;
}

int certificate_order_read(const struct call *call, const char *key_path, const struct ttl_range *range,
    struct certificate_order *order)
{
	const char *ttl = call_option(call, "ttl"), *output = call_option(call, "output");

	order->ttl_s = parse_duration(ttl != NULL ? ttl : range->usual);
	if (order->ttl_s < range->min_s || order->ttl_s > range->max_s)
		return complain("--ttl takes a duration %s, not '%s'", range->expected, ttl), EXIT_USAGE;
	if (!read_public_key(key_path, order->key))
		return EXIT_FAILED;
	bool fits = output != NULL
	                ? snprintf(order->path, sizeof(order->path), "%s", output) < (int)sizeof(order->path)
	                : certificate_path(key_path, order->path, sizeof(order->path));
	return fits ? EXIT_OK : complain("the path is too long");
}

/* Its serial is what a revocation list names. */
static void say_what_it_is(const json_t *result, const char *path, const char *what_next)
{
	char until[32];
	time_t end = (time_t)json_integer_value(json_object_get(result, "valid_before"));

	strftime(until, sizeof(until), "%F %T", localtime(&end));
	printf("%s: serial %lld, good until %s; %s\n", path,
	    (long long)json_integer_value(json_object_get(result, "serial")), until, what_next);
}

int certificate_order_fill(const struct call *call, const struct certificate_order *order, const char *method,
    json_t *params, const char *what_next)
{
	struct output output = {.path = order->path, .fd = -1};
	bool writes = !call->json || call_option(call, "output") != NULL;

	if (writes && !open_output(&output)) {
		json_decref(params);
		return EXIT_FAILED;
	}
	json_t *result = control_ask(call->socket_path, method, params);
	const char *certificate = json_string_value(json_object_get(result, "certificate"));
	if (result != NULL && certificate == NULL)
		complain("the box answered without a certificate");
	if (certificate != NULL && call->json)
		print_json(result);
	int status = certificate != NULL ? EXIT_OK : EXIT_FAILED;
	if (writes)
		status = finish_output(&output, certificate);
	if (status == EXIT_OK && !call->json)
		say_what_it_is(result, order->path, what_next);
	json_decref(result);
	return status;
}
