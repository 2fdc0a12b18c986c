/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images as a whole: each function finds out whether the driver can do it,
 * drains the node, and runs the driver's function in a coroutine.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/image.h>

typedef struct ImageCall ImageCall;
struct ImageCall {
    int coroutine_fn (*fn)(ImageCall *call);
    BlockDriverState *bs;
    Error **errp;
    const char *name, *format;          /* of a snapshot, of a backing file */
    QEMUSnapshotInfo *snapshot;
    BdrvCheckResult *result;
    const QDict *options;
    int fix;
    bool force;
    BdrvReportFunc *report;
    BdrvProgressFunc *progress;
    void *opaque;
};

static int64_t coroutine_fn call_entry(void *opaque)
{
    ImageCall *call = opaque;

    return call->fn(call);
}

static int run_drained(ImageCall *call)
{
    Error *local_err = NULL, **errp = call->errp;
    int ret;

    call->errp = &local_err;
    bdrv_drained_begin(call->bs);
    ret = (int)bdrv_run_sync(call_entry, call);
    bdrv_drained_end(call->bs);
    if (ret < 0 && !local_err) {
        error_setg_errno(&local_err, -ret, "'%s'", bdrv_filename(call->bs));
    }
    error_propagate(errp, local_err);
    return ret;
}

/* 0, or why nothing of the kind can be done. */
static int check_can(BlockDriverState *bs, bool can, const char *what, Error **errp)
{
    if (!bs->drv) {
        error_setg(errp, "There is no medium");
        return -ENOMEDIUM;
    }
    if (!can) {
        error_setg(errp, "Format driver '%s' does not support %s", bs->drv->format_name, what);
        return -ENOTSUP;
    }
    return 0;
}

static int check_can_change(BlockDriverState *bs, bool can, const char *what, Error **errp)
{
    int ret = check_can(bs, can, what, errp);

    if (ret == 0 && bdrv_check_writable(bs) < 0) {
        error_setg(errp, "'%s' is read-only", bdrv_filename(bs));
        ret = -EACCES;
    }
    return ret;
}

#define DRIVER_HAS(bs, op) ((bs)->drv && (bs)->drv->op)

/* ---- describing ---- */

int bdrv_get_info(BlockDriverState *bs, BlockDriverInfo *info)
{
    *info = (BlockDriverInfo){ 0 };
    if (!bs->drv) {
        return -ENOMEDIUM;
    }
    if (bs->drv->is_passthrough && bs->file && !bs->drv->bdrv_get_info) {
        return bdrv_get_info(bs->file, info);
    }
    return bs->drv->bdrv_get_info ? bs->drv->bdrv_get_info(bs, info) : -ENOTSUP;
}

QDict *bdrv_get_specific_info(BlockDriverState *bs, Error **errp)
{
    return DRIVER_HAS(bs, bdrv_get_specific_info) ? bs->drv->bdrv_get_specific_info(bs, errp)
                                                  : NULL;
}

int64_t bdrv_get_allocated_file_size(BlockDriverState *bs)
{
    if (!bs->drv) {
        return -ENOMEDIUM;
    }
    if (bs->drv->bdrv_get_allocated_file_size) {
        return bs->drv->bdrv_get_allocated_file_size(bs);
    }
    return bs->file ? bdrv_get_allocated_file_size(bs->file) : -ENOTSUP;
}

/* ---- checking ---- */

static int coroutine_fn do_check(ImageCall *call)
{
    return call->bs->drv->bdrv_co_check(call->bs, call->result, call->fix, call->report,
                                        call->opaque);
}

static void report_nothing(void *opaque, const char *line)
{
    (void)opaque;
    (void)line;
}

int bdrv_check(BlockDriverState *bs, BdrvCheckResult *result, int fix, BdrvReportFunc *report,
               void *opaque)
{
    ImageCall call = { .fn = do_check, .bs = bs, .result = result, .fix = fix,
                       .report = report ? report : report_nothing, .opaque = opaque };
    int ret;

    *result = (BdrvCheckResult){ .image_end_offset = -1 };
    ret = fix ? check_can_change(bs, DRIVER_HAS(bs, bdrv_co_check), "checks", NULL)
              : check_can(bs, DRIVER_HAS(bs, bdrv_co_check), "checks", NULL);
    return ret < 0 ? ret : run_drained(&call);
}

