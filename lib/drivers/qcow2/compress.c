/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed clusters: raw deflate streams or zstd frames, wherever in the file
 * there was room.  The work is done in worker threads.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

#define DEFLATE_WINDOW_BITS (-12)       /* negative: no zlib header around it */
#define DEFLATE_MEM_LEVEL 9
#define ZSTD_MAX_WINDOW_LOG 23          /* what a frame may make us allocate: 8 MiB */

/* Done in a worker; returns the bytes put into dest, or -errno. */
typedef struct CodecJob {
    uint8_t *dest;
    const uint8_t *src;
    uint32_t dest_size, src_size;
} CodecJob;

bool qcow2_can_compress(uint32_t compression)
{
#ifdef HAVE_ZSTD
    return compression == QCOW2_COMPRESSION_ZLIB || compression == QCOW2_COMPRESSION_ZSTD;
#else
    return compression == QCOW2_COMPRESSION_ZLIB;
#endif
}

/* ---- zlib ---- */

static int zlib_decompress(void *opaque)
{
    CodecJob *job = opaque;
    z_stream stream = { .next_in = (Bytef *)job->src, .avail_in = job->src_size,
                        .next_out = job->dest, .avail_out = job->dest_size };
    int ret;

    if (inflateInit2(&stream, DEFLATE_WINDOW_BITS) != Z_OK) {
        return -ENOMEM;
    }
    ret = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    /* The stream may go on, or have no end; a full cluster is all we want. */
    return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && stream.avail_out == 0
           ? (int)job->dest_size : -EIO;
}

static int zlib_compress(void *opaque)
{
    CodecJob *job = opaque;
    z_stream stream = { .next_in = (Bytef *)job->src, .avail_in = job->src_size,
                        .next_out = job->dest, .avail_out = job->dest_size };
    int ret;

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW_BITS,
                     DEFLATE_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return -ENOMEM;
    }
    ret = deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    return ret == Z_STREAM_END ? (int)(job->dest_size - stream.avail_out)
           : ret == Z_OK || ret == Z_BUF_ERROR ? -ENOSPC : -EIO;
}

/* ---- zstd ---- */

#ifdef HAVE_ZSTD
static int zstd_decompress(void *opaque)
{
    CodecJob *job = opaque;
    ZSTD_inBuffer in = { .src = job->src, .size = job->src_size };
    ZSTD_outBuffer out = { .dst = job->dest, .size = job->dest_size };
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    size_t before, ret = 0;

    if (!ctx) {
        return -ENOMEM;
    }
    ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_MAX_WINDOW_LOG);
    /* What follows the frame in its last sector is not ours to look at. */
    do {
        before = in.pos + out.pos;
        ret = ZSTD_decompressStream(ctx, &out, &in);
    } while (!ZSTD_isError(ret) && out.pos < out.size && in.pos + out.pos > before);
    ZSTD_freeDCtx(ctx);
    return !ZSTD_isError(ret) && out.pos == out.size ? (int)out.size : -EIO;
}

static int zstd_compress(void *opaque)
{
    CodecJob *job = opaque;
    size_t ret = ZSTD_compress(job->dest, job->dest_size, job->src, job->src_size,
                               ZSTD_CLEVEL_DEFAULT);

    if (!ZSTD_isError(ret)) {
        return (int)ret;
    }
    return ZSTD_getErrorCode(ret) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -EIO;
}
#endif

static int coroutine_fn run_codec(const Qcow2State *s, CodecJob *job, bool compress)
{
#ifdef HAVE_ZSTD
    if (s->hdr.compression == QCOW2_COMPRESSION_ZSTD) {
        return aio_co_run_in_thread(compress ? zstd_compress : zstd_decompress, job);
    }
#endif
    (void)s;
    return aio_co_run_in_thread(compress ? zlib_compress : zlib_decompress, job);
}

/* ---- reads ---- */

