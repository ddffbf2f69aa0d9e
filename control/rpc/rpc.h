/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc: small requests and responses between Portreeve's own processes.
 *
 * Theory of operation. The supervisor makes SOCK_SEQPACKET socketpairs when it spawns a process and passes an
 * end to each side: one datagram is one message, so there is no framing to get wrong. Every child has its
 * link to the supervisor at descriptor RPC_SUPERVISOR_FD; every further link, slab channel and bell arrives
 * over that one as RPC_SUP_ATTACH_* with SCM_RIGHTS, at start and again whenever the other side was
 * restarted (same role and index, higher epoch: drop the old end, settle, use the new one).
 *
 * A message is u16 type, u16 flags, u32 id, then the body, whose fields are listed once, in the tables below,
 * from which the structs, encoders and decoders are made. Receivers dispatch through a static table
 * {type, roles that may send it, states in which they may, handler}, as OpenSSH's monitor does: what the
 * table does not allow closes the link. Bodies are foreign (a worker may be taken over): spans in a decoded
 * struct point into the receive buffer and are valid until the next receive on that link.
 */
#ifndef CONTROL_RPC_H
#define CONTROL_RPC_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/wire/wire.h"

#define RPC_SUPERVISOR_FD 3
#define RPC_MESSAGE_MAX (128 * 1024) /* bytes of one datagram, header included */
#define RPC_FDS_MAX 4
#define RPC_FLAG_REPLY 0x0001

enum rpc_role {
	RPC_SUPERVISOR = 1,
	RPC_CONTROL,
	RPC_KEEPER,
	RPC_DATAPLANE,
	RPC_SSHTERM,
	RPC_RECORDER,
	RPC_ROLE_MAX = RPC_RECORDER,
};
#define RPC_FROM(role) (1u << (role))

/* Which slab channel a RPC_SUP_ATTACH_SLAB brings. */
enum rpc_lane {
	RPC_LANE_TO_WORKER = 1,    /* dataplane lcore -> worker */
	RPC_LANE_TO_DATAPLANE = 2, /* worker -> dataplane lcore */
	RPC_LANE_TO_RECORDER = 3,  /* worker -> recorder */
};
enum rpc_side { RPC_SIDE_PRODUCER = 1, RPC_SIDE_CONSUMER = 2 };

enum rpc_action { RPC_ACTION_ALLOW = 1, RPC_ACTION_BLOCK, RPC_ACTION_AUDIT_SSH };
enum rpc_block { RPC_BLOCK_DROP = 0, RPC_BLOCK_RESET, RPC_BLOCK_ICMP };
enum rpc_unavailable { RPC_UNAVAILABLE_HOLD = 0, RPC_UNAVAILABLE_RESET, RPC_UNAVAILABLE_ALLOW };
enum rpc_midstream { RPC_MIDSTREAM_RESET = 0, RPC_MIDSTREAM_PASS, RPC_MIDSTREAM_DROP };
enum rpc_policy_change { RPC_POLICY_CHANGE_KEEP = 0, RPC_POLICY_CHANGE_RESET };
enum rpc_unsupported { RPC_UNSUPPORTED_RESET = 0, RPC_UNSUPPORTED_PASS };
enum rpc_recording { RPC_RECORDING_NONE = 0, RPC_RECORDING_BEST_EFFORT, RPC_RECORDING_STRICT };
enum rpc_ca { RPC_CA_USER = 1, RPC_CA_CLIENT, RPC_CA_HOST };
/* What is done with a CA's keys, and which of them is which (control/keeper/ca.h). */
enum rpc_ca_action {
	RPC_CA_SHOW = 0,
	RPC_CA_CREATE, /* refused where there is one */
	RPC_CA_ROTATE, /* a next key, where there is a CA */
	RPC_CA_IMPORT, /* a given key: of a new CA, or as the next one */
	RPC_CA_COMMIT,
	RPC_CA_UNDO,
	RPC_CA_RETIRE,
	RPC_CA_ABANDON,
};
enum rpc_ca_state { RPC_CA_NEXT = 1, RPC_CA_CURRENT, RPC_CA_OLD };
enum rpc_ca_algorithm { RPC_CA_ED25519 = 0, RPC_CA_ECDSA_P256, RPC_CA_RSA_3072, RPC_CA_RSA_4096 };
/* Why the keeper did not do as it was asked. */
enum rpc_problem {
	RPC_PROBLEM_NONE = 0,
	RPC_PROBLEM_BAD_INPUT,
	RPC_PROBLEM_NOT_FOUND,
	RPC_PROBLEM_CONFLICT,
	RPC_PROBLEM_UNAVAILABLE,
};
enum rpc_target_verdict {
	RPC_TARGET_KNOWN = 0,
	RPC_TARGET_FIRST_USE,
	RPC_TARGET_CHANGED,
	RPC_TARGET_REFUSED
};

/* How many bytes of an address (of 4 or 16) are one source, for all limits: an IPv6 host has a /64 to itself.
 */
#define RPC_SOURCE_BYTES(addr_len) ((addr_len) == 4 ? 4u : 8u)

