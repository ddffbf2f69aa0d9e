/* SPDX-License-Identifier: Apache-2.0 */
/* Control and keeper as far as a session needs them: one enrolled key, one client CA, real signatures. */
#include "fake_box.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void make_key(struct fake_key *key)
{
	crypto_sign_keypair(key->public, key->secret);
}

void fake_control_init(struct fake_control *control)
{
	if (sodium_init() < 0)
		abort();
	make_key(&control->host);
	make_key(&control->ca);
	snprintf(control->user, sizeof(control->user), "alice");
	control->permits = 0x1f;
	control->identities = RPC_IDENTITY_CERTIFICATE | RPC_IDENTITY_KEY;
	control->origin_auth[0] = RPC_ORIGIN_CERTIFICATE;
	control->origin_auth_count = 1;
	control->attempts = 3;
	control->recording = RPC_RECORDING_BEST_EFFORT;
	randombytes_buf(control->recipient, 32);
	uint8_t secret[32];
	randombytes_buf(secret, 32);
	crypto_scalarmult_base(control->recipient, secret);
}

static size_t key_blob(const struct fake_key *key, uint8_t *blob, size_t size)
{
	struct wire_out out = wire_into(blob, size);

	wire_put_cstring(&out, "ssh-ed25519");
	wire_put_string(&out, key->public, 32);
	return wire_written(&out);
}

void fake_key_line(const struct fake_key *key, const char *comment, char *line, size_t size)
{
	uint8_t blob[128];
	char text[256];
	size_t len = key_blob(key, blob, sizeof(blob));

	sodium_bin2base64(text, sizeof(text), blob, len, sodium_base64_VARIANT_ORIGINAL);
	snprintf(line, size, "ssh-ed25519 %s %s", text, comment);
}

int fake_key_file(const char *path, uint8_t *blob, size_t *len)
{
	char type[64], text[2048];
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return -1;
	int fields = fscanf(file, "%63s %2047s", type, text);
	fclose(file);
	return fields == 2 && sodium_base642bin(blob, FAKE_BLOB_MAX, text, strlen(text), NULL, len, NULL,
	                          sodium_base64_VARIANT_ORIGINAL) == 0
	           ? 0
	           : -1;
}

static struct wire_span span(const void *at, size_t len)
{
	return (struct wire_span){at, len};
}

static size_t sign(
    const struct fake_key *key, const uint8_t *bytes, size_t len, uint8_t *out_bytes, size_t size)
{
	uint8_t signature[64];
	struct wire_out out = wire_into(out_bytes, size);

	crypto_sign_detached(signature, NULL, bytes, len, key->secret);
	wire_put_cstring(&out, "ssh-ed25519");
	wire_put_string(&out, signature, sizeof(signature));
	return wire_written(&out);
}

/* PROTOCOL.certkeys: a user certificate over an ssh-ed25519 key, good for minutes around now. */
static size_t certify(struct fake_control *control, struct wire_span public_key, const char *principal,
    uint8_t *cert, size_t size)
{
	uint8_t nonce[32], list[256], ca[128], signature[256];
	struct wire in = wire_over(public_key.at, public_key.len);
	struct wire_out names = wire_into(list, sizeof(list));
	struct wire_out out = wire_into(cert, size);
	uint64_t now = (uint64_t)time(NULL);

	randombytes_buf(nonce, sizeof(nonce));
	(void)wire_string(&in);
	struct wire_span raw = wire_string(&in);
	wire_put_cstring(&names, principal);
	wire_put_cstring(&out, "ssh-ed25519-cert-v01@openssh.com");
	wire_put_string(&out, nonce, sizeof(nonce));
	wire_put_string(&out, raw.at, raw.len);
	wire_put_u64(&out, 1);
	wire_put_u32(&out, 1 /* user */);
	wire_put_cstring(&out, "fake session");
	wire_put_string(&out, list, wire_written(&names));
	wire_put_u64(&out, now - 60);
	wire_put_u64(&out, now + 600);
	wire_put_string(&out, "", 0); /* critical options */
	names = wire_into(list, sizeof(list));
	const char *extensions[] = {"permit-X11-forwarding", "permit-agent-forwarding",
	    "permit-port-forwarding", "permit-pty", "permit-user-rc"};
	for (unsigned i = 0; i < 5; i++) {
		wire_put_cstring(&names, extensions[i]);
		wire_put_string(&names, "", 0);
	}
	wire_put_string(&out, list, wire_written(&names));
	wire_put_string(&out, "", 0);
	wire_put_string(&out, ca, key_blob(&control->ca, ca, sizeof(ca)));
	wire_put_string(
	    &out, signature, sign(&control->ca, cert, wire_written(&out), signature, sizeof(signature)));
	return wire_written(&out);
}

