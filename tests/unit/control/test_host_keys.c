/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's host keys: derived alike for ever, of all types, rotated with an overlap, for live sessions
 * only. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/certificate/public_key.h"
#include "control/keeper/host_hints.h"
#include "control/keeper/host_keys.h"
#include "control/keeper/private_key.h"
#include "tests/unit/control/folder.h"

static char directory_path[FOLDER_PATH_SIZE];
static uint64_t now_s = 1000;
static uint64_t test_now(void)
{
	return now_s;
}
static struct keeper keeper = {.now_s = test_now};
static struct rpc_link keeper_end, control;

static void start_keys(void)
{
	cr_assert_eq(keyring_open(&keeper.keyring, open(directory_path, O_RDONLY | O_DIRECTORY)), 0);
	keeper.host_keys = host_keys_open(&keeper.keyring);
	cr_assert_not_null(keeper.host_keys);
}

static void stop_keys(void)
{
	host_keys_close(keeper.host_keys);
	close(keeper.keyring.directory);
	keyring_close(&keeper.keyring);
}

static void setup(void)
{
	uint8_t seed[KEEPER_SEED_SIZE];
	int fds[2];

	cr_assert(sodium_init() >= 0);
	cr_assert_eq(private_key_start(), 0);
	rpc_log_set((enum rpc_log_level)0);
	folder_make(directory_path, "host-keys");
	for (unsigned i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)i;
	int directory = open(directory_path, O_RDONLY | O_DIRECTORY);
	cr_assert_eq(keyfile_write(directory, "host.seed", KEYRING_HOST_SEED, seed), 0);
	close(directory);
	start_keys();
	keeper.live = live_create(16);
	cr_assert_eq(rpc_pair(fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	cr_assert_eq(rpc_link_open(&control, fds[0], RPC_KEEPER, 0, 1), 0);
	cr_assert_eq(rpc_link_open(&keeper_end, fds[1], RPC_CONTROL, 0, 1), 0);
}

static void teardown(void)
{
	stop_keys();
	live_destroy(keeper.live);
	rpc_link_close(&control);
	rpc_link_close(&keeper_end);
	folder_remove(directory_path);
}

TestSuite(host_keys, .init = setup, .fini = teardown);

static struct wire_span blob_of(enum host_seed seed, const char *target, const char *type)
{
	static uint8_t rooms[4][HOST_KEY_BLOB_MAX];
	static unsigned turn;
	struct wire_out out = wire_into(rooms[turn++ % 4], HOST_KEY_BLOB_MAX);

	cr_assert(host_keys_public(keeper.host_keys, seed, target, wire_span_of(type), &out), "%s", type);
	return (struct wire_span){out.start, wire_written(&out)};
}

static bool same(struct wire_span a, struct wire_span b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Known answers: a change of the derivation would change host keys that clients have stored. Those of ECDSA
 * and RSA were also computed by an implementation in another language (tests/unit/control/derive.py). */
Test(host_keys, derived_keys_are_these_for_ever)
{
	static const struct {
		const char *type, *fingerprint;
	} known[] = {
	    {"ssh-ed25519", "SHA256:vxgmbu65TDmvflgHkofB15oBvqMCOMJdlISvlHfXSW8"},
	    {"ecdsa-sha2-nistp256", "SHA256:OAzy5aB+45rby7GJ52KxClQwf+QMBqrEfZ+j8vwlVkg"},
	    {"ecdsa-sha2-nistp384", "SHA256:eXbbNjrDVm9LlLG0RnprfUc4ya50UOwGBxOIdPU6K9g"},
	    {"ecdsa-sha2-nistp521", "SHA256:8ndg/nhNcuEZWytPTiS+eIFXbtxmGShRYVVErwJIm/k"},
	    {"ssh-rsa", "SHA256:FB2KFAorUfgeqWzNU9QgPTj2YLoZTjmfmKDR6WRad1M"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];
		public_key_fingerprint(
		    blob_of(HOST_SEED_CURRENT, "SHA256:example", known[i].type), fingerprint);
		cr_expect_str_eq(fingerprint, known[i].fingerprint, "%s: got %s", known[i].type, fingerprint);
	}
}

/* An RSA key is searched for once, also over a restart; what is lost is searched for again. */
Test(host_keys, rsa_keys_are_searched_for_once)
{
	const char *path = "host-rsa.hints";
	uint8_t found[HOST_KEY_BLOB_MAX];
	struct wire_span key = blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	size_t len = key.len;

	memcpy(found, key.at, len);
	cr_expect_eq(host_keys_searched(keeper.host_keys), 1);
	cr_assert_eq(host_keys_unsaved(keeper.host_keys), 1);
	host_keys_save(keeper.host_keys);
	cr_expect_eq(host_keys_unsaved(keeper.host_keys), 0);
	stop_keys();
	start_keys();
	key = blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	cr_expect_eq(host_keys_searched(keeper.host_keys), 0, "it was searched for again after a restart");
	cr_expect(key.len == len && memcmp(key.at, found, len) == 0, "it is another key");
	cr_assert(folder_damage(keeper.keyring.directory, path, 40));
	stop_keys();
	start_keys();
	key = blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	cr_expect_eq(host_keys_searched(keeper.host_keys), 1);
	cr_expect(key.len == len && memcmp(key.at, found, len) == 0, "it is another key");
	/* A directory in its place, which cannot be replaced, is no reason to refuse anything. */
	cr_assert_eq(unlinkat(keeper.keyring.directory, path, 0), 0);
	cr_assert_eq(mkdirat(keeper.keyring.directory, path, 0700), 0);
	host_keys_save(keeper.host_keys);
	stop_keys();
	start_keys();
	(void)blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
}

static void learn(unsigned number)
{
	char name[HOST_KEY_NAME_SIZE + 1];
	struct host_search search;
	struct host_hint hint = {0};

	snprintf(name, sizeof(name), "key %12u", number);
	memcpy(search.name, name, sizeof(search.name));
	host_keys_seed_id(keeper.host_keys, HOST_SEED_CURRENT, search.seed_id);
	host_keys_learn(keeper.host_keys, &search, &hint);
}

static bool is_known(struct host_hints *hints, unsigned number)
{
	char name[HOST_KEY_NAME_SIZE + 1];
	struct host_hint hint;

	snprintf(name, sizeof(name), "key %12u", number);
	return host_hints_find(hints, (const uint8_t *)name, &hint);
}

/* A key that is asked for all the time is kept in memory; where its primes lie is not forgotten for that. */
Test(host_keys, an_rsa_key_in_use_is_not_the_oldest, .timeout = 300)
{
	struct host_hints *saved;

	(void)blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	for (unsigned i = 1; i < HOST_HINTS_MAX; i++)
		learn(i);
	host_keys_save(keeper.host_keys);
	for (unsigned i = 0; i < HOST_HINTS_AGED - 1; i++)
		(void)blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	cr_expect_eq(host_keys_unsaved(keeper.host_keys), 0, "not each use is worth a file");
	(void)blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	cr_expect_eq(host_keys_unsaved(keeper.host_keys), 1);
	learn(0);
	host_keys_save(keeper.host_keys);
	cr_assert_not_null(saved = host_hints_open(&keeper.keyring));
	cr_expect_not(is_known(saved, 1), "the oldest");
	cr_expect(is_known(saved, 2));
	host_hints_close(saved);
	stop_keys();
	start_keys();
	(void)blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	cr_expect_eq(host_keys_searched(keeper.host_keys), 0, "it was driven out");
}

Test(host_keys, of_a_target_and_a_type)
{
	uint8_t room[HOST_KEY_BLOB_MAX];
	struct wire_out out = wire_into(room, sizeof(room));
	struct wire_span one = blob_of(HOST_SEED_CURRENT, "one", "ecdsa-sha2-nistp256");
	uint8_t kept[HOST_KEY_BLOB_MAX];

	memcpy(kept, one.at, one.len);
	one.at = kept;

	cr_expect(same(one, blob_of(HOST_SEED_CURRENT, "one", "ecdsa-sha2-nistp256")));
	cr_expect_not(same(one, blob_of(HOST_SEED_CURRENT, "two", "ecdsa-sha2-nistp256")));
	cr_expect_not(
	    host_keys_public(keeper.host_keys, HOST_SEED_CURRENT, "", wire_span_of("ssh-ed25519"), &out));
	cr_expect_not(
	    host_keys_public(keeper.host_keys, HOST_SEED_CURRENT, "one", wire_span_of("ssh-dss"), &out));
	cr_expect_not(
	    host_keys_public(keeper.host_keys, HOST_SEED_NEXT, "one", wire_span_of("ssh-ed25519"), &out));
	cr_expect_eq(wire_written(&out), 0);
	/* More than are kept in memory: each is found again as it was. */
	char target[32];
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(target, sizeof(target), "target %u", i);
		(void)blob_of(HOST_SEED_CURRENT, target, "ssh-ed25519");
	}
	cr_expect(same(one, blob_of(HOST_SEED_CURRENT, "one", "ecdsa-sha2-nistp256")));
}

/* -- what control may ask -- */

static struct rpc_message reply;

static int ask(uint16_t type, rpc_put_fn put, const void *body)
{
	struct rpc_message message;

	cr_assert_eq(rpc_send_body(&control, type, 0, 7, put, body, NULL, 0), 0);
	cr_assert_eq(rpc_receive(&keeper_end, &message), 1);
	int result = requests_take(&keeper, &keeper_end, &message);
	cr_assert_eq(rpc_receive(&control, &reply), result == 0 && type != RPC_KEY_SESSION ? 1 : 0);
	return result;
}
#define ASK(NAME, name, ...) ask(RPC_##NAME, rpc_put_##name, &(struct rpc_##name){__VA_ARGS__})

/* Signs for a session by an algorithm; the signature must verify with the key of that seed and target. NULL:
 * good, else the error. */
static const char *sign(const char *session, const char *algorithm, size_t hash_len, enum host_seed seed,
    const char *target, const char *type)
{
	static char error[KEEPER_ERROR_MAX];
	uint8_t hash[100] = {5};
	struct rpc_key_host_sign_reply signed_by;
	struct public_key key;

	cr_assert_eq(ASK(KEY_HOST_SIGN, key_host_sign, .session_id = wire_span_of(session),
	                 .hash = {hash, hash_len}, .algorithm = wire_span_of(algorithm)),
	    0);
	cr_assert(rpc_get_key_host_sign_reply(reply.body, &signed_by));
	cr_expect_eq(signed_by.error.len == 0, signed_by.signature.len > 0, "either an error or a signature");
	if (!wire_span_copy(signed_by.error, error, sizeof(error)) || error[0] != '\0')
		return error;
	struct wire in = wire_over(signed_by.signature.at, signed_by.signature.len);
	cr_expect(wire_span_is(wire_string(&in), algorithm[0] == '\0' ? "ssh-ed25519" : algorithm));
	cr_assert(public_key_parse(blob_of(seed, target, type), &key));
	if (strcmp(algorithm, "ssh-rsa") != 0) /* which nothing here verifies */
		cr_expect(public_key_verify(&key, (struct wire_span){hash, hash_len}, signed_by.signature, 0),
		    "%s", algorithm);
	return NULL;
}

Test(host_keys, sign_for_live_sessions)
{
	static const char *const both[][2] = {{"", "ssh-ed25519"}, {"ssh-ed25519", "ssh-ed25519"},
	    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"}, {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
	    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"}, {"rsa-sha2-256", "ssh-rsa"},
	    {"rsa-sha2-512", "ssh-rsa"}, {"ssh-rsa", "ssh-rsa"}};
	const char *plain = "ssh-ed25519";

	cr_expect_not_null(sign("s1", plain, 32, 0, "t1", plain), "no live session");
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("s1"), .live = 1);
	cr_expect_not_null(sign("s1", plain, 32, 0, "t1", plain), "no target yet");
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("s1"), .target_id = wire_span_of("t1"),
	    .live = 1);
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		cr_expect_null(
		    sign("s1", both[i][0], 32, HOST_SEED_CURRENT, "t1", both[i][1]), "%s", both[i][0]);
	cr_expect_null(sign("s1", plain, 20, 0, "t1", plain));
	cr_expect_null(sign("s1", plain, 64, 0, "t1", plain));
	cr_expect_not_null(sign("s1", plain, 19, 0, "t1", plain));
	cr_expect_not_null(sign("s1", plain, 65, 0, "t1", plain));
	cr_expect_not_null(sign("s1", plain, 0, 0, "t1", plain));
	cr_expect_not_null(sign("s1", "ssh-dss", 32, 0, "t1", plain));
	cr_expect_not_null(sign("s1", "rsa-sha2-512-cert-v01@openssh.com", 32, 0, "t1", plain));
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("s1"), .target_id = wire_span_of("t1"),
	    .live = 0);
	cr_expect_not_null(sign("s1", plain, 32, 0, "t1", plain), "over");
}

