/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's parts: key files, derived keys, certificates, live sessions, and what control may ask. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/keeper/host_keys.h"
#include "control/keeper/keeper.h"
#include "tests/unit/control/folder.h"

#define NOW 1800000000u

static char directory_path[FOLDER_PATH_SIZE];
static int directory;

static void setup(void)
{
	cr_assert(sodium_init() >= 0 && private_key_start() == 0);
	folder_make(directory_path, "keeper");
	directory = open(directory_path, O_RDONLY | O_DIRECTORY);
	rpc_log_set((enum rpc_log_level)0);
}

static void teardown(void)
{
	close(directory);
	folder_remove(directory_path);
}

TestSuite(keyfile, .init = setup, .fini = teardown);
TestSuite(keyring, .init = setup, .fini = teardown);
TestSuite(certificate, .init = setup, .fini = teardown);
TestSuite(live, .init = setup, .fini = teardown);
TestSuite(requests, .init = setup, .fini = teardown);

/* The CA's ed25519 key, raw. */
static bool ca_public(const struct keyring *keyring, enum keyring_kind kind, uint8_t public_key[32])
{
	struct wire_span blob = keyring_ca_blob(keyring, kind);

	if (blob.len != 51)
		return false;
	memcpy(public_key, blob.at + 19, 32);
	return true;
}

static const uint8_t some_seed[KEEPER_SEED_SIZE] = {1, 2, 3};

Test(keyfile, what_is_written_is_read_and_never_replaced)
{
	uint8_t seed[KEEPER_SEED_SIZE] = {0};
	struct stat st;

	cr_expect_eq(keyfile_read(directory, "k", KEYRING_EVIDENCE, seed), -ENOENT);
	cr_assert_eq(keyfile_write(directory, "k", KEYRING_EVIDENCE, some_seed), 0);
	cr_expect_eq(keyfile_read(directory, "k", KEYRING_EVIDENCE, seed), 0);
	cr_expect_arr_eq(seed, some_seed, sizeof(seed));
	fstatat(directory, "k", &st, 0);
	cr_expect_eq(st.st_mode & 07777, 0600, "expected mode 600, got %o", st.st_mode & 07777);
	seed[0] = 99;
	cr_expect_eq(keyfile_write(directory, "k", KEYRING_EVIDENCE, seed), -EEXIST);
	cr_expect_eq(keyfile_read(directory, "k", KEYRING_EVIDENCE, seed), 0);
	cr_expect_eq(seed[0], 1);
	cr_expect_eq(faccessat(directory, "k.new", F_OK, 0), -1, "a temporary file is left");
	/* Of another kind: not this key. */
	cr_expect_eq(keyfile_read(directory, "k", KEYRING_USER_CA, seed), -EBADMSG);
	/* A half-written one of a killed predecessor is in nobody's way. */
	close(openat(directory, "n.new", O_CREAT | O_WRONLY, 0600));
	cr_expect_eq(keyfile_write(directory, "n", KEYRING_USER_CA, some_seed), 0);
}

Test(keyfile, damage_at_each_byte_is_seen)
{
	uint8_t bytes[256], seed[KEEPER_SEED_SIZE];
	cr_assert_eq(keyfile_write(directory, "k", KEYRING_EVIDENCE, some_seed), 0);
	int fd = openat(directory, "k", O_RDWR);
	ssize_t len = read(fd, bytes, sizeof(bytes));
	cr_assert_gt(len, 64);
	for (ssize_t i = 0; i < len; i++) {
		uint8_t bad = bytes[i] ^ 0x40;
		cr_assert_eq(pwrite(fd, &bad, 1, i), 1);
		cr_expect_eq(keyfile_read(directory, "k", KEYRING_EVIDENCE, seed), -EBADMSG, "byte %zd", i);
		cr_assert_eq(pwrite(fd, &bytes[i], 1, i), 1);
	}
	cr_expect_eq(keyfile_read(directory, "k", KEYRING_EVIDENCE, seed), 0);
	for (ssize_t cut = 0; cut < len; cut++) {
		cr_assert_eq(ftruncate(fd, cut), 0);
		cr_expect_eq(
		    keyfile_read(directory, "k", KEYRING_EVIDENCE, seed), -EBADMSG, "cut at %zd", cut);
	}
	close(fd);
	/* Open to others, a symbolic link, a directory, a pipe. */
	cr_assert_eq(keyfile_write(directory, "o", KEYRING_EVIDENCE, some_seed), 0);
	fchmodat(directory, "o", 0640, 0);
	cr_expect_eq(keyfile_read(directory, "o", KEYRING_EVIDENCE, seed), -EPERM);
	cr_assert_eq(symlinkat("o", directory, "link"), 0);
	cr_expect_eq(keyfile_read(directory, "link", KEYRING_EVIDENCE, seed), -ELOOP);
	mkdirat(directory, "dir", 0700);
	cr_expect_eq(keyfile_read(directory, "dir", KEYRING_EVIDENCE, seed), -EBADMSG);
	mkfifoat(directory, "fifo", 0600);
	cr_expect_eq(keyfile_read(directory, "fifo", KEYRING_EVIDENCE, seed), -EBADMSG);
}