/* ---- changing ---- */

static int coroutine_fn do_amend(ImageCall *call)
{
    return call->bs->drv->bdrv_co_amend(call->bs, call->options, call->force, call->progress,
                                        call->opaque, call->errp);
}

static void progress_to_nobody(void *opaque, int64_t done, int64_t total)
{
    (void)opaque;
    (void)done;
    (void)total;
}

int bdrv_amend(BlockDriverState *bs, const QDict *options, bool force, BdrvProgressFunc *progress,
               void *opaque, Error **errp)
{
    ImageCall call = { .fn = do_amend, .bs = bs, .force = force, .errp = errp, .opaque = opaque,
                       .progress = progress ? progress : progress_to_nobody };
    int ret = check_can_change(bs, DRIVER_HAS(bs, bdrv_co_amend), "option amendment", errp);
    QDict *checked;

    if (ret < 0) {
        return ret;
    }
    checked = json_copy((QDict *)options);
    ret = bdrv_check_options(bs->drv->amend_options, NULL, checked, errp);
    if (ret < 0 && bdrv_check_options(bs->drv->amend_options, bs->drv->create_options, checked,
                                      NULL) == 0) {
        error_append_hint(errp, "This option is only supported for image creation\n");
    }
    if (ret == 0) {
        call.options = checked;
        ret = run_drained(&call);
    }
    QDECREF(checked);
    return ret;
}

static int coroutine_fn do_change_backing_file(ImageCall *call)
{
    return call->bs->drv->bdrv_co_change_backing_file(call->bs, call->name, call->format,
                                                      call->errp);
}

int bdrv_change_backing_file(BlockDriverState *bs, const char *filename, const char *format,
                             Error **errp)
{
    ImageCall call = { .fn = do_change_backing_file, .bs = bs, .name = filename,
                       .format = format, .errp = errp };
    int ret = check_can_change(bs, DRIVER_HAS(bs, bdrv_co_change_backing_file),
                               "changing the backing file", errp);

    if (ret == 0) {
        ret = run_drained(&call);
    }
    if (ret == 0) {
        bdrv_set_backing_file(bs, filename, format);
    }
    return ret;
}

static int coroutine_fn do_make_empty(ImageCall *call)
{
    return call->bs->drv->bdrv_co_make_empty(call->bs, call->errp);
}

int bdrv_make_empty(BlockDriverState *bs, Error **errp)
{
    ImageCall call = { .fn = do_make_empty, .bs = bs, .errp = errp };
    int ret = check_can_change(bs, DRIVER_HAS(bs, bdrv_co_make_empty), "being emptied", errp);

    return ret < 0 ? ret : run_drained(&call);
}

/* ---- internal snapshots ---- */

bool bdrv_can_snapshot(BlockDriverState *bs)
{
    return DRIVER_HAS(bs, bdrv_co_snapshot_create) && bdrv_check_writable(bs) == 0;
}

int bdrv_snapshot_list(BlockDriverState *bs, QEMUSnapshotInfo **list)
{
    *list = NULL;
    if (!bs->drv) {
        return -ENOMEDIUM;
    }
    return bs->drv->bdrv_snapshot_list ? bs->drv->bdrv_snapshot_list(bs, list) : -ENOTSUP;
}

/* The one that has both; NULL: any. */
static int find_snapshot(BlockDriverState *bs, QEMUSnapshotInfo *sn, const char *id,
                         const char *name)
{
    QEMUSnapshotInfo *list;
    int n = bdrv_snapshot_list(bs, &list), ret = n < 0 ? n : -ENOENT;

    for (int i = 0; i < n; i++) {
        if ((!id || strcmp(list[i].id_str, id) == 0) &&
            (!name || strcmp(list[i].name, name) == 0)) {
            *sn = list[i];
            ret = 0;
            break;
        }
    }
    free(list);
    return ret;
}

int bdrv_snapshot_find(BlockDriverState *bs, QEMUSnapshotInfo *sn, const char *id_or_name)
{
    int ret = find_snapshot(bs, sn, id_or_name, NULL);

    return ret == -ENOENT ? find_snapshot(bs, sn, NULL, id_or_name) : ret;
}

