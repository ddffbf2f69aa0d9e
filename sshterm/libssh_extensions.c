/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/libssh_extensions.h"

#include <stdlib.h>

#include <libssh/buffer.h>
#include <libssh/callbacks.h>
#include <libssh/crypto.h>
#include <libssh/misc.h>
#include <libssh/packet.h>
#include <libssh/priv.h>
#include <libssh/session.h>
#include <libssh/ssh2.h>

#define EXTENSIONS_MAX 128 /* libssh reads no more, either */

struct inside_extensions {
	struct ssh_packet_callbacks_struct callbacks;
	ssh_packet_callback table[1];
	char signature_algs[INSIDE_SIGNATURE_ALGS_MAX]; /* empty: nothing, or no list of names */
};

static int take_extensions(ssh_session ssh, uint8_t type, ssh_buffer packet, void *user)
{
	struct inside_extensions *extensions = user;
	struct wire in = wire_over(ssh_buffer_get(packet), ssh_buffer_get_len(packet));
	uint32_t count = wire_u32(&in);

	(void)ssh;
	(void)type;
	for (uint32_t i = 0; i < count && i < EXTENSIONS_MAX && !in.failed; i++) {
		struct wire_span name = wire_string(&in), value = wire_string(&in);

		if (!in.failed && wire_span_is(name, "server-sig-algs"))
			(void)wire_span_copy(
			    value, extensions->signature_algs, sizeof(extensions->signature_algs));
	}
	return SSH_PACKET_NOT_USED;
}

struct inside_extensions *inside_extensions_start(ssh_session origin)
{
	struct inside_extensions *extensions = calloc(1, sizeof(*extensions));

	if (extensions == NULL)
		return NULL;
	extensions->table[0] = take_extensions;
	extensions->callbacks = (struct ssh_packet_callbacks_struct){
	    .start = SSH2_MSG_EXT_INFO, .n_callbacks = 1, .callbacks = extensions->table, .user = extensions};
	ssh_packet_set_callbacks(origin, &extensions->callbacks);
	return extensions;
}

const char *inside_signature_algs(const struct inside_extensions *extensions)
{
	return extensions == NULL || extensions->signature_algs[0] == '\0' ? NULL
	                                                                   : extensions->signature_algs;
}

struct wire_span inside_session_id(ssh_session ssh)
{
	struct ssh_crypto_struct *crypto = ssh->current_crypto;

	if (crypto == NULL || crypto->session_id == NULL)
		return (struct wire_span){0};
	return (struct wire_span){crypto->session_id, crypto->session_id_len};
}

void inside_extensions_stop(ssh_session origin, struct inside_extensions *extensions)
{
	if (extensions == NULL)
		return;
	ssh_packet_remove_callbacks(origin, &extensions->callbacks);
	free(extensions);
}
