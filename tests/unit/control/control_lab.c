/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/control/control_lab.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A session, and the number of a question, that no test has. */
#define NOBODY 0x7fffffffu

const char lab_policy[] =
    "default: allow\n"
    "rules:\n"
    "  - {name: no-telnet, action: block, match: {protocol: tcp, dst_port: 23}}\n"
    "  - name: prod-ssh\n"
    "    action: audit_ssh\n"
    "    match: {dst_ip: [198.51.100.0/24, \"2001:db8::/64\"], dst_port: 22}\n"
    "    ssh: {users: {groups: [sre], names: [carol]}, logins: [\"{user}\", root], "
    "permit: [pty, agent-forwarding],\n"
    "          certificate_ttl: 150s, login_grace: 60s, auth_attempts: 4}\n"
    "  - name: strict-ssh\n"
    "    action: audit_ssh\n"
    "    match: {dst_port: 2222}\n"
    "    ssh: {users: {groups: [sre]}, logins: [root], host_keys: strict, recording: "
    "strict, log_exec: true}\n"
    "  - name: any-ssh\n"
    "    action: audit_ssh\n"
    "    match: {dst_port: 2200}\n"
    "    ssh: {users: {groups: [sre]}, logins: [\"{user}\", root], identities: "
    "[address, origin], origin_auth: [certificate, password]}\n"
    "  - name: limited-ssh\n"
    "    action: audit_ssh\n"
    "    match: {dst_port: 2201}\n"
    "    ssh: {users: {groups: [sre]}, logins: [root], limits: {sessions_per_user: 2, "
    "sessions_per_source: 3}}\n"
    "  - {name: totp-ssh, action: audit_ssh, match: {dst_port: 2202}, ssh: {users: "
    "{groups: [sre]}, logins: [\"{user}\", root], limits: {sessions_per_user: 1}, "
    "identities: [key, address, origin], origin_auth: [certificate, password], second_factor: totp}}\n"
    "  - {name: address-ssh, action: audit_ssh, match: {dst_port: 2203}, ssh: {users: "
    "{groups: [sre]}, logins: [root], identities: [address]}}\n"
    "  - {name: shared-ssh, action: audit_ssh, match: {dst_port: 2204}, ssh: {users: "
    "{groups: [sre]}, logins: [\"{user}\", root], identities: [key, address]}}\n";

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* -- the process ------------------------------------------------------------------------------------------
 */

void lab_open(struct lab *lab)
{
	*lab = (struct lab){.client = -1};
	cr_assert(sodium_init() >= 0);
	strcpy(lab->dir, "/tmp/reeve-control-XXXXXX");
	cr_assert_not_null(mkdtemp(lab->dir));
	snprintf(lab->socket, sizeof(lab->socket), "%s/control.sock", lab->dir);
	snprintf(lab->policy, sizeof(lab->policy), "%s/policy.yaml", lab->dir);
	FILE *file = fopen(lab->policy, "w");
	cr_assert_not_null(file);
	fputs(lab_policy, file);
	fclose(file);
	for (int i = 1; i < 4; i++)
		mint_key(&lab->cas[i]);
	lab->totp_error = "";
	lab->host_seed = "seed one";
	lab->ca_exists[RPC_CA_CLIENT] = lab->ca_exists[RPC_CA_USER] = true;
	lab->supervisor.fd = lab->keeper.fd = lab->dataplane.fd = lab->recorder.fd = -1;
	lab->workers[0].fd = lab->workers[1].fd = -1;
}

