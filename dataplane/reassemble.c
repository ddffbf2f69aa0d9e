/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/reassemble.h"

#include <stdlib.h>
#include <string.h>

#define IPV6_LEN 40
#define FRAGMENT_HEADER_LEN 8
#define TCP_HEADER_LEN 20

struct part {
	void *handle;
	const uint8_t *bytes; /* the payload */
	uint32_t offset, len;
	struct frame frame;
};

struct datagram {
	bool used;
	uint8_t port, family, protocol;
	uint16_t vlan[FRAME_VLAN_TAGS_MAX];
	uint8_t src[16], dst[16];
	uint32_t id;
	uint64_t deadline_us;
	uint32_t have, total; /* bytes; total is 0 until the last fragment is here */
	unsigned parts;
	struct part part[REASSEMBLE_FRAGMENTS]; /* in order of arrival */
};

struct reassembler {
	void (*release)(void *context, void *handle);
	void *context;
	struct reassemble_counters counters;
	struct datagram datagram[REASSEMBLE_DATAGRAMS];
	uint8_t whole[REASSEMBLE_WHOLE_MAX];
};

struct reassembler *reassemble_create(void (*release)(void *context, void *handle), void *context)
{
	struct reassembler *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->release = release;
		r->context = context;
	}
	return r;
}

static void forget(struct reassembler *r, struct datagram *d)
{
	for (unsigned i = 0; i < d->parts; i++)
		r->release(r->context, d->part[i].handle);
	d->used = false;
	d->parts = 0;
}

void reassemble_destroy(struct reassembler *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i < REASSEMBLE_DATAGRAMS; i++)
		if (r->datagram[i].used)
			forget(r, &r->datagram[i]);
	free(r);
}

void reassemble_expire(struct reassembler *r, uint64_t now_us)
{
	for (unsigned i = 0; i < REASSEMBLE_DATAGRAMS; i++) {
		struct datagram *d = &r->datagram[i];
		if (d->used && d->deadline_us <= now_us) {
			r->counters.expired++;
			forget(r, d);
		}
	}
}

const struct reassemble_counters *reassemble_counters(const struct reassembler *r)
{
	return &r->counters;
}

/* RFC 791 names a datagram by addresses, protocol and id; RFC 8200 4.5 by addresses and id. */
static bool same(const struct datagram *d, uint8_t port, const struct frame *f)
{
	return d->used && d->port == port && d->family == f->family && d->id == f->fragment_id &&
	       (f->family == 6 || d->protocol == f->protocol) &&
	       memcmp(d->vlan, f->vlan, sizeof(d->vlan)) == 0 && memcmp(d->src, f->src, 16) == 0 &&
	       memcmp(d->dst, f->dst, 16) == 0;
}

static struct datagram *find_or_begin(
    struct reassembler *r, uint8_t port, const struct frame *f, uint64_t now_us)
{
	struct datagram *free_one = NULL, *oldest = &r->datagram[0];

	for (unsigned i = 0; i < REASSEMBLE_DATAGRAMS; i++) {
		struct datagram *d = &r->datagram[i];
		if (same(d, port, f))
			return d;
		if (!d->used)
			free_one = d;
		else if (d->deadline_us < oldest->deadline_us)
			oldest = d;
	}
	if (free_one == NULL) {
		r->counters.expired++;
		forget(r, oldest);
		free_one = oldest;
	}
	free_one->used = true;
	free_one->port = port;
	free_one->family = f->family;
	free_one->protocol = f->protocol;
	memcpy(free_one->vlan, f->vlan, sizeof(free_one->vlan));
	memcpy(free_one->src, f->src, 16);
	memcpy(free_one->dst, f->dst, 16);
	free_one->id = f->fragment_id;
	free_one->deadline_us = now_us + REASSEMBLE_WAIT_US;
	free_one->have = 0;
	free_one->total = 0;
	free_one->parts = 0;
	return free_one;
}

static bool overlaps(const struct datagram *d, const struct frame *f)
{
	uint32_t end = f->fragment_offset + f->payload_len;

	for (unsigned i = 0; i < d->parts; i++)
		if (f->fragment_offset < d->part[i].offset + d->part[i].len && d->part[i].offset < end)
			return true;
	return false;
}

