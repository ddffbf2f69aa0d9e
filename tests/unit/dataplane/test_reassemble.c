/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/reassemble.h"
#include "tests/unit/dataplane/packets.h"

#define PIECES_MAX 64

static unsigned released;

static void release(void *context, void *handle)
{
	(void)context;
	(void)handle;
	released++;
}

/* A TCP segment as one frame, and the same in fragments of `size` bytes. */
struct datagram {
	struct packet whole;
	struct packet piece[PIECES_MAX];
	unsigned pieces;
};

static void headers(struct packet *p, int family, bool extended)
{
	packet_ethernet(p);
	packet_vlan(p, 0x8100, 12);
	if (family == 4)
		packet_ipv4(p, "198.51.100.1", "198.51.100.2", extended ? 8 : 0);
	else
		packet_ipv6(p, "2001:db8::1", "2001:db8::2");
	if (family == 6 && extended)
		packet_extension(p, 60, 1);
}

static struct datagram *cut(int family, bool extended, uint32_t payload, uint32_t size)
{
	static struct datagram d;

	headers(&d.whole, family, extended);
	packet_tcp(&d.whole, 40000, 22, TCP_ACK, 0);
	for (uint32_t i = 0; i < payload; i++)
		packet_payload(&d.whole, 1, (uint8_t)i);
	packet_finish(&d.whole, 0);
	uint32_t all = d.whole.len - d.whole.l4;
	d.pieces = 0;
	for (uint32_t at = 0; at < all; at += size) {
		struct packet *p = &d.piece[d.pieces++];
		uint32_t len = all - at < size ? all - at : size;
		headers(p, family, extended);
		if (family == 4)
			packet_ipv4_fragment(p, 4711, (uint16_t)at, at + len < all);
		else
			packet_ipv6_fragment(p, 4711, (uint16_t)at, at + len < all);
		packet_upper(p, 6);
		packet_payload(p, len, 0);
		p->upper = 0; /* no checksum of its own */
		packet_finish(p, 3);
		memcpy(p->bytes + p->l4, d.whole.bytes + d.whole.l4 + at, len);
	}
	return &d;
}

static enum reassemble_result add(
    struct reassembler *r, struct packet *p, uint8_t port, uint64_t now, struct reassemble_whole *whole)
{
	struct frame f;

	frame_parse(&f, p->bytes, p->len);
	cr_assert_eq(f.kind, FRAME_FRAGMENT, "a piece is %s (%s)", frame_kind_name(f.kind),
	    frame_malformation_text(f.malformation));
	return reassemble_add(r, port, &f, p, now, whole);
}

Test(reassemble, any_order_gives_the_whole)
{
	struct reassembler *r = reassemble_create(release, NULL);
	struct reassemble_whole whole;

	for (int family = 4; family <= 6; family += 2) {
		for (int extended = 0; extended < 2; extended++) {
			for (unsigned first = 0; first < 5; first++) {
				struct datagram *d = cut(family, extended != 0, 300, 64);
				cr_assert_eq(d->pieces, 5);
				for (unsigned i = 0; i < d->pieces; i++) {
					unsigned which = (first + i * 2) % d->pieces;
					enum reassemble_result got = add(r, &d->piece[which], 1, 0, &whole);
					cr_assert_eq(got,
					    i + 1 < d->pieces ? REASSEMBLE_HELD : REASSEMBLE_WHOLE,
					    "IPv%d, piece %u: got %d", family, which, got);
					cr_assert(i + 1 < d->pieces || whole.handles[0] == &d->piece[first],
					    "handles in order of arrival");
				}
				cr_assert_eq(whole.handle_count, d->pieces);
				struct frame f;
				frame_parse(&f, whole.bytes, whole.len);
				cr_assert_eq(f.kind, FRAME_TCP, "IPv%d: got %s (%s)", family,
				    frame_kind_name(f.kind), frame_malformation_text(f.malformation));
				cr_assert(frame_checksum_ok(&f), "IPv%d: checksum", family);
				cr_assert_eq(f.payload_len, 300);
				cr_assert_eq(f.vlan[0], 12);
				/* IPv4 keeps the id of its fragments; all else is as if it never had been
				 * cut. */
				if (family == 6) {
					cr_assert_eq(whole.len, d->whole.len);
					cr_assert_arr_eq(whole.bytes, d->whole.bytes, whole.len);
				}
			}
		}
	}
	cr_assert_eq(released, 0);
	cr_assert_eq(reassemble_counters(r)->whole, 20);
	reassemble_destroy(r);
}