static void spawn(struct lab *lab)
{
	int fds[2];

	cr_assert_eq(rpc_pair(fds), 0);
	lab->pid = fork();
	cr_assert(lab->pid >= 0);
	if (lab->pid == 0) {
		dup2(fds[1], RPC_SUPERVISOR_FD);
		/* What seccomp keeps the leak checker from is not this test's business. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execl(REEVE_CONTROL, "reeve-control", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	cr_assert_eq(rpc_link_open(&lab->supervisor, fds[0], RPC_CONTROL, 0, 0), 0);
}

static void configure(struct lab *lab)
{
	static const uint8_t reporter[4] = {0, 0, LAB_REPORTER >> 8, LAB_REPORTER & 0xff};
	uint8_t links[32], recipient[32] = {7};
	struct wire_out out = wire_into(links, sizeof(links));
	char state[80];

	wire_put_cstring(&out, "lab");
	snprintf(state, sizeof(state), "%s/state", lab->dir);
	LAB_SEND(&lab->supervisor, SUP_CONFIG_CONTROL, sup_config_control, 0,
	    .socket = wire_span_of(lab->socket), .state = wire_span_of(state),
	    .policy = wire_span_of(lab->policy), .recipients = {recipient, 32}, .workers = 2, .lcores = 1,
	    .links = {links, wire_written(&out)}, .owner = getuid(),
	    .reporters = {reporter, lab->reporter ? sizeof(reporter) : 0});
}

void lab_attach(struct lab *lab, struct rpc_link *link, enum rpc_role role, uint32_t index)
{
	static uint32_t epoch;
	int fds[2];

	if (link->fd >= 0)
		rpc_link_close(link);
	cr_assert_eq(rpc_pair(fds), 0);
	cr_assert_eq(rpc_link_open(link, fds[0], RPC_CONTROL, 0, ++epoch), 0);
	cr_assert_eq(RPC_SEND_FDS(&lab->supervisor, SUP_ATTACH_RPC, sup_attach_rpc, 0, 0, &fds[1], 1,
	                 .role = (uint8_t)role, .index = index, .epoch = epoch),
	    0);
	close(fds[1]);
}

static void attach_all(struct lab *lab)
{
	lab_attach(lab, &lab->keeper, RPC_KEEPER, 0);
	lab_attach(lab, &lab->dataplane, RPC_DATAPLANE, 0);
	lab_attach(lab, &lab->recorder, RPC_RECORDER, 0);
	lab_attach(lab, &lab->workers[0], RPC_SSHTERM, 0);
	lab_attach(lab, &lab->workers[1], RPC_SSHTERM, 1);
}

void lab_start(struct lab *lab)
{
	struct rpc_message message;

	spawn(lab);
	configure(lab);
	attach_all(lab);
	if (lab->before_start != NULL)
		lab->before_start();
	LAB_SEND(&lab->supervisor, SUP_START, sup_start, 0, .reserved = 0);
	lab_await(lab, &lab->supervisor, RPC_SUP_READY, &message);
}

int lab_start_fails(struct lab *lab)
{
	int status = 0;

	spawn(lab);
	configure(lab);
	LAB_SEND(&lab->supervisor, SUP_START, sup_start, 0, .reserved = 0);
	cr_assert_eq(waitpid(lab->pid, &status, 0), lab->pid);
	lab->pid = 0;
	rpc_link_close(&lab->supervisor);
	return status;
}

void lab_kill(struct lab *lab)
{
	if (lab->pid > 0) {
		kill(lab->pid, SIGKILL);
		(void)waitpid(lab->pid, NULL, 0);
	}
	lab->pid = 0;
	struct rpc_link *links[] = {&lab->supervisor, &lab->keeper, &lab->dataplane, &lab->recorder,
	    &lab->workers[0], &lab->workers[1]};
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (links[i]->fd >= 0)
			rpc_link_close(links[i]);
	if (lab->client >= 0)
		close(lab->client);
	lab->client = -1;
}

void lab_close(struct lab *lab)
{
	char command[128];
	int status = 0;

	if (lab->pid > 0) {
		/* An orderly stop leaves with 0. */
		LAB_SEND(&lab->supervisor, SUP_STOP, sup_stop, 0, .grace_ms = 100);
		cr_assert_eq(waitpid(lab->pid, &status, 0), lab->pid);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "reeve-control ended with status %x",
		    status);
		lab->pid = 0;
	}
	lab_kill(lab);
	free(lab->policy_blob);
	snprintf(command, sizeof(command), "rm -rf %s", lab->dir);
	cr_expect_eq(system(command), 0);
}

/* -- the keeper's and the dataplane's parts ---------------------------------------------------------------
 */

