/* SPDX-License-Identifier: Apache-2.0 */
/*
 * long_computation: what costs more than a millisecond is computed by the helper thread (computing_thread.h),
 * while the session's fiber waits and the worker serves the others.
 *
 * libssh hands over (patch 0016), with what each cost here at most (milliseconds of CPU; OpenSSL 3.0, libssh
 * 0.12.2):
 *
 *   Diffie-Hellman    group 14   group 16   group 18   group exchange: 8192 bits, unknown
 *     key pair          0.2        1.2        5.2       93
 *     shared secret     1.6       12         89         93
 *   sntrup761 (with patch 0017; encapsulation 0.08, decapsulation 0.14 stay)
 *     key pair          4
 *   RSA               2048 bits  3072       4096       8192
 *     signature         0.3        1.5        3.3       24
 *     verification      0.02       0.03       0.05       0.2
 *
 * so all of Diffie-Hellman, and all of RSA: a peer chooses its key, and 4.8 is what verification comes to
 * with 3072 bits and an exponent as long, 3.6 with 16384 bits. What stays in the fiber: Curve25519 0.03,
 * Ed25519 0.07, NIST P-256 0.07, P-384 0.9, P-521 0.4, ML-KEM768 0.03.
 *
 * The fiber waits in the midst of libssh, as it does for the keeper's signature. Nothing else runs in that
 * fiber meanwhile: both legs' bytes stay where they are, within their credit, and what is freed at the end of
 * a session is freed by its own fiber, which does not go on before the job is done. A session that is killed,
 * lost or too late is taken out of the queue, and its key exchange fails; once its job has begun, it is
 * waited for.
 */
#ifndef SSHTERM_LONG_COMPUTATION_H
#define SSHTERM_LONG_COMPUTATION_H

#include <stdbool.h>

struct session;
struct worker;

/* Starts the helper of this worker, and has libssh use it. To be called between confine_identity() and
 * confine_calls(). 0 or -errno. */
int long_computations_start(struct worker *worker);
/* Waits for the one that is under way. No fiber runs any more. */
void long_computations_stop(struct worker *worker);
/* Wakes the sessions whose computations are done. True where there was one. */
bool long_computations_poll(struct worker *worker);
/* Runs compute(argument) while the session's fiber, which is the one that calls, waits. False: the session is
 * over (session->withdrawn), and it was not run. Where there is no helper (tests), it is run at once. */
bool long_computation(struct session *session, void (*compute)(void *argument), void *argument);

#endif
