/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows, where the box puts bytes in. A client and an origin, each holding strictly to RFC 4254
 * section 5.2, with tiny windows and packets, and the channel table between them; what they do, and when what
 * they sent arrives, is drawn from a seed. Neither may ever see the other overrun what it granted, and once
 * all is said the origin's window must be what the client's own count says: nobody was over- or underpaid.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sshterm/channels.h"
#include "sshterm/windows.h"
#include "tests/unit/sshterm/packet_text.h"
#include "tests/unit/sshterm/seeded_line.h"

#define C 0u
#define O 1u
#define CLIENTS_NUMBER 3u
#define ORIGINS_NUMBER 8u
#define SEEDS 4000

/* -- the numbers alone -- */

Test(windows, without_anything_reserved_all_is_given)
{
	struct window window = {0};

	cr_expect_eq(window_grant(&window, 100), 100);
	cr_expect_eq(window_grant(&window, UINT32_MAX), UINT32_MAX);
	cr_expect_eq(window_room(&window), 0);
	cr_expect_eq(window_release(&window), 0);
}

Test(windows, what_is_reserved_is_held_back_and_paid_once)
{
	struct window window = {0};

	window_reserve(&window, 10);
	cr_expect_eq(window_grant(&window, 4), 0);
	cr_expect_eq(window_room(&window), 4);
	window_insert(&window, 4); /* 6 left to be inserted */
	cr_expect_eq(window_room(&window), 0);
	cr_expect_eq(window_grant(&window, 20), 14);
	cr_expect_eq(window_room(&window), 6);
	window_insert(&window, 6);
	cr_expect_eq(window_grant(&window, 5), 5);
	cr_expect_eq(window.given, window.granted - window.inserted);
}

Test(windows, what_the_sender_has_it_keeps)
{
	struct window window = {0};

	cr_expect_eq(window_grant(&window, 50), 50);
	window_reserve(&window, 10);
	cr_expect_eq(window_room(&window), 0, "nothing that was given may be used");
	cr_expect_eq(window_grant(&window, 6), 0);
	cr_expect_eq(window_room(&window), 6);
	cr_expect_eq(window_release(&window), 6);
}

Test(windows, a_window_that_opens_later)
{
	struct window window = {0};

	cr_expect_eq(window_grant(&window, 0), 0);
	cr_expect_eq(window_grant(&window, 2097152), 2097152);
}

/* -- the numbers where something is withheld -- */

Test(windows, a_line_longer_than_the_window_can_be_completed)
{
	struct window window = {0};
	uint32_t line = 0;

	cr_expect_eq(window_grant(&window, 10), 10);
	for (uint32_t credit = 10; line < WINDOW_LENT_MAX; credit += window_give(&window)) {
		cr_assert_gt(credit, 0, "stuck after %u bytes", line);
		window_take(&window, 1);
		credit--;
		line++;
	}
	window_take(&window, (uint32_t)(window.given - window.taken));
	window_take(&window, window_give(&window));
	cr_expect_eq(window_give(&window), 0);
	cr_expect_eq(window.taken, WINDOW_LENT_MAX + 10, "and there it ends");
}

Test(windows, nothing_is_lent_to_who_has_enough)
{
	struct window window = {0};

	window_grant(&window, 2097152);
	window_take(&window, 1000);
	cr_expect_eq(window_give(&window), 0);
}

Test(windows, what_was_lent_is_paid_back_by_the_next_grants)
{
	struct window window = {0};

	window_grant(&window, 10);
	window_take(&window, 10);
	cr_expect_eq(window_give(&window), 10, "lent");
	window_take(&window, 10);
	window_pass(&window, 20);
	cr_expect_eq(window_give(&window), 0, "what is pending is nobody's to lend");
	cr_expect_eq(window_outgo(&window), 10);
	window_sent(&window, 10);
	cr_expect_eq(window_grant(&window, 4), 0);
	cr_expect_eq(window_outgo(&window), 4);
	window_sent(&window, 4);
	cr_expect_eq(window_grant(&window, 16), 10);
	cr_expect_eq(window_outgo(&window), 6);
	window_sent(&window, 6);
	cr_expect_eq(window.given - window.taken, 10, "as much as the receiver takes: 30 less 20");
}

Test(windows, the_receiver_gets_no_more_than_it_granted)
{
	struct window window = {0};

	window_reserve(&window, 3);
	cr_expect_eq(window_grant(&window, 10), 7);
	window_take(&window, 7);
	window_pass(&window, 7);
	cr_expect_eq(window_outgo(&window), 7, "what is reserved is left");
	window_sent(&window, 5);
	cr_expect_eq(window_room(&window), 3);
	window_insert(&window, 3);
	cr_expect_eq(window_outgo(&window), 2);
	window_sent(&window, 2);
	cr_expect_eq(window_grant(&window, 1), 1);
}