static void text_of(struct wire_span span, char *text, size_t size)
{
	snprintf(text, size, "%.*s", (int)span.len, span.len > 0 ? (const char *)span.at : "");
}

static void heard(struct lab *lab, const char *what, struct wire_span span, int number)
{
	size_t len = strlen(lab->keeper_heard);

	snprintf(lab->keeper_heard + len, sizeof(lab->keeper_heard) - len, "%s %.*s %d;", what, (int)span.len,
	    (const char *)span.at, number);
}

static void put_ca_key(struct wire_out *out, uint8_t state, uint64_t retire_at, const struct mint_key *key)
{
	uint8_t room[256];
	struct wire_out one = wire_into(room, sizeof(room));

	wire_put_u8(&one, state);
	wire_put_u64(&one, 1);
	wire_put_u64(&one, retire_at);
	wire_put_string(&one, key->blob, sizeof(key->blob));
	wire_put_cstring(&one, "");
	wire_put_string(out, room, wire_written(&one));
}

/* One key each; the client CA may have an old one, too. */
static void keeper_ca(struct lab *lab, struct rpc_message *message)
{
	struct rpc_key_ca ca;
	uint8_t room[1024], problem = RPC_PROBLEM_NONE;
	struct wire_out keys = wire_into(room, sizeof(room));

	cr_assert(rpc_get_key_ca(message->body, &ca) && ca.ca >= 1 && ca.ca <= 3);
	if (ca.action == RPC_CA_CREATE && lab->ca_exists[ca.ca])
		problem = RPC_PROBLEM_CONFLICT;
	else if (ca.action == RPC_CA_CREATE)
		lab->ca_exists[ca.ca] = true;
	if (lab->ca_exists[ca.ca])
		put_ca_key(&keys, RPC_CA_CURRENT, 0, &lab->cas[ca.ca]);
	if (ca.ca == RPC_CA_CLIENT && lab->ca_exists[ca.ca] && lab->old_client_ca)
		put_ca_key(&keys, RPC_CA_OLD, lab->old_client_ca_until, &lab->cas[0]);
	cr_assert_eq(RPC_SEND(&lab->keeper, KEY_CA_REPLY, key_ca_reply, RPC_FLAG_REPLY, message->id,
	                 .problem = problem,
	                 .error = wire_span_of(problem != RPC_PROBLEM_NONE ? "there is one already" : ""),
	                 .keys = {room, wire_written(&keys)}),
	    0);
}

static void keeper_certify_host(struct lab *lab, struct rpc_message *message)
{
	static const uint8_t certificate[65536] = {1};
	struct rpc_key_certify_host asked;
	const char *error = lab->host_certificate == 0 ? "there is no host CA yet" : "";

	cr_assert(rpc_get_key_certify_host(message->body, &asked));
	cr_assert(asked.principals.len <= sizeof(lab->host_principals));
	memcpy(lab->host_principals, asked.principals.at, asked.principals.len);
	lab->host_principals_len = asked.principals.len;
	cr_assert_eq(RPC_SEND(&lab->keeper, KEY_CERTIFY_HOST_REPLY, key_certify_host_reply, RPC_FLAG_REPLY,
	                 message->id, .error = wire_span_of(error),
	                 .certificate = {certificate, lab->host_certificate}),
	    0);
}

