/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commit: what an overlay decides goes into its backing file (§3.11).
 *
 * An error midway leaves data in the backing file that the overlay still
 * covers: nobody sees it.  The overlay forgets its own only when the backing
 * file's is on stable storage.
 */
#include "graph/graph-int.h"

#include <errno.h>

#include <blkbackend/image.h>

static int check_commit(BlockDriverState *bs)
{
    if (!bs->drv) {
        return -ENOMEDIUM;
    }
    if (!bs->backing) {
        return -ENOTSUP;
    }
    if (bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_COMMIT_SOURCE, NULL) ||
        bdrv_op_is_blocked(bs->backing, BLOCK_OP_TYPE_COMMIT_TARGET, NULL)) {
        return -EBUSY;
    }
    return 0;
}

/* ---- copying ---- */

/* Sets *n to how far bs has one answer from offset on; copies that, if it is allocated. */
static int coroutine_fn commit_piece(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     int64_t *n)
{
    int ret = bdrv_co_block_status(bs, offset, bytes, n, NULL, NULL);

    if (ret < 0) {
        return ret;
    }
    if (*n == 0) {
        return -EIO;        /* the overlay shrank under us */
    }
    return ret & BDRV_BLOCK_ALLOCATED
           ? bdrv_co_copy_range(bs, offset, bs->backing, offset, *n, 0) : 0;
}

static int64_t coroutine_fn copy_allocated(void *opaque)
{
    BlockDriverState *bs = opaque;
    int64_t offset, n, length = bdrv_co_getlength(bs);
    int ret = length < 0 ? (int)length : 0;

    for (offset = 0; ret == 0 && offset < length; offset += n) {
        ret = commit_piece(bs, offset, MIN_OF(length - offset, BDRV_REQUEST_MAX_BYTES), &n);
    }
    return ret;
}

/* ---- steps ---- */

static int make_room(BlockDriverState *bs)
{
    int64_t length = bdrv_getlength(bs), below = bdrv_getlength(bs->backing);

    if (length < 0 || below < 0) {
        return length < 0 ? (int)length : (int)below;
    }
    return length > below ? bdrv_truncate(bs->backing, length, PREALLOC_MODE_OFF, NULL) : 0;
}

static int empty_overlay(BlockDriverState *bs)
{
    int ret;

    if (!bs->drv->bdrv_co_make_empty) {
        return 0;
    }
    ret = bdrv_make_empty(bs, NULL);
    return ret < 0 ? ret : bdrv_flush(bs);
}

static int commit_writable(BlockDriverState *bs)
{
    int ret = make_room(bs);

    if (ret == 0) {
        ret = (int)bdrv_run_sync(copy_allocated, bs);
    }
    if (ret == 0) {
        ret = bdrv_flush(bs->backing);
    }
    return ret < 0 ? ret : empty_overlay(bs);
}

static int commit_drained(BlockDriverState *bs)
{
    BlockDriverState *backing = bs->backing;
    int flags = bdrv_get_flags(backing), ret;
    bool was_read_only = backing->read_only;

    if (was_read_only && bdrv_reopen(backing, flags | BDRV_O_RDWR, NULL) < 0) {
        return -EACCES;
    }
    ret = commit_writable(bs);
    if (was_read_only) {
        bdrv_reopen(backing, flags, NULL);
    }
    return ret;
}

int bdrv_commit(BlockDriverState *bs)
{
    int ret = check_commit(bs);

    if (ret == 0) {
        bdrv_drained_begin(bs);
        ret = commit_drained(bs);
        bdrv_drained_end(bs);
    }
    return ret;
}