Test(windows, what_is_reserved_is_not_used_by_what_was_lent)
{
	struct window window = {0};

	window_reserve(&window, 3);
	cr_expect_eq(window_grant(&window, 10), 7);
	window_take(&window, 7);
	cr_expect_eq(window_give(&window), 7);
	window_take(&window, 7);
	window_pass(&window, 14);
	cr_expect_eq(window_outgo(&window), 7);
	window_sent(&window, 7);
	cr_expect_eq(window_outgo(&window), 0);
	cr_expect_eq(window_room(&window), 3);
}

Test(windows, what_is_dropped_is_given_back_once)
{
	struct window window = {0};

	window_grant(&window, 100);
	window_take(&window, 40);
	window_replace(&window, 40, 0);
	cr_expect_eq(window_give(&window), 40);
	cr_expect_eq(window_give(&window), 0);
	cr_expect_eq(window.given - window.taken, 100);
	cr_expect_eq(window_grant(&window, 7), 7);
}

Test(windows, what_was_lent_and_dropped_is_not_given_back_again)
{
	struct window window = {0};

	window_grant(&window, 10);
	window_take(&window, 10);
	cr_expect_eq(window_give(&window), 10);
	window_replace(&window, 10, 0);
	cr_expect_eq(window_give(&window), 0);
	cr_expect_eq(window.given - window.taken, 10);
}

Test(windows, what_comes_instead_uses_the_window)
{
	struct window window = {0};

	window_grant(&window, 20);
	window_take(&window, 10);
	window_replace(&window, 10, 4);
	cr_expect_eq(window_give(&window), 6, "shorter: the rest is given back");
	cr_expect_eq(window_outgo(&window), 4);
	window_sent(&window, 4);
	cr_expect_eq(window.given - window.taken, 16);
	window_take(&window, 16);
	window_replace(&window, 16, 30);
	cr_expect_eq(window_give(&window), 0, "longer: later grants pay");
	cr_expect_eq(window_outgo(&window), 16);
	window_sent(&window, 16);
	cr_expect_eq(window_grant(&window, 14), 0);
	cr_expect_eq(window_outgo(&window), 14);
	window_sent(&window, 14);
	cr_expect_eq(window_grant(&window, 20), 20);
}

Test(windows, the_widest_window)
{
	struct window window = {0};

	cr_expect_eq(window_grant(&window, UINT32_MAX), UINT32_MAX);
	window_take(&window, WINDOW_LENT_MAX);
	cr_expect_eq(window_give(&window), 0);
	window_replace(&window, WINDOW_LENT_MAX, 1);
	cr_expect_eq(window_give(&window), WINDOW_LENT_MAX - 1);
	window_sent(&window, window_outgo(&window));
	cr_expect_eq(window.given - window.taken, UINT32_MAX - 1u);
	cr_expect_eq(window_grant(&window, 1), 1);
}

Test(windows, who_sends_more_than_it_was_given_waits_for_it)
{
	struct window window = {0};

	window_grant(&window, 10);
	window_take(&window, 25);
	window_pass(&window, 25);
	cr_expect_eq(window_outgo(&window), 10);
	window_sent(&window, 10);
	cr_expect_eq(window_grant(&window, 10), 0);
	window_sent(&window, window_outgo(&window));
	cr_expect_eq(window_grant(&window, 10), 5);
	cr_expect_eq(window_outgo(&window), 5);
}

/* -- two peers and the table between them -- */

/* One way on a connection: bytes of whole packets, each behind its length. */
static struct {
	struct channels table;
	struct line to_box[2], from_box[2];
	uint64_t random;
	/* the client: what it granted, what came */
	uint64_t client_granted, client_received, client_unread;
	/* the origin: what it may send, what it has sent */
	uint64_t origin_window, origin_sent, origin_left;
	/* and towards the origin, where nothing is put in */
	uint64_t origin_granted, origin_received, origin_unread, client_window, client_sent;
	uint32_t client_packet, origin_packet;
	char notice_seen[256];
	size_t notice_len;
	bool opened, requested, started, shell, want_reply, refused, notice_early;
	const char *wrong;
} world;

static const char notice[] = "This session is recorded.\r\n";

static void wrong(const char *what)
{
	if (world.wrong == NULL)
		world.wrong = what;
}

static uint32_t draw(uint32_t below)
{
	return seeded(&world.random, below);
}

static void put(struct line *line, const uint8_t *payload, size_t len)
{
	if (!line_put(line, payload, len))
		wrong("the test's own line is full");
}

static void say(unsigned leg, const char *fields, ...)
{
	uint8_t payload[4096];
	va_list values;

	va_start(values, fields);
	size_t len = packet_va(payload, fields, values);
	va_end(values);
	put(&world.to_box[leg], payload, len);
}