static struct rpc_key_host_seed_reply seeds(uint8_t action)
{
	struct rpc_key_host_seed_reply answer;

	cr_assert_eq(ASK(KEY_HOST_SEED, key_host_seed, .action = action), 0);
	cr_assert(rpc_get_key_host_seed_reply(reply.body, &answer));
	return answer;
}

/* What a client verifies of a proof (OpenSSH's PROTOCOL, section 2.5); seed_id as the keeper says it. NULL:
 * good, else the error. */
static const char *prove(const char *session, const char *algorithm, size_t identifier_len,
    const uint8_t seed_id[HOST_SEED_ID_SIZE], enum host_seed seed, const char *type)
{
	static char error[KEEPER_ERROR_MAX];
	uint8_t identifier[100] = {9}, text[1024];
	struct wire_out out = wire_into(text, sizeof(text));
	struct rpc_key_host_prove_reply proof;
	struct public_key key;

	cr_assert_eq(ASK(KEY_HOST_PROVE, key_host_prove, .session_id = wire_span_of(session),
	                 .identifier = {identifier, identifier_len}, .seed = {seed_id, HOST_SEED_ID_SIZE},
	                 .algorithm = wire_span_of(algorithm)),
	    0);
	cr_assert(rpc_get_key_host_prove_reply(reply.body, &proof));
	cr_expect_eq(proof.error.len == 0, proof.signature.len > 0, "either an error or a signature");
	if (!wire_span_copy(proof.error, error, sizeof(error)) || error[0] != '\0')
		return error;
	struct wire_span blob = blob_of(seed, "t1", type);
	wire_put_cstring(&out, "hostkeys-prove-00@openssh.com");
	wire_put_string(&out, identifier, identifier_len);
	wire_put_string(&out, blob.at, blob.len);
	cr_assert(public_key_parse(blob, &key));
	return public_key_verify(&key, (struct wire_span){text, wire_written(&out)}, proof.signature, 0)
	           ? NULL
	           : "it does not verify";
}