int coroutine_fn qcow2_read_compressed(BlockDriverState *bs, uint64_t entry, uint8_t *cluster)
{
    Qcow2State *s = bdrv_state(bs);
    CodecJob job = { .dest = cluster, .dest_size = s->cluster_size };
    uint64_t offset;
    uint8_t *data;
    int ret;

    qcow2_compressed_place(s, entry, &offset, &job.src_size);
    data = malloc(job.src_size);
    if (!data) {
        return -ENOMEM;
    }
    ret = bdrv_pread(bdrv_file(bs), (int64_t)offset, job.src_size, data);
    if (ret == 0) {
        job.src = data;
        ret = run_codec(s, &job, QCOW2_DISCARD_NEVER);
    }
    free(data);
    return ret < 0 ? ret : 0;
}

/* ---- writes ---- */

static uint64_t compressed_entry(const Qcow2State *s, uint64_t offset, uint32_t bytes)
{
    unsigned shift = 62 - (s->cluster_bits - 8);
    uint64_t sectors = ((offset + bytes - 1) >> 9) - (offset >> 9);

    return QCOW2_COMPRESSED | sectors << shift | offset;
}

static bool fits_in_entry(const Qcow2State *s, uint64_t end)
{
    unsigned shift = 62 - (s->cluster_bits - 8);

    return end >> (shift > 56 ? 56 : shift) == 0;
}

static int coroutine_fn link_compressed(BlockDriverState *bs, uint64_t cluster, uint64_t value)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Table *slice;
    uint64_t old, bitmap;
    uint32_t i;
    int ret = qcow2_get_slice(bs, cluster, &slice, &i);

    if (ret == 0) {
        old = qcow2_slice_get(s, slice, i, &bitmap);
        qcow2_slice_set(bs, slice, i, value, 0);
        qcow2_free_entry_later(s, old, QCOW2_DISCARD_NEVER);
    } else {
        qcow2_free_entry_later(s, value, QCOW2_DISCARD_NEVER);
    }
    return ret;
}

/* Reserves the guest cluster and room for `bytes`. */
static int coroutine_fn begin_compressed(BlockDriverState *bs, Qcow2Allocation *a,
                                         uint64_t cluster, uint32_t bytes, uint64_t *offset)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    qcow2_wait_allocations(s, cluster, 1);
    ret = atomic_load(&s->broken) ? -EIO : qcow2_alloc_bytes(bs, bytes, offset);
    if (ret == 0 && !fits_in_entry(s, *offset + bytes)) {
        qcow2_free_entry_later(s, compressed_entry(s, *offset, bytes), QCOW2_DISCARD_NEVER);
        ret = -EFBIG;
    }
    if (ret == 0) {
        qcow2_begin_allocation(s, a, cluster, 1);
    }
    return ret;
}

static int coroutine_fn store_compressed(BlockDriverState *bs, uint64_t cluster,
                                         const uint8_t *data, uint32_t bytes)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Allocation a;
    uint64_t offset, value;
    int ret;

    qemu_co_mutex_lock(&s->lock);
    ret = begin_compressed(bs, &a, cluster, bytes, &offset);
    qemu_co_mutex_unlock(&s->lock);
    if (ret < 0) {
        return ret;
    }
    value = compressed_entry(s, offset, bytes);
    ret = bdrv_pwrite(bdrv_file(bs), (int64_t)offset, bytes, data);
    qemu_co_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = link_compressed(bs, cluster, value);
    } else {
        qcow2_free_entry_later(s, value, QCOW2_DISCARD_NEVER);
    }
    qcow2_end_allocation(&a);
    qemu_co_mutex_unlock(&s->lock);
    return ret;
}

/*
 * A request of many clusters has several of them compressed at once, each in a
 * slot, and stores them one after the other: what is laid down is the same as
 * if they had come one by one.
 */
#define MAX_SLOTS 4

typedef struct CompressSlot {
    const Qcow2State *s;
    CodecJob job;
    uint8_t *buf;                      /* two clusters: the plain one and the compressed one */
    int64_t offset, bytes;             /* of the medium; behind bytes the cluster is zero */
    int ret;
    bool busy;
    Coroutine *waiter;
} CompressSlot;

typedef struct CompressRequest {
    BlockDriverState *bs;
    QEMUIOVector *qiov;
    int64_t offset, end, next;         /* next: the first byte that no slot has had */
    CompressSlot slots[MAX_SLOTS];
} CompressRequest;

