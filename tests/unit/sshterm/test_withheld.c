/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows, where the box withholds what is sent: two peers that hold strictly to RFC 4254 section 5.2 (but
 * for some that send too much), with tiny windows and packets, and the channel table between them with a
 * judge that holds lines in both directions, lets them pass, drops them, or puts shorter and longer ones in
 * their place, while a notice is put in as well. What they do, and when what they sent arrives, is drawn from
 * a seed. A model that only sees the messages on both sides of the box, and what the judge said, checks after
 * each of them who was paid what, and that all goes on whole, once and in order.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "control/rpc/rpc.h"
#include "sshterm/channels.h"
#include "tests/unit/sshterm/packet_text.h"
#include "tests/unit/sshterm/seeded_line.h"

#define C 0u
#define O 1u
#define SEEDS 8000
#define ITEMS 16384
#define ALWAYS_DECIDED '!' /* the last byte of a stream that does not end by EOF */

static const char notice[] = "THIS SESSION IS RECORDED";

/* -- two peers, the table between them, and the model -- */

enum item_kind { BYTE, OWN, REQUEST, REFUSED, THE_EOF, THE_CLOSE };
enum item_state { UNDECIDED, GOES_ON, DROPPED };

/* What is sent on one direction, in its order: as it came from the sender, with what the judge put in. */
struct item {
	uint8_t kind, state, code, byte;
};

static struct peer {
	/* as a sender */
	uint64_t window, sent;
	uint32_t left;
	unsigned awaited, asked;
	uint8_t expects[64]; /* of the replies that it waits for */
	bool overruns, ends, eof, closed;
	/* as a receiver */
	uint64_t granted, received, unread;
	uint32_t packet, lazy;
	unsigned answered;
	bool heard_close;
} peers[2];

/* One direction, by its receiver, as the box may know it. */
static struct way {
	struct item items[ITEMS];
	size_t count, emitted, undecided;
	uint64_t granted, given, sent, out, reserved;
	uint64_t went_on, recorded;
	bool over; /* somebody ended it: nobody is paid any more */
	bool closed;
	bool paid; /* in this turn */
} ways[2];

static struct {
	struct channels table;
	struct line to_box[2], from_box[2], answers[2];
	uint64_t random;
	bool opened, confirmed, started, answered, shell, refused, noticed, ending;
	uint64_t told;
	uint32_t judged;
	const char *wrong;
} world;

/* What the judge has seen and not decided on, by who sent it. */
static struct judged {
	uint8_t undecided[8192];
	size_t len;
} judged[2];

static const uint32_t numbers[2] = {3, 8};

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

/* The data of a message, and its code. */
static struct wire_span data_of(struct wire_span p, uint32_t *code)
{
	struct wire in = wire_over(p.at + 5, p.len - 5);

	*code = p.at[0] == CONN_EXTENDED_DATA ? wire_u32(&in) : 0;
	return wire_string(&in);
}

/* -- the model -- */

static void insert_item(struct way *way, size_t at, struct item item)
{
	if (way->count == ITEMS) {
		wrong("the test's own list is full");
		return;
	}
	memmove(&way->items[at + 1], &way->items[at], (way->count - at) * sizeof(item));
	way->items[at] = item;
	way->count++;
}

/* The oldest byte that nobody has decided on. */
static size_t first_undecided(struct way *way)
{
	while (way->undecided < way->count &&
	       !(way->items[way->undecided].kind == BYTE && way->items[way->undecided].state == UNDECIDED))
		way->undecided++;
	return way->undecided;
}

static uint64_t count_items(const struct way *way, enum item_state state)
{
	uint64_t count = 0;

	for (size_t i = way->emitted; i < way->count; i++)
		count += way->items[i].kind <= OWN && way->items[i].state == state;
	return count;
}

/* The judge has decided. */
static void model_decides(struct way *way, uint32_t bytes, bool passes, struct wire_span instead)
{
	for (size_t i = 0; i < instead.len; i++)
		insert_item(way, first_undecided(way),
		    (struct item){OWN, GOES_ON, way->items[first_undecided(way)].code, instead.at[i]});
	way->undecided = way->emitted;
	while (bytes-- > 0) {
		size_t at = first_undecided(way);

		if (at == way->count) {
			wrong("the test's judge decided on what is not there");
			return;
		}
		way->items[at].state = passes ? GOES_ON : DROPPED;
	}
}

