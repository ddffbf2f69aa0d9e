/* SPDX-License-Identifier: Apache-2.0 */
/* A bell is one open file of several processes: what a taken-over one could do to the others with it. */
#ifndef TESTS_UNIT_CONFINE_BELL_ATTEMPTS_H
#define TESTS_UNIT_CONFINE_BELL_ATTEMPTS_H

#define BELL_ENDED_BY 1000 /* + the signal that ended the child */

/* Tries each in a child that `confine_self` has confined (0: it is). `refused` is what a forbidden call comes
 * to: its errno, or BELL_ENDED_BY + a signal. What is not forbidden has to work. */
void bell_attempts_refused(int (*confine_self)(void), int refused);

#endif
