/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's vault: what is put, kept, shown, given and signed, and what is not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/keeper/vault.h"
#include "tests/unit/control/folder.h"

#define NOW 1800000000u
#define TARGET "SHA256:target"

static char directory_path[FOLDER_PATH_SIZE];
static int directory;
static struct keyring keyring;

static void setup(void)
{
	cr_assert(sodium_init() >= 0 && private_key_start() == 0);
	folder_make(directory_path, "vault");
	directory = open(directory_path, O_RDONLY | O_DIRECTORY);
	rpc_log_set((enum rpc_log_level)0);
	cr_assert_eq(keyring_open(&keyring, directory), 0);
}

static void teardown(void)
{
	keyring_close(&keyring);
	close(directory);
	folder_remove(directory_path);
}

TestSuite(vault, .init = setup, .fini = teardown, .timeout = 300);

static int put_text(struct vault *vault, const char *target, const char *login, const char *password)
{
	return vault_put(vault, target, login, RPC_SECRET_PASSWORD, wire_span_of(password), NOW);
}

static void expect_secret(const struct vault *vault, const char *target, const char *login, const char *text)
{
	int64_t place = vault_find(vault, target, login);
	size_t len = 0;

	cr_assert_geq(place, 0, "%s %s", target, login);
	uint8_t *secret = vault_reveal(vault, (uint32_t)place, &len);
	cr_assert(secret != NULL && len == strlen(text), "%s", text);
	cr_expect_eq(memcmp(secret, text, len), 0);
	sodium_free(secret);
}

static size_t read_vault(uint8_t *bytes, size_t size)
{
	int fd = openat(directory, "vault", O_RDONLY);
	ssize_t len = read(fd, bytes, size);

	close(fd);
	cr_assert(len > 0 && len < (ssize_t)size);
	return (size_t)len;
}

