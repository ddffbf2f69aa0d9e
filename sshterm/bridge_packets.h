/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge_packets: one leg's packets, above libssh's transport and below its channels.
 *
 * libssh keeps the transport of each leg (encryption, key re-exchange, its own messages; ping@openssh.com,
 * which it does not know, is answered here); the connection protocol is taken from it before its channel code
 * sees a message, and put into it whole. Bytes are fed by the caller, who decides when; what is sent gathers
 * in libssh's buffer until packets_flush().
 */
#ifndef SSHTERM_BRIDGE_PACKETS_H
#define SSHTERM_BRIDGE_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssh_session_struct;
struct packets;

/* What arrives. Payloads begin with the message number and are valid during the call. */
struct packets_handlers {
	/* A message 80..127. */
	void (*message)(void *context, const uint8_t *payload, size_t len, uint32_t sequence);
	/* DISCONNECT (RFC 4253 section 11.1). False: libssh is to treat it (login is still under way). */
	bool (*disconnect)(void *context, const uint8_t *payload, size_t len);
	/* UNIMPLEMENTED (section 11.4) about the packet that this leg sent with that sequence number. */
	void (*unimplemented)(void *context, uint32_t sequence);
	/* What packets_send() was given with this tag went out as the packet of that sequence number. */
	void (*sent)(void *context, uint64_t tag, uint32_t sequence);
};

/* Puts the handlers in front of libssh's own. NULL: no memory. */
struct packets *packets_attach(
    struct ssh_session_struct *ssh, const struct packets_handlers *handlers, void *context);
/* Takes them away; to be called before ssh_free(). */
void packets_detach(struct packets *packets);

/* Bytes that libssh had read of the next packet before the caller began to feed it: copied to `out` (`size`
 * bytes) and taken. Returns how many there were; more than `size`: nothing was taken. */
size_t packets_take_received(struct packets *packets, uint8_t *out, size_t size);
/* Feeds received bytes, at most one packet's. Returns how many were taken; 0: the packet is not whole. The
 * fiber may wait in here (a key re-exchange asks the keeper for a signature). */
size_t packets_feed(struct packets *packets, const uint8_t *at, size_t len);
/* How many bytes packets_feed must see at once to get any further: those of the packet, or of its length. */
size_t packets_wanted(const struct packets *packets);
/* The leg's transport failed (bad MAC, bad length, contradiction); packets_error() says how. */
bool packets_broken(const struct packets *packets);
const char *packets_error(const struct packets *packets);
/* A key exchange is under way: messages of the connection protocol wait inside libssh. */
bool packets_rekeying(const struct packets *packets);

/* Sends one payload: at once, or behind a key exchange that is under way. `tag`: handed to `sent` when it is
 * numbered; 0: nobody asks. -1: no memory. */
int packets_send(struct packets *packets, const uint8_t *payload, size_t len, uint64_t tag);
/* Bytes that libssh holds of what was sent. */
uint32_t packets_unsent(const struct packets *packets);
/* Hands them to the virtual socket as far as it takes them. -1: the socket is gone. */
int packets_flush(struct packets *packets);

#endif