static struct rpc_key_host_reply host(const char *type, uint8_t next)
{
	struct rpc_key_host_reply answer;

	cr_assert_eq(ASK(KEY_HOST, key_host, .target_id = wire_span_of("t1"), .type = wire_span_of(type),
	                 .next = next),
	    0);
	cr_assert(rpc_get_key_host_reply(reply.body, &answer));
	return answer;
}

Test(host_keys, prove_themselves_before_they_sign)
{
	uint8_t current[HOST_SEED_ID_SIZE], next[HOST_SEED_ID_SIZE];
	const char *plain = "ssh-ed25519";

	memcpy(current, seeds(RPC_HOST_SEED_SHOW).current.at, sizeof(current));
	cr_expect_not_null(prove("s1", plain, 32, current, HOST_SEED_CURRENT, plain), "no live session");
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("s1"), .live = 1);
	cr_expect_not_null(prove("s1", plain, 32, current, HOST_SEED_CURRENT, plain), "no target yet");
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("s1"), .target_id = wire_span_of("t1"),
	    .live = 1);
	cr_expect_null(prove("s1", plain, 32, current, HOST_SEED_CURRENT, plain));
	cr_expect_null(
	    prove("s1", "ecdsa-sha2-nistp384", 64, current, HOST_SEED_CURRENT, "ecdsa-sha2-nistp384"));
	cr_expect_null(prove("s1", "rsa-sha2-256", 32, current, HOST_SEED_CURRENT, "ssh-rsa"));
	cr_expect_null(prove("s1", "rsa-sha2-512", 20, current, HOST_SEED_CURRENT, "ssh-rsa"));
	cr_expect_not_null(prove("s1", plain, 19, current, HOST_SEED_CURRENT, plain));
	cr_expect_not_null(prove("s1", plain, 65, current, HOST_SEED_CURRENT, plain));
	cr_expect_not_null(prove("s1", "ssh-dss", 32, current, HOST_SEED_CURRENT, plain));
	memcpy(next, seeds(RPC_HOST_SEED_ROTATE).next.at, sizeof(next));
	cr_expect_null(prove("s1", plain, 32, next, HOST_SEED_NEXT, plain));
	cr_expect_null(
	    sign("s1", plain, 32, HOST_SEED_CURRENT, "t1", plain), "which is still by the current one");
	seeds(RPC_HOST_SEED_ABANDON);
	cr_expect_not_null(prove("s1", plain, 32, next, HOST_SEED_NEXT, plain), "there is none any more");
}

