/* SPDX-License-Identifier: Apache-2.0 */
#include "control/certificate/krl.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

#define KRL_MAGIC 0x5353484b524c0a00u /* "SSHKRL\n\0" */
#define KRL_VERSION 1

enum section {
	SECTION_CERTIFICATES = 1,
	SECTION_KEYS = 2,
	SECTION_SHA1 = 3,
	SECTION_SIGNATURE = 4,
	SECTION_SHA256 = 5,
	SECTION_EXTENSION = 255,
};
enum certificate_section {
	CERTIFICATE_SERIALS = 0x20,
	CERTIFICATE_RANGE = 0x21,
	CERTIFICATE_BITMAP = 0x22,
	CERTIFICATE_KEY_IDS = 0x23,
	CERTIFICATE_EXTENSION = 0x39,
};

/* A plain key, as lists name it. */
struct subject {
	struct wire_span blob;
	uint8_t sha1[SHA_DIGEST_LENGTH], sha256[crypto_hash_sha256_BYTES];
};

/* What a walk looks for; none of it: it only checks and counts. */
struct walk {
	struct krl *krl;
	const struct subject *key;             /* NULL: nothing is looked for */
	const struct certificate *certificate; /* whose; NULL: of no certificate */
	enum krl_verdict found;
	const char *wrong;
};

/* A string that may be longer than others that are read here. */
static struct wire_span long_string(struct wire *in)
{
	return wire_bytes(in, wire_u32(in));
}

static void find(struct walk *walk, enum krl_verdict verdict)
{
	if (walk->found == KRL_FINE)
		walk->found = verdict;
}

static void fail(struct walk *walk, const char *wrong)
{
	if (walk->wrong == NULL)
		walk->wrong = wrong;
}

/* -- certificates -----------------------------------------------------------------------------------------
 */

/* Serial 0 is what a CA gives that does not count: it names nothing. */
static void serials_from_to(struct walk *walk, bool of_this_ca, uint64_t low, uint64_t high)
{
	if (low == 0 || low > high) {
		fail(walk, "has a range of serials that is none");
		return;
	}
	walk->krl->serials += high - low < UINT64_MAX - walk->krl->serials ? high - low + 1 : 0;
	if (of_this_ca && walk->certificate->serial >= low && walk->certificate->serial <= high)
		find(walk, KRL_SERIAL);
}

static unsigned ones(uint8_t byte)
{
	return (unsigned)__builtin_popcount(byte);
}

/* An mpint whose bit n stands for serial offset + n. */
static void bitmap(struct walk *walk, bool of_this_ca, struct wire *in)
{
	uint64_t offset = wire_u64(in);
	struct wire_span bits = long_string(in);

	/* There is no bit for serial 0, nor behind the last one. */
	if (in->failed || (offset == 0 && bits.len > 0 && (bits.at[bits.len - 1] & 1) != 0) ||
	    (bits.len > 0 && (bits.at[0] & 0x80) != 0) || (uint64_t)bits.len * 8 > UINT64_MAX - offset) {
		fail(walk, "has a bitmap of serials that is none");
		return;
	}
	if (walk->key == NULL)
		for (size_t i = 0; i < bits.len; i++)
			walk->krl->serials += ones(bits.at[i]);
	if (!of_this_ca || walk->certificate->serial < offset)
		return;
	uint64_t bit = walk->certificate->serial - offset;
	if (bit / 8 < bits.len && (bits.at[bits.len - 1 - bit / 8] >> bit % 8 & 1) != 0)
		find(walk, KRL_SERIAL);
}

static void key_ids(struct walk *walk, bool of_this_ca, struct wire *in)
{
	while (wire_left(in) > 0) {
		struct wire_span id = wire_string(in);
		if (in->failed || memchr(id.len > 0 ? (const void *)id.at : "", '\0', id.len) != NULL) {
			fail(walk, "has a key id that is none");
			return;
		}
		walk->krl->key_ids++;
		if (of_this_ca && wire_span_same(id, walk->certificate->key_id))
			find(walk, KRL_KEY_ID);
	}
}

