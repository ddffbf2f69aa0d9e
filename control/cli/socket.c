/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/cli/command.h"

/* A reply is a page of rows or a chunk of a file; anything above this is no reply of ours. */
#define REPLY_MAX ((size_t)64 << 20)
#define CALL_TIMEOUT_S 30

struct control_socket {
	int fd;
	FILE *in;
	long next_id;
};

static int connect_error(const char *path, int error)
{
	if (error == ENOENT || error == ECONNREFUSED)
		return complain("nobody listens at %s: is reeved running, and is this its control socket? "
		                "(--socket PATH)",
		    path);
	if (error == EACCES)
		return complain("permission denied: you may not open %s; run this as root or as a user whom "
		                "the box's configuration names",
		    path);
	return complain("cannot connect to %s: %s", path, strerror(error));
}

struct control_socket *control_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = CALL_TIMEOUT_S};

	if (strlen(path) >= sizeof(address.sun_path)) {
		complain("the socket's path is longer than a UNIX socket's path can be: %s", path);
		return NULL;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		connect_error(path, errno);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	struct control_socket *socket = calloc(1, sizeof(*socket));
	FILE *in = socket == NULL ? NULL : fdopen(fd, "r");
	if (in == NULL) {
		complain("out of memory");
		close(fd);
		free(socket);
		return NULL;
	}
	socket->fd = fd;
	socket->in = in;
	socket->next_id = 1;
	return socket;
}

void control_close(struct control_socket *socket)
{
	if (socket == NULL)
		return;
	fclose(socket->in);
	free(socket);
}

static bool send_line(int fd, const char *line, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, line, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		line += sent;
		len -= (size_t)sent;
	}
	return true;
}

static bool send_request(struct control_socket *socket, const char *method, json_t *params, long id)
{
	json_t *request = json_pack("{s:s, s:s, s:o, s:I}", "jsonrpc", "2.0", "method", method, "params",
	    params != NULL ? params : json_object(), "id", (json_int_t)id);
	char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	bool sent =
	    line != NULL && send_line(socket->fd, line, strlen(line)) && send_line(socket->fd, "\n", 1);

	free(line);
	json_decref(request);
	return sent;
}

static json_t *receive_reply(struct control_socket *socket)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len = getline(&line, &room, socket->in);
	json_t *reply = NULL;

	if (len > 0 && (size_t)len <= REPLY_MAX)
		reply = json_loadb(line, (size_t)len, 0, NULL);
	free(line);
	return reply;
}

static void print_error(const json_t *error)
{
	const char *message = json_string_value(json_object_get(error, "message"));

	complain("%s", message != NULL ? message : "the box refused without saying why");
}

json_t *control_call(struct control_socket *socket, const char *method, json_t *params)
{
	long id = socket->next_id++;

	if (!send_request(socket, method, params, id)) {
		complain("the box closed the connection: see its log");
		return NULL;
	}
	json_t *reply = receive_reply(socket);
	if (reply == NULL) {
		complain("the box did not answer (%s): see its log", method);
		return NULL;
	}
	json_t *result = json_incref(json_object_get(reply, "result"));
	const json_t *error = json_object_get(reply, "error");
	if (json_is_object(error)) {
		print_error(error);
		json_decref(result);
		result = NULL;
	} else if (result == NULL) {
		complain("the box's answer to %s is not one of JSON-RPC", method);
	}
	json_decref(reply);
	return result;
}

json_t *control_ask(const char *path, const char *method, json_t *params)
{
	struct control_socket *socket = control_connect(path);

	if (socket == NULL) {
		json_decref(params);
		return NULL;
	}
	json_t *result = control_call(socket, method, params);
	control_close(socket);
	return result;
}
