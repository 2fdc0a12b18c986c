/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another process may have written the image: what was kept of it in memory is
 * read anew, and the node becomes active.
 */
#include "graph/graph-int.h"

#include <errno.h>

static int coroutine_fn reread(BlockDriverState *bs, Error **errp)
{
    Error *err = NULL;
    int64_t length;

    if (bs->drv->bdrv_co_invalidate_cache) {
        bs->drv->bdrv_co_invalidate_cache(bs, &err);
        if (err) {
            error_propagate(errp, err);
            return -EIO;
        }
    }
    length = bs->sg ? 0 : bdrv_co_refresh_length(bs);
    if (length < 0) {
        error_setg_errno(errp, (int)-length, "Could not reread the size of node '%s'",
                         bs->node_name);
        return (int)length;
    }
    return bdrv_load_dirty_bitmaps(bs, errp);
}

static int coroutine_fn invalidate_children(BlockDriverState *bs, Error **errp)
{
    BdrvChild *child;
    int ret = bs->file ? bdrv_co_invalidate_cache(bs->file, errp) : 0;

    if (ret == 0 && bs->backing) {
        ret = bdrv_co_invalidate_cache(bs->backing, errp);
    }
    LIST_FOREACH(child, &bs->children, link) {
        if (ret == 0) {
            ret = bdrv_co_invalidate_cache(child->bs, errp);
        }
    }
    return ret;
}

/* Children first: the metadata of this node lie in its file. */
int coroutine_fn bdrv_co_invalidate_cache(BlockDriverState *bs, Error **errp)
{
    int ret;

    if (!bs->drv || !(bdrv_get_flags(bs) & BDRV_O_INACTIVE)) {
        return 0;
    }
    atomic_fetch_and(&bs->open_flags, ~BDRV_O_INACTIVE);
    ret = invalidate_children(bs, errp);
    if (ret == 0) {
        ret = reread(bs, errp);
    }
    if (ret < 0) {
        atomic_fetch_or(&bs->open_flags, BDRV_O_INACTIVE);
    }
    return ret;
}
