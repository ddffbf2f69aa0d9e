/* SPDX-License-Identifier: Apache-2.0 */
/* RPC: links with descriptors, bodies from the tables, calls, dispatch, log lines; and peers that lie. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control/rpc/rpc.h"

static void open_pair(struct rpc_link *a, struct rpc_link *b)
{
	int fds[2];
	cr_assert_eq(rpc_pair(fds), 0);
	cr_assert_eq(rpc_link_open(a, fds[0], RPC_CONTROL, 0, 1), 0);
	cr_assert_eq(rpc_link_open(b, fds[1], RPC_SSHTERM, 3, 1), 0);
}

static void close_pair(struct rpc_link *a, struct rpc_link *b)
{
	rpc_link_close(a);
	rpc_link_close(b);
}

static unsigned open_fds(void)
{
	unsigned count = 0;
	for (int fd = 0; fd < 512; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

Test(rpc, a_message_with_descriptors)
{
	struct rpc_link a, b;
	struct rpc_message message;
	struct rpc_sup_attach_slab body;
	int fds[2];
	open_pair(&a, &b);
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(RPC_SEND_FDS(&a, SUP_ATTACH_SLAB, sup_attach_slab, RPC_FLAG_REPLY, 77, fds, 2, .role = 5,
	                 .index = 2, .lcore = 1, .lane = 3, .side = 2, .epoch = 9),
	    0);
	cr_assert_eq(rpc_receive(&b, &message), 1);
	cr_expect_eq(message.type, RPC_SUP_ATTACH_SLAB);
	cr_expect_eq(message.flags, RPC_FLAG_REPLY);
	cr_expect_eq(message.id, 77);
	cr_expect_eq(message.fd_count, 2);
	cr_expect_eq(message.fds[2], -1);
	cr_expect(fcntl(message.fds[0], F_GETFD) & FD_CLOEXEC, "it would leak into an exec");
	cr_assert(rpc_get_sup_attach_slab(message.body, &body));
	cr_expect(body.role == 5 && body.index == 2 && body.lcore == 1 && body.lane == 3 && body.side == 2 &&
	          body.epoch == 9);
	cr_assert_eq(write(message.fds[1], "x", 1), 1);
	char c;
	cr_expect_eq(read(fds[0], &c, 1), 1);
	rpc_message_close_fds(&message);
	cr_expect_eq(message.fd_count, 0);
	close_pair(&a, &b);
}

Test(rpc, limits)
{
	struct rpc_link a, b;
	struct rpc_message message;
	static uint8_t big[RPC_MESSAGE_MAX];
	open_pair(&a, &b);
	struct wire_out out = {.start = big, .at = big + RPC_MESSAGE_MAX - 8, .end = big + RPC_MESSAGE_MAX};
	cr_expect_eq(rpc_send(&a, 1, 0, 1, &out, NULL, 0), 0, "the longest message there may be");
	cr_assert_eq(rpc_receive(&b, &message), 1);
	cr_expect_eq(message.body.len, RPC_MESSAGE_MAX - 8);
	out.at++;
	cr_expect_eq(rpc_send(&a, 1, 0, 1, &out, NULL, 0), -EMSGSIZE);
	out.at = big;
	out.failed = true;
	cr_expect_eq(rpc_send(&a, 1, 0, 1, &out, NULL, 0), -EMSGSIZE);
	int fds[5] = {0, 0, 0, 0, 0};
	cr_expect_eq(rpc_send(&a, 1, 0, 1, NULL, fds, 5), -EMSGSIZE);
	cr_expect_eq(RPC_SEND(&a, STATS_REPLY, stats_reply, 0, 0, .text = {big, sizeof(big)}), -EMSGSIZE);
	cr_expect_eq(
	    RPC_SEND(&a, SES_KILL, ses_kill, 0, 0, .flow = 1), 0, "an error must not stick to the link");
	close_pair(&a, &b);
	cr_expect_eq(rpc_send(&a, 1, 0, 1, NULL, NULL, 0), -EPIPE, "a closed link");
	cr_expect_eq(rpc_receive(&a, &message), -ECONNRESET);
}

Test(rpc, a_peer_that_does_not_read_or_is_gone)
{
	struct rpc_link a, b;
	struct rpc_message message;
	int result = 0;
	open_pair(&a, &b);
	fcntl(a.fd, F_SETFL, O_NONBLOCK);
	cr_expect_eq(rpc_receive(&a, &message), 0, "nothing there");
	for (unsigned i = 0; i < 100000 && result == 0; i++)
		result = RPC_SEND(&a, SES_KILL, ses_kill, 0, 0, .flow = i);
	cr_expect_eq(result, -EAGAIN);
	rpc_link_close(&b);
	cr_expect_eq(RPC_SEND(&a, SES_KILL, ses_kill, 0, 0, .flow = 1), -EPIPE, "and no signal");
	cr_expect_eq(rpc_receive(&a, &message), -ECONNRESET);
	rpc_link_close(&a);
}

static void send_raw(int fd, const void *bytes, size_t len, const int *fds, unsigned count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)] = {0};
	struct iovec part = {(void *)bytes, len};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	if (count > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * count);
	}
	cr_assert_eq(sendmsg(fd, &header, 0), (ssize_t)len);
}

Test(rpc, datagrams_that_are_no_messages)
{
	static const uint8_t bytes[RPC_MESSAGE_MAX + 1] = {0};
	int fds[16];
	for (unsigned i = 0; i < 16; i++)
		fds[i] = 0;
	static const struct {
		size_t len;
		unsigned count;
		int expected;
	} cases[] = {
	    {0, 0, -ECONNRESET},
	    {0, 3, -ECONNRESET},
	    {1, 0, -EPROTO},
	    {7, 2, -EPROTO},
	    {8, 0, 1},
	    {8, 4, 1},
	    {8, 5, -EPROTO},
	    {8, 16, -EPROTO},
	    {RPC_MESSAGE_MAX, 0, 1},
	    {RPC_MESSAGE_MAX + 1, 0, -EPROTO},
	    {RPC_MESSAGE_MAX + 1, 2, -EPROTO},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rpc_link a, b;
		struct rpc_message message;
		open_pair(&a, &b);
		unsigned before = open_fds();
		send_raw(a.fd, bytes, cases[i].len, fds, cases[i].count);
		int got = rpc_receive(&b, &message);
		cr_expect_eq(
		    got, cases[i].expected, "case %zu: expected %d, got %d", i, cases[i].expected, got);
		rpc_message_close_fds(&message);
		cr_expect_eq(open_fds(), before, "case %zu leaks descriptors", i);
		close_pair(&a, &b);
	}
}

/* -- bodies -- */