/* How a user may be known by a rule, bit set. */
enum rpc_identity {
	RPC_IDENTITY_CERTIFICATE = 1 << 0,
	RPC_IDENTITY_KEY = 1 << 1,
	RPC_IDENTITY_ADDRESS = 1 << 2, /* the client's address is bound to a user */
	RPC_IDENTITY_ORIGIN = 1 << 3,  /* by a password or dialogue that the origin accepts */
};
enum rpc_who_method { RPC_WHO_PUBLICKEY = 0, RPC_WHO_ADDRESS, RPC_WHO_ORIGIN, RPC_WHO_UNTAKEN };
enum rpc_factor { RPC_FACTOR_NONE = 0, RPC_FACTOR_TOTP };
/* How the box logs in at the origin. */
enum rpc_origin_auth {
	RPC_ORIGIN_CERTIFICATE = 1,
	RPC_ORIGIN_AGENT,
	RPC_ORIGIN_PASSWORD,
	RPC_ORIGIN_KEYBOARD_INTERACTIVE,
	RPC_ORIGIN_VAULT,
};
#define RPC_ORIGIN_AUTHS_MAX 5
enum rpc_totp {
	RPC_TOTP_GOOD = 0,
	RPC_TOTP_WRONG,
	RPC_TOTP_USED,   /* it was good, once */
	RPC_TOTP_LOCKED, /* too many wrong ones */
	RPC_TOTP_NONE,   /* the user has no second factor */
	RPC_TOTP_FAILED, /* it cannot be told (logged) */
};
enum rpc_secret { RPC_SECRET_PASSWORD = 1, RPC_SECRET_KEY };

/* What is done with the seed of host keys. */
enum rpc_host_seed {
	RPC_HOST_SEED_SHOW = 0,
	RPC_HOST_SEED_ROTATE,
	RPC_HOST_SEED_COMMIT,
	RPC_HOST_SEED_ABANDON
};

/* What a rule lets a session do; the first five are also the extensions of an OpenSSH user certificate. */
enum rpc_permit {
	RPC_PERMIT_PTY = 1 << 0,
	RPC_PERMIT_PORT_FORWARDING = 1 << 1,
	RPC_PERMIT_AGENT_FORWARDING = 1 << 2,
	RPC_PERMIT_X11_FORWARDING = 1 << 3,
	RPC_PERMIT_USER_RC = 1 << 4,
	RPC_PERMIT_LOG_EXEC = 1 << 5, /* an exec's command line may stand in the session log */
	/* Of key_certify alone: what a security key must notice (PROTOCOL.u2f). */
	RPC_CERTIFY_NO_TOUCH = 1 << 16,        /* it need not be touched */
	RPC_CERTIFY_VERIFY_REQUIRED = 1 << 17, /* it must know its holder, by PIN or fingerprint */
};

/*
 * The messages. M(NAME, name, number) makes RPC_NAME and struct rpc_name; the field list is NAME_FIELDS.
 * Field kinds: u8 u16 u32 u64 (numbers), span (string: u32be length and bytes).
 * A reply carries its own type, RPC_FLAG_REPLY and the id of its request.
 */
