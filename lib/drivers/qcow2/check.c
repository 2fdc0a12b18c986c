/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A check from beginning to end, and what it makes of the header's bits "dirty"
 * and "corrupt".
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

/* An image's metadata are read three times at most: references, refcounts, flags. */
#define BUDGET_TIMES 4
#define BUDGET_LEAST (INT64_C(256) << 20)
#define BUDGET_UNASKED (INT64_C(4) << 30)   /* so much also where the file may be compressed */

/* ---- reports and reads ---- */

void qcow2_check_say(const Qcow2Check *ck, const char *fmt, ...)
{
    char line[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    ck->report(ck->opaque, line);
}

static int64_t reading_budget(BlockDriverState *file, int64_t length)
{
    int64_t allocated = bdrv_get_allocated_file_size(file);
    int64_t bytes = length < BUDGET_UNASKED ? length : BUDGET_UNASKED;

    bytes = allocated > bytes ? allocated : bytes;
    return bytes > INT64_MAX / 8 ? INT64_MAX : BUDGET_LEAST + BUDGET_TIMES * bytes;
}

static bool coroutine_fn is_hole(Qcow2Check *ck, uint64_t offset, uint64_t bytes)
{
    BlockDriverState *file = NULL;
    int64_t pnum = 0, map;
    int ret = bdrv_co_block_status(bdrv_file(ck->bs), (int64_t)offset, (int64_t)bytes, &pnum, &map,
                                   &file);

    return ret > 0 && (ret & BDRV_BLOCK_ZERO) && (uint64_t)pnum >= bytes;
}

int coroutine_fn qcow2_check_read(Qcow2Check *ck, uint64_t offset, uint64_t bytes, void *buf)
{
    uint64_t end = ck->file_bytes;
    uint64_t in_file = offset >= end ? 0 : end - offset < bytes ? end - offset : bytes;

    memset((uint8_t *)buf + in_file, 0, bytes - in_file);
    if (in_file == 0 || (in_file >= BDRV_SECTOR_SIZE && is_hole(ck, offset, in_file))) {
        memset(buf, 0, in_file);
        return 1;
    }
    ck->budget -= (int64_t)in_file;
    if (ck->budget < 0) {
        qcow2_check_say(ck, "ERROR tables lie on each other so often that they cannot all be read");
        return -EFBIG;
    }
    return bdrv_pread(bdrv_file(ck->bs), (int64_t)offset, (int64_t)in_file, buf);
}

/* ---- references and refcounts ---- */

/* All references of the file as it is now. */
static int coroutine_fn count_references(Qcow2Check *ck)
{
    int64_t length = bdrv_getlength(bdrv_file(ck->bs));
    int ret = length < 0 ? (int)length : qcow2_check_clear_counts(ck, (uint64_t)length);

    if (length < 0) {
        ck->res->check_errors++;
    }
    return ret < 0 ? ret : qcow2_check_count_all(ck);
}

/* The leaks that new refcount structures leave: the old ones. */
static int coroutine_fn mend_fresh_leaks(Qcow2Check *ck)
{
    BdrvCheckResult before = *ck->res;
    int ret;

    *ck->res = (BdrvCheckResult){ 0 };
    ret = qcow2_check_compare(ck, BDRV_FIX_LEAKS);
    before.leaks += ck->res->leaks;
    before.corruptions += ck->res->corruptions;
    before.check_errors += ck->res->check_errors;
    *ck->res = before;
    return ret;
}

static int coroutine_fn rebuild(Qcow2Check *ck)
{
    BdrvCheckResult old = *ck->res, *res = ck->res;
    int fix = ck->fix, ret;

    qcow2_check_say(ck, "Rebuilding refcount structure");
    ret = qcow2_check_rebuild(ck);
    if (ret < 0) {
        return ret;
    }
    *res = (BdrvCheckResult){ .corruptions_fixed = old.corruptions_fixed,
                              .leaks_fixed = old.leaks_fixed,
                              .total_clusters = old.total_clusters };
    ck->fix = 0;   /* what could be mended of the tables has been */
    ret = count_references(ck);
    ck->fix = fix;
    if (ret == 0 && (fix & BDRV_FIX_LEAKS)) {
        ret = mend_fresh_leaks(ck);
        if (ck->rebuild) {
            qcow2_check_say(ck, "ERROR rebuilt refcount structure is still broken");
            res->check_errors++;
        }
    }
    if (res->corruptions < old.corruptions) {
        res->corruptions_fixed += old.corruptions - res->corruptions;
    }
    if (res->leaks < old.leaks) {
        res->leaks_fixed += old.leaks - res->leaks;
    }
    return ret;
}

static int coroutine_fn mend_refcounts(Qcow2Check *ck, const BdrvCheckResult *before)
{
    if (ck->rebuild && qcow2_check_fixes_errors(ck)) {
        return rebuild(ck);
    }
    if (ck->rebuild) {
        qcow2_check_say(ck, "ERROR need to rebuild refcount structures");
        ck->res->check_errors++;
        return -EIO;
    }
    if (ck->res->leaks || ck->res->corruptions) {
        *ck->res = *before;
        return qcow2_check_compare(ck, ck->fix);
    }
    return 0;
}

static int coroutine_fn check_refcounts(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    BdrvCheckResult before;
    int ret;

    ck->res->total_clusters = (int64_t)qcow2_clusters_up(s, s->hdr.size & BDRV_SECTOR_MASK);
    ret = count_references(ck);
    if (ret < 0) {
        return ret;
    }
    before = *ck->res;
    ret = qcow2_check_compare(ck, 0);
    if (ret == 0 && ck->fix) {
        ret = mend_refcounts(ck, &before);
    }
    if (ret == 0) {
        ret = qcow2_check_copied(ck);
    }
    if (ret == 0) {
        ck->res->image_end_offset = (int64_t)((ck->highest + 1) << s->cluster_bits);
    }
    return ret;
}

/* ---- the steps ---- */

static void add_result(BdrvCheckResult *sum, const BdrvCheckResult *part)
{
    sum->corruptions += part->corruptions;
    sum->leaks += part->leaks;
    sum->check_errors += part->check_errors;
    sum->corruptions_fixed += part->corruptions_fixed;
    sum->leaks_fixed += part->leaks_fixed;
}

/* What is in memory may be stale now, or be wrong about what is free. */
static void forget_all(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);

    qcow2_cache_forget_all(&s->l2_cache);
    qcow2_cache_forget_all(&s->refcount_cache);
    s->free_hint = 0;
    s->compressed_tail = 0;
    s->reftable_checked = false;
    qcow2_forget_metadata_places(s);
}

