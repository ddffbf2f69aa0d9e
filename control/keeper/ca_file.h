/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CA's file: 8 bytes "reevekey", u8 version (2), u8 kind (enum keyring_kind), u64 time of writing (unix
 * seconds), u32 count, keys; 32 bytes of BLAKE2b over all before it. A key is a string that holds
 *
 *   u8 state (enum rpc_ca_state), u64 created at, u64 retires at (0: never by itself), u8 home (0: this file,
 * 1: a token), then of a key in this file: string private fields (private_key.h), of one in a token: string
 * PKCS#11 URI, string public key blob.
 *
 * Version 1 is what keyfile.c reads: one ed25519 seed.
 */
#ifndef CONTROL_KEEPER_CA_FILE_H
#define CONTROL_KEEPER_CA_FILE_H

#include "control/keeper/ca.h"

#define CA_FILE_MAX (192 * 1024) /* eight RSA keys of 16,384 bits fit */

/* Replaces the file by one that holds `ca`: whole or not at all, 0600, on disk when it returns 0. */
int ca_file_write(const struct ca_file *file, const struct ca *ca);

#endif
