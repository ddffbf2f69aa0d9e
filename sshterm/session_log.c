/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/session_log.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Length of the UTF-8 sequence (RFC 3629) at `at`, 0 where it is none. NUL and C1 are left to the reader. */
static size_t utf8_len(const uint8_t *at, size_t left)
{
	size_t len = at[0] < 0x80                    ? 1
	             : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
	             : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
	             : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
	                                             : 0;

	if (at[0] == 0 || len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) || /* overlong, surrogates */
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] >= 0x90))
		return 0;
	return len;
}

void session_log_text(char *out, size_t size, const uint8_t *text, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len;) {
		size_t whole = utf8_len(text + i, len - i);
		size_t copied = whole == 0 ? 1 : whole;

		if (used + copied + 1 > size)
			break;
		if (whole == 0)
			out[used] = '?';
		else
			memcpy(out + used, text + i, whole);
		used += copied;
		i += copied;
	}
	if (size > 0)
		out[used] = '\0';
}

static void set_text(json_t *object, const char *key, const char *text)
{
	char clean[4096];

	session_log_text(clean, sizeof(clean), (const uint8_t *)text, strlen(text));
	json_object_set_new(object, key, json_string(clean));
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void set_time(json_t *object, const char *key, uint64_t at_us)
{
	time_t seconds = (time_t)(at_us / 1000000);
	struct tm utc;
	char text[40] = "";

	if (at_us != 0 && gmtime_r(&seconds, &utc) != NULL) {
		size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);

		snprintf(text + len, sizeof(text) - len, ".%03uZ", (unsigned)(at_us / 1000 % 1000));
	}
	json_object_set_new(object, key, json_string(text));
}

static void set_address(json_t *object, const char *key, const struct slab_flow *flow, const uint8_t addr[16])
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(flow->family == 4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
	json_object_set_new(object, key, json_string(text));
}

static void set_pty(json_t *object, const struct channel_pty *pty)
{
	char text[FORMAT_TERM_MAX + 32] = "";

	if (pty != NULL)
		snprintf(text, sizeof(text), "%s %ux%u", pty->term, pty->width, pty->height);
	set_text(object, "PTY", text);
}

static void set_cloudflare(
    json_t *object, const struct session *session, const struct session_log_program *program)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	set_text(object, "AccountID", session->grant.account_id);
	set_address(object, "ClientAddress", &session->flow, session->flow.client_addr);
	set_time(object, "Datetime", (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	set_text(object, "Error", program->error);
	set_pty(object, program->pty);
	json_object_set_new(object, "Payload", json_string(""));
	set_time(object, "ProgramFinishDatetime", program->finished_us);
	set_text(object, "ProgramID", program->program_id);
	set_time(object, "ProgramStartDatetime", program->started_us);
	set_text(object, "ProgramType", program->type);
	set_address(object, "ServerAddress", &session->flow, session->flow.server_addr);
	set_time(object, "SessionFinishDatetime", program->session_finished_us);
	set_text(object, "SessionID", session->session_id);
	set_time(object, "SessionStartDatetime", session->started_at_us);
	set_text(object, "TargetID", session->target_id);
	set_text(object, "UserEmail", session->grant.user_email);
	set_text(object, "UserID", session->grant.user_id);
	set_text(object, "Username", session->login);
}

static void set_exit(json_t *object, const struct channel_exit *how)
{
	if (how == NULL)
		return;
	if (how->has_status)
		set_number(object, "exit_status", how->status);
	if (how->signal[0] != '\0')
		set_text(object, "exit_signal", how->signal);
}

static void set_ours(json_t *object, const struct session *session, const struct session_log_program *program)
{
	set_text(object, "user", session->user);
	set_text(object, "rule", session->rule_name);
	set_number(object, "client_port", session->flow.client_port);
	set_number(object, "server_port", session->flow.server_port);
	json_object_set_new(object, "recorded", json_boolean(program->recorded));
	set_number(object, "bytes_from_client", program->bytes[LEG_CLIENT]);
	set_number(object, "bytes_from_origin", program->bytes[LEG_ORIGIN]);
	set_number(object, "lost_records", program->lost_records);
	set_text(object, "close_reason", program->close_reason);
	set_exit(object, program->exit);
	if (program->command != NULL)
		set_text(object, "command", program->command);
	if (program->destination[0] != '\0')
		set_text(object, "destination", program->destination);
	if (program->originator[0] != '\0')
		set_text(object, "originator", program->originator);
}

char *session_log_json(const struct session *session, const struct session_log_program *program)
{
	json_t *object = json_object();

	if (object == NULL)
		return NULL;
	set_cloudflare(object, session, program);
	set_ours(object, session, program);
	char *text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}
