/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/agent_keys.h"
#include "sshterm/agent_protocol.h"

#define NOW 1000000u

/* -- blobs -- */

struct blob {
	uint8_t bytes[2048];
	size_t len;
};

static struct wire_span span(const struct blob *blob)
{
	return (struct wire_span){blob->bytes, blob->len};
}

/* A key of this type whose strings are all `seed`. */
static struct blob key(const char *type, unsigned fields, const char *seed)
{
	struct blob blob;
	struct wire_out out = wire_into(blob.bytes, sizeof(blob.bytes));

	wire_put_cstring(&out, type);
	for (unsigned i = 0; i < fields; i++)
		wire_put_cstring(&out, seed);
	blob.len = wire_written(&out);
	return blob;
}

struct certificate {
	const char *type, *seed, *principal;
	unsigned fields;
	uint32_t kind;
	uint64_t after, before;
};

static struct blob certificate(struct certificate c)
{
	struct blob blob;
	struct wire_out out = wire_into(blob.bytes, sizeof(blob.bytes));
	uint8_t principals[64];
	struct wire_out names = wire_into(principals, sizeof(principals));

	if (c.principal != NULL)
		wire_put_cstring(&names, c.principal);
	wire_put_cstring(&out, c.type);
	wire_put_cstring(&out, "nonce");
	for (unsigned i = 0; i < c.fields; i++)
		wire_put_cstring(&out, c.seed);
	wire_put_u64(&out, 7);
	wire_put_u32(&out, c.kind);
	wire_put_cstring(&out, "key id");
	wire_put_string(&out, principals, wire_written(&names));
	wire_put_u64(&out, c.after);
	wire_put_u64(&out, c.before);
	wire_put_cstring(&out, ""); /* critical options, and what else there is, is nobody's business here */
	blob.len = wire_written(&out);
	return blob;
}

/* ssh-ed25519's; `principal` NULL: for anyone. */
static struct blob user_certificate(const char *seed, const char *principal, uint64_t after, uint64_t before)
{
	return certificate((struct certificate){.type = "ssh-ed25519-cert-v01@openssh.com",
	    .seed = seed,
	    .fields = 1,
	    .kind = 1,
	    .principal = principal,
	    .after = after,
	    .before = before});
}

/* -- answers -- */

static uint8_t answer_bytes[65536];

static struct wire_span list_of(const struct blob *const *blobs, uint32_t claimed)
{
	struct wire_out out = wire_into(answer_bytes, sizeof(answer_bytes));

	wire_put_u8(&out, AGENT_IDENTITIES_ANSWER);
	wire_put_u32(&out, claimed);
	for (; *blobs != NULL; blobs++) {
		wire_put_string(&out, (*blobs)->bytes, (*blobs)->len);
		wire_put_cstring(&out, "comment");
	}
	return (struct wire_span){answer_bytes, wire_written(&out)};
}

#define LIST(count, ...) list_of((const struct blob *const[]){__VA_ARGS__, NULL}, (count))

static const struct agent_wish anything = {.login = "alice", .now_s = NOW};

static bool is(const struct agent_key *chosen, const struct blob *blob)
{
	return chosen->blob.len == blob->len && memcmp(chosen->blob.at, blob->bytes, blob->len) == 0;
}

/* -- the order -- */

Test(agent_keys, what_was_proven_comes_first_then_its_other_form_then_certificates)
{
	struct blob plain = key("ssh-ed25519", 1, "plain"), mine = key("ssh-ed25519", 1, "mine");
	struct blob other = user_certificate("other", "root", 0, UINT64_MAX);
	struct blob named = user_certificate("named", "alice", 0, UINT64_MAX),
	            my_cert = user_certificate("mine", NULL, 0, UINT64_MAX);
	struct agent_wish wish = anything;
	struct agent_keys keys;

	wish.proven = span(&my_cert);
	cr_assert(agent_keys_choose(&keys, LIST(5, &plain, &other, &named, &mine, &my_cert), &wish));
	cr_assert_eq(keys.count, 5);
	cr_expect(is(&keys.keys[0], &my_cert));
	cr_expect(is(&keys.keys[1], &mine));
	cr_expect(is(&keys.keys[2], &named));
	cr_expect(is(&keys.keys[3], &other));
	cr_expect(is(&keys.keys[4], &plain));
	wish.proven = span(&mine);
	cr_assert(agent_keys_choose(&keys, LIST(3, &named, &my_cert, &mine), &wish));
	cr_expect(is(&keys.keys[0], &mine));
	cr_expect(is(&keys.keys[1], &my_cert));
}