Test(host_keys, rotate_with_an_overlap)
{
	uint8_t first_id[HOST_SEED_ID_SIZE], next_id[HOST_SEED_ID_SIZE], next_key[64];
	const char *plain = "ssh-ed25519";
	struct rpc_key_host_seed_reply told = seeds(RPC_HOST_SEED_SHOW);

	cr_assert(told.error.len == 0 && told.current.len == sizeof(first_id) && told.next.len == 0);
	memcpy(first_id, told.current.at, sizeof(first_id));
	cr_expect_neq(host(plain, 1).error.len, 0, "a next key without a next seed");
	cr_expect_neq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	cr_expect_neq(seeds(RPC_HOST_SEED_ABANDON).error.len, 0);
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("old"), .target_id = wire_span_of("t1"),
	    .live = 1);

	told = seeds(RPC_HOST_SEED_ROTATE);
	cr_assert(told.error.len == 0 && told.next.len == sizeof(next_id));
	memcpy(next_id, told.next.at, sizeof(next_id));
	cr_expect_arr_neq(first_id, next_id, sizeof(next_id));
	cr_expect_neq(seeds(RPC_HOST_SEED_ROTATE).error.len, 0, "a second next seed");
	struct rpc_key_host_reply key = host(plain, 1);
	cr_assert(key.error.len == 0 && key.public_key.len == 51);
	memcpy(next_key, key.public_key.at, 51);
	cr_expect_arr_eq(key.seed.at, next_id, sizeof(next_id));
	key = host(plain, 0);
	cr_expect_arr_neq(key.public_key.at, next_key, 51);
	cr_expect_arr_eq(key.seed.at, first_id, sizeof(first_id));
	/* The keeper is replaced meanwhile. */
	stop_keys();
	start_keys();
	cr_expect_arr_eq(host(plain, 1).public_key.at, next_key, 51);
	cr_expect_null(sign("old", plain, 32, HOST_SEED_CURRENT, "t1", plain));

	told = seeds(RPC_HOST_SEED_COMMIT);
	cr_assert(told.error.len == 0 && told.next.len == 0);
	cr_expect_arr_eq(told.current.at, next_id, sizeof(next_id));
	cr_expect_arr_eq(host(plain, 0).public_key.at, next_key, 51);
	/* Who was there before goes on with the key that it met; who comes now meets the new one. */
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("new"), .target_id = wire_span_of("t1"),
	    .live = 1);
	cr_expect_null(sign("old", plain, 32, HOST_SEED_PREVIOUS, "t1", plain));
	cr_expect_null(sign("old", "rsa-sha2-512", 32, HOST_SEED_PREVIOUS, "t1", "ssh-rsa"));
	cr_expect_null(sign("new", plain, 32, HOST_SEED_CURRENT, "t1", plain));
	stop_keys();
	start_keys();
	cr_expect_arr_eq(host(plain, 0).public_key.at, next_key, 51, "the commit is on disk");

	cr_expect_eq(seeds(RPC_HOST_SEED_ROTATE).error.len, 0);
	cr_expect_eq(seeds(RPC_HOST_SEED_ABANDON).error.len, 0);
	cr_expect_arr_eq(host(plain, 0).public_key.at, next_key, 51);
	cr_expect_eq(seeds(RPC_HOST_SEED_SHOW).next.len, 0);
	cr_expect_eq(ASK(KEY_HOST_SEED, key_host_seed, .action = 4), -EPROTO);
}