Test(reassemble, overlaps_end_the_datagram)
{
	static const struct {
		const char *what;
		uint16_t offset;
		uint32_t len;
		bool more;
	} table[] = {
	    {"the same again", 0, 64, true},
	    {"over the first", 56, 64, true},
	    {"within the first", 8, 8, true},
	    {"a second end", 128, 16, false},
	    {"beyond the end", 320, 64, true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct reassembler *r = reassemble_create(release, NULL);
		struct datagram *d = cut(4, false, 300, 64);
		struct reassemble_whole whole;
		struct packet evil;
		released = 0;
		cr_assert_eq(add(r, &d->piece[0], 0, 0, &whole), REASSEMBLE_HELD);
		cr_assert_eq(add(r, &d->piece[4], 0, 0, &whole), REASSEMBLE_HELD);
		headers(&evil, 4, false);
		packet_ipv4_fragment(&evil, 4711, table[i].offset, table[i].more);
		packet_upper(&evil, 6);
		packet_payload(&evil, table[i].len, 0xee);
		evil.upper = 0;
		packet_finish(&evil, 0);
		cr_assert_eq(add(r, &evil, 0, 0, &whole), REASSEMBLE_REFUSED, "%s is taken", table[i].what);
		cr_assert_eq(released, 2, "%s: expected 2 released, got %u", table[i].what, released);
		cr_assert_eq(reassemble_counters(r)->overlapping, 1);
		reassemble_destroy(r);
	}
}

Test(reassemble, other_names_do_not_mix)
{
	struct reassembler *r = reassemble_create(release, NULL);
	struct datagram *d = cut(4, false, 100, 64);
	struct reassemble_whole whole;

	cr_assert_eq(add(r, &d->piece[0], 0, 0, &whole), REASSEMBLE_HELD);
	cr_assert_eq(add(r, &d->piece[1], 1, 0, &whole), REASSEMBLE_HELD, "another port");
	cr_assert_eq(add(r, &d->piece[1], 0, 0, &whole), REASSEMBLE_WHOLE);
	released = 0;
	reassemble_destroy(r);
	cr_assert_eq(released, 1);
}

Test(reassemble, time_runs_out)
{
	struct reassembler *r = reassemble_create(release, NULL);
	struct datagram *d = cut(6, false, 100, 64);
	struct reassemble_whole whole;

	released = 0;
	cr_assert_eq(add(r, &d->piece[0], 0, 1000, &whole), REASSEMBLE_HELD);
	reassemble_expire(r, 1000 + REASSEMBLE_WAIT_US - 1);
	cr_assert_eq(released, 0);
	reassemble_expire(r, 1000 + REASSEMBLE_WAIT_US);
	cr_assert_eq(released, 1);
	cr_assert_eq(add(r, &d->piece[1], 0, 1000 + REASSEMBLE_WAIT_US, &whole), REASSEMBLE_HELD);
	reassemble_destroy(r);
}

/* A flood of first fragments pushes out the oldest; one datagram of too many pieces is refused. */
Test(reassemble, bounded)
{
	struct reassembler *r = reassemble_create(release, NULL);
	struct reassemble_whole whole;
	struct datagram *d = cut(4, false, 24 * 60, 24);

	released = 0;
	for (unsigned i = 0; i < REASSEMBLE_FRAGMENTS; i++)
		cr_assert_eq(add(r, &d->piece[i], 0, 0, &whole), REASSEMBLE_HELD, "piece %u", i);
	cr_assert_eq(add(r, &d->piece[REASSEMBLE_FRAGMENTS], 0, 0, &whole), REASSEMBLE_REFUSED);
	cr_assert_eq(released, REASSEMBLE_FRAGMENTS);
	released = 0;
	static struct packet flood[REASSEMBLE_DATAGRAMS + 50];
	for (unsigned i = 0; i < REASSEMBLE_DATAGRAMS + 50; i++) {
		flood[i] = d->piece[0];
		flood[i].bytes[flood[i].l3 + 4] = (uint8_t)(i >> 8);
		flood[i].bytes[flood[i].l3 + 5] = (uint8_t)i;
		cr_assert_eq(add(r, &flood[i], 0, i, &whole), REASSEMBLE_HELD);
	}
	cr_assert_eq(released, 50);
	reassemble_destroy(r);
}
