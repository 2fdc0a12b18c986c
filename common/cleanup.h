/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attributes that release what a variable holds when it goes out of scope.
 */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))

/* Hands the pointer in `p` to the caller: the scope's end releases nothing. */
#define take_ptr(p) \
    ({ \
        __typeof__(p) taken_ = (p); \
        (p) = NULL; \
        taken_; \
    })

static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#endif
