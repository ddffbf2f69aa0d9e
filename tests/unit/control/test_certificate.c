/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys and certificates: ours made to order, and OpenSSH's own by ssh-keygen. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/certificate/certificate.h"
#include "control/rpc/rpc.h"
#include "tests/unit/control/mint.h"

static const uint8_t client[4] = {198, 51, 100, 1};
static struct mint_key ca, key;

static void make_keys(void)
{
	cr_assert(sodium_init() >= 0);
	mint_key(&ca);
	mint_key(&key);
}

TestSuite(certificate, .init = make_keys);

static struct mint_certificate good_certificate(void)
{
	return (struct mint_certificate){.serial = 7,
	    .type = 1,
	    .key_id = "alice",
	    .principals = {"alice", "root"},
	    .valid_after = 1000,
	    .valid_before = 2000,
	    .extensions = {{"permit-pty", NULL, false}, {"no-touch-required", NULL, false}}};
}

static enum certificate_verdict judge(const struct mint_certificate *minted, const struct mint_key *by,
    time_t now, struct certificate_facts *facts, char *why)
{
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	struct certificate certificate;
	size_t len = mint_certificate(minted, &key, by, blob);

	cr_assert(certificate_is((struct wire_span){blob, len}));
	cr_assert(certificate_parse((struct wire_span){blob, len}, &certificate));
	return certificate_judge(
	    &certificate, mint_blob(&ca), false, now, (struct wire_span){client, 4}, facts, why, 256);
}

Test(certificate, each_way_to_be_wrong)
{
	struct mint_certificate c[16];
	static const struct {
		int verdict;
		const char *why;
	} expected[16] = {
	    {CERTIFICATE_GOOD, ""},
	    {CERTIFICATE_REFUSED, "your certificate is not a user certificate"},
	    {CERTIFICATE_REFUSED,
	        "your certificate is not valid before 1970-01-01 00:26:40 UTC (until 1970-01-01 00:33:20 "
	        "UTC); this gateway's clock says 1970-01-01 00:25:00 UTC"},
	    {CERTIFICATE_REFUSED, "your certificate expired at 1970-01-01 00:20:00 UTC; ask for a new one "
	                          "(this gateway's clock says 1970-01-01 00:25:00 UTC)"},
	    {CERTIFICATE_GOOD, ""}, /* no key id: it need not name anybody */
	    {CERTIFICATE_REFUSED, "your certificate names no login (it has no principals)"},
	    {CERTIFICATE_REFUSED, "your certificate has a verify-required that cannot be read"},
	    {CERTIFICATE_REFUSED, "your certificate has a critical option that is not supported here"},
	    {CERTIFICATE_REFUSED, "your certificate may not be used from the address that you come from"},
	    {CERTIFICATE_GOOD, ""},
	    {CERTIFICATE_REFUSED, "your certificate has a source-address that cannot be read"},
	    {CERTIFICATE_GOOD, ""},
	    {CERTIFICATE_REFUSED, "your certificate has a force-command that cannot be read"},
	    {CERTIFICATE_STRANGE, ""},
	    {CERTIFICATE_REFUSED, "your certificate has a force-command that cannot be read"},
	    {CERTIFICATE_REFUSED, "your certificate expired at"},
	};

	for (int i = 0; i < 16; i++)
		c[i] = good_certificate();
	c[1].type = 2;
	c[2].valid_after = 1600;
	c[3].valid_before = 1200;
	c[4].key_id = "";
	c[5].principals[0] = NULL;
	c[6].critical[0] = (struct mint_option){"verify-required", "yes", false};
	c[7].critical[0] = (struct mint_option){"x@example.org", "y", false};
	c[8].critical[0] = (struct mint_option){"source-address", "203.0.113.0/24,2001:db8::/32", false};
	c[9].critical[0] = (struct mint_option){"source-address", "203.0.113.0/24,198.51.100.0/24", false};
	c[10].critical[0] = (struct mint_option){"source-address", "198.51.100.0/33", false};
	c[11].critical[0] = (struct mint_option){"force-command", "uptime", false};
	c[12].critical[0] = (struct mint_option){"force-command", "uptime", true};
	c[13].spoil_signature = true;
	c[14].critical[0] = (struct mint_option){"force-command", "a", false};
	c[14].critical[1] = (struct mint_option){"force-command", "b", false};
	c[15].valid_before = 1500; /* the very second: valid_before is not within */
	for (int i = 0; i < 16; i++) {
		struct certificate_facts facts;
		char why[256];
		int verdict = judge(&c[i], &ca, 1500, &facts, why);
		cr_expect_eq(verdict, expected[i].verdict, "case %d: expected %d, got %d (%s)", i,
		    expected[i].verdict, verdict, why);
		cr_expect(strncmp(why, expected[i].why, strlen(expected[i].why)) == 0,
		    "case %d: expected \"%s\", got \"%s\"", i, expected[i].why, why);
		if (i == 0)
			cr_expect(facts.permits == RPC_PERMIT_PTY && strcmp(facts.key_id, "alice") == 0);
		if (i == 11)
			cr_expect_str_eq(facts.force_command, "uptime");
	}
}