static void drop_data(struct way *way)
{
	for (size_t i = way->emitted; i < way->count; i++) {
		if (way->items[i].kind <= OWN)
			way->items[i].state = DROPPED;
	}
}

/* What `from` says arrives at the box. */
static void model_takes(unsigned from, struct wire_span p)
{
	struct way *way = &ways[from ^ 1], *back = &ways[from];
	uint32_t code;

	switch (p.at[0]) {
	case CONN_OPEN:
		back->granted += u32_at(p.at + p.len - 8);
		break;
	case CONN_OPEN_CONFIRMATION:
		back->granted += u32_at(p.at + 9);
		break;
	case CONN_WINDOW_ADJUST:
		back->granted += u32_at(p.at + 5);
		break;
	case CONN_DATA:
	case CONN_EXTENDED_DATA: {
		struct wire_span data = data_of(p, &code);

		way->sent += data.len;
		if (way->given < way->sent)
			way->given = way->sent;
		for (size_t i = 0; i < data.len; i++)
			insert_item(way, way->count,
			    (struct item){
			        BYTE, way->closed ? DROPPED : UNDECIDED, (uint8_t)code, data.at[i]});
		break;
	}
	case CONN_REQUEST: /* the name's first byte tells them apart */
		insert_item(
		    way, way->count, (struct item){p.at[9] == 'a' ? REFUSED : REQUEST, GOES_ON, 0, p.at[10]});
		break;
	case CONN_EOF:
		way->over = true;
		insert_item(way, way->count, (struct item){THE_EOF, GOES_ON, 0, 0});
		break;
	case CONN_CLOSE:
		way->over = back->over = back->closed = true;
		drop_data(back);
		judged[from ^ 1].len = 0;
		insert_item(way, way->count, (struct item){THE_CLOSE, GOES_ON, 0, 0});
		break;
	}
}

/* The next thing that is to come out. */
static void expect(struct way *way, enum item_kind kind, uint32_t code, uint8_t byte)
{
	struct item *item;

	while (way->emitted < way->count &&
	       (way->items[way->emitted].state == DROPPED || way->items[way->emitted].kind == REFUSED))
		way->emitted++;
	item = &way->items[way->emitted];
	if (way->emitted == way->count)
		wrong("something came out that nobody had sent");
	else if (item->state == UNDECIDED)
		wrong("something overtook what is held, or went on undecided");
	else if ((item->kind == OWN ? BYTE : item->kind) != kind)
		wrong("the order of messages was not kept");
	else if (item->code != code || item->byte != byte)
		wrong("other bytes came out than went in");
	way->went_on += item->kind == BYTE;
	way->emitted++;
}

static bool is_notice(unsigned to, uint32_t code, struct wire_span data)
{
	return to == C && code == 1 && data.len > 0 &&
	       (data.at[0] == ' ' || (data.at[0] >= 'A' && data.at[0] <= 'Z'));
}

/* The box sends something to `to`. */
static void model_emits(unsigned to, struct wire_span p)
{
	struct way *way = &ways[to], *back = &ways[to ^ 1];
	uint32_t code;

	switch (p.at[0]) {
	case CONN_OPEN:
		back->given += u32_at(p.at + p.len - 8);
		break;
	case CONN_OPEN_CONFIRMATION:
		back->given += u32_at(p.at + 9);
		break;
	case CONN_WINDOW_ADJUST:
		back->given += u32_at(p.at + 5);
		back->paid = true;
		break;
	case CONN_DATA:
	case CONN_EXTENDED_DATA: {
		struct wire_span data = data_of(p, &code);

		way->out += data.len;
		if (data.len == 0)
			wrong("empty data came out");
		if (is_notice(to, code, data)) {
			if (memcmp(data.at, notice + world.told, data.len) != 0)
				wrong("the notice is another");
			world.told += data.len;
			way->reserved -= data.len;
			break;
		}
		if ((int64_t)(way->granted - way->out) < (int64_t)way->reserved)
			wrong("what is reserved was used");
		for (size_t i = 0; i < data.len; i++)
			expect(way, BYTE, code, data.at[i]);
		break;
	}
	case CONN_REQUEST:
		expect(way, REQUEST, 0, p.at[10]);
		break;
	case CONN_SUCCESS:
	case CONN_FAILURE: /* the first that the client gets is about its shell: nothing is told without one
	                    */
		if (to == C && !world.answered && (world.refused || !world.shell))
			way->reserved = 0;
		world.answered |= to == C;
		break;
	case CONN_EOF:
		expect(way, THE_EOF, 0, 0);
		ways[C].reserved = to == C ? 0 : ways[C].reserved;
		break;
	case CONN_CLOSE:
		expect(way, THE_CLOSE, 0, 0);
		ways[C].reserved = 0;
		break;
	}
}

