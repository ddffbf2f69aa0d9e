/* SPDX-License-Identifier: Apache-2.0 */
#include "control/certificate/certificate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"

bool certificate_is(struct wire_span blob)
{
	struct wire in = wire_over(blob.at, blob.len);
	bool certificate;

	return public_key_type_of(wire_string(&in), &certificate) != NULL && certificate;
}

bool certificate_parse(struct wire_span blob, struct certificate *c)
{
	struct wire in = wire_over(blob.at, blob.len);
	bool is_certificate;
	const struct public_key_type *type = public_key_type_of(wire_string(&in), &is_certificate);

	*c = (struct certificate){0};
	if (blob.len > PUBLIC_KEY_BLOB_MAX || type == NULL || !is_certificate)
		return false;
	(void)wire_string(&in); /* nonce */
	const uint8_t *parts = in.at;
	if (!public_key_parts(&in, type, &c->key))
		return false;
	c->plain_tail = (struct wire_span){parts, (size_t)(in.at - parts)};
	c->serial = wire_u64(&in);
	c->type = wire_u32(&in);
	c->key_id = wire_string(&in);
	c->principals = wire_string(&in);
	c->valid_after = wire_u64(&in);
	c->valid_before = wire_u64(&in);
	c->critical_options = wire_string(&in);
	c->extensions = wire_string(&in);
	(void)wire_string(&in); /* reserved */
	c->ca_blob = wire_string(&in);
	c->signed_bytes = (struct wire_span){blob.at, in.failed ? 0 : (size_t)(in.at - blob.at)};
	c->signature = wire_string(&in);
	return wire_done(&in);
}

bool certificate_plain_key(const struct certificate *certificate, struct wire_out *out)
{
	wire_put_cstring(out, certificate->key.type->name);
	wire_put_bytes(out, certificate->plain_tail.at, certificate->plain_tail.len);
	return !out->failed;
}

bool certificate_names(const struct certificate *certificate, const char *principal)
{
	struct wire in = wire_over(certificate->principals.at, certificate->principals.len);

	for (unsigned i = 0; wire_left(&in) > 0 && i < CERTIFICATE_PRINCIPALS_MAX; i++)
		if (wire_span_is(wire_string(&in), principal) && !in.failed)
			return true;
	return false;
}

/* Are the first `bits` of both the same? */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

/* Is there nothing behind the network's bits? OpenSSH takes "10.0.0.5/8" for a slip, not for 10.0.0.0/8. */
static bool ends_in_zeros(const uint8_t *network, unsigned len, unsigned bits)
{
	uint8_t rest = bits % 8 == 0 ? 0 : network[bits / 8] & (0xff >> bits % 8);

	for (unsigned i = (bits + 7) / 8; i < len; i++)
		rest |= network[i];
	return rest == 0;
}

/* One entry of a source-address list: 1 match, 0 no match, -1 malformed. */
static int address_in_entry(char *entry, struct wire_span address)
{
	uint8_t network[16];
	char *slash = strchr(entry, '/'), *end = NULL;
	long bits = -1;

	if (slash != NULL) {
		*slash = '\0';
		bits = strtol(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end != '\0')
			return -1;
	}
	int family = inet_pton(AF_INET, entry, network) == 1 ? AF_INET : AF_INET6;
	if (family == AF_INET6 && inet_pton(AF_INET6, entry, network) != 1)
		return -1;
	unsigned len = family == AF_INET ? 4 : 16;
	if (slash == NULL)
		bits = (long)len * 8;
	if (bits < 0 || bits > (long)len * 8 || !ends_in_zeros(network, len, (unsigned)bits))
		return -1;
	return address.len == len && same_prefix(network, address.at, (unsigned)bits);
}

bool certificate_address_in(const char *list, struct wire_span address, bool *malformed)
{
	char copy[CERTIFICATE_SOURCE_MAX + 1], *rest = copy, *entry;
	bool found = false;

	*malformed = strlen(list) >= sizeof(copy) || list[0] == '\0';
	if (*malformed)
		return false;
	snprintf(copy, sizeof(copy), "%s", list);
	while ((entry = strsep(&rest, ",")) != NULL) {
		int match = address_in_entry(entry, address);
		*malformed = *malformed || match < 0;
		found = found || match > 0;
	}
	return found && !*malformed;
}

/* An option's data is itself a string within a string (PROTOCOL.certkeys). */
static bool option_text(struct wire_span data, char *text, size_t size)
{
	struct wire in = wire_over(data.at, data.len);
	struct wire_span inner = wire_string(&in);

	return wire_done(&in) && wire_span_copy(inner, text, size);
}

#define TEXT_OF(number) TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* Longer than is taken here? The inner string's length and its bytes. */
static bool too_long(struct wire_span data, size_t max)
{
	return data.len > 4 + max;
}

/* NULL, or what is wrong, for the client. */
static const char *judge_critical(struct wire_span name, struct wire_span data, struct wire_span client_addr,
    struct certificate_facts *facts)
{
	char networks[CERTIFICATE_SOURCE_MAX + 1];
	bool malformed;

