/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * THE request path.  Every form of every request of the API comes through
 * blk_request():
 *
 *     count in ─▶ gate (drained section?) ─▶ checks (R1, R2) ─▶ limits (§3.1) ─▶ node (R6..R11)
 *       ─▶ count out
 *
 * A request runs in a coroutine, in the context of the thread that submitted
 * it (AIO: in the backend's), and stays there.  Counting is what the main
 * thread waits for before it changes the graph; so a request that is counted
 * in may follow blk->root.
 */
#include <errno.h>
#include <limits.h>

#include "backend/request.h"
#include "util/thread.h"

/* ---- counting and the gate ---- */

BlkShard *blk_inc_in_flight(BlockBackend *blk)
{
    BlkShard *shard = &blk->shard[thread_number() % BLK_SHARDS];

    /* Sequentially consistent: either we see the closed gate or who closed it sees us. */
    atomic_fetch_add(&shard->in_flight, 1);
    return shard;
}

void blk_dec_in_flight(BlkShard *shard)
{
    atomic_fetch_sub(&shard->in_flight, 1);
    bdrv_wait_kick();
}

BlkShard *blk_request_try_begin(BlockBackend *blk)
{
    BlkShard *shard = blk_inc_in_flight(blk);

    if (__builtin_expect(atomic_load(&blk->gate) == 0, true)) {
        return shard;
    }
    blk_dec_in_flight(shard);
    return NULL;
}

BlkShard *coroutine_fn blk_request_begin(BlockBackend *blk)
{
    BlkShard *shard;

    while (!(shard = blk_request_try_begin(blk))) {
        qemu_co_mutex_lock(&blk->gate_lock);
        while (atomic_load(&blk->gate) > 0) {
            qemu_co_queue_wait_locked(&blk->gate_queue, &blk->gate_lock);
        }
        qemu_co_mutex_unlock(&blk->gate_lock);
    }
    return shard;
}

static int in_flight_sum(BlockBackend *blk)
{
    int n = 0;

    for (int i = 0; i < BLK_SHARDS; i++) {
        n += atomic_load(&blk->shard[i].in_flight);
    }
    return n;
}

bool blk_counted(BlockBackend *blk)
{
    return in_flight_sum(blk) > 0;
}

bool blk_in_flight(BlockBackend *blk)
{
    return in_flight_sum(blk) > blk_callbacks_on_this_stack(blk);
}

/* ---- drained sections ---- */

static void gate_close(void *opaque)
{
    BlockBackend *blk = opaque;

    atomic_fetch_add(&blk->gate, 1);
    blk_throttle_drain_begin(blk);
    blk_plug_suspend(blk);
}

static void coroutine_fn gate_open_co(void *opaque)
{
    BlockBackend *blk = opaque;

    qemu_co_mutex_lock(&blk->gate_lock);
    qemu_co_queue_restart_all(&blk->gate_queue);
    qemu_co_mutex_unlock(&blk->gate_lock);
}

static void gate_open(void *opaque)
{
    BlockBackend *blk = opaque;

    blk_plug_resume(blk);
    blk_throttle_drain_end(blk);
    if (atomic_fetch_sub(&blk->gate, 1) == 1) {
        qemu_coroutine_enter(qemu_coroutine_create(gate_open_co), blk);
        blk_aio_unpark(blk);
    }
}

static bool gate_busy(void *opaque)
{
    return blk_in_flight(opaque);
}

static const char *parent_name(void *opaque)
{
    return blk_name(opaque);
}

static bool parent_has_device(void *opaque)
{
    return blk_get_attached_dev(opaque) != NULL;
}

const BdrvParentOps blk_parent_ops = {
    .drained_begin = gate_close,
    .drained_poll = gate_busy,
    .drained_end = gate_open,
    .name = parent_name,
    .has_device = parent_has_device,
    .is_backend = true,
};

/*
 * The gate belongs to the backend and not to its root: a root that is removed
 * or inserted within the section changes nothing for the requests that wait.
 */
void blk_drained_begin(BlockBackend *blk)
{
    gate_close(blk);
    bdrv_wait_while(blk_get_aio_context(blk), gate_busy, blk);
}

void blk_drained_end(BlockBackend *blk)
{
    gate_open(blk);
}

/* ---- checks (R1, R2) ---- */

bool blk_request_available(BlockBackend *blk)
{
    BlockDriverState *bs = blk_root(blk);

    return bs && bdrv_is_inserted(bs) && !blk_dev_is_tray_open(blk);
}

/*
 * The length is asked anew only for what lies beyond the one we know: asking a
 * host file costs a system call, and a request within a file that shrank behind
 * our back is harmless (reads give zeroes, writes grow it again).
 */
static int64_t length_for(BlockDriverState *bs, int64_t end)
{
    int64_t known = atomic_load_explicit(&bs->length, memory_order_relaxed);

    return end <= known ? known : bdrv_getlength(bs);
}

int blk_check_request(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    int64_t end, length;

    if (bytes < 0 || bytes > INT_MAX) {
        return -EIO;
    }
    if (!blk_request_available(blk)) {
        return -ENOMEDIUM;
    }
    if (offset < 0 || __builtin_add_overflow(offset, bytes, &end)) {
        return -EIO;
    }
    if (!atomic_load_explicit(&blk->allow_beyond_eof, memory_order_relaxed)) {
        length = length_for(blk_root(blk), end);
        if (length < 0) {
            return (int)length;
        }
        if (end > length) {
            return -EIO;
        }
    }
    return bytes > BDRV_REQUEST_MAX_BYTES ? -EIO : 0;
}

int blk_check_range(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    BlkShard *shard = blk_inc_in_flight(blk);
    int ret = blk_check_request(blk, offset, bytes);

    blk_dec_in_flight(shard);
    return ret;
}

/* ---- the requests: each runs counted in ---- */

int64_t coroutine_fn blk_op_read(BlkRequest *r)
{
    int ret = blk_check_request(r->blk, r->offset, r->bytes);

    if (ret < 0) {
        return ret;
    }
    ret = blk_throttle(r, false);
    return ret < 0 ? ret : bdrv_co_preadv(blk_root(r->blk), r->offset, r->bytes, r->qiov,
                                          r->flags);
}

int64_t coroutine_fn blk_op_map_read(BlkRequest *r)
{
    int ret = blk_check_request(r->blk, r->offset, r->bytes);

    if (ret == 0) {
        ret = bdrv_co_map_read(blk_root(r->blk), r->offset, r->bytes, r->arg);
    }
    /* Not before: who cannot map reads instead, and that counts. */
    if (ret == 0) {
        ret = blk_throttle(r, false);
        if (ret < 0) {
            blk_unmap(r->arg);
        }
    }
    return ret;
}

/* D38: the flags that a user may set; ZERO_WRITE is ignored. */
#define WRITE_FLAGS (BDRV_REQ_FUA | BDRV_REQ_ZERO_WRITE)
#define ZERO_WRITE_FLAGS (WRITE_FLAGS | BDRV_REQ_MAY_UNMAP)

/* The node would refuse the write too, but only after it had used up some of the limits. */
static int coroutine_fn check_write(BlkRequest *r, int known_flags)
{
    int ret = blk_check_request(r->blk, r->offset, r->bytes);

    if (ret == 0 && (r->flags & ~known_flags)) {
        ret = -EINVAL;
    }
    return ret < 0 || r->bytes == 0 ? ret : bdrv_check_writable(blk_root(r->blk));
}

int64_t coroutine_fn blk_op_write(BlkRequest *r)
{
    int ret;

    if (r->flags == BDRV_REQ_WRITE_COMPRESSED) {
        return blk_op_write_compressed(r);
    }
    ret = check_write(r, WRITE_FLAGS);

    if (ret < 0) {
        return ret;
    }
    ret = blk_throttle(r, true);
    return ret < 0 ? ret : bdrv_co_pwritev(blk_root(r->blk), r->offset, r->bytes, r->qiov,
                                           r->flags & ~BDRV_REQ_ZERO_WRITE);
}

/* F93: what a driver without compression answers comes before read-only's. */
int64_t coroutine_fn blk_op_write_compressed(BlkRequest *r)
{
    int ret = blk_check_request(r->blk, r->offset, r->bytes);

    if (ret == 0) {
        ret = bdrv_check_compressed(blk_root(r->blk));
    }
    if (ret < 0) {
        return ret;
    }
    ret = blk_throttle(r, true);
    return ret < 0 ? ret : bdrv_co_pwritev_compressed(blk_root(r->blk), r->offset, r->bytes,
                                                      r->qiov);
}

static int64_t coroutine_fn write_zeroes(BlkRequest *r, int known_flags)
{
    int ret = check_write(r, known_flags);

    if (ret < 0) {
        return ret;
    }
    ret = blk_throttle(r, true);
    return ret < 0 ? ret : bdrv_co_pwrite_zeroes(blk_root(r->blk), r->offset, r->bytes,
                                                 r->flags & ~BDRV_REQ_ZERO_WRITE);
}

int64_t coroutine_fn blk_op_write_zeroes(BlkRequest *r)
{
    return write_zeroes(r, ZERO_WRITE_FLAGS);
}

int64_t coroutine_fn blk_op_pwrite_zeroes(BlkRequest *r)
{
    return write_zeroes(r, ZERO_WRITE_FLAGS | BDRV_REQ_NO_FALLBACK);
}

int64_t coroutine_fn blk_op_discard(BlkRequest *r)
{
    int ret = blk_check_request(r->blk, r->offset, r->bytes);

    return ret < 0 ? ret : bdrv_co_pdiscard(blk_root(r->blk), r->offset, r->bytes);
}

int64_t coroutine_fn blk_op_flush(BlkRequest *r)
{
    return blk_request_available(r->blk) ? bdrv_co_flush(blk_root(r->blk)) : -ENOMEDIUM;
}

int64_t coroutine_fn blk_op_ioctl(BlkRequest *r)
{
    return blk_request_available(r->blk) ? bdrv_co_ioctl(blk_root(r->blk), r->ioctl, r->arg)
                                         : -ENOMEDIUM;
}

int64_t coroutine_fn blk_op_getlength(BlkRequest *r)
{
    return blk_request_available(r->blk) ? bdrv_co_getlength(blk_root(r->blk)) : -ENOMEDIUM;
}

/* F37 ignores the tray. */
int64_t coroutine_fn blk_op_geometry(BlkRequest *r)
{
    BlockDriverState *bs = blk_root(r->blk);

    return bs && bdrv_is_inserted(bs) ? bdrv_co_getlength(bs) : -ENOMEDIUM;
}

int64_t coroutine_fn blk_op_block_status(BlkRequest *r)
{
    int64_t *pnum = r->arg;
    int ret = blk_check_request(r->blk, r->offset, r->bytes);

    *pnum = 0;
    if (ret < 0 || r->bytes == 0) {
        return ret;
    }
    return bdrv_co_block_status_above(blk_root(r->blk), NULL, r->offset, r->bytes, pnum);
}

int64_t coroutine_fn blk_op_is_allocated(BlkRequest *r)
{
    int64_t *pnum = r->arg;
    int ret = blk_check_request(r->blk, r->offset, r->bytes), depth;

    *pnum = 0;
    if (ret < 0 || r->bytes == 0) {
        return ret;
    }
    ret = bdrv_co_block_status_where(blk_root(r->blk), r->base, r->offset, r->bytes, pnum, NULL,
                                     NULL, &depth);
    return ret < 0 ? ret : ret & BDRV_BLOCK_ALLOCATED ? depth + 1 : 0;
}

int64_t coroutine_fn blk_op_truncate(BlkRequest *r)
{
    if (!blk_request_available(r->blk)) {
        return -ENOMEDIUM;
    }
    if (r->offset < 0) {
        return -EINVAL;
    }
    return bdrv_co_truncate(blk_root(r->blk), r->offset, PREALLOC_MODE_OFF, NULL);
}

int64_t coroutine_fn blk_request(BlkRequest *r)
{
    int64_t ret;

    r->shard = blk_request_begin(r->blk);
    ret = r->op(r);
    blk_dec_in_flight(r->shard);
    return ret;
}