Test(agent_keys, equals_stay_as_the_agent_lists_them)
{
	struct blob a = key("ssh-ed25519", 1, "a"), b = key("ecdsa-sha2-nistp256", 2, "b");
	struct agent_keys keys;

	cr_assert(agent_keys_choose(&keys, LIST(2, &b, &a), &anything));
	cr_expect(is(&keys.keys[0], &b));
	cr_expect(is(&keys.keys[1], &a));
	cr_expect_str_eq(keys.keys[0].algorithm, "ecdsa-sha2-nistp256");
	cr_expect_str_eq(keys.keys[1].algorithm, "ssh-ed25519");
}

Test(agent_keys, a_long_list_keeps_the_likeliest)
{
	struct blob plain[20], named = user_certificate("named", "alice", 0, UINT64_MAX);
	const struct blob *all[22] = {NULL};
	struct agent_keys keys;

	for (unsigned i = 0; i < 20; i++) {
		char seed[8] = {(char)('a' + i)};
		plain[i] = key("ssh-ed25519", 1, seed);
		all[i] = &plain[i];
	}
	all[20] = &named;
	cr_assert(agent_keys_choose(&keys, list_of(all, 21), &anything));
	cr_expect_eq(keys.count, AGENT_KEYS_MAX);
	cr_expect_eq(keys.listed, 21);
	cr_expect_eq(keys.skipped, 21 - AGENT_KEYS_MAX);
	cr_expect(is(&keys.keys[0], &named));
	cr_expect(is(&keys.keys[AGENT_KEYS_MAX - 1], &plain[AGENT_KEYS_MAX - 2]));
}

/* -- what is left out -- */

Test(agent_keys, certificates_that_cannot_be_a_login_are_left_out)
{
	struct blob host = certificate((struct certificate){.type = "ssh-ed25519-cert-v01@openssh.com",
	    .seed = "h",
	    .fields = 1,
	    .kind = 2,
	    .before = UINT64_MAX});
	struct blob expired = user_certificate("e", NULL, 0, NOW);
	struct blob early = user_certificate("f", NULL, NOW + 1, UINT64_MAX),
	            cut = user_certificate("c", NULL, 0, UINT64_MAX);
	struct blob good = user_certificate("g", NULL, NOW, NOW + 1);
	struct agent_keys keys;

	cut.len -= 12; /* in the middle of valid_before */
	cr_assert(agent_keys_choose(&keys, LIST(5, &host, &expired, &early, &cut, &good), &anything));
	cr_assert_eq(keys.count, 1);
	cr_expect_eq(keys.unfit, 4);
	cr_expect(is(&keys.keys[0], &good));
	cr_expect_str_eq(keys.keys[0].algorithm, "ssh-ed25519-cert-v01@openssh.com");
	cr_expect_str_eq(keys.keys[0].signature, "ssh-ed25519");
}

Test(agent_keys, types_that_nobody_here_knows_are_left_out)
{
	struct blob dsa = key("ssh-dss", 4, "d"), long_key = key("ssh-ed25519", 2, "x"),
	            junk = {{1, 2, 3}, 3};
	struct blob empty = {.len = 0};
	struct agent_keys keys;

	cr_assert(agent_keys_choose(&keys, LIST(4, &dsa, &long_key, &junk, &empty), &anything));
	cr_expect_eq(keys.count, 0);
	cr_expect_eq(keys.listed, 4);
}

static unsigned chosen_for(const char *algorithms, const struct blob *blob, struct agent_keys *keys)
{
	struct agent_wish wish = anything;

	wish.signature_algs = algorithms;
	cr_assert(agent_keys_choose(keys, LIST(1, blob), &wish));
	return keys->count;
}

