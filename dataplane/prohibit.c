/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/prohibit.h"

#include <string.h>

#include "config/wire/wire.h"

#define QUOTE4_MAX (576 - 20 - 8)
#define QUOTE6_MAX (1280 - 40 - 8)
#define TTL 64
enum { PROTO_ICMP = 1, PROTO_ICMPV6 = 58 };

static uint16_t checksum(uint64_t sum, const uint8_t *at, size_t len)
{
	for (; len >= 2; at += 2, len -= 2)
		sum += (uint64_t)(at[0] << 8 | at[1]);
	if (len > 0)
		sum += (uint64_t)at[0] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint64_t address_sum(const uint8_t *at, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint64_t)(at[i] << 8 | at[i + 1]);
	return sum;
}

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* Multicast, limited broadcast, unspecified, loopback: nobody to answer, or nobody to answer as. */
static bool is_one_host(uint8_t family, const uint8_t *a)
{
	static const uint8_t none[16] = {0};

	if (family == 4)
		return a[0] != 0 && a[0] != 127 && a[0] < 224;
	return a[0] != 0xff && memcmp(a, none, 15) != 0;
}

static bool is_icmp_error(const struct frame *f)
{
	uint8_t type = f->bytes[f->l4_offset];

	if (f->kind != FRAME_ICMP)
		return false;
	return f->family == 4 ? type == 3 || type == 4 || type == 5 || type == 11 || type == 12
	                      : type < 128 || type == 137;
}

static bool may_answer(const struct frame *f)
{
	if ((f->family != 4 && f->family != 6) || f->kind == FRAME_MALFORMED)
		return false;
	if ((f->bytes[0] & 1) != 0 || (f->bytes[6] & 1) != 0) /* to or from a group of MACs */
		return false;
	if (f->kind == FRAME_FRAGMENT && f->fragment_offset > 0)
		return false;
	return !is_icmp_error(f) && is_one_host(f->family, f->src) && is_one_host(f->family, f->dst);
}

static void put_l2(struct wire_out *o, const struct frame *f)
{
	wire_put_bytes(o, f->bytes + 6, 6);
	wire_put_bytes(o, f->bytes, 6);
	wire_put_bytes(o, f->bytes + 12, f->l2_len - 12u);
}

static void put_icmp(struct wire_out *o, uint8_t type, uint8_t code)
{
	wire_put_u8(o, type);
	wire_put_u8(o, code);
	wire_put_u16(o, 0);
	wire_put_u32(o, 0);
}

static void answer4(struct wire_out *o, const struct frame *f, uint32_t quote)
{
	uint8_t *ip = o->at;

	wire_put_u16(o, 0x4500 | 0xc0); /* internetwork control (RFC 1812 4.3.2.5) */
	wire_put_u16(o, (uint16_t)(28 + quote));
	wire_put_u32(o, 0);
	wire_put_u8(o, TTL);
	wire_put_u8(o, PROTO_ICMP);
	wire_put_u16(o, 0);
	wire_put_bytes(o, f->dst, 4);
	wire_put_bytes(o, f->src, 4);
	uint8_t *icmp = o->at;
	put_icmp(o, 3, 13);
	wire_put_bytes(o, f->bytes + f->l2_len, quote);
	put16(ip + 10, checksum(0, ip, 20));
	put16(icmp + 2, checksum(0, icmp, 8 + quote));
}

static void answer6(struct wire_out *o, const struct frame *f, uint32_t quote)
{
	wire_put_u32(o, 6u << 28);
	wire_put_u16(o, (uint16_t)(8 + quote));
	wire_put_u8(o, PROTO_ICMPV6);
	wire_put_u8(o, TTL);
	wire_put_bytes(o, f->dst, 16);
	wire_put_bytes(o, f->src, 16);
	uint8_t *icmp = o->at;
	put_icmp(o, 1, 1);
	wire_put_bytes(o, f->bytes + f->l2_len, quote);
	uint64_t pseudo = address_sum(f->dst, 16) + address_sum(f->src, 16) + 8 + quote + PROTO_ICMPV6;
	put16(icmp + 2, checksum(pseudo, icmp, 8 + quote));
}

uint32_t prohibit_answer(uint8_t out[PROHIBIT_MAX], const struct frame *f)
{
	struct wire_out o = wire_into(out, PROHIBIT_MAX);
	uint32_t most = f->family == 4 ? QUOTE4_MAX : QUOTE6_MAX;
	uint32_t quote = f->ip_len < most ? f->ip_len : most;

	if (!may_answer(f))
		return 0;
	put_l2(&o, f);
	if (f->family == 4)
		answer4(&o, f, quote);
	else
		answer6(&o, f, quote);
	return o.failed ? 0 : (uint32_t)wire_written(&o);
}
