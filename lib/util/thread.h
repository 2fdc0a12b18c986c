/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a thread has of its own.
 *
 * A coroutine may go on in another thread after a yield, so the address of a thread-local variable
 * must not be kept over one: whoever uses one is a function that is not inlined.
 */
#ifndef BLKBACKEND_UTIL_THREAD_H
#define BLKBACKEND_UTIL_THREAD_H

#include <features.h>     /* __GLIBC__ */

/* At a fixed offset from the thread pointer, where the C library reserves room for late-loaded
 * libraries: a look-up costs one instruction instead of a call.  For few and small ones. */
#ifdef __GLIBC__
#define THREAD_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define THREAD_LOCAL _Thread_local
#endif

/* 1, 2 ... in the order in which threads have asked: so that they use different shards. */
unsigned thread_number(void);

#endif
