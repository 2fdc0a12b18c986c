/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commit while clients use the disk: a bitmap says what is still to be copied,
 * and pass follows pass until nothing is.
 *
 *     root ─▶ … ─▶ overlay ─▶ top ─▶ … ─▶ base          drained, at the end:
 *                     └────────────────────▲            its backing file is base
 *     root = top ─▶ … ─▶ base                           base is the root
 *
 * Writes of clients go to the root.  If that is top, its bitmap records them,
 * before they complete: a piece whose bits are cleared before it is read is
 * either read as it is then, or dirty again.  Into base goes only what a node
 * above it decides: nobody sees that before the end, and a job that is
 * cancelled or killed leaves a chain with the same content.
 *
 * Power may fail at any moment:
 *  - until base has been flushed, nothing refers to what was copied;
 *  - overlay's header then names base, or still names top: both show the same,
 *    for the nodes between are left as they are;
 *  - a top that was the root is treated so, too, and then emptied, before the
 *    first write goes to base: its own name shows what base has, half emptied or
 *    wholly, then and ever after.  Otherwise who opened it by that name later
 *    would see its old content above the new one of base.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/image.h>

#include "backend/job-int.h"

#define PIECE (1 << 20)                        /* bytes between two places to pause, */
#define AREAS 64                               /* or so many areas */
#define REST_NS (100 * INT64_C(1000000))       /* between passes of one that is READY */
/* A fine bitmap: the less is copied in vain, the sooner the job gets ahead of the clients. */
#define GRANULARITY 4096
#define BITS_MAX (INT64_C(1) << 26)            /* a coarser one for larger disks */
/* Bytes that are few enough to be copied while clients wait; more of them where pass after pass
 * leaves more, because the clients are as fast. */
#define NEARLY_CLEAN (16 << 20)
#define DOUBLINGS 4

typedef struct CommitJob {
    BlockJob job;
    BlockDriverState *top, *base;
    BlockDriverState *overlay;         /* above top; NULL: top is the root */
    BlockDriverState **nodes;          /* from the root to base, a reference to each */
    unsigned n_nodes;
    Error *blocker;                    /* why operations on them are blocked; NULL: they are not */
    char *backing_file;                /* that overlay shall name */
    BdrvDirtyBitmap *bitmap;           /* of top */
    int64_t cursor;                    /* where in this pass */
    int64_t length;                    /* of top at the end */
    unsigned passes;                   /* that have ended before it was READY */
    bool base_read_only;               /* before the commit */
    bool pivoted;
} CommitJob;

/* ---- copying ---- */

/* The next part that is dirty; false: this pass is over. */
static bool next_area(CommitJob *c, int64_t *start, int64_t *bytes)
{
    if (bdrv_dirty_bitmap_next_dirty_area(c->bitmap, c->cursor, bdrv_dirty_bitmap_size(c->bitmap),
                                          BDRV_REQUEST_MAX_BYTES, start, bytes)) {
        return true;
    }
    c->cursor = 0;
    return false;
}

/* Some of a dirty area; its bits are cleared before anything is read.  Bytes of data, or -errno. */
static int64_t coroutine_fn copy_area(CommitJob *c, int64_t start, int64_t bytes, bool *is_read)
{
    int64_t granularity = bdrv_dirty_bitmap_granularity(c->bitmap);
    int64_t pos = start, end = start + bytes, copied = 0, ret = 0, n;

    bdrv_reset_dirty_bitmap(c->bitmap, start, bytes);
    while (ret >= 0 && pos < end && (copied < PIECE || pos % granularity)) {
        ret = bdrv_co_commit_piece(c->top, c->base, pos, end - pos, PIECE, &n, is_read);
        pos += ret < 0 ? 0 : n;
        copied += ret < 0 ? 0 : ret;
    }
    if (pos < end) {
        pos -= pos % granularity;
        bdrv_set_dirty_bitmap(c->bitmap, pos, end - pos);
    }
    c->cursor = pos;
    c->job.done += pos - start;
    c->job.left = bdrv_get_dirty_count(c->bitmap);
    return ret < 0 ? ret : copied;
}

