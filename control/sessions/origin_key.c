/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sessions/origin_key.h"

#include <stdio.h>
#include <string.h>

#include "control/certificate/host_certificate.h"

bool origin_key_read(struct origin_key *key, struct wire_span shown, bool small)
{
	struct certificate certificate;
	struct public_key parsed;
	struct wire_out out = wire_into(key->plain, sizeof(key->plain));

	*key = (struct origin_key){.shown = shown};
	if (certificate_is(shown)) {
		if (!certificate_parse(shown, &certificate) || !certificate_plain_key(&certificate, &out))
			return false;
	} else {
		wire_put_bytes(&out, shown.at, shown.len);
	}
	key->plain_len = wire_written(&out);
	struct wire_span plain = {key->plain, key->plain_len};
	if (out.failed || !(small ? public_key_parse_legacy : public_key_parse)(plain, &parsed))
		return false;
	public_key_fingerprint(plain, key->target_id);
	return true;
}

/* -- what the origin is called -- */

struct called {
	struct words bare; /* as principals say it: addresses and names without ports */
	struct words full; /* as known_hosts says it: "[web1]:2222" where the port is not 22 */
	struct words all;  /* both: a CA's line may say either */
};

static void call(struct called *called, const char *name, const char *port)
{
	char full[TARGET_NAME_MAX + 16];

	snprintf(full, sizeof(full), port[0] == '\0' ? "%s" : "[%s]:%s", name, port);
	(void)words_add(&called->bare, name);
	(void)words_add(&called->full, full);
	(void)words_add(&called->all, name);
	(void)words_add(&called->all, full);
}

static void called_free(struct called *called)
{
	words_free(&called->bare);
	words_free(&called->full);
	words_free(&called->all);
}

/* "[2001:db8::2]:2222%vlan7": the network has no say in what a host is called. */
static void called_of(struct database *db, const char *address, struct called *called)
{
	size_t bracket = address[0] == '[' ? 1 : 0, len = strcspn(address + bracket, "]%");
	const char *digits = bracket > 0 ? strstr(address, "]:") : NULL;
	char bare[TARGET_ADDRESS_SIZE] = "", port[8] = "";

	*called = (struct called){0};
	if (len < sizeof(bare))
		memcpy(bare, address + bracket, len);
	if (digits != NULL)
		memcpy(port, digits + 2, strspn(digits + 2, "0123456789") % sizeof(port));
	call(called, bare, port);
	struct words names = {0};
	targets_names_at(db, address, &names);
	for (size_t i = 0; i < names.count; i++)
		call(called, names.at[i], port);
	words_free(&names);
}

/* -- judging -- */

static struct wire_span plain_of(const struct origin_key *key)
{
	return (struct wire_span){key->plain, key->plain_len};
}

static bool is_revoked(const struct origin_key *key, const struct known_hosts *known,
    const struct called *called, struct wire_span ca)
{
	return known_hosts_marked(known, KNOWN_REVOKED, &called->all, plain_of(key)) ||
	       (ca.len > 0 && known_hosts_marked(known, KNOWN_REVOKED, &called->all, ca));
}

/* Under which names the lines for plain keys are gone by: at a port other than 22 an origin is known as
 * "[web1]:2222". Where no line says that, those for its plain names may vouch for it, but do not speak
 * against it (so OpenSSH's check_host_key()): what is at port 22 may be another machine. NULL: not now, as
 * KNOWN_BUSY. */
static const struct words *names_of_lines(const struct known_hosts *known, const struct called *called)
{
	static const struct wire_span no_key;

	switch (known_hosts_check(known, &called->full, no_key)) {
	case KNOWN_BUSY:
		return NULL;
	case KNOWN_NONE:
		return &called->bare;
	case KNOWN_OTHER:
	case KNOWN_HERE:
		break;
	}
	return &called->full;
}

static enum known_verdict judge_plain(
    const struct origin_key *key, const struct known_hosts *known, const struct called *called)
{
	const struct words *names = names_of_lines(known, called);
	enum known_verdict verdict =
	    names == NULL ? KNOWN_BUSY : known_hosts_check(known, names, plain_of(key));

	return verdict == KNOWN_OTHER && names != &called->full ? KNOWN_NONE : verdict;
}

/* A certificate by a CA that is not trusted for this origin is as good as a plain key. */
static void judge_certificate(struct origin_key *key, const struct certificate *certificate,
    const struct known_hosts *known, const struct called *called, time_t now)
{
	if (!known_hosts_marked(known, KNOWN_CA, &called->all, certificate->ca_blob))
		key->certificate_fault = "is by no host CA that is trusted for this origin";
	else
		key->certificate_fault = host_certificate_judge(certificate, &called->bare, now);
	key->certified = key->certificate_fault == NULL;
}

static enum origin_verdict judge_by_pins(
    struct origin_key *key, enum targets_result pinned, bool vouched, enum known_verdict line, bool first_use)
{
	if (pinned != TARGETS_UNKNOWN)
		return pinned == TARGETS_KNOWN ? ORIGIN_KNOWN : ORIGIN_CHANGED;
	key->expected[0] = '\0';
	if (vouched)
		return ORIGIN_VOUCHED;
	if (line == KNOWN_OTHER)
		return ORIGIN_CHANGED;
	return first_use ? ORIGIN_FIRST_USE : ORIGIN_UNKNOWN;
}

