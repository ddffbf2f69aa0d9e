/* SPDX-License-Identifier: Apache-2.0 */
/* What control may ask about the CAs: make them, show them, sign for hosts. */
#include "control/keeper/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *ca_name(uint8_t ca)
{
	static const char *const names[] = {
	    [RPC_CA_USER] = "user", [RPC_CA_CLIENT] = "client", [RPC_CA_HOST] = "host"};

	return ca < sizeof(names) / sizeof(names[0]) ? names[ca] : NULL;
}

/* Makes or finds the CA as `create` asks. False: error. */
static bool provide_ca(struct keeper *keeper, uint8_t ca, uint8_t create, char error[KEEPER_ERROR_MAX])
{
	bool there = keyring_has(&keeper->keyring, ca);

	if (create > 2)
		snprintf(error, KEEPER_ERROR_MAX, "unknown request");
	else if (create == 2 && there)
		snprintf(error, KEEPER_ERROR_MAX, "there is a %s CA already", ca_name(ca));
	else if (create == 0 && !there)
		snprintf(error, KEEPER_ERROR_MAX, "there is no %s CA yet (reeve ca create --type %s)",
		    ca_name(ca), ca_name(ca));
	else if (!there) {
		int result = keyring_create(&keeper->keyring, ca);
		if (result != 0)
			snprintf(error, KEEPER_ERROR_MAX, "the %s CA could not be stored: %s", ca_name(ca),
			    strerror(-result));
	}
	return error[0] == '\0';
}

int on_ca(void *context, struct rpc_link *link, struct rpc_message *message)
{
	struct keeper *keeper = context;
	struct rpc_key_ca body;
	uint8_t public_key[KEEPER_PUBLIC_SIZE];
	char error[KEEPER_ERROR_MAX] = "", comment[32], line[256] = "";

	if (!rpc_get_key_ca(message->body, &body) || ca_name(body.ca) == NULL)
		return -EPROTO;
	snprintf(comment, sizeof(comment), "portreeve-%s-ca", ca_name(body.ca));
	if (provide_ca(keeper, body.ca, body.create, error) &&
	    (!keyring_public(&keeper->keyring, body.ca, public_key) ||
	        !blob_public_line(public_key, comment, line, sizeof(line))))
		snprintf(error, sizeof(error), "the %s CA cannot be shown", ca_name(body.ca));
	return RPC_SEND(link, KEY_CA_REPLY, key_ca_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error), .public_line = wire_span_of(line));
}

/* -- certificates of origins' host keys -- */

/* A name that fits every host would make one origin's key good for all of them. */
static bool fits_all(struct wire_span principals)
{
	struct wire in = wire_over(principals.at, principals.len);

	while (wire_left(&in) > 0) {
		struct wire_span name = wire_string(&in);
		size_t wild = 0;
		for (size_t i = 0; i < name.len; i++)
			wild += name.at[i] == '*' || name.at[i] == '?' || name.at[i] == '.';
		if (wild == name.len)
			return true;
	}
	return false;
}

static void judge_host(
    const struct keeper *keeper, const struct rpc_key_certify_host *body, char error[KEEPER_ERROR_MAX])
{
	uint64_t now = keeper->now_s();

	if (!keyring_has(&keeper->keyring, KEYRING_HOST_CA))
		snprintf(error, KEEPER_ERROR_MAX, "there is no host CA yet (reeve ca create --type host)");
	else if (body->valid_before <= now || body->valid_before - now > KEEPER_HOST_VALIDITY_S)
		snprintf(error, KEEPER_ERROR_MAX, "the validity must end within %u days from now",
		    KEEPER_HOST_VALIDITY_S / 86400);
	else if (body->valid_after > now || now - body->valid_after > KEEPER_BACKDATE_S)
		snprintf(error, KEEPER_ERROR_MAX, "the validity must begin within the last %u seconds",
		    KEEPER_BACKDATE_S);
	else if (fits_all(body->principals))
		snprintf(error, KEEPER_ERROR_MAX, "one of the names would fit every host");
}

int on_certify_host(void *context, struct rpc_link *link, struct rpc_message *message)
{
	static uint8_t room[KEEPER_CERTIFICATE_MAX];
	struct keeper *keeper = context;
	struct rpc_key_certify_host body;
	char error[KEEPER_ERROR_MAX] = "";
	struct wire_out out = wire_into(room, sizeof(room));

	if (!rpc_get_key_certify_host(message->body, &body))
		return -EPROTO;
	struct certificate certificate = {
	    .public_key = body.public_key,
	    .serial = body.serial,
	    .key_id = body.key_id,
	    .principals = body.principals,
	    .valid_after = body.valid_after,
	    .valid_before = body.valid_before,
	};
	judge_host(keeper, &body, error);
	if (error[0] != '\0' || !certificate_make_host(&keeper->keyring, &certificate, &out, error)) {
		rpc_log(RPC_LOG_WARNING, "refused a host certificate: %s", error);
		out = wire_into(room, sizeof(room));
	}
	return RPC_SEND(link, KEY_CERTIFY_HOST_REPLY, key_certify_host_reply, RPC_FLAG_REPLY, message->id,
	    .error = wire_span_of(error), .certificate = {room, wire_written(&out)});
}