static void keeper_certify(struct lab *lab, struct rpc_message *message)
{
	struct lab_certify *c = &lab->certify;
	uint8_t blob[PUBLIC_KEY_BLOB_MAX];
	struct mint_key key;

	cr_assert(rpc_get_key_certify(message->body, &c->body));
	c->count++;
	text_of(c->body.session_id, c->session_id, sizeof(c->session_id));
	text_of(c->body.key_id, c->key_id, sizeof(c->key_id));
	text_of(c->body.source_address, c->source_address, sizeof(c->source_address));
	text_of(c->body.force_command, c->force_command, sizeof(c->force_command));
	cr_assert(c->body.principals.len <= sizeof(c->principals) &&
	          c->body.public_key.len <= sizeof(c->public_key));
	memcpy(c->principals, c->body.principals.at, c->principals_len = c->body.principals.len);
	memcpy(c->public_key, c->body.public_key.at, c->public_key_len = c->body.public_key.len);
	/* Any principals will do for what is looked at here: the first alone. */
	struct wire in = wire_over(c->principals, c->principals_len);
	char principal[64];
	text_of(wire_string(&in), principal, sizeof(principal));
	memcpy(key.blob, c->public_key, sizeof(key.blob));
	struct mint_certificate certificate = {.serial = c->body.serial,
	    .type = 1,
	    .key_id = c->key_id,
	    .principals = {principal},
	    .valid_after = c->body.valid_after,
	    .valid_before = c->body.valid_before,
	    .extensions = {{"permit-pty", NULL, false}}};
	size_t len = mint_certificate(&certificate, &key, &lab->cas[c->body.ca], blob);
	cr_assert_eq(RPC_SEND(&lab->keeper, KEY_CERTIFY_REPLY, key_certify_reply, RPC_FLAG_REPLY, message->id,
	                 .certificate = {blob, len}),
	    0);
}

static void keeper_evidence(struct lab *lab, struct rpc_message *message)
{
	struct rpc_key_evidence evidence;
	uint8_t bytes[64] = {1};

	cr_assert(rpc_get_key_evidence(message->body, &evidence));
	memcpy(lab->evidence[0], lab->evidence[1], sizeof(lab->evidence[0]));
	text_of(evidence.text, lab->evidence[1], sizeof(lab->evidence[1]));
	cr_assert_eq(RPC_SEND(&lab->keeper, KEY_EVIDENCE_REPLY, key_evidence_reply, RPC_FLAG_REPLY,
	                 message->id, .signature = {bytes, 64}, .public_key = {bytes, 32}),
	    0);
}

static const char *seed_of(const struct lab *lab, uint8_t which)
{
	return which == 0 ? lab->host_seed : which == 1 ? lab->next_host_seed : lab->former_host_seed;
}

static void answer_host(struct lab *lab, const struct rpc_message *message, uint8_t which)
{
	const char *seed = seed_of(lab, which);

	cr_assert_eq(RPC_SEND(&lab->keeper, KEY_HOST_REPLY, key_host_reply, RPC_FLAG_REPLY, message->id,
	                 .error = wire_span_of(seed == NULL ? "there is no such host-key seed" : ""),
	                 .public_key = mint_blob(&lab->cas[which == 1 ? RPC_CA_USER : RPC_CA_HOST]),
	                 .seed = wire_span_of(seed == NULL ? "" : seed)),
	    0);
}

static void keeper_totp(struct lab *lab, const struct rpc_message *message)
{
	struct rpc_key_totp_enrol enrol;
	struct rpc_key_totp_remove removal;
	struct rpc_key_totp_check check;

	switch (message->type) {
	case RPC_KEY_TOTP_ENROL:
		cr_assert(rpc_get_key_totp_enrol(message->body, &enrol));
		heard(lab, "ENROL", enrol.user, (int)enrol.box_key.len);
		cr_assert_eq(
		    RPC_SEND(&lab->keeper, KEY_TOTP_ENROL_REPLY, key_totp_enrol_reply, RPC_FLAG_REPLY,
		        message->id, .error = wire_span_of(lab->totp_error), .sealed = enrol.box_key),
		    0);
		break;
	case RPC_KEY_TOTP_REMOVE:
		cr_assert(rpc_get_key_totp_remove(message->body, &removal));
		heard(lab, "FORGET", removal.user, 0);
		cr_assert_eq(RPC_SEND(&lab->keeper, KEY_TOTP_REMOVE_REPLY, key_totp_remove_reply,
		                 RPC_FLAG_REPLY, message->id, .error = wire_span_of(lab->totp_error)),
		    0);
		break;
	default:
		cr_assert(rpc_get_key_totp_check(message->body, &check));
		heard(lab, "CODE", check.user, 0);
		cr_assert_eq(RPC_SEND(&lab->keeper, KEY_TOTP_CHECK_REPLY, key_totp_check_reply,
		                 RPC_FLAG_REPLY, message->id, .verdict = lab->totp_verdict, .wait_s = 61),
		    0);
		break;
	}
}