/* Every message: fields of distinct values survive, and a body cut at any byte or longer by one is refused.
 */
#define FILL_u8(n) (uint8_t)(n)
#define FILL_u16(n) (uint16_t)((n)*257)
#define FILL_u32(n) ((n)*16843009u)
#define FILL_u64(n) ((n)*72340172838076673ull)
#define FILL_span(n) wire_span_of("0123456789abcdef" + (n) % 16)
#define SAME_u8(a, b) ((a) == (b))
#define SAME_u16(a, b) ((a) == (b))
#define SAME_u32(a, b) ((a) == (b))
#define SAME_u64(a, b) ((a) == (b))
#define SAME_span(a, b) ((a).len == (b).len && memcmp((a).at, (b).at, (a).len) == 0)
#define FILL_FIELD(kind, field) sent.field = FILL_##kind(++n);
#define CHECK_FIELD(kind, field)                                                                             \
	cr_expect(SAME_##kind(got.field, sent.field), "%s: %s changed", rpc_type_name(type), #field);

#define ROUND_TRIP(NAME, name, number)                                                                       \
	static void round_trip_##name(void)                                                                  \
	{                                                                                                    \
		struct rpc_##name sent, got;                                                                 \
		uint8_t room[2048];                                                                          \
		uint16_t type = RPC_##NAME;                                                                  \
		unsigned n = 0;                                                                              \
		NAME##_FIELDS(FILL_FIELD) struct wire_out out = wire_into(room, sizeof(room));               \
		rpc_put_##name(&out, &sent);                                                                 \
		size_t len = wire_written(&out);                                                             \
		cr_assert(rpc_get_##name((struct wire_span){room, len}, &got), "%s", rpc_type_name(type));   \
		NAME##_FIELDS(CHECK_FIELD) for (size_t cut = 0; cut < len; cut++)                            \
		{                                                                                            \
			uint8_t *copy = malloc(cut + 1);                                                     \
			memcpy(copy, room, cut);                                                             \
			cr_expect_not(rpc_get_##name((struct wire_span){copy, cut}, &got), "%s cut at %zu",  \
			    rpc_type_name(type), cut);                                                       \
			free(copy);                                                                          \
		}                                                                                            \
		cr_expect_not(rpc_get_##name((struct wire_span){room, len + 1}, &got), "%s and a byte more", \
		    rpc_type_name(type));                                                                    \
	}
RPC_MESSAGES(ROUND_TRIP)

Test(rpc, every_message_round_trips)
{
#define RUN(NAME, name, number) round_trip_##name();
	RPC_MESSAGES(RUN)
}

Test(rpc, names)
{
	cr_expect_str_eq(rpc_type_name(RPC_SES_BEGIN), "SES_BEGIN");
	cr_expect_str_eq(rpc_type_name(9999), "unknown");
	cr_expect_str_eq(rpc_role_name(RPC_SSHTERM), "sshterm");
	cr_expect_str_eq(rpc_role_name((enum rpc_role)99), "unknown");
}

Test(rpc, policy_matches)
{
	const struct rpc_policy_match good = {.family = 4,
	    .link = 255,
	    .src_plen = 24,
	    .dst_plen = 32,
	    .vlan_hi = 4095,
	    .sport_hi = 65535,
	    .dport_lo = 22,
	    .dport_hi = 22,
	    .src = {198, 51, 100},
	    .dst = {10, 0, 0, 1}};
	static const struct {
		size_t at;
		uint8_t value;
		const char *what;
	} bad[] = {{0, 5, "family 5"}, {0, 0, "a prefix without a family"}, {7, 33, "a prefix of 33"},
	    {2, 0x20, "VLAN range reversed"}, {4, 0x20, "VLAN beyond 4095"}};
	uint8_t room[64];
	struct rpc_policy_match got;
	struct wire_out out = wire_into(room, sizeof(room));
	rpc_put_policy_match(&out, &good);
	size_t len = wire_written(&out);
	struct wire in = wire_over(room, len);
	cr_expect(rpc_get_policy_match(&in, &got) && wire_done(&in));
	cr_expect(memcmp(got.src, good.src, 16) == 0 && got.dport_lo == 22 && got.src_plen == 24 &&
	          got.link == 255);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t changed[64];
		memcpy(changed, room, sizeof(room));
		changed[bad[i].at] = bad[i].value;
		in = wire_over(changed, len);
		cr_expect_not(rpc_get_policy_match(&in, &got), "%s was accepted", bad[i].what);
	}
	for (size_t cut = 0; cut < len; cut++) {
		in = wire_over(room, cut);
		cr_expect_not(rpc_get_policy_match(&in, &got), "cut at %zu", cut);
	}
}

/* -- calls -- */

struct server {
	struct rpc_link *link;
	unsigned mode; /* 0 answer; 1 others first; 2 never; 3 a late answer first; 4 hang up */
};

static void *serve(void *context)
{
	struct server *server = context;
	struct rpc_message message;
	if (rpc_receive(server->link, &message) != 1)
		return NULL;
	uint32_t id = message.id;
	if (server->mode == 1) {
		RPC_SEND(server->link, SES_KILL, ses_kill, 0, 0, .flow = 5);
		RPC_SEND(server->link, SES_KILL, ses_kill, 0, id, .flow = 6); /* the same id, but no reply */
	}
	if (server->mode == 3)
		RPC_SEND(server->link, KEY_HOST_REPLY, key_host_reply, RPC_FLAG_REPLY, id - 1, 0);
	if (server->mode == 4)
		rpc_link_close(server->link);
	else if (server->mode != 2)
		RPC_SEND(server->link, KEY_HOST_REPLY, key_host_reply, RPC_FLAG_REPLY, id,
		    .error = wire_span_of("e"));
	return NULL;
}

static void count_other(void *context, struct rpc_message *message)
{
	unsigned *others = context;
	(*others)++;
	rpc_message_close_fds(message);
}

Test(rpc, calls)
{
	static const struct {
		unsigned mode;
		bool with_other;
		int expected;
		unsigned others;
	} cases[] = {{0, false, 0, 0}, {1, true, 0, 2}, {1, false, -EPROTO, 0}, {2, true, -ETIMEDOUT, 0},
	    {3, false, 0, 0}, {3, true, 0, 1}, {4, true, -ECONNRESET, 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rpc_link a, b;
		struct rpc_message reply;
		struct server server = {.link = &b, .mode = cases[i].mode};
		unsigned others = 0;
		pthread_t thread;
		open_pair(&a, &b);
		a.next_id = 50;
		pthread_create(&thread, NULL, serve, &server);
		/* The thread that answers may come late. */
		int timeout_ms = cases[i].expected == -ETIMEDOUT ? 200 : 60000;
		int got = rpc_call(&a, RPC_KEY_HOST, NULL, timeout_ms, &reply,
		    cases[i].with_other ? count_other : NULL, &others);
		cr_expect_eq(
		    got, cases[i].expected, "case %zu: expected %d, got %d", i, cases[i].expected, got);
		cr_expect_eq(others, cases[i].others, "case %zu", i);
		if (got == 0)
			cr_expect(reply.type == RPC_KEY_HOST_REPLY && reply.id == 50);
		pthread_join(thread, NULL);
		close_pair(&a, &b);
	}
}

Test(rpc, ids_are_never_zero)
{
	struct rpc_link link = {.next_id = UINT32_MAX};
	cr_expect_eq(rpc_next_id(&link), UINT32_MAX);
	cr_expect_eq(rpc_next_id(&link), 1);
}

/* -- dispatch -- */

static int handled;

static int note(void *context, struct rpc_link *link, struct rpc_message *message)
{
	(void)link;
	handled = message->type;
	return *(int *)context;
}

static int keep_fd(void *context, struct rpc_link *link, struct rpc_message *message)
{
	(void)link;
	*(int *)context = message->fds[0];
	message->fds[0] = -1;
	return 0;
}

static const struct rpc_handler table[] = {
    {RPC_SES_BEGIN, RPC_FROM(RPC_SSHTERM), 1, note},
    {RPC_SES_KILL, RPC_FROM(RPC_CONTROL), ~0u, note},
    {RPC_SES_END, RPC_FROM(RPC_SSHTERM), 2, note},
    {RPC_SUP_ATTACH_RPC, RPC_FROM(RPC_SSHTERM), ~0u, keep_fd},
};

Test(rpc, dispatch_allows_what_the_table_says)
{
	struct rpc_link link = {.fd = -1, .peer = RPC_SSHTERM};
	int result = 0;
	static const struct {
		uint16_t type;
		uint32_t state;
		int expected;
	} cases[] = {{RPC_SES_BEGIN, 1, 0}, {RPC_SES_BEGIN, 2, -EPROTO}, {RPC_SES_KILL, 1, -EPROTO},
	    {RPC_SES_END, 2, 0}, {RPC_SES_END, 3, 0}, {RPC_STATS, 1, -EPROTO}, {0, 1, -EPROTO},
	    {65535, 1, -EPROTO}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rpc_message message = {.type = cases[i].type, .fds = {-1, -1, -1, -1}};
		handled = -1;
		int got = rpc_dispatch(table, 4, cases[i].state, &result, &link, &message);
		cr_expect_eq(
		    got, cases[i].expected, "case %zu: expected %d, got %d", i, cases[i].expected, got);
		cr_expect_eq(handled != -1, cases[i].expected == 0, "case %zu: the handler ran", i);
	}
	result = -EINVAL;
	struct rpc_message message = {.type = RPC_SES_BEGIN};
	cr_expect_eq(rpc_dispatch(table, 4, 1, &result, &link, &message), -EINVAL);
}

Test(rpc, dispatch_closes_what_was_not_kept)
{
	struct rpc_link link = {.fd = -1, .peer = RPC_SSHTERM};
	int kept = -1, result = 0, fds[2];
	unsigned before = open_fds();
	cr_assert_eq(pipe(fds), 0);
	struct rpc_message message = {
	    .type = RPC_SUP_ATTACH_RPC, .fds = {fds[0], fds[1], -1, -1}, .fd_count = 2};
	cr_expect_eq(rpc_dispatch(table, 4, 1, &kept, &link, &message), 0);
	cr_expect_eq(kept, fds[0]);
	cr_expect_eq(open_fds(), before + 1);
	message = (struct rpc_message){.type = RPC_STATS, .fds = {kept, -1, -1, -1}, .fd_count = 1};
	cr_expect_eq(rpc_dispatch(table, 4, 1, &result, &link, &message), -EPROTO);
	cr_expect_eq(open_fds(), before, "a refused message leaves its descriptors open");
}

/* -- log lines -- */

Test(rpc, log_lines_cannot_be_faked, .init = cr_redirect_stderr)
{
	rpc_child_start(RPC_SUPERVISOR, 0, NULL);
	rpc_log_set(RPC_LOG_INFO);
	rpc_log(RPC_LOG_INFO, "user %s", "a\nreeved: error: b\x1b[2J\x7f\xc2\x9b ü");
	rpc_log(RPC_LOG_DEBUG, "not shown");
	char big[5000];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	rpc_log(RPC_LOG_ERROR, "%s", big);
	fflush(stderr);
	char text[4096] = "";
	FILE *file = cr_get_redirected_stderr();
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	const char *expected =
	    "reeved: info: user a\\x0areeved: error: b\\x1b[2J\\x7f\xc2\\x9b ü\nreeved: error: xxx";
	cr_expect(strncmp(text, expected, strlen(expected)) == 0, "expected %s, got %.200s", expected, text);
	cr_expect(len > 1000 && len < 1400 && text[len - 1] == '\n', "a long line is cut: %zu bytes", len);
}