/* clang-format off */
#define RPC_MESSAGES(M)                                                                                      \
	/* supervisor -> child */                                                                            \
	M(SUP_CONFIG_CONTROL, sup_config_control, 1)                                                         \
	M(SUP_CONFIG_KEEPER, sup_config_keeper, 2)                                                           \
	M(SUP_CONFIG_DATAPLANE, sup_config_dataplane, 3)                                                     \
	M(SUP_CONFIG_SSHTERM, sup_config_sshterm, 4)                                                         \
	M(SUP_CONFIG_RECORDER, sup_config_recorder, 5)                                                       \
	M(SUP_ATTACH_RPC, sup_attach_rpc, 6)                                                                 \
	M(SUP_ATTACH_SLAB, sup_attach_slab, 7)                                                               \
	M(SUP_ATTACH_BELL, sup_attach_bell, 8)                                                               \
	M(SUP_PEER, sup_peer, 9)                                                                             \
	M(SUP_START, sup_start, 10)                                                                          \
	M(SUP_STOP, sup_stop, 11)                                                                            \
	/* child -> supervisor */                                                                            \
	M(SUP_READY, sup_ready, 12)                                                                          \
	M(SUP_BLAME, sup_blame, 13)                                                                          \
	/* control -> dataplane */                                                                           \
	M(DP_POLICY, dp_policy, 20)                                                                          \
	M(DP_POLICY_DONE, dp_policy_done, 21)                                                                \
	/* control -> any of dataplane, sshterm, recorder */                                                 \
	M(STATS, stats, 22)                                                                                  \
	M(STATS_REPLY, stats_reply, 23)                                                                      \
	/* sshterm -> control, and replies */                                                                \
	M(SES_BEGIN, ses_begin, 30)                                                                          \
	M(SES_BEGIN_REPLY, ses_begin_reply, 31)                                                              \
	M(SES_TARGET, ses_target, 32)                                                                        \
	M(SES_TARGET_REPLY, ses_target_reply, 33)                                                            \
	M(SES_SIGN, ses_sign, 34)                                                                            \
	M(SES_SIGN_REPLY, ses_sign_reply, 35)                                                                \
	M(SES_WHO, ses_who, 36)                                                                              \
	M(SES_WHO_REPLY, ses_who_reply, 37)                                                                  \
	M(SES_MAY, ses_may, 38)                                                                              \
	M(SES_MAY_REPLY, ses_may_reply, 39)                                                                  \
	M(SES_CERT, ses_cert, 40)                                                                            \
	M(SES_CERT_REPLY, ses_cert_reply, 41)                                                                \
	M(SES_PROGRAM, ses_program, 42)                                                                      \
	M(SES_PROGRAM_END, ses_program_end, 43)                                                              \
	M(SES_END, ses_end, 44)                                                                              \
	M(SES_EVENT, ses_event, 45)                                                                          \
	M(SES_RESUME, ses_resume, 46)                                                                        \
	/* control -> sshterm */                                                                             \
	M(SES_KILL, ses_kill, 47)                                                                            \
	/* sshterm -> control, and replies */                                                                \
	M(SES_HOST_KEY, ses_host_key, 48)                                                                    \
	M(SES_HOST_KEY_REPLY, ses_host_key_reply, 49)                                                        \
	M(SES_FACTOR, ses_factor, 50)                                                                        \
	M(SES_FACTOR_REPLY, ses_factor_reply, 51)                                                            \
	M(SES_SECRET, ses_secret, 52)                                                                        \
	M(SES_SECRET_REPLY, ses_secret_reply, 53)                                                            \
	M(SES_SECRET_SIGN, ses_secret_sign, 54)                                                              \
	M(SES_SECRET_SIGN_REPLY, ses_secret_sign_reply, 55)                                                  \
	M(SES_HOST_KEYS, ses_host_keys, 56)                                                                  \
	M(SES_HOST_KEYS_REPLY, ses_host_keys_reply, 57)                                                      \
	M(SES_HOST_PROVE, ses_host_prove, 58)                                                                \
	M(SES_HOST_PROVE_REPLY, ses_host_prove_reply, 59)                                                    \
	/* control -> keeper, and replies */                                                                 \
	M(KEY_CA, key_ca, 60)                                                                                \
	M(KEY_CA_REPLY, key_ca_reply, 61)                                                                    \
	M(KEY_CERTIFY, key_certify, 62)                                                                      \
	M(KEY_CERTIFY_REPLY, key_certify_reply, 63)                                                          \
	M(KEY_SESSION, key_session, 64)                                                                      \
	M(KEY_HOST, key_host, 65)                                                                            \
	M(KEY_HOST_REPLY, key_host_reply, 66)                                                                \
	M(KEY_HOST_SIGN, key_host_sign, 67)                                                                  \
	M(KEY_HOST_SIGN_REPLY, key_host_sign_reply, 68)                                                      \
	M(KEY_EVIDENCE, key_evidence, 69)                                                                    \
	M(KEY_EVIDENCE_REPLY, key_evidence_reply, 70)                                                        \
	M(KEY_CERTIFY_HOST, key_certify_host, 90)                                                            \
	M(KEY_CERTIFY_HOST_REPLY, key_certify_host_reply, 91)                                                \
	M(KEY_SEAL, key_seal, 92)                                                                            \
	M(KEY_SEAL_REPLY, key_seal_reply, 93)                                                                \
	M(KEY_HOST_SEED, key_host_seed, 98)                                                                  \
	M(KEY_HOST_SEED_REPLY, key_host_seed_reply, 99)                                                      \
	M(KEY_TOTP_ENROL, key_totp_enrol, 112)                                                               \
	M(KEY_TOTP_ENROL_REPLY, key_totp_enrol_reply, 113)                                                   \
	M(KEY_TOTP_CHECK, key_totp_check, 114)                                                               \
	M(KEY_TOTP_CHECK_REPLY, key_totp_check_reply, 115)                                                   \
	M(KEY_TOTP_REMOVE, key_totp_remove, 116)                                                             \
	M(KEY_TOTP_REMOVE_REPLY, key_totp_remove_reply, 117)                                                 \
	M(KEY_HOST_PROVE, key_host_prove, 118)                                                               \
	M(KEY_HOST_PROVE_REPLY, key_host_prove_reply, 119)                                                   \
	M(KEY_VAULT_PUT, key_vault_put, 100) \
	M(KEY_VAULT_PUT_REPLY, key_vault_put_reply, 101) \
	M(KEY_VAULT_LIST, key_vault_list, 102) \
	M(KEY_VAULT_LIST_REPLY, key_vault_list_reply, 103) \
	M(KEY_VAULT_REMOVE, key_vault_remove, 104) \
	M(KEY_VAULT_REMOVE_REPLY, key_vault_remove_reply, 105) \
	M(KEY_SECRET, key_secret, 106) \
	M(KEY_SECRET_REPLY, key_secret_reply, 107) \
	M(KEY_SECRET_SIGN, key_secret_sign, 108) \
	M(KEY_SECRET_SIGN_REPLY, key_secret_sign_reply, 109) \
	/* control -> recorder, and replies */                                                               \
	M(REC_LIST, rec_list, 80)                                                                            \
	M(REC_LIST_REPLY, rec_list_reply, 81)                                                                \
	M(REC_READ, rec_read, 82)                                                                            \
	M(REC_READ_REPLY, rec_read_reply, 83)

/* -- supervisor -> child -- */
/* socket, state, policy: paths. recipients: the auditors' public keys, 32 raw bytes each, joined. admins,
 * auditors, reporters (of identities): uids as u32be each (the supervisor looked the names up). links: the links' names, each a string,
 * in the order of the configuration. owner: the uid that reeved was started as. */
#define SUP_CONFIG_CONTROL_FIELDS(F)                                                                         \
	F(span, socket)                                                                                      \
	F(span, state)                                                                                       \
	F(span, policy) F(span, recipients) F(u32, workers) F(u32, lcores) F(span, admins) F(span, auditors) \
	    F(span, reporters) F(span, links) F(u32, owner)
/* fds[0]: the one directory the keeper may open files below. pkcs11_module, pkcs11_pin_file: paths, empty: no token;
 * pkcs11_environment: "NAME=VALUE" each a string, for the module. */
#define SUP_CONFIG_KEEPER_FIELDS(F)                                                                          \
	F(span, pkcs11_module) F(span, pkcs11_pin_file) F(span, pkcs11_environment)
/* netns: name or empty. lcores: CPU numbers as u32be each. eal: arguments, each a string. links: per link
 * string name, string inside, string outside. idle: 0 adaptive, 1 poll. congestion: 0 cubic, 1 newreno.
 * receive_*: bytes; send_*: slabs of slab_bytes. keepalive_ms: of silence before a peer is asked; 0: never. */
#define SUP_CONFIG_DATAPLANE_FIELDS(F)                                                                       \
	F(span, netns)                                                                                       \
	F(span, lcores)                                                                                      \
	F(span, eal) F(span, links) F(u8, idle) F(u32, mtu) F(u32, mbufs) F(u32, flows)                      \
	    F(u32, rx_descriptors) F(u32, tx_descriptors) F(u32, workers) F(u32, generation)                 \
	        F(u32, receive_credit) F(u32, receive_window_max) F(u32, receive_memory)                 \
	            F(u32, send_credit) F(u32, send_slabs_max) F(u32, slab_bytes) F(u8, congestion) \
	                F(u32, keepalive_ms)