static void coroutine_fn compress_slot(void *opaque)
{
    CompressSlot *slot = opaque;

    slot->ret = run_codec(slot->s, &slot->job, true);
    slot->busy = false;
    if (slot->waiter) {
        aio_co_wake(slot->waiter);
    }
}

static void coroutine_fn fill_slot(CompressRequest *r, CompressSlot *slot)
{
    uint32_t cluster = slot->s->cluster_size;

    slot->offset = r->next;
    slot->bytes = r->end - r->next < cluster ? r->end - r->next : cluster;
    slot->job = (CodecJob){ .dest = slot->buf + cluster, .dest_size = cluster - 1,
                            .src = slot->buf, .src_size = cluster };
    qemu_iovec_to_buf(r->qiov, (size_t)(r->next - r->offset), slot->buf, (size_t)slot->bytes);
    memset(slot->buf + slot->bytes, 0, cluster - (size_t)slot->bytes);
    r->next += slot->bytes;
    slot->busy = true;
    qemu_coroutine_enter(qemu_coroutine_create(compress_slot), slot);
}

static void coroutine_fn wait_for_slot(CompressSlot *slot)
{
    slot->waiter = qemu_coroutine_self();
    while (slot->busy) {
        qemu_coroutine_yield();
    }
    slot->waiter = NULL;
}

static int coroutine_fn store_slot(BlockDriverState *bs, CompressSlot *slot)
{
    struct iovec iov = { .iov_base = slot->buf, .iov_len = (size_t)slot->bytes };
    QEMUIOVector plain;

    if (slot->ret == -ENOSPC) {
        qemu_iovec_init_external(&plain, &iov, 1);
        return qcow2_co_pwritev(bs, slot->offset, slot->bytes, &plain, 0);
    }
    return slot->ret < 0 ? slot->ret
           : store_compressed(bs, qcow2_cluster_of(slot->s, (uint64_t)slot->offset),
                              slot->job.dest, (uint32_t)slot->ret);
}

static int coroutine_fn compress_all(CompressRequest *r, int slots)
{
    int64_t stored = r->offset;
    int ret = 0;

    for (int i = 0; i < slots; i++) {
        fill_slot(r, &r->slots[i]);
    }
    for (int i = 0; stored < r->end && ret == 0; i = (i + 1) % slots) {
        CompressSlot *slot = &r->slots[i];

        wait_for_slot(slot);
        ret = store_slot(r->bs, slot);
        stored += slot->bytes;
        if (ret == 0 && r->next < r->end) {
            fill_slot(r, slot);
        }
    }
    for (int i = 0; i < slots; i++) {
        wait_for_slot(&r->slots[i]);
    }
    return ret;
}

static int coroutine_fn write_compressed(CompressRequest *r)
{
    Qcow2State *s = bdrv_state(r->bs);
    int64_t clusters = (r->end - r->offset + s->cluster_size - 1) / s->cluster_size;
    int slots = clusters < MAX_SLOTS ? (int)clusters : MAX_SLOTS, ret;
    uint8_t *buf = malloc((size_t)slots * 2 * s->cluster_size);

    if (!buf) {
        return -ENOMEM;
    }
    for (int i = 0; i < slots; i++) {
        r->slots[i] = (CompressSlot){ .s = s, .buf = buf + (size_t)i * 2 * s->cluster_size };
    }
    ret = compress_all(r, slots);
    free(buf);
    return ret;
}

int coroutine_fn qcow2_co_pwritev_compressed(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                             QEMUIOVector *qiov)
{
    Qcow2State *s = bdrv_state(bs);
    CompressRequest r = { .bs = bs, .qiov = qiov, .offset = offset, .end = offset + bytes,
                          .next = offset };
    int ret = qcow2_prepare_write(bs);

    if (s->external) {
        return -ENOTSUP;
    }
    if (qcow2_in_cluster(s, (uint64_t)offset) ||
        (qcow2_in_cluster(s, (uint64_t)r.end) && (uint64_t)r.end < s->hdr.size)) {
        return -EINVAL;
    }
    return ret < 0 || bytes == 0 ? ret : write_compressed(&r);
}
