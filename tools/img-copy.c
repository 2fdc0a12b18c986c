/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers are coroutines.  Each takes the next piece of the disk, whose kind
 * block status tells, reads it while others do the same, and writes it when the
 * pieces before it are written (or at once, if order does not matter).
 */
#include "tools/img-copy.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SECTOR ((int64_t)BDRV_SECTOR_SIZE)

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- state ---- */

typedef enum PieceKind {
    PIECE_DATA,
    PIECE_ZERO,
    PIECE_BACKING,                     /* the target's backing file has it */
} PieceKind;

typedef struct Piece {
    int64_t offset, bytes;
    PieceKind kind;
} Piece;

/* One thread runs them all: what a worker changes without yielding, others see as one step. */
typedef struct CopyState {
    const ImgCopy *job;
    CoMutex plan_lock;                 /* held over block status: pieces are handed out in order */
    int64_t planned;                   /* where the next piece starts */
    int64_t extent_end;                /* how far `kind` is known */
    PieceKind kind;
    int64_t written;                   /* all before it is written; of use if in order */
    int64_t data_total, data_done;     /* for the progress */
    bool offload;                      /* until it fails once */
    int started, running;
    int ret;                           /* the first error ends it all */
    struct {
        Coroutine *co;                 /* NULL: not waiting */
        int64_t offset;                /* for this to be next */
    } waiting[IMG_COPY_MAX_WORKERS];
} CopyState;

static void wake_waiting(CopyState *s)
{
    for (int i = 0; i < s->job->workers; i++) {
        Coroutine *co = s->waiting[i].co;

        if (co && (s->ret < 0 || s->waiting[i].offset == s->written)) {
            s->waiting[i].co = NULL;
            aio_co_wake(co);
        }
    }
}

/* Only the first failure is told. */
static void fail_at(CopyState *s, const char *doing, int64_t offset, int err)
{
    if (s->ret == 0) {
        error_report("error while %s at byte %" PRId64 ": %s", doing, offset, strerror(-err));
        s->ret = err;
        wake_waiting(s);
    }
}

/* Which source has the byte at offset of the whole; *at: where in it. */
static const ImgCopySource *source_at(const ImgCopy *job, int64_t offset, int64_t *at)
{
    const ImgCopySource *src = job->src;

    while (offset >= src->length) {
        offset -= src->length;
        src++;
    }
    *at = offset;
    return src;
}

/* ---- planning: what comes next, and how much of it ---- */

/* Like block status; when salvaging, a range without one is data, sector by sector. */
static int source_status(const ImgCopy *job, const ImgCopySource *src, int64_t at,
                                      int64_t bytes, int64_t *n)
{
    BlockDriverState *bs = blk_bs(src->blk);
    BlockDriverState *base = job->target_has_backing ? bdrv_backing(bs) : NULL;

    for (;;) {
        int depth, ret = bdrv_block_status_above(bs, base, at, bytes, n, NULL, NULL, &depth);

        if (ret >= 0) {
            return ret;
        }
        if (!job->salvage) {
            error_report("error while reading block status at offset %" PRId64 ": %s", at,
                         strerror(-ret));
            return ret;
        }
        if (bytes <= SECTOR) {
            if (!job->quiet) {
                warn_report("error while reading block status at offset %" PRId64 ": %s", at,
                            strerror(-ret));
            }
            *n = bytes;
            return BDRV_BLOCK_DATA;
        }
        bytes = (bytes / 4 + SECTOR - 1) / SECTOR * SECTOR;
    }
}

/* Zeroes behind the end of the target's backing file need not be written. */
static bool past_target_backing(const ImgCopy *job, int64_t offset)
{
    return job->target_backing_length >= 0 && offset >= job->target_backing_length;
}

static PieceKind kind_of(const ImgCopy *job, int64_t offset, int status)
{
    if (status & BDRV_BLOCK_ZERO) {
        return past_target_backing(job, offset) ? PIECE_BACKING : PIECE_ZERO;
    }
    if (status & BDRV_BLOCK_DATA) {
        return PIECE_DATA;
    }
    return job->target_has_backing ? PIECE_BACKING : PIECE_DATA;
}

/* Finds out how far the disk is of one kind from s->planned on. */
static int plan_extent(CopyState *s)
{
    const ImgCopy *job = s->job;
    int64_t offset = s->planned, at, n, tail;
    const ImgCopySource *src = source_at(job, offset, &at);
    int64_t bytes = min_of(src->length - at, BDRV_REQUEST_MAX_BYTES);
    int ret;

    if (!past_target_backing(job, offset) && past_target_backing(job, offset + bytes)) {
        bytes = job->target_backing_length - offset;
    }
    ret = source_status(job, src, at, bytes, &n);
    if (ret < 0) {
        return ret;
    }
    n = (n + SECTOR - 1) / SECTOR * SECTOR;
    tail = (at + n) % src->alignment;
    if (n > tail) {
        n -= tail;
    }
    s->kind = kind_of(job, offset, ret);
    s->extent_end = offset + n;
    return 0;
}