Test(agent_keys, rsa_signs_as_the_origin_verifies)
{
	struct blob rsa = key("ssh-rsa", 2, "r");
	struct agent_keys keys;
	struct agent_wish old = anything;

	cr_assert_eq(chosen_for("rsa-sha2-256,rsa-sha2-512", &rsa, &keys), 1);
	cr_expect_str_eq(keys.keys[0].algorithm, "rsa-sha2-512");
	cr_expect_eq(keys.keys[0].flags, AGENT_RSA_SHA2_512);
	cr_assert_eq(chosen_for("ssh-ed25519,rsa-sha2-256", &rsa, &keys), 1);
	cr_expect_str_eq(keys.keys[0].algorithm, "rsa-sha2-256");
	cr_expect_eq(keys.keys[0].flags, AGENT_RSA_SHA2_256);
	cr_expect_eq(chosen_for("ssh-ed25519,xrsa-sha2-512,rsa-sha2-512-x,rsa-sha2-256x", &rsa, &keys), 0);
	cr_assert_eq(chosen_for(NULL, &rsa, &keys), 1);
	cr_expect_str_eq(keys.keys[0].algorithm, "rsa-sha2-512");
	old.sha1 = true;
	cr_assert(agent_keys_choose(&keys, LIST(1, &rsa), &old));
	cr_expect_str_eq(keys.keys[0].signature, "ssh-rsa");
	cr_expect_eq(keys.keys[0].flags, 0);
}

Test(agent_keys, an_rsa_certificate_names_its_algorithm)
{
	struct blob rsa = certificate((struct certificate){.type = "ssh-rsa-cert-v01@openssh.com",
	    .seed = "r",
	    .fields = 2,
	    .kind = 1,
	    .before = UINT64_MAX});
	struct agent_keys keys;

	cr_assert_eq(chosen_for("rsa-sha2-512", &rsa, &keys), 1);
	cr_expect_str_eq(keys.keys[0].algorithm, "rsa-sha2-512-cert-v01@openssh.com");
	cr_expect_str_eq(keys.keys[0].signature, "rsa-sha2-512");
}

Test(agent_keys, what_the_origin_does_not_verify_is_not_offered)
{
	struct blob sk = key("sk-ssh-ed25519@openssh.com", 2, "s"), ed = key("ssh-ed25519", 1, "e");
	struct agent_keys keys;

	cr_expect_eq(chosen_for("ssh-ed25519,rsa-sha2-512", &sk, &keys), 0);
	cr_expect_eq(chosen_for("ssh-ed25519,sk-ssh-ed25519@openssh.com", &sk, &keys), 1);
	/* OpenSSH before 7.8: RSA's alone are in the list, others are taken all the same. */
	cr_expect_eq(chosen_for("rsa-sha2-256,rsa-sha2-512", &ed, &keys), 1);
	cr_expect_eq(chosen_for("ecdsa-sha2-nistp256", &ed, &keys), 0);
}

Test(agent_keys, a_list_that_is_none_is_refused)
{
	struct blob a = key("ssh-ed25519", 1, "a");
	struct agent_keys keys;
	struct wire_span answer = LIST(1, &a);

	cr_expect(agent_keys_choose(&keys, answer, &anything));
	cr_expect_not(agent_keys_choose(&keys, LIST(2, &a), &anything), "fewer than were promised");
	cr_expect_not(agent_keys_choose(&keys, LIST(0, &a), &anything), "more than were promised");
	cr_expect_not(agent_keys_choose(&keys, LIST(UINT32_MAX, &a), &anything));
	answer = LIST(1, &a);
	answer_bytes[0] = AGENT_FAILURE;
	cr_expect_not(agent_keys_choose(&keys, answer, &anything));
	answer = LIST(1, &a);
	for (size_t cut = 0; cut < answer.len; cut++)
		cr_expect_not(
		    agent_keys_choose(&keys, (struct wire_span){answer.at, cut}, &anything), "%zu", cut);
}

Test(agent_keys, a_certificate_has_its_keys_fingerprint)
{
	char of_key[AGENT_FINGERPRINT_MAX], of_certificate[AGENT_FINGERPRINT_MAX];
	struct blob a = key("ssh-ed25519", 1, "a"), b = user_certificate("a", NULL, 0, UINT64_MAX);

	agent_fingerprint(of_key, span(&a));
	agent_fingerprint(of_certificate, span(&b));
	cr_expect_str_eq(of_key, of_certificate);
	/* printf AAAAC3NzaC1lZDI1NTE5AAAAAWE= | base64 -d | sha256sum | xxd -r -p | base64 */
	cr_expect_str_eq(of_key, "SHA256:9wTuB6yPySD1IjEZjibWpYLrafj3gBNoeP8G8MFChsQ");
}

