/* SPDX-License-Identifier: Apache-2.0 */
/* JSON-RPC 2.0 (jsonrpc.org/specification): requests, notifications, batches, errors. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

/* Answers of a batch, sent as one array when the last is there. */
struct batch {
	json_t *answers;
	size_t open; /* not answered yet */
	uint64_t client;
};

static void send_json(struct client *client, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

	if (text != NULL)
		client_send(client, text, strlen(text));
	free(text);
}

static json_t *error_object(int code, const char *message, json_t *data)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);

	if (error == NULL) { /* quotes something that is not UTF-8, or was cut within a character */
		char ascii[1024];
		snprintf(ascii, sizeof(ascii), "%s", message);
		for (char *c = ascii; *c != '\0'; c++)
			if ((*c & 0x80) != 0)
				*c = '?';
		error = json_pack("{s:i, s:s}", "code", code, "message", ascii);
	}
	if (data != NULL)
		json_object_set_new(error, "data", data);
	return error;
}

static void batch_done(struct server *server, struct batch *batch)
{
	struct client *client = server_client(server, batch->client);

	if (--batch->open > 0)
		return;
	if (client != NULL && json_array_size(batch->answers) > 0)
		send_json(client, batch->answers);
	json_decref(batch->answers);
	free(batch);
}

/* Sends what answers the request (a response object, taken over; NULL for a notification), and frees it. */
static void answer(struct request *request, json_t *response)
{
	struct server *server = &request->control->server;
	struct client *client = server_client(server, request->client);

	if (request->batch != NULL) {
		if (response != NULL)
			json_array_append_new(request->batch->answers, response);
		batch_done(server, request->batch);
	} else {
		if (response != NULL && client != NULL)
			send_json(client, response);
		json_decref(response);
	}
	/* Sending may have closed it. */
	client = server_client(server, request->client);
	if (client != NULL)
		client_answered(client);
	json_decref(request->id);
	free(request);
}

static json_t *response_of(const struct request *request, const char *kind, json_t *value)
{
	if (request->id == NULL) {
		json_decref(value);
		return NULL;
	}
	return json_pack("{s:s, s:o, s:O}", "jsonrpc", "2.0", kind, value, "id", request->id);
}

void request_result(struct request *request, json_t *result)
{
	if (result == NULL) {
		request_fail(request, JSONRPC_INTERNAL, "out of memory, or text that is not UTF-8");
		return;
	}
	answer(request, response_of(request, "result", result));
}

void request_fail_data(struct request *request, int code, json_t *data, const char *message)
{
	answer(request, response_of(request, "error", error_object(code, message, data)));
}

void request_fail(struct request *request, int code, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	request_fail_data(request, code, NULL, message);
}

static const char *role_name(enum server_role role)
{
	return role == ROLE_ADMIN ? "admin" : role == ROLE_REPORTER ? "identity reporter" : "auditor";
}

void request_audit(const struct request *request, const char *event, json_t *fields)
{
	if (fields == NULL)
		fields = json_object();
	json_object_set_new(fields, "client_uid", json_integer((json_int_t)request->uid));
	json_object_set_new(fields, "role", json_string(role_name(request->role)));
	audit_write(&request->control->audit, event, fields);
}

/* -- dispatch ---------------------------------------------------------------------------------------------
 */

static const struct method *const tables[] = {policy_methods, ca_methods, vault_methods, user_methods,
    totp_methods, krl_methods, target_methods, host_key_methods, binding_methods, session_methods,
    recording_methods, stats_methods};

static const struct method *find_method(const char *name)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct method *method = tables[t]; method->name != NULL; method++)
			if (strcmp(method->name, name) == 0)
				return method;
	return NULL;
}

static bool id_is_valid(const json_t *id)
{
	return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* NULL, or what is wrong with the request as such. */
static const char *malformed(const json_t *object)
{
	const json_t *params = json_object_get(object, "params"), *id = json_object_get(object, "id");
	const char *version = json_string_value(json_object_get(object, "jsonrpc"));

	if (!json_is_object(object))
		return "expected a request object {\"jsonrpc\":\"2.0\", \"method\":…, \"params\":{…}, "
		       "\"id\":…}";
	if (version == NULL || strcmp(version, "2.0") != 0)
		return "expected \"jsonrpc\": \"2.0\"";
	if (!json_is_string(json_object_get(object, "method")))
		return "expected \"method\": the name of a method";
	if (id != NULL && !id_is_valid(id))
		return "expected \"id\" to be a number, a string or null";
	if (params != NULL && !json_is_object(params))
		return "expected \"params\" to be an object: all methods here take their parameters by name";
	return NULL;
}

static struct request *request_make(struct client *client, struct batch *batch, json_t *id)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->control = client->server->control;
	request->client = client->number;
	request->uid = client->uid;
	request->role = client->role;
	request->batch = batch;
	request->id = id == NULL ? NULL : json_incref(id);
	client->in_flight++;
	client->server->requests++;
	return request;
}