#define SUP_CONFIG_SSHTERM_FIELDS(F)                                                                         \
	F(u32, worker) F(u32, core) F(u8, idle) F(u32, sessions) F(u32, login_grace_s)                   \
	F(u32, recorder_patience_s) F(u32, lcores)
#define SUP_CONFIG_RECORDER_FIELDS(F) F(span, directory) F(u32, workers)
/* fds[0]: the socket. */
#define SUP_ATTACH_RPC_FIELDS(F) F(u8, role) F(u32, index) F(u32, epoch)
/* role, index: the other end (a worker's number; lcore says which lcore of the dataplane).
 * fds[0]: memfd, fds[1]: the peer's bell. */
#define SUP_ATTACH_SLAB_FIELDS(F)                                                                            \
	F(u8, role) F(u32, index) F(u32, lcore) F(u8, lane) F(u8, side) F(u32, epoch)
/* `lcore` here and above is its place in the configuration's list, from 0, not the CPU's number.
 * fds[0]: the receiver's own bell; the dataplane has one an lcore, others one with lcore 0. */
#define SUP_ATTACH_BELL_FIELDS(F) F(u32, lcore)
#define SUP_PEER_FIELDS(F) F(u8, role) F(u32, index) F(u8, up)
#define SUP_START_FIELDS(F) F(u8, reserved)
#define SUP_STOP_FIELDS(F) F(u32, grace_ms)
#define SUP_READY_FIELDS(F) F(u8, reserved)
/* From control, dataplane or recorder: a worker broke the rules on the link or channel of that epoch, which was
 * dropped. The supervisor ends the worker unless it is a later one already; the next one gets all anew. */
#define SUP_BLAME_FIELDS(F) F(u32, worker) F(u32, epoch)

/* -- control -> dataplane -- fds[0]: sealed memfd with the compiled policy (layout: rpc_policy below). */
#define DP_POLICY_FIELDS(F) F(u64, generation) F(u32, size)
#define DP_POLICY_DONE_FIELDS(F) F(u64, generation) F(span, error)
#define STATS_FIELDS(F) F(u8, reserved)
/* text: lines "name value\n"; value is an unsigned decimal number. */
#define STATS_REPLY_FIELDS(F) F(span, text)

/* -- sshterm -> control -- `flow` is the worker's name of the session, unique while it lives. Addresses are
 * 4 or 16 bytes, network order. Times are unix seconds. */
#define SES_BEGIN_FIELDS(F)                                                                                  \
	F(u64, flow)                                                                                         \
	F(span, client_addr)                                                                                 \
	F(u16, client_port) F(span, server_addr) F(u16, server_port) F(u8, link) F(u16, vlan) F(u32, rule)   \
	    F(u64, generation)
/* error: empty, or why the session cannot be (told to the client). host_key_algs: host key algorithms of the
 * pinned keys of this address, comma separated, empty when unknown: to be preferred at the origin.
 * identities: enum rpc_identity. notice: shown to the client before login; empty: none. client_legacy,
 * origin_legacy: algorithms beyond the modern ones that the rule names, comma separated, for each leg. */
#define SES_BEGIN_REPLY_FIELDS(F)                                                                            \
	F(span, error)                                                                                       \
	F(span, session_id)                                                                                  \
	F(span, rule_name) F(span, host_key_algs) F(u32, login_grace_s) F(u32, auth_attempts)                \
	    F(u32, identities) F(span, notice) F(span, client_legacy) F(span, origin_legacy)
/* host_key: the origin's public key blob (RFC 4253 section 6.6) or host certificate, from a key exchange that
 * verified its possession. */
#define SES_TARGET_FIELDS(F) F(u64, flow) F(span, host_key)
/* host_public: blob of the ssh-ed25519 key that the client leg shows for this target; host_certificate: our
 * host CA's certificate over it, empty: there is none. message: what to tell the client when the verdict is
 * CHANGED or REFUSED. */
#define SES_TARGET_REPLY_FIELDS(F)                                                                           \
	F(u8, verdict) F(span, message) F(span, target_id) F(span, host_public) F(span, host_certificate)
/* The same of another type, when the client has negotiated it. algorithm: a host key algorithm's name (RFC
 * 4253 section 7.1). What it names is the host key of the session from then on. */
#define SES_HOST_KEY_FIELDS(F) F(u64, flow) F(span, algorithm)
#define SES_HOST_KEY_REPLY_FIELDS(F) F(span, error) F(span, host_public) F(span, host_certificate)
/* All host keys that clients of the session's target may meet, now or once the next seed is committed, as blobs, each
 * a string: what hostkeys-00@openssh.com announces (OpenSSH's PROTOCOL, section 2.5). After login only. */
#define SES_HOST_KEYS_FIELDS(F) F(u64, flow)
#define SES_HOST_KEYS_REPLY_FIELDS(F) F(span, error) F(span, keys)
/* One of them proves itself, as hostkeys-prove-00@openssh.com wants it, for the session's identifier. algorithm: the
 * host key algorithm of the client leg's last key exchange, by which an RSA key signs if it is one of RSA. */
#define SES_HOST_PROVE_FIELDS(F) F(u64, flow) F(span, public_key) F(span, algorithm)
#define SES_HOST_PROVE_REPLY_FIELDS(F) F(span, error) F(span, signature)
/* hash: the exchange hash H of the client leg (RFC 4253 section 8), 20..64 bytes. The first of a session is its
 * identifier, over which clients prove their keys, and is signed for one session only. algorithm: of the
 * signature; empty: ssh-ed25519. */