/* One that must be understood is not; one that need not be is passed by. */
static void extension(struct walk *walk, struct wire *in)
{
	(void)wire_string(in);
	if (wire_u8(in) != 0)
		fail(walk, "has a critical extension that is not supported here");
	(void)long_string(in);
}

static void certificate_section(struct walk *walk, uint8_t type, struct wire_span data, bool of_this_ca)
{
	struct wire in = wire_over(data.at, data.len);

	switch (type) {
	case CERTIFICATE_SERIALS:
		while (wire_left(&in) > 0 && walk->wrong == NULL) {
			uint64_t serial = wire_u64(&in);
			serials_from_to(walk, of_this_ca, serial, serial);
		}
		break;
	case CERTIFICATE_RANGE: {
		uint64_t low = wire_u64(&in), high = wire_u64(&in);
		serials_from_to(walk, of_this_ca, low, high);
		break;
	}
	case CERTIFICATE_BITMAP:
		bitmap(walk, of_this_ca, &in);
		break;
	case CERTIFICATE_KEY_IDS:
		key_ids(walk, of_this_ca, &in);
		break;
	case CERTIFICATE_EXTENSION:
		extension(walk, &in);
		break;
	default:
		fail(walk, "has a kind of certificate section that is not supported here");
		return;
	}
	if (!wire_done(&in))
		fail(walk, "is cut or damaged (a section of certificates)");
}

static void certificates(struct walk *walk, struct wire_span data)
{
	struct wire in = wire_over(data.at, data.len);
	struct wire_span ca = wire_string(&in);

	(void)wire_string(&in); /* reserved */
	/* Of no CA's: of all. */
	bool of_this_ca =
	    walk->certificate != NULL && (ca.len == 0 || wire_span_same(ca, walk->certificate->ca_blob));
	while (!in.failed && wire_left(&in) > 0 && walk->wrong == NULL) {
		uint8_t type = wire_u8(&in);
		struct wire_span section = long_string(&in);
		if (!in.failed)
			certificate_section(walk, type, section, of_this_ca);
	}
	if (in.failed)
		fail(walk, "is cut or damaged (certificates)");
}

/* -- keys -------------------------------------------------------------------------------------------------
 */

static void keys(struct walk *walk, struct wire_span data)
{
	struct wire in = wire_over(data.at, data.len);

	while (wire_left(&in) > 0 && !in.failed) {
		struct wire_span blob = wire_string(&in);
		walk->krl->keys++;
		if (!in.failed && walk->key != NULL && wire_span_same(blob, walk->key->blob))
			find(walk, KRL_KEY);
	}
	if (in.failed)
		fail(walk, "is cut or damaged (keys)");
}

static void fingerprints(struct walk *walk, struct wire_span data, const uint8_t *wanted, size_t size)
{
	struct wire in = wire_over(data.at, data.len);

	while (wire_left(&in) > 0 && !in.failed) {
		struct wire_span hash = wire_string(&in);
		in.failed = in.failed || hash.len != size;
		walk->krl->fingerprints++;
		if (!in.failed && wanted != NULL && memcmp(hash.at, wanted, size) == 0)
			find(walk, KRL_KEY);
	}
	if (in.failed)
		fail(walk, "is cut or damaged (fingerprints)");
}

static void section(struct walk *walk, uint8_t type, struct wire_span data)
{
	struct wire in = wire_over(data.at, data.len);

	switch (type) {
	case SECTION_CERTIFICATES:
		certificates(walk, data);
		return;
	case SECTION_KEYS:
		keys(walk, data);
		return;
	case SECTION_SHA1:
		fingerprints(walk, data, walk->key == NULL ? NULL : walk->key->sha1, SHA_DIGEST_LENGTH);
		return;
	case SECTION_SHA256:
		fingerprints(
		    walk, data, walk->key == NULL ? NULL : walk->key->sha256, crypto_hash_sha256_BYTES);
		return;
	case SECTION_EXTENSION:
		extension(walk, &in);
		if (!wire_done(&in))
			fail(walk, "is cut or damaged (an extension)");
		return;
	default:
		fail(walk, "has a kind of section that is not supported here");
	}
}