static void say_live(const char *session, const uint8_t *seed)
{
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of(session), .target_id = wire_span_of("t1"),
	    .seed = {seed, seed == NULL ? 0 : HOST_SEED_ID_SIZE}, .live = 1);
}

static bool has_previous(void)
{
	return host_keys_has(keeper.host_keys, HOST_SEED_PREVIOUS) &&
	       faccessat(keeper.keyring.directory, "host-previous.seed", F_OK, 0) == 0;
}

/* Keeper and control are replaced: the session's seed is what control says it is, and the keeper has it. */
Test(host_keys, an_old_session_is_signed_for_by_its_seed_after_a_restart)
{
	uint8_t first[HOST_SEED_ID_SIZE], unknown[HOST_SEED_ID_SIZE] = {1};
	const char *plain = "ssh-ed25519";

	host_keys_seed_id(keeper.host_keys, HOST_SEED_CURRENT, first);
	say_live("old", NULL);
	seeds(RPC_HOST_SEED_ROTATE);
	cr_assert_eq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	live_clear(keeper.live);
	stop_keys();
	start_keys();
	say_live("old", first);
	say_live("new", NULL);
	say_live("odd", unknown);
	cr_expect_null(sign("old", plain, 32, HOST_SEED_PREVIOUS, "t1", plain));
	cr_expect_null(
	    sign("old", "ecdsa-sha2-nistp256", 32, HOST_SEED_PREVIOUS, "t1", "ecdsa-sha2-nistp256"));
	cr_expect_null(sign("new", plain, 32, HOST_SEED_CURRENT, "t1", plain));
	cr_expect_not_null(sign("odd", plain, 32, HOST_SEED_CURRENT, "t1", plain));
	/* Said again without a seed, it is what it was. */
	say_live("old", NULL);
	cr_expect_null(sign("old", plain, 32, HOST_SEED_PREVIOUS, "t1", plain));
	/* The next commit takes its place: the session is not signed for by a key that it never met. */
	seeds(RPC_HOST_SEED_ROTATE);
	cr_assert_eq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	cr_expect_not_null(sign("old", plain, 32, HOST_SEED_PREVIOUS, "t1", plain));
	cr_expect_null(sign("new", plain, 32, HOST_SEED_PREVIOUS, "t1", plain));
	cr_expect_eq(
	    ASK(KEY_SESSION, key_session, .session_id = wire_span_of("s"), .seed = {first, 7}, .live = 1),
	    -EPROTO);
}

