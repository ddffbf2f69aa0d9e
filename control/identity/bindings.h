/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bindings: which user an address belongs to, and until when, by the word of something that has authenticated
 * the user there: a VPN, an 802.1X switch, a zero-trust agent. Where a rule takes addresses for identities,
 * who comes from a bound one needs no key.
 *
 * An address stands with its VLAN, as targets do: the same address in another VLAN may be another machine.
 * IPv4-mapped IPv6 addresses are their IPv4 addresses. A binding ends at its second, not at a clean-up;
 * expired ones are kept for a day, so that a user can be told what happened. They are in control.db, flushed
 * before they are answered.
 */
#ifndef CONTROL_IDENTITY_BINDINGS_H
#define CONTROL_IDENTITY_BINDINGS_H

#include <jansson.h>

#include "control/identity/targets.h"
#include "control/identity/users.h"

#define BINDINGS_MAX 262144
#define BINDING_TTL_MIN_S 10
#define BINDING_TTL_MAX_S (30 * 86400)
#define BINDING_KEPT_S 86400 /* after its end */

/* The form in which an address is kept, from what was typed: "198.51.100.1", "2001:db8::1", "%vlan7" behind
 * it on a tagged network. False where it is no host's address (a network, any, multicast). */
bool binding_address_read(const char *typed, char text[TARGET_ADDRESS_SIZE]);
/* The same of a connection's client. `addr`: 4 or 16 bytes. */
void binding_address(struct wire_span addr, uint16_t vlan, char text[TARGET_ADDRESS_SIZE]);

enum bindings_result {
	BINDINGS_OK = 0,
	BINDINGS_REPLACED, /* it was another user's until now */
	BINDINGS_NO_USER,
	BINDINGS_FULL,
	BINDINGS_FAILED, /* the database did not take it (logged) */
};
/* Changes go together or not at all: begin, add any number, end. */
bool bindings_begin(struct database *db);
/* Binds, or renews. `uid` of who says so; `replaced`: whose it was, "" where nobody's. */
enum bindings_result bindings_add(struct database *db, const char *address, const char *user, int64_t now,
    int64_t expires_at, int64_t uid, char replaced[WORD_SIZE]);
/* Commits where `good`. OK, FULL (more than BINDINGS_MAX: nothing was changed), or FAILED, as it is where it
 * was not good. */
enum bindings_result bindings_end(struct database *db, int64_t now, bool good);
/* False where nothing was bound there (an expired one counts as nothing); `user`: whose it was. */
bool bindings_remove(struct database *db, const char *address, int64_t now, char user[WORD_SIZE]);

enum binding_state { BINDING_NONE = 0, BINDING_EXPIRED, BINDING_GOOD };
/* Whose address is it now? The user only where it is GOOD: free it with user_free. */
enum binding_state bindings_find(
    struct database *db, const char *address, int64_t now, struct user *user, int64_t *expires_at);

/* [{address, user, bound_at, expires_at, bound_by}] of those that hold, by address; `user` NULL: everybody's.
 */
json_t *bindings_json(struct database *db, int64_t now, const char *user);
/* Forgets what expired a day ago. */
void bindings_prune(struct database *db, int64_t now);

#endif
