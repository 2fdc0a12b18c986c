/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Allocation for the start of a program, where running out of memory leaves
 * nothing to save: says so and exits.  Not for what clients can trigger.
 */
#ifndef XALLOC_H
#define XALLOC_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void *xalloc_check(void *p)
{
    static const char message[] = "out of memory\n";

    if (!p) {
        if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0) {
            abort();
        }
        exit(EXIT_FAILURE);
    }
    return p;
}

static inline void *xcalloc(size_t n, size_t size)
{
    return xalloc_check(calloc(n, size));
}

/* NULL stays NULL. */
static inline char *xstrdup(const char *s)
{
    return s ? (char *)xalloc_check(strdup(s)) : NULL;
}

static inline char *xstrndup(const char *s, size_t n)
{
    return (char *)xalloc_check(strndup(s, n));
}

#endif