Test(host_keys, the_former_seed_goes_with_the_last_that_needs_it)
{
	seeds(RPC_HOST_SEED_ROTATE);
	say_live("old", NULL);
	seeds(RPC_HOST_SEED_COMMIT);
	now_s += PREVIOUS_NEEDED_S + 1;
	say_live("new", NULL);
	cr_expect(has_previous(), "a live session needs it");
	ASK(KEY_SESSION, key_session, .session_id = wire_span_of("old"), .live = 0);
	cr_expect(has_previous(), "it is not looked for each time");
	now_s += PREVIOUS_NEEDED_S + 1;
	say_live("new", NULL);
	cr_expect_not(has_previous());
	cr_expect_null(sign("new", "ssh-ed25519", 32, HOST_SEED_CURRENT, "t1", "ssh-ed25519"));
	stop_keys();
	start_keys();
	cr_expect_not(has_previous());

	/* And after its time, whoever needs it. */
	cr_expect_eq(host_seed_look_in_ms(&keeper), -1, "there is none to look at");
	seeds(RPC_HOST_SEED_ROTATE);
	seeds(RPC_HOST_SEED_COMMIT);
	now_s = (uint64_t)time(NULL) + PREVIOUS_MAX_S - 10;
	say_live("new", NULL);
	cr_expect(has_previous());
	now_s += PREVIOUS_NEEDED_S;
	say_live("new", NULL);
	cr_expect_not(has_previous());
	cr_expect_not_null(sign("new", "ssh-ed25519", 32, HOST_SEED_CURRENT, "t1", "ssh-ed25519"));
}

