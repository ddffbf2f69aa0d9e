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

/* What is mirrored at most, with the closing NUL: a line has 255 characters, with "SSH-2.0-" and CR LF. */
#define SOFTWARE_MAX 246

/* Is the first line there, as a whole, or can it not be one any more? */
bool software_line_is_whole(const uint8_t *at, size_t len);

/* What follows "SSH-2.0-" (or "SSH-1.99-") in the line that `at` begins with (CR LF or the end ends it): the
 * version and its comments. False: it is not there, or not fit to be said in another's name; `software` is
 * what legs that mirror nobody say. */
bool software_of(const uint8_t *at, size_t len, char software[SOFTWARE_MAX]);

/*
 * What a client is told of a server that is OpenSSH: the same, but for bugs of the transport and of
 * authentication that clients know its version by. Those are not the origin's there, but the box's, which has
 * none of them; what is believed of the connection protocol stays as it is, for there the origin answers.
 *
 * - 6.7 to 7.7 verify no rsa-sha2-* signature of a certificate: OpenSSH (up to 7.7, SSH_BUG_SIGTYPE), PuTTY
 * and paramiko sign with SHA-1 then, or not at all. They are 7.8, the first that clients think well of.
 * - 6.5 and 6.6 as well (and a curve25519 that pads wrongly). But PuTTY also knows that up to 6.6 a server
 *   answers channel requests after its CLOSE, and falls over such an answer where it is not prepared: they
 * are 6.4, of which OpenSSH knows nothing bad and PuTTY just that. paramiko takes all of 6.x for what cannot
 *   verify, so that 6.0 to 6.4 stay as they are for everybody.
 * - 5.x stays 5.x: to OpenSSH that is also who announces a forwarding from a port of the server's choice
 *   (`ssh -R 0:…`) with port 0, and no version stands for one without the other. Whoever comes with a
 *   certificate may use another type of key; a forwarding that was allocated and never works has no such way.
 *
 * Whatever else stands in the line stays: "p1", comments, a product's name behind it.
 */
void software_without_login_bugs(char software[SOFTWARE_MAX]);

#endif
