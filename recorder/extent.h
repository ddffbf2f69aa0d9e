/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a recording's file is whole: what is kept when somebody died in the middle of a write. */
#ifndef RECORDER_EXTENT_H
#define RECORDER_EXTENT_H

#include <stdint.h>

struct extent {
	uint64_t blocks;
	uint64_t size; /* bytes of header and whole blocks */
};

/* Walks the file's lengths. -EBADMSG where not even a header of ours is there; 0 or -errno. */
int extent_measure(int fd, struct extent *extent);
/* Cuts the file to its whole blocks; *cut is how many bytes went. 0 or -errno. */
int extent_cut(int fd, struct extent *extent, uint64_t *cut);

#endif