/* Who was paid what, after each message that the box has looked at. */
static void check_way(struct way *way, bool honest)
{
	int64_t takes = (int64_t)(way->granted - way->out), may = (int64_t)(way->given - way->sent);
	int64_t held = (int64_t)count_items(way, UNDECIDED), pending = (int64_t)count_items(way, GOES_ON);
	int64_t free = takes - (int64_t)way->reserved;

	if (takes < 0)
		wrong("the receiver was sent more than it granted");
	if (way->over)
		return;
	if (may < free - held - pending)
		wrong("the sender was underpaid");
	if (way->paid && may > free - pending - (held > WINDOW_LENT_MAX ? held - WINDOW_LENT_MAX : 0))
		wrong("the sender was overpaid");
	if (honest && may + held + pending > free + (int64_t)WINDOW_LENT_MAX)
		wrong("more was lent than may be");
	if (pending > 0 && free > 0)
		wrong("data waits that the receiver has room for");
	if (may == 0 && held > 0 && pending == 0 && free > 0)
		wrong("the sender is stuck in the middle of a line");
}

/* -- the judge -- */

static char instead_text[64];

static struct channel_judgement decide(unsigned from, size_t bytes)
{
	struct judged *judge = &judged[from];
	struct channel_judgement judgement = {.bytes = (uint32_t)bytes};

	if (draw(2) == 0) {
		judgement.ruling = CHANNEL_LET_PASS;
	} else {
		judgement.ruling = CHANNEL_REPLACE;
		size_t len = draw(2) == 0 ? 0 : draw(2) == 0 ? 1 + draw(4) : 1 + draw(60);
		memset(instead_text, '0' + (int)draw(10), len);
		judgement.instead = (struct wire_span){(const uint8_t *)instead_text, len};
	}
	model_decides(
	    &ways[from ^ 1], judgement.bytes, judgement.ruling == CHANNEL_LET_PASS, judgement.instead);
	memmove(judge->undecided, judge->undecided + bytes, judge->len - bytes);
	judge->len -= bytes;
	world.judged++;
	return judgement;
}

static struct channel_judgement on_judge(void *context, struct program *program, channel_leg from,
    uint32_t code, struct wire_span fresh, bool ends)
{
	struct judged *judge = &judged[from];

	(void)context;
	(void)program;
	(void)code;
	if (judge->len + fresh.len > sizeof(judge->undecided)) {
		wrong("the test's own judge is full");
		return (struct channel_judgement){CHANNEL_HOLD};
	}
	if (fresh.len > 0)
		memcpy(judge->undecided + judge->len, fresh.at, fresh.len);
	judge->len += fresh.len;
	/* To its end, a line; a piece of one before it is whole; now and then more than one. */
	for (size_t i = 0; i < judge->len; i++) {
		if (judge->undecided[i] == ALWAYS_DECIDED)
			return decide(from, judge->len);
		if (judge->undecided[i] == '\n' && draw(4) != 0)
			return decide(from, i + 1);
	}
	if (judge->len > 0 && draw(12) == 0)
		return decide(from, 1 + draw((uint32_t)judge->len));
	if (ends && judge->len > 0) {
		if (draw(2) == 0)
			return decide(from, judge->len);
		model_decides(&ways[from ^ 1], (uint32_t)judge->len, false, (struct wire_span){0});
		judge->len = 0; /* what is held to the end is dropped */
	}
	return (struct channel_judgement){CHANNEL_HOLD};
}

/* -- the box -- */

static void on_answer(void *context, channel_leg to, const uint8_t *payload, size_t len)
{
	(void)context;
	put(&world.answers[to], payload, len);
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
	(void)code;
	ways[from ^ 1].recorded += data.len;
}