/* -- the client -- */

static void client_hears(struct wire_span p)
{
	struct wire in = wire_over(p.at, p.len);
	uint8_t type = wire_u8(&in);
	struct wire_span data;

	switch (type) {
	case CONN_OPEN_CONFIRMATION:
		world.opened = true;
		world.client_window = u32_at(p.at + 9);
		break;
	case CONN_WINDOW_ADJUST:
		world.client_window += u32_at(p.at + 5);
		break;
	case CONN_SUCCESS:
	case CONN_FAILURE:
		world.started = true;
		break;
	case CONN_DATA:
	case CONN_EXTENDED_DATA:
		wire_skip(&in, type == CONN_DATA ? 4 : 8);
		data = wire_string(&in);
		world.client_received += data.len;
		world.client_unread += data.len;
		if (world.client_received > world.client_granted)
			wrong("the client was sent more than it granted");
		if (data.len > world.client_packet)
			wrong("a packet was larger than the client takes");
		if (type == CONN_DATA)
			break;
		if (world.notice_len + data.len > sizeof(world.notice_seen)) {
			wrong("the notice is longer than it is");
			break;
		}
		memcpy(world.notice_seen + world.notice_len, data.at, data.len);
		world.notice_len += data.len;
		if (world.want_reply && !world.started)
			wrong("the notice came before the shell was granted");
		break;
	default:
		wrong("the client was sent something else");
	}
}