static void play_keeper(struct lab *lab)
{
	struct rpc_message message;
	struct rpc_key_session session;
	struct rpc_key_host host;
	struct rpc_key_host_sign sign;
	struct rpc_key_host_prove prove;
	struct rpc_key_secret secret;

	if (rpc_receive(&lab->keeper, &message) != 1) {
		rpc_link_close(&lab->keeper);
		return;
	}
	switch (message.type) {
	case RPC_KEY_CA:
		keeper_ca(lab, &message);
		break;
	case RPC_KEY_CERTIFY:
		keeper_certify(lab, &message);
		break;
	case RPC_KEY_EVIDENCE:
		keeper_evidence(lab, &message);
		break;
	case RPC_KEY_SESSION:
		cr_assert(rpc_get_key_session(message.body, &session));
		heard(lab, "SESSION", session.session_id, session.live);
		text_of(session.seed, lab->told_seed, sizeof(lab->told_seed));
		break;
	case RPC_KEY_HOST:
		cr_assert(rpc_get_key_host(message.body, &host));
		heard(lab, "HOST", host.target_id, host.next);
		if (lab->keeper_holds) {
			cr_assert_lt(lab->held_count, 4);
			lab->held[lab->held_count++] = message.id;
			break;
		}
		answer_host(lab, &message, host.next);
		break;
	case RPC_KEY_CERTIFY_HOST:
		keeper_certify_host(lab, &message);
		break;
	case RPC_KEY_HOST_SEED:
		heard(lab, "SEED", wire_span_of(""), 0);
		cr_assert_eq(
		    RPC_SEND(&lab->keeper, KEY_HOST_SEED_REPLY, key_host_seed_reply, RPC_FLAG_REPLY,
		        message.id, .current = wire_span_of(lab->host_seed),
		        .next = wire_span_of(lab->next_host_seed == NULL ? "" : lab->next_host_seed)),
		    0);
		break;
	case RPC_KEY_HOST_PROVE:
		cr_assert(rpc_get_key_host_prove(message.body, &prove));
		heard(lab, "PROVE", prove.seed, (int)prove.identifier.len);
		cr_assert_eq(RPC_SEND(&lab->keeper, KEY_HOST_PROVE_REPLY, key_host_prove_reply,
		                 RPC_FLAG_REPLY, message.id, .signature = prove.algorithm),
		    0);
		break;
	case RPC_KEY_HOST_SIGN:
		cr_assert(rpc_get_key_host_sign(message.body, &sign));
		heard(lab, "SIGN", sign.session_id, (int)sign.hash.len);
		cr_assert_eq(RPC_SEND(&lab->keeper, KEY_HOST_SIGN_REPLY, key_host_sign_reply, RPC_FLAG_REPLY,
		                 message.id, .signature = sign.hash),
		    0);
		break;
	case RPC_KEY_SECRET:
		cr_assert(rpc_get_key_secret(message.body, &secret));
		heard(lab, "SECRET", secret.login, (int)secret.box_key.len);
		cr_assert_eq(RPC_SEND(&lab->keeper, KEY_SECRET_REPLY, key_secret_reply, RPC_FLAG_REPLY,
		                 message.id, .kind = RPC_SECRET_PASSWORD, .sealed = wire_span_of("sealed")),
		    0);
		break;
	case RPC_KEY_SECRET_SIGN:
		cr_assert_eq(RPC_SEND(&lab->keeper, KEY_SECRET_SIGN_REPLY, key_secret_sign_reply,
		                 RPC_FLAG_REPLY, message.id, .signature = wire_span_of("signature")),
		    0);
		break;
	case RPC_KEY_TOTP_ENROL:
	case RPC_KEY_TOTP_REMOVE:
	case RPC_KEY_TOTP_CHECK:
		keeper_totp(lab, &message);
		break;
	default:
		cr_assert_fail("the keeper was sent %s", rpc_type_name(message.type));
	}
}

void lab_host_answer(struct lab *lab, unsigned n, const struct mint_key *key)
{
	cr_assert_lt(n, lab->held_count);
	cr_assert_eq(RPC_SEND(&lab->keeper, KEY_HOST_REPLY, key_host_reply, RPC_FLAG_REPLY, lab->held[n],
	                 .public_key = mint_blob(key), .seed = wire_span_of(lab->host_seed)),
	    0);
}

