/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Protocol "memory": a disk in this process's memory, gone when it is closed.
 * Option: size.  Pages that were never written take no memory.
 *
 * The memory is a region with a reference count: reads without a copy (map_read)
 * hold one, so it may outlive the node.  A bitmap tells which pages may hold
 * data.  It is set after the data was written and cleared before the data is
 * dropped, so that a page whose bit is clear always reads as zeroes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/options.h"

#include <blkbackend/block-driver.h>

#define UNIT_BITS 16               /* of the bitmap; a multiple of any system's page */
#define UNIT (INT64_C(1) << UNIT_BITS)
#define MEMORY_SIZE_MAX (INT64_C(1) << 46)
#define INLINE_ZERO_MAX (1 << 20)  /* more could hold up the thread's other requests */

typedef struct MemoryRegion {
    atomic_int refs;               /* the node's, plus one for each BlockMapping */
    int64_t capacity;              /* a multiple of UNIT */
    uint8_t *data;
    _Atomic uint64_t *used;        /* a bit a page */
} MemoryRegion;

typedef struct BDRVMemoryState {
    MemoryRegion *region;          /* replaced by truncate only, with no request in flight */
    _Atomic int64_t length;
} BDRVMemoryState;

/* ---- regions ---- */

static size_t bitmap_bytes(int64_t capacity)
{
    return (size_t)((capacity >> UNIT_BITS) + 63) / 64 * sizeof(uint64_t);
}

static void *reserve(size_t size)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return data == MAP_FAILED ? NULL : data;
}

static MemoryRegion *region_new(int64_t length)
{
    MemoryRegion *region = calloc(1, sizeof(*region));

    if (!region) {
        return NULL;
    }
    atomic_init(&region->refs, 1);
    region->capacity = length ? (length + UNIT - 1) & -UNIT : UNIT;
    region->data = reserve((size_t)region->capacity);
    region->used = region->data ? reserve(bitmap_bytes(region->capacity)) : NULL;
    if (!region->used) {
        if (region->data) {
            munmap(region->data, (size_t)region->capacity);
        }
        free(region);
        return NULL;
    }
    return region;
}

static void region_unref(MemoryRegion *region)
{
    if (atomic_fetch_sub(&region->refs, 1) == 1) {
        munmap(region->data, (size_t)region->capacity);
        munmap((void *)region->used, bitmap_bytes(region->capacity));
        free(region);
    }
}

static bool page_used(MemoryRegion *region, int64_t page)
{
    return atomic_load(&region->used[page / 64]) >> (page % 64) & 1;
}

static void page_set_used(MemoryRegion *region, int64_t page)
{
    if (!page_used(region, page)) {
        atomic_fetch_or(&region->used[page / 64], UINT64_C(1) << (page % 64));
    }
}

static void region_set_used(MemoryRegion *region, int64_t offset, int64_t bytes)
{
    for (int64_t page = offset >> UNIT_BITS; page <= (offset + bytes - 1) >> UNIT_BITS; page++) {
        page_set_used(region, page);
    }
}

/* Whole pages are given back, the edges are overwritten. */
static void region_drop(MemoryRegion *region, int64_t offset, int64_t bytes)
{
    int64_t end = offset + bytes;
    int64_t first = (offset + UNIT - 1) & -UNIT;
    int64_t last = end & -UNIT;

    if (first >= last) {
        memset(region->data + offset, 0, (size_t)bytes);
        return;
    }
    memset(region->data + offset, 0, (size_t)(first - offset));
    memset(region->data + last, 0, (size_t)(end - last));
    for (int64_t page = first >> UNIT_BITS; page < last >> UNIT_BITS; page++) {
        if (page_used(region, page)) {
            atomic_fetch_and(&region->used[page / 64], ~(UINT64_C(1) << (page % 64)));
        }
    }
    if (madvise(region->data + first, (size_t)(last - first), MADV_DONTNEED) < 0) {
        memset(region->data + first, 0, (size_t)(last - first));
    }
}