/* Nobody is left to decide: what is held is dropped. */
static void on_end(void *context, struct program *program, const char *reason)
{
	(void)context;
	(void)program;
	(void)reason;
	for (unsigned from = 0; from < 2; from++) {
		model_decides(&ways[from ^ 1], (uint32_t)judged[from].len, false, (struct wire_span){0});
		judged[from].len = 0;
	}
}

static void on_refused(void *context, channel_leg from, struct wire_span name, const char *text)
{
	(void)context;
	(void)from;
	(void)name;
	(void)text;
}

static const struct channel_ops ops = {.program_start = on_start,
    .program_data = on_data,
    .program_judge = on_judge,
    .program_end = on_end,
    .refused = on_refused,
    .answer = on_answer};

static void emit(unsigned to, const uint8_t *payload, size_t len)
{
	model_emits(to, (struct wire_span){payload, len});
	put(&world.from_box[to], payload, len);
}

static void box_turns(unsigned from)
{
	struct wire_span p;

	if (!line_take(&world.to_box[from], &p))
		return;
	ways[C].paid = ways[O].paid = false;
	model_takes(from, p);
	switch (channels_packet(&world.table, from, p.at, p.len)) {
	case CHANNELS_PASS:
		emit(from ^ 1, p.at, p.len);
		break;
	case CHANNELS_REWRITTEN:
		emit(from ^ 1, world.table.rewritten, world.table.rewritten_len);
		break;
	case CHANNELS_STAY:
		break;
	case CHANNELS_VIOLATION:
		wrong(world.table.violation);
	}
	for (unsigned to = 0; to < 2; to++)
		while (line_take(&world.answers[to], &p))
			emit(to, p.at, p.len);
	if (!world.confirmed)
		return;
	check_way(&ways[C], !peers[O].overruns);
	check_way(&ways[O], !peers[C].overruns);
}

/* -- the peers -- */

static void hears_reply(struct peer *peer, bool success)
{
	if (peer->awaited == 0) {
		wrong("a reply came that nobody waits for");
		return;
	}
	if (peer->expects[0] != success)
		wrong("replies came in another order");
	memmove(peer->expects, peer->expects + 1, --peer->awaited);
}

static void hears(unsigned me, struct wire_span p)
{
	struct peer *peer = &peers[me];
	struct wire_span data;
	uint32_t code;

	switch (p.at[0]) {
	case CONN_OPEN:
		peer->window = u32_at(p.at + p.len - 8);
		world.opened = true;
		say(O, "buuuu", CONN_OPEN_CONFIRMATION, numbers[C], numbers[O], (uint32_t)peer->granted,
		    peer->packet);
		break;
	case CONN_OPEN_CONFIRMATION:
		peer->window = u32_at(p.at + 9);
		world.confirmed = true;
		if (world.shell)
			say(C, "busbsuuuus", CONN_REQUEST, numbers[O], "pty-req", 0, "xterm", 80u, 24u, 0u,
			    0u, "");
		say(C, "busb", CONN_REQUEST, numbers[O], "shell", 1);
		peer->expects[peer->awaited++] = !world.refused;
		break;
	case CONN_WINDOW_ADJUST:
		peer->window += u32_at(p.at + 5);
		if (peer->window > UINT32_MAX)
			wrong("a window grew beyond what a message can name");
		break;
	case CONN_SUCCESS:
	case CONN_FAILURE:
		world.started |= me == C;
		hears_reply(peer, p.at[0] == CONN_SUCCESS);
		break;
	case CONN_DATA:
	case CONN_EXTENDED_DATA:
		data = data_of(p, &code);
		peer->received += data.len;
		peer->unread += data.len;
		if (peer->received > peer->granted)
			wrong("a peer was sent more than it granted");
		if (data.len > peer->packet)
			wrong("a packet was larger than its receiver takes");
		break;
	case CONN_REQUEST: /* x1… wants to be granted, x0… to be refused, y… and pty-req no reply */
		if (peer->closed)
			break;
		if (p.at[9] == 's')
			say(me, "bu", world.refused ? CONN_FAILURE : CONN_SUCCESS, numbers[me ^ 1]);
		else if (p.at[9] == 'x')
			say(me, "bu", p.at[10] == '1' ? CONN_SUCCESS : CONN_FAILURE, numbers[me ^ 1]);
		break;
	case CONN_EOF:
		break;
	case CONN_CLOSE:
		peer->heard_close = true;
		break;
	default:
		wrong("a peer was sent something else");
	}
}

