/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filter "blkdebug": an image that fails when it is told to, and keeps a log of
 * what it is asked.  For tests, of this library and of whoever uses it.
 *
 *     request ─▶ number, rules, log ─▶ breakpoint ─▶ delay ─▶ the image: the
 *                                whole request, its first bytes or none of it
 *             ◀─ log ◀─ the image's result, or another
 *
 * Options: image (or file), the image; inject-error.*, set-state.*: rules; log,
 * log-data; native-fua; align, max-transfer, opt-write-zero, max-write-zero,
 * opt-discard, max-discard: limits of a disk that the image is not.
 * docs/blkdebug.md explains them all, and the format of the log.
 */
#include <errno.h>
#include <pthread.h>

#include "drivers/blkdebug.h"
#include "util/options.h"

#define ALIGN_MAX (1 << 30)

typedef struct BDRVBlkdebugState {
    /* One request at a time passes here, so numbers, rules and log agree on the order. */
    pthread_mutex_t lock;
    uint64_t seq;
    DebugRules rules;
    DebugBreaks breaks;
    DebugLog log;

    /* Set at open; 0: as the image. */
    int64_t align, max_transfer;
    int64_t opt_write_zero, max_write_zero;
    int64_t opt_discard, max_discard;
} BDRVBlkdebugState;

/* ---- opening ---- */

static int take_limit(QDict *options, const char *key, int64_t *value, int64_t unit, Error **errp)
{
    int ret = options_take_size(options, key, value, errp);

    if (ret == 0 && *value % unit) {
        error_setg(errp, "Parameter '%s' must be a multiple of 'align'", key);
        ret = -EINVAL;
    }
    return ret;
}

static int take_limits(BDRVBlkdebugState *s, QDict *options, Error **errp)
{
    int64_t unit;

    if (options_take_size(options, "align", &s->align, errp) < 0) {
        return -EINVAL;
    }
    if (s->align > ALIGN_MAX || (s->align & (s->align - 1))) {
        error_setg(errp, "Parameter 'align' must be a power of two up to 1G");
        return -EINVAL;
    }
    unit = s->align ? s->align : 1;
    if (take_limit(options, "max-transfer", &s->max_transfer, unit, errp) < 0 ||
        take_limit(options, "opt-write-zero", &s->opt_write_zero, unit, errp) < 0 ||
        take_limit(options, "max-write-zero", &s->max_write_zero, unit, errp) < 0 ||
        take_limit(options, "opt-discard", &s->opt_discard, unit, errp) < 0 ||
        take_limit(options, "max-discard", &s->max_discard, unit, errp) < 0) {
        return -EINVAL;
    }
    return 0;
}

static int take_fua(BlockDriverState *bs, QDict *options, Error **errp)
{
    bool native = false;
    int ret = options_take_bool(options, "native-fua", &native, errp);

    bdrv_set_native_fua(bs, native);
    return ret;
}

static int take_options(BlockDriverState *bs, QDict *options, int64_t size, Error **errp)
{
    BDRVBlkdebugState *s = bdrv_state(bs);

    if (take_limits(s, options, errp) < 0 || take_fua(bs, options, errp) < 0 ||
        debug_rules_take(&s->rules, options, errp) < 0) {
        return -EINVAL;
    }
    return debug_log_open(&s->log, options, size, errp);
}

static void blkdebug_close(BlockDriverState *bs)
{
    BDRVBlkdebugState *s = bdrv_state(bs);

    debug_rules_free(&s->rules);
    debug_breaks_free(&s->breaks);
    debug_log_close(&s->log);
    pthread_mutex_destroy(&s->lock);
}

static int blkdebug_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    BDRVBlkdebugState *s = bdrv_state(bs);
    int64_t size = bdrv_getlength(bdrv_file(bs));
    int ret;

    (void)flags;
    pthread_mutex_init(&s->lock, NULL);
    STAILQ_INIT(&s->breaks);
    s->log = (DebugLog){ .fd = -1, .data_fd = -1 };
    ret = take_options(bs, options, size < 0 ? 0 : size, errp);
    if (ret < 0) {
        blkdebug_close(bs);
    }
    return ret;
}

