/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP options: what a segment carries, and what is taken out of SYNs. Ours is a list of what may stay
 * (MSS, window scale, SACK-permitted, timestamps): an option that the endpoint does not speak, known today
 * (TFO, MPTCP) or not, must not be negotiated between peers that will both talk to the box.
 */
#include "dataplane/tcp/flow.h"

#include "config/wire/wire.h"

#include <string.h>

enum option_kind {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WSCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
	OPTION_MD5 = 19, /* RFC 2385 */
	OPTION_AO = 29,  /* RFC 5925 */
};

enum { TCP_HEADER = 20, TCP_CHECKSUM_AT = 16, TCP_FLAGS_AT = 13, TCP_OFFSET_AT = 12 };

static void option_read(struct tcp_options *options, uint8_t kind, struct wire body)
{
	size_t len = wire_left(&body);

	if (kind == OPTION_MSS && len == 2) {
		options->mss_present = true;
		options->mss = wire_u16(&body);
	} else if (kind == OPTION_WSCALE && len == 1) {
		options->wscale_present = true;
		options->wscale = wire_u8(&body);
		if (options->wscale > WINDOW_SCALE_MAX) /* RFC 7323 2.3 */
			options->wscale = WINDOW_SCALE_MAX;
	} else if (kind == OPTION_SACK_PERMITTED && len == 0) {
		options->sack_permitted = true;
	} else if (kind == OPTION_TIMESTAMPS && len == 8) {
		options->timestamps = true;
		options->tsval = wire_u32(&body);
		options->tsecr = wire_u32(&body);
	} else if (kind == OPTION_SACK && len % 8 == 0 && len / 8 <= SACK_BLOCKS_MAX) {
		for (options->sack_count = 0; wire_left(&body) > 0; options->sack_count++) {
			options->sack[options->sack_count].start = wire_u32(&body);
			options->sack[options->sack_count].end = wire_u32(&body);
		}
	} else if (kind == OPTION_MD5 || kind == OPTION_AO) {
		options->authenticated = true;
	}
}

void options_parse(struct tcp_options *options, const uint8_t *at, uint32_t len)
{
	struct wire w = wire_over(at, len);

	memset(options, 0, offsetof(struct tcp_options, sack));
	while (wire_left(&w) > 0) {
		uint8_t kind = wire_u8(&w);
		if (kind == OPTION_END)
			return;
		if (kind == OPTION_NOP)
			continue;
		uint8_t total = wire_u8(&w);
		if (w.failed || total < 2)
			return;
		struct wire_span body = wire_bytes(&w, total - 2u);
		if (w.failed)
			return;
		option_read(options, kind, wire_over(body.at, body.len));
	}
}

static bool option_stays(uint8_t kind, uint8_t total)
{
	return (kind == OPTION_MSS && total == 4) || (kind == OPTION_WSCALE && total == 3) ||
	       (kind == OPTION_SACK_PERMITTED && total == 2) || (kind == OPTION_TIMESTAMPS && total == 10);
}

/* NOPs over what may not stay; a malformed tail goes too. */
static void options_blank(uint8_t *at, uint32_t len)
{
	uint32_t i = 0;

	while (i < len && at[i] != OPTION_END) {
		if (at[i] == OPTION_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= len || at[i + 1] < 2 || at[i + 1] > len - i) {
			memset(at + i, OPTION_NOP, len - i);
			return;
		}
		uint8_t total = at[i + 1];
		if (!option_stays(at[i], total))
			memset(at + i, OPTION_NOP, total);
		i += total;
	}
	/* What follows an end-of-options is padding, whatever it holds. */
	if (i < len)
		memset(at + i, OPTION_END, len - i);
}

static void put_u16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t words_sum(const uint8_t *at, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	if (len % 2 != 0)
		sum += (uint32_t)at[len - 1] << 8;
	return sum;
}

/* RFC 1624: HC' = ~(~HC + ~m + m'), with sums over the old and the new words. */
static void checksum_adjust(uint8_t *checksum, uint32_t old_sum, uint32_t new_sum)
{
	uint64_t sum = (uint16_t) ~((uint32_t)checksum[0] << 8 | checksum[1]);
	uint32_t folded = old_sum;

	while (folded >> 16 != 0)
		folded = (folded & 0xffff) + (folded >> 16);
	sum += (uint16_t)~folded;
	sum += new_sum;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	checksum[0] = (uint8_t)(~sum >> 8 & 0xff);
	checksum[1] = (uint8_t)(~sum & 0xff);
}

/* `at`: options that are well-formed, as options_blank leaves them. */
static void mss_clamp(uint8_t *at, uint32_t len, uint16_t most)
{
	for (uint32_t i = 0; i < len && at[i] != OPTION_END; i += at[i] == OPTION_NOP ? 1 : at[i + 1])
		if (at[i] == OPTION_MSS && ((uint32_t)at[i + 2] << 8 | at[i + 3]) > most)
			put_u16(at + i + 2, most);
}

bool options_edit_syn(const struct frame *frame, uint8_t *bytes, uint16_t mss_most)
{
	uint8_t *tcp = bytes + frame->l4_offset;
	uint32_t len = frame->tcp_header_len; /* even: a multiple of 4 */
	uint8_t before[60];

	memcpy(before, tcp, len);
	options_blank(tcp + TCP_HEADER, len - TCP_HEADER);
	mss_clamp(tcp + TCP_HEADER, len - TCP_HEADER, mss_most);
	/* ECN (RFC 3168) and accurate ECN use ECE, CWR and the bit next to the data offset. */
	tcp[TCP_FLAGS_AT] &= (uint8_t) ~(TCP_ECE | TCP_CWR);
	tcp[TCP_OFFSET_AT] &= 0xf0;
	if (memcmp(before, tcp, len) == 0)
		return false;
	checksum_adjust(tcp + TCP_CHECKSUM_AT, words_sum(before, len), words_sum(tcp, len));
	return true;
}

void options_cut_payload(const struct frame *frame, uint8_t *bytes, uint32_t *len)
{
	uint8_t *ip = bytes + frame->l2_len, *tcp = bytes + frame->l4_offset;
	uint32_t cut = frame->payload_len, tcp_len = frame->tcp_header_len;

	if (cut == 0)
		return;
	/* The pseudo-header's length word and the payload leave the TCP sum. */
	checksum_adjust(
	    tcp + TCP_CHECKSUM_AT, words_sum(bytes + frame->payload_offset, cut) + tcp_len + cut, tcp_len);
	if (frame->family == 4) {
		uint32_t before = words_sum(ip + 2, 2);
		put_u16(ip + 2, frame->ip_len - cut);
		checksum_adjust(ip + 10, before, words_sum(ip + 2, 2));
	} else {
		put_u16(ip + 4, frame->ip_len - 40 - cut);
	}
	*len = frame->payload_offset;
}
