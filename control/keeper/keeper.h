/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the keeper share; its theory of operation stands in keeper.c. */
#ifndef CONTROL_KEEPER_KEEPER_H
#define CONTROL_KEEPER_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"
#include "control/keeper/ca.h"
#include "control/rpc/rpc.h"

#define KEEPER_SEED_SIZE 32
#define KEEPER_PUBLIC_SIZE 32
#define KEEPER_SECRET_SIZE 64 /* libsodium's form: seed, then public key */
#define KEEPER_SIGNATURE_SIZE 64
#define KEEPER_SESSION_ID_MAX 40
#define KEEPER_TARGET_ID_MAX 128
#define KEEPER_SESSIONS_MAX 131072u
#define KEEPER_ERROR_MAX 256
#define HOST_SEED_ID_SIZE 8 /* tells host seeds apart */
#define KEEPER_CERTIFICATE_MAX 32768u
#define KEEPER_PRINCIPALS_MAX 256u

#define KEEPER_USER_VALIDITY_S 600u                      /* of an origin-facing certificate, at most */
#define KEEPER_CLIENT_VALIDITY_S (30u * 24u * 3600u)     /* of one that `reeve user cert` issues */
#define KEEPER_HOST_VALIDITY_S (2u * 366u * 24u * 3600u) /* of an origin's host certificate */
#define KEEPER_BACKDATE_S 300u /* how long ago a validity may begin: clocks differ */

/* -- keyring.c: the keys, in memory that is locked, guarded, not dumped, and wiped when it is given back --
 */
enum keyring_kind {
	KEYRING_USER_CA = RPC_CA_USER, /* the three CAs have the numbers of enum rpc_ca */
	KEYRING_CLIENT_CA = RPC_CA_CLIENT,
	KEYRING_HOST_CA = RPC_CA_HOST,
	KEYRING_HOST_SEED,
	KEYRING_EVIDENCE,
	KEYRING_SEAL,
	KEYRING_KINDS,
};

struct token;
struct keyring {
	int directory;                 /* the only place where files are opened */
	uint8_t *seeds[KEYRING_KINDS]; /* KEEPER_SEED_SIZE bytes each, or NULL: there is none; not of CAs */
	struct ca cas[KEYRING_HOST_CA + 1];
	struct token *token; /* for keys that are in one; NULL: there is none */
};

/* Loads every key file that is there; makes host seed, evidence and seal key where they are missing. 0 or
 * -errno (logged): a damaged file is never replaced, for a CA that changes by itself locks everybody out. */
int keyring_open(struct keyring *keyring, int directory);
void keyring_close(struct keyring *keyring);
/* A new seed; of a CA, an ed25519 key. -EEXIST where there is one. */
int keyring_create(struct keyring *keyring, enum keyring_kind kind);
bool keyring_has(const struct keyring *keyring, enum keyring_kind kind);
/* Signs with the evidence key. */
bool keyring_sign(const struct keyring *keyring, enum keyring_kind kind, const void *bytes, size_t len,
    uint8_t signature[KEEPER_SIGNATURE_SIZE]);
bool keyring_public(
    const struct keyring *keyring, enum keyring_kind kind, uint8_t public_key[KEEPER_PUBLIC_SIZE]);

/* The CA of that kind, which must be one of a CA; where its steps are written. */
struct ca *keyring_ca(struct keyring *keyring, enum keyring_kind kind);
struct ca_file keyring_ca_file(const struct keyring *keyring, enum keyring_kind kind, uint64_t now_s);
/* The public key blob of the key that signs; length 0: there is no such CA. */
struct wire_span keyring_ca_blob(const struct keyring *keyring, enum keyring_kind kind);
/* Appends a signature blob by it. False: error says why not. */
bool keyring_ca_sign(const struct keyring *keyring, enum keyring_kind kind, struct wire_span data,
    struct wire_out *out, char error[KEEPER_ERROR_MAX]);

/* -- keyfile.c: files of keys, 0600, written whole or not at all -- */
/* A seed. 0, -ENOENT, -EBADMSG (damaged), -EPERM (open to others), -errno. */
int keyfile_read(int directory, const char *name, enum keyring_kind kind, uint8_t seed[KEEPER_SEED_SIZE]);
/* The same; *made_at: unix seconds, when it was written. */
int keyfile_read_dated(int directory, const char *name, enum keyring_kind kind,
    uint8_t seed[KEEPER_SEED_SIZE], uint64_t *made_at);
/* -EEXIST where the name is taken. */
int keyfile_write(
    int directory, const char *name, enum keyring_kind kind, const uint8_t seed[KEEPER_SEED_SIZE]);
/* In the place of what `name` held. */
int keyfile_rewrite(
    int directory, const char *name, enum keyring_kind kind, const uint8_t seed[KEEPER_SEED_SIZE]);
/* The same, as if written at `made_at` (unix seconds). */
int keyfile_rewrite_dated(int directory, const char *name, enum keyring_kind kind,
    const uint8_t seed[KEEPER_SEED_SIZE], uint64_t made_at);
/* Any file's bytes, less than `size`; errors as of keyfile_read. */
int keyfile_load(int directory, const char *name, uint8_t *bytes, size_t size, size_t *len);
/* Puts `bytes` in the place of what `name` held. */
int keyfile_replace(int directory, const char *name, const uint8_t *bytes, size_t len);
/* After a rename or unlink, which is so for everybody whether it can be synced or not: no error, for memory
 * must follow it; it is logged. */
void keyfile_sync(int directory);

/* -- blobs.c: SSH encodings (RFC 4253 section 6.6, RFC 8709) -- */
void blob_put_public(struct wire_out *out, const uint8_t public_key[KEEPER_PUBLIC_SIZE]);
void blob_put_signature(struct wire_out *out, const uint8_t signature[KEEPER_SIGNATURE_SIZE]);
/* A positive number of `len` bytes, big-endian (RFC 4251 section 5). */
void blob_put_mpint(struct wire_out *out, const uint8_t *magnitude, size_t len);