static void blkdebug_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    BDRVBlkdebugState *s = bdrv_state(bs);

    (void)errp;
    limits->request_alignment = (uint32_t)s->align;
    if (s->max_transfer) {
        limits->max_transfer = s->max_transfer;
    }
    limits->pwrite_zeroes_alignment = s->opt_write_zero;
    limits->max_pwrite_zeroes = s->max_write_zero;
    limits->pdiscard_alignment = s->opt_discard;
    limits->max_pdiscard = s->max_discard;
}

/* ---- the way of every request ---- */

/* Hands the first `bytes` bytes of the request on. */
typedef int64_t coroutine_fn DebugForward(DebugRequest *req, int64_t bytes);

static void wake(void *opaque)
{
    aio_co_wake(opaque);
}

static void coroutine_fn next_turn_of_the_loop(void)
{
    aio_bh_schedule_oneshot(qemu_get_current_aio_context(), wake, qemu_coroutine_self());
    qemu_coroutine_yield();
}

static int coroutine_fn arrive(DebugRequest *req)
{
    BDRVBlkdebugState *s = bdrv_state(req->bs);
    bool suspended;
    int ret;

    pthread_mutex_lock(&s->lock);
    req->seq = ++s->seq;
    debug_rules_apply(&s->rules, req);
    ret = debug_log_arrival(&s->log, req);
    suspended = debug_breaks_hit(&s->breaks, req);
    pthread_mutex_unlock(&s->lock);
    if (suspended) {
        qemu_coroutine_yield();
    }
    if (req->fault.delay_ns > 0) {
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, req->fault.delay_ns);
    }
    return ret;
}

static int64_t coroutine_fn leave(DebugRequest *req, int64_t passed, int64_t result)
{
    BDRVBlkdebugState *s = bdrv_state(req->bs);
    int ret;

    if (req->fault.fails && !req->fault.immediately) {
        next_turn_of_the_loop();
    }
    pthread_mutex_lock(&s->lock);
    ret = debug_log_end(&s->log, req, passed, result);
    pthread_mutex_unlock(&s->lock);
    return ret < 0 ? ret : result;
}

/* How much of a failing request is handed on; compressed data come in whole units only. */
static int64_t part_of(const DebugRequest *req)
{
    if (req->fault.most >= req->bytes) {
        return req->bytes;
    }
    return req->op == DEBUG_COMPRESSED ? 0 : req->fault.most;
}

static int64_t coroutine_fn run(DebugRequest *req, DebugForward *forward)
{
    const DebugFault *fault = &req->fault;
    int64_t passed = 0;
    int64_t ret = arrive(req);

    if (ret == 0 && !fault->fails) {
        passed = req->bytes;
        ret = forward(req, passed);
    } else if (ret == 0) {
        passed = part_of(req);
        if (passed > 0) {
            ret = forward(req, passed);
        }
        if (ret >= 0) {
            ret = -fault->error;
        }
    }
    return leave(req, passed, ret);
}

/* ---- requests ---- */

static int64_t coroutine_fn forward_read(DebugRequest *req, int64_t bytes)
{
    QEMUIOVector part;
    int ret;

    qemu_iovec_init(&part, req->qiov->niov);
    qemu_iovec_concat(&part, req->qiov, 0, (size_t)bytes);
    ret = bdrv_co_preadv(bdrv_file(req->bs), req->offset, bytes, &part, req->flags);
    qemu_iovec_destroy(&part);
    return ret;
}

/* What the image did not give are zeroes, not what was in the caller's memory before. */
static int coroutine_fn blkdebug_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                           QEMUIOVector *qiov, int flags)
{
    DebugRequest req = { .bs = bs, .op = DEBUG_READ, .offset = offset, .bytes = bytes,
                         .qiov = qiov, .flags = flags };
    int64_t ret = run(&req, forward_read);

    if (ret == 0 && req.fault.fails && req.fault.most < bytes) {
        qemu_iovec_memset(qiov, (size_t)req.fault.most, 0, (size_t)(bytes - req.fault.most));
    }
    return (int)ret;
}

