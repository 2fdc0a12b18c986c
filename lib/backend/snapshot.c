/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * External snapshots under running clients: an overlay becomes the backend's
 * root, and what was the root backs it and does not change any more.
 *
 *     all that can fail: create, open, flush ─▶ drained: the old root becomes
 *       read-only ─▶ it backs the overlay ─▶ the roots are exchanged
 *
 * The overlay's header, which says what backs it, is on stable storage before
 * the first write can go there: after a power cut the overlay shows all that
 * was flushed, on either side of the snapshot.
 */
#include <errno.h>
#include <stdlib.h>

#include <blkbackend/image.h>
#include <blkbackend/job.h>

#include "backend/backend.h"

/* ---- an overlay that is there ---- */

static int check_device(BlockBackend *blk, Error **errp)
{
    BlockDriverState *bs = blk_root(blk);

    if (!bs || !bdrv_is_inserted(bs)) {
        error_setg(errp, "Device '%s' has no medium", blk_name(blk));
        return -ENOMEDIUM;
    }
    if (bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_EXTERNAL_SNAPSHOT, errp)) {
        return -EBUSY;
    }
    return bdrv_check_depth(bs, 1, errp);
}

static int check_length(BlockDriverState *bs, BlockDriverState *overlay, Error **errp)
{
    int64_t length = bdrv_getlength(bs), above = bdrv_getlength(overlay);

    if (length < 0 || above < 0) {
        above = length < 0 ? length : above;
        error_setg_errno(errp, (int)-above, "Could not find out how long the images are");
        return (int)above;
    }
    if (length != above) {
        error_setg(errp, "The overlay '%s' has %lld bytes, but its clients see %lld",
                   bdrv_filename(overlay), (long long)above, (long long)length);
        return -EINVAL;
    }
    return 0;
}

static int check_overlay(BlockDriverState *bs, BlockDriverState *overlay, Error **errp)
{
    const char *name = bdrv_get_node_name(overlay);

    if (!LIST_EMPTY(&overlay->parents) || overlay == bs) {
        error_setg(errp, "The overlay '%s' is already in use", name);
        return -EBUSY;
    }
    if (!overlay->drv || !overlay->drv->supports_backing) {
        error_setg(errp, "The overlay '%s' does not support backing images", name);
        return -ENOTSUP;
    }
    if (overlay->backing) {
        error_setg(errp, "The overlay '%s' already has a backing image", name);
        error_append_hint(errp, "Open it with \"backing\": null.\n");
        return -EINVAL;
    }
    if (bdrv_is_read_only(overlay) && !bdrv_is_read_only(bs)) {
        error_setg(errp, "The overlay '%s' is read-only", name);
        return -EACCES;
    }
    return check_length(bs, overlay, errp);
}

static int flush(BlockDriverState *bs, Error **errp)
{
    int ret = bdrv_flush(bs);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not flush '%s'", bdrv_filename(bs));
    }
    return ret;
}

/* The node is drained. */
static int put_on_top(BlockBackend *blk, BlockDriverState *bs, BlockDriverState *overlay,
                      Error **errp)
{
    int flags = bdrv_get_flags(bs);
    bool becomes_read_only = !bdrv_is_read_only(bs) &&
                             !bdrv_other_parent(bs, &blk->root_link);
    int ret = becomes_read_only ? bdrv_reopen(bs, flags & ~BDRV_O_RDWR, errp) : 0;

    if (ret < 0) {
        return ret;
    }
    bdrv_move_to_context(overlay, bdrv_get_aio_context(bs));
    bdrv_set_backing(overlay, bs);
    ret = blk_replace_bs(blk, overlay, errp);
    if (ret < 0) {
        bdrv_set_backing(overlay, NULL);
        if (becomes_read_only) {
            bdrv_reopen(bs, flags, NULL);
        }
    }
    return ret;
}

int blk_snapshot(BlockBackend *blk, BlockDriverState *overlay, Error **errp)
{
    BlockDriverState *bs = blk_root(blk);
    int ret = check_device(blk, errp);

    if (ret == 0) {
        ret = check_overlay(bs, overlay, errp);
    }
    if (ret == 0) {
        ret = flush(overlay, errp);
    }
    if (ret < 0) {
        return ret;
    }
    bdrv_ref(bs);
    bdrv_drained_begin(bs);
    ret = flush(bs, errp);
    if (ret == 0) {
        ret = put_on_top(blk, bs, overlay, errp);
    }
    bdrv_drained_end(bs);
    bdrv_unref(bs);
    return ret;
}

/* ---- a new overlay ---- */

static int create_overlay(BlockDriverState *bs, const char *filename, const char *format,
                          Error **errp)
{
    char *name = bdrv_name_for_header(bs, errp);
    int64_t size = bdrv_getlength(bs);
    int ret;

    if (!name) {
        ret = -EINVAL;
    } else if (size < 0) {
        error_setg_errno(errp, (int)-size, "Could not get the size of '%s'", bdrv_filename(bs));
        ret = (int)size;
    } else {
        ret = bdrv_img_create(filename, format, name, bdrv_get_format_name(bs), NULL, size,
                              BDRV_O_NO_BACKING, NULL, NULL, errp);
    }
    free(name);
    return ret;
}

static int open_overlay(BlockDriverState *bs, const char *filename, const char *format,
                        const char *node_name, BlockDriverState **overlay, Error **errp)
{
    int flags = bdrv_get_flags(bs) & (BDRV_O_RDWR | BDRV_O_CACHE_MASK | BDRV_O_NATIVE_AIO |
                                      BDRV_O_UNMAP);
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str(format));
    if (node_name) {
        qdict_put(options, "node-name", qstring_from_str(node_name));
    }
    return bdrv_open(overlay, filename, NULL, options, flags | BDRV_O_NO_BACKING, errp);
}

/* As blk_snapshot_file(), once nothing speaks against it but the overlay itself. */
static int snapshot_file(BlockBackend *blk, const char *filename, const char *format,
                         const char *node_name, bool existing, Error **errp)
{
    BlockDriverState *bs = blk_root(blk), *overlay = NULL;
    int ret = existing ? 0 : create_overlay(bs, filename, format, errp);

    if (ret == 0) {
        ret = open_overlay(bs, filename, format, node_name, &overlay, errp);
    }
    if (ret == 0) {
        ret = blk_snapshot(blk, overlay, errp);
        bdrv_unref(overlay);
    }
    return ret;
}

int blk_snapshot_file(BlockBackend *blk, const char *filename, const char *format,
                      const char *node_name, bool existing, Error **errp)
{
    const BlockDriver *protocol = bdrv_protocol_of(filename, errp);
    int ret = protocol ? check_device(blk, errp) : -EINVAL;
    bool is_new;

    if (ret == 0 && node_name) {
        ret = bdrv_check_node_name(node_name, errp);
    }
    if (ret < 0) {
        return ret;
    }
    is_new = protocol->bdrv_exists && !protocol->bdrv_exists(filename);
    ret = snapshot_file(blk, filename, format, node_name, existing, errp);
    if (ret < 0 && is_new && protocol->bdrv_exists(filename)) {
        protocol->bdrv_delete(filename);
    }
    return ret;
}