static void write_vault(const uint8_t *bytes, size_t len)
{
	int fd = openat(directory, "vault", O_WRONLY | O_TRUNC);

	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

Test(vault, what_is_put_is_there_after_a_restart_and_nowhere_in_the_clear)
{
	struct vault *vault = vault_open(&keyring);
	struct stat st;
	uint8_t bytes[65536];
	size_t len = 0;

	cr_assert(vault != NULL && vault_count(vault) == 0 && !vault_is_damaged(vault));
	cr_expect_eq(vault_remove(vault, TARGET, "admin"), -ENOENT);
	cr_expect_null(vault_reveal(vault, 0, &len));
	cr_assert_eq(put_text(vault, TARGET, "admin", "first-word"), 0);
	cr_assert_eq(put_text(vault, TARGET, "root", "second-word"), 0);
	cr_assert_eq(put_text(vault, "SHA256:other", "admin", "third-word"), 0);
	cr_assert_eq(put_text(vault, TARGET, "admin", "fourth-word"), 0);
	cr_expect_eq(vault_count(vault), 3, "the one that was put twice is there twice");
	vault_close(vault);

	vault = vault_open(&keyring);
	cr_expect_eq(vault_count(vault), 3);
	expect_secret(vault, TARGET, "admin", "fourth-word");
	expect_secret(vault, TARGET, "root", "second-word");
	expect_secret(vault, "SHA256:other", "admin", "third-word");
	cr_expect_eq(vault_find(vault, "SHA256:other", "root"), -1);
	fstatat(directory, "vault", &st, 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	len = read_vault(bytes, sizeof(bytes));
	cr_expect_null(memmem(bytes, len, "word", 4), "a password lies there in the clear");

	cr_assert_eq(vault_remove(vault, TARGET, "admin"), 0);
	cr_expect_eq(vault_find(vault, TARGET, "admin"), -1);
	expect_secret(vault, TARGET, "root", "second-word");
	expect_secret(vault, "SHA256:other", "admin", "third-word");
	cr_assert_eq(vault_remove(vault, "SHA256:other", "admin"), 0);
	cr_assert_eq(vault_remove(vault, TARGET, "root"), 0);
	cr_expect_eq(vault_count(vault), 0);
	vault_close(vault);
}

Test(vault, what_is_no_secret_is_not_put)
{
	struct vault *vault = vault_open(&keyring);
	static char long_text[VAULT_PASSWORD_MAX + 2];
	static const uint8_t nul[] = {'a', 0, 'b'};

	memset(long_text, 'x', VAULT_PASSWORD_MAX + 1);
	cr_expect_eq(put_text(vault, TARGET, "admin", ""), -EINVAL);
	cr_expect_eq(put_text(vault, TARGET, "admin", long_text), -EINVAL);
	cr_expect_eq(put_text(vault, TARGET, "", "x"), -EINVAL);
	cr_expect_eq(put_text(vault, "", "admin", "x"), -EINVAL);
	cr_expect_eq(
	    vault_put(vault, TARGET, "admin", RPC_SECRET_PASSWORD, (struct wire_span){nul, 3}, NOW), -EINVAL);
	cr_expect_eq(vault_put(vault, TARGET, "admin", RPC_SECRET_KEY, wire_span_of("no key"), NOW), -EINVAL);
	cr_expect_eq(vault_put(vault, TARGET, "admin", (enum rpc_secret)3, wire_span_of("x"), NOW), -EINVAL);
	long_text[VAULT_PASSWORD_MAX] = '\0';
	cr_expect_eq(put_text(vault, TARGET, "admin", long_text), 0);
	cr_expect_eq(vault_count(vault), 1);
	vault_close(vault);
}

Test(vault, what_cannot_be_written_has_not_happened)
{
	struct vault *vault = vault_open(&keyring);
	int kept = keyring.directory;

	cr_assert_eq(put_text(vault, TARGET, "admin", "first"), 0);
	keyring.directory = -1;
	cr_expect_eq(put_text(vault, TARGET, "admin", "second"), -EBADF);
	cr_expect_eq(put_text(vault, TARGET, "root", "third"), -EBADF);
	cr_expect_eq(vault_remove(vault, TARGET, "admin"), -EBADF);
	keyring.directory = kept;
	cr_expect_eq(vault_count(vault), 1);
	expect_secret(vault, TARGET, "admin", "first");
	vault_close(vault);
}

Test(vault, damage_closes_it_and_leaves_the_file)
{
	uint8_t bytes[4096];
	struct vault *vault = vault_open(&keyring);

	put_text(vault, TARGET, "admin", "first");
	vault_close(vault);
	size_t len = read_vault(bytes, sizeof(bytes));
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		write_vault(bytes, len);
		vault = vault_open(&keyring);
		cr_assert(vault_is_damaged(vault), "byte %zu", i);
		cr_expect_eq(vault_count(vault), 0);
		cr_expect_eq(vault_find(vault, TARGET, "admin"), -1);
		cr_expect_eq(put_text(vault, TARGET, "admin", "x"), -EBADMSG);
		cr_expect_eq(vault_remove(vault, TARGET, "admin"), -EBADMSG);
		vault_close(vault);
		bytes[i] ^= 1;
	}
	write_vault(bytes, len);
	for (size_t cut = 0; cut < len; cut++) {
		write_vault(bytes, cut);
		vault = vault_open(&keyring);
		cr_assert(vault_is_damaged(vault), "cut at %zu", cut);
		vault_close(vault);
	}
	write_vault(bytes, len);
	fchmodat(directory, "vault", 0644, 0);
	vault = vault_open(&keyring);
	cr_expect(vault_is_damaged(vault), "open to others");
	vault_close(vault);
}

/* -- requests -- */

struct fixture {
	struct keeper keeper;
	struct rpc_link control, keeper_end;
	struct rpc_message reply;
};

static uint64_t fixed_now(void)
{
	return NOW;
}

static void open_fixture(struct fixture *f)
{
	int fds[2];

	*f = (struct fixture){.keeper = {.now_s = fixed_now, .keyring = keyring}};
	f->keeper.live = live_create(16);
	f->keeper.vault = vault_open(&f->keeper.keyring);
	live_add(f->keeper.live, "s1", TARGET);
	live_add(f->keeper.live, "s2", "SHA256:other");
	live_add(f->keeper.live, "s3", "");
	cr_assert_eq(rpc_pair(fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	cr_assert_eq(rpc_link_open(&f->control, fds[0], RPC_KEEPER, 0, 1), 0);
	cr_assert_eq(rpc_link_open(&f->keeper_end, fds[1], RPC_CONTROL, 0, 1), 0);
}

static void close_fixture(struct fixture *f)
{
	vault_close(f->keeper.vault);
	live_destroy(f->keeper.live);
	rpc_link_close(&f->control);
	rpc_link_close(&f->keeper_end);
}

static int ask(struct fixture *f)
{
	struct rpc_message message;

	cr_assert_eq(rpc_receive(&f->keeper_end, &message), 1);
	int result = requests_take(&f->keeper, &f->keeper_end, &message);
	if (rpc_receive(&f->control, &f->reply) != 1)
		f->reply.type = 0;
	return result;
}
#define ASK(f, NAME, name, ...) (RPC_SEND(&(f)->control, NAME, name, 0, 7, __VA_ARGS__) != 0 ? -1000 : ask(f))

/* Seals as `reeve vault put` does, for `target`, and asks to have it put for `said`. */
static uint8_t put_sealed(struct fixture *f, const char *purpose, const char *target, const char *said,
    uint8_t kind, struct wire_span secret)
{
	uint8_t public_key[SEAL_PUBLIC_SIZE], plain[8192], sealed[8192 + crypto_box_SEALBYTES];
	struct wire_out out = wire_into(plain, sizeof(plain));
	struct rpc_key_vault_put_reply reply;

	wire_put_cstring(&out, purpose);
	wire_put_cstring(&out, target);
	wire_put_cstring(&out, "admin");
	wire_put_u8(&out, kind);
	wire_put_string(&out, secret.at, secret.len);
	wire_put_cstring(&out, "padding");
	cr_assert(seal_public(&f->keeper.keyring, public_key));
	crypto_box_seal(sealed, plain, wire_written(&out), public_key);
	cr_assert_eq(
	    ASK(f, KEY_VAULT_PUT, key_vault_put, .target = wire_span_of(said), .login = wire_span_of("admin"),
	        .sealed = {sealed, wire_written(&out) + crypto_box_SEALBYTES}),
	    0);
	cr_assert(rpc_get_key_vault_put_reply(f->reply.body, &reply));
	return reply.problem;
}

Test(vault, a_password_goes_to_the_session_that_it_is_for_and_sealed)
{
	struct fixture f;
	uint8_t public_key[32], secret_key[32], plain[2048];
	struct rpc_key_secret_reply reply;
	const struct wire_span word = wire_span_of("the password");

	open_fixture(&f);
	cr_expect_eq(put_sealed(&f, "portreeve vault 2", TARGET, TARGET, 1, word), RPC_PROBLEM_BAD_INPUT);
	cr_expect_eq(put_sealed(&f, "portreeve vault 1", TARGET, "SHA256:other", 1, word),
	    RPC_PROBLEM_BAD_INPUT, "control sent it to another target than it was sealed for");
	cr_expect_eq(vault_count(f.keeper.vault), 0);
	cr_expect_eq(put_sealed(&f, "portreeve vault 1", TARGET, TARGET, 1, word), RPC_PROBLEM_NONE);

	crypto_box_keypair(public_key, secret_key);
	static const struct {
		const char *session, *login;
		uint8_t problem;
	} cases[] = {{"s1", "admin", RPC_PROBLEM_NONE}, {"s1", "root", RPC_PROBLEM_NOT_FOUND},
	    {"s2", "admin", RPC_PROBLEM_NOT_FOUND}, {"s3", "admin", RPC_PROBLEM_BAD_INPUT},
	    {"s4", "admin", RPC_PROBLEM_BAD_INPUT}, {"", "admin", RPC_PROBLEM_BAD_INPUT}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(ASK(&f, KEY_SECRET, key_secret, .session_id = wire_span_of(cases[i].session),
		                 .login = wire_span_of(cases[i].login), .box_key = {public_key, 32}),
		    0);
		cr_assert(rpc_get_key_secret_reply(f.reply.body, &reply));
		cr_expect_eq(reply.problem, cases[i].problem, "case %zu", i);
		cr_expect_eq(reply.sealed.len > 0, i == 0, "case %zu", i);
		if (i != 0)
			continue;
		cr_expect_eq(reply.kind, RPC_SECRET_PASSWORD);
		cr_expect_eq(
		    (reply.sealed.len - crypto_box_SEALBYTES) % 256, 0, "its length tells the password's");
		cr_expect_null(memmem(f.reply.body.at, f.reply.body.len, "password", 8));
		cr_assert_eq(
		    crypto_box_seal_open(plain, reply.sealed.at, reply.sealed.len, public_key, secret_key),
		    0);
		struct wire in = wire_over(plain, reply.sealed.len - crypto_box_SEALBYTES);
		cr_expect(wire_span_is(wire_string(&in), "the password"));
		wire_string(&in);
		cr_expect(wire_done(&in));
	}
	cr_expect_eq(ASK(&f, KEY_SECRET, key_secret, .session_id = wire_span_of("s1"),
	                 .login = wire_span_of("admin"), .box_key = {public_key, 31}),
	    -EPROTO);
	/* A password signs nothing. */
	struct rpc_key_secret_sign_reply sign;
	cr_assert_eq(ASK(&f, KEY_SECRET_SIGN, key_secret_sign, .session_id = wire_span_of("s1"),
	                 .login = wire_span_of("admin"), .data = wire_span_of("x")),
	    0);
	cr_assert(rpc_get_key_secret_sign_reply(f.reply.body, &sign));
	cr_expect(sign.problem == RPC_PROBLEM_BAD_INPUT && sign.signature.len == 0);
	close_fixture(&f);
}

struct request {
	size_t identifier;
	uint8_t type;
	const char *user, *service, *method;
	uint8_t signed_flag;
	const char *algorithm;
	bool other_key;
	const char *more;
};

static size_t write_request(const struct request *r, struct wire_span blob, uint8_t *room, size_t size)
{
	static const uint8_t identifier[100] = {3};
	struct wire_out out = wire_into(room, size);

	wire_put_string(&out, identifier, r->identifier);
	wire_put_u8(&out, r->type);
	wire_put_cstring(&out, r->user);
	wire_put_cstring(&out, r->service);
	wire_put_cstring(&out, r->method);
	wire_put_u8(&out, r->signed_flag);
	wire_put_cstring(&out, r->algorithm);
	wire_put_string(&out, blob.at, blob.len - r->other_key);
	wire_put_bytes(&out, r->more, strlen(r->more));
	return wire_written(&out);
}

Test(vault, a_key_signs_logins_and_nothing_else)
{
	struct fixture f;
	struct private_key *key = private_key_generate(PRIVATE_KEY_ED25519, 0);
	struct wire_span blob = private_key_blob(key);
	struct rpc_key_secret_sign_reply reply;
	const struct request good = {
	    32, 50, "admin", "ssh-connection", "publickey", 1, "ssh-ed25519", false, ""};
	struct request cases[12];
	uint8_t room[1024];

	open_fixture(&f);
	cr_assert_eq(put_sealed(&f, "portreeve vault 1", TARGET, TARGET, 2, private_key_fields(key)),
	    RPC_PROBLEM_NONE);
	for (size_t i = 0; i < 12; i++)
		cases[i] = good;
	cases[1].identifier = 19;
	cases[2].identifier = 65;
	cases[3].type = 51;
	cases[4].user = "root";
	cases[5].service = "ssh-userauth";
	cases[6].method = "hostbased";
	cases[7].signed_flag = 0;
	cases[8].algorithm = "rsa-sha2-512";
	cases[9].other_key = true;
	cases[10].more = "x";
	cases[11].user = "";
	for (size_t i = 0; i < 12; i++) {
		size_t len = write_request(&cases[i], blob, room, sizeof(room));
		cr_assert_eq(ASK(&f, KEY_SECRET_SIGN, key_secret_sign, .session_id = wire_span_of("s1"),
		                 .login = wire_span_of("admin"), .algorithm = wire_span_of("ssh-ed25519"),
		                 .data = {room, len}),
		    0);
		cr_assert(rpc_get_key_secret_sign_reply(f.reply.body, &reply));
		cr_expect_eq(reply.problem == RPC_PROBLEM_NONE, i == 0, "case %zu", i);
		cr_expect_eq(reply.signature.len > 0, i == 0, "case %zu", i);
		if (i == 0)
			cr_expect_eq(
			    crypto_sign_verify_detached(reply.signature.at + 19, room, len, blob.at + 19), 0);
	}
	/* The same for a session at another target, or none. */
	size_t len = write_request(&good, blob, room, sizeof(room));
	static const char *const sessions[] = {"s2", "s3", "s9"};
	for (size_t i = 0; i < 3; i++) {
		ASK(&f, KEY_SECRET_SIGN, key_secret_sign, .session_id = wire_span_of(sessions[i]),
		    .login = wire_span_of("admin"), .algorithm = wire_span_of("ssh-ed25519"),
		    .data = {room, len});
		cr_assert(rpc_get_key_secret_sign_reply(f.reply.body, &reply));
		cr_expect(reply.problem != RPC_PROBLEM_NONE && reply.signature.len == 0, "%s", sessions[i]);
	}
	/* What is given of a key is its public half. */
	struct rpc_key_secret_reply secret;
	ASK(&f, KEY_SECRET, key_secret, .session_id = wire_span_of("s1"), .login = wire_span_of("admin"),
	    .box_key = {room, 32});
	cr_assert(rpc_get_key_secret_reply(f.reply.body, &secret));
	cr_expect(secret.kind == RPC_SECRET_KEY && secret.sealed.len == 0 &&
	          secret.public_key.len == blob.len && memcmp(secret.public_key.at, blob.at, blob.len) == 0);
	private_key_free(key);
	close_fixture(&f);
}

Test(vault, a_list_longer_than_a_message_comes_in_parts)
{
	struct fixture f;
	struct rpc_key_vault_list_reply reply;
	char login[16];
	uint32_t seen = 0;

	open_fixture(&f);
	/* Public keys of RSA make the rows long: 200 of 600 bytes are more than one message has. */
	struct private_key *key = private_key_generate(PRIVATE_KEY_RSA, 4096);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(login, sizeof(login), "l%u", i);
		cr_assert_eq(
		    vault_put(f.keeper.vault, TARGET, login, RPC_SECRET_KEY, private_key_fields(key), NOW),
		    0);
	}
	private_key_free(key);
	uint32_t expected = vault_count(f.keeper.vault);
	do {
		uint32_t before = seen;
		cr_assert_eq(ASK(&f, KEY_VAULT_LIST, key_vault_list, .offset = seen), 0);
		cr_assert(rpc_get_key_vault_list_reply(f.reply.body, &reply));
		struct wire in = wire_over(reply.rows.at, reply.rows.len);
		for (; wire_left(&in) > 0; seen++)
			wire_string(&in);
		cr_assert(wire_done(&in) && seen > before);
	} while (reply.more);
	cr_expect_eq(seen, expected);
	cr_assert_eq(ASK(&f, KEY_VAULT_LIST, key_vault_list, .offset = UINT32_MAX), 0);
	cr_assert(rpc_get_key_vault_list_reply(f.reply.body, &reply) && reply.rows.len == 0 && !reply.more);
	close_fixture(&f);
}