/* -- seal.c: what only the keeper may read, as it comes through control -- */
#define SEAL_PUBLIC_SIZE 32
/* The X25519 key that libsodium's crypto_box_seal takes. */
bool seal_public(const struct keyring *keyring, uint8_t public_key[SEAL_PUBLIC_SIZE]);
/* Opens a sealed box: sodium_malloc'ed, *len its bytes; sodium_free. NULL: not sealed to this keeper, or
 * longer than SEAL_PLAIN_MAX. */
#define SEAL_PLAIN_MAX (32 * 1024)
uint8_t *seal_open(const struct keyring *keyring, struct wire_span sealed, size_t *len);

/* -- certificate.c: OpenSSH certificates (PROTOCOL.certkeys) -- */
struct certificate {
	struct wire_span public_key; /* plain key blob of the holder: ed25519, ecdsa or rsa; a user's may be a
	                                security key */
	uint64_t serial;
	struct wire_span key_id;
	struct wire_span principals; /* each a string; at least one */
	uint64_t valid_after, valid_before;
	struct wire_span force_command, source_address; /* empty: left out */
	uint32_t permits;                               /* enum rpc_permit, with RPC_CERTIFY_… */
};
/* Builds and signs a user certificate. False: error says what is wrong with it. */
bool certificate_make(const struct keyring *keyring, enum keyring_kind ca,
    const struct certificate *certificate, struct wire_out *out, char error[KEEPER_ERROR_MAX]);
/* The same by the host CA, over a host's key: principals are the names and addresses that the host goes by,
 * and the fields of user certificates (command, source, permits) are not looked at. */
bool certificate_make_host(const struct keyring *keyring, const struct certificate *certificate,
    struct wire_out *out, char error[KEEPER_ERROR_MAX]);

/* Does the validity end within `longest_s` from now, and begin now or a little ago? False: error says what it
 * should be. */
bool certificate_timely(uint64_t valid_after, uint64_t valid_before, uint64_t now_s, uint64_t longest_s,
    char error[KEEPER_ERROR_MAX]);

/* -- live.c: the sessions for which control has asked us to sign -- */
struct live;
struct live *live_create(uint32_t capacity);
void live_destroy(struct live *live);
/* False: full. Adding one that is there replaces its target. */
bool live_add(struct live *live, const char *session_id, const char *target_id);
void live_remove(struct live *live, const char *session_id);
/* The target's id, or NULL where the session is not live. */
const char *live_target(const struct live *live, const char *session_id);
/* By which host seed's keys the session is signed for; live_seed: NULL where none was set. */
void live_set_seed(struct live *live, const char *session_id, const uint8_t seed[HOST_SEED_ID_SIZE]);
const uint8_t *live_seed(const struct live *live, const char *session_id);
bool live_needs_seed(const struct live *live, const uint8_t seed[HOST_SEED_ID_SIZE]);
void live_clear(struct live *live);
uint32_t live_count(const struct live *live);

/* -- requests.c: what control may ask -- */
struct host_keys;
struct host_wait;
struct vault;
struct keeper {
	struct keyring keyring;
	struct host_keys *host_keys;
	struct host_wait *host_wait; /* NULL: RSA host keys are searched for at once */
	struct live *live;
	struct vault *vault;
	uint64_t (*now_s)(void);      /* unix time; tests have their own */
	uint64_t look_at_previous_at; /* when to ask whether anybody still needs the former host seed */
};
/* -- ca_requests.c: the handlers of what concerns the CAs -- */
/* "user", "client", "host" of enum rpc_ca; NULL: there is no such. */
const char *ca_name(uint8_t ca);
int on_ca(void *context, struct rpc_link *link, struct rpc_message *message);
int on_certify_host(void *context, struct rpc_link *link, struct rpc_message *message);
int on_seal(void *context, struct rpc_link *link, struct rpc_message *message);
/* -- host_requests.c: the handlers of what concerns host keys -- */
int on_host(void *context, struct rpc_link *link, struct rpc_message *message);
int on_host_sign(void *context, struct rpc_link *link, struct rpc_message *message);
int on_host_prove(void *context, struct rpc_link *link, struct rpc_message *message);
int on_host_seed(void *context, struct rpc_link *link, struct rpc_message *message);
/* The former host seed stays at least so long after control came, which must say first which sessions live,
 * and is looked at so often. (A test has a keeper with another one.) */
#ifndef PREVIOUS_NEEDED_S
#define PREVIOUS_NEEDED_S 3600
#endif
/* Forgets the former host seed once no live session needs it. To be called now and then. */
void host_seed_look(struct keeper *keeper);
/* In how many ms there is something to look at; -1: there is no former seed. */
int host_seed_look_in_ms(const struct keeper *keeper);
/* -- vault_requests.c -- */
int on_vault_put(void *context, struct rpc_link *link, struct rpc_message *message);
int on_vault_list(void *context, struct rpc_link *link, struct rpc_message *message);
int on_vault_remove(void *context, struct rpc_link *link, struct rpc_message *message);
int on_secret(void *context, struct rpc_link *link, struct rpc_message *message);
int on_secret_sign(void *context, struct rpc_link *link, struct rpc_message *message);
/* Dispatches one message from control; < 0: it broke the protocol. */
int requests_take(struct keeper *keeper, struct rpc_link *control, struct rpc_message *message);

/* -- confine.c -- Gives up everything but the directory and the links. 0 or -errno (logged). */
int confine(int directory);
/* The same for the searcher, without a directory. */
int confine_searcher(void);

#endif
