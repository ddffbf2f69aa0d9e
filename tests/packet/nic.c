/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/packet/nic.h"

#include <string.h>

#include "tests/packet/box.h"

#if defined(__clang__) /* a fuzzer shall be led by what it tests, and not pay for this */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#endif

#define SEGMENT_MAX 65536

static uint32_t get_u16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get_u32(const uint8_t *at)
{
	return get_u16(at) << 16 | get_u16(at + 2);
}

static void put_u16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put_u32(uint8_t *at, uint32_t v)
{
	put_u16(at, v >> 16);
	put_u16(at + 2, v);
}

/* Not complemented, as it stands in the checksum's place. */
static uint32_t pseudo_sum(const uint8_t *ip, uint8_t family, uint32_t tcp_len)
{
	return family == 4 ? box_sum(0, ip + 12, 8) + 6 + tcp_len : box_sum(0, ip + 8, 32) + 6 + tcp_len;
}

static uint32_t folded(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static bool as_expected(const uint8_t *bytes, uint32_t len, const struct tcp_unfinished *what)
{
	const uint8_t *ip = bytes + what->l2_len, *tcp = ip + what->l3_len;
	uint32_t tcp_len = len - what->l2_len - what->l3_len, payload = tcp_len - what->l4_len;
	uint32_t pseudo = pseudo_sum(ip, what->family, what->segment_len == 0 ? tcp_len : 0);

	if (get_u16(bytes + what->l2_len - 2) != (what->family == 4 ? 0x0800u : 0x86ddu) ||
	    what->l4_len != (tcp[12] >> 4) * 4 || get_u16(tcp + 16) != folded(pseudo))
		return false;
	if (what->segment_len != 0 && payload <= what->segment_len)
		return false;
	if (what->family == 6)
		return what->l3_len == 40 && get_u16(ip + 4) == tcp_len;
	return what->l3_len == 20 && get_u16(ip + 2) == 20 + tcp_len && box_sum(0, ip, 20) == 0xffff;
}

bool nic_finish(const uint8_t *bytes, uint32_t len, const struct tcp_unfinished *what,
    void (*send)(void *context, const uint8_t *bytes, uint32_t len), void *context)
{
	uint8_t out[SEGMENT_MAX];
	uint32_t headers = (uint32_t)what->l2_len + what->l3_len + what->l4_len;

	if (len < headers || len > SEGMENT_MAX || !as_expected(bytes, len, what))
		return false;
	uint32_t payload = len - headers, step = what->segment_len != 0 ? what->segment_len : payload;
	uint32_t done = 0, number = 0;
	do {
		uint32_t part = payload - done < step ? payload - done : step;
		uint8_t *ip = out + what->l2_len, *tcp = ip + what->l3_len;
		uint32_t tcp_len = what->l4_len + part;
		memcpy(out, bytes, headers);
		memcpy(out + headers, bytes + headers + done, part);
		if (what->family == 4) {
			put_u16(ip + 2, 20 + tcp_len);
			put_u16(ip + 4, get_u16(ip + 4) + number);
			put_u16(ip + 10, 0);
			put_u16(ip + 10, ~box_sum(0, ip, 20));
		} else {
			put_u16(ip + 4, tcp_len);
		}
		put_u32(tcp + 4, get_u32(tcp + 4) + done);
		if (done + part < payload)
			tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		put_u16(tcp + 16, 0);
		put_u16(tcp + 16, ~box_sum(pseudo_sum(ip, what->family, tcp_len), tcp, tcp_len));
		send(context, out, headers + part);
		done += part;
		number++;
	} while (done < payload);
	return true;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