static void play_dataplane(struct lab *lab)
{
	struct rpc_message message;
	struct rpc_dp_policy policy;

	if (rpc_receive(&lab->dataplane, &message) != 1) {
		rpc_link_close(&lab->dataplane);
		return;
	}
	if (message.type == RPC_STATS) {
		cr_assert_eq(RPC_SEND(&lab->dataplane, STATS_REPLY, stats_reply, RPC_FLAG_REPLY, message.id,
		                 .text = wire_span_of("rx_packets 12\nacl_lookups 3\n")),
		    0);
		return;
	}
	cr_assert_eq(message.type, RPC_DP_POLICY);
	cr_assert(rpc_get_dp_policy(message.body, &policy));
	cr_assert_eq(message.fd_count, 1);
	int seals = fcntl(message.fds[0], F_GET_SEALS);
	cr_assert_eq(seals, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	free(lab->policy_blob);
	lab->policy_blob = malloc(policy.size);
	lab->policy_size = policy.size;
	cr_assert_eq(pread(message.fds[0], lab->policy_blob, policy.size, 0), (ssize_t)policy.size);
	rpc_message_close_fds(&message);
	lab->policies++;
	lab->policy_generation = policy.generation;
	cr_assert_eq(RPC_SEND(&lab->dataplane, DP_POLICY_DONE, dp_policy_done, RPC_FLAG_REPLY, message.id,
	                 .generation = policy.generation,
	                 .error = wire_span_of(lab->dataplane_refuses == NULL ? "" : lab->dataplane_refuses)),
	    0);
}

/* Waits for `fd` while the keeper and the dataplane do their parts. False after `ms`. */
static bool pump(struct lab *lab, int fd, int ms)
{
	int64_t deadline = now_ms() + ms;

	for (;;) {
		struct pollfd fds[3] = {{fd, POLLIN, 0},
		    {lab->keeper_silent || lab->keeper.fd == fd ? -1 : lab->keeper.fd, POLLIN, 0},
		    {lab->dataplane_silent || lab->dataplane.fd == fd ? -1 : lab->dataplane.fd, POLLIN, 0}};
		int64_t left = deadline - now_ms();
		if (left < 0 || poll(fds, 3, (int)left) < 0)
			return false;
		if (fds[1].revents != 0)
			play_keeper(lab);
		if (fds[2].revents != 0)
			play_dataplane(lab);
		if (fds[0].revents != 0)
			return true;
	}
}

void lab_await(struct lab *lab, struct rpc_link *link, uint16_t type, struct rpc_message *message)
{
	/* Longer than control waits for a keeper that is silent. */
	cr_assert(pump(lab, link->fd, LAB_PATIENCE_MS), "no %s comes", rpc_type_name(type));
	int got = rpc_receive(link, message);
	cr_assert_eq(got, 1, "the link ended (%d) where %s was expected", got, rpc_type_name(type));
	cr_assert_eq(
	    message->type, type, "expected %s, got %s", rpc_type_name(type), rpc_type_name(message->type));
}

void lab_idle(struct lab *lab, int ms)
{
	(void)pump(lab, -1, ms);
}

/* Asks a worker's question that is answered at once and changes nothing; what came before it is done. */
static void round_trip(struct lab *lab, struct rpc_link *link)
{
	static const uint8_t hash[32];
	struct rpc_message message;

	LAB_SEND(link, SES_SIGN, ses_sign, NOBODY, .flow = NOBODY, .hash = {hash, sizeof(hash)});
	lab_await(lab, link, RPC_SES_SIGN_REPLY, &message);
	cr_assert_eq(message.id, NOBODY, "another answer was there first");
}

static bool waits(const struct rpc_link *link, bool silent)
{
	struct pollfd pfd = {.fd = silent ? -1 : link->fd, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

void lab_settle(struct lab *lab)
{
	bool more = true;

	while (more) {
		/* What was sent before the first question is read before it, or in the same turn as it; by
		 * the answer to the second that turn is over. */
		for (int turn = 0; turn < 2; turn++)
			for (int i = 0; i < 2; i++)
				if (lab->workers[i].fd >= 0)
					round_trip(lab, &lab->workers[i]);
		more = false;
		while (waits(&lab->keeper, lab->keeper_silent)) {
			play_keeper(lab);
			more = true;
		}
		while (waits(&lab->dataplane, lab->dataplane_silent)) {
			play_dataplane(lab);
			more = true;
		}
	}
}

void lab_settle_on_disk(struct lab *lab)
{
	char path[128];
	sqlite3 *db = NULL;

	lab_settle(lab);
	snprintf(path, sizeof(path), "%s/state/control.db", lab->dir);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, LAB_PATIENCE_MS);
	/* Whoever gathers has the right to write until it is committed. */
	cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL), SQLITE_OK, "%s",
	    sqlite3_errmsg(db));
	sqlite3_close(db);
}

