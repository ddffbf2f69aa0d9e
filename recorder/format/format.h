/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: recordings as Cloudflare's ssh-log-cli reads them; sealing (worker) and opening (auditor's tool).
 *
 * Theory of operation. A recording is `u32be N`, N bytes of base64(JSON header), then blocks, each
 * `u32be L` and L bytes of HPKE ciphertext (RFC 9180 base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
 * ChaCha20-Poly1305, empty info and aad). One HPKE context a file; block n is sealed with sequence number n.
 * The plaintexts joined are records: u32be T (13 + data length), u8 source, u32be code, u64be microseconds
 * since the start, data. Whole records within a block, no empty block, times never go back.
 * The header takes FORMAT_HEADER_SIZE bytes of the file, padded with spaces before base64;
 * `encapsulated_key` and `started_at` come first so that their base64 never changes.
 *
 * Invariants: the private half of the ephemeral key is wiped as soon as the context is made; contexts are
 * wiped when dropped; nothing here allocates on the sealing path (a thread's first seal or open makes the
 * one cipher object that the thread goes on to use for all its contexts).
 *
 * PROTOCOL.md beside this file describes the bytes for those who write another reader.
 */
#ifndef RECORDER_FORMAT_H
#define RECORDER_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define FORMAT_KEY_SIZE 32
#define FORMAT_TAG_SIZE 16
#define FORMAT_HEADER_SIZE 4096   /* bytes of the file before the first block, u32be N included */
#define FORMAT_RECORD_OVERHEAD 17 /* u32 T, u8 source, u32 code, u64 time */
#define FORMAT_BLOCK_MAX                                                                                     \
	(64 * 1024) /* plaintext bytes of a block, at most; ciphertext is FORMAT_TAG_SIZE more */

#define FORMAT_SEALED_MAX (1u << 20) /* the largest block of another producer that is read */

enum format_source { FORMAT_FROM_CLIENT = 0, FORMAT_FROM_ORIGIN = 1 };
enum format_code {
	FORMAT_DATA = 0,
	FORMAT_STDERR = 1,
	/* Events: source 0, code >= 0x80000000. Fixed parameters live in the code itself, there is no data.
	 */
	FORMAT_EVENT = 0x80000000u,
	FORMAT_RESIZE = 0x81000000u, /* | columns (12 bits) << 12 | rows (12 bits); larger ones are clamped */
	FORMAT_GAP =
	    0x82000000u, /* | records lost, clamped to 24 bits: what was discarded before this block */
};

struct format_record {
	uint8_t source;
	uint32_t code;
	uint64_t time_us;
	struct wire_span data;
};

/* One HPKE context (RFC 9180 section 5.2): key schedule output and the next sequence number. */
struct format_context {
	uint8_t key[32];
	uint8_t base_nonce[12];
	uint64_t sequence;
};

/* Codes of events, clamped; and their parameters again. */
uint32_t format_resize(uint32_t columns, uint32_t rows);
uint32_t format_gap(uint64_t lost_records);
/* True where `code` is that event. */
bool format_is_resize(uint32_t code, uint32_t *columns, uint32_t *rows);
bool format_is_gap(uint32_t code, uint32_t *lost_records);

/* -- keys -- 0, or -EINVAL for text that is no key (white space around is accepted). */
int format_key_decode(const char *text, size_t len, uint8_t key[FORMAT_KEY_SIZE]);
/* 44 characters and a NUL, no newline. */
void format_key_encode(const uint8_t key[FORMAT_KEY_SIZE], char text[45]);
int format_keypair(uint8_t secret[FORMAT_KEY_SIZE], uint8_t public[FORMAT_KEY_SIZE]);

/* -- HPKE -- Setups: 0, or -EINVAL where the peer's key is not usable (all-zero shared secret, RFC
 * 9180 7.1.4). */
int format_seal_setup(struct format_context *context, const uint8_t recipient[FORMAT_KEY_SIZE],
    uint8_t encapsulated[FORMAT_KEY_SIZE]);
/* The same with a given ephemeral secret: for known answers only. */
int format_seal_setup_with(struct format_context *context, const uint8_t recipient[FORMAT_KEY_SIZE],
    const uint8_t ephemeral[FORMAT_KEY_SIZE], uint8_t encapsulated[FORMAT_KEY_SIZE]);
int format_open_setup(struct format_context *context, const uint8_t secret[FORMAT_KEY_SIZE],
    const uint8_t encapsulated[FORMAT_KEY_SIZE]);
void format_context_wipe(struct format_context *context);
/* Seals `len` (1..FORMAT_BLOCK_MAX) bytes into out (len + FORMAT_TAG_SIZE; may be a slab); advances sequence.
 * -EINVAL for another length, -EOVERFLOW when the sequence is used up, -ENOMEM. */
int format_seal(struct format_context *context, const uint8_t *plain, size_t len, uint8_t *out);
/* Opens a block of FORMAT_TAG_SIZE + 1..FORMAT_SEALED_MAX bytes into out (len - FORMAT_TAG_SIZE) with the
 * context's sequence number and advances it. -EBADMSG on a wrong key, order or byte: then `out` is wiped. */