static int64_t coroutine_fn forward_write(DebugRequest *req, int64_t bytes)
{
    QEMUIOVector part;
    int ret;

    qemu_iovec_init(&part, req->qiov->niov);
    qemu_iovec_concat(&part, req->qiov, 0, (size_t)bytes);
    ret = bdrv_co_pwritev(bdrv_file(req->bs), req->offset, bytes, &part, req->flags);
    qemu_iovec_destroy(&part);
    return ret;
}

static int coroutine_fn blkdebug_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                            QEMUIOVector *qiov, int flags)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_WRITE, .offset = offset,
                                     .bytes = bytes, .qiov = qiov, .flags = flags },
                    forward_write);
}

static int64_t coroutine_fn forward_compressed(DebugRequest *req, int64_t bytes)
{
    return bdrv_co_pwritev_compressed(bdrv_file(req->bs), req->offset, bytes, req->qiov);
}

static int coroutine_fn blkdebug_co_pwritev_compressed(BlockDriverState *bs, int64_t offset,
                                                       int64_t bytes, QEMUIOVector *qiov)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_COMPRESSED, .offset = offset,
                                     .bytes = bytes, .qiov = qiov },
                    forward_compressed);
}

static int64_t coroutine_fn forward_zeroes(DebugRequest *req, int64_t bytes)
{
    return bdrv_co_pwrite_zeroes(bdrv_file(req->bs), req->offset, bytes, req->flags);
}

static int coroutine_fn blkdebug_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                                  int64_t bytes, int flags)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_WRITE_ZEROES, .offset = offset,
                                     .bytes = bytes, .flags = flags },
                    forward_zeroes);
}

static int64_t coroutine_fn forward_discard(DebugRequest *req, int64_t bytes)
{
    return bdrv_co_pdiscard(bdrv_file(req->bs), req->offset, bytes);
}

static int coroutine_fn blkdebug_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_DISCARD, .offset = offset,
                                     .bytes = bytes },
                    forward_discard);
}

/* The graph flushes the image itself, after us. */
static int64_t coroutine_fn forward_flush(DebugRequest *req, int64_t bytes)
{
    (void)req;
    (void)bytes;
    return 0;
}

static int coroutine_fn blkdebug_co_flush_to_os(BlockDriverState *bs)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_FLUSH_TO_OS }, forward_flush);
}

static int coroutine_fn blkdebug_co_flush_to_disk(BlockDriverState *bs)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_FLUSH_TO_DISK }, forward_flush);
}

static int64_t coroutine_fn forward_truncate(DebugRequest *req, int64_t bytes)
{
    (void)bytes;
    return bdrv_co_truncate(bdrv_file(req->bs), req->offset, (PreallocMode)req->flags, req->arg);
}

static int coroutine_fn blkdebug_co_truncate(BlockDriverState *bs, int64_t offset,
                                             PreallocMode prealloc, Error **errp)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_TRUNCATE, .offset = offset,
                                     .flags = (int)prealloc, .arg = errp },
                    forward_truncate);
}

static int64_t coroutine_fn forward_ioctl(DebugRequest *req, int64_t bytes)
{
    (void)bytes;
    return bdrv_co_ioctl(bdrv_file(req->bs), (unsigned long)req->offset, req->arg);
}

static int coroutine_fn blkdebug_co_ioctl(BlockDriverState *bs, unsigned long number, void *buf)
{
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_IOCTL, .offset = (int64_t)number,
                                     .arg = buf },
                    forward_ioctl);
}

static int64_t coroutine_fn forward_getlength(DebugRequest *req, int64_t bytes)
{
    (void)bytes;
    return bdrv_co_getlength(bdrv_file(req->bs));
}

static int64_t coroutine_fn blkdebug_co_getlength(BlockDriverState *bs)
{
    return run(&(DebugRequest){ .bs = bs, .op = DEBUG_GETLENGTH }, forward_getlength);
}

/* The graph asks the image itself. */
static int64_t coroutine_fn forward_block_status(DebugRequest *req, int64_t bytes)
{
    (void)req;
    (void)bytes;
    return BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID;
}

static int coroutine_fn blkdebug_co_block_status(BlockDriverState *bs, int64_t offset,
                                                 int64_t bytes, int64_t *pnum, int64_t *map,
                                                 BlockDriverState **file)
{
    *pnum = bytes;
    *map = offset;
    *file = bdrv_file(bs);
    return (int)run(&(DebugRequest){ .bs = bs, .op = DEBUG_BLOCK_STATUS, .offset = offset,
                                     .bytes = bytes },
                    forward_block_status);
}