#define SES_SIGN_FIELDS(F) F(u64, flow) F(span, hash) F(span, algorithm)
#define SES_SIGN_REPLY_FIELDS(F) F(span, error) F(span, signature)
/* Who is this? method: enum rpc_who_method. PUBLICKEY: is this key or certificate somebody? proof: empty =
 * offered only (would it do?), else the client's USERAUTH_REQUEST with the signature (RFC 4252 section 7), its
 * payload behind the message number. ADDRESS: is the client's address bound to a user who may come without a
 * key? ORIGIN: would a password or dialogue of this login, which the origin is to judge, be somebody's? (both
 * without key and proof). UNTAKEN: nobody; the worker does not take this key or certificate, which control is only
 * to know of (without proof). second_factor: enum rpc_factor, what SES_FACTOR must still bring. */
#define SES_WHO_FIELDS(F) F(u64, flow) F(span, login) F(span, public_key) F(span, proof) F(u8, method)
#define SES_WHO_REPLY_FIELDS(F) F(u8, accepted) F(span, user) F(span, message) F(u8, second_factor)
/* code: what the client typed as the second factor of the user whom WHO found. Empty: can any be right? Then
 * message is empty, or why none is, which ends the login. */
#define SES_FACTOR_FIELDS(F) F(u64, flow) F(span, code)
#define SES_FACTOR_REPLY_FIELDS(F) F(u8, accepted) F(span, message)
/* May the user whom WHO proved for this flow log in as `login`? origin_auth: enum rpc_origin_auth, a byte each,
 * in the order in which they are to be tried. */
#define SES_MAY_FIELDS(F) F(u64, flow) F(span, login)
#define SES_MAY_REPLY_FIELDS(F)                                                                              \
	F(u8, allowed)                                                                                       \
	F(span, message)                                                                                     \
	F(u32, permits) F(u8, recording) F(span, recipients) F(span, user_id) F(span, user_email)            \
	    F(span, account_id) F(span, origin_auth) F(span, forwards) F(span, session_notice)
/* public_key: the session's fresh ssh-ed25519 key; control fills in the rest from what it decided. */
#define SES_CERT_FIELDS(F) F(u64, flow) F(span, public_key)
#define SES_CERT_REPLY_FIELDS(F) F(span, error) F(span, certificate)
/* What the vault holds for this target and login. box_key: the worker's X25519 key of the moment, 32 bytes.
 * kind: enum rpc_secret; 0 with an error: nothing for this target and login. sealed: string password, string padding,
 * sealed to box_key (libsodium's crypto_box_seal). public_key: the blob of a key whose private half signs by
 * SES_SECRET_SIGN. */
#define SES_SECRET_FIELDS(F) F(u64, flow) F(span, box_key)
#define SES_SECRET_REPLY_FIELDS(F) F(span, error) F(u8, kind) F(span, sealed) F(span, public_key)
/* data: what RFC 4252 section 7 has signed (session identifier of the origin leg, USERAUTH_REQUEST). */
#define SES_SECRET_SIGN_FIELDS(F) F(u64, flow) F(span, algorithm) F(span, data)
#define SES_SECRET_SIGN_REPLY_FIELDS(F) F(span, error) F(span, signature)
/* destination, originator: of a forwarding, as its opener said; else empty. */
#define SES_PROGRAM_FIELDS(F)                                                                                \
	F(u64, flow)                                                                                         \
	F(span, program_id) F(span, type) F(span, command) F(span, encapsulated_key) F(u64, started_at)      \
	    F(span, destination) F(span, originator)
/* chain: SHA-256 over the sealed blocks: c0 = SHA256(encapsulated key), ci = SHA256(c(i-1) || block i). Told again
 * with the error "recording_failed" alone where that comes out later: also when the session has ended. */
#define SES_PROGRAM_END_FIELDS(F)                                                                            \
	F(u64, flow) F(span, program_id) F(span, chain) F(u64, blocks) F(u64, lost_records) F(span, error)   \
	F(u64, bytes_from_client) F(u64, bytes_from_origin)
#define SES_END_FIELDS(F) F(u64, flow) F(span, reason) F(u64, bytes_from_client) F(u64, bytes_from_origin)
/* event: Teleport's event name; detail: a JSON object. With identity ORIGIN, the session is one only once the
 * worker has told of the event auth {"success": true, "method": "password" or "keyboard-interactive"}: before
 * anything else of the session, when the origin has let the client in. */
#define SES_EVENT_FIELDS(F) F(u64, flow) F(span, event) F(span, detail)
/* To a restarted control, one for each live session: what BEGIN, TARGET, WHO and MAY had settled. */
#define SES_RESUME_FIELDS(F)                                                                                 \
	F(u64, flow)                                                                                         \
	F(span, session_id)                                                                                  \
	F(span, client_addr) F(u16, client_port) F(span, server_addr) F(u16, server_port) F(u8, link)        \
	    F(u16, vlan) F(u32, rule) F(u64, generation) F(span, rule_name) F(span, target_id) F(span, user) \
	        F(span, login) F(u64, started_at)
#define SES_KILL_FIELDS(F) F(u64, flow) F(span, reason)

/* -- control -> keeper -- */
/* action: enum rpc_ca_action. algorithm: enum rpc_ca_algorithm, of a key that is made. token: PKCS#11 URI of where
 * it is made, or is (IMPORT); empty: the keeper's own files. sealed: IMPORT's key, sealed to KEY_SEAL's public key:
 * string "portreeve ca key 1", u8 ca, string private fields (PROTOCOL.key). retire_at: COMMIT's; 0: not by itself. */
#define KEY_CA_FIELDS(F)                                                                                     \
	F(u8, ca) F(u8, action) F(u8, algorithm) F(span, token) F(span, sealed) F(u64, retire_at)
/* problem: enum rpc_problem, with error for people. keys: each a string {u8 state (enum rpc_ca_state), u64 created at,
 * u64 retires at (0: not by itself), string public key blob, string PKCS#11 URI or empty}: the next one, the current
 * one, old ones from the youngest; empty where there is no such CA. */