bool lab_silent(struct lab *lab, struct rpc_link *link, int ms)
{
	return !pump(lab, link->fd, ms);
}

bool lab_hung_up(struct lab *lab, struct rpc_link *link)
{
	struct rpc_message message;

	return pump(lab, link->fd, LAB_PATIENCE_MS) && rpc_receive(link, &message) == -ECONNRESET;
}

/* -- the control socket -----------------------------------------------------------------------------------
 */

int lab_connect(struct lab *lab)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, lab->socket);
	cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect %s: %s",
	    lab->socket, strerror(errno));
	return fd;
}

void lab_send_text(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
		cr_assert(sent > 0, "send: %s", strerror(errno));
		text += sent;
		len -= (size_t)sent;
	}
}

json_t *lab_read_json(struct lab *lab, int fd)
{
	size_t len = 0, room = 0;
	char *line = NULL;

	for (;;) {
		if (len + 65536 > room)
			line = realloc(line, room = room * 2 + 131072);
		cr_assert(pump(lab, fd, LAB_PATIENCE_MS), "no answer at the control socket");
		/* Peek for the newline: what is behind it stays for the next call. */
		ssize_t got = recv(fd, line + len, room - len, MSG_PEEK);
		if (got <= 0)
			break;
		char *newline = memchr(line + len, '\n', (size_t)got);
		size_t take = newline != NULL ? (size_t)(newline - line) + 1 - len : (size_t)got;
		cr_assert_eq(recv(fd, line + len, take, 0), (ssize_t)take);
		len += take;
		if (newline != NULL)
			break;
	}
	json_t *json = len == 0 ? NULL : json_loadb(line, len, 0, NULL);
	free(line);
	return json;
}

json_t *lab_call(struct lab *lab, const char *method, json_t *params)
{
	static int id;
	json_t *request = json_pack("{s:s, s:s, s:i}", "jsonrpc", "2.0", "method", method, "id", ++id);
	char *text;

	if (params != NULL)
		json_object_set_new(request, "params", params);
	text = json_dumps(request, JSON_COMPACT);
	if (lab->client < 0)
		lab->client = lab_connect(lab);
	lab_send_text(lab->client, text, strlen(text));
	lab_send_text(lab->client, "\n", 1);
	free(text);
	json_decref(request);
	json_t *response = lab_read_json(lab, lab->client);
	cr_assert_eq(json_integer_value(json_object_get(response, "id")), id);
	return response;
}

json_t *lab_result(struct lab *lab, const char *method, json_t *params, json_t **response)
{
	*response = lab_call(lab, method, params);
	json_t *result = json_object_get(*response, "result");
	cr_assert(result != NULL, "%s: %s", method,
	    json_string_value(json_object_get(json_object_get(*response, "error"), "message")));
	return result;
}

int lab_error(struct lab *lab, const char *method, json_t *params, char **message)
{
	json_t *response = lab_call(lab, method, params);
	json_t *error = json_object_get(response, "error");
	int code = (int)json_integer_value(json_object_get(error, "code"));

	if (message != NULL) {
		const char *text = json_string_value(json_object_get(error, "message"));
		*message = strdup(text == NULL ? "" : text);
	}
	json_decref(response);
	return code;
}
