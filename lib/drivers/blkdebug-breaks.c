/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blkdebug: breakpoints.  One stops the next request of its kind, just that
 * one, before anything happens to the image, until somebody resumes it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/blkdebug.h"

struct DebugBreak {
    unsigned ops;           /* a bit each */
    Coroutine *co;          /* of the request that it stopped; NULL: none yet */
    STAILQ_ENTRY(DebugBreak) link;
    char tag[];
};

int debug_breaks_add(DebugBreaks *breaks, const char *event, const char *tag)
{
    unsigned ops = debug_ops_of_word(event);
    DebugBreak *brk;

    if (ops == 0) {
        return -EINVAL;
    }
    brk = malloc(sizeof(*brk) + strlen(tag) + 1);
    if (!brk) {
        abort();
    }
    brk->ops = ops;
    brk->co = NULL;
    strcpy(brk->tag, tag);
    STAILQ_INSERT_TAIL(breaks, brk, link);
    return 0;
}

bool coroutine_fn debug_breaks_hit(DebugBreaks *breaks, const DebugRequest *req)
{
    DebugBreak *brk;

    STAILQ_FOREACH(brk, breaks, link) {
        if (!brk->co && brk->ops & 1u << req->op) {
            brk->co = qemu_coroutine_self();
            return true;
        }
    }
    return false;
}

static DebugBreak *find(DebugBreaks *breaks, const char *tag, bool suspended)
{
    DebugBreak *brk;

    STAILQ_FOREACH(brk, breaks, link) {
        if (!brk->co == !suspended && strcmp(brk->tag, tag) == 0) {
            return brk;
        }
    }
    return NULL;
}

Coroutine *debug_breaks_take(DebugBreaks *breaks, const char *tag)
{
    DebugBreak *brk = find(breaks, tag, true);
    Coroutine *co = NULL;

    if (brk) {
        co = brk->co;
        STAILQ_REMOVE(breaks, brk, DebugBreak, link);
        free(brk);
    }
    return co;
}

bool debug_breaks_remove(DebugBreaks *breaks, const char *tag)
{
    DebugBreak *brk = find(breaks, tag, false);

    if (brk) {
        STAILQ_REMOVE(breaks, brk, DebugBreak, link);
        free(brk);
    }
    return brk != NULL;
}

bool debug_breaks_suspended(DebugBreaks *breaks, const char *tag)
{
    return find(breaks, tag, true) != NULL;
}

void debug_breaks_free(DebugBreaks *breaks)
{
    DebugBreak *brk;

    while ((brk = STAILQ_FIRST(breaks))) {
        STAILQ_REMOVE_HEAD(breaks, link);
        free(brk);
    }
}