static int coroutine_fn run_steps(Qcow2Check *ck, BdrvCheckResult *result)
{
    BdrvCheckResult snapshots = { 0 };
    int ret;

    ck->res = &snapshots;
    ret = qcow2_check_snapshot_table(ck);
    if (ret == 0) {
        ck->res = result;
        ret = check_refcounts(ck);
        forget_all(ck->bs);
    }
    if (ret == 0) {
        ck->res = &snapshots;
        ret = qcow2_check_fix_snapshot_table(ck);
    }
    add_result(result, &snapshots);
    return ret;
}

static int coroutine_fn prepare(BlockDriverState *bs, int fix)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = atomic_load(&s->broken) ? -EIO : 0;

    if (ret == 0 && fix) {
        /* Features that nobody here knows may not survive what is mended. */
        ret = qcow2_clear_autoclear(bs, QCOW2_AUTOCLEAR_BITMAPS | QCOW2_AUTOCLEAR_DATA_FILE_RAW);
    }
    if (ret == 0 && atomic_load(&s->dirty)) {
        ret = qcow2_write_back_and_reclaim(bs);
    }
    if (ret == 0) {
        forget_all(bs);
    }
    return ret;
}

static int coroutine_fn mark_sound(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = bdrv_co_flush(bdrv_file(bs));

    if (ret == 0) {
        ret = qcow2_clear_incompatible(bs, QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT);
    }
    if (ret == 0) {
        atomic_store(&s->reported, false);
    }
    return ret;
}

static int coroutine_fn check_locked(Qcow2Check *ck, BdrvCheckResult *result)
{
    BlockDriverState *bs = ck->bs;
    Qcow2State *s = bdrv_state(bs);
    int64_t length = bdrv_getlength(bdrv_file(bs));
    int ret = length < 0 ? (int)length : prepare(bs, ck->fix);

    if (ret < 0) {
        return ret;
    }
    ck->file_bytes = (uint64_t)length;
    ck->budget = reading_budget(bdrv_file(bs), length);
    ret = run_steps(ck, result);
    forget_all(bs);
    if (ret == 0 && ck->fix) {
        ret = qcow2_reload_snapshots(bs);
        length = bdrv_getlength(bdrv_file(bs));
        s->fresh_from = length < 0 ? UINT64_MAX : qcow2_clusters_up(s, (uint64_t)length);
    }
    if (ret == 0 && ck->fix && result->check_errors == 0 && result->corruptions == 0) {
        ret = mark_sound(bs);
    }
    return ret;
}

int coroutine_fn qcow2_co_check(BlockDriverState *bs, BdrvCheckResult *result, int fix,
                                BdrvReportFunc *report, void *opaque)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Check ck = { .bs = bs, .fix = fix, .report = report, .opaque = opaque };
    int ret;

    qemu_co_mutex_lock(&s->lock);
    ret = check_locked(&ck, result);
    qemu_co_mutex_unlock(&s->lock);
    free(ck.counts);
    free(ck.uses);
    free(ck.snapshots);
    return ret;
}

/* ---- images that were not closed properly ---- */

typedef struct MendCall {
    BlockDriverState *bs;
    BdrvCheckResult result;
    int ret;
    bool done;
} MendCall;

static void say_nothing(void *opaque, const char *line)
{
    (void)opaque;
    (void)line;
}

static void coroutine_fn mend_entry(void *opaque)
{
    MendCall *call = opaque;

    call->ret = qcow2_co_check(call->bs, &call->result, BDRV_FIX_LEAKS | BDRV_FIX_ERRORS,
                               say_nothing, NULL);
    call->done = true;
}

int qcow2_mend_dirty(BlockDriverState *bs, Error **errp)
{
    MendCall call = { .bs = bs };
    BdrvCheckResult *res = &call.result;

    if (qemu_in_coroutine()) {
        mend_entry(&call);
    } else {
        qemu_coroutine_enter(qemu_coroutine_create(mend_entry), &call);
    }
    while (!call.done) {
        aio_poll(qemu_get_current_aio_context(), true);
    }
    if (call.ret == 0 && res->check_errors) {
        call.ret = -EIO;
    }
    if (call.ret < 0) {
        error_setg_errno(errp, -call.ret, "Could not repair dirty image");
        return call.ret;
    }
    if (res->corruptions_fixed || res->leaks_fixed) {
        blkbackend_log("qcow2: image '%s' was not closed properly: mended %" PRId64
                       " wrong and %" PRId64 " leaked refcounts", bdrv_filename(bdrv_file(bs)),
                       res->corruptions_fixed, res->leaks_fixed);
    }
    return 0;
}
