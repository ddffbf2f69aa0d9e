/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys and their certificates as files, and for how long a certificate is good. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

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

bool read_public_key(const char *path, char line[KEY_LINE_MAX])
{
	FILE *in = fopen(path, "re");
	bool found = false;

	if (in == NULL)
		return complain("cannot read the public key %s: %s", path, strerror(errno)), false;
	while (!found && fgets(line, KEY_LINE_MAX, in) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		found = line[0] != '\0' && line[0] != '#';
	}
	fclose(in);
	if (found && strncmp(line, "-----BEGIN", 10) == 0)
		return complain("%s is a private key; give the public one (%s.pub?)", path, path), false;
	if (!found)
		complain("%s holds no public key", path);
	return found;
}

/* id_ed25519.pub -> id_ed25519-cert.pub, where ssh and sshd look for it. False where it does not fit. */
static bool certificate_path(const char *key_path, char *path, size_t room)
{
	size_t len = strlen(key_path);

	if (len > 4 && strcmp(key_path + len - 4, ".pub") == 0)
		len -= 4;
	return snprintf(path, room, "%.*s-cert.pub", (int)len, key_path) < (int)room;
}

/* Writes the line with a newline; an older certificate is replaced. */
static int write_certificate(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t len = strlen(line);

	if (fd < 0)
		return complain("cannot write %s: %s", path, strerror(errno));
	bool written = write(fd, line, len) == (ssize_t)len && write(fd, "\n", 1) == 1;
	int error = errno;
	close(fd);
	return written ? EXIT_OK : complain("cannot write %s: %s", path, strerror(error));
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
	json_t *result = control_ask(call->socket_path, method, params);
	const char *certificate = json_string_value(json_object_get(result, "certificate"));
	int status = EXIT_FAILED;

	if (result != NULL && certificate == NULL)
		complain("the box answered without a certificate");
	if (certificate != NULL && call->json)
		print_json(result);
	if (certificate != NULL && call->json && call_option(call, "output") == NULL)
		status = EXIT_OK;
	else if (certificate != NULL)
		status = write_certificate(order->path, certificate);
	if (status == EXIT_OK && !call->json)
		say_what_it_is(result, order->path, what_next);
	json_decref(result);
	return status;
}
