/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <string.h>

#include "control/rpc/legacy.h"
#include "sshterm/algorithms.h"

static const struct wire_span none = {0};

/* Is `name` one of the list's? */
static bool has(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)) != NULL; at++)
		if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

static bool anywhere(const struct algorithms *a, const char *name)
{
	return has(a->kex, name) || has(a->host_keys, name) || has(a->ciphers, name) || has(a->macs, name);
}

Test(algorithms, nothing_old_unless_named)
{
	struct algorithms client, origin;

	cr_assert(algorithms_of_client_leg(&client, none, false));
	cr_assert(algorithms_of_origin_leg(&origin, none, none));
	for (size_t i = 0; i < legacy_count; i++) {
		if ((legacy_algorithms[i].legs & LEGACY_CLIENT) != 0)
			cr_expect_not(anywhere(&client, legacy_algorithms[i].name), "client: %s",
			    legacy_algorithms[i].name);
		if ((legacy_algorithms[i].legs & LEGACY_ORIGIN) != 0)
			cr_expect_not(anywhere(&origin, legacy_algorithms[i].name), "origin: %s",
			    legacy_algorithms[i].name);
	}
	cr_expect_eq(client.rsa_bits_min, 2048);
	cr_expect_eq(origin.rsa_bits_min, 2048);
	cr_expect(strncmp(client.kex, "mlkem768x25519-sha256,", 22) == 0);
	cr_expect(strncmp(origin.kex, "mlkem768x25519-sha256,", 22) == 0);
	/* What costs much CPU as the client: after all others. */
	cr_expect_str_eq(strstr(origin.kex, "sntrup761x25519-sha512"),
	    "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,diffie-hellman-group18-sha512");
}

Test(algorithms, what_a_leg_may_not_have_is_passed_over)
{
	struct algorithms client;

	cr_assert(algorithms_of_client_leg(
	    &client, wire_span_of("diffie-hellman-group-exchange-sha1,rsa-1024,none,,hmac-sha1"), false));
	cr_expect_not(anywhere(&client, "diffie-hellman-group-exchange-sha1"));
	cr_expect_not(anywhere(&client, "none"));
	cr_expect_eq(client.rsa_bits_min, 2048);
	cr_expect(has(client.macs, "hmac-sha1"));
}

Test(algorithms, certificates_come_first)
{
	struct algorithms client;

	cr_assert(algorithms_of_client_leg(&client, wire_span_of("ssh-rsa,ecdsa-sha2-nistp256"), true));
	cr_expect_str_eq(client.host_keys,
	    "ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@"
	    "openssh.com,"
	    "ecdsa-sha2-nistp256-cert-v01@openssh.com,ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ssh-rsa,"
	    "ecdsa-sha2-nistp256");
	cr_assert(algorithms_of_client_leg(&client, none, false));
	cr_expect_str_eq(client.host_keys, "ssh-ed25519,rsa-sha2-512,rsa-sha2-256");
}

Test(algorithms, users_sign_by_sha1_where_the_rule_names_it)
{
	struct algorithms client, plain;

	cr_assert(algorithms_of_client_leg(&plain, wire_span_of("hmac-sha1,ecdsa-sha2-nistp256"), false));
	cr_expect_not(has(plain.user_keys, "ssh-rsa"));
	cr_assert(algorithms_of_client_leg(&client, wire_span_of("ssh-rsa"), false));
	/* Behind all others; what is there is not put there again. */
	cr_expect_str_eq(client.user_keys + strlen(plain.user_keys), ",ssh-rsa");
	cr_expect_eq(strncmp(client.user_keys, plain.user_keys, strlen(plain.user_keys)), 0);
}

Test(algorithms, preferred_host_keys_come_first_and_once)
{
	struct algorithms origin;

	cr_assert(algorithms_of_origin_leg(&origin, none,
	    wire_span_of(
	        "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-512,ssh-rsa,sk-ssh-ed25519@openssh.com")));
	cr_expect_str_eq(origin.host_keys, "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-512,ssh-ed25519,ecdsa-"
	                                   "sha2-nistp256,ecdsa-sha2-nistp384,"
	                                   "ecdsa-sha2-nistp521,rsa-sha2-256");
	/* The old name of the pinned key's type counts where the rule has it. */
	cr_assert(algorithms_of_origin_leg(
	    &origin, wire_span_of("aes128-cbc,ssh-rsa"), wire_span_of("rsa-sha2-512,rsa-sha2-256,ssh-rsa")));
	cr_expect(strncmp(origin.host_keys, "rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-ed25519", 45) == 0);
	cr_expect(has(origin.ciphers, "aes128-cbc"));
}

/* Every name that a leg can be given is one that this libssh can do: it leaves out what it does not know. */
Test(algorithms, libssh_knows_them_all)
{
	struct algorithms a;
	char all[LEGACY_LIST_MAX], *kept = NULL;
	ssh_session ssh = ssh_new();

	legacy_list(~0u >> (32 - legacy_count), all);
	for (int leg = 0; leg < 2; leg++) {
		cr_assert(leg == 0 ? algorithms_of_client_leg(&a, wire_span_of(all), true)
		                   : algorithms_of_origin_leg(&a, wire_span_of(all), none));
		const struct {
			enum ssh_options_e option;
			const char *list;
		} lists[] = {{SSH_OPTIONS_KEY_EXCHANGE, a.kex}, {SSH_OPTIONS_HOSTKEYS, a.host_keys},
		    {SSH_OPTIONS_CIPHERS_C_S, a.ciphers}, {SSH_OPTIONS_HMAC_C_S, a.macs}};
		for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
			cr_assert_eq(ssh_options_set(ssh, lists[i].option, lists[i].list), 0);
			cr_assert_eq(ssh_options_get(ssh, lists[i].option, &kept), 0);
			cr_expect_str_eq(kept, lists[i].list);
			ssh_string_free_char(kept);
		}
		cr_expect_eq(ssh_options_set(ssh, SSH_OPTIONS_RSA_MIN_SIZE, &a.rsa_bits_min), 0);
	}
	ssh_free(ssh);
}