/* Some areas, until it is time to look around.  *over: so is the pass. */
static int64_t coroutine_fn copy_some(CommitJob *c, bool *over, bool *is_read)
{
    int64_t copied = 0, start, bytes, ret;

    *over = false;
    for (int i = 0; i < AREAS && copied < PIECE; i++) {
        if (!next_area(c, &start, &bytes)) {
            *over = true;
            break;
        }
        ret = copy_area(c, start, bytes, is_read);
        if (ret < 0) {
            return ret;
        }
        copied += ret;
    }
    return copied;
}

/* Overlay is longer than top, and what it shows behind top's end are zeroes. */
static int coroutine_fn zero_behind_top(CommitJob *c)
{
    int64_t offset = bdrv_co_getlength(c->top), end = bdrv_co_getlength(c->base);
    int64_t shown = bdrv_co_getlength(c->overlay), n;
    int ret = 0;

    end = end < shown ? end : shown;
    for (; ret == 0 && offset < end; offset += n) {
        n = end - offset < BDRV_REQUEST_MAX_BYTES ? end - offset : BDRV_REQUEST_MAX_BYTES;
        ret = bdrv_co_pwrite_zeroes(c->base, offset, n, BDRV_REQ_MAY_UNMAP);
    }
    return ret;
}

/* Of a job whose top is written to meanwhile. */
static void pass_is_over(CommitJob *c)
{
    BlockJob *job = &c->job;

    job->left = bdrv_get_dirty_count(c->bitmap);
    if (job->completing) {
        block_job_set_pending(job);
    } else if (job->left <= (int64_t)NEARLY_CLEAN << c->passes) {
        block_job_set_ready(job);
    }
    c->passes += c->passes < DOUBLINGS;
}

static int coroutine_fn commit_run(BlockJob *job)
{
    CommitJob *c = (CommitJob *)job;
    bool is_read = true, over;
    int64_t copied;

    while (block_job_goes_on(job)) {
        if (bdrv_dirty_bitmap_inconsistent(c->bitmap)) {
            return -ENOMEM;            /* it could not record a write */
        }
        copied = copy_some(c, &over, &is_read);
        if (copied < 0 && !block_job_tolerates(job, is_read, (int)-copied)) {
            return (int)copied;
        }
        if (over && c->overlay && bdrv_get_dirty_count(c->bitmap) == 0) {
            return zero_behind_top(c);
        }
        if (over && !c->overlay) {
            pass_is_over(c);
        }
        block_job_rest(job, copied < 0 || (over && job->ready)
                            ? REST_NS : bdrv_rate_account(&job->rate, copied));
    }
    return 0;
}

/* ---- the end: base backs what is above ---- */

static int flush(BlockDriverState *bs, Error **errp)
{
    int ret = bdrv_flush(bs);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not flush '%s'", bdrv_filename(bs));
    }
    return ret;
}

static int write_header(CommitJob *c, BlockDriverState *bs, const char *name, Error **errp)
{
    int ret = bdrv_change_backing_file(bs, name, bdrv_get_format_name(c->base), errp);

    return ret < 0 ? ret : flush(bs, errp);
}

static int change_header(CommitJob *c, BlockDriverState *bs, Error **errp)
{
    char *name = c->backing_file ? strdup(c->backing_file)
                                 : bdrv_backing_name_from(bs, c->base, errp);
    int flags = bdrv_get_flags(bs), ret = 0;
    bool read_only = bdrv_is_read_only(bs);

    if (!name) {
        return -EINVAL;
    }
    if (read_only) {
        ret = bdrv_reopen(bs, flags | BDRV_O_RDWR, errp);
    }
    if (ret == 0) {
        ret = write_header(c, bs, name, errp);
        if (read_only) {
            bdrv_reopen(bs, flags, NULL);
        }
    }
    free(name);
    return ret;
}