#define KEY_CA_REPLY_FIELDS(F) F(u8, problem) F(span, error) F(span, keys)
/* A user certificate (PROTOCOL.certkeys) by CA `ca` over `public_key` (a plain key blob). session_id: of the
 * live session for RPC_CA_USER; empty for RPC_CA_CLIENT. principals: each a string. Empty critical options
 * are left out. permits: enum rpc_permit, the certificate extensions. Times: unix seconds. */
#define KEY_CERTIFY_FIELDS(F)                                                                                \
	F(u8, ca)                                                                                            \
	F(span, session_id)                                                                                  \
	F(span, public_key) F(span, key_id) F(span, principals) F(u64, valid_after) F(u64, valid_before)     \
	    F(span, source_address) F(span, force_command) F(u32, permits) F(u64, serial)
#define KEY_CERTIFY_REPLY_FIELDS(F) F(span, error) F(span, certificate)
/* live 1: control approves the session, HOST_SIGN for `target_id` and CERTIFY may follow (say it again when
 * the target is known, or another one); 0: it is over. seed: by which host keys sign for it, as HOST_REPLY says
 * it; empty: the current one, or what was said before. No reply. The keeper forgets all live sessions when it
 * or control is replaced: control says it again for each on SES_RESUME, and when it gets a new link to the
 * keeper. */
#define KEY_SESSION_FIELDS(F) F(span, session_id) F(span, target_id) F(span, seed) F(u8, live)
/* The host key of a target. type: of the key ("ssh-ed25519", "ssh-rsa", …). next: 0 the current seed's, 1
 * the next one's, 2 the one before. seed: tells seeds apart, 8 bytes. */
#define KEY_HOST_FIELDS(F) F(span, target_id) F(span, type) F(u8, next)
#define KEY_HOST_REPLY_FIELDS(F) F(span, error) F(span, public_key) F(span, seed)
/* hash: an exchange hash. algorithm: of the signature, a host key algorithm's name (RFC 4253 section 7.1; of a
 * certificate's, the key's); empty: ssh-ed25519. signature: a blob (RFC 4253 section 6.6). */
#define KEY_HOST_SIGN_FIELDS(F) F(span, session_id) F(span, hash) F(span, algorithm)
#define KEY_HOST_SIGN_REPLY_FIELDS(F) F(span, error) F(span, signature)
/* Signs what hostkeys-prove-00@openssh.com has signed (OpenSSH's PROTOCOL, section 2.5): its name, the identifier of
 * the session's client leg (20 to 64 bytes) and the key that signs. seed: as HOST_REPLY says it; the next one's keys do
 * this, too. */
#define KEY_HOST_PROVE_FIELDS(F) F(span, session_id) F(span, identifier) F(span, seed) F(span, algorithm)
#define KEY_HOST_PROVE_REPLY_FIELDS(F) F(span, error) F(span, signature)
/* action: enum rpc_host_seed. current, next: tell the seeds apart, 8 bytes; next is empty where there is none. */
#define KEY_HOST_SEED_FIELDS(F) F(u8, action)
#define KEY_HOST_SEED_REPLY_FIELDS(F) F(span, error) F(span, current) F(span, next)
/* text is signed with the evidence key under a domain prefix; signature and public key raw (64, 32 bytes). */
#define KEY_EVIDENCE_FIELDS(F) F(span, text)
#define KEY_EVIDENCE_REPLY_FIELDS(F) F(span, error) F(span, signature) F(span, public_key)
/* A host certificate by the host CA over an origin's public host key. principals: its names and addresses, each a
 * string. Times: unix seconds. */
#define KEY_CERTIFY_HOST_FIELDS(F)                                                                           \
	F(span, public_key)                                                                                  \
	F(span, key_id) F(span, principals) F(u64, valid_after) F(u64, valid_before) F(u64, serial)
#define KEY_CERTIFY_HOST_REPLY_FIELDS(F) F(span, error) F(span, certificate)
/* The X25519 key to which secrets for the keeper are sealed (libsodium's crypto_box_seal), 32 bytes. */
#define KEY_SEAL_FIELDS(F) F(u8, reserved)
#define KEY_SEAL_REPLY_FIELDS(F) F(span, public_key)
/* The vault (control/keeper/vault.h). target: fingerprint of an origin's host key. sealed, to KEY_SEAL's public key:
 * string "portreeve vault 1", string target, string login, u8 kind (enum rpc_secret), string secret (a password, or
 * private fields as of PROTOCOL.key), string padding. problem: enum rpc_problem. */
#define KEY_VAULT_PUT_FIELDS(F) F(span, target) F(span, login) F(span, sealed)
#define KEY_VAULT_PUT_REPLY_FIELDS(F) F(u8, problem) F(span, error) F(u8, replaced)
/* rows, from the offset'th on: each a string {string target, string login, u8 kind, u64 put at, string public key
 * blob}. more: there are rows left. */
#define KEY_VAULT_LIST_FIELDS(F) F(u32, offset)
#define KEY_VAULT_LIST_REPLY_FIELDS(F) F(u8, problem) F(span, error) F(span, rows) F(u8, more)
#define KEY_VAULT_REMOVE_FIELDS(F) F(span, target) F(span, login)
#define KEY_VAULT_REMOVE_REPLY_FIELDS(F) F(u8, problem) F(span, error)
/* What the vault holds for the target of a live session, and this login at it: SES_SECRET's and SES_SECRET_SIGN's
 * other half. */
#define KEY_SECRET_FIELDS(F) F(span, session_id) F(span, login) F(span, box_key)
#define KEY_SECRET_REPLY_FIELDS(F) F(u8, problem) F(span, error) F(u8, kind) F(span, sealed) F(span, public_key)
#define KEY_SECRET_SIGN_FIELDS(F) F(span, session_id) F(span, login) F(span, algorithm) F(span, data)
#define KEY_SECRET_SIGN_REPLY_FIELDS(F) F(u8, problem) F(span, error) F(span, signature)