Test(certificate, another_ca_is_strange_whatever_it_says)
{
	struct mint_certificate expired = good_certificate();
	struct certificate_facts facts;
	struct mint_key other;
	char why[256];

	mint_key(&other);
	expired.valid_before = 1200;
	cr_expect_eq(judge(&expired, &other, 1500, &facts, why), CERTIFICATE_STRANGE);
	cr_expect_str_eq(why, "");
}

Test(certificate, principals)
{
	struct mint_certificate minted = good_certificate();
	struct certificate certificate;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	size_t len = mint_certificate(&minted, &key, &ca, blob);

	cr_assert(certificate_parse((struct wire_span){blob, len}, &certificate));
	cr_expect(certificate_names(&certificate, "alice"));
	cr_expect(certificate_names(&certificate, "root"));
	cr_expect_not(certificate_names(&certificate, "roo"));
	cr_expect_not(certificate_names(&certificate, ""));
	cr_expect_not(certificate_names(&certificate, "bob"));
}

/* Cut anywhere or changed anywhere, it is not taken for the same. */
Test(certificate, cut_and_changed)
{
	struct mint_certificate minted = good_certificate();
	struct certificate certificate;
	struct certificate_facts facts;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	char why[256];
	size_t len = mint_certificate(&minted, &key, &ca, blob);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);
		memcpy(exact, blob, cut);
		cr_expect_not(
		    certificate_parse((struct wire_span){exact, cut}, &certificate), "cut at %zu", cut);
		free(exact);
	}
	for (size_t at = 0; at < len; at++) {
		blob[at] ^= 0x40;
		bool parsed = certificate_parse((struct wire_span){blob, len}, &certificate);
		if (parsed)
			cr_expect_neq(certificate_judge(&certificate, mint_blob(&ca), false, 1500,
			                  (struct wire_span){client, 4}, &facts, why, sizeof(why)),
			    CERTIFICATE_GOOD, "changed at %zu", at);
		blob[at] ^= 0x40;
	}
}

static const struct {
	const char *list, *address;
	bool in, malformed;
} addresses[] = {
    {"198.51.100.1", "198.51.100.1", true, false},
    {"198.51.100.1", "198.51.100.2", false, false},
    {"198.51.100.0/25", "198.51.100.127", true, false},
    {"198.51.100.0/25", "198.51.100.128", false, false},
    {"0.0.0.0/0", "203.0.113.9", true, false},
    {"0.0.0.0/0", "2001:db8::1", false, false},
    {"2001:db8::/32", "2001:db8:ffff::1", true, false},
    {"2001:db8::/32", "2001:db9::1", false, false},
    {"10.0.0.0/8,2001:db8::1", "2001:db8::1", true, false},
    {"10.0.0.0/8,nonsense", "10.1.1.1", false, true},
    {"10.0.0.0/x", "10.1.1.1", false, true},
    {"10.0.0.0/-1", "10.1.1.1", false, true},
    {"", "10.1.1.1", false, true},
    {"10.0.0.0/8,,::1", "10.1.1.1", false, true},
    {"10.0.0.0/8,", "10.1.1.1", false, true},
    {",10.0.0.0/8", "10.1.1.1", false, true},
    {"10.0.0.5/8", "10.1.1.1", false, true},
    {"10.1.0.0/15", "10.1.1.1", false, true},
    {"10.0.0.0/15", "10.1.1.1", true, false},
    {"10.0.0.5/32", "10.0.0.5", true, false},
    {"0.0.0.0/0", "10.0.0.5", true, false},
    {"0.0.0.1/0", "10.0.0.5", false, true},
    {"2001:db8::1/32", "2001:db8::1", false, true},
    {"2001:db8::1/128", "2001:db8::1", true, false},
};