/* Base is flushed. */
static int put_base_below(CommitJob *c, BlockDriverState *bs, Error **errp)
{
    int ret;

    bdrv_drained_begin(bs);
    ret = change_header(c, bs, errp);
    if (ret == 0) {
        bdrv_set_backing(bs, c->base);
    }
    bdrv_drained_end(bs);
    return ret;
}

/* Who uses it beside who is above it in the chain, and this job. */
static BdrvParent *find_stranger(const CommitJob *c, BlockDriverState *bs, const BdrvParent *above)
{
    BdrvParent *parent;

    LIST_FOREACH(parent, &bs->parents, link) {
        if (parent != above && parent != &c->job.link) {
            return parent;
        }
    }
    return NULL;
}

/* Nobody else may rely on a node whose content changes, or that is dropped. */
static int check_parents(CommitJob *c, BlockBackend *blk, Error **errp)
{
    BdrvParent *known = &blk->root_link, *other;
    bool dropped = !c->overlay;

    for (unsigned i = 0; i < c->n_nodes; i++) {
        BlockDriverState *bs = c->nodes[i];

        dropped |= bs == c->top;
        other = dropped ? find_stranger(c, bs, known) : NULL;
        if (other) {
            error_setg(errp, "Node '%s' is also used by '%s'", bdrv_get_node_name(bs),
                       other->ops->name(other->opaque));
            return -EBUSY;
        }
        known = &bs->backing_link;
    }
    return 0;
}

/* ---- the end: base is the root ---- */

static int64_t coroutine_fn copy_rest(void *opaque)
{
    CommitJob *c = opaque;
    int64_t start, bytes, ret = 0;
    bool is_read;

    c->cursor = 0;
    while (ret >= 0 && next_area(c, &start, &bytes)) {
        ret = copy_area(c, start, bytes, &is_read);
    }
    return ret < 0 ? ret : bdrv_dirty_bitmap_inconsistent(c->bitmap) ? -ENOMEM : 0;
}

/* Clients go on with the size that they know. */
static int give_length(CommitJob *c, Error **errp)
{
    int64_t below = bdrv_getlength(c->base);

    c->length = bdrv_getlength(c->top);
    if (c->length < 0 || below < 0) {
        below = c->length < 0 ? c->length : below;
        error_setg_errno(errp, (int)-below, "Could not find out how long the images are");
        return (int)below;
    }
    return c->length <= below ? 0 : bdrv_truncate(c->base, c->length, PREALLOC_MODE_OFF, errp);
}

/* What base has beyond that goes last, when nothing can fail any more. */
static void cut_base(CommitJob *c)
{
    int ret = bdrv_getlength(c->base) > c->length
              ? bdrv_truncate(c->base, c->length, PREALLOC_MODE_OFF, NULL) : 0;

    if (ret < 0) {
        blkbackend_log("'%s' was committed to '%s', which stays longer: it could not be cut (%s)",
                       bdrv_filename(c->top), bdrv_filename(c->base), strerror(-ret));
    }
}

/* An image with more than its own content is emptied cluster by cluster.  The space that this frees
 * may still be on its way to clients, who read before the end: memory that was lent. */
static bool is_freed_by_cluster(BlockDriverState *bs)
{
    QEMUSnapshotInfo *list = NULL;
    unsigned children = (bdrv_file(bs) != NULL) + (bdrv_backing(bs) != NULL);
    bool more = bdrv_can_snapshot(bs) && bdrv_snapshot_list(bs, &list) > 0;

    free(list);
    return more || bdrv_has_named_bitmaps(bs) || bdrv_child(bs, children);
}

