/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Space of a file: zeroing, discarding, what is allocated, changing the size.
 *
 * fallocate() does it for files and block devices alike.  What a file system
 * turns down once is not tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aio/file-io.h"
#include "drivers/file.h"

#include <blkbackend/block-backend.h>

#define INLINE_FALLOCATE_MAX (1 << 20)   /* more could hold up the thread's other requests */

static int coroutine_fn file_fallocate(BDRVFileState *s, int mode, int64_t offset, int64_t bytes)
{
    int ret;

    do {
        if (s->inline_io && bytes <= INLINE_FALLOCATE_MAX) {
            ret = fallocate(s->fd, mode, offset, bytes) < 0 ? -errno : 0;
        } else {
            ret = aio_co_fallocate(s->fd, mode, offset, bytes);
        }
    } while (ret == -EINTR);
    return ret == -EOPNOTSUPP || ret == -ENOSYS || ret == -ENODEV ? -ENOTSUP : ret;
}

/* One kind of fallocate; `unsupported` remembers that there is no such thing here. */
static int coroutine_fn file_try(BDRVFileState *s, atomic_bool *unsupported, int mode,
                                 int64_t offset, int64_t bytes)
{
    int ret;

    if (atomic_load_explicit(unsupported, memory_order_relaxed)) {
        return -ENOTSUP;
    }
    ret = file_fallocate(s, mode, offset, bytes);
    if (ret == -ENOTSUP) {
        atomic_store_explicit(unsupported, true, memory_order_relaxed);
    }
    /* EINVAL: the file system can, but not this range (its blocks are larger). */
    return ret == -EINVAL ? -ENOTSUP : ret;
}

static int coroutine_fn file_punch_hole(BDRVFileState *s, int64_t offset, int64_t bytes)
{
    int ret = file_try(s, &s->no_punch_hole, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                       bytes);

    file_map_forget(s, offset, bytes);
    return ret;
}

/* ---- zeroing ---- */

/* Keeps the range allocated. */
static int coroutine_fn file_zero_range(BDRVFileState *s, int64_t offset, int64_t bytes)
{
    int ret = file_try(s, &s->no_zero_range, FALLOC_FL_ZERO_RANGE, offset, bytes);

    if (ret == -ENOTSUP && !s->is_device) {
        ret = file_punch_hole(s, offset, bytes);
        if (ret == 0) {
            ret = file_fallocate(s, 0, offset, bytes);
        }
    }
    return ret;
}

/* Beyond the end of a file there is nothing to punch: there it grows, by zeroes. */
static int coroutine_fn file_unmap_range(BDRVFileState *s, int64_t offset, int64_t bytes)
{
    int64_t length = file_length(s);
    int64_t inside = length - offset < bytes ? length - offset : bytes;
    int ret = 0;

    if (length < 0) {
        return (int)length;
    }
    if (inside > 0) {
        ret = file_punch_hole(s, offset, inside);
    }
    if (ret == 0 && inside < bytes) {
        inside = inside > 0 ? inside : 0;
        ret = file_fallocate(s, 0, offset + inside, bytes - inside);
    }
    return ret;
}

int coroutine_fn file_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       int flags)
{
    BDRVFileState *s = bdrv_state(bs);
    int ret = -ENOTSUP;

    if (flags & BDRV_REQ_MAY_UNMAP) {
        ret = file_unmap_range(s, offset, bytes);
    }
    if (ret == -ENOTSUP) {
        ret = file_zero_range(s, offset, bytes);
    }
    if (ret == 0 && (flags & BDRV_REQ_FUA)) {
        ret = file_co_flush(bs);
    }
    return ret;
}

/* ---- discarding ---- */

typedef struct DiscardJob {
    int fd;
    uint64_t range[2];
} DiscardJob;

static int discard_device(void *opaque)
{
    DiscardJob *job = opaque;

    return ioctl(job->fd, BLKDISCARD, job->range) < 0 ? -errno : 0;
}

static int coroutine_fn file_discard_device(BDRVFileState *s, int64_t offset, int64_t bytes)
{
    DiscardJob job = { .fd = s->fd, .range = { (uint64_t)offset, (uint64_t)bytes } };
    int ret;

    if (atomic_load_explicit(&s->no_discard, memory_order_relaxed)) {
        return -ENOTSUP;
    }
    ret = aio_co_run_in_thread(discard_device, &job);
    if (ret == -EOPNOTSUPP || ret == -ENOTTY) {
        atomic_store_explicit(&s->no_discard, true, memory_order_relaxed);
        return -ENOTSUP;
    }
    return ret;
}

int coroutine_fn file_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    BDRVFileState *s = bdrv_state(bs);

    return s->is_device ? file_discard_device(s, offset, bytes)
                        : file_punch_hole(s, offset, bytes);
}

/* ---- what is allocated ---- */

/*
 * The byte, after offset and at most `end`, up to which all is the same; *data
 * says what.  Where the file system cannot tell, all is data.
 */
