/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/lingering.h"

bool lingering_is_over(struct lingering *lingering, uint64_t moved, uint64_t now_us)
{
	if (!lingering->began || lingering->moved != moved)
		*lingering = (struct lingering){.began = true, .moved = moved, .moved_us = now_us};
	return now_us - lingering->moved_us >= LINGERING_US;
}

uint64_t lingering_deadline(const struct lingering *lingering)
{
	return lingering->began ? lingering->moved_us + LINGERING_US : UINT64_MAX;
}