static void region_copy(MemoryRegion *to, MemoryRegion *from)
{
    for (int64_t page = 0; page < from->capacity >> UNIT_BITS; page++) {
        if (page_used(from, page)) {
            memcpy(to->data + (page << UNIT_BITS), from->data + (page << UNIT_BITS), UNIT);
            page_set_used(to, page);
        }
    }
}

/* ---- opening and size ---- */

static int memory_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    BDRVMemoryState *s = bdrv_state(bs);
    int64_t size = -1;

    (void)flags;
    if (options_take_size(options, "size", &size, errp) < 0) {
        return -EINVAL;
    }
    if (size < 0 || size > MEMORY_SIZE_MAX) {
        error_setg(errp, size < 0 ? "Parameter 'size' is missing"
                                  : "Parameter 'size' is too large for memory");
        error_append_hint(errp, "The memory driver needs a size, for example size=1G.\n");
        return -EINVAL;
    }
    s->region = region_new(size);
    if (!s->region) {
        error_setg(errp, "Could not reserve %" PRId64 " bytes of memory", size);
        return -ENOMEM;
    }
    atomic_init(&s->length, size);
    return 0;
}

static void memory_parse_filename(const char *filename, QDict *options, Error **errp)
{
    (void)options;
    if (filename[0] != '\0' && strcmp(filename, "//") != 0) {
        error_setg(errp, "A memory disk has no file name, but '%s' was given", filename);
        error_append_hint(errp, "Use options, for example size=1G.\n");
    }
}

static void memory_close(BlockDriverState *bs)
{
    BDRVMemoryState *s = bdrv_state(bs);

    region_unref(s->region);
}

static int64_t coroutine_fn memory_co_getlength(BlockDriverState *bs)
{
    BDRVMemoryState *s = bdrv_state(bs);

    return atomic_load(&s->length);
}

static int coroutine_fn memory_co_truncate(BlockDriverState *bs, int64_t offset,
                                           PreallocMode prealloc, Error **errp)
{
    BDRVMemoryState *s = bdrv_state(bs);
    int64_t length = atomic_load(&s->length);
    MemoryRegion *region;

    (void)prealloc;
    if (offset > MEMORY_SIZE_MAX) {
        error_setg(errp, "A memory disk cannot have %" PRId64 " bytes", offset);
        return -EFBIG;
    }
    if (offset < length) {
        region_drop(s->region, offset, length - offset);
    } else if (offset > s->region->capacity) {
        region = region_new(offset);
        if (!region) {
            error_setg(errp, "Could not reserve %" PRId64 " bytes of memory", offset);
            return -ENOMEM;
        }
        region_copy(region, s->region);
        region_unref(s->region);
        s->region = region;
    }
    atomic_store(&s->length, offset);
    return 0;
}

static int64_t memory_get_allocated_file_size(BlockDriverState *bs)
{
    BDRVMemoryState *s = bdrv_state(bs);
    int64_t pages = 0;

    for (size_t i = 0; i < bitmap_bytes(s->region->capacity) / sizeof(uint64_t); i++) {
        pages += __builtin_popcountll(atomic_load(&s->region->used[i]));
    }
    return pages << UNIT_BITS;
}

static bool memory_has_zero_init(BlockDriverState *bs)
{
    (void)bs;
    return true;
}

/* ---- requests ---- */

static bool memory_in_range(BDRVMemoryState *s, int64_t offset, int64_t bytes)
{
    int64_t capacity = s->region->capacity;

    return bytes <= capacity && offset <= capacity - bytes;
}

static int coroutine_fn memory_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                         QEMUIOVector *qiov, int flags)
{
    BDRVMemoryState *s = bdrv_state(bs);
    int64_t there = s->region->capacity - offset;

    (void)flags;
    there = there < 0 ? 0 : there < bytes ? there : bytes;
    if (there > 0) {
        qemu_iovec_from_buf(qiov, 0, s->region->data + offset, (size_t)there);
    }
    if (there < bytes) {
        qemu_iovec_memset(qiov, (size_t)there, 0, (size_t)(bytes - there));
    }
    return 0;
}