Test(keyring, keys_survive_and_differ)
{
	struct keyring first, second;
	uint8_t a[32], b[32], c[32], signature[64], room[128];
	struct wire_out out = wire_into(room, sizeof(room));
	char error[KEEPER_ERROR_MAX];

	cr_assert_eq(keyring_open(&first, directory), 0);
	cr_expect(keyring_has(&first, KEYRING_EVIDENCE));
	cr_expect_not(keyring_has(&first, KEYRING_USER_CA));
	cr_expect_not(ca_public(&first, KEYRING_USER_CA, a));
	cr_expect_not(keyring_ca_sign(&first, KEYRING_USER_CA, wire_span_of("x"), &out, error));
	cr_expect_not(keyring_sign(&first, KEYRING_HOST_SEED, "x", 1, signature), "the seed itself signed");
	cr_expect_eq(keyring_create(&first, KEYRING_USER_CA), 0);
	cr_expect_eq(keyring_create(&first, KEYRING_USER_CA), -EEXIST);
	cr_expect_eq(keyring_create(&first, KEYRING_CLIENT_CA), 0);
	cr_expect(ca_public(&first, KEYRING_USER_CA, a) && ca_public(&first, KEYRING_CLIENT_CA, b));
	cr_expect_arr_neq(a, b, 32);
	cr_expect(keyring_ca_sign(&first, KEYRING_USER_CA, wire_span_of("text"), &out, error));
	cr_expect_eq(wire_written(&out), 83);
	cr_expect_eq(crypto_sign_verify_detached(room + 19, (const uint8_t *)"text", 4, a), 0);

	cr_assert_eq(keyring_open(&second, directory), 0);
	cr_expect(ca_public(&second, KEYRING_USER_CA, c));
	cr_expect_arr_eq(a, c, 32);
	keyring_close(&first);
	keyring_close(&second);
	cr_expect_not(keyring_has(&first, KEYRING_EVIDENCE));
}

Test(keyring, a_damaged_key_stops_the_start)
{
	struct keyring keyring;
	cr_assert_eq(keyring_open(&keyring, directory), 0);
	cr_assert_eq(keyring_create(&keyring, KEYRING_USER_CA), 0);
	keyring_close(&keyring);
	cr_assert(folder_damage(directory, "ca-user.key", 30));
	cr_expect_eq(keyring_open(&keyring, directory), -EBADMSG);
	struct stat st;
	cr_expect_eq(fstatat(directory, "ca-user.key", &st, 0), 0, "the damaged file must stay");
}

/* -- certificates -- */

struct blob {
	uint8_t bytes[4096];
	size_t len;
};

static struct wire_span span(const struct blob *blob)
{
	return (struct wire_span){blob->bytes, blob->len};
}

static struct blob strings(const char *first, const char *second)
{
	struct blob blob;
	struct wire_out out = wire_into(blob.bytes, sizeof(blob.bytes));
	if (first != NULL)
		wire_put_cstring(&out, first);
	if (second != NULL)
		wire_put_cstring(&out, second);
	blob.len = wire_written(&out);
	return blob;
}

static struct blob ed25519_key(void)
{
	struct blob blob = strings("ssh-ed25519", NULL);
	struct wire_out out = wire_into(blob.bytes + blob.len, 64);
	wire_put_string(&out, (const uint8_t[32]){7}, 32);
	blob.len += wire_written(&out);
	return blob;
}

/* An "ssh-rsa" blob with a modulus of `bytes` bytes and the exponent given. */
static struct blob rsa_key(size_t bytes, uint32_t e, bool padded)
{
	struct blob blob;
	uint8_t n[2100] = {0},
	        exponent[4] = {(uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8), (uint8_t)e};
	unsigned skip = e < 0x100 ? 3 : e < 0x10000 ? 2 : e < 0x1000000 ? 1 : 0;
	struct wire_out out = wire_into(blob.bytes, sizeof(blob.bytes));

	memset(n + 1, 0xff, bytes);
	wire_put_cstring(&out, "ssh-rsa");
	wire_put_string(&out, exponent + skip, 4 - skip);
	wire_put_string(&out, padded ? n : n + 1, padded ? bytes + 1 : bytes);
	blob.len = wire_written(&out);
	return blob;
}

static struct blob ecdsa_key(const char *type, const char *curve, size_t point, uint8_t form)
{
	struct blob blob = strings(type, curve);
	uint8_t q[140] = {form};
	struct wire_out out = wire_into(blob.bytes + blob.len, 200);
	wire_put_string(&out, q, point);
	blob.len += wire_written(&out);
	return blob;
}

/* The application stands after the key (PROTOCOL.u2f). NULL: there is none. */
static struct blob security_key(struct blob blob, const char *application)
{
	struct wire_out out = wire_into(blob.bytes + blob.len, 64);

	if (application != NULL)
		wire_put_cstring(&out, application);
	blob.len += wire_written(&out);
	return blob;
}