	if (wire_span_is(name, "force-command")) {
		if (too_long(data, CERTIFICATE_COMMAND_MAX))
			return "has a force-command of more than " TEXT_OF(
			    CERTIFICATE_COMMAND_MAX) " bytes, which this gateway does not take";
		if (facts->force_command[0] != '\0' ||
		    !option_text(data, facts->force_command, sizeof(facts->force_command)) ||
		    facts->force_command[0] == '\0')
			return "has a force-command that cannot be read";
		return NULL;
	}
	if (wire_span_is(name, "source-address")) {
		if (too_long(data, CERTIFICATE_SOURCE_MAX))
			return "has a source-address of more than " TEXT_OF(
			    CERTIFICATE_SOURCE_MAX) " bytes, which this gateway does not take";
		if (!option_text(data, networks, sizeof(networks)))
			return "has a source-address that cannot be read";
		if (!certificate_address_in(networks, client_addr, &malformed))
			return malformed ? "has a source-address that cannot be read"
			                 : "may not be used from the address that you come from";
		return NULL;
	}
	if (wire_span_is(name, "verify-required")) {
		facts->sk_flags |= PUBLIC_KEY_VERIFIED;
		return data.len > 0 ? "has a verify-required that cannot be read" : NULL;
	}
	/* PROTOCOL.certkeys: a critical option that is not understood must lead to refusal. */
	return "has a critical option that is not supported here";
}

static const char *judge_options(
    const struct certificate *c, struct wire_span client_addr, struct certificate_facts *facts)
{
	struct wire in = wire_over(c->critical_options.at, c->critical_options.len);

	while (wire_left(&in) > 0) {
		struct wire_span name = wire_string(&in), data = wire_string(&in);
		const char *wrong = in.failed ? NULL : judge_critical(name, data, client_addr, facts);
		if (wrong != NULL)
			return wrong;
	}
	return in.failed ? "has critical options that cannot be read" : NULL;
}

/* Extensions that are not known mean nothing (PROTOCOL.certkeys). False: they cannot be read. */
static bool read_extensions(struct wire_span extensions, struct certificate_facts *facts)
{
	static const struct {
		const char *name;
		uint32_t permit;
	} known[] = {
	    {"permit-pty", RPC_PERMIT_PTY},
	    {"permit-port-forwarding", RPC_PERMIT_PORT_FORWARDING},
	    {"permit-agent-forwarding", RPC_PERMIT_AGENT_FORWARDING},
	    {"permit-X11-forwarding", RPC_PERMIT_X11_FORWARDING},
	    {"permit-user-rc", RPC_PERMIT_USER_RC},
	};
	struct wire in = wire_over(extensions.at, extensions.len);

	while (wire_left(&in) > 0) {
		struct wire_span name = wire_string(&in);
		(void)wire_string(&in);
		for (size_t i = 0; !in.failed && i < sizeof(known) / sizeof(known[0]); i++)
			if (wire_span_is(name, known[i].name))
				facts->permits |= known[i].permit;
		if (!in.failed && wire_span_is(name, "no-touch-required"))
			facts->sk_flags &= (uint8_t)~PUBLIC_KEY_TOUCHED;
	}
	return !in.failed;
}

static void time_text(uint64_t at, char *text, size_t size)
{
	time_t seconds = (time_t)at;
	struct tm tm;

	if (at > INT64_MAX || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(text, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(text, size, "the end of time");
}

static bool refuse_time(const struct certificate *c, time_t now, char *why, size_t size)
{
	char after[64], before[64], ours[64];

	if (now >= 0 && (uint64_t)now >= c->valid_after && (uint64_t)now < c->valid_before)
		return false;
	time_text(c->valid_after, after, sizeof(after));
	time_text(c->valid_before, before, sizeof(before));
	time_text(now < 0 ? 0 : (uint64_t)now, ours, sizeof(ours));
	if (now < 0 || (uint64_t)now < c->valid_after)
		snprintf(why, size,
		    "your certificate is not valid before %s (until %s); this gateway's clock says %s: one "
		    "of "
		    "the clocks may be wrong",
		    after, before, ours);
	else
		snprintf(why, size,
		    "your certificate expired at %s; ask for a new one (this gateway's clock says %s)",
		    before, ours);
	return true;
}

enum certificate_verdict certificate_judge(const struct certificate *c, struct wire_span ca, bool intact,
    time_t now, struct wire_span client_addr, struct certificate_facts *facts, char *why, size_t why_size)
{
	struct public_key ca_key;

	*facts = (struct certificate_facts){.sk_flags = PUBLIC_KEY_TOUCHED};
	why[0] = '\0';
	if (c->ca_blob.len == 0 || !wire_span_same(c->ca_blob, ca))
		return CERTIFICATE_STRANGE;
	if (!intact &&
	    (!public_key_parse(ca, &ca_key) || /* As OpenSSH, of a CA that is a security key no touch is asked
	                                        * here: that was between it and who had it sign. */
	        !public_key_verify(&ca_key, c->signed_bytes, c->signature, 0)))
		return CERTIFICATE_STRANGE;
	if (c->type != CERTIFICATE_TYPE_USER) {
		snprintf(why, why_size, "your certificate is not a user certificate");
		return CERTIFICATE_REFUSED;
	}
	if (refuse_time(c, now, why, why_size))
		return CERTIFICATE_REFUSED;
	/* Whether it must name somebody is its CA's rule to say. */
	if (!wire_span_copy(c->key_id, facts->key_id, sizeof(facts->key_id)))
		facts->key_id[0] = '\0';
	const char *wrong = c->principals.len == 0 ? "names no login (it has no principals)"
	                                           : judge_options(c, client_addr, facts);
	if (wrong == NULL && !read_extensions(c->extensions, facts))
		wrong = "has extensions that cannot be read";
	if (wrong != NULL) {
		snprintf(why, why_size, "your certificate %s", wrong);
		return CERTIFICATE_REFUSED;
	}
	return CERTIFICATE_GOOD;
}