static void asks(unsigned me)
{
	struct peer *peer = &peers[me];
	uint32_t what = draw(4);

	if (peer->asked == 12)
		return;
	peer->asked++;
	if (what == 0 && me == C) { /* the rule refuses it */
		say(me, "busb", CONN_REQUEST, numbers[me ^ 1], "auth-agent-req@openssh.com", 1);
		peer->expects[peer->awaited++] = false;
	} else if (what == 1) {
		say(me, "busb", CONN_REQUEST, numbers[me ^ 1], "y-invented@example.org", 0);
	} else {
		say(me, "busb", CONN_REQUEST, numbers[me ^ 1],
		    what == 2 ? "x1-invented@example.org" : "x0-invented@example.org", 1);
		peer->expects[peer->awaited++] = what == 2;
	}
}

static void sends(unsigned me)
{
	struct peer *peer = &peers[me];
	char text[64];
	uint64_t most = peer->window;

	if (peer->overruns && draw(6) == 0)
		most += 1 + draw(20);
	if (most > peers[me ^ 1].packet)
		most = peers[me ^ 1].packet;
	if (most > peer->left)
		most = peer->left;
	if (most == 0)
		return;
	uint32_t bytes = 1 + draw((uint32_t)most);
	for (uint32_t i = 0; i < bytes; i++)
		text[i] = draw(40) == 0 ? '\n' : (char)('a' + draw(25));
	peer->window -= bytes < peer->window ? bytes : peer->window;
	peer->left -= bytes;
	peer->sent += bytes;
	if (peer->left == 0 && !world.ending)
		text[bytes - 1] = ALWAYS_DECIDED;
	if (me == O && draw(3) == 0)
		say(me, "buud", CONN_EXTENDED_DATA, numbers[me ^ 1], 1u, text, (size_t)bytes);
	else
		say(me, "bud", CONN_DATA, numbers[me ^ 1], text, (size_t)bytes);
}

static void acts(unsigned me)
{
	struct peer *peer = &peers[me];

	if (!world.confirmed || !world.opened || peer->closed)
		return;
	if (peer->unread > 0 && (peer->unread >= peer->lazy || peers[me ^ 1].left == 0) && draw(2) == 0) {
		uint32_t bytes = peer->lazy > 1 ? (uint32_t)peer->unread : 1 + draw((uint32_t)peer->unread);
		peer->unread -= bytes;
		peer->granted += bytes;
		say(me, "buu", CONN_WINDOW_ADJUST, numbers[me ^ 1], bytes);
	}
	if (peer->left > 0 && !peer->heard_close && draw(2) == 0)
		sends(me);
	if (peer->left > 0 && draw(24) == 0)
		asks(me);
	if (world.ending && !peer->eof && peer->left == 0 && draw(4) == 0) {
		peer->eof = true;
		say(me, "bu", CONN_EOF, numbers[me ^ 1]);
	}
	/* Some go early. */
	if (world.ending && (peer->heard_close || draw(peer->eof && peers[me ^ 1].eof ? 8 : 2000) == 0)) {
		peer->closed = true;
		say(me, "bu", CONN_CLOSE, numbers[me ^ 1]);
	}
}

static void step(void)
{
	struct wire_span p;
	unsigned leg = draw(2);

	switch (draw(3)) {
	case 0:
		acts(leg);
		break;
	case 1:
		box_turns(leg);
		break;
	case 2:
		if (line_take(&world.from_box[leg], &p))
			hears(leg, p);
		break;
	}
}

static bool all_quiet(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		const struct peer *peer = &peers[leg];

		if (world.to_box[leg].head != world.to_box[leg].tail ||
		    world.from_box[leg].head != world.from_box[leg].tail)
			return false;
		if (world.ending ? !peer->closed || !peer->heard_close : peer->left > 0 || peer->unread > 0)
			return false;
	}
	return world.confirmed && (world.started || world.ending);
}

