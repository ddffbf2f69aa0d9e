/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorder counts; RPC_STATS answers with these names. */
#ifndef RECORDER_COUNTERS_H
#define RECORDER_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define RECORDER_COUNTERS(C)                                                                                 \
	C(programs_opened)        /* recordings begun, those without content included */                     \
	C(programs_resumed)       /* taken up again after a restart of the recorder */                       \
	C(programs_closed)        /* finished as their worker said */                                        \
	C(programs_worker_lost)   /* finished because the worker died */                                     \
	C(programs_recorder_lost) /* found open at start and not taken up in time */                         \
	C(programs_stopped)       /* finished because the recorder had to stop */                            \
	C(programs_refused)       /* not begun: limit of open files, name in use, disk */                    \
	C(blocks_written)                                                                                    \
	C(blocks_resent)        /* acknowledged without writing: the file held them */                       \
	C(blocks_out_of_order)  /* refused: a gap in their numbers */                                        \
	C(blocks_refused)       /* refused: the file is broken or was never opened, or no block's length */  \
	C(bytes_written)        /* of files, lengths included, headers not */                                \
	C(bytes_cut)            /* of half blocks, at a resume or after a failed write */                    \
	C(flushed_acknowledged) /* blocks acknowledged once they were flushed */                             \
	C(writes)               /* write requests to the kernel */                                           \
	C(flushes)              /* of recordings and sidecars */                                             \
	C(write_errors)                                                                                      \
	C(flush_errors)                                                                                      \
	C(log_lines)                                                                                         \
	C(log_errors)                                                                                        \
	C(index_errors)                                                                                      \
	C(protocol_errors)  /* what a worker may not say */                                                  \
	C(channels_corrupt) /* slab channels dropped because the worker broke their rules */                 \
	C(replies_dropped)  /* control did not keep up */                                                    \
	C(sleeps)                                                                                            \
	C(gathers) /* sleeps of a millisecond that workers cannot cut short */

struct counters {
#define COUNTER_FIELD(name) uint64_t name;
	RECORDER_COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};

/* "name value\n" lines; returns the length, 0 where `size` does not do. */
size_t counters_text(const struct counters *counters, uint64_t programs_open, char *text, size_t size);

#endif
