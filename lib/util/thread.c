/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads, numbered. */
#include <stdatomic.h>

#include "util/thread.h"

__attribute__((noinline))
unsigned thread_number(void)
{
    static atomic_uint threads;
    static THREAD_LOCAL unsigned number;     /* 0: none yet */

    if (number == 0) {
        number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    }
    return number;
}
