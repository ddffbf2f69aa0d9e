/* SPDX-License-Identifier: Apache-2.0 */
/*
 * targets: which host key an origin has shown. A target is one machine, named by its host key's fingerprint,
 * under all the addresses at which that key was met; an address belongs to one target.
 */
#ifndef CONTROL_IDENTITY_TARGETS_H
#define CONTROL_IDENTITY_TARGETS_H

#include <jansson.h>

#include "control/certificate/public_key.h"
#include "control/identity/database.h"
#include "control/identity/words.h"

#define TARGET_ADDRESS_SIZE 80

/* "198.51.100.2", "[2001:db8::2]:2222" (the port where it is not 22), and "%vlan7" after it on a tagged
 * network: the same address in another VLAN may be another machine. `addr`: 4 or 16 bytes. */
void target_address(struct wire_span addr, uint16_t port, uint16_t vlan, char text[TARGET_ADDRESS_SIZE]);

/* The same form from what somebody typed ("2001:DB8::2", "[198.51.100.2]:22"). False where it is no address.
 */
bool target_address_read(const char *typed, char text[TARGET_ADDRESS_SIZE]);

/* Where names are given: an address without a port is all its ports, "[198.51.100.2]:22" port 22 alone. */
bool target_place_read(const char *typed, char text[TARGET_ADDRESS_SIZE]);

enum targets_result {
	TARGETS_KNOWN = 0,
	TARGETS_UNKNOWN, /* nothing is pinned at this address */
	TARGETS_CHANGED, /* something else is */
	TARGETS_FAILED,
};
/* Compares the key with what is pinned. target_id: of the key shown. pinned: fingerprint of what was expected
 * (CHANGED only). *by_admin: an administrator pinned it. */
enum targets_result targets_check(struct database *db, const char *address, struct wire_span host_key,
    char target_id[PUBLIC_KEY_FINGERPRINT_SIZE], char pinned[PUBLIC_KEY_FINGERPRINT_SIZE], bool *by_admin);
/* Pins the key at the address. False where the database did not take it. */
bool targets_pin(struct database *db, const char *address, struct wire_span host_key, bool by_admin);
/* Forgets a target (with all addresses) or one address. Returns how many addresses were forgotten. */
int targets_forget(struct database *db, const char *target_or_address);
/* What a client may have typed to get to the target: its addresses, and the names that administrators gave
 * them, without ports; at most `max`, beginning with the address `first` and its names. */
void targets_names(
    struct database *db, const char *target_id, const char *first, size_t max, struct words *names);
#define TARGET_NAME_MAX 253
#define TARGET_NAMES_MAX 64 /* of an address: all should stand in a certificate */
/* A host's name, in small letters: letters, digits, '-', '_' and '.'. False: it is none, or too long. */
bool target_name_read(const char *typed, char name[TARGET_NAME_MAX + 1]);
/* By which names a place is known: what target_place_read() says. False where the database did not take it.
 */
bool targets_name(struct database *db, const char *place, const char *name);
bool targets_unname(struct database *db, const char *place, const char *name); /* false: had no such */
/* How many names an address of that place has, at most. */
unsigned targets_name_count(struct database *db, const char *place);
/* Adds the names of an address: those of its port, and those of every port. */
void targets_names_at(struct database *db, const char *address, struct words *names);
/* Host key algorithms (comma separated) of the key pinned at the address; "" where nothing is. True: an
 * administrator pinned it. */
bool targets_algorithms(struct database *db, const char *address, char *text, size_t size);
/* [{target_id, type, fingerprint (of the host key), addresses, names, hosts (both, as known_hosts files have
 * them), first_seen}] */
json_t *targets_json(struct database *db);

#endif