static int coroutine_fn do_snapshot_create(ImageCall *call)
{
    return call->bs->drv->bdrv_co_snapshot_create(call->bs, call->snapshot, call->errp);
}

int bdrv_snapshot_create(BlockDriverState *bs, QEMUSnapshotInfo *sn, Error **errp)
{
    ImageCall call = { .fn = do_snapshot_create, .bs = bs, .snapshot = sn, .errp = errp };
    int ret = check_can_change(bs, DRIVER_HAS(bs, bdrv_co_snapshot_create), "internal snapshots",
                               errp);

    return ret < 0 ? ret : run_drained(&call);
}

static int no_such_snapshot(int err, const char *id, const char *name, Error **errp)
{
    error_setg_errno(errp, -err, "There is no snapshot with the %s '%s'", id ? "ID" : "name",
                     id ? id : name);
    return err;
}

static int coroutine_fn do_snapshot_goto(ImageCall *call)
{
    int ret = call->bs->drv->bdrv_co_snapshot_goto(call->bs, call->name, call->errp);

    if (ret < 0 && !*call->errp) {
        error_setg_errno(call->errp, -ret, "Failed to load snapshot");
    }
    return ret;
}

int bdrv_snapshot_goto(BlockDriverState *bs, const char *id_or_name, Error **errp)
{
    QEMUSnapshotInfo sn;
    ImageCall call = { .fn = do_snapshot_goto, .bs = bs, .name = sn.id_str, .errp = errp };
    int ret = check_can_change(bs, DRIVER_HAS(bs, bdrv_co_snapshot_goto), "internal snapshots",
                               errp);

    if (ret < 0) {
        return ret;
    }
    if (bdrv_dirty_bitmap_first(bs)) {
        error_setg(errp, "Device has active dirty bitmaps");
        return -EBUSY;
    }
    ret = bdrv_snapshot_find(bs, &sn, id_or_name);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to load snapshot");
        return ret;
    }
    ret = run_drained(&call);
    return ret < 0 ? ret : (int)(bdrv_refresh_length(bs) < 0 ? -EIO : 0);
}

static int coroutine_fn do_snapshot_delete(ImageCall *call)
{
    return call->bs->drv->bdrv_co_snapshot_delete(call->bs, call->name, call->errp);
}

int bdrv_snapshot_delete(BlockDriverState *bs, const char *id, const char *name, Error **errp)
{
    QEMUSnapshotInfo sn;
    ImageCall call = { .fn = do_snapshot_delete, .bs = bs, .name = sn.id_str, .errp = errp };
    int ret = check_can_change(bs, DRIVER_HAS(bs, bdrv_co_snapshot_delete), "internal snapshots",
                               errp);

    if (ret < 0) {
        return ret;
    }
    ret = find_snapshot(bs, &sn, id, name);
    return ret < 0 ? no_such_snapshot(ret, id, name, errp) : run_drained(&call);
}

static int coroutine_fn do_snapshot_load_tmp(ImageCall *call)
{
    return call->bs->drv->bdrv_co_snapshot_load_tmp(call->bs, call->name, call->errp);
}

int bdrv_snapshot_load_tmp(BlockDriverState *bs, const char *id, const char *name, Error **errp)
{
    QEMUSnapshotInfo sn;
    ImageCall call = { .fn = do_snapshot_load_tmp, .bs = bs, .name = sn.id_str, .errp = errp };
    int ret = check_can(bs, DRIVER_HAS(bs, bdrv_co_snapshot_load_tmp), "internal snapshots", errp);

    if (ret < 0) {
        return ret;
    }
    if (!bs->read_only) {
        error_setg(errp, "'%s' is not read-only: a snapshot can only be shown, not changed",
                   bdrv_filename(bs));
        return -EINVAL;
    }
    ret = find_snapshot(bs, &sn, id, name);
    if (ret < 0) {
        return no_such_snapshot(ret, id, name, errp);
    }
    ret = run_drained(&call);
    return ret < 0 ? ret : (int)(bdrv_refresh_length(bs) < 0 ? -EIO : 0);
}