/* The lines say which types of key are asked for: that a pin of a first use is of another type is no change.
 */
static bool is_of_pinned_type(struct database *db, const char *address, const struct origin_key *key)
{
	struct public_key parsed;
	char pinned[64];

	(void)targets_algorithms(db, address, pinned, sizeof(pinned));
	return public_key_parse_legacy(plain_of(key), &parsed) && strstr(pinned, parsed.type->name) != NULL;
}

static enum origin_verdict judge_by_lines(
    struct origin_key *key, enum targets_result pinned, bool by_admin, bool vouched, enum known_verdict line)
{
	if (by_admin && pinned == TARGETS_KNOWN)
		return ORIGIN_KNOWN;
	if (by_admin && pinned == TARGETS_CHANGED)
		return ORIGIN_CHANGED;
	if (vouched)
		return pinned == TARGETS_KNOWN ? ORIGIN_KNOWN : ORIGIN_VOUCHED;
	if (line == KNOWN_OTHER)
		key->expected[0] = '\0';
	return line == KNOWN_OTHER || pinned == TARGETS_CHANGED ? ORIGIN_CHANGED : ORIGIN_UNKNOWN;
}

static enum origin_verdict judge_by_ca(const struct origin_key *key, enum targets_result pinned)
{
	if (key->certified)
		return pinned == TARGETS_KNOWN ? ORIGIN_KNOWN : ORIGIN_VOUCHED;
	return pinned == TARGETS_CHANGED ? ORIGIN_CHANGED : ORIGIN_UNKNOWN;
}

/* Would the lines for plain keys change anything? They may be many, and hashed: they are looked through only
 * where they are what is gone by, so that connecting to what is pinned costs no time of everybody's. */
static bool needs_lines(
    const struct origin_key *key, enum targets_result pinned, bool by_admin, enum policy_host_keys mode)
{
	if (key->certified || mode == POLICY_HOST_KEYS_CA)
		return false;
	return pinned == TARGETS_UNKNOWN || (mode == POLICY_HOST_KEYS_KNOWN_HOSTS && !by_admin);
}

enum origin_verdict origin_key_judge(struct origin_key *key, struct database *db,
    const struct known_hosts *known, const char *address, enum policy_host_keys mode, time_t now)
{
	struct certificate certificate = {0};
	struct called called;
	char target_id[PUBLIC_KEY_FINGERPRINT_SIZE];
	bool by_admin;
	enum targets_result pinned =
	    targets_check(db, address, plain_of(key), target_id, key->expected, &by_admin);

	if (pinned == TARGETS_FAILED)
		return ORIGIN_FAILED;
	called_of(db, address, &called);
	if (certificate_is(key->shown) && certificate_parse(key->shown, &certificate))
		judge_certificate(key, &certificate, known, &called, now);
	bool revoked = is_revoked(key, known, &called, certificate.ca_blob);
	enum known_verdict line = !revoked && needs_lines(key, pinned, by_admin, mode)
	                              ? judge_plain(key, known, &called)
	                              : KNOWN_NONE;
	called_free(&called);
	bool vouched = key->certified || line == KNOWN_HERE;
	if (revoked)
		return ORIGIN_REVOKED;
	if (line == KNOWN_BUSY)
		return ORIGIN_BUSY;
	switch (mode) {
	case POLICY_HOST_KEYS_KNOWN_HOSTS:
		if (pinned == TARGETS_CHANGED && !by_admin && !is_of_pinned_type(db, address, key))
			pinned = TARGETS_UNKNOWN;
		return judge_by_lines(key, pinned, by_admin, vouched, line);
	case POLICY_HOST_KEYS_CA:
		return judge_by_ca(key, pinned);
	case POLICY_HOST_KEYS_FIRST_USE:
	case POLICY_HOST_KEYS_STRICT:
		break;
	}
	return judge_by_pins(key, pinned, vouched, line, mode == POLICY_HOST_KEYS_FIRST_USE);
}

/* What is pinned needs no lines where an administrator pinned it (needs_lines()), and is asked for where they
 * cannot be looked through now: strangers who ask for ever new addresses keep nobody from it. */
bool origin_key_algorithms(struct database *db, const struct known_hosts *known, const char *address,
    enum policy_host_keys mode, char *list, size_t size)
{
	struct called called;
	char pinned[64];

	list[0] = '\0';
	if (mode == POLICY_HOST_KEYS_CA) {
		snprintf(list, size, "%s", known_hosts_certificates);
		return true;
	}
	bool by_admin = targets_algorithms(db, address, pinned, sizeof(pinned));
	bool pin_decides = pinned[0] != '\0' && (by_admin || mode != POLICY_HOST_KEYS_KNOWN_HOSTS);
	bool looked = true;
	if (!pin_decides && known->count > 0) {
		called_of(db, address, &called);
		const struct words *names = names_of_lines(known, &called);
		looked = names != NULL && known_hosts_algorithms(known, &called.all, names, list, size);
		called_free(&called);
	}
	if (list[0] == '\0')
		snprintf(list, size, "%s", pinned);
	return looked || list[0] != '\0';
}