/* Base has it all, so a failure is no reason to go back. */
static void empty_top(CommitJob *c)
{
    const char *why = NULL;
    int ret = 0;

    if (bdrv_is_read_only(c->top) || !c->top->drv->bdrv_co_make_empty) {
        return;
    }
    if (is_freed_by_cluster(c->top)) {
        why = "it has snapshots, bitmaps or a data file";
    } else {
        ret = bdrv_make_empty(c->top, NULL);
        ret = ret < 0 ? ret : bdrv_flush(c->top);
        why = ret < 0 ? strerror(-ret) : NULL;
    }
    if (why) {
        blkbackend_log("'%s' was committed to '%s', and keeps its content (%s): do not write to it "
                       "any more", bdrv_filename(c->top), bdrv_filename(c->base), why);
    }
}

static void unblock(CommitJob *c)
{
    for (unsigned i = 0; c->blocker && i < c->n_nodes; i++) {
        bdrv_op_unblock_all(c->nodes[i], c->blocker);
    }
    error_free(c->blocker);
    c->blocker = NULL;
}

static int exchange_roots(CommitJob *c, Error **errp)
{
    int ret;

    if (blk_root(c->job.blk) != c->top) {
        error_setg(errp, "Device '%s' has another medium now", blk_name(c->job.blk));
        return -EBUSY;
    }
    if (!bdrv_is_read_only(c->top) && c->top->backing != c->base) {
        ret = put_base_below(c, c->top, errp);
        if (ret < 0) {
            return ret;
        }
    }
    unblock(c);
    ret = blk_replace_bs(c->job.blk, c->base, errp);
    c->pivoted = ret == 0;
    if (ret == 0) {
        cut_base(c);
        empty_top(c);
        /* Who still has a use for it must not stand in the way of base's own changes. */
        bdrv_set_backing(c->top, NULL);
    }
    return ret;
}

static int pivot(CommitJob *c, Error **errp)
{
    int ret;

    blk_drained_begin(c->job.blk);     /* up to the first write that goes to base */
    bdrv_drained_begin(c->top);
    ret = c->job.keeps_graph ? 0 : check_parents(c, c->job.blk, errp);
    if (ret == 0) {
        ret = (int)bdrv_run_sync(copy_rest, c);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Could not commit '%s' to '%s'", bdrv_filename(c->top),
                             bdrv_filename(c->base));
        }
    }
    if (ret == 0 && !c->job.keeps_graph) {
        ret = give_length(c, errp);
    }
    if (ret == 0) {
        ret = flush(c->base, errp);
    }
    if (ret == 0 && !c->job.keeps_graph) {
        ret = exchange_roots(c, errp);
    }
    bdrv_drained_end(c->top);
    blk_drained_end(c->job.blk);
    return ret;
}

static int commit_finish(BlockJob *job, Error **errp)
{
    CommitJob *c = (CommitJob *)job;
    int ret;

    if (!c->overlay) {
        return pivot(c, errp);
    }
    ret = check_parents(c, c->job.blk, errp);
    if (ret == 0) {
        ret = flush(c->base, errp);
    }
    return ret < 0 ? ret : put_base_below(c, c->overlay, errp);
}

/* ---- its traces ---- */

static void restore_base(CommitJob *c)
{
    bool stays_writable = c->pivoted && !bdrv_is_read_only(c->top);

    if (c->base_read_only && !stays_writable && !bdrv_is_read_only(c->base)) {
        bdrv_reopen(c->base, bdrv_get_flags(c->base) & ~BDRV_O_RDWR, NULL);
    }
}

static void commit_clean(BlockJob *job)
{
    CommitJob *c = (CommitJob *)job;

    unblock(c);
    if (c->bitmap) {
        bdrv_dirty_bitmap_set_busy(c->bitmap, false);
        bdrv_release_dirty_bitmap(c->bitmap);
        c->bitmap = NULL;
    }
    restore_base(c);
    for (unsigned i = 0; i < c->n_nodes; i++) {
        bdrv_unref(c->nodes[i]);
    }
    free(c->nodes);
    free(c->backing_file);
    c->nodes = NULL;
    c->n_nodes = 0;
    c->backing_file = NULL;
    c->job.left = c->job.ret < 0 || c->job.cancelled ? c->job.left : 0;
}