/* -- the whole --------------------------------------------------------------------------------------------
 */

static void take_comment(struct wire_span text, char *comment, size_t size)
{
	size_t len = 0;

	for (; len < text.len && len + 1 < size; len++)
		comment[len] = text.at[len] >= 0x20 && text.at[len] < 0x7f ? (char)text.at[len] : '?';
	comment[len] = '\0';
}

static void walk_all(struct walk *walk)
{
	struct krl *krl = walk->krl;
	struct wire in = wire_over(krl->bytes.at, krl->bytes.len);
	bool signature_seen = false;

	if (wire_u64(&in) != KRL_MAGIC) {
		fail(walk, "is no file that ssh-keygen -k has made");
		return;
	}
	if (wire_u32(&in) != KRL_VERSION) {
		fail(walk, "has a format version that is not supported here (expected 1)");
		return;
	}
	krl->version = wire_u64(&in);
	krl->generated = wire_u64(&in);
	(void)wire_u64(&in);    /* flags: none are defined */
	(void)wire_string(&in); /* reserved */
	take_comment(wire_string(&in), krl->comment, sizeof(krl->comment));
	while (!in.failed && wire_left(&in) > 0 && walk->wrong == NULL && walk->found == KRL_FINE) {
		uint8_t type = wire_u8(&in);
		struct wire_span data = long_string(&in);
		if (type == SECTION_SIGNATURE) {
			signature_seen = true;
			(void)wire_string(&in); /* data was the key, and this is the signature */
		} else if (!in.failed && signature_seen) {
			fail(walk, "goes on behind its signature");
		} else if (!in.failed) {
			section(walk, type, data);
		}
	}
	if (in.failed)
		fail(walk, "is cut or damaged");
}

const char *krl_parse(struct wire_span bytes, struct krl *krl)
{
	struct walk walk = {.krl = krl};

	*krl = (struct krl){.bytes = bytes};
	if (bytes.len > KRL_MAX)
		return "is too long (at most 8 MiB)";
	walk_all(&walk);
	return walk.wrong;
}

static enum krl_verdict ask(
    const struct krl *krl, struct wire_span plain, const struct certificate *certificate)
{
	struct krl counted = {.bytes = krl->bytes};
	struct subject subject = {.blob = plain};
	struct walk walk = {.krl = &counted, .key = &subject, .certificate = certificate};

	SHA1(plain.at, plain.len, subject.sha1);
	crypto_hash_sha256(subject.sha256, plain.at, plain.len);
	walk_all(&walk);
	return walk.wrong != NULL ? KRL_KEY : walk.found;
}

enum krl_verdict krl_check(const struct krl *krl, struct wire_span blob)
{
	uint8_t room[PUBLIC_KEY_BLOB_MAX];
	struct wire_out plain = wire_into(room, sizeof(room));
	struct certificate certificate;

	if (!certificate_is(blob))
		return blob.len == 0 ? KRL_KEY : ask(krl, blob, NULL);
	if (!certificate_parse(blob, &certificate))
		return KRL_KEY;
	if (!certificate_plain_key(&certificate, &plain))
		return KRL_KEY;
	enum krl_verdict verdict = ask(krl, (struct wire_span){room, wire_written(&plain)}, &certificate);
	if (verdict != KRL_FINE)
		return verdict;
	return ask(krl, certificate.ca_blob, NULL) != KRL_FINE ? KRL_CA : KRL_FINE;
}

const char *krl_verdict_text(enum krl_verdict verdict)
{
	switch (verdict) {
	case KRL_KEY:
		return "its key";
	case KRL_SERIAL:
		return "its serial number";
	case KRL_KEY_ID:
		return "its key id";
	case KRL_CA:
		return "its CA";
	case KRL_FINE:
		break;
	}
	return "nothing";
}