/* -- the protocol -- */

Test(agent_protocol, an_answer_comes_in_pieces)
{
	static const uint8_t failure[] = {0, 0, 0, 1, AGENT_FAILURE};
	struct agent_answer answer = {0};

	for (size_t i = 0; i < sizeof(failure); i++)
		cr_assert_eq(agent_gather(&answer, (struct wire_span){failure + i, 1}),
		    i + 1 == sizeof(failure) ? AGENT_WHOLE : AGENT_MORE);
	struct wire_span body = agent_answer_body(&answer);
	cr_assert_eq(body.len, 1);
	cr_expect_eq(body.at[0], AGENT_FAILURE);
	cr_expect_eq(agent_gather(&answer, (struct wire_span){failure, 1}), AGENT_MALFORMED);
	agent_answer_clear(&answer);
}

Test(agent_protocol, what_is_no_answer_is_refused)
{
	static const uint8_t empty[] = {0, 0, 0, 0}, huge[] = {0, 4, 0, 0};
	static const uint8_t largest[] = {0, 3, 0xff, 0xfc};
	struct agent_answer answer = {0};

	cr_expect_eq(agent_gather(&answer, (struct wire_span){empty, 4}), AGENT_MALFORMED);
	agent_answer_clear(&answer);
	cr_expect_eq(agent_gather(&answer, (struct wire_span){huge, 4}), AGENT_MALFORMED);
	agent_answer_clear(&answer);
	cr_expect_eq(agent_gather(&answer, (struct wire_span){largest, 4}), AGENT_MORE);
	uint8_t *much = calloc(1, AGENT_ANSWER_MAX);
	cr_expect_eq(agent_gather(&answer, (struct wire_span){much, AGENT_ANSWER_MAX - 3}), AGENT_MALFORMED);
	cr_expect_eq(agent_gather(&answer, (struct wire_span){much, AGENT_ANSWER_MAX - 4}), AGENT_WHOLE);
	free(much);
	agent_answer_clear(&answer);
}

static bool signature_in(const char *algorithm, size_t blob_len, size_t cut)
{
	static uint8_t bytes[20000], blob[17000];
	uint8_t inner[18000];
	struct wire_out made = wire_into(inner, sizeof(inner));
	struct wire_out out = wire_into(bytes, sizeof(bytes));
	struct wire_span signature;

	wire_put_cstring(&made, algorithm);
	wire_put_string(&made, blob, blob_len);
	wire_put_u8(&out, AGENT_SIGN_RESPONSE);
	wire_put_string(&out, inner, wire_written(&made));
	return agent_read_signature(
	    (struct wire_span){bytes, wire_written(&out) - cut}, "rsa-sha2-512", &signature);
}

Test(agent_protocol, a_signature_is_of_the_algorithm_that_was_asked_for)
{
	cr_expect(signature_in("rsa-sha2-512", 64, 0));
	cr_expect_not(signature_in("ssh-rsa", 64, 0), "an agent that does not know the flag");
	cr_expect_not(signature_in("rsa-sha2-512", 0, 0));
	cr_expect_not(signature_in("rsa-sha2-512", 64, 1));
	cr_expect_not(signature_in("rsa-sha2-512", 16500, 0), "too long to be one");
}

Test(agent_protocol, a_request_that_does_not_fit_is_not_made)
{
	uint8_t *out = malloc(AGENT_REQUEST_MAX), *data = calloc(1, AGENT_REQUEST_MAX);
	struct wire_span key = {data, 100};

	cr_expect_eq(agent_put_sign(out, AGENT_REQUEST_MAX, key, (struct wire_span){data, 100}, 4),
	    4u + 1 + 4 + 100 + 4 + 100 + 4);
	cr_expect_eq(
	    agent_put_sign(out, AGENT_REQUEST_MAX, key, (struct wire_span){data, AGENT_REQUEST_MAX - 100}, 4),
	    0u);
	cr_expect_eq(agent_put_list(out, 4), 0u);
	cr_expect_eq(agent_put_list(out, 5), 5u);
	free(out);
	free(data);
}