/* Signed by our client CA? (The signature is not looked at: this is not the real control.) */
static bool certificate_of_ours(const struct fake_control *control, struct wire_span blob)
{
	struct wire in = wire_over(blob.at, blob.len);

	if (!wire_span_is(wire_string(&in), "ssh-ed25519-cert-v01@openssh.com"))
		return false;
	for (int i = 0; i < 2; i++)
		(void)wire_string(&in); /* nonce, key */
	wire_skip(&in, 8 + 4);
	for (int i = 0; i < 2; i++)
		(void)wire_string(&in); /* key id, principals */
	wire_skip(&in, 16);
	for (int i = 0; i < 3; i++)
		(void)wire_string(&in); /* options, extensions, reserved */
	struct wire_span ca = wire_string(&in);
	return !in.failed && ca.len == control->client_ca_len &&
	       memcmp(ca.at, control->client_ca, ca.len) == 0;
}

/* By address anybody but "nobody" is known, by a password of the origin's likewise. */
static int answer_keyless(struct fake_control *c, struct rpc_message *m, const struct rpc_ses_who *who)
{
	bool good = !wire_span_is(who->login, "nobody") && who->public_key.len == 0 && who->proof.len == 0;

	printf("who %.*s by %s %s\n", (int)who->login.len, (const char *)who->login.at,
	    who->method == RPC_WHO_ADDRESS ? "address" : "origin", good ? "accepted" : "refused");
	return RPC_SEND(&c->link, SES_WHO_REPLY, ses_who_reply, RPC_FLAG_REPLY, m->id, .accepted = good,
	    .user = wire_span_of(good ? c->user : ""), .message = wire_span_of(""),
	    .second_factor = c->second_factor ? RPC_FACTOR_TOTP : RPC_FACTOR_NONE);
}

static char last_asked[256]; /* the login of the last WHO */

static int answer_factor(struct fake_control *c, struct rpc_message *m)
{
	struct rpc_ses_factor factor;

	if (!rpc_get_ses_factor(m->body, &factor))
		return -1;
	if (factor.code.len == 0) {
		bool none = strcmp(last_asked, "codeless") == 0;
		printf("factor %s\n", none ? "none" : "there");
		return RPC_SEND(&c->link, SES_FACTOR_REPLY, ses_factor_reply, RPC_FLAG_REPLY, m->id,
		    .message = wire_span_of(none ? "you have no second factor" : ""));
	}
	bool good = wire_span_is(factor.code, "123456");
	printf("factor %s\n", good ? "right" : "wrong");
	return RPC_SEND(&c->link, SES_FACTOR_REPLY, ses_factor_reply, RPC_FLAG_REPLY, m->id, .accepted = good,
	    .message = wire_span_of(good ? "" : "that code is not the one of this half minute"));
}

