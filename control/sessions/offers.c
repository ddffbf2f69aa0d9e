/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sessions/offers.h"

#include <stdio.h>
#include <string.h>

#include "control/certificate/certificate.h"
#include "control/sessions/sessions.h"

static void set_text(json_t *object, const char *name, struct wire_span text)
{
	char clean[OFFERS_TEXT_MAX];

	session_text(text, clean, sizeof(clean));
	(void)json_object_set_new(object, name, json_string(clean));
}

static void set_fingerprint(json_t *object, const char *name, struct wire_span blob)
{
	char fingerprint[PUBLIC_KEY_FINGERPRINT_SIZE];

	public_key_fingerprint(blob, fingerprint);
	(void)json_object_set_new(object, name, json_string(fingerprint));
}

/* The fingerprint is that of the key, as `ssh-keygen -l` and sshd have it of certificates, too. */
static void describe_certificate(json_t *object, const struct certificate *certificate, struct wire_span blob)
{
	uint8_t room[PUBLIC_KEY_BLOB_MAX];
	struct wire_out plain = wire_into(room, sizeof(room));
	char serial[24];

	bool whole = certificate_plain_key(certificate, &plain) && !plain.failed;
	set_fingerprint(object, "fingerprint", whole ? (struct wire_span){room, wire_written(&plain)} : blob);
	set_text(object, "key_id", certificate->key_id);
	/* JSON's readers take integers with a sign. */
	snprintf(serial, sizeof(serial), "%llu", (unsigned long long)certificate->serial);
	(void)json_object_set_new(object, "serial",
	    certificate->serial <= INT64_MAX ? json_integer((json_int_t)certificate->serial)
	                                     : json_string(serial));
	set_fingerprint(object, "ca", certificate->ca_blob);
}

json_t *offers_key(struct wire_span blob)
{
	struct wire in = wire_over(blob.at, blob.len);
	struct wire_span type = wire_string(&in);
	struct certificate certificate;
	json_t *object = json_object();

	set_text(object, "type", in.failed ? wire_span_of("unknown") : type);
	if (certificate_parse(blob, &certificate))
		describe_certificate(object, &certificate, blob);
	else
		set_fingerprint(object, "fingerprint", blob);
	return object;
}

/* As it stands in the list, but for its outcome. */
static json_t *offer_of(struct wire_span blob, struct wire_span login)
{
	json_t *offer = offers_key(blob);

	set_text(offer, "login", login);
	return offer;
}

/* Its place, or the number of those that are there. */
static size_t find(const struct offers *offers, json_t *offer)
{
	size_t i = 0;

	for (; i < json_array_size(offers->list); i++) {
		json_t *there = json_array_get(offers->list, i), *value;
		const char *name;
		bool same = true;
		json_object_foreach(offer, name, value) same =
		    same && json_equal(json_object_get(there, name), value);
		if (same)
			break;
	}
	return i;
}

/* What control has verified once does not become untrue: an outcome that comes later may be the client's
 * doing, or a worker's word. */
static void set_verified(json_t *offer, const char *name, bool now, const json_t *before)
{
	(void)json_object_set_new(
	    offer, name, json_boolean(now || json_is_true(json_object_get(before, name))));
}

void offers_note(
    struct offers *offers, struct wire_span blob, struct wire_span login, const struct offer_outcome *outcome)
{
	json_t *offer = offer_of(blob, login);

	if (offers->list == NULL)
		offers->list = json_array();
	size_t at = find(offers, offer);
	bool is_new = at == json_array_size(offers->list);
	if (is_new && at == OFFERS_MAX) {
		offers->more++;
		json_decref(offer);
		return;
	}
	const json_t *before = json_array_get(offers->list, at); /* NULL: it is new */
	if (json_object_get(offer, "ca") != NULL)
		set_verified(offer, "ca_trusted", outcome->attested, before);
	set_verified(offer, "proven", outcome->proven, before);
	if (outcome->refused != NULL)
		set_text(offer, "refused", wire_span_of(outcome->refused));
	if (is_new)
		(void)json_array_append_new(offers->list, offer);
	else
		(void)json_array_set_new(offers->list, at, offer);
}

void offers_drop(struct offers *offers, struct wire_span blob, struct wire_span login)
{
	json_t *offer = offer_of(blob, login);

	(void)json_array_remove(offers->list, find(offers, offer)); /* -1 where it is not there */
	json_decref(offer);
}

void offers_put(const struct offers *offers, json_t *detail)
{
	(void)json_object_del(detail, "offered");
	(void)json_object_del(detail, "offered_more");
	/* A copy: the list goes on to change. */
	if (json_array_size(offers->list) > 0)
		(void)json_object_set_new(detail, "offered", json_copy(offers->list));
	if (offers->more > 0)
		(void)json_object_set_new(detail, "offered_more", json_integer(offers->more));
}

void offers_free(struct offers *offers)
{
	json_decref(offers->list);
	*offers = (struct offers){0};
}