/* Compressed data come in whole clusters: whoever has a part of one has all of it. */
static void cut_to_clusters(const ImgCopy *job, Piece *piece)
{
    if (piece->bytes < job->cluster_size) {
        piece->bytes = min_of(job->cluster_size, job->total - piece->offset);
        piece->kind = PIECE_DATA;
    } else {
        piece->bytes -= piece->bytes % job->cluster_size;
    }
}

static int plan_piece(CopyState *s, Piece *piece)
{
    const ImgCopy *job = s->job;
    int ret = s->planned < s->extent_end ? 0 : plan_extent(s);

    if (ret < 0) {
        return ret;
    }
    *piece = (Piece){ s->planned, s->extent_end - s->planned, s->kind };
    if (piece->kind == PIECE_ZERO && job->min_sparse == 0) {
        piece->kind = PIECE_DATA;
    }
    if (piece->kind == PIECE_DATA) {
        piece->bytes = min_of(piece->bytes, job->buf_size);
    }
    if (job->compressed) {
        cut_to_clusters(job, piece);
    }
    s->planned += piece->bytes;
    return 0;
}

/* How much there is to copy; errors of block status are known before anything is written. */
static int count_data(CopyState *s)
{
    Piece piece;
    int ret = 0;

    while (ret == 0 && s->planned < s->job->total) {
        ret = plan_piece(s, &piece);
        if (ret == 0 && piece.kind == PIECE_DATA) {
            s->data_total += piece.bytes;
        }
    }
    s->planned = s->extent_end = 0;
    return ret;
}

/* ---- reading ---- */

/* Sector by sector, as much as can be had. */
static void coroutine_fn salvage_read(const ImgCopy *job, const ImgCopySource *src, int64_t at,
                                      int64_t bytes, uint8_t *buf)
{
    for (int64_t i = 0; i < bytes; i += SECTOR) {
        int ret = blk_pread(src->blk, at + i, buf + i, (int)SECTOR);

        if (ret < 0) {
            if (!job->quiet) {
                warn_report("error while reading offset %" PRId64 ": %s", at + i, strerror(-ret));
            }
            memset(buf + i, 0, (size_t)SECTOR);
        }
    }
}

/* A cluster to compress may begin in one source and end in another. */
static int coroutine_fn read_piece(const ImgCopy *job, const Piece *piece, uint8_t *buf)
{
    int64_t done = 0, n, at;

    for (; done < piece->bytes; done += n) {
        const ImgCopySource *src = source_at(job, piece->offset + done, &at);
        int ret;

        n = min_of(piece->bytes - done, src->length - at);
        ret = blk_pread(src->blk, at, buf + done, (int)n);
        if (ret < 0 && !job->salvage) {
            return ret;
        }
        if (ret < 0) {
            salvage_read(job, src, at, n, buf + done);
        }
    }
    return 0;
}

/* ---- zeroes in the data ---- */

/*
 * How many bytes from buf on are all data or all zero; *zero: which.  It goes by
 * blocks that end at multiples of `unit`, a power of two, so that writes are cut
 * there.  Most that is not zero shows it in a block's first bytes.
 */
static int64_t uniform_run(int64_t unit, const uint8_t *buf, int64_t bytes, int64_t offset,
                           bool *zero)
{
    int64_t end = min_of(unit - (offset & (unit - 1)), bytes);

    *zero = buffer_is_zero(buf, (size_t)end);
    while (end < bytes) {
        int64_t n = min_of(unit, bytes - end);

        if (buffer_is_zero(buf + end, (size_t)n) != *zero) {
            break;
        }
        end += n;
    }
    return end;
}

/* The same, with zeroes between data counted as data if they are less than min_sparse. */
static int64_t sparse_run(const ImgCopy *job, const uint8_t *buf, int64_t bytes, int64_t offset,
                          bool *zero)
{
    int64_t unit = job->alignment, min = min_of(job->min_sparse, bytes);
    int64_t used = uniform_run(unit, buf, bytes, offset, zero), end = used;
    bool next_zero;

    while (!*zero && end < bytes) {
        int64_t n = uniform_run(unit, buf + end, bytes - end, offset + end, &next_zero);

        if (next_zero && n >= min) {
            break;
        }
        end += n;
        used = next_zero ? used : end;
    }
    return used;
}

static int64_t next_run(const ImgCopy *job, const uint8_t *buf, int64_t bytes, int64_t offset,
                        bool *zero)
{
    if (job->min_sparse == 0) {
        *zero = false;
        return bytes;
    }
    return job->compressed ? uniform_run(job->cluster_size, buf, bytes, offset, zero)
                           : sparse_run(job, buf, bytes, offset, zero);
}

/* ---- writing ---- */

static int coroutine_fn write_zeroes(const ImgCopy *job, int64_t offset, int64_t bytes)
{
    return job->zero_init ? 0 : blk_co_pwrite_zeroes(job->target, offset, bytes,
                                                     BDRV_REQ_MAY_UNMAP);
}