static int answer_who(struct fake_control *c, struct rpc_message *m)
{
	struct rpc_ses_who who;

	if (!rpc_get_ses_who(m->body, &who))
		return -1;
	(void)wire_span_copy(who.login, last_asked, sizeof(last_asked));
	if (who.method == RPC_WHO_UNTAKEN) {
		printf("who %.*s untaken\n", (int)who.login.len, (const char *)who.login.at);
		return RPC_SEND(&c->link, SES_WHO_REPLY, ses_who_reply, RPC_FLAG_REPLY, m->id, .accepted = 0);
	}
	if (who.method != RPC_WHO_PUBLICKEY)
		return answer_keyless(c, m, &who);
	bool good = (who.public_key.len == c->enrolled_len &&
	                memcmp(who.public_key.at, c->enrolled, c->enrolled_len) == 0) ||
	            certificate_of_ours(c, who.public_key);
	printf("who %.*s %s %s\n", (int)who.login.len, (const char *)who.login.at,
	    who.proof.len > 0 ? "proven" : "offered", good ? "accepted" : "refused");
	return RPC_SEND(&c->link, SES_WHO_REPLY, ses_who_reply, RPC_FLAG_REPLY, m->id, .accepted = good,
	    .user = wire_span_of(good ? c->user : ""),
	    .message = wire_span_of(good || who.proof.len == 0 ? "" : "this key is not enrolled"),
	    .second_factor = c->second_factor ? RPC_FACTOR_TOTP : RPC_FACTOR_NONE);
}

static char last_login[256];

static int answer_may(struct fake_control *c, struct rpc_message *m)
{
	struct rpc_ses_may may;

	if (!rpc_get_ses_may(m->body, &may) || !wire_span_copy(may.login, last_login, sizeof(last_login)))
		return -1;
	bool allowed = strcmp(last_login, "refused") != 0;
	return RPC_SEND(&c->link, SES_MAY_REPLY, ses_may_reply, RPC_FLAG_REPLY, m->id, .allowed = allowed,
	    .message = wire_span_of(allowed ? "" : "login 'refused' is not allowed to you on this host"),
	    .permits = c->permits, .recording = (uint8_t)c->recording,
	    .recipients = span(c->recipient, c->recording == RPC_RECORDING_NONE ? 0 : 32),
	    .user_id = wire_span_of("u-1"), .user_email = wire_span_of("alice@example.org"),
	    .account_id = wire_span_of("acme"), .origin_auth = span(c->origin_auth, c->origin_auth_count));
}

static int answer_target(struct fake_control *c, struct rpc_message *m)
{
	uint8_t blob[128];
	size_t len = key_blob(&c->host, blob, sizeof(blob));

	return RPC_SEND(&c->link, SES_TARGET_REPLY, ses_target_reply, RPC_FLAG_REPLY, m->id,
	    .verdict = c->target_changed ? RPC_TARGET_CHANGED : RPC_TARGET_KNOWN,
	    .message = wire_span_of("the origin's host key has changed"),
	    .target_id = wire_span_of("target-1"), .host_public = span(blob, len));
}

static int answer_sign(struct fake_control *c, struct rpc_message *m)
{
	struct rpc_ses_sign ask;
	uint8_t blob[256];

	if (!rpc_get_ses_sign(m->body, &ask))
		return -1;
	size_t len = sign(&c->host, ask.hash.at, ask.hash.len, blob, sizeof(blob));
	return RPC_SEND(&c->link, SES_SIGN_REPLY, ses_sign_reply, RPC_FLAG_REPLY, m->id,
	    .error = wire_span_of(""), .signature = span(blob, len));
}

static int answer_cert(struct fake_control *c, struct rpc_message *m)
{
	struct rpc_ses_cert ask;
	uint8_t cert[2048];

	if (!rpc_get_ses_cert(m->body, &ask))
		return -1;
	size_t len = certify(c, ask.public_key, last_login, cert, sizeof(cert));
	return RPC_SEND(&c->link, SES_CERT_REPLY, ses_cert_reply, RPC_FLAG_REPLY, m->id,
	    .error = wire_span_of(""), .certificate = span(cert, len));
}