static int coroutine_fn memory_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                          QEMUIOVector *qiov, int flags)
{
    BDRVMemoryState *s = bdrv_state(bs);

    (void)flags;
    if (!memory_in_range(s, offset, bytes)) {
        return -ENOSPC;
    }
    qemu_iovec_to_buf(qiov, 0, s->region->data + offset, (size_t)bytes);
    region_set_used(s->region, offset, bytes);
    return 0;
}

typedef struct ZeroJob {
    MemoryRegion *region;
    int64_t offset, bytes;
    bool drop;                     /* give the pages back */
} ZeroJob;

static int zero_job(void *opaque)
{
    ZeroJob *job = opaque;

    if (job->drop) {
        region_drop(job->region, job->offset, job->bytes);
    } else {
        memset(job->region->data + job->offset, 0, (size_t)job->bytes);
        region_set_used(job->region, job->offset, job->bytes);
    }
    return 0;
}

static int coroutine_fn memory_zero(BDRVMemoryState *s, int64_t offset, int64_t bytes, bool drop)
{
    ZeroJob job = { .region = s->region, .offset = offset, .bytes = bytes, .drop = drop };

    return bytes <= INLINE_ZERO_MAX ? zero_job(&job) : aio_co_run_in_thread(zero_job, &job);
}

static int coroutine_fn memory_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                                int64_t bytes, int flags)
{
    BDRVMemoryState *s = bdrv_state(bs);

    return memory_in_range(s, offset, bytes)
           ? memory_zero(s, offset, bytes, flags & BDRV_REQ_MAY_UNMAP) : -ENOSPC;
}

static int coroutine_fn memory_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    BDRVMemoryState *s = bdrv_state(bs);

    return memory_in_range(s, offset, bytes) ? memory_zero(s, offset, bytes, true) : 0;
}

static int coroutine_fn memory_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                               int64_t *pnum, int64_t *map,
                                               BlockDriverState **file)
{
    BDRVMemoryState *s = bdrv_state(bs);
    int64_t page = offset >> UNIT_BITS;
    int64_t pages = s->region->capacity >> UNIT_BITS;
    bool used = page < pages && page_used(s->region, page);

    while (++page < pages && (page << UNIT_BITS) < offset + bytes &&
           page_used(s->region, page) == used) {
        continue;
    }
    *pnum = (page << UNIT_BITS) - offset;
    if (*pnum > bytes || page >= pages) {
        *pnum = bytes;
    }
    *map = offset;
    *file = bs;
    return BDRV_BLOCK_OFFSET_VALID | (used ? BDRV_BLOCK_DATA : BDRV_BLOCK_ZERO);
}

static void memory_release(BlockMapping *map)
{
    region_unref(map->opaque);
}

static int coroutine_fn memory_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                           BlockMapping *map)
{
    BDRVMemoryState *s = bdrv_state(bs);

    if (!memory_in_range(s, offset, bytes)) {
        return -ENOTSUP;
    }
    atomic_fetch_add(&s->region->refs, 1);
    map->data = s->region->data + offset;
    map->release = memory_release;
    map->opaque = s->region;
    map->stable = true;
    return 0;
}

static int memory_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    (void)bs;
    (void)flags;
    (void)errp;
    return 0;
}

static BlockDriver memory_driver = {
    .format_name = "memory",
    .protocol_name = "memory",
    .instance_size = sizeof(BDRVMemoryState),

    .bdrv_parse_filename = memory_parse_filename,
    .bdrv_open = memory_open,
    .bdrv_close = memory_close,
    .bdrv_reopen = memory_reopen,
    .bdrv_co_getlength = memory_co_getlength,
    .bdrv_co_truncate = memory_co_truncate,
    .bdrv_get_allocated_file_size = memory_get_allocated_file_size,
    .bdrv_has_zero_init = memory_has_zero_init,
    .bdrv_co_preadv = memory_co_preadv,
    .bdrv_co_pwritev = memory_co_pwritev,
    .bdrv_co_pwrite_zeroes = memory_co_pwrite_zeroes,
    .bdrv_co_pdiscard = memory_co_pdiscard,
    .bdrv_co_block_status = memory_co_block_status,
    .bdrv_co_map_read = memory_co_map_read,
};

BLOCK_DRIVER(memory_driver)