static const BlockJobDriver commit_driver = {
    .type = "commit",
    .run = commit_run,
    .finish = commit_finish,
    .clean = commit_clean,
};

/* ---- may it be done? ---- */

static int check_chain(BlockDriverState *root, BlockDriverState *top, BlockDriverState *base,
                       Error **errp)
{
    if (!bdrv_is_below(top, root)) {
        error_setg(errp, "'%s' is not in the backing chain of '%s'", bdrv_filename(top),
                   bdrv_filename(root));
        return -EINVAL;
    }
    if (base == top) {
        error_setg(errp, top->backing ? "Cannot commit '%s' into itself"
                                      : "'%s' has no backing file to commit to",
                   bdrv_filename(top));
        return -EINVAL;
    }
    if (!bdrv_is_below(base, top)) {
        error_setg(errp, "'%s' is not in the backing chain of '%s'", bdrv_filename(base),
                   bdrv_filename(top));
        return -EINVAL;
    }
    return 0;
}

/* Clients may be shown one that is busy: it must neither go nor change. */
static int check_bitmaps(BlockDriverState *bs, const char *fate, Error **errp)
{
    for (BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(bs); bitmap;
         bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        if (bdrv_dirty_bitmap_check(bitmap, BDRV_BITMAP_BUSY, errp) < 0) {
            error_prepend(errp, "Node '%s' would be %s: ", bdrv_get_node_name(bs), fate);
            return -EBUSY;
        }
    }
    return 0;
}

/* The same, and none of them may be blocked. */
static int check_users(CommitJob *c, BlockBackend *blk, Error **errp)
{
    bool dropped = !c->overlay;
    int ret = check_parents(c, blk, errp);

    for (unsigned i = 0; i < c->n_nodes && ret == 0; i++) {
        BlockDriverState *bs = c->nodes[i];

        dropped |= bs == c->top;
        if (i > 0 && dropped) {
            ret = bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_COMMIT_TARGET, errp) ? -EBUSY : 0;
        }
        if (ret == 0 && dropped) {
            ret = check_bitmaps(bs, bs == c->base ? "written to" : "dropped", errp);
        }
    }
    return ret;
}

/* Found out at the end, it would have been work for nothing. */
static int check_name(CommitJob *c, BlockDriverState *above, Error **errp)
{
    char *name = c->backing_file ? NULL : bdrv_backing_name_from(above, c->base, errp);
    bool ok = c->backing_file || name;

    free(name);
    return ok ? 0 : -EINVAL;
}

static int check_overlay(CommitJob *c, Error **errp)
{
    BlockDriverState *above = c->overlay ? c->overlay : c->top;
    bool keeps_header = !c->overlay && (c->top->backing == c->base || bdrv_is_read_only(c->top));

    if (!c->overlay && c->backing_file) {
        error_setg(errp, "A name for the backing file was given, but '%s' is the active layer: "
                   "nothing is above it", bdrv_filename(c->top));
        return -EINVAL;
    }
    if (!keeps_header && !above->drv->bdrv_co_change_backing_file) {
        error_setg(errp, "Format driver '%s' of '%s' cannot change its backing file",
                   above->drv->format_name, bdrv_filename(above));
        return -ENOTSUP;
    }
    return keeps_header ? 0 : check_name(c, above, errp);
}

/* ---- the beginning ---- */

static void take_nodes(CommitJob *c, BlockDriverState *root)
{
    unsigned n = 1;

    for (BlockDriverState *bs = root; bs != c->base; bs = bs->backing) {
        n++;
    }
    c->nodes = calloc(n, sizeof(c->nodes[0]));
    BLK_PRECONDITION(c->nodes, "out of memory");
    for (BlockDriverState *bs = root; c->n_nodes < n; bs = bs->backing) {
        bdrv_ref(bs);
        c->nodes[c->n_nodes++] = bs;
        if (bs->backing == c->top) {
            c->overlay = bs;
        }
    }
}

