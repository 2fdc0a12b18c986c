/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the event loop may see of a coroutine.
 *
 * Except for `scheduled`, the fields belong to whoever runs the coroutine; a
 * thread that wakes it may read ctx until it has put it on a list, and must not
 * touch it afterwards.
 */
#ifndef BLKBACKEND_COROUTINE_INT_H
#define BLKBACKEND_COROUTINE_INT_H

#include <blkbackend/aio.h>
#include <blkbackend/coroutine.h>

struct Coroutine {
    CoroutineEntry *entry;         /* NULL once it has returned */
    void *entry_arg;
    Coroutine *caller;             /* the coroutine that entered it; NULL: none did */
    AioContext *ctx;               /* where it last ran; NULL: never ran */
    Coroutine *next_scheduled;     /* link of the one list it waits on: ctx's or a wake-up list */
    Coroutine *wake_first;         /* entered after this one yields or ends */
    Coroutine *wake_last;
    atomic_bool scheduled;         /* on such a list; cleared before it is entered */
};

/*
 * Enters co as soon as self yields or ends.  For a wake-up sent by self to a
 * coroutine of the context that self runs in.
 */
void coroutine_queue_after_self(Coroutine *self, Coroutine *co);

#endif
