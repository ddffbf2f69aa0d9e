/* SPDX-License-Identifier: Apache-2.0 */
/* socket: JSON-RPC 2.0 calls over the control socket, one object a line. */
#ifndef CONTROL_CLI_SOCKET_H
#define CONTROL_CLI_SOCKET_H

#include <jansson.h>

struct control_socket;

/* Connects. NULL: a message that says what to do was printed. */
struct control_socket *control_connect(const char *path);
void control_close(struct control_socket *socket);
/* Calls; takes `params` over (may be NULL). The result, owned by the caller, or NULL: the error was printed.
 */
json_t *control_call(struct control_socket *socket, const char *method, json_t *params);
/* Connects, calls once, closes. */
json_t *control_ask(const char *path, const char *method, json_t *params);

#endif