/* Second factors. user: the user's id. box_key: X25519, 32 bytes, of who enrols; sealed: the secret, 20 bytes,
 * sealed to it (libsodium's crypto_box_seal). error: "" or why not. verdict: enum rpc_totp; wait_s: how long a
 * locked user waits. */
#define KEY_TOTP_ENROL_FIELDS(F) F(span, user) F(span, box_key)
#define KEY_TOTP_ENROL_REPLY_FIELDS(F) F(span, error) F(span, sealed)
/* code: empty: none is used or counted, and the verdict WRONG means that there is a second factor. */
#define KEY_TOTP_CHECK_FIELDS(F) F(span, user) F(span, code)
#define KEY_TOTP_CHECK_REPLY_FIELDS(F) F(u8, verdict) F(u32, wait_s)
#define KEY_TOTP_REMOVE_FIELDS(F) F(span, user)
#define KEY_TOTP_REMOVE_REPLY_FIELDS(F) F(span, error)

/* -- control -> recorder -- filter: JSON object {session, program, user, after, limit}, all optional: ids
 * match by prefix, user is a UserID, UserEmail or Username, after is in unix seconds, limit at most 1000.
 * rows: JSON array of session-log objects, newest first, with the recorder's own columns live, recorded,
 * strict, started_at, finished_at (unix seconds, null while it runs), blocks, file_size, close_reason. more:
 * there are rows left. */
#define REC_LIST_FIELDS(F) F(span, filter) F(u32, offset)
#define REC_LIST_REPLY_FIELDS(F) F(span, error) F(span, rows) F(u8, more)
/* Reads a recording's file: at most RPC_READ_MAX bytes from offset. size: of the whole file now. */
#define RPC_READ_MAX (96 * 1024)
#define REC_READ_FIELDS(F) F(span, program_id) F(u64, offset) F(u32, length)
#define REC_READ_REPLY_FIELDS(F) F(span, error) F(span, data) F(u64, size)

/* clang-format on */

typedef uint8_t rpc_kind_u8;
typedef uint16_t rpc_kind_u16;
typedef uint32_t rpc_kind_u32;
typedef uint64_t rpc_kind_u64;
typedef struct wire_span rpc_kind_span;

#define RPC_FIELD_IN_STRUCT(kind, field) rpc_kind_##kind field;
#define RPC_DECLARE(NAME, name, number)                                                                      \
	enum { RPC_##NAME = (number) };                                                                      \
	struct rpc_##name {                                                                                  \
		NAME##_FIELDS(RPC_FIELD_IN_STRUCT)                                                           \
	};                                                                                                   \
	/* Appends the body to `out`; out->failed tells of one too long. */                                  \
	void rpc_put_##name(struct wire_out *out, const void *body); /* a struct rpc_name */                 \
	/* Decodes a whole body. False where it is short, long or has an oversized string. */                \
	bool rpc_get_##name(struct wire_span bytes, struct rpc_##name *body);
RPC_MESSAGES(RPC_DECLARE)

/*
 * The compiled policy that RPC_DP_POLICY carries in a memfd, all wire encoded:
 *   u32 version (1), u64 generation, u8 default action (allow or block), u8 default block mode, u32 rules,
 *   rules × { string name, u8 action, u8 block, u8 unavailable, u8 midstream, u8 policy_change, u8
 * unsupported, u32 matches, matches × match } match = u8 family (0 any, 4, 6), u8 protocol (0 any), u16
 * vlan_lo, u16 vlan_hi (0..4095; untagged is 0), u8 link (255 any), u8 src_plen, 16 src, u8 dst_plen, 16 dst,
 * u16 sport_lo, sport_hi, dport_lo, dport_hi Rules are in order, first match wins; the index of a rule is its
 * place here.
 */
#define RPC_POLICY_VERSION 1
struct rpc_policy_match {
	uint8_t family, protocol, link, src_plen, dst_plen;
	uint16_t vlan_lo, vlan_hi, sport_lo, sport_hi, dport_lo, dport_hi;
	uint8_t src[16], dst[16];
};
void rpc_put_policy_match(struct wire_out *out, const struct rpc_policy_match *match);
/* False where a field is impossible (family, prefix length, empty range). */
bool rpc_get_policy_match(struct wire *in, struct rpc_policy_match *match);

/*
 * Which forwardings a rule allows beyond what its permits say (SES_MAY_REPLY.forwards), all wire encoded;
 * empty: every kind as the permits say. RPC_FORWARD_KINDS × u8 extent, u16 entries, entries × struct
 * rpc_forward A kind that is RPC_FORWARD_LISTED is allowed where an entry of that kind holds. Names are
 * patterns in small letters where '*' stands for any bytes, in paths for any but '/'.
 */
enum rpc_forward_kind {
	RPC_FORWARD_LOCAL = 0,   /* direct-tcpip: where to */
	RPC_FORWARD_REMOTE,      /* tcpip-forward: where the origin listens */
	RPC_FORWARD_UNIX_LOCAL,  /* direct-streamlocal@openssh.com */
	RPC_FORWARD_UNIX_REMOTE, /* streamlocal-forward@openssh.com */
	RPC_FORWARD_TUN,         /* tun@openssh.com: all or none */
	RPC_FORWARD_KINDS,
};
enum rpc_forward_extent { RPC_FORWARD_ALL = 0, RPC_FORWARD_NONE, RPC_FORWARD_LISTED };
enum rpc_forward_form {
	RPC_FORWARD_ANY_HOST = 0,
	RPC_FORWARD_NAME,    /* of a host */
	RPC_FORWARD_NETWORK, /* an address as written, IPv4 mapped (RFC 4291 2.5.5.2): prefix lengths are of
	                        128 bits */
	RPC_FORWARD_PATH,
};
#define RPC_FORWARD_ENTRIES_MAX 128
#define RPC_FORWARD_PATTERN_MAX 255
#define RPC_FORWARDS_MAX (RPC_FORWARD_ENTRIES_MAX * (RPC_FORWARD_PATTERN_MAX + 32) + 16) /* bytes of all */
struct rpc_forward {
	uint8_t kind, form, prefix;
	uint8_t address[16];
	struct wire_span pattern;
	uint16_t port_lo, port_hi; /* 0 to 65535 for paths */
};
void rpc_put_forward(struct wire_out *out, const struct rpc_forward *forward);
/* False where a field is impossible. */
bool rpc_get_forward(struct wire *in, struct rpc_forward *forward);
/* Is all of it so, or empty? */
bool rpc_forwards_valid(struct wire_span forwards);

