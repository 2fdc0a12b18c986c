/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reopening: the same medium, writable or not, with another way of caching.
 *
 * Who becomes writable needs a writable file first; who becomes read-only may
 * still write to it while doing so.
 */
#include "graph/graph-int.h"

#include <errno.h>

#define REOPEN_FLAGS (BDRV_O_RDWR | BDRV_O_CACHE_MASK)

static bool has_device(BlockDriverState *bs)
{
    BdrvParent *parent;

    LIST_FOREACH(parent, &bs->parents, link) {
        if (parent->ops->has_device && parent->ops->has_device(parent->opaque)) {
            return true;
        }
    }
    return false;
}

static int check_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    int old = bdrv_get_flags(bs);

    if (!bs->drv) {
        error_setg(errp, "Node '%s' has no medium", bs->node_name);
        return -ENOMEDIUM;
    }
    if ((flags & BDRV_O_RDWR) && bs->read_only && !(old & BDRV_O_ALLOW_RDWR)) {
        error_setg(errp, "Node '%s' is read-only", bs->node_name);
        return -EACCES;
    }
    if (((flags ^ old) & BDRV_O_CACHE_WB) && has_device(bs)) {
        error_setg(errp, "Cannot change cache.writeback: Device attached");
        return -EINVAL;
    }
    if (!bs->drv->bdrv_reopen) {
        error_setg(errp, "Driver '%s' cannot reopen node '%s'", bs->drv->format_name,
                   bs->node_name);
        return -ENOTSUP;
    }
    return 0;
}

static int reopen_driver(BlockDriverState *bs, int flags, Error **errp)
{
    int ret = bs->drv->bdrv_reopen(bs, flags, errp);

    if (ret < 0) {
        if (errp && !*errp) {
            error_setg_errno(errp, -ret, "Could not reopen node '%s'", bs->node_name);
        }
        return ret;
    }
    bs->read_only = !(flags & BDRV_O_RDWR);
    atomic_store(&bs->open_flags, flags);
    atomic_store(&bs->enable_write_cache, (flags & BDRV_O_CACHE_WB) != 0);
    bdrv_follow_read_only(bs);
    return 0;
}

/* What a child gets of a change of the node above it; its write cache is its own affair. */
static int flags_for_child(BlockDriverState *bs, BlockDriverState *child, int flags)
{
    int changed = (flags ^ bdrv_get_flags(bs)) & REOPEN_FLAGS & ~BDRV_O_CACHE_WB;
    bool shared = child->refcnt > 1;

    if (shared && !(flags & BDRV_O_RDWR)) {
        changed &= ~BDRV_O_RDWR;       /* another may need it writable */
    }
    return (bdrv_get_flags(child) & ~changed) | (flags & changed);
}

static int reopen_node(BlockDriverState *bs, int flags, Error **errp);

static int reopen_file(BlockDriverState *file, int flags, Error **errp)
{
    return file && flags != bdrv_get_flags(file) ? reopen_node(file, flags, errp) : 0;
}

static int reopen_files(BlockDriverState *bs, int flags_of_file, Error **errp)
{
    int ret = reopen_file(bs->file, flags_of_file, errp);
    BdrvChild *child;

    LIST_FOREACH(child, &bs->children, link) {
        if (ret == 0) {
            ret = reopen_file(child->bs, child->new_flags, errp);
        }
    }
    return ret;
}

/* The node and its files, in the order that the new mode asks for. */
static int reopen_both(BlockDriverState *bs, int flags, int flags_of_file, Error **errp)
{
    int ret;

    if (flags & BDRV_O_RDWR) {
        ret = reopen_files(bs, flags_of_file, errp);
        return ret < 0 ? ret : reopen_driver(bs, flags, errp);
    }
    ret = reopen_driver(bs, flags, errp);
    return ret < 0 ? ret : reopen_files(bs, flags_of_file, errp);
}

static int reopen_with_files(BlockDriverState *bs, int flags, Error **errp)
{
    int old = bdrv_get_flags(bs), ret;
    int old_of_file = bs->file ? bdrv_get_flags(bs->file) : 0;
    BdrvChild *child;

    LIST_FOREACH(child, &bs->children, link) {
        child->old_flags = bdrv_get_flags(child->bs);
        child->new_flags = flags_for_child(bs, child->bs, flags);
    }
    ret = reopen_both(bs, flags, bs->file ? flags_for_child(bs, bs->file, flags) : 0, errp);
    if (ret == 0) {
        ret = bdrv_refresh_limits(bs, errp);
    }
    if (ret < 0) {
        reopen_file(bs->file, old_of_file, NULL);
        LIST_FOREACH(child, &bs->children, link) {
            reopen_file(child->bs, child->old_flags, NULL);
        }
        if (bdrv_get_flags(bs) != old) {
            reopen_driver(bs, old, NULL);
        }
    }
    return ret;
}

static int store_and_flush(BlockDriverState *bs, Error **errp)
{
    int ret = bdrv_store_dirty_bitmaps(bs, errp);

    if (ret == 0) {
        ret = bdrv_flush(bs);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Could not flush node '%s'", bs->node_name);
        }
    }
    return ret;
}

static int reopen_node(BlockDriverState *bs, int flags, Error **errp)
{
    int ret = check_reopen(bs, flags, errp);

    if (bdrv_get_flags(bs) & BDRV_O_RDWR) {
        flags |= BDRV_O_ALLOW_RDWR;     /* what was writable may become so again */
    }
    if (ret == 0 && !bs->read_only && !(flags & BDRV_O_RDWR)) {
        ret = store_and_flush(bs, errp);
    }
    return ret < 0 ? ret : reopen_with_files(bs, flags, errp);
}

int bdrv_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    int old = bdrv_get_flags(bs), ret;

    flags = (old & ~REOPEN_FLAGS) | (flags & REOPEN_FLAGS);
    bdrv_drained_begin(bs);
    ret = reopen_node(bs, flags, errp);
    bdrv_drained_end(bs);
    return ret;
}
