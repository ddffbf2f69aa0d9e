/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack: memory that code runs on, a session's fiber or the computing thread.
 *
 * All are of one size. A guard page lies below, so that an overflow is a crash and not another session's
 * memory. What code has left there, intermediate secrets too, goes when the pages are given back to the
 * kernel: they read as zeros afterwards, and cost nothing until they are touched again.
 */
#ifndef SSHTERM_STACK_H
#define SSHTERM_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sshterm/address_sanitizer.h"

#ifdef ADDRESS_SANITIZER
/* Red zones around every local multiply what a call needs. */
#define STACK_SIZE ((size_t)2048 * 1024)
#else
/* libssh's deepest path (sntrup761 as the client) needs 90 KB. Untouched pages cost nothing. */
#define STACK_SIZE ((size_t)256 * 1024)
#endif

/* Who runs something in a frame of this size, and then trims, gives back all that it has left: more than
 * stack_trim leaves, its own frame, and what is lost to whole pages. */
#define STACK_APART 10240u

/* The lowest of STACK_SIZE usable bytes, aligned to a page, all zero. NULL: errno says why. */
uint8_t *stack_map(void);
/* Nothing runs on it. */
void stack_unmap(uint8_t *stack);
/* Gives all of it back, so that the next user finds nothing of the last one. Nothing runs on it. False: the
 * kernel has refused, and it is as it was. */
bool stack_wipe(uint8_t *stack);
/* Gives back what lies below the caller, who runs on it, but for a few kilobytes (STACK_APART). Under
 * AddressSanitizer nothing is: locals may live on a stack of the sanitizer's own, and its shadow does not
 * follow. */
void stack_trim(uint8_t *stack);

#endif
