/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dataplane/packets.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

static uint8_t *append(struct packet *p, uint32_t len)
{
	if (p->len + len > PACKET_MAX)
		abort();
	uint8_t *at = p->bytes + p->len;
	memset(at, 0, len);
	p->len += len;
	return at;
}

static void name_next(struct packet *p, uint8_t protocol)
{
	p->bytes[p->next_header] = protocol;
}

void packet_ethernet(struct packet *p)
{
	memset(p, 0, sizeof(*p));
	uint8_t *at = append(p, 14);
	memcpy(at, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01", 12);
}

void packet_vlan(struct packet *p, uint16_t tpid, uint16_t id)
{
	put16(p->bytes + p->len - 2, tpid);
	put16(append(p, 4), id);
}

void packet_other(struct packet *p, uint16_t ether_type, uint32_t len, uint8_t fill)
{
	put16(p->bytes + p->len - 2, ether_type);
	memset(append(p, len), fill, len);
}

void packet_ipv4(struct packet *p, const char *src, const char *dst, uint32_t option_len)
{
	put16(p->bytes + p->len - 2, 0x0800);
	p->family = 4;
	p->l3 = p->len;
	uint8_t *at = append(p, 20 + option_len);
	at[0] = (uint8_t)(0x40 | (20 + option_len) / 4);
	at[1] = 0x10;
	at[8] = 64;
	memset(at + 20, 1, option_len); /* NOPs */
	if (inet_pton(AF_INET, src, at + 12) != 1 || inet_pton(AF_INET, dst, at + 16) != 1)
		abort();
	p->next_header = p->l3 + 9;
	p->l4 = p->len;
}

void packet_ipv6(struct packet *p, const char *src, const char *dst)
{
	put16(p->bytes + p->len - 2, 0x86dd);
	p->family = 6;
	p->l3 = p->len;
	uint8_t *at = append(p, 40);
	at[0] = 0x60;
	at[7] = 64;
	if (inet_pton(AF_INET6, src, at + 8) != 1 || inet_pton(AF_INET6, dst, at + 24) != 1)
		abort();
	p->next_header = p->l3 + 6;
	p->l4 = p->len;
}

void packet_ipv4_fragment(struct packet *p, uint16_t id, uint16_t offset, bool more)
{
	put16(p->bytes + p->l3 + 4, id);
	put16(p->bytes + p->l3 + 6, offset / 8u | (more ? 0x2000u : 0u));
}

void packet_extension(struct packet *p, uint8_t protocol, uint8_t units)
{
	name_next(p, protocol);
	p->next_header = p->len;
	uint8_t *at = append(p, 8u + units * 8u);
	at[1] = protocol == 51 ? (uint8_t)(units * 2) : units;
	p->l4 = p->len;
}

void packet_ipv6_fragment(struct packet *p, uint32_t id, uint16_t offset, bool more)
{
	name_next(p, 44);
	p->next_header = p->len;
	uint8_t *at = append(p, 8);
	put16(at + 2, offset | (more ? 1u : 0u));
	put32(at + 4, id);
	p->l4 = p->len;
}

void packet_upper(struct packet *p, uint8_t protocol)
{
	name_next(p, protocol);
	p->upper = protocol;
	p->l4 = p->len;
}

void packet_tcp(struct packet *p, uint16_t sport, uint16_t dport, uint8_t flags, uint32_t option_len)
{
	packet_upper(p, 6);
	uint8_t *at = append(p, 20 + option_len);
	put16(at, sport);
	put16(at + 2, dport);
	put32(at + 4, 0x01020304);
	put32(at + 8, 0x05060708);
	at[12] = (uint8_t)((20 + option_len) / 4 << 4);
	at[13] = flags;
	put16(at + 14, 4096);
	memset(at + 20, 1, option_len);
}

void packet_udp(struct packet *p, uint16_t sport, uint16_t dport)
{
	packet_upper(p, 17);
	uint8_t *at = append(p, 8);
	put16(at, sport);
	put16(at + 2, dport);
}

void packet_icmp(struct packet *p, uint8_t type, uint8_t code)
{
	packet_upper(p, p->family == 4 ? 1 : 58);
	uint8_t *at = append(p, 8);
	at[0] = type;
	at[1] = code;
}

void packet_payload(struct packet *p, uint32_t len, uint8_t fill)
{
	memset(append(p, len), fill, len);
}

static uint32_t sum(uint32_t s, const uint8_t *at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		s += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
	return s;
}

static uint16_t finish_sum(uint32_t s)
{
	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

void packet_finish(struct packet *p, uint32_t padding)
{
	uint8_t *ip = p->bytes + p->l3;
	uint8_t *l4 = p->bytes + p->l4;
	uint32_t upper_len = p->len - p->l4;
	uint32_t pseudo = upper_len + p->upper;

	if (p->family == 4) {
		put16(ip + 2, p->len - p->l3);
		put16(ip + 10, 0);
		put16(ip + 10, finish_sum(sum(0, ip, (ip[0] & 0x0fu) * 4u)));
		pseudo = sum(pseudo, ip + 12, 8);
	} else if (p->family == 6) {
		put16(ip + 4, p->len - p->l3 - 40);
		pseudo = sum(pseudo, ip + 8, 32);
	}
	if (p->upper == 17 && upper_len >= 8)
		put16(l4 + 4, upper_len);
	if (p->upper == 6 && upper_len >= 20)
		put16(l4 + 16, finish_sum(sum(pseudo, l4, upper_len)));
	else if (p->upper == 17 && upper_len >= 8)
		put16(l4 + 6, finish_sum(sum(pseudo, l4, upper_len)));
	else if (p->upper == 1 && upper_len >= 4)
		put16(l4 + 2, finish_sum(sum(0, l4, upper_len)));
	else if (p->upper == 58 && upper_len >= 4)
		put16(l4 + 2, finish_sum(sum(pseudo, l4, upper_len)));
	append(p, padding);
}