static int answer_begin(struct fake_control *c, struct rpc_message *m)
{
	char id[40];

	snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012u", ++c->sessions);
	return RPC_SEND(&c->link, SES_BEGIN_REPLY, ses_begin_reply, RPC_FLAG_REPLY, m->id,
	    .error = wire_span_of(""), .session_id = wire_span_of(id), .rule_name = wire_span_of("test"),
	    .host_key_algs = wire_span_of("ssh-ed25519"), .login_grace_s = c->login_grace_s,
	    .auth_attempts = c->attempts, .identities = c->identities, .notice = wire_span_of(c->notice));
}

static void print_told(struct rpc_message *m)
{
	struct rpc_ses_event event;
	struct rpc_ses_end end;
	struct rpc_ses_program program;
	struct rpc_ses_program_end program_end;
	struct rpc_ses_resume resume;

	if (m->type == RPC_SES_EVENT && rpc_get_ses_event(m->body, &event))
		printf("event %.*s %.*s\n", (int)event.event.len, (const char *)event.event.at,
		    (int)event.detail.len, (const char *)event.detail.at);
	else if (m->type == RPC_SES_END && rpc_get_ses_end(m->body, &end))
		printf("end %.*s %llu %llu\n", (int)end.reason.len, (const char *)end.reason.at,
		    (unsigned long long)end.bytes_from_client, (unsigned long long)end.bytes_from_origin);
	else if (m->type == RPC_SES_PROGRAM && rpc_get_ses_program(m->body, &program))
		printf("program %.*s %.*s\n", (int)program.type.len, (const char *)program.type.at,
		    (int)program.command.len, (const char *)program.command.at);
	else if (m->type == RPC_SES_PROGRAM_END && rpc_get_ses_program_end(m->body, &program_end))
		printf("program-end blocks %llu lost %llu\n", (unsigned long long)program_end.blocks,
		    (unsigned long long)program_end.lost_records);
	else if (m->type == RPC_SES_RESUME && rpc_get_ses_resume(m->body, &resume))
		printf("resume %.*s %.*s\n", (int)resume.user.len, (const char *)resume.user.at,
		    (int)resume.login.len, (const char *)resume.login.at);
	else
		printf("told %s\n", rpc_type_name(m->type));
}

static int answer(struct fake_control *c, struct rpc_message *m)
{
	if (c->mute)
		return 0;
	switch (m->type) {
	case RPC_SES_BEGIN:
		return answer_begin(c, m);
	case RPC_SES_TARGET:
		return answer_target(c, m);
	case RPC_SES_SIGN:
		return answer_sign(c, m);
	case RPC_SES_WHO:
		return answer_who(c, m);
	case RPC_SES_HOST_KEYS:
		return RPC_SEND(&c->link, SES_HOST_KEYS_REPLY, ses_host_keys_reply, RPC_FLAG_REPLY, m->id,
		    .error = wire_span_of("no further keys"));
	case RPC_SES_FACTOR:
		return answer_factor(c, m);
	case RPC_SES_MAY:
		return answer_may(c, m);
	case RPC_SES_CERT:
		return answer_cert(c, m);
	default:
		print_told(m);
		return 0;
	}
}

int fake_control_turn(struct fake_control *control)
{
	struct rpc_message message;
	int got;

	while ((got = rpc_receive(&control->link, &message)) > 0) {
		if (message.type == RPC_STATS_REPLY) {
			struct rpc_stats_reply stats;
			if (rpc_get_stats_reply(message.body, &stats))
				printf("stats\n%.*s.\n", (int)stats.text.len, (const char *)stats.text.at);
		} else if (answer(control, &message) != 0) {
			return -1;
		}
		fflush(stdout);
	}
	return got < 0 ? -1 : 0;
}

void fake_control_kill_all(struct fake_control *control, const char *reason)
{
	/* A worker numbers its sessions from 1. */
	for (uint64_t flow = 1; flow <= control->sessions + 16; flow++)
		(void)RPC_SEND(&control->link, SES_KILL, ses_kill, 0, rpc_next_id(&control->link),
		    .flow = flow, .reason = wire_span_of(reason));
}
