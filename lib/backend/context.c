/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The backend's home AioContext (§3.7): where AIO callbacks run.  It is the
 * root's; moving it moves the whole subtree, with everybody told in order:
 * detaching from the top down, attaching from the bottom up.
 */
#include <stdlib.h>

#include "backend/backend.h"

AioContext *blk_get_aio_context(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    AioContext *ctx = bs ? bdrv_get_aio_context(bs) : qemu_get_aio_context();

    blk_look_end(shard);
    return ctx;
}

/* A notifier that is removed while the list is walked stays linked until the walk ends. */
static void sweep_notifiers(BlockBackend *blk)
{
    AioContextNotifier *n, *next;

    for (n = LIST_FIRST(&blk->aio_notifiers); n; n = next) {
        next = LIST_NEXT(n, link);
        if (n->deleted) {
            LIST_REMOVE(n, link);
            free(n);
        }
    }
}

/* new_context NULL: detach. */
static void notify_context(BlockBackend *blk, AioContext *new_context)
{
    AioContextNotifier *n;

    blk->walking_aio_notifiers = true;
    LIST_FOREACH(n, &blk->aio_notifiers, link) {
        if (n->deleted) {
            continue;
        }
        if (new_context) {
            n->attached(new_context, n->opaque);
        } else {
            n->detach(n->opaque);
        }
    }
    blk->walking_aio_notifiers = false;
    sweep_notifiers(blk);
}

/* Every node that moves: one further down may have other users too. */
static void for_subtree(BlockDriverState *bs, void (*fn)(BlockDriverState *bs))
{
    fn(bs);
    if (bs->file) {
        for_subtree(bs->file, fn);
    }
    if (bs->backing) {
        for_subtree(bs->backing, fn);
    }
}

void blk_set_aio_context(BlockBackend *blk, AioContext *new_context)
{
    BlockDriverState *bs = blk_root(blk);

    if (!bs) {
        return;
    }
    for_subtree(bs, bdrv_drained_begin);
    notify_context(blk, NULL);
    bdrv_detach_aio_context(bs);

    aio_context_acquire(new_context);
    bdrv_attach_aio_context(bs, new_context);
    notify_context(blk, new_context);
    aio_context_release(new_context);
    for_subtree(bs, bdrv_drained_end);
}

void blk_add_aio_context_notifier(BlockBackend *blk,
                                  void (*attached_aio_context)(AioContext *, void *),
                                  void (*detach_aio_context)(void *), void *opaque)
{
    AioContextNotifier *n = calloc(1, sizeof(*n));

    BLK_PRECONDITION(attached_aio_context && detach_aio_context, "a callback is missing");
    if (!n) {
        abort();
    }
    n->attached = attached_aio_context;
    n->detach = detach_aio_context;
    n->opaque = opaque;
    LIST_INSERT_HEAD(&blk->aio_notifiers, n, link);
}

void blk_remove_aio_context_notifier(BlockBackend *blk,
                                     void (*attached_aio_context)(AioContext *, void *),
                                     void (*detach_aio_context)(void *), void *opaque)
{
    AioContextNotifier *n;

    LIST_FOREACH(n, &blk->aio_notifiers, link) {
        if (!n->deleted && n->attached == attached_aio_context &&
            n->detach == detach_aio_context && n->opaque == opaque) {
            break;
        }
    }
    BLK_PRECONDITION(n, "no such notifier is registered");
    n->deleted = true;
    if (!blk->walking_aio_notifiers) {
        sweep_notifiers(blk);
    }
}
