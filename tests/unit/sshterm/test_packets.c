/* SPDX-License-Identifier: Apache-2.0 */
/* One leg's packets: what a key re-exchange may change, and what not. */
#include <criterion/criterion.h>
#include <string.h>

#include <libssh/priv.h>

#include <libssh/crypto.h>
#include <libssh/packet.h>
#include <libssh/session.h>
#include <libssh/wrapper.h>

#include "sshterm/bridge_packets.h"

static const struct packets_handlers handlers;

static ssh_key make_key(void)
{
	ssh_key key = NULL;

	cr_assert_eq(ssh_pki_generate_key(SSH_KEYTYPE_ED25519, NULL, &key), SSH_OK);
	return key;
}

/* As after a key exchange: other keys, under the host key `key` (NULL: none). */
static void exchange(ssh_session ssh, ssh_key key)
{
	struct ssh_crypto_struct *before = ssh->current_crypto;

	ssh->current_crypto = crypto_new();
	ssh->current_crypto->server_pubkey = key == NULL ? NULL : ssh_key_dup(key);
	crypto_free(before);
}

Test(packets, a_host_key_may_not_change_at_a_rekey)
{
	ssh_key first = make_key(), second = make_key();
	const struct {
		const char *what;
		bool client;
		ssh_key then;
		bool broken;
	} cases[] = {
	    {"the origin shows the same key", true, first, false},
	    {"the origin shows another key", true, second, true},
	    {"the origin shows none", true, NULL, true},
	    {"on the client's leg it is ours", false, NULL, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ssh_session ssh = ssh_new();
		ssh->client = cases[i].client;
		ssh->session_state = SSH_SESSION_STATE_AUTHENTICATED;
		ssh_packet_set_default_callbacks(ssh);
		exchange(ssh, first);
		struct packets *packets = packets_attach(ssh, &handlers, NULL);
		cr_assert_not_null(packets);
		(void)packets_feed(packets, (const uint8_t *)"", 0);
		cr_expect_neq(ssh->session_state, SSH_SESSION_STATE_ERROR, "%s: at first", cases[i].what);
		exchange(ssh, cases[i].then);
		(void)packets_feed(packets, (const uint8_t *)"", 0);
		bool broken = ssh->session_state == SSH_SESSION_STATE_ERROR;
		cr_expect_eq(broken, cases[i].broken, "%s: expected %d, got %d", cases[i].what,
		    cases[i].broken, broken);
		if (broken)
			cr_expect(strstr(packets_error(packets), "another host key") != NULL, "%s",
			    packets_error(packets));
		packets_detach(packets);
		ssh_free(ssh);
	}
	ssh_key_free(first);
	ssh_key_free(second);
}