static struct blob sk_ed25519_key(const char *application)
{
	struct blob blob = strings("sk-ssh-ed25519@openssh.com", NULL);
	struct wire_out out = wire_into(blob.bytes + blob.len, 64);
	wire_put_string(&out, (const uint8_t[32]){9}, 32);
	blob.len += wire_written(&out);
	return security_key(blob, application);
}

static struct blob sk_ecdsa_key(uint8_t form)
{
	return security_key(ecdsa_key("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", 65, form), "ssh:");
}

static struct keyring open_with_cas(void)
{
	struct keyring keyring;
	cr_assert_eq(keyring_open(&keyring, directory), 0);
	cr_assert_eq(keyring_create(&keyring, KEYRING_USER_CA), 0);
	cr_assert_eq(keyring_create(&keyring, KEYRING_CLIENT_CA), 0);
	return keyring;
}

Test(certificate, structure_as_protocol_certkeys_says)
{
	struct keyring keyring = open_with_cas();
	struct blob key = ed25519_key(), principals = strings("alice", "root");
	uint8_t room[4096], public[32];
	char error[KEEPER_ERROR_MAX] = "";
	struct wire_out out = wire_into(room, sizeof(room));
	struct certificate c = {.public_key = span(&key),
	    .serial = 42,
	    .key_id = wire_span_of("alice@session"),
	    .principals = span(&principals),
	    .valid_after = NOW - 60,
	    .valid_before = NOW + 300,
	    .force_command = wire_span_of("/bin/true"),
	    .source_address = wire_span_of("198.51.100.1/32"),
	    .permits = RPC_PERMIT_PTY | RPC_PERMIT_X11_FORWARDING | RPC_PERMIT_USER_RC | RPC_PERMIT_LOG_EXEC};

	cr_assert(certificate_make(&keyring, KEYRING_USER_CA, &c, &out, error), "%s", error);
	struct wire in = wire_over(room, wire_written(&out));
	cr_expect(wire_span_is(wire_string(&in), "ssh-ed25519-cert-v01@openssh.com"));
	cr_expect_eq(wire_string(&in).len, 32); /* nonce */
	struct wire_span pk = wire_string(&in);
	cr_expect(pk.len == 32 && pk.at[0] == 7);
	cr_expect_eq(wire_u64(&in), 42);
	cr_expect_eq(wire_u32(&in), 1);
	cr_expect(wire_span_is(wire_string(&in), "alice@session"));
	struct wire_span names = wire_string(&in);
	cr_expect(names.len == principals.len && memcmp(names.at, principals.bytes, names.len) == 0);
	cr_expect_eq(wire_u64(&in), NOW - 60);
	cr_expect_eq(wire_u64(&in), NOW + 300);
	static const char *const expected[2][4] = {{"force-command", "source-address", NULL},
	    {"permit-X11-forwarding", "permit-pty", "permit-user-rc", NULL}};
	static const char *const values[] = {"/bin/true", "198.51.100.1/32"};
	for (unsigned list = 0; list < 2; list++) {
		struct wire_span options = wire_string(&in);
		struct wire each = wire_over(options.at, options.len);
		for (unsigned i = 0; expected[list][i] != NULL; i++) {
			struct wire_span name = wire_string(&each), data = wire_string(&each);
			cr_expect(wire_span_is(name, expected[list][i]), "list %u: expected %s, got %.*s",
			    list, expected[list][i], (int)name.len, (const char *)name.at);
			if (list == 1)
				cr_expect_eq(data.len, 0);
			struct wire value = wire_over(data.at, data.len);
			if (list == 0)
				cr_expect(wire_span_is(wire_string(&value), values[i]) && wire_done(&value));
		}
		cr_expect(wire_done(&each), "list %u has more than expected", list);
	}
	cr_expect_eq(wire_string(&in).len, 0); /* reserved */
	struct wire_span ca = wire_string(&in);
	struct wire ca_in = wire_over(ca.at, ca.len);
	cr_expect(wire_span_is(wire_string(&ca_in), "ssh-ed25519"));
	cr_assert(ca_public(&keyring, KEYRING_USER_CA, public));
	cr_expect_arr_eq(wire_string(&ca_in).at, public, 32);
	size_t covered = (size_t)(in.at - room);
	struct wire_span signature = wire_string(&in);
	cr_expect(wire_done(&in));
	struct wire sig_in = wire_over(signature.at, signature.len);
	cr_expect(wire_span_is(wire_string(&sig_in), "ssh-ed25519"));
	struct wire_span sig = wire_string(&sig_in);
	cr_assert(wire_done(&sig_in) && sig.len == 64);
	cr_expect_eq(crypto_sign_verify_detached(sig.at, room, covered, public), 0);
	keyring_close(&keyring);
}