static void run(struct client *client, struct batch *batch, json_t *object)
{
	const char *wrong = malformed(object);
	json_t *id = json_object_get(object, "id");

	/* A request that cannot be understood is answered with id null, even if it was meant as a
	 * notification. */
	json_t *answer_to = wrong == NULL ? id : id != NULL && id_is_valid(id) ? id : json_null();
	struct request *request = request_make(client, batch, answer_to);
	if (request == NULL) {
		if (batch != NULL)
			batch_done(client->server, batch);
		return;
	}
	if (wrong != NULL) {
		request_fail(request, JSONRPC_REQUEST, "%s", wrong);
		return;
	}
	const char *name = json_string_value(json_object_get(object, "method"));
	const struct method *method = find_method(name);
	if (client->role == ROLE_NONE) {
		client->server->refused++;
		request_fail(request, SERVER_FORBIDDEN,
		    "uid %u may not use this socket: the configuration's control.admins, control.auditors "
		    "and "
		    "control.identity_reporters say who may",
		    (unsigned)client->uid);
	} else if (method == NULL) {
		request_fail(request, JSONRPC_METHOD, "there is no method '%.64s'", name);
	} else if (client->role != ROLE_ADMIN && client->role != method->role) {
		client->server->refused++;
		request_fail(request, SERVER_FORBIDDEN, "uid %u is an %s here, which may not call %s",
		    (unsigned)client->uid, role_name(client->role), name);
	} else {
		json_t *params = json_object_get(object, "params");
		json_t *none = params == NULL ? json_object() : NULL;
		request->method = method->name;
		method->run(request, params == NULL ? none : params);
		json_decref(none);
	}
}

static void run_batch(struct client *client, json_t *array)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	size_t count = json_array_size(array);

	if (batch == NULL)
		return;
	batch->answers = json_array();
	batch->client = client->number;
	batch->open = count + 1; /* ours, so that it outlives requests that are answered at once */
	/* NOLINTBEGIN(clang-analyzer-unix.Malloc): the analyzer does not count */
	for (size_t i = 0; i < count; i++)
		run(client, batch, json_array_get(array, i));
	batch_done(client->server, batch);
	/* NOLINTEND(clang-analyzer-unix.Malloc) */
}

/* An error that belongs to no request. */
static void refuse_line(struct client *client, int code, const char *message, json_t *data)
{
	json_t *response =
	    json_pack("{s:s, s:o, s:n}", "jsonrpc", "2.0", "error", error_object(code, message, data), "id");

	if (response != NULL)
		send_json(client, response);
	json_decref(response);
}

void jsonrpc_line(struct client *client, const char *line, size_t len)
{
	json_error_t error;

	if (len == 0 || (len == 1 && line[0] == '\r'))
		return;
	json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (json == NULL) {
		char message[JSON_ERROR_TEXT_LENGTH + 64];
		snprintf(message, sizeof(message), "not JSON: %s", error.text);
		refuse_line(client, JSONRPC_PARSE, message, json_pack("{s:i}", "column", error.column));
		return;
	}
	if (!json_is_array(json))
		run(client, NULL, json);
	else if (json_array_size(json) == 0 || json_array_size(json) > SERVER_BATCH_MAX)
		refuse_line(client, JSONRPC_REQUEST, "a batch has 1 to 256 requests", NULL);
	else
		run_batch(client, json);
	json_decref(json);
}

int request_problem_code(uint8_t problem)
{
	switch (problem) {
	case RPC_PROBLEM_BAD_INPUT:
		return SERVER_BAD_INPUT;
	case RPC_PROBLEM_NOT_FOUND:
		return SERVER_NOT_FOUND;
	case RPC_PROBLEM_CONFLICT:
		return SERVER_CONFLICT;
	default:
		return SERVER_UNAVAILABLE;
	}
}