static void client_acts(void)
{
	if (world.opened && !world.requested && draw(3) == 0) {
		world.requested = true;
		if (world.shell)
			say(C, "busbsuuuus", CONN_REQUEST, ORIGINS_NUMBER, "pty-req", 0, "xterm", 80u, 24u,
			    0u, 0u, "");
		say(C, "busb", CONN_REQUEST, ORIGINS_NUMBER, "shell", world.want_reply);
	}
	if (world.client_unread > 0 && draw(2) == 0) {
		uint32_t bytes = 1 + draw((uint32_t)world.client_unread);
		world.client_unread -= bytes;
		world.client_granted += bytes;
		say(C, "buu", CONN_WINDOW_ADJUST, ORIGINS_NUMBER, bytes);
	}
	if (world.requested && world.client_window > 0 && draw(3) == 0) {
		uint32_t bytes = 1 + draw((uint32_t)world.client_window);
		if (bytes > world.origin_packet)
			bytes = world.origin_packet;
		world.client_window -= bytes;
		world.client_sent += bytes;
		say(C, "bud", CONN_DATA, ORIGINS_NUMBER, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", (size_t)bytes);
	}
}

/* -- the origin -- */

static void origin_hears(struct wire_span p)
{
	struct wire in = wire_over(p.at, p.len);
	uint8_t type = wire_u8(&in);

	switch (type) {
	case CONN_OPEN:
		world.origin_window = u32_at(p.at + p.len - 8);
		say(O, "buuuu", CONN_OPEN_CONFIRMATION, CLIENTS_NUMBER, ORIGINS_NUMBER,
		    (uint32_t)world.origin_granted, world.origin_packet);
		break;
	case CONN_WINDOW_ADJUST:
		world.origin_window += u32_at(p.at + 5);
		break;
	case CONN_REQUEST:
		wire_skip(&in, 4);
		if (wire_span_is(wire_string(&in), "shell") && world.want_reply)
			say(O, "bu", world.refused ? CONN_FAILURE : CONN_SUCCESS, CLIENTS_NUMBER);
		break;
	case CONN_DATA:
		world.origin_received += u32_at(p.at + 5);
		world.origin_unread += u32_at(p.at + 5);
		if (world.origin_received > world.origin_granted)
			wrong("the origin was sent more than it granted");
		break;
	default:
		wrong("the origin was sent something else");
	}
}

static void origin_acts(void)
{
	if (world.origin_unread > 0 && draw(2) == 0) {
		world.origin_granted += world.origin_unread;
		say(O, "buu", CONN_WINDOW_ADJUST, CLIENTS_NUMBER, (uint32_t)world.origin_unread);
		world.origin_unread = 0;
	}
	/* It may speak before any shell runs: a message of its own login, say. */
	if (world.origin_window > 0 && world.origin_left > 0 && draw(2) == 0) {
		uint64_t bytes = 1 + draw((uint32_t)world.origin_window);
		if (bytes > world.client_packet)
			bytes = world.client_packet;
		if (bytes > world.origin_left)
			bytes = world.origin_left;
		world.origin_window -= bytes;
		world.origin_left -= bytes;
		world.origin_sent += bytes;
		say(O, "bud", CONN_DATA, CLIENTS_NUMBER, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", (size_t)bytes);
	}
}

/* -- the box -- */

static struct {
	struct line to[2];
} answers;

static void on_answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	(void)context;
	put(&answers.to[to], payload, len);
}

static struct program *on_start(void *context, const struct channel_program *facts)
{
	(void)facts;
	return context;
}

static void on_data(
    void *context, struct program *program, channel_leg from, uint32_t code, struct wire_span data)
{
	(void)context;
	(void)program;
	(void)from;
	(void)code;
	(void)data;
}

static void on_end(void *context, struct program *program, const char *reason)
{
	(void)context;
	(void)program;
	(void)reason;
}

static const struct channel_ops ops = {
    .program_start = on_start, .program_data = on_data, .program_end = on_end, .answer = on_answer};

static void box_turns(unsigned from)
{
	struct wire_span p;

	if (!line_take(&world.to_box[from], &p))
		return;
	answers.to[C].head = answers.to[C].tail = answers.to[O].head = answers.to[O].tail = 0;
	switch (channels_packet(&world.table, from, p.at, p.len)) {
	case CHANNELS_PASS:
		put(&world.from_box[from ^ 1], p.at, p.len);
		break;
	case CHANNELS_REWRITTEN:
		put(&world.from_box[from ^ 1], world.table.rewritten, world.table.rewritten_len);
		break;
	case CHANNELS_STAY:
		break;
	case CHANNELS_VIOLATION:
		wrong(world.table.violation);
	}
	for (unsigned to = 0; to < 2; to++)
		while (line_take(&answers.to[to], &p))
			put(&world.from_box[to], p.at, p.len);
}

static void step(void)
{
	struct wire_span p;

	switch (draw(6)) {
	case 0:
		client_acts();
		break;
	case 1:
		origin_acts();
		break;
	case 2:
	case 3:
		box_turns(draw(2));
		break;
	case 4:
		if (line_take(&world.from_box[C], &p))
			client_hears(p);
		break;
	case 5:
		if (line_take(&world.from_box[O], &p))
			origin_hears(p);
		break;
	}
}

static bool all_quiet(void)
{
	for (unsigned leg = 0; leg < 2; leg++)
		if (world.to_box[leg].head != world.to_box[leg].tail ||
		    world.from_box[leg].head != world.from_box[leg].tail)
			return false;
	return world.started && world.origin_left == 0 && world.client_unread == 0 &&
	       world.origin_unread == 0;
}

static void session(uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	world.random = seed * 0x9e3779b97f4a7c15ull + 1;
	world.client_granted = draw(17);
	world.client_packet = 1 + draw(5);
	world.origin_granted = draw(17);
	world.origin_packet = 1 + draw(5);
	world.origin_left = draw(200);
	world.shell = draw(4) != 0; /* on a terminal */
	world.want_reply = draw(4) != 0;
	world.refused = world.want_reply && draw(8) == 0;
	world.started = !world.want_reply;
	/* A window of 0 that nobody has read from stays so. */
	if (world.client_granted == 0)
		world.client_granted = 1;
	channels_init(&world.table, ~0u, &ops, &world);
	channels_set_notice(&world.table, (struct wire_span){(const uint8_t *)notice, sizeof(notice) - 1});
	say(C, "bsuuu", CONN_OPEN, "session", CLIENTS_NUMBER, (uint32_t)world.client_granted,
	    world.client_packet);
	for (unsigned steps = 0; steps < 60000 && world.wrong == NULL; steps++) {
		step();
		/* The client talks on for ever: an end of it. */
		if (steps == 5000)
			world.client_window = 0;
		if (steps > 5000 && world.requested && all_quiet())
			break;
	}
	cr_assert_null(world.wrong, "seed %llu: %s", (unsigned long long)seed, world.wrong);
	cr_assert(all_quiet(),
	    "seed %llu: somebody was never paid: the origin has %llu to send and %llu of window",
	    (unsigned long long)seed, (unsigned long long)world.origin_left,
	    (unsigned long long)world.origin_window);
	cr_assert_eq(world.client_received, world.origin_sent + world.notice_len);
	cr_assert_eq(world.origin_window, world.client_granted - world.client_received,
	    "seed %llu: the origin may send %llu, the client takes %llu", (unsigned long long)seed,
	    (unsigned long long)world.origin_window,
	    (unsigned long long)(world.client_granted - world.client_received));
	bool told = world.shell && !world.refused;
	cr_assert_eq(world.notice_len, told ? sizeof(notice) - 1 : 0, "seed %llu", (unsigned long long)seed);
	cr_assert_eq(memcmp(world.notice_seen, notice, world.notice_len), 0);
	cr_assert_eq(world.origin_received, world.client_sent);
	channels_end(&world.table, "over");
}

Test(windows, nobody_is_over_or_underpaid, .timeout = 300)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		session(seed);
}