static int open_base(CommitJob *c, Error **errp)
{
    int ret;

    c->base_read_only = bdrv_is_read_only(c->base);
    if (c->base_read_only) {
        ret = bdrv_reopen(c->base, bdrv_get_flags(c->base) | BDRV_O_RDWR, errp);
        if (ret < 0) {
            return ret;
        }
    }
    bdrv_drained_begin(c->base);
    ret = bdrv_commit_make_room(c->top, c->base, errp);
    bdrv_drained_end(c->base);
    return ret;
}

static int make_bitmap(CommitJob *c, Error **errp)
{
    uint32_t granularity = GRANULARITY;
    int64_t length = bdrv_getlength(c->top);

    while (length / granularity > BITS_MAX) {
        granularity *= 2;
    }
    c->bitmap = bdrv_create_dirty_bitmap(c->top, granularity, NULL, errp);
    if (!c->bitmap) {
        return -ENOMEM;
    }
    bdrv_dirty_bitmap_set_busy(c->bitmap, true);
    bdrv_set_dirty_bitmap(c->bitmap, 0, bdrv_dirty_bitmap_size(c->bitmap));
    c->job.left = bdrv_get_dirty_count(c->bitmap);
    return 0;
}

static void block(CommitJob *c)
{
    error_setg(&c->blocker, "block device is in use by block job: %s", commit_driver.type);
    for (unsigned i = 0; i < c->n_nodes; i++) {
        bdrv_op_block_all(c->nodes[i], c->blocker);
    }
}

static int prepare(CommitJob *c, BlockBackend *blk, Error **errp)
{
    int ret = check_overlay(c, errp);

    if (ret == 0) {
        ret = check_users(c, blk, errp);
    }
    if (ret == 0) {
        ret = open_base(c, errp);
    }
    if (ret == 0) {
        ret = make_bitmap(c, errp);
    }
    if (ret == 0) {
        block(c);
    }
    return ret;
}

static int check_options(BlockBackend *blk, const BlockCommitOptions *o, Error **errp)
{
    BlockDriverState *root = blk_root(blk);

    if (!o->job_id || !*o->job_id) {
        error_setg(errp, "A job needs an ID");
        return -EINVAL;
    }
    if (block_job_find(o->job_id)) {
        error_setg(errp, "Job ID '%s' already in use", o->job_id);
        return -EEXIST;
    }
    if (o->speed < 0) {
        error_setg(errp, "Parameter 'speed' expects a non-negative value");
        return -EINVAL;
    }
    if (!root || !bdrv_is_inserted(root)) {
        error_setg(errp, "Device '%s' has no medium", blk_name(blk));
        return -ENOMEDIUM;
    }
    return bdrv_op_is_blocked(root, BLOCK_OP_TYPE_COMMIT_SOURCE, errp) ? -EBUSY : 0;
}

BlockJob *blk_commit_start(BlockBackend *blk, const BlockCommitOptions *o, Error **errp)
{
    BlockDriverState *top, *base;
    CommitJob *c;

    if (check_options(blk, o, errp) < 0) {
        return NULL;
    }
    top = o->top ? o->top : blk_root(blk);
    for (base = o->base ? o->base : top; !o->base && base->backing; base = base->backing) {
        continue;
    }
    if (check_chain(blk_root(blk), top, base, errp) < 0) {
        return NULL;
    }
    c = calloc(1, sizeof(*c));
    BLK_PRECONDITION(c, "out of memory");
    c->top = c->job.node = top;
    c->base = base;
    c->backing_file = o->backing_file ? strdup(o->backing_file) : NULL;
    c->job.ops = o->ops;
    c->job.opaque = o->opaque;
    c->job.on_error = o->on_error;
    c->job.rate.bytes_per_second = o->speed;
    block_job_init(&c->job, &commit_driver, blk, o->job_id);
    take_nodes(c, blk_root(blk));
    if (prepare(c, blk, errp) < 0) {
        commit_clean(&c->job);
        block_job_free(&c->job);
        return NULL;
    }
    block_job_start(&c->job);
    return &c->job;
}
