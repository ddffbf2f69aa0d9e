/* SPDX-License-Identifier: Apache-2.0 */
/* sources: dataplane/frame.c; deps: wire */
/* Whatever the bytes, frame_parse stays inside them and what it reports lies inside them too. */
#include <stdlib.h>

#include "dataplane/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f, quoted;

	if (size > 65536)
		return 0;
	frame_parse(&f, data, (uint32_t)size);
	must((f.kind == FRAME_MALFORMED) == (f.malformation != FRAME_BAD_NOTHING));
	must(f.vlan_tags <= FRAME_VLAN_TAGS_MAX && f.l2_len <= size);
	if (f.kind != FRAME_OTHER && f.kind != FRAME_MALFORMED) {
		must(f.l2_len + f.ip_len <= size && f.l3_len <= f.ip_len);
		must(f.kind == FRAME_IP || f.payload_offset + f.payload_len == f.l2_len + f.ip_len);
		must(f.kind != FRAME_TCP || f.payload_offset == f.l4_offset + f.tcp_header_len);
	}
	(void)frame_checksum_ok(&f);
	uint32_t mtu;
	if (f.kind == FRAME_ICMP && frame_quoted(&f, &quoted))
		must(quoted.family == f.family && quoted.payload_len < f.payload_len);
	if (frame_too_big(&f, &mtu))
		must(f.kind == FRAME_ICMP && (f.family == 6 || mtu <= 65535));
	if (f.kind == FRAME_FRAGMENT && f.protocol == FRAME_PROTOCOL_TCP && f.family == 4)
		must(frame_may_be_tcp(&f));
	return 0;
}