/* Does it contradict where the datagram ends? */
static bool beyond_end(const struct datagram *d, const struct frame *f)
{
	uint32_t end = f->fragment_offset + f->payload_len;

	if (d->total > 0)
		return end > d->total || !f->fragment_more;
	if (f->fragment_more)
		return false;
	for (unsigned i = 0; i < d->parts; i++)
		if (d->part[i].offset + d->part[i].len > end)
			return true;
	return false;
}

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void finish_ipv4(uint8_t *ip, uint32_t header, uint32_t total)
{
	uint32_t sum = 0;

	put16(ip + 2, header + total);
	put16(ip + 6, 0);
	put16(ip + 10, 0);
	for (uint32_t i = 0; i < header; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~sum & 0xffff);
}

/*
 * Copies the headers before the fragment header, which is the last of l3, and names in the last of them what
 * the fragment header named. Returns the length of what was copied.
 */
static uint32_t unfragmentable_ipv6(uint8_t *out, const uint8_t *ip, uint32_t l3_len)
{
	uint32_t end = l3_len - FRAGMENT_HEADER_LEN;
	uint32_t at = IPV6_LEN, name = 6;

	while (at < end) {
		uint32_t length = ip[name] == 51 ? (ip[at + 1] + 2u) * 4u : (ip[at + 1] + 1u) * 8u;
		name = at;
		at += length;
	}
	memcpy(out, ip, end);
	out[name] = ip[end];
	return end;
}

static uint32_t put_headers(uint8_t *out, const struct frame *first, uint32_t total)
{
	const uint8_t *ip = first->bytes + first->l2_len;
	uint32_t header = first->l3_len;

	memcpy(out, first->bytes, first->l2_len);
	out += first->l2_len;
	if (first->family == 4) {
		memcpy(out, ip, header);
		finish_ipv4(out, header, total);
	} else {
		header = unfragmentable_ipv6(out, ip, header);
		put16(out + 4, header - IPV6_LEN + total);
	}
	return first->l2_len + header;
}

static bool join(struct reassembler *r, struct datagram *d, struct reassemble_whole *whole)
{
	const struct frame *first = NULL;

	for (unsigned i = 0; i < d->parts; i++)
		if (d->part[i].offset == 0)
			first = &d->part[i].frame;
	uint32_t start = first == NULL ? 0 : put_headers(r->whole, first, d->total);
	if (start == 0 || start + d->total > sizeof(r->whole))
		return false;
	for (unsigned i = 0; i < d->parts; i++) {
		memcpy(r->whole + start + d->part[i].offset, d->part[i].bytes, d->part[i].len);
		whole->handles[i] = d->part[i].handle;
	}
	whole->handle_count = d->parts;
	whole->bytes = r->whole;
	whole->len = start + d->total;
	return true;
}

/* A first fragment that splits the TCP header hides what the segment is from those who look at fragments (RFC
 * 1858 3.1, RFC 7112 section 5): no MTU makes anybody send such. */
static bool tiny(const struct frame *f)
{
	return f->fragment_offset == 0 && f->protocol == FRAME_PROTOCOL_TCP &&
	       f->l2_len + f->ip_len < (uint32_t)f->l4_offset + TCP_HEADER_LEN;
}

enum reassemble_result reassemble_add(struct reassembler *r, uint8_t port, const struct frame *f,
    void *handle, uint64_t now_us, struct reassemble_whole *whole)
{
	struct datagram *d = find_or_begin(r, port, f, now_us);
	bool crossed = overlaps(d, f) || beyond_end(d, f), small = !crossed && tiny(f);

	if (crossed || small || d->parts == REASSEMBLE_FRAGMENTS) {
		r->counters.overlapping += crossed;
		r->counters.tiny += small;
		r->counters.refused += !crossed && !small;
		forget(r, d);
		return REASSEMBLE_REFUSED;
	}
	d->part[d->parts++] = (struct part){
	    .handle = handle,
	    .bytes = f->bytes + f->payload_offset,
	    .offset = f->fragment_offset,
	    .len = f->payload_len,
	    .frame = *f,
	};
	d->have += f->payload_len;
	if (!f->fragment_more)
		d->total = f->fragment_offset + f->payload_len;
	if (d->total == 0 || d->have < d->total) {
		r->counters.held++;
		return REASSEMBLE_HELD;
	}
	if (!join(r, d, whole)) {
		d->parts--; /* this one is the caller's */
		r->counters.refused++;
		forget(r, d);
		return REASSEMBLE_REFUSED;
	}
	r->counters.whole++;
	d->used = false;
	d->parts = 0;
	return REASSEMBLE_WHOLE;
}