/* -- links and messages -- */
struct rpc_message {
	uint16_t type;
	uint16_t flags;
	uint32_t id;
	struct wire_span body;
	int fds[RPC_FDS_MAX]; /* the receiver's to close or keep; -1 = none */
	unsigned fd_count;
};

struct rpc_link {
	int fd; /* -1: not connected */
	enum rpc_role peer;
	uint32_t index; /* of the peer: a worker's number, else 0 */
	uint32_t epoch;
	uint32_t next_id;
	uint8_t *buffer; /* RPC_MESSAGE_MAX bytes, what the last received message lies in */
};

/* Takes `fd` over. 0 or -ENOMEM. */
int rpc_link_open(struct rpc_link *link, int fd, enum rpc_role peer, uint32_t index, uint32_t epoch);
void rpc_link_close(struct rpc_link *link);
/* Two connected ends with buffers large enough for RPC_MESSAGE_MAX. 0 or -errno. */
int rpc_pair(int fds[2]);

/* Sends one message whose body was put into `out` (may be NULL for none). 0; -EAGAIN where the peer does not
 * keep up and the socket is non-blocking; -EPIPE where it is gone; -EMSGSIZE where `out` failed. */
int rpc_send(struct rpc_link *link, uint16_t type, uint16_t flags, uint32_t id, const struct wire_out *out,
    const int *fds, unsigned fd_count);
/* 1: a message; 0: none now (non-blocking socket); -errno: -ECONNRESET at the peer's end, -EPROTO malformed.
 */
int rpc_receive(struct rpc_link *link, struct rpc_message *message);
/* A fresh request id (never 0). */
uint32_t rpc_next_id(struct rpc_link *link);
/* Sends a request and waits for its reply up to timeout_ms; other messages that arrive meanwhile go to
 * `other` (may be NULL: they are a protocol error). 0 or -errno (-ETIMEDOUT). */
int rpc_call(struct rpc_link *link, uint16_t type, const struct wire_out *out, int timeout_ms,
    struct rpc_message *reply, void (*other)(void *context, struct rpc_message *message), void *context);

/* Encodes and sends in one go: RPC_SEND(link, SES_KILL, ses_kill, 0, id, .flow = f, .reason = r) */
#define RPC_SEND(link, NAME, name, flags, id, ...)                                                           \
	rpc_send_body(                                                                                       \
	    (link), RPC_##NAME, (flags), (id), rpc_put_##name, &(struct rpc_##name){__VA_ARGS__}, NULL, 0)
#define RPC_SEND_FDS(link, NAME, name, flags, id, fds, fd_count, ...)                                        \
	rpc_send_body((link), RPC_##NAME, (flags), (id), rpc_put_##name, &(struct rpc_##name){__VA_ARGS__},  \
	    (fds), (fd_count))
typedef void (*rpc_put_fn)(struct wire_out *out, const void *body);
int rpc_send_body(struct rpc_link *link, uint16_t type, uint16_t flags, uint32_t id, rpc_put_fn put,
    const void *body, const int *fds, unsigned fd_count);

/* -- dispatch -- */
struct rpc_handler {
	uint16_t type;
	uint32_t from;   /* RPC_FROM(role) | … */
	uint32_t states; /* bit set of the receiver's own states in which it is expected; ~0u: all */
	/* 0; < 0 closes the link (a protocol violation). */
	int (*handle)(void *context, struct rpc_link *link, struct rpc_message *message);
};
/* Finds and runs the handler; closes descriptors left in the message. -EPROTO where the table forbids it. */
int rpc_dispatch(const struct rpc_handler *table, size_t entries, uint32_t state, void *context,
    struct rpc_link *link, struct rpc_message *message);
void rpc_message_close_fds(struct rpc_message *message);

const char *rpc_type_name(uint16_t type);
const char *rpc_role_name(enum rpc_role role);

/* -- what every child does first and last -- */
/* Names the process in logs and in ps, switches core dumps off (PR_SET_DUMPABLE 0, RLIMIT_CORE 0), sets
 * PR_SET_PDEATHSIG so that no child outlives the supervisor, ignores SIGPIPE and SIGINT, opens `supervisor`.
 * -ENOTSOCK after a message: nobody's child, somebody has started it by hand. */
int rpc_child_start(enum rpc_role role, uint32_t index, struct rpc_link *supervisor);

/* Sends RPC_SUP_BLAME to the supervisor of this process; from any thread. Nothing where rpc_child_start() did
 * not run. */
void rpc_blame(uint32_t worker, uint32_t epoch);

enum rpc_log_level { RPC_LOG_ERROR = 1, RPC_LOG_WARNING, RPC_LOG_NOTICE, RPC_LOG_INFO, RPC_LOG_DEBUG };
/* One line on stderr: "reeve-NAME[index]: level: text". Control characters are escaped. Never a secret. */
void rpc_log(enum rpc_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lines above `level` are dropped. The default is RPC_LOG_INFO; PORTREEVE_LOG=debug|… in the environment. */
void rpc_log_set(enum rpc_log_level level);

#endif