Test(certificate, keys_that_are_certified_or_not)
{
	struct keyring keyring = open_with_cas();
	struct blob principals = strings("root", NULL);
	struct blob cut = ed25519_key(), more = ed25519_key(),
	            certificate = strings("ssh-ed25519-cert-v01@openssh.com", "x");
	cut.len--;
	more.bytes[more.len++] = 0;
	const struct {
		const char *name;
		struct blob key;
		bool good;
	} cases[] = {
	    {"ed25519", ed25519_key(), true},
	    {"ed25519, a byte short", cut, false},
	    {"ed25519, a byte more", more, false},
	    {"rsa 2048", rsa_key(256, 65537, true), true},
	    {"rsa 4096", rsa_key(512, 3, true), true},
	    {"rsa 1024", rsa_key(128, 65537, true), false},
	    {"rsa 16392", rsa_key(2049, 65537, true), false},
	    {"rsa, negative modulus", rsa_key(256, 65537, false), false},
	    {"rsa, exponent 1", rsa_key(256, 1, true), false},
	    {"rsa, exponent even", rsa_key(256, 4, true), false},
	    {"p256", ecdsa_key("ecdsa-sha2-nistp256", "nistp256", 65, 4), true},
	    {"p384", ecdsa_key("ecdsa-sha2-nistp384", "nistp384", 97, 4), true},
	    {"p521", ecdsa_key("ecdsa-sha2-nistp521", "nistp521", 133, 4), true},
	    {"p256, compressed", ecdsa_key("ecdsa-sha2-nistp256", "nistp256", 33, 2), false},
	    {"p256, other curve", ecdsa_key("ecdsa-sha2-nistp256", "nistp384", 65, 4), false},
	    {"ed25519-sk", sk_ed25519_key("ssh:"), true},
	    {"ed25519-sk without an application", sk_ed25519_key(NULL), false},
	    {"ecdsa-sk", sk_ecdsa_key(4), true},
	    {"ecdsa-sk, compressed", sk_ecdsa_key(2), false},
	    {"a certificate", certificate, false},
	    {"dss", strings("ssh-dss", "x"), false},
	    {"nothing", strings(NULL, NULL), false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t room[8192];
		char error[KEEPER_ERROR_MAX] = "";
		struct wire_out out = wire_into(room, sizeof(room));
		struct certificate c = {.public_key = span(&cases[i].key),
		    .key_id = wire_span_of("k"),
		    .principals = span(&principals),
		    .valid_after = NOW,
		    .valid_before = NOW + 1};
		cr_expect_eq(certificate_make(&keyring, KEYRING_CLIENT_CA, &c, &out, error), cases[i].good,
		    "%s: %s", cases[i].name, error);
	}
	keyring_close(&keyring);
}

/* Critical options and extensions: in order, flags without data. `parts`: of the key. */
static void lists_are(const uint8_t *room, size_t len, unsigned parts)
{
	static const char *const expected[2][3] = {
	    {"force-command", "verify-required", NULL}, {"no-touch-required", "permit-X11-forwarding", NULL}};
	struct wire in = wire_over(room, len);

	for (unsigned i = 0; i < 2 + parts; i++)
		wire_string(&in);
	(void)wire_u64(&in);
	(void)wire_u32(&in);
	wire_string(&in);
	wire_string(&in);
	(void)wire_u64(&in);
	(void)wire_u64(&in);
	for (unsigned list = 0; list < 2; list++) {
		struct wire_span options = wire_string(&in);
		struct wire each = wire_over(options.at, options.len);
		for (unsigned i = 0; expected[list][i] != NULL; i++) {
			cr_expect(
			    wire_span_is(wire_string(&each), expected[list][i]), "%s", expected[list][i]);
			size_t data = wire_string(&each).len;
			cr_expect_eq(data, list == 0 && i == 0 ? 8 : 0, "%s: %zu", expected[list][i], data);
		}
		cr_expect(wire_done(&each));
	}
}

/* What a certificate has between nonce and serial is what the key has behind its type. */
Test(certificate, of_a_security_key)
{
	struct keyring keyring = open_with_cas();
	struct blob principals = strings("root", NULL), keys[] = {sk_ed25519_key("ssh:me"), sk_ecdsa_key(4)};
	static const char *const types[] = {
	    "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"};

	cr_assert_eq(keyring_create(&keyring, KEYRING_HOST_CA), 0);
	for (size_t i = 0; i < 2; i++) {
		uint8_t room[4096];
		char error[KEEPER_ERROR_MAX] = "";
		struct wire_out out = wire_into(room, sizeof(room));
		struct certificate c = {.public_key = span(&keys[i]),
		    .serial = 44,
		    .key_id = wire_span_of("k"),
		    .principals = span(&principals),
		    .valid_after = NOW,
		    .valid_before = NOW + 1};
		cr_assert(certificate_make(&keyring, KEYRING_CLIENT_CA, &c, &out, error), "%s", error);
		struct wire in = wire_over(room, wire_written(&out)),
		            key = wire_over(keys[i].bytes, keys[i].len);
		cr_expect(wire_span_is(wire_string(&in), types[i]), "%s", types[i]);
		wire_string(&in); /* nonce */
		wire_string(&key);
		while (wire_left(&key) > 0)
			cr_expect(wire_span_same(wire_string(&in), wire_string(&key)), "%s", types[i]);
		cr_expect_eq(wire_u64(&in), 44);
		out = wire_into(room, sizeof(room));
		cr_expect_not(certificate_make_host(&keyring, &c, &out, error), "hosts have no such keys");
		c.force_command = wire_span_of("true");
		c.permits = RPC_CERTIFY_NO_TOUCH | RPC_CERTIFY_VERIFY_REQUIRED | RPC_PERMIT_X11_FORWARDING;
		out = wire_into(room, sizeof(room));
		cr_assert(certificate_make(&keyring, KEYRING_CLIENT_CA, &c, &out, error), "%s", error);
		lists_are(room, wire_written(&out), i == 0 ? 2 : 3);
		struct blob plain = ed25519_key();
		c.public_key = span(&plain);
		out = wire_into(room, sizeof(room));
		cr_expect_not(certificate_make(&keyring, KEYRING_CLIENT_CA, &c, &out, error));
	}
	keyring_close(&keyring);
}

Test(certificate, fields_that_are_refused)
{
	struct keyring keyring = open_with_cas();
	static char long_text[9000];
	memset(long_text, 'a', sizeof(long_text) - 1);
	struct blob key = ed25519_key(), one = strings("root", NULL), none = strings(NULL, NULL),
	            empty = strings("", NULL), second_empty = strings("root", ""),
	            comma = strings("root,alice", NULL), torn = strings("root", NULL);
	torn.len--;
	struct blob control = strings("ro\not", NULL);
	struct certificate good = {.public_key = span(&key),
	    .key_id = wire_span_of("k"),
	    .principals = span(&one),
	    .valid_after = NOW,
	    .valid_before = NOW + 1};
	struct certificate cases[12];
	size_t n = 0;
	for (size_t i = 0; i < 12; i++)
		cases[i] = good;
	cases[n++].key_id = wire_span_of("");
	cases[n++].key_id = (struct wire_span){(const uint8_t *)"a\0b", 3};
	cases[n++].principals = span(&none);
	cases[n++].principals = span(&empty);
	cases[n++].principals = span(&second_empty);
	cases[n++].principals = span(&comma);
	cases[n++].principals = span(&torn);
	cases[n++].principals = span(&control);
	cases[n++].valid_before = NOW;
	cases[n++].source_address = wire_span_of("1.2.3.4 ,evil");
	cases[n++].force_command = wire_span_of(long_text);
	cases[n++].force_command = (struct wire_span){(const uint8_t *)"a\0b", 3};
	for (size_t i = 0; i < n; i++) {
		uint8_t room[16384];
		char error[KEEPER_ERROR_MAX] = "";
		struct wire_out out = wire_into(room, sizeof(room));
		cr_expect_not(certificate_make(&keyring, KEYRING_USER_CA, &cases[i], &out, error),
		    "case %zu was signed", i);
		cr_expect_neq(error[0], '\0', "case %zu has no reason", i);
	}
	/* No room, no CA. */
	uint8_t small[100];
	char error[KEEPER_ERROR_MAX] = "";
	struct wire_out out = wire_into(small, sizeof(small));
	cr_expect_not(certificate_make(&keyring, KEYRING_USER_CA, &good, &out, error));
	uint8_t room[4096];
	out = wire_into(room, sizeof(room));
	cr_expect_not(certificate_make(&keyring, KEYRING_HOST_CA, &good, &out, error));
	cr_expect_not_null(
	    strstr(error, "there is no host CA yet (reeve ca create --type host)"), "%s", error);
	keyring_close(&keyring);
}

Test(certificate, of_a_host_has_no_options)
{
	struct keyring keyring = open_with_cas();
	struct blob key = ed25519_key(), names = strings("web1.example.com", "198.51.100.7");
	uint8_t room[4096], public[32];
	char error[KEEPER_ERROR_MAX] = "";
	struct wire_out out = wire_into(room, sizeof(room));
	struct certificate c = {.public_key = span(&key),
	    .serial = 43,
	    .key_id = wire_span_of("web1"),
	    .principals = span(&names),
	    .valid_after = NOW - 60,
	    .valid_before = NOW + 300,
	    .force_command = wire_span_of("/bin/true"),
	    .source_address = wire_span_of("198.51.100.1/32"),
	    .permits = RPC_PERMIT_PTY};

	cr_expect_not(certificate_make_host(&keyring, &c, &out, error), "without a host CA");
	cr_assert_eq(keyring_create(&keyring, KEYRING_HOST_CA), 0);
	out = wire_into(room, sizeof(room));
	cr_assert(certificate_make_host(&keyring, &c, &out, error), "%s", error);
	struct wire in = wire_over(room, wire_written(&out));
	cr_expect(wire_span_is(wire_string(&in), "ssh-ed25519-cert-v01@openssh.com"));
	wire_string(&in); /* nonce */
	wire_string(&in); /* key */
	cr_expect_eq(wire_u64(&in), 43);
	cr_expect_eq(wire_u32(&in), 2, "not a host certificate");
	cr_expect(wire_span_is(wire_string(&in), "web1"));
	struct wire_span principals = wire_string(&in);
	cr_expect(principals.len == names.len && memcmp(principals.at, names.bytes, names.len) == 0);
	cr_expect(wire_u64(&in) == NOW - 60 && wire_u64(&in) == NOW + 300);
	cr_expect_eq(wire_string(&in).len, 0, "a host certificate has options");
	cr_expect_eq(wire_string(&in).len, 0, "a host certificate has extensions");
	cr_expect_eq(wire_string(&in).len, 0); /* reserved */
	struct wire_span ca = wire_string(&in);
	size_t covered = (size_t)(in.at - room);
	struct wire_span signature = wire_string(&in);
	cr_assert(ca_public(&keyring, KEYRING_HOST_CA, public));
	cr_assert(wire_done(&in) && ca.len == 51 && signature.len == 83);
	cr_expect_arr_eq(ca.at + 19, public, 32);
	cr_expect_eq(crypto_sign_verify_detached(signature.at + 19, room, covered, public), 0);
	keyring_close(&keyring);
}

/* -- live sessions -- */

Test(live, against_a_plain_model)
{
	struct live *live = live_create(64);
	bool model[128] = {false};
	unsigned count = 0, state = 12345;
	char id[16], target[16];

	for (unsigned step = 0; step < 20000; step++) {
		state = state * 1103515245u + 12345u;
		unsigned n = (state >> 16) % 128;
		snprintf(id, sizeof(id), "s%u", n);
		snprintf(target, sizeof(target), "t%u", n);
		if ((state >> 8) % 2 == 0) {
			bool fits = model[n] || count < 64;
			cr_assert_eq(live_add(live, id, target), fits, "step %u", step);
			count += fits && !model[n];
			model[n] = model[n] || fits;
		} else {
			live_remove(live, id);
			count -= model[n];
			model[n] = false;
		}
		cr_assert_eq(live_count(live), count);
		if (step % 50 != 0)
			continue;
		for (unsigned i = 0; i < 128; i++) {
			snprintf(id, sizeof(id), "s%u", i);
			snprintf(target, sizeof(target), "t%u", i);
			const char *got = live_target(live, id);
			cr_assert_eq(got != NULL, model[i], "step %u, session %u", step, i);
			cr_assert(got == NULL || strcmp(got, target) == 0);
		}
	}
	live_clear(live);
	cr_expect_eq(live_count(live), 0);
	cr_expect_null(live_target(live, "s1"));
	cr_expect_null(live_target(live, ""));
	cr_expect_not(live_add(live, "", "t"));
	cr_expect_not(live_add(live, "0123456789012345678901234567890123456789", "t"), "an id too long");
	cr_expect(live_add(live, "s", ""));
	cr_expect(live_add(live, "s", "later"));
	cr_expect_str_eq(live_target(live, "s"), "later");
	live_destroy(live);
}

/* -- requests -- */

static uint64_t fixed_now(void)
{
	return NOW;
}

struct fixture {
	struct keeper keeper;
	struct rpc_link control, keeper_end; /* control's end and the keeper's */
	struct rpc_message reply;
	uint32_t id;
};

static void open_fixture(struct fixture *f)
{
	int fds[2];
	*f = (struct fixture){.keeper = {.now_s = fixed_now}, .id = 100};
	cr_assert_eq(keyring_open(&f->keeper.keyring, directory), 0);
	f->keeper.live = live_create(16);
	f->keeper.host_keys = host_keys_open(&f->keeper.keyring);
	cr_assert_not_null(f->keeper.host_keys);
	cr_assert_eq(rpc_pair(fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	cr_assert_eq(rpc_link_open(&f->control, fds[0], RPC_KEEPER, 0, 1), 0);
	cr_assert_eq(rpc_link_open(&f->keeper_end, fds[1], RPC_CONTROL, 0, 1), 0);
}

static void close_fixture(struct fixture *f)
{
	host_keys_close(f->keeper.host_keys);
	keyring_close(&f->keeper.keyring);
	live_destroy(f->keeper.live);
	rpc_link_close(&f->control);
	rpc_link_close(&f->keeper_end);
}

/* What control sent is taken; the reply, if there is one, is in f->reply. */
static int ask(struct fixture *f)
{
	struct rpc_message message;
	cr_assert_eq(rpc_receive(&f->keeper_end, &message), 1);
	int result = requests_take(&f->keeper, &f->keeper_end, &message);
	if (rpc_receive(&f->control, &f->reply) == 1) {
		cr_expect_eq(f->reply.id, f->id);
		cr_expect_eq(f->reply.flags, RPC_FLAG_REPLY);
	} else {
		f->reply.type = 0;
	}
	return result;
}

/* The send's result must be 0; the keeper's verdict over the message is the value. */
#define ASK(f, NAME, name, ...)                                                                              \
	((f)->id++, RPC_SEND(&(f)->control, NAME, name, 0, (f)->id, __VA_ARGS__) != 0 ? -1000 : ask(f))

static struct rpc_key_ca_reply ask_ca(struct fixture *f, uint8_t ca, uint8_t action)
{
	struct rpc_key_ca_reply reply = {0};
	cr_expect_eq(ASK(f, KEY_CA, key_ca, .ca = ca, .action = action), 0);
	cr_assert_eq(f->reply.type, RPC_KEY_CA_REPLY);
	cr_assert(rpc_get_key_ca_reply(f->reply.body, &reply));
	return reply;
}

static bool certify(struct fixture *f, uint8_t ca, const char *session, uint64_t after, uint64_t before)
{
	struct blob key = ed25519_key(), principals = strings("root", NULL);
	struct rpc_key_certify_reply reply;
	cr_expect_eq(ASK(f, KEY_CERTIFY, key_certify, .ca = ca, .session_id = wire_span_of(session),
	                 .public_key = span(&key), .key_id = wire_span_of("k"),
	                 .principals = span(&principals), .valid_after = after, .valid_before = before),
	    0);
	cr_assert(f->reply.type == RPC_KEY_CERTIFY_REPLY && rpc_get_key_certify_reply(f->reply.body, &reply));
	cr_expect_eq(reply.error.len == 0, reply.certificate.len > 0, "either an error or a certificate");
	return reply.error.len == 0;
}

Test(requests, certificates_within_their_bounds)
{
	struct fixture f;
	open_fixture(&f);
	cr_expect_not(certify(&f, RPC_CA_CLIENT, "", NOW, NOW + 60), "without a CA");
	ask_ca(&f, RPC_CA_USER, RPC_CA_CREATE);
	ask_ca(&f, RPC_CA_CLIENT, RPC_CA_CREATE);
	ask_ca(&f, RPC_CA_HOST, RPC_CA_CREATE);
	cr_expect_not(certify(&f, RPC_CA_USER, "s1", NOW - 60, NOW + 60), "without a live session");
	cr_expect_eq(ASK(&f, KEY_SESSION, key_session, .session_id = wire_span_of("s1"),
	                 .target_id = wire_span_of("t"), .live = 1),
	    0);
	const struct {
		uint8_t ca;
		const char *session;
		int64_t after, before;
		bool good;
	} cases[] = {
	    {RPC_CA_USER, "s1", -60, 60, true},
	    {RPC_CA_USER, "s1", 0, 600, true},
	    {RPC_CA_USER, "s1", 0, 601, false},
	    {RPC_CA_USER, "s1", -301, 60, false},
	    {RPC_CA_USER, "s1", 10, 60, false},
	    {RPC_CA_USER, "s1", -60, 0, false},
	    {RPC_CA_USER, "s1", -60, -30, false},
	    {RPC_CA_USER, "s2", -60, 60, false},
	    {RPC_CA_USER, "", -60, 60, false},
	    {RPC_CA_CLIENT, "", -60, 28800, true},
	    {RPC_CA_CLIENT, "", 0, 30 * 86400, true},
	    {RPC_CA_CLIENT, "", 0, 30 * 86400 + 1, false},
	    {RPC_CA_CLIENT, "s1", 0, 60, false},
	    {RPC_CA_HOST, "", 0, 60, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(certify(&f, cases[i].ca, cases[i].session, NOW + (uint64_t)cases[i].after,
		                 NOW + (uint64_t)cases[i].before),
		    cases[i].good, "case %zu", i);
	cr_expect_not(certify(&f, RPC_CA_CLIENT, "", 0, UINT64_MAX), "for ever");
	cr_expect_eq(ASK(&f, KEY_SESSION, key_session, .session_id = wire_span_of("s1"), .live = 0), 0);
	cr_expect_not(certify(&f, RPC_CA_USER, "s1", NOW - 60, NOW + 60), "after the session's end");
	close_fixture(&f);
}

static const char *certify_host(
    struct fixture *f, const char *first, const char *second, uint64_t after, uint64_t before)
{
	static char error[KEEPER_ERROR_MAX];
	struct blob key = ed25519_key(), principals = strings(first, second);
	struct rpc_key_certify_host_reply reply;

	cr_expect_eq(
	    ASK(f, KEY_CERTIFY_HOST, key_certify_host, .public_key = span(&key), .key_id = wire_span_of("k"),
	        .principals = span(&principals), .valid_after = after, .valid_before = before),
	    0);
	cr_assert(f->reply.type == RPC_KEY_CERTIFY_HOST_REPLY &&
	          rpc_get_key_certify_host_reply(f->reply.body, &reply));
	cr_expect_eq(reply.error.len == 0, reply.certificate.len > 0, "either an error or a certificate");
	wire_span_copy(reply.error, error, sizeof(error));
	return error;
}

Test(requests, host_certificates_within_their_bounds)
{
	struct fixture f;
	const uint64_t longest = 2u * 366u * 86400u;
	open_fixture(&f);
	cr_expect_str_eq(certify_host(&f, "web1", NULL, NOW, NOW + 60),
	    "there is no host CA yet (reeve ca create --type host)");
	ask_ca(&f, RPC_CA_HOST, RPC_CA_CREATE);
	cr_expect_str_eq(certify_host(&f, "web1", "*.example.com", NOW - 60, NOW + longest), "");
	cr_expect_neq(certify_host(&f, "web1", NULL, NOW, NOW + longest + 1)[0], '\0', "too long");
	cr_expect_neq(certify_host(&f, "web1", NULL, NOW - 301, NOW + 60)[0], '\0', "too early");
	cr_expect_neq(certify_host(&f, "web1", NULL, NOW + 1, NOW + 60)[0], '\0', "later");
	cr_expect_neq(certify_host(&f, "web1", NULL, NOW - 60, NOW)[0], '\0', "over");
	cr_expect_neq(certify_host(&f, "web1", NULL, 0, UINT64_MAX)[0], '\0', "for ever");
	cr_expect_neq(certify_host(&f, NULL, NULL, NOW, NOW + 60)[0], '\0', "for nobody");
	static const char *const all[] = {"*", "*.*", "?*", "", "**"};
	for (size_t i = 0; i < 5; i++)
		cr_expect_neq(certify_host(&f, "web1", all[i], NOW, NOW + 60)[0], '\0', "for '%s'", all[i]);
	close_fixture(&f);
}

static bool host_sign(struct fixture *f, const char *session, size_t hash_len, uint8_t signature[64])
{
	static const uint8_t hash[100] = {5};
	struct rpc_key_host_sign_reply reply;
	cr_expect_eq(ASK(f, KEY_HOST_SIGN, key_host_sign, .session_id = wire_span_of(session),
	                 .hash = {hash, hash_len}),
	    0);
	cr_assert(
	    f->reply.type == RPC_KEY_HOST_SIGN_REPLY && rpc_get_key_host_sign_reply(f->reply.body, &reply));
	if (reply.error.len > 0)
		return false;
	struct wire in = wire_over(reply.signature.at, reply.signature.len);
	cr_expect(wire_span_is(wire_string(&in), "ssh-ed25519"));
	struct wire_span sig = wire_string(&in);
	cr_assert(wire_done(&in) && sig.len == 64);
	memcpy(signature, sig.at, 64);
	return true;
}

Test(requests, evidence)
{
	struct fixture f;
	struct rpc_key_evidence_reply reply;
	static char big[70000];
	open_fixture(&f);
	memset(big, 'x', sizeof(big) - 1);
	cr_expect_eq(ASK(&f, KEY_EVIDENCE, key_evidence, .text = wire_span_of("what happened")), 0);
	cr_assert(rpc_get_key_evidence_reply(f.reply.body, &reply) && reply.error.len == 0);
	cr_assert(reply.signature.len == 64 && reply.public_key.len == 32);
	static const char covered[] = "portreeve evidence 1\0what happened";
	cr_expect_eq(crypto_sign_verify_detached(reply.signature.at, (const uint8_t *)covered,
	                 sizeof(covered) - 1, reply.public_key.at),
	    0);
	cr_expect_eq(ASK(&f, KEY_EVIDENCE, key_evidence, .text = wire_span_of(big)), 0);
	cr_assert(rpc_get_key_evidence_reply(f.reply.body, &reply));
	cr_expect(wire_span_is(reply.error, "the text is too long to be signed"));
	close_fixture(&f);
}

Test(requests, what_breaks_the_protocol)
{
	struct fixture f;
	open_fixture(&f);
	/* What is not in the table, a torn body, fields that cannot be. */
	cr_expect_eq(ASK(&f, SES_KILL, ses_kill, .flow = 1), -EPROTO);
	uint8_t bytes[3] = {0, 0, 0};
	struct wire_out out = wire_into(bytes, sizeof(bytes));
	wire_put_bytes(&out, bytes, 3);
	f.id++;
	cr_assert_eq(rpc_send(&f.control, RPC_KEY_CERTIFY, 0, f.id, &out, NULL, 0), 0);
	cr_expect_eq(ask(&f), -EPROTO);
	cr_expect_eq(ASK(&f, KEY_SESSION, key_session, .session_id = wire_span_of(""), .live = 1), -EPROTO);
	cr_expect_eq(ASK(&f, KEY_SESSION, key_session, .session_id = {(const uint8_t *)"a\0b", 3}, .live = 1),
	    -EPROTO);
	cr_expect_eq(ASK(&f, KEY_SESSION, key_session, .session_id = wire_span_of("s"), .live = 2), -EPROTO);
	/* Somebody else than control. */
	f.keeper_end.peer = RPC_SSHTERM;
	cr_expect_eq(ASK(&f, KEY_HOST, key_host, .target_id = wire_span_of("t")), -EPROTO);
	close_fixture(&f);
}

Test(requests, a_full_table_refuses_and_serves_on)
{
	struct fixture f;
	char id[16];
	uint8_t signature[64];
	open_fixture(&f);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "s%u", i);
		cr_expect_eq(ASK(&f, KEY_SESSION, key_session, .session_id = wire_span_of(id),
		                 .target_id = wire_span_of("t"), .live = 1),
		    0);
	}
	cr_expect_eq(live_count(f.keeper.live), 16);
	cr_expect(host_sign(&f, "s3", 32, signature));
	cr_expect_not(host_sign(&f, "s17", 32, signature));
	close_fixture(&f);
}