/* The keeper's poll waits so long and looks, whether or not a session comes. */
Test(host_keys, the_former_seed_goes_where_no_session_comes_any_more)
{
	now_s = 1000;
	keeper.look_at_previous_at = 0;
	seeds(RPC_HOST_SEED_ROTATE);
	seeds(RPC_HOST_SEED_COMMIT);
	cr_expect_eq(host_seed_look_in_ms(&keeper), PREVIOUS_NEEDED_S * 1000);
	now_s += PREVIOUS_NEEDED_S - 1;
	host_seed_look(&keeper);
	cr_expect(has_previous());
	cr_expect_eq(host_seed_look_in_ms(&keeper), 1000);
	now_s += 3; /* late */
	cr_expect_eq(host_seed_look_in_ms(&keeper), 0);
	host_seed_look(&keeper);
	cr_expect_not(has_previous());
	cr_expect_eq(host_seed_look_in_ms(&keeper), -1);
	/* A clock that was set back does not make it wait for longer. */
	seeds(RPC_HOST_SEED_ROTATE);
	seeds(RPC_HOST_SEED_COMMIT);
	now_s = 1000;
	cr_expect_eq(host_seed_look_in_ms(&keeper), PREVIOUS_NEEDED_S * 1000);
}

/* It was the current one until then, and is forgotten a month later, whatever failed meanwhile. */
Test(host_keys, a_commit_that_fails_leaves_the_former_seed_its_age)
{
	const char *previous = "host-previous.seed", *next = "host-next.seed";
	int directory = keeper.keyring.directory;
	uint8_t seed[KEEPER_SEED_SIZE], after[KEEPER_SEED_SIZE];
	uint64_t made_at = 0;

	seeds(RPC_HOST_SEED_ROTATE);
	cr_assert_eq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	cr_assert_eq(keyfile_read(directory, previous, KEYRING_HOST_SEED, seed), 0);
	cr_assert_eq(keyfile_rewrite_dated(directory, previous, KEYRING_HOST_SEED, seed, 12345), 0);
	stop_keys();
	start_keys();
	directory = keeper.keyring.directory;
	seeds(RPC_HOST_SEED_ROTATE);
	cr_assert_eq(unlinkat(directory, next, 0), 0);
	cr_expect_neq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	cr_assert_eq(keyfile_read_dated(directory, previous, KEYRING_HOST_SEED, after, &made_at), 0);
	cr_expect_arr_eq(after, seed, sizeof(seed));
	cr_expect_eq(made_at, 12345, "%llu", (unsigned long long)made_at);
}

/* Of each seed one key of either kind: whoever reads the memory later finds none of a seed that is forgotten.
 */
Test(host_keys, private_keys_go_with_their_seed)
{
	const struct host_keys *keys = keeper.host_keys;

	seeds(RPC_HOST_SEED_ROTATE);
	for (enum host_seed seed = HOST_SEED_CURRENT; seed <= HOST_SEED_NEXT; seed++) {
		(void)blob_of(seed, "t1", "ssh-ed25519");
		(void)blob_of(seed, "t1", "ssh-rsa");
	}
	cr_assert_eq(host_keys_in_memory(keys), 4);
	seeds(RPC_HOST_SEED_ABANDON);
	cr_expect_eq(host_keys_in_memory(keys), 2, "of the abandoned one");
	seeds(RPC_HOST_SEED_ROTATE);
	(void)blob_of(HOST_SEED_NEXT, "t1", "ssh-ed25519");
	seeds(RPC_HOST_SEED_COMMIT);
	cr_expect_eq(host_keys_in_memory(keys), 3, "the former seed is still there");
	host_keys_forget_previous(keeper.host_keys);
	cr_expect_eq(host_keys_in_memory(keys), 1, "of the former one");
	(void)blob_of(HOST_SEED_CURRENT, "t1", "ssh-ed25519");
	cr_expect_eq(host_keys_in_memory(keys), 1, "what is left is the current one's");
}