/* ---- breakpoints ---- */

static int blkdebug_breakpoint(BlockDriverState *bs, const char *event, const char *tag)
{
    BDRVBlkdebugState *s = bdrv_state(bs);
    int ret;

    pthread_mutex_lock(&s->lock);
    ret = debug_breaks_add(&s->breaks, event, tag);
    pthread_mutex_unlock(&s->lock);
    return ret;
}

static int blkdebug_resume(BlockDriverState *bs, const char *tag)
{
    BDRVBlkdebugState *s = bdrv_state(bs);
    Coroutine *co;

    pthread_mutex_lock(&s->lock);
    co = debug_breaks_take(&s->breaks, tag);
    pthread_mutex_unlock(&s->lock);
    if (!co) {
        return -ENOENT;
    }
    aio_co_wake(co);
    return 0;
}

static int blkdebug_remove_breakpoint(BlockDriverState *bs, const char *tag)
{
    BDRVBlkdebugState *s = bdrv_state(bs);
    int ret = -ENOENT;

    pthread_mutex_lock(&s->lock);
    while (debug_breaks_remove(&s->breaks, tag)) {
        ret = 0;
    }
    pthread_mutex_unlock(&s->lock);
    while (blkdebug_resume(bs, tag) == 0) {
        ret = 0;
    }
    return ret;
}

static bool blkdebug_is_suspended(BlockDriverState *bs, const char *tag)
{
    BDRVBlkdebugState *s = bdrv_state(bs);
    bool suspended;

    pthread_mutex_lock(&s->lock);
    suspended = debug_breaks_suspended(&s->breaks, tag);
    pthread_mutex_unlock(&s->lock);
    return suspended;
}

static int blkdebug_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    (void)bs;
    (void)flags;
    (void)errp;
    return 0;   /* nothing here depends on the flags */
}

static bool blkdebug_has_zero_init(BlockDriverState *bs)
{
    BlockDriverState *image = bdrv_file(bs);
    const char *name = bdrv_get_format_name(image);
    const BlockDriver *drv = name ? bdrv_find_format(name) : NULL;

    return drv && drv->bdrv_has_zero_init && drv->bdrv_has_zero_init(image);
}

static BlockDriver blkdebug_driver = {
    .format_name = "blkdebug",
    .instance_size = sizeof(BDRVBlkdebugState),
    .has_file_child = true,
    .file_option = "image",
    .is_filter = true,
    .has_variable_length = true,

    .bdrv_open = blkdebug_open,
    .bdrv_close = blkdebug_close,
    .bdrv_reopen = blkdebug_reopen,
    .bdrv_refresh_limits = blkdebug_refresh_limits,
    .bdrv_co_getlength = blkdebug_co_getlength,
    .bdrv_has_zero_init = blkdebug_has_zero_init,
    .bdrv_co_truncate = blkdebug_co_truncate,
    .prealloc_modes = ~0u,
    .bdrv_co_preadv = blkdebug_co_preadv,
    .bdrv_co_pwritev = blkdebug_co_pwritev,
    .bdrv_co_pwritev_compressed = blkdebug_co_pwritev_compressed,
    .bdrv_co_pwrite_zeroes = blkdebug_co_pwrite_zeroes,
    .bdrv_co_pdiscard = blkdebug_co_pdiscard,
    .bdrv_co_flush_to_os = blkdebug_co_flush_to_os,
    .bdrv_co_flush_to_disk = blkdebug_co_flush_to_disk,
    .bdrv_co_block_status = blkdebug_co_block_status,
    .bdrv_co_ioctl = blkdebug_co_ioctl,

    .bdrv_debug_breakpoint = blkdebug_breakpoint,
    .bdrv_debug_remove_breakpoint = blkdebug_remove_breakpoint,
    .bdrv_debug_resume = blkdebug_resume,
    .bdrv_debug_is_suspended = blkdebug_is_suspended,
};

BLOCK_DRIVER(blkdebug_driver)
