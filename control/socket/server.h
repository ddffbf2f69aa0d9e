/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the control socket. JSON-RPC 2.0, one object (or batch) a line, on a UNIX stream socket.
 *
 * Theory of operation. Clients are local programs of people with different rights: who it is comes from
 * SO_PEERCRED, what they may from the role that this uid has. A line is read whole (bounded), parsed, and
 * each request in it is handed to its method, which answers at once or later, from the callback of a request
 * to another process. Answers find their client by number: it may be gone. A client that does not read its
 * answers is not read from either, and is closed after a minute; nothing here waits for a client.
 */
#ifndef CONTROL_SOCKET_SERVER_H
#define CONTROL_SOCKET_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/peers/peers.h"

#define SERVER_CLIENTS_MAX 256
#define SERVER_STRANGERS_MAX 16 /* of them, who have no role here */
#define SERVER_LINE_MAX                                                                                      \
	(12u << 20) /* bytes of a request line: a policy of YAML_TEXT_MAX with its line ends escaped */
#define SERVER_OUT_PAUSE (4u << 20) /* unread answers from which on a client is not read from */
#define SERVER_IN_FLIGHT_MAX 32     /* requests of one client under way */
#define SERVER_BATCH_MAX 256
#define SERVER_STALL_MS 60000

/* Whom a method is for. An admin may all; an auditor what is for auditors; who reports identities (a VPN, an
 * access switch) may bind addresses, and nothing else. */
enum server_role { ROLE_NONE = 0, ROLE_AUDITOR, ROLE_REPORTER, ROLE_ADMIN };

/* Error codes: the standard's and ours. */
enum {
	JSONRPC_PARSE = -32700,
	JSONRPC_REQUEST = -32600,
	JSONRPC_METHOD = -32601,
	JSONRPC_PARAMS = -32602,
	JSONRPC_INTERNAL = -32603,
	SERVER_FORBIDDEN = 1,
	SERVER_BAD_INPUT = 2,
	SERVER_NOT_FOUND = 3,
	SERVER_UNAVAILABLE = 4,
	SERVER_CONFLICT = 5,
};

struct control;

struct client {
	struct watch watch;
	struct client *next;
	struct server *server;
	uint64_t number;
	int fd; /* -1: closed, to be freed at the end of the turn */
	uid_t uid;
	enum server_role role;
	char *in;
	size_t in_len, in_room, in_scanned;
	char *out;
	size_t out_len, out_room;
	int64_t progress_ms; /* when it last took something (or had nothing to take) */
	unsigned in_flight;
	bool taking;           /* lines are being handed out right now */
	bool paused, finished; /* finished: no more is read; closed once all is answered */
	char last_program[40]; /* whose recording it read last, for the audit log */
};

struct server {
	struct watch watch;
	struct control *control;
	int epoll, fd;
	char path[108];
	struct client *clients;
	unsigned client_count, stranger_count;
	uint64_t next_number, requests, refused;
};

/* Listens. 0 or -errno; -EADDRINUSE where another process does. `shared`: other uids than ours may connect.
 */
int server_open(struct server *server, struct control *control, const char *path, bool shared);
void server_close(struct server *server);
/* At the end of each turn of the loop: frees clients that went. */
void server_sweep(struct server *server);
/* Every second: closes clients that do not read. */
void server_tick(struct server *server);
struct client *server_client(struct server *server, uint64_t number);
/* Queues one line (without its newline). */
void client_send(struct client *client, const char *text, size_t len);
/* A request was answered: reads on where it was paused. */
void client_answered(struct client *client);

/* -- requests (jsonrpc.c) -- */
struct batch;
struct request {
	struct control *control;
	uint64_t client;
	uid_t uid;
	enum server_role role;
	json_t *id; /* NULL: a notification, which is never answered */
	struct batch *batch;
	const char *method;
	void *context; /* the method's own; it frees it before it answers */
};
/* A line from a client. */
void jsonrpc_line(struct client *client, const char *line, size_t len);
/* Answers a request, once, and frees it; takes `result` over. */
void request_result(struct request *request, json_t *result);
void request_fail(struct request *request, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a "data" member (taken over). */
void request_fail_data(struct request *request, int code, json_t *data, const char *message);

/* The code of a keeper's refusal (enum rpc_problem). */
int request_problem_code(uint8_t problem);

/* -- parameters -- each answers the request (code -32602) and returns false where it does not fit. */
/* All keys must be among `keys` (ends with NULL). */
bool params_only(struct request *request, const json_t *params, const char *const *keys);
/* An absent optional parameter leaves *value alone. */
bool params_string(
    struct request *request, const json_t *params, const char *key, bool required, const char **value);
bool params_integer(struct request *request, const json_t *params, const char *key, bool required,
    int64_t min, int64_t max, int64_t *value);
bool params_bool(struct request *request, const json_t *params, const char *key, bool *value);
/* A list of strings (absent: NULL in *list). */
bool params_list(struct request *request, const json_t *params, const char *key, const json_t **list);

/* -- methods -- */
struct method {
	const char *name;
	enum server_role role; /* whom it is for, besides admins */
	void (*run)(struct request *request, const json_t *params);
};
extern const struct method policy_methods[], ca_methods[], vault_methods[], user_methods[], totp_methods[],
    krl_methods[], target_methods[], host_key_methods[], binding_methods[], session_methods[],
    recording_methods[], stats_methods[]; /* each ends with a NULL name */

/* -- asking the keeper for a request (keeper_calls.c) -- */
/* The options of a call whose answer comes to `done`, with the request as its argument. */
struct call_options ask_keeper(struct request *request, uint16_t type, uint16_t reply_type, call_done done);
/* Answers for a keeper that did not. True: the request is answered. */
bool keeper_failed(struct request *request, int error);
/* Answers with what the keeper says is wrong. */
void keeper_complains(struct request *request, struct wire_span error);

/* The user is going, and the second factor with it (totp_methods.c). */
void totp_forget(struct control *control, const char *user_id);

/* Who did it, for the audit log: "client_uid" and "role" are added to `fields`, which is taken over. */
void request_audit(const struct request *request, const char *event, json_t *fields);

#endif
