/* SPDX-License-Identifier: Apache-2.0 */
/* address_sanitizer: ADDRESS_SANITIZER is defined where the compiler, whichever it is, adds it. */
#ifndef SSHTERM_ADDRESS_SANITIZER_H
#define SSHTERM_ADDRESS_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__) /* gcc */
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

#endif
