/* SPDX-License-Identifier: Apache-2.0 */
/* sources: control/keeper/c[aeo]*.c control/keeper/[bhlprstv]*.c control/keeper/key[fr]*.c
 * control/certificate/public_key.c control/certificate/verify.c; deps: rpc wire p11-kit-1 libcap libseccomp
 * libsodium libcrypto */
/* What control may ask of the keeper, with any body: control may be taken over. First byte: the type. */
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/keeper/host_keys.h"
#include "control/keeper/private_key.h"
#include "control/keeper/vault.h"

static uint64_t fixed_now(void)
{
	return 1800000000;
}

static struct keeper keeper = {.now_s = fixed_now};
static struct rpc_link link_to_control, control;

static void start(void)
{
	char path[] = "/tmp/reeve-fuzz-keeper-XXXXXX";
	int fds[2];

	rpc_log_set((enum rpc_log_level)0);
	if (sodium_init() < 0 || private_key_start() != 0 || mkdtemp(path) == NULL ||
	    keyring_open(&keeper.keyring, open(path, O_RDONLY | O_DIRECTORY)) != 0 ||
	    keyring_create(&keeper.keyring, KEYRING_USER_CA) != 0 ||
	    keyring_create(&keeper.keyring, KEYRING_CLIENT_CA) != 0 ||
	    keyring_create(&keeper.keyring, KEYRING_HOST_CA) != 0 || rpc_pair(fds) != 0 ||
	    rpc_link_open(&link_to_control, fds[0], RPC_CONTROL, 0, 1) != 0 ||
	    rpc_link_open(&control, fds[1], RPC_KEEPER, 0, 1) != 0)
		abort();
	keeper.live = live_create(64);
	keeper.host_keys = host_keys_open(&keeper.keyring);
	if (keeper.host_keys == NULL)
		abort();
	live_add(keeper.live, "s1", "t1");
	uint8_t seed[HOST_SEED_ID_SIZE];
	host_keys_seed_id(keeper.host_keys, HOST_SEED_CURRENT, seed);
	live_set_seed(keeper.live, "s1", seed);
	keeper.vault = vault_open(&keeper.keyring);
	struct private_key *key = private_key_generate(PRIVATE_KEY_ED25519, 0);
	if (keeper.vault == NULL || key == NULL ||
	    vault_put(keeper.vault, "t1", "root", RPC_SECRET_PASSWORD, wire_span_of("secret"), 1) != 0 ||
	    vault_put(keeper.vault, "t1", "admin", RPC_SECRET_KEY, private_key_fields(key), 1) != 0)
		abort();
	private_key_free(key);
	/* The keys are in memory; nothing of a fuzzer's run stays on disk. */
	static const char *const files[] = {
	    "ca-user.key", "ca-client.key", "ca-host.key", "host.seed", "evidence.key", "seal.key", "vault"};
	for (unsigned i = 0; i < 7; i++)
		unlinkat(keeper.keyring.directory, files[i], 0);
	rmdir(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = {RPC_KEY_CA, RPC_KEY_CERTIFY, RPC_KEY_CERTIFY, RPC_KEY_SESSION,
	    RPC_KEY_HOST, RPC_KEY_HOST_SIGN, RPC_KEY_HOST_PROVE, RPC_KEY_EVIDENCE, RPC_SES_KILL,
	    RPC_KEY_CERTIFY_HOST, RPC_KEY_SEAL, RPC_KEY_HOST_SEED, RPC_KEY_TOTP_ENROL, RPC_KEY_TOTP_CHECK,
	    RPC_KEY_TOTP_REMOVE, RPC_KEY_VAULT_PUT, RPC_KEY_VAULT_LIST, RPC_KEY_VAULT_REMOVE, RPC_KEY_SECRET,
	    RPC_KEY_SECRET_SIGN};
	struct rpc_message answer;

	if (keeper.live == NULL)
		start();
	if (size == 0 || size > RPC_MESSAGE_MAX)
		return 0;
	/* An RSA key takes a second to make. */
	uint16_t type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
	if (type == RPC_KEY_CA && size > 3 && data[3] > RPC_CA_ECDSA_P256)
		return 0;
	struct rpc_message message = {
	    .type = type, .id = 1, .body = {data + 1, size - 1}, .fds = {-1, -1, -1, -1}};
	(void)requests_take(&keeper, &link_to_control, &message);
	fcntl(control.fd, F_SETFL, O_NONBLOCK);
	while (rpc_receive(&control, &answer) == 1)
		;
	return 0;
}