static uint32_t some_window(bool wide)
{
	return wide ? UINT32_MAX : 1 + draw(50);
}

static void begin(uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	memset(peers, 0, sizeof(peers));
	memset(ways, 0, offsetof(struct way, items));
	for (unsigned i = 0; i < 2; i++) {
		memset(
		    (uint8_t *)&ways[i] + sizeof(ways[i].items), 0, sizeof(ways[i]) - sizeof(ways[i].items));
		judged[i].len = 0;
	}
	world.random = seed * 0x9e3779b97f4a7c15ull + 1;
	world.ending = draw(2) == 0;
	world.noticed = draw(3) != 0;
	world.shell = draw(4) != 0;
	world.refused = draw(10) == 0;
	for (unsigned leg = 0; leg < 2; leg++) {
		struct peer *peer = &peers[leg];

		peer->granted = some_window(draw(30) == 0);
		peer->packet = 1 + draw(24);
		peer->lazy = draw(3) == 0 && peer->granted < 100 ? (uint32_t)peer->granted / 2 : 1;
		peer->left = draw(400);
		peer->overruns = draw(10) == 0;
	}
}

/* What both know in the end is the same, and nothing was lost. */
static void check_end(unsigned long long seed)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		struct way *way = &ways[leg];
		struct peer *receiver = &peers[leg], *sender = &peers[leg ^ 1];

		cr_assert_eq(count_items(way, UNDECIDED) + count_items(way, GOES_ON), 0, "seed %llu", seed);
		cr_assert_eq(way->recorded, way->went_on, "seed %llu: %llu were recorded of %llu", seed,
		    (unsigned long long)way->recorded, (unsigned long long)way->went_on);
		if (!world.ending) {
			cr_assert_eq(sender->awaited, 0, "seed %llu", seed);
			if (sender->overruns)
				continue; /* it has lost count itself */
			cr_assert_eq(sender->window, receiver->granted - receiver->received - way->reserved,
			    "seed %llu: who sends to %u may send %llu, which takes %llu", seed, leg,
			    (unsigned long long)sender->window,
			    (unsigned long long)(receiver->granted - receiver->received));
		}
	}
	if (!world.ending)
		cr_assert_eq(world.told,
		    world.noticed && world.shell && !world.refused ? sizeof(notice) - 1 : 0, "seed %llu",
		    seed);
}

static void session(uint64_t seed)
{
	begin(seed);
	channels_init(&world.table, ~(uint32_t)RPC_PERMIT_AGENT_FORWARDING, &ops, &world);
	if (world.noticed) {
		channels_set_notice(
		    &world.table, (struct wire_span){(const uint8_t *)notice, sizeof(notice) - 1});
		ways[C].reserved = sizeof(notice) - 1;
	}
	say(C, "bsuuu", CONN_OPEN, "session", numbers[C], (uint32_t)peers[C].granted, peers[C].packet);
	for (unsigned steps = 0; steps < 60000 && world.wrong == NULL && !all_quiet(); steps++) {
		step();
	}
	cr_assert_null(world.wrong, "seed %llu: %s", (unsigned long long)seed, world.wrong);
	cr_assert(all_quiet(), "seed %llu: somebody was never paid: %u and %u left to send",
	    (unsigned long long)seed, peers[C].left, peers[O].left);
	check_end(seed);
	channels_end(&world.table, "over");
}

Test(withheld, nobody_is_over_or_underpaid, .timeout = 300)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		session(seed);
}

/* -- what is too much -- */

static struct channel_judgement hold_all(void *context, struct program *program, channel_leg from,
    uint32_t code, struct wire_span fresh, bool ends)
{
	(void)context;
	(void)program;
	(void)from;
	(void)code;
	(void)fresh;
	(void)ends;
	return (struct channel_judgement){CHANNEL_HOLD};
}

static struct channel_judgement answer_at_length(void *context, struct program *program, channel_leg from,
    uint32_t code, struct wire_span fresh, bool ends)
{
	static const uint8_t text[4000];

	(void)context;
	(void)program;
	(void)from;
	(void)code;
	(void)ends;
	return (struct channel_judgement){
	    CHANNEL_REPLACE, (uint32_t)fresh.len, {text, fresh.len > 0 ? sizeof(text) : 0}};
}

