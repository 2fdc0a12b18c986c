/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The attached device, its tray, and the exchange of media.
 *
 * The library never looks into the device; it asks and tells it through
 * BlockDevOps.  The operations below are the only callers of change_media_cb.
 */
#include "backend/backend.h"

#include <errno.h>

/* ---- the device ---- */

/* Both pointers of one blk_set_dev_ops(), whichever thread asks. */
static const BlockDevOps *blk_dev_ops(BlockBackend *blk, void **opaque)
{
    const BlockDevOps *ops;
    unsigned seq;

    do {
        seq = atomic_load_explicit(&blk->dev_seq, memory_order_acquire);
        ops = atomic_load_explicit(&blk->dev_ops, memory_order_acquire);
        *opaque = atomic_load_explicit(&blk->dev_opaque, memory_order_acquire);
    } while ((seq & 1) ||
             seq != atomic_load_explicit(&blk->dev_seq, memory_order_relaxed));
    return ops;
}

void blk_set_dev_ops(BlockBackend *blk, const BlockDevOps *ops, void *opaque)
{
    atomic_fetch_add(&blk->dev_seq, 1);
    atomic_store(&blk->dev_ops, ops);
    atomic_store(&blk->dev_opaque, opaque);
    atomic_fetch_add(&blk->dev_seq, 1);
}

int blk_attach_dev(BlockBackend *blk, void *dev)
{
    BLK_PRECONDITION(dev, "no device");
    if (blk_get_attached_dev(blk)) {
        return -EBUSY;
    }
    blk_ref(blk);
    atomic_store(&blk->dev, dev);
    blk_iostatus_reset(blk);
    return 0;
}

void blk_attach_dev_nofail(BlockBackend *blk, void *dev)
{
    int ret = blk_attach_dev(blk, dev);

    BLK_PRECONDITION(ret == 0, "a device is attached already");
}

void blk_detach_dev(BlockBackend *blk, void *dev)
{
    BLK_PRECONDITION(dev && blk_get_attached_dev(blk) == dev, "this device is not attached");
    blk_set_dev_ops(blk, NULL, NULL);
    atomic_store(&blk->dev, NULL);
    blk_set_guest_block_size(blk, 512);
    blk_unref(blk);
}

void *blk_get_attached_dev(BlockBackend *blk)
{
    return atomic_load(&blk->dev);
}

/* ---- what the device answers and is told ---- */

bool blk_dev_has_removable_media(BlockBackend *blk)
{
    void *opaque;
    const BlockDevOps *ops = blk_dev_ops(blk, &opaque);

    return !blk_get_attached_dev(blk) || (ops && ops->change_media_cb);
}

bool blk_dev_has_tray(BlockBackend *blk)
{
    void *opaque;
    const BlockDevOps *ops = blk_dev_ops(blk, &opaque);

    return ops && ops->is_tray_open;
}

bool blk_dev_is_tray_open(BlockBackend *blk)
{
    void *opaque;
    const BlockDevOps *ops;

    /* On every request's way: the usual backend has no tray and pays one load. */
    if (!atomic_load_explicit(&blk->dev_ops, memory_order_acquire)) {
        return false;
    }
    ops = blk_dev_ops(blk, &opaque);
    return ops && ops->is_tray_open && ops->is_tray_open(opaque);
}

bool blk_dev_is_medium_locked(BlockBackend *blk)
{
    void *opaque;
    const BlockDevOps *ops = blk_dev_ops(blk, &opaque);

    return ops && ops->is_medium_locked && ops->is_medium_locked(opaque);
}

void blk_dev_eject_request(BlockBackend *blk, bool force)
{
    void *opaque;
    const BlockDevOps *ops = blk_dev_ops(blk, &opaque);

    if (ops && ops->eject_request_cb) {
        ops->eject_request_cb(opaque, force);
    }
}

void blk_dev_change_media_cb(BlockBackend *blk, bool load)
{
    void *opaque;
    const BlockDevOps *ops = blk_dev_ops(blk, &opaque);

    if (ops && ops->change_media_cb) {
        bool was_open = blk_dev_is_tray_open(blk);
        bool is_open;

        ops->change_media_cb(opaque, load);
        is_open = blk_dev_is_tray_open(blk);
        if (was_open != is_open) {
            blk_send_tray_moved(blk, is_open);
        }
    }
}

void blk_dev_resize_cb(BlockBackend *blk)
{
    void *opaque;
    const BlockDevOps *ops = blk_dev_ops(blk, &opaque);

    if (ops && ops->resize_cb) {
        ops->resize_cb(opaque);
    }
}

/* ---- the medium, as the driver sees it ---- */

void blk_lock_medium(BlockBackend *blk, bool locked)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);

    if (bs && bs->drv && bs->drv->bdrv_lock_medium) {
        bs->drv->bdrv_lock_medium(bs, locked);
    }
    blk_look_end(shard);
}

