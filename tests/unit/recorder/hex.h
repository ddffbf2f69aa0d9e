/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors are written in hexadecimal; failures are printed so. */
#ifndef TESTS_RECORDER_HEX_H
#define TESTS_RECORDER_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that `hex` stands for; fails the test when it is no hex or does not fit. */
size_t unhex(const char *hex, uint8_t *bytes, size_t size);
/* Fails the test, printing both, where bytes are not what `hex` says. */
void expect_hex(const char *what, const uint8_t *bytes, size_t len, const char *hex);

#endif