Test(host_keys, a_commit_that_fails_changes_nothing)
{
	uint8_t before[HOST_SEED_ID_SIZE], after[HOST_SEED_ID_SIZE];

	seeds(RPC_HOST_SEED_ROTATE);
	host_keys_seed_id(keeper.host_keys, HOST_SEED_CURRENT, before);
	cr_assert_eq(mkdirat(keeper.keyring.directory, "host-previous.seed", 0700), 0);
	cr_expect_neq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	cr_assert_eq(unlinkat(keeper.keyring.directory, "host-previous.seed", AT_REMOVEDIR), 0);
	cr_assert_eq(
	    renameat(keeper.keyring.directory, "host-next.seed", keeper.keyring.directory, "away"), 0);
	cr_expect_neq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	cr_expect_not(has_previous());
	cr_expect_neq(faccessat(keeper.keyring.directory, "host-previous.seed", F_OK, 0), 0);
	host_keys_seed_id(keeper.host_keys, HOST_SEED_CURRENT, after);
	cr_expect_arr_eq(before, after, sizeof(before));
	cr_assert_eq(
	    renameat(keeper.keyring.directory, "away", keeper.keyring.directory, "host-next.seed"), 0);
	cr_expect_eq(seeds(RPC_HOST_SEED_COMMIT).error.len, 0);
	/* One that was cut short had written the current seed beside itself, and one that is damaged is none.
	 */
	cr_assert(folder_damage(keeper.keyring.directory, "host-previous.seed", 30));
	stop_keys();
	start_keys();
	cr_expect_not(host_keys_has(keeper.host_keys, HOST_SEED_PREVIOUS));
	uint8_t seed[KEEPER_SEED_SIZE];
	(void)blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	host_keys_save(keeper.host_keys);
	cr_assert_eq(keyfile_read(keeper.keyring.directory, "host.seed", KEYRING_HOST_SEED, seed), 0);
	cr_assert_eq(
	    keyfile_rewrite(keeper.keyring.directory, "host-previous.seed", KEYRING_HOST_SEED, seed), 0);
	stop_keys();
	start_keys();
	cr_expect_not(host_keys_has(keeper.host_keys, HOST_SEED_PREVIOUS));
	cr_expect_neq(faccessat(keeper.keyring.directory, "host-previous.seed", F_OK, 0), 0);
	(void)blob_of(HOST_SEED_CURRENT, "one", "ssh-rsa");
	cr_expect_eq(
	    host_keys_searched(keeper.host_keys), 0, "what is known of the current seed's keys is lost");
}

Test(host_keys, a_damaged_next_seed_stops_the_start)
{
	cr_assert_eq(host_keys_rotate(keeper.host_keys), 0);
	cr_assert(folder_damage(keeper.keyring.directory, "host-next.seed", 30));
	cr_expect_null(host_keys_open(&keeper.keyring));
}

/* An O_PATH descriptor renames and unlinks, and cannot be synced. */
Test(host_keys, a_step_is_taken_where_the_directory_cannot_be_synced)
{
	int unsynced = open(directory_path, O_PATH | O_DIRECTORY);
	uint8_t next[HOST_SEED_ID_SIZE], current[HOST_SEED_ID_SIZE];

	cr_assert_eq(host_keys_rotate(keeper.host_keys), 0);
	host_keys_seed_id(keeper.host_keys, HOST_SEED_NEXT, next);
	cr_assert(dup2(unsynced, keeper.keyring.directory) >= 0);
	cr_expect_eq(host_keys_commit(keeper.host_keys), 0);
	cr_expect(!host_keys_has(keeper.host_keys, HOST_SEED_NEXT));
	host_keys_seed_id(keeper.host_keys, HOST_SEED_CURRENT, current);
	cr_expect_arr_eq(current, next, sizeof(next), "memory follows the disk");

	cr_assert_eq(host_keys_rotate(keeper.host_keys), 0, "a file is in its place, synced or not");
	cr_expect(host_keys_has(keeper.host_keys, HOST_SEED_NEXT));
	cr_expect_eq(host_keys_abandon(keeper.host_keys), 0);
	cr_expect(!host_keys_has(keeper.host_keys, HOST_SEED_NEXT));
	close(unsynced);
}