void blk_eject(BlockBackend *blk, bool eject_flag)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);

    if (bs && bs->drv && bs->drv->bdrv_eject) {
        bs->drv->bdrv_eject(bs, eject_flag);
    }
    blk_look_end(shard);
    blk_send_tray_moved(blk, eject_flag);
}

/* ---- operations ---- */

static int check_removable(BlockBackend *blk, Error **errp)
{
    if (!blk_dev_has_removable_media(blk)) {
        error_setg(errp, "Device '%s' is not removable", blk_name(blk));
        return -ENOTSUP;
    }
    return 0;
}

/* May the medium be taken out or put in?  Without a device always. */
static int check_accessible(BlockBackend *blk, Error **errp)
{
    int ret = check_removable(blk, errp);

    if (ret < 0) {
        return ret;
    }
    if (blk_get_attached_dev(blk) && blk_dev_has_tray(blk) && !blk_dev_is_tray_open(blk)) {
        error_setg(errp, "Tray of device '%s' is not open", blk_name(blk));
        return -EBUSY;
    }
    return 0;
}

int blk_open_tray(BlockBackend *blk, bool force, Error **errp)
{
    int ret = check_removable(blk, errp);
    bool locked;

    if (ret < 0 || !blk_dev_has_tray(blk) || blk_dev_is_tray_open(blk)) {
        return ret;
    }
    locked = blk_dev_is_medium_locked(blk);
    if (locked) {
        blk_dev_eject_request(blk, force);
    }
    if (!locked || force) {
        blk_dev_change_media_cb(blk, false);
    }
    return 0;
}

int blk_close_tray(BlockBackend *blk, Error **errp)
{
    int ret = check_removable(blk, errp);

    if (ret == 0 && blk_dev_has_tray(blk) && blk_dev_is_tray_open(blk)) {
        blk_dev_change_media_cb(blk, true);
    }
    return ret;
}

int blk_remove_medium(BlockBackend *blk, Error **errp)
{
    AioContext *ctx;
    int ret = check_accessible(blk, errp);

    if (ret < 0 || !blk_root(blk)) {
        return ret;
    }
    ctx = blk_get_aio_context(blk);
    aio_context_acquire(ctx);
    if (blk_op_is_blocked(blk, BLOCK_OP_TYPE_EJECT, errp)) {
        ret = -EBUSY;
    } else {
        blk_remove_bs(blk);
        if (!blk_dev_has_tray(blk)) {
            blk_dev_change_media_cb(blk, false);
        }
    }
    aio_context_release(ctx);
    return ret;
}

int blk_insert_medium(BlockBackend *blk, BlockDriverState *bs, Error **errp)
{
    int ret = check_accessible(blk, errp);

    if (ret < 0) {
        return ret;
    }
    if (blk_root(blk)) {
        error_setg(errp, "There already is a medium in device '%s'", blk_name(blk));
        return -EBUSY;
    }
    if (bdrv_has_blk_parent(bs)) {
        error_setg(errp, "Node '%s' is already in use by another block backend",
                   bdrv_get_node_name(bs));
        return -EBUSY;
    }
    blk_insert_bs(blk, bs);
    if (!blk_dev_has_tray(blk)) {
        blk_dev_change_media_cb(blk, true);
    }
    return 0;
}

int blk_eject_medium(BlockBackend *blk, bool force, Error **errp)
{
    int ret = blk_open_tray(blk, force, errp);

    return ret < 0 ? ret : blk_remove_medium(blk, errp);
}

static int flags_for_next_medium(BlockBackend *blk, BlockdevChangeReadOnlyMode mode)
{
    int flags = blk_get_open_flags_from_root_state(blk) &
                ~(BDRV_O_TEMPORARY | BDRV_O_SNAPSHOT | BDRV_O_NO_BACKING | BDRV_O_PROTOCOL);

    switch (mode) {
    case BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_ONLY:
        return flags & ~BDRV_O_RDWR;
    case BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_WRITE:
        return flags | BDRV_O_RDWR;
    default:
        return flags;
    }
}

static int exchange_medium(BlockBackend *blk, BlockDriverState *bs, Error **errp)
{
    int ret = blk_eject_medium(blk, false, errp);

    if (ret == 0) {
        ret = blk_insert_medium(blk, bs, errp);
    }
    return ret < 0 ? ret : blk_close_tray(blk, errp);
}

int blk_change_medium(BlockBackend *blk, const char *filename, const char *format,
                      BlockdevChangeReadOnlyMode read_only_mode, Error **errp)
{
    BlockDriverState *bs = NULL;
    QDict *options = NULL;
    int ret;

    if (blk_root(blk)) {
        blk_update_root_state(blk);
    }
    if (format) {
        options = qdict_new();
        qdict_put(options, "driver", qstring_from_str(format));
    }
    ret = bdrv_open(&bs, filename, NULL, options, flags_for_next_medium(blk, read_only_mode),
                    errp);
    if (ret < 0) {
        return ret;
    }
    blk_apply_root_state(blk, bs);
    ret = exchange_medium(blk, bs, errp);
    bdrv_unref(bs);
    return ret;
}
