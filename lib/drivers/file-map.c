/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads without a copy: a file on a memory file system is mapped, and parts of
 * the mapping are lent to readers.
 *
 * A mapping is replaced when the file outgrows it, but never goes away before
 * the node is closed and the last borrower has given it back: so a reader may
 * count himself in after he has loaded the pointer.  Each new one is at least
 * twice as long as the one before, so there are never many.
 *
 * Touching a hole through a mapping allocates a page (reading it does not).
 * A client that reads an empty disk must not fill the memory; so only pages that
 * are known to exist are lent.  The kernel is asked once (mincore), then a bitmap
 * remembers.  A bit that is set too long costs a page of memory, no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/file.h"

#define MINCORE_PAGES 512

struct FileMap {
    atomic_int refs;            /* the node's, plus one for each BlockMapping */
    unsigned page_bits;
    int64_t length;             /* of the mapping; may reach beyond the file's end */
    _Atomic int64_t valid;      /* the file is known to be so long */
    uint8_t *data;
    _Atomic uint64_t *present;  /* a bit a page */
    FileMap *older;
};

/* ---- life ---- */

void file_map_init(BDRVFileState *s)
{
    atomic_init(&s->map, NULL);
    pthread_mutex_init(&s->map_lock, NULL);
}

static size_t bitmap_bytes(const FileMap *m)
{
    return (size_t)((m->length >> m->page_bits) + 63) / 64 * sizeof(uint64_t);
}

static void map_unref(FileMap *m)
{
    if (atomic_fetch_sub(&m->refs, 1) == 1) {
        munmap(m->data, (size_t)m->length);
        munmap((void *)m->present, bitmap_bytes(m));
        free(m);
    }
}

void file_map_destroy(BDRVFileState *s)
{
    FileMap *m = atomic_load(&s->map), *older;

    for (; m; m = older) {
        older = m->older;
        map_unref(m);
    }
    pthread_mutex_destroy(&s->map_lock);
}

static FileMap *map_new(int fd, int64_t length)
{
    FileMap *m = calloc(1, sizeof(*m));
    void *data, *present;

    if (!m) {
        return NULL;
    }
    m->page_bits = (unsigned)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE));
    m->length = (length + (1 << m->page_bits) - 1) >> m->page_bits << m->page_bits;
    data = mmap(NULL, (size_t)m->length, PROT_READ, MAP_SHARED, fd, 0);
    present = mmap(NULL, bitmap_bytes(m), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED || present == MAP_FAILED) {
        if (data != MAP_FAILED) {
            munmap(data, (size_t)m->length);
        }
        if (present != MAP_FAILED) {
            munmap(present, bitmap_bytes(m));
        }
        free(m);
        return NULL;
    }
    m->data = data;
    m->present = present;
    atomic_init(&m->refs, 1);
    return m;
}

/* A mapping of at least `end` bytes, all inside the file; NULL: cannot be had. */
static FileMap *map_enlarge(BDRVFileState *s, int64_t end)
{
    int64_t size = file_length(s);
    FileMap *m, *larger;

    if (size < end) {
        return NULL;
    }
    pthread_mutex_lock(&s->map_lock);
    m = atomic_load(&s->map);
    if (!m || m->length < end) {
        larger = map_new(s->fd, m && size < 2 * m->length ? 2 * m->length : size);
        if (larger) {
            larger->older = m;
            atomic_store(&larger->valid, size);
            atomic_store_explicit(&s->map, larger, memory_order_release);
        }
        m = larger;
    } else {
        atomic_store(&m->valid, size < m->length ? size : m->length);
    }
    pthread_mutex_unlock(&s->map_lock);
    return m;
}

static FileMap *map_covering(BDRVFileState *s, int64_t end)
{
    FileMap *m = atomic_load_explicit(&s->map, memory_order_acquire);

    if (m && end <= atomic_load_explicit(&m->valid, memory_order_relaxed)) {
        return m;
    }
    return s->mappable ? map_enlarge(s, end) : NULL;
}

/* ---- which pages exist ---- */

/* First page of [page, end) whose bit is clear; end if there is none. */
static int64_t first_unknown(FileMap *m, int64_t page, int64_t end)
{
    while (page < end) {
        uint64_t word = ~atomic_load_explicit(&m->present[page / 64], memory_order_relaxed);

        word &= ~UINT64_C(0) << (page % 64);
        if (word) {
            page = page / 64 * 64 + __builtin_ctzll(word);
            break;
        }
        page = (page / 64 + 1) * 64;
    }
    return page < end ? page : end;
}

/* Asks the kernel; returns the first page of [page, end) that may not exist. */
static int64_t ask_kernel(FileMap *m, int64_t page, int64_t end)
{
    unsigned char resident[MINCORE_PAGES];

    while (page < end) {
        int64_t count = end - page < MINCORE_PAGES ? end - page : MINCORE_PAGES;

        if (mincore(m->data + (page << m->page_bits), (size_t)count << m->page_bits,
                    resident) < 0) {
            return page;
        }
        for (int64_t i = 0; i < count; i++, page++) {
            if (!(resident[i] & 1)) {
                return page;
            }
            atomic_fetch_or_explicit(&m->present[page / 64], UINT64_C(1) << (page % 64),
                                     memory_order_relaxed);
        }
    }
    return end;
}

static int64_t map_known_data(FileMap *m, int64_t offset, int64_t bytes)
{
    int64_t first = offset >> m->page_bits;
    int64_t end = ((offset + bytes - 1) >> m->page_bits) + 1;
    int64_t page = first_unknown(m, first, end);

    if (page < end) {
        page = ask_kernel(m, page, end);
    }
    if (page == end) {
        return bytes;
    }
    return page > first ? (page << m->page_bits) - offset : 0;
}

int64_t file_map_known_data(BDRVFileState *s, int64_t offset, int64_t bytes)
{
    FileMap *m = map_covering(s, offset + bytes);

    return m ? map_known_data(m, offset, bytes) : 0;
}

void file_map_forget(BDRVFileState *s, int64_t offset, int64_t bytes)
{
    FileMap *m = atomic_load_explicit(&s->map, memory_order_acquire);
    int64_t page, end;

    if (!m || offset >= m->length) {
        return;
    }
    end = bytes < m->length - offset ? offset + bytes : m->length;
    for (page = offset >> m->page_bits; page <= (end - 1) >> m->page_bits; page++) {
        atomic_fetch_and_explicit(&m->present[page / 64], ~(UINT64_C(1) << (page % 64)),
                                  memory_order_relaxed);
    }
}

/* ---- lending ---- */

static void file_map_release(BlockMapping *map)
{
    map_unref(map->opaque);
}

int coroutine_fn file_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  BlockMapping *map)
{
    FileMap *m = map_covering(bdrv_state(bs), offset + bytes);

    if (!m || map_known_data(m, offset, bytes) < bytes) {
        return -ENOTSUP;
    }
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    map->data = m->data + offset;
    map->release = file_map_release;
    map->opaque = m;
    map->stable = false;   /* whoever truncates the file takes it away */
    return 0;
}
