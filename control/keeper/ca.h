/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca: the keys of one certificate authority, in their order of succession.
 *
 * Theory of operation. Who trusts a CA trusts a list of keys, and lists are changed at hundreds of machines,
 * not at once. So a CA has up to CA_KEYS_MAX keys:
 *
 *   next      is shown, so that it can be handed out everywhere, and signs nothing yet
 *   current   signs
 *   old       signs no more and is still shown: what it signed is still around, and so is who trusts only it
 *
 * rotate makes a next key; commit makes it current and the current one old; undo goes one step back; retire
 * ends the old ones, abandon the next one. Without a next key nothing else can be in between, so no order of
 * these locks anybody out who did not retire too early.
 *
 * All keys of a CA lie in one file, replaced as a whole (rename): a step is done or not done. Files of
 * version 1 hold one ed25519 seed and are read as a CA with one current key.
 */
#ifndef CONTROL_KEEPER_CA_H
#define CONTROL_KEEPER_CA_H

#include "control/keeper/private_key.h"
#include "control/rpc/rpc.h"

#define CA_KEYS_MAX 8
#define CA_TOKEN_URI_MAX 512

struct ca_key {
	enum rpc_ca_state state;
	uint64_t created_at, retire_at; /* unix seconds; retire_at 0: not by itself */
	struct private_key *private;    /* NULL: in a token */
	char *token_uri;                /* NULL: not in a token */
	uint8_t *blob;                  /* public key */
	size_t blob_len;
};

struct ca {
	struct ca_key keys[CA_KEYS_MAX];
	unsigned count; /* 0: there is no such CA */
};

/* The key that signs; NULL: there is no CA. */
const struct ca_key *ca_current(const struct ca *ca);
const struct ca_key *ca_next(const struct ca *ca);

/* -- steps: each is in the file when it returns 0, and undone in memory where it was not; -errno. -- */
/* What the file of `kind` holds. 0, -ENOENT: there is none; -EBADMSG, -EPERM, -errno. */
int ca_load(struct ca *ca, int directory, const char *file, unsigned kind);
/* Where a step is written. */
struct ca_file {
	int directory;
	const char *name;
	unsigned kind;
	uint64_t now_s;
};
/* Takes `key` over on success: as the current one of a new CA, else as the next one. -EEXIST: there is a next
 * one; -EALREADY: the CA has this key; -ENOSPC: too many old ones. */
int ca_add(struct ca *ca, const struct ca_file *file, struct ca_key *key);
/* next becomes current. The former one retires by itself at retire_at (0: not). -ENOENT: there is no next
 * one. */
int ca_commit(struct ca *ca, const struct ca_file *file, uint64_t retire_at);
/* The youngest old key becomes current, the current one next. -ENOENT: no old key; -EEXIST: there is a next
 * one. */
int ca_undo(struct ca *ca, const struct ca_file *file);
/* Drops the old keys, or the next one. -ENOENT: there are none. */
int ca_retire(struct ca *ca, const struct ca_file *file);
int ca_abandon(struct ca *ca, const struct ca_file *file);
/* Drops old keys whose time is over. */
int ca_expire(struct ca *ca, const struct ca_file *file);

/* Copies the public key. False without memory. */
bool ca_key_set_blob(struct ca_key *key, struct wire_span blob);
void ca_key_free(struct ca_key *key);
void ca_close(struct ca *ca);

#endif