Test(certificate, source_addresses)
{
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		uint8_t bytes[16];
		bool malformed, v6 = strchr(addresses[i].address, ':') != NULL;
		cr_assert_eq(inet_pton(v6 ? AF_INET6 : AF_INET, addresses[i].address, bytes), 1);
		bool in = certificate_address_in(
		    addresses[i].list, (struct wire_span){bytes, v6 ? 16 : 4}, &malformed);
		cr_expect(in == addresses[i].in && malformed == addresses[i].malformed,
		    "%s in \"%s\": in %d, malformed %d", addresses[i].address, addresses[i].list, in,
		    malformed);
	}
}

/* -- lines of .pub files -- */

Test(certificate, key_lines)
{
	char *line = mint_line(&key, "alice@laptop");
	char text[512];
	struct public_key_line parsed;

	snprintf(text, sizeof(text), "  %s \n", line);
	cr_expect_null(public_key_line_parse(text, strlen(text), &parsed));
	cr_expect_str_eq(parsed.comment, "alice@laptop");
	cr_expect(
	    parsed.blob_len == sizeof(key.blob) && memcmp(parsed.blob, key.blob, sizeof(key.blob)) == 0);
	char *printed =
	    public_key_line_print((struct wire_span){parsed.blob, parsed.blob_len}, "alice@laptop");
	cr_expect_str_eq(printed, line);
	free(printed);
	const struct {
		const char *text, *wrong;
	} cases[] = {
	    {"", "is empty"},
	    {"   \n", "is empty"},
	    {"ssh-dss AAAA", "begins with a word that is no key type"},
	    {"command=\"x\" ssh-ed25519 AAAA", "begins with a word that is no key type"},
	    {"ssh-ed25519", "has no valid base64"},
	    {"ssh-ed25519 !!!!", "has no valid base64"},
	    {"ssh-ed25519 AAAA", "is damaged"},
	    {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDH", "is damaged, or is an RSA key"},
	    {"ssh-ed25519-cert-v01@openssh.com AAAA", "is a certificate"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *wrong = public_key_line_parse(cases[i].text, strlen(cases[i].text), &parsed);
		cr_expect(wrong != NULL && strncmp(wrong, cases[i].wrong, strlen(cases[i].wrong)) == 0,
		    "\"%s\": expected \"%s…\", got \"%s\"", cases[i].text, cases[i].wrong,
		    wrong == NULL ? "accepted" : wrong);
	}
	snprintf(text, sizeof(text), "ssh-rsa %s", strchr(line, ' ') + 1);
	const char *wrong = public_key_line_parse(text, strlen(text), &parsed);
	cr_expect(wrong != NULL && strncmp(wrong, "says another type", 17) == 0, "got %s",
	    wrong == NULL ? "accepted" : wrong);
	free(line);
}

/* Anybody could sign for such keys, or nobody: none is taken, as a user's or as an old origin's. */
Test(certificate, rsa_keys_that_are_none)
{
	static const struct {
		uint8_t exponent, modulus_end;
		bool good;
	} cases[] = {{3, 1, true}, {1, 1, false}, {4, 1, false}, {3, 2, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t blob[512], modulus[257] = {0, 0x80};
		struct wire_out out = wire_into(blob, sizeof(blob));
		struct public_key parsed;

		modulus[256] = cases[i].modulus_end;
		wire_put_cstring(&out, "ssh-rsa");
		wire_put_string(&out, &cases[i].exponent, 1);
		wire_put_string(&out, modulus, sizeof(modulus));
		struct wire_span whole = {blob, wire_written(&out)};
		cr_expect_eq(public_key_parse(whole, &parsed), cases[i].good, "case %zu", i);
		cr_expect_eq(public_key_parse_legacy(whole, &parsed), cases[i].good, "case %zu, legacy", i);
	}
}

/* -- OpenSSH's own -- */

static void run(const char *directory, const char *command)
{
	char text[1024];

	snprintf(text, sizeof(text), "cd %s && %s >/dev/null 2>&1", directory, command);
	cr_assert_eq(system(text), 0, "%s", text);
}

static size_t read_blob(const char *directory, const char *name, uint8_t blob[PUBLIC_KEY_BLOB_MAX])
{
	char path[256], line[16384] = "";
	size_t len = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	cr_assert_not_null(fgets(line, sizeof(line), file));
	fclose(file);
	char *base64 = strchr(line, ' ') + 1;
	cr_assert_eq(sodium_base642bin(blob, PUBLIC_KEY_BLOB_MAX, base64, strcspn(base64, " \n"), NULL, &len,
	                 NULL, sodium_base64_VARIANT_ORIGINAL),
	    0);
	return len;
}

static const char *const cas[] = {
    "-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521", "-t rsa -b 2048"};

Test(certificate, every_kind_of_ca_by_ssh_keygen)
{
	char directory[] = "/tmp/reeve-cert-XXXXXX", command[512];
	uint8_t ca_blob[PUBLIC_KEY_BLOB_MAX], blob[PUBLIC_KEY_BLOB_MAX];

	cr_assert_not_null(mkdtemp(directory));
	for (size_t i = 0; i < sizeof(cas) / sizeof(cas[0]); i++) {
		struct certificate certificate;
		struct certificate_facts facts;
		char why[256];
		/* The certified key is of the next kind, so that each is parsed too. */
		snprintf(command, sizeof(command),
		    "rm -f ca* key* && ssh-keygen -q %s -N '' -f ca && ssh-keygen -q %s -N '' -f key && "
		    "ssh-keygen -s ca -I alice "
		    "-n alice,root -V -1m:+5m -z 12 -O force-command=uptime -O "
		    "source-address=198.51.100.0/24 "
		    "-O no-x11-forwarding key.pub",
		    cas[i], cas[(i + 1) % 5]);
		run(directory, command);
		size_t ca_len = read_blob(directory, "ca.pub", ca_blob);
		size_t len = read_blob(directory, "key-cert.pub", blob);
		struct wire_span ca_span = {ca_blob, ca_len};
		cr_assert(certificate_parse((struct wire_span){blob, len}, &certificate), "%s", cas[i]);
		int verdict = certificate_judge(&certificate, ca_span, false, time(NULL),
		    (struct wire_span){client, 4}, &facts, why, sizeof(why));
		cr_expect_eq(verdict, CERTIFICATE_GOOD, "%s: %d %s", cas[i], verdict, why);
		cr_expect_eq(certificate.serial, 12);
		cr_expect_str_eq(facts.key_id, "alice");
		cr_expect_str_eq(facts.force_command, "uptime");
		cr_expect_eq(facts.permits, RPC_PERMIT_PTY | RPC_PERMIT_PORT_FORWARDING |
		                                RPC_PERMIT_AGENT_FORWARDING | RPC_PERMIT_USER_RC);
		cr_expect(certificate_names(&certificate, "root"));
		/* One bit of what was signed. */
		blob[certificate.key_id.at - blob] ^= 1;
		cr_expect_eq(certificate_judge(&certificate, ca_span, false, time(NULL),
		                 (struct wire_span){client, 4}, &facts, why, sizeof(why)),
		    CERTIFICATE_STRANGE, "%s", cas[i]);
	}
	/* SHA-1 is no signature. */
	run(directory, "rm -f ca* key* && ssh-keygen -q -t rsa -b 2048 -N '' -f ca && ssh-keygen -q -t "
	               "ed25519 -N '' -f key && "
	               "ssh-keygen -t ssh-rsa -s ca -I alice -n alice key.pub");
	struct certificate certificate;
	struct certificate_facts facts;
	char why[256];
	size_t ca_len = read_blob(directory, "ca.pub", ca_blob),
	       len = read_blob(directory, "key-cert.pub", blob);
	cr_assert(certificate_parse((struct wire_span){blob, len}, &certificate));
	cr_expect_eq(certificate_judge(&certificate, (struct wire_span){ca_blob, ca_len}, false, time(NULL),
	                 (struct wire_span){client, 4}, &facts, why, sizeof(why)),
	    CERTIFICATE_STRANGE);
	run("/tmp", (snprintf(command, sizeof(command), "rm -rf %s", directory), command));
}

/* Fingerprints are ssh-keygen's. */
Test(certificate, fingerprint)
{
	char directory[] = "/tmp/reeve-cert-XXXXXX", command[256], line[256] = "",
	     ours[PUBLIC_KEY_FINGERPRINT_SIZE];
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];

	cr_assert_not_null(mkdtemp(directory));
	run(directory, "ssh-keygen -q -t ecdsa -N '' -f key");
	snprintf(command, sizeof(command), "ssh-keygen -lf %s/key.pub", directory);
	FILE *pipe = popen(command, "r");
	cr_assert(pipe != NULL && fgets(line, sizeof(line), pipe) != NULL);
	pclose(pipe);
	public_key_fingerprint((struct wire_span){blob, read_blob(directory, "key.pub", blob)}, ours);
	cr_expect(strstr(line, ours) != NULL, "expected %s in %s", ours, line);
	run("/tmp", (snprintf(command, sizeof(command), "rm -rf %s", directory), command));
}

/* Under the neutral element as a key, one signature is good for every message to a verifier that does not
 * look. */
Test(certificate, a_key_that_signs_everything_signs_nothing)
{
	static const uint8_t neutral[32] = {1};
	uint8_t blob[64], signature_blob[96], signature[64] = {1};
	struct wire_out out = wire_into(blob, sizeof(blob)),
	                sig = wire_into(signature_blob, sizeof(signature_blob));
	struct public_key everybodys;

	wire_put_cstring(&out, "ssh-ed25519");
	wire_put_string(&out, neutral, sizeof(neutral));
	cr_assert(public_key_parse((struct wire_span){blob, wire_written(&out)}, &everybodys));
	wire_put_cstring(&sig, "ssh-ed25519");
	wire_put_string(&sig, signature, sizeof(signature));
	cr_expect_not(public_key_verify(&everybodys, wire_span_of("any message"),
	    (struct wire_span){signature_blob, wire_written(&sig)}, 0));
}

/* A security key's signature (PROTOCOL.u2f), made as the token makes it. */
static bool sk_verifies(struct wire_span message, uint8_t flags, uint32_t counter, const char *application,
    uint8_t told_flags, uint32_t told_counter, uint8_t wanted)
{
	uint8_t blob[128], text[69], signature[64], signature_blob[128];
	struct wire_out out = wire_into(blob, sizeof(blob)), signed_text = wire_into(text, sizeof(text));
	struct wire_out sig = wire_into(signature_blob, sizeof(signature_blob));
	uint8_t hash[32];
	struct public_key sk;

	wire_put_cstring(&out, "sk-ssh-ed25519@openssh.com");
	wire_put_string(&out, key.blob + 19, 32);
	wire_put_cstring(&out, "ssh:");
	cr_assert(public_key_parse((struct wire_span){blob, wire_written(&out)}, &sk));
	crypto_hash_sha256(hash, (const uint8_t *)application, strlen(application));
	wire_put_bytes(&signed_text, hash, 32);
	wire_put_u8(&signed_text, flags);
	wire_put_u32(&signed_text, counter);
	crypto_hash_sha256(hash, (const uint8_t *)"message", 7);
	wire_put_bytes(&signed_text, hash, 32);
	crypto_sign_detached(signature, NULL, text, wire_written(&signed_text), key.secret);
	wire_put_cstring(&sig, "sk-ssh-ed25519@openssh.com");
	wire_put_string(&sig, signature, sizeof(signature));
	wire_put_u8(&sig, told_flags);
	wire_put_u32(&sig, told_counter);
	return public_key_verify(
	    &sk, message, (struct wire_span){signature_blob, wire_written(&sig)}, wanted);
}

Test(certificate, security_keys)
{
	struct wire_span message = wire_span_of("message");

	cr_expect(sk_verifies(message, 1, 7, "ssh:", 1, 7, PUBLIC_KEY_TOUCHED));
	cr_expect(
	    sk_verifies(message, 5, 7, "ssh:", 5, 7, PUBLIC_KEY_TOUCHED), "a PIN was asked for as well");
	cr_expect_not(sk_verifies(message, 0, 7, "ssh:", 0, 7, PUBLIC_KEY_TOUCHED), "nobody touched it");
	cr_expect_not(sk_verifies(message, 0, 7, "ssh:", 1, 7, PUBLIC_KEY_TOUCHED),
	    "nobody touched it, whatever is said");
	cr_expect_not(sk_verifies(message, 1, 7, "ssh:", 1, 8, PUBLIC_KEY_TOUCHED), "another counter");
	cr_expect_not(
	    sk_verifies(message, 1, 7, "https:", 1, 7, PUBLIC_KEY_TOUCHED), "signed for another application");
	cr_expect_not(
	    sk_verifies(wire_span_of("massage"), 1, 7, "ssh:", 1, 7, PUBLIC_KEY_TOUCHED), "another message");
	cr_expect(sk_verifies(message, 0, 7, "ssh:", 0, 7, 0), "no touch is asked for");
	cr_expect_not(sk_verifies(message, 1, 7, "ssh:", 1, 7, 5), "it did not know who touched it");
	cr_expect(sk_verifies(message, 5, 7, "ssh:", 5, 7, 5));
	cr_expect_not(sk_verifies(message, 4, 7, "ssh:", 4, 7, 5), "known, and not touched");
}