int format_open(struct format_context *context, const uint8_t *sealed, size_t len, uint8_t *out);

/* -- several recipients -- The file's own context is for recipients[0]. Each further one can open it by a
 * wrapped context, in the header's extra key "recipients": HPKE (own encapsulation) over key || base_nonce.
 */
#define FORMAT_RECIPIENTS_MAX 8
struct format_wrapped {
	uint8_t recipient[FORMAT_KEY_SIZE];
	uint8_t encapsulated[FORMAT_KEY_SIZE];
	uint8_t sealed[44 + FORMAT_TAG_SIZE];
};
int format_wrap(const struct format_context *context, const uint8_t recipient[FORMAT_KEY_SIZE],
    struct format_wrapped *wrapped);
int format_unwrap(const struct format_wrapped *wrapped, const uint8_t secret[FORMAT_KEY_SIZE],
    struct format_context *context);

/* -- blocks -- The next block of a file's bytes behind the header (ciphertext with tag). False at the end,
 * or, with in->failed set, where what is left is no whole block: a file that is being written ends like that.
 */
bool format_get_block(struct wire *in, struct wire_span *sealed);

/* -- records -- Appends a record; false (nothing written) where it does not fit, has another source than
 * enum format_source, has empty data without being an event, or data while being one. */
bool format_put_record(struct wire_out *out, const struct format_record *record);
/* Next record of opened plaintext; false at the end or where it is malformed (then in->failed). */
bool format_get_record(struct wire *in, struct format_record *record);

/* -- header -- */
#define FORMAT_TERM_MAX 128
#define FORMAT_TEXT_MAX 256
#define FORMAT_MODES_MAX 64
struct format_mode {
	uint8_t opcode; /* RFC 4254 section 8 */
	uint32_t value;
};
struct format_header {
	uint64_t started_at; /* unix seconds */
	uint64_t data_size;  /* bytes of records, joined plaintexts */
	uint8_t encapsulated[FORMAT_KEY_SIZE];
	bool has_pty;
	char term[FORMAT_TERM_MAX];
	uint32_t width, height; /* characters */
	struct format_mode modes[FORMAT_MODES_MAX];
	size_t mode_count;
	bool has_exit;
	uint64_t exit_timestamp; /* unix seconds */
	bool has_status;
	uint32_t status;
	char signal[32]; /* without "SIG", empty: none */
	bool core_dumped;
	char error_msg[FORMAT_TEXT_MAX];
	struct format_wrapped wrapped[FORMAT_RECIPIENTS_MAX - 1];
	size_t wrapped_count;
	/* Portreeve's own keys, ignored by the other tool; empty strings are left out. */
	char session_id[40];
	char program_id[40];
	char close_reason[64];
	uint64_t lost_records;
};
/* The first FORMAT_HEADER_SIZE bytes of a file. Strings, then terminal modes, are cut until it fits. Invalid
 * UTF-8 is replaced. -EINVAL without an encapsulated key; -EMSGSIZE never happens in practice (a bug). */
int format_header_encode(const struct format_header *header, uint8_t out[FORMAT_HEADER_SIZE]);
/* Reads any producer's header (any N up to 1 MiB, unknown keys ignored). *consumed = 4 + N. -EBADMSG. */
int format_header_decode(const uint8_t *file, size_t len, struct format_header *header, size_t *consumed);
/* The JSON of the header alone (nothing cut), malloc'ed, for the sidecar and the messages to the recorder;
 * NULL without memory. An all-zero encapsulated key is left out. */
char *format_header_json(const struct format_header *header);
/* Longer strings are cut, unknown keys and modes ignored, what is missing is zero. -EBADMSG on a wrong type.
 */
int format_header_from_json(const char *json, size_t len, struct format_header *header);
/* Name of a terminal mode's opcode ("ECHO", RFC 4254 section 8), or NULL; and back, 0 where there is none.
 * In headers an opcode without a name is written as its decimal number. */
const char *format_mode_name(uint8_t opcode);
uint8_t format_mode_opcode(const char *name);

/*
 * -- what a worker tells the recorder -- JSON objects:
 *  open:  {"program_id","session_id","strict":bool,"resume":bool,"header":{…format header JSON…},
 *          "log":{…session-log object so far (Cloudflare's field names)…}}
 *         A worker that runs on with a new recorder sends it again with resume true.
 *  close: {"header":{…final header…}, "log":{…final session-log object…}, "blocks":n}
 * Ids are UUIDs in lower case, the log object is at most 16 KiB as text, each message at most 64 KiB. The
 * close's header may not change encapsulated_key, started_at or ids (the recorder keeps its own), and gets
 * data_size from the file. header.close_reason is "closed" where the worker gives none; "worker_lost",
 * "recorder_lost" and "stopped" are the recorder's. A block that was refused for want of room may be given
 * again; blocks of a file whose flush failed are refused for good. A program that is not recorded
 * (command_logging false) is told with open {"record":false,…} and close: the session log and the index
 * alone. Its open's header is without encapsulated_key.
 */
#endif