static int64_t file_find_end(BDRVFileState *s, int64_t offset, int64_t end, bool *data)
{
    /* On memory file systems SEEK_HOLE walks all pages to the next hole, however far. */
    int64_t known = file_map_known_data(s, offset, end - offset);
    int64_t next;

    *data = true;
    if (known > 0) {
        return offset + known;
    }
    next = lseek(s->fd, offset, SEEK_DATA);
    if (next < 0 && errno == ENXIO) {
        *data = false;   /* a hole up to the end of the file */
        return end;
    }
    if (next == offset) {
        next = lseek(s->fd, offset, SEEK_HOLE);
    } else {
        *data = next < offset;
    }
    return next > offset && next < end ? next : end;
}

int coroutine_fn file_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    BDRVFileState *s = bdrv_state(bs);
    int64_t unit = s->request_alignment;
    int64_t end = offset + bytes;
    bool data = true;

    if (!s->is_device && !s->is_sg) {
        end = file_find_end(s, offset, end, &data);
    }
    /* A unit that is partly data (the end of a file may lie anywhere) is data. */
    *pnum = (data ? (end + unit - 1) & -unit : end & -unit) - offset;
    if (*pnum <= 0) {
        *pnum = unit;
        data = true;
    }
    if (*pnum > bytes) {
        *pnum = bytes;
    }
    *map = offset;
    *file = bs;
    return (data ? BDRV_BLOCK_DATA : BDRV_BLOCK_ZERO) | BDRV_BLOCK_OFFSET_VALID;
}

int64_t file_get_allocated_file_size(BlockDriverState *bs)
{
    BDRVFileState *s = bdrv_state(bs);
    struct stat st;

    return fstat(s->fd, &st) < 0 ? -errno : (int64_t)st.st_blocks * 512;
}

/* ---- the size ---- */

static int file_resize_device(BDRVFileState *s, const char *filename, int64_t size, Error **errp)
{
    int64_t length = file_length(s);

    if (length < 0) {
        error_setg_errno(errp, (int)-length, "Could not get the size of '%s'", filename);
        return (int)length;
    }
    if (size > length) {
        error_setg(errp, "Could not resize '%s': a device cannot grow", filename);
        return -EINVAL;
    }
    return 0;
}

typedef struct FillJob {
    int fd;
    int64_t from, to;
} FillJob;

static int fill_with_zeroes(void *opaque)
{
    static const uint8_t zeroes[256 << 10];
    FillJob *job = opaque;

    while (job->from < job->to) {
        size_t len = job->to - job->from < (int64_t)sizeof(zeroes)
                     ? (size_t)(job->to - job->from) : sizeof(zeroes);
        ssize_t n = pwrite(job->fd, zeroes, len, job->from);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        job->from += n > 0 ? n : 0;
    }
    return fdatasync(job->fd) < 0 ? -errno : 0;
}

/* What the file is to grow by.  Without fallocate, writing takes the space as well. */
static int coroutine_fn file_preallocate(BDRVFileState *s, int64_t from, int64_t to,
                                         PreallocMode prealloc)
{
    FillJob job = { .fd = s->fd, .from = from, .to = to };
    int ret = -ENOTSUP;

    if (prealloc == PREALLOC_MODE_FALLOC) {
        ret = file_fallocate(s, 0, from, to - from);
    }
    return ret == -ENOTSUP ? aio_co_run_in_thread(fill_with_zeroes, &job) : ret;
}

static int file_set_length(BDRVFileState *s, int64_t length)
{
    int ret;

    do {
        ret = ftruncate(s->fd, length) < 0 ? -errno : 0;
    } while (ret == -EINTR);
    file_map_forget(s, length, INT64_MAX - length);
    return ret;
}

static int coroutine_fn file_grow_allocated(BDRVFileState *s, const char *filename, int64_t size,
                                            PreallocMode prealloc, Error **errp)
{
    int64_t length = file_length(s);
    int ret;

    if (length < 0) {
        error_setg_errno(errp, (int)-length, "Could not get the size of '%s'", filename);
        return (int)length;
    }
    if (size < length) {
        error_setg(errp, "Preallocation can't be used for shrinking files");
        return -EINVAL;
    }
    ret = size == length ? 0 : file_preallocate(s, length, size, prealloc);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not preallocate data for the new file");
        file_set_length(s, length);
    }
    return ret;
}

/* What O_DIRECT needs of alignment is found out by reading the first block, and holes take any. */
static void allocate_first_block(BDRVFileState *s, int64_t size)
{
    static const uint8_t zeroes[4096];
    size_t len = size < (int64_t)sizeof(zeroes) ? (size_t)size : sizeof(zeroes);
    ssize_t n;

    do {
        n = pwrite(s->fd, zeroes, len, 0);   /* at worst it stays a hole */
    } while (n < 0 && errno == EINTR);
}

int coroutine_fn file_co_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                                  Error **errp)
{
    BDRVFileState *s = bdrv_state(bs);
    bool was_empty;
    int ret;

    if (s->is_device || s->is_sg) {
        return file_resize_device(s, bdrv_filename(bs), offset, errp);
    }
    if (prealloc != PREALLOC_MODE_OFF) {
        return file_grow_allocated(s, bdrv_filename(bs), offset, prealloc, errp);
    }
    was_empty = file_length(s) == 0;
    ret = file_set_length(s, offset);
    if (ret == 0 && was_empty && offset > 0 && !s->direct) {
        allocate_first_block(s, offset);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not resize '%s' to %" PRId64 " bytes",
                         bdrv_filename(bs), offset);
    }
    return ret;
}
