/* SPDX-License-Identifier: Apache-2.0 */
/* Text of strangers made fit for JSON. Private to recorder/format. */
#ifndef RECORDER_FORMAT_UTF8_H
#define RECORDER_FORMAT_UTF8_H

#include <stddef.h>

/* Copies the C string `text` into `clean` (size bytes with the NUL, >= 4), each byte that is no part of
 * well-formed UTF-8 (RFC 3629) replaced by U+FFFD; cut at a whole character where it does not fit. */
void utf8_clean(const char *text, char *clean, size_t size);
/* The longest length <= `len` at which well-formed `text` can be cut without breaking a character. */
size_t utf8_cut(const char *text, size_t len);

#endif