static int coroutine_fn write_buffer(const ImgCopy *job, int64_t offset, int64_t bytes,
                                     uint8_t *buf)
{
    struct iovec iov = { .iov_base = buf, .iov_len = (size_t)bytes };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    return blk_co_pwritev(job->target, offset, bytes, &qiov,
                          job->compressed ? BDRV_REQ_WRITE_COMPRESSED : 0);
}

static int coroutine_fn write_data(const ImgCopy *job, const Piece *piece, uint8_t *buf)
{
    int64_t done = 0, n;
    int ret = 0;

    for (; ret == 0 && done < piece->bytes; done += n) {
        bool zero;

        n = next_run(job, buf + done, piece->bytes - done, piece->offset + done, &zero);
        ret = zero ? write_zeroes(job, piece->offset + done, n)
                   : write_buffer(job, piece->offset + done, n, buf + done);
    }
    return ret;
}

static int coroutine_fn write_piece(const ImgCopy *job, const Piece *piece, uint8_t *buf)
{
    switch (piece->kind) {
    case PIECE_DATA:
        return write_data(job, piece, buf);
    case PIECE_ZERO:
        return write_zeroes(job, piece->offset, piece->bytes);
    case PIECE_BACKING:
        break;
    }
    return 0;
}

static int coroutine_fn offload_piece(const ImgCopy *job, const Piece *piece)
{
    int64_t done = 0, n, at;
    int ret = 0;

    for (; ret == 0 && done < piece->bytes; done += n) {
        const ImgCopySource *src = source_at(job, piece->offset + done, &at);

        n = min_of(piece->bytes - done, src->length - at);
        ret = blk_co_copy_range(src->blk, at, job->target, piece->offset + done, n, 0);
    }
    return ret;
}

/* ---- workers ---- */

static bool coroutine_fn take_piece(CopyState *s, Piece *piece)
{
    bool taken = false;

    qemu_co_mutex_lock(&s->plan_lock);
    if (s->ret == 0 && s->planned < s->job->total) {
        int ret = plan_piece(s, piece);

        taken = ret == 0;
        if (!taken && s->ret == 0) {
            s->ret = ret;
            wake_waiting(s);
        }
    }
    qemu_co_mutex_unlock(&s->plan_lock);
    if (taken && piece->kind == PIECE_DATA) {
        s->data_done += piece->bytes;
        img_progress_set(100.0 * (double)s->data_done / (double)s->data_total);
    }
    return taken;
}

static void coroutine_fn wait_for_turn(CopyState *s, int index, int64_t offset)
{
    while (s->ret == 0 && s->written != offset) {
        s->waiting[index].offset = offset;
        s->waiting[index].co = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
}

static void coroutine_fn read_in(CopyState *s, const Piece *piece, uint8_t *buf)
{
    int ret = read_piece(s->job, piece, buf);

    if (ret < 0) {
        fail_at(s, "reading", piece->offset, ret);
    }
}

/* Its turn has come: to the target with it. */
static void coroutine_fn write_out(CopyState *s, const Piece *piece, uint8_t *buf, bool offload)
{
    int ret;

    if (offload) {
        if (offload_piece(s->job, piece) == 0) {
            return;
        }
        s->offload = false;
        read_in(s, piece, buf);
    }
    if (s->ret == 0) {
        ret = write_piece(s->job, piece, buf);
        if (ret < 0) {
            fail_at(s, "writing", piece->offset, ret);
        }
    }
}

static void coroutine_fn copy_piece(CopyState *s, int index, const Piece *piece, uint8_t *buf)
{
    bool offload = s->offload && piece->kind == PIECE_DATA;

    if (piece->kind == PIECE_DATA && !offload) {
        read_in(s, piece, buf);
    }
    if (s->job->in_order) {
        wait_for_turn(s, index, piece->offset);
    }
    if (s->ret == 0) {
        write_out(s, piece, buf, offload);
    }
    if (s->job->in_order && s->ret == 0) {
        s->written = piece->offset + piece->bytes;
        wake_waiting(s);
    }
}

static void coroutine_fn worker(void *opaque)
{
    CopyState *s = opaque;
    int index = s->started++;
    uint8_t *buf = blk_blockalign(s->job->target, (size_t)s->job->buf_size);
    Piece piece;

    s->running++;
    while (take_piece(s, &piece)) {
        copy_piece(s, index, &piece, buf);
    }
    qemu_vfree(buf);
    s->running--;
}

static int end_compressed(const ImgCopy *job)
{
    int ret = blk_write_compressed(job->target, 0, NULL, 0);

    if (ret < 0) {
        error_report("error while ending the compressed data: %s", strerror(-ret));
    }
    return ret;
}

int img_copy(const ImgCopy *job)
{
    CopyState s = { .job = job, .offload = job->offload };

    qemu_co_mutex_init(&s.plan_lock);
    s.ret = count_data(&s);
    for (int i = 0; i < job->workers && s.ret == 0; i++) {
        qemu_coroutine_enter(qemu_coroutine_create(worker), &s);
    }
    while (s.running > 0) {
        main_loop_wait(false);
    }
    if (s.ret == 0 && job->compressed) {
        s.ret = end_compressed(job);
    }
    return s.ret;
}