static enum channels_verdict tell(unsigned from, const char *fields, ...)
{
	uint8_t payload[4096];
	va_list values;

	va_start(values, fields);
	size_t len = packet_va(payload, fields, values);
	va_end(values);
	return channels_packet(&world.table, from, payload, len);
}

/* How many bytes of data, `piece` (at most 4000) at a time, until the session has to end. */
static size_t until_it_is_too_much(const struct channel_ops *with, uint32_t window, size_t piece)
{
	static const uint8_t bytes[4000];
	size_t sent = 0;

	begin(0);
	channels_init(&world.table, ~0u, with, &world);
	tell(C, "bsuuu", CONN_OPEN, "session", numbers[C], 0u, 32768u);
	tell(O, "buuuu", CONN_OPEN_CONFIRMATION, numbers[C], numbers[O], window, 32768u);
	while (sent < 4 * WITHHELD_MAX) {
		for (unsigned leg = 0; leg < 2; leg++)
			world.answers[leg].head = world.answers[leg].tail = 0;
		if (tell(C, "bud", CONN_DATA, numbers[O], bytes, piece) == CHANNELS_VIOLATION)
			break;
		sent += piece;
	}
	channels_end(&world.table, "over");
	return sent;
}

Test(withheld, a_line_is_not_held_for_ever)
{
	struct channel_ops with = ops;

	with.program_judge = hold_all;
	size_t held = until_it_is_too_much(&with, UINT32_MAX, 4000);
	cr_expect_leq(held, WINDOW_LENT_MAX);
	cr_expect_gt(held + 4000, WINDOW_LENT_MAX);
}

Test(withheld, nor_is_what_is_put_in_kept_for_ever)
{
	struct channel_ops with = ops;

	with.program_judge = answer_at_length;
	size_t answered = until_it_is_too_much(&with, 0, 1);
	cr_expect_leq(answered * 4000, WITHHELD_MAX);
	cr_expect_gt((answered + 1) * 4000, WITHHELD_MAX - WITHHELD_COST - 1);
}

/* -- a shell on a channel that had data before -- */

static unsigned notices;

static void on_noticed(void *context, struct program *program, struct wire_span text)
{
	(void)context;
	(void)program;
	cr_expect_eq(text.len, sizeof(notice) - 1);
	notices++;
}

/* What the box says to `to` of its own once the origin has answered; its first byte, and the uint32 at 5. */
static uint8_t after_a_late_shell(unsigned to, uint8_t answer, uint32_t *value)
{
	struct channel_ops with = ops;
	struct wire_span p = {0};

	with.program_judge = NULL;
	with.program_noticed = on_noticed;
	begin(0);
	channels_init(&world.table, ~0u, &with, &world);
	channels_set_notice(&world.table, (struct wire_span){(const uint8_t *)notice, sizeof(notice) - 1});
	tell(C, "bsuuu", CONN_OPEN, "session", numbers[C], 100u, 32768u);
	tell(O, "buuuu", CONN_OPEN_CONFIRMATION, numbers[C], numbers[O], 100u, 32768u);
	tell(O, "bud", CONN_DATA, numbers[C], "early", (size_t)5);
	tell(C, "busbsuuuus", CONN_REQUEST, numbers[O], "pty-req", 0, "xterm", 80u, 24u, 0u, 0u, "");
	tell(C, "busb", CONN_REQUEST, numbers[O], "shell", 1);
	tell(O, "bu", answer, numbers[C]);
	cr_assert(line_take(&world.answers[to], &p));
	*value = u32_at(p.at + (p.at[0] == CONN_EXTENDED_DATA ? 9 : 5));
	channels_end(&world.table, "over");
	return p.at[0];
}

Test(withheld, a_shell_on_a_channel_that_had_data_has_its_notice)
{
	uint32_t value;

	cr_expect_eq(after_a_late_shell(C, CONN_SUCCESS, &value), CONN_EXTENDED_DATA);
	cr_expect_eq(value, sizeof(notice) - 1);
	cr_expect_eq(notices, 1, "and it is told that it was shown");
	cr_expect_eq(after_a_late_shell(O, CONN_FAILURE, &value), CONN_WINDOW_ADJUST, "or gives it back");
	cr_expect_eq(value, sizeof(notice) - 1);
	cr_expect_eq(notices, 1);
}
