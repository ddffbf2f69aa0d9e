/* SPDX-License-Identifier: Apache-2.0 */
/*
 * software: each end is told the other's software version (RFC 4253 section 4.2), because programs choose
 * their behaviour by it: which bugs to work around, what extensions to offer, even the order of an SFTP
 * request's arguments. Once logged in they speak with each other, so each must know whom it speaks with.
 */
#ifndef SSHTERM_SOFTWARE_H
#define SSHTERM_SOFTWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is mirrored at most, with the closing NUL; the whole line may have 255 characters. */
#define SOFTWARE_MAX 240

/* Is the first line there, as a whole, or can it not be one any more? */
bool software_line_is_whole(const uint8_t *at, size_t len);

/* What follows "SSH-2.0-" in the line that `at` begins with (CR LF or the end ends it): the version and its
 * comments. False: it is not there, or not fit to be said in another's name; `software` is what legs that
 * mirror nobody say. */
bool software_of(const uint8_t *at, size_t len, char software[SOFTWARE_MAX]);

#endif
