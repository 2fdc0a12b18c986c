/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dirty bitmaps of nodes.
 *
 * Requests walk a node's list of bitmaps without a lock: a new one is complete
 * before it is linked in, and one is only unlinked while the node is drained.
 * A request sets its bits after the driver is done and before it completes
 * itself: who clears a bit and then reads the data either gets the new data, or
 * finds the bit set again.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/image.h>

#include "graph/dirty-bits.h"

/* What the bitmaps of a node may take of memory, all bits set. */
#define MAX_BYTES_OF_NODE (UINT64_C(1) << 30)
#define MAX_GRANULARITY (UINT32_C(1) << 31)

struct BdrvDirtyBitmap {
    const char *name;                  /* first: what the tree of names compares; NULL: none */
    BlockDriverState *bs;
    _Atomic(BdrvDirtyBitmap *) next;
    unsigned granularity_bits;
    _Atomic int64_t size;              /* bytes of the disk */
    DirtyBits bits;
    atomic_bool enabled, persistent, inconsistent, readonly, busy, changed;
    uint64_t charged;                  /* main thread: what it counts of the node's memory */
    atomic_int iterators;
};

struct BdrvDirtyBitmapIter {
    BdrvDirtyBitmap *bitmap;
    int64_t offset;
};

/* ---- arithmetic ---- */

static uint64_t bits_for(int64_t size, unsigned granularity_bits)
{
    return ((uint64_t)size + (UINT64_C(1) << granularity_bits) - 1) >> granularity_bits;
}

static uint64_t n_bits(const BdrvDirtyBitmap *bitmap)
{
    return bits_for(atomic_load(&bitmap->size), bitmap->granularity_bits);
}

static uint64_t bit_of(const BdrvDirtyBitmap *bitmap, int64_t offset)
{
    return (uint64_t)offset >> bitmap->granularity_bits;
}

/* The end of [offset, offset + bytes), at most that of the disk. */
static int64_t end_of(const BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    int64_t size = atomic_load(&bitmap->size);

    return bytes > size - offset ? size : offset + bytes;
}

/* ---- life ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

BdrvDirtyBitmap *bdrv_find_dirty_bitmap(BlockDriverState *bs, const char *name)
{
    BdrvDirtyBitmap **found = tfind(&name, &bs->dirty_bitmap_names, compare_names);

    return found ? *found : NULL;
}

static bool check_name(BlockDriverState *bs, const char *name, Error **errp)
{
    if (name && !*name) {
        error_setg(errp, "Bitmap name cannot be empty");
    } else if (name && bdrv_find_dirty_bitmap(bs, name)) {
        error_setg(errp, "Bitmap already exists: %s", name);
    } else if (name && strlen(name) > BDRV_BITMAP_MAX_NAME_SIZE) {
        error_setg(errp, "Bitmap name too long: %s", name);
    } else {
        return true;
    }
    return false;
}

static bool check_granularity(uint32_t granularity, Error **errp)
{
    if (granularity < BDRV_SECTOR_SIZE || granularity > MAX_GRANULARITY ||
        (granularity & (granularity - 1))) {
        error_setg(errp, "Granularity must be power of 2 and at least 512");
        return false;
    }
    return true;
}

/* Bytes that so many bits may take at most; 0: too many. */
static uint64_t check_room(BlockDriverState *bs, uint64_t bits, uint64_t charged, Error **errp)
{
    uint64_t bytes = bits / 8 + sizeof(BdrvDirtyBitmap);

    if (bits > DIRTY_BITS_MAX || bytes > MAX_BYTES_OF_NODE + charged - bs->dirty_bitmap_bytes) {
        error_setg(errp, "Too much space will be occupied by the bitmap. Use larger granularity");
        error_append_hint(errp, "The bitmaps of a node may take up to 1 GiB of memory, one of them "
                          "up to 512 MiB.\n");
        return 0;
    }
    return bytes;
}

static void charge(BdrvDirtyBitmap *bitmap, uint64_t bytes)
{
    bitmap->bs->dirty_bitmap_bytes += bytes - bitmap->charged;
    bitmap->charged = bytes;
}

static BdrvDirtyBitmap *new_bitmap(BlockDriverState *bs, uint32_t granularity, const char *name,
                                   int64_t size)
{
    BdrvDirtyBitmap *bitmap = bdrv_alloc(sizeof(*bitmap));

    bitmap->bs = bs;
    bitmap->name = name ? bdrv_strdup(name) : NULL;
    bitmap->granularity_bits = (unsigned)__builtin_ctz(granularity);
    atomic_store(&bitmap->size, size);
    atomic_store(&bitmap->enabled, true);
    atomic_store(&bitmap->changed, true);
    return bitmap;
}

BdrvDirtyBitmap *bdrv_create_dirty_bitmap(BlockDriverState *bs, uint32_t granularity,
                                          const char *name, Error **errp)
{
    BdrvDirtyBitmap *bitmap;
    uint64_t bytes;
    int64_t size;

    if (!check_granularity(granularity, errp) || !check_name(bs, name, errp)) {
        return NULL;
    }
    size = bdrv_getlength(bs);
    if (size < 0) {
        error_setg_errno(errp, (int)-size, "could not get length of device");
        return NULL;
    }
    bytes = check_room(bs, bits_for(size, (unsigned)__builtin_ctz(granularity)), 0, errp);
    if (bytes == 0) {
        return NULL;
    }
    bitmap = new_bitmap(bs, granularity, name, size);
    charge(bitmap, bytes);
    if (name) {
        BDRV_PRECONDITION(tsearch(bitmap, &bs->dirty_bitmap_names, compare_names),
                          "out of memory");
    }
    atomic_store(&bitmap->next, atomic_load(&bs->dirty_bitmaps));
    atomic_store(&bs->dirty_bitmaps, bitmap);
    return bitmap;
}

static void unlink_bitmap(BdrvDirtyBitmap *bitmap)
{
    _Atomic(BdrvDirtyBitmap *) *link = &bitmap->bs->dirty_bitmaps;
    BdrvDirtyBitmap *at;

    while ((at = atomic_load(link)) != bitmap) {
        link = &at->next;
    }
    atomic_store(link, atomic_load(&bitmap->next));
}

/* Nobody walks the list now. */
static void release_bitmap(BdrvDirtyBitmap *bitmap)
{
    BDRV_PRECONDITION(atomic_load(&bitmap->iterators) == 0, "the bitmap is being iterated over");
    unlink_bitmap(bitmap);
    if (bitmap->name) {
        tdelete(bitmap, &bitmap->bs->dirty_bitmap_names, compare_names);
    }
    charge(bitmap, 0);
    dirty_bits_destroy(&bitmap->bits);
    free((char *)bitmap->name);
    free(bitmap);
}

void bdrv_release_dirty_bitmap(BdrvDirtyBitmap *bitmap)
{
    BlockDriverState *bs = bitmap->bs;

    BDRV_PRECONDITION(!atomic_load(&bitmap->busy), "the bitmap is busy");
    bdrv_drained_begin(bs);
    release_bitmap(bitmap);
    bdrv_drained_end(bs);
}

void bdrv_release_all_dirty_bitmaps(BlockDriverState *bs)
{
    BdrvDirtyBitmap *bitmap;

    while ((bitmap = bdrv_dirty_bitmap_first(bs)) != NULL) {
        release_bitmap(bitmap);
    }
}

BdrvDirtyBitmap *bdrv_dirty_bitmap_first(BlockDriverState *bs)
{
    return atomic_load(&bs->dirty_bitmaps);
}

BdrvDirtyBitmap *bdrv_dirty_bitmap_next(BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->next);
}

bool bdrv_has_named_bitmaps(BlockDriverState *bs)
{
    return bs->dirty_bitmap_names != NULL;
}

uint32_t bdrv_get_default_bitmap_granularity(BlockDriverState *bs)
{
    BlockDriverInfo info;

    if (bdrv_get_info(bs, &info) < 0 || info.cluster_size <= 0 || info.cluster_size > 65536) {
        return 65536;
    }
    return info.cluster_size < 4096 ? 4096 : (uint32_t)info.cluster_size;
}

/* ---- what it is like ---- */

const char *bdrv_dirty_bitmap_name(const BdrvDirtyBitmap *bitmap)
{
    return bitmap->name;
}

uint32_t bdrv_dirty_bitmap_granularity(const BdrvDirtyBitmap *bitmap)
{
    return UINT32_C(1) << bitmap->granularity_bits;
}

int64_t bdrv_dirty_bitmap_size(const BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->size);
}

bool bdrv_dirty_bitmap_enabled(const BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->enabled);
}

bool bdrv_dirty_bitmap_get_persistence(const BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->persistent);
}

bool bdrv_dirty_bitmap_inconsistent(const BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->inconsistent);
}

bool bdrv_dirty_bitmap_readonly(const BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->readonly);
}

bool bdrv_dirty_bitmap_busy(const BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->busy);
}

bool bdrv_dirty_bitmap_changed(const BdrvDirtyBitmap *bitmap)
{
    return atomic_load(&bitmap->changed);
}

int bdrv_dirty_bitmap_check(const BdrvDirtyBitmap *bitmap, uint32_t flags, Error **errp)
{
    const char *name = bitmap->name ? bitmap->name : "";

    if ((flags & BDRV_BITMAP_BUSY) && bdrv_dirty_bitmap_busy(bitmap)) {
        error_setg(errp, "Bitmap '%s' is currently in use by another operation and cannot be used",
                   name);
    } else if ((flags & BDRV_BITMAP_RO) && bdrv_dirty_bitmap_readonly(bitmap)) {
        error_setg(errp, "Bitmap '%s' is readonly and cannot be modified", name);
    } else if ((flags & BDRV_BITMAP_INCONSISTENT) && bdrv_dirty_bitmap_inconsistent(bitmap)) {
        error_setg(errp, "Bitmap '%s' is inconsistent and cannot be used", name);
        error_append_hint(errp, "Try block-dirty-bitmap-remove to delete this bitmap from disk\n");
    } else {
        return 0;
    }
    return -1;
}

/* ---- changing it ---- */

void bdrv_enable_dirty_bitmap(BdrvDirtyBitmap *bitmap)
{
    atomic_store(&bitmap->changed, true);
    atomic_store(&bitmap->enabled, true);
}

void bdrv_disable_dirty_bitmap(BdrvDirtyBitmap *bitmap)
{
    atomic_store(&bitmap->changed, true);
    atomic_store(&bitmap->enabled, false);
}

void bdrv_dirty_bitmap_set_busy(BdrvDirtyBitmap *bitmap, bool busy)
{
    atomic_store(&bitmap->busy, busy);
}

void bdrv_dirty_bitmap_set_readonly(BdrvDirtyBitmap *bitmap, bool readonly)
{
    atomic_store(&bitmap->readonly, readonly);
}

void bdrv_dirty_bitmap_set_persistence(BdrvDirtyBitmap *bitmap, bool persistent)
{
    atomic_store(&bitmap->persistent, persistent);
}

void bdrv_dirty_bitmap_set_changed(BdrvDirtyBitmap *bitmap, bool changed)
{
    atomic_store(&bitmap->changed, changed);
}

static void make_inconsistent(BdrvDirtyBitmap *bitmap)
{
    atomic_store(&bitmap->inconsistent, true);
    atomic_store(&bitmap->enabled, false);
}

void bdrv_dirty_bitmap_set_inconsistent(BdrvDirtyBitmap *bitmap)
{
    make_inconsistent(bitmap);
    charge(bitmap, 0);                 /* of its bits nothing is needed any more */
}

/* A bitmap that lacks a bit must not be trusted in any other. */
static void lose_bits(BdrvDirtyBitmap *bitmap)
{
    if (!atomic_exchange(&bitmap->inconsistent, true)) {
        blkbackend_log("Dirty bitmap '%s' of node '%s' could not record a write, and is "
                       "inconsistent from now on: not enough memory",
                       bitmap->name ? bitmap->name : "", bitmap->bs->node_name);
    }
    make_inconsistent(bitmap);
}

/* Sets the bits of [offset, end), which is within the disk. */
static void set_bits(BdrvDirtyBitmap *bitmap, int64_t offset, int64_t end)
{
    if (offset < end &&
        !dirty_bits_set(&bitmap->bits, bit_of(bitmap, offset), bit_of(bitmap, end - 1) + 1)) {
        lose_bits(bitmap);
    }
}

void bdrv_set_dirty_bitmap(BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    atomic_store(&bitmap->changed, true);
    set_bits(bitmap, offset, end_of(bitmap, offset, bytes));
}

void bdrv_reset_dirty_bitmap(BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    int64_t end = end_of(bitmap, offset, bytes);
    uint64_t last = end == atomic_load(&bitmap->size) ? n_bits(bitmap) : bit_of(bitmap, end);

    atomic_store(&bitmap->changed, true);
    dirty_bits_reset(&bitmap->bits, bits_for(offset, bitmap->granularity_bits), last);
}

void bdrv_clear_dirty_bitmap(BdrvDirtyBitmap *bitmap)
{
    atomic_store(&bitmap->changed, true);
    dirty_bits_reset(&bitmap->bits, 0, n_bits(bitmap));
}

static void merge_words(BdrvDirtyBitmap *dest, const BdrvDirtyBitmap *src)
{
    uint64_t end = n_bits(src), bit = dirty_bits_next(&src->bits, 0, end, true);

    while (bit < end) {
        uint64_t index = bit / 64;

        if (!dirty_bits_set_word(&dest->bits, index, dirty_bits_word(&src->bits, index))) {
            lose_bits(dest);
            return;
        }
        bit = dirty_bits_next(&src->bits, (index + 1) * 64, end, true);
    }
}

static void merge_areas(BdrvDirtyBitmap *dest, const BdrvDirtyBitmap *src)
{
    int64_t size = atomic_load(&src->size), offset = 0, count;

    while (bdrv_dirty_bitmap_next_dirty_area(src, offset, size, INT64_MAX, &offset, &count)) {
        set_bits(dest, offset, offset + count);
        offset += count;
    }
}

bool bdrv_merge_dirty_bitmap(BdrvDirtyBitmap *dest, const BdrvDirtyBitmap *src, Error **errp)
{
    if (bdrv_dirty_bitmap_check(dest, BDRV_BITMAP_DEFAULT, errp) < 0 ||
        bdrv_dirty_bitmap_check(src, BDRV_BITMAP_ALLOW_RO, errp) < 0) {
        return false;
    }
    if (bdrv_dirty_bitmap_size(dest) != bdrv_dirty_bitmap_size(src)) {
        error_setg(errp, "Bitmaps are incompatible and can't be merged");
        error_append_hint(errp, "'%s' is of a disk of %lld bytes, '%s' of one of %lld bytes.\n",
                          dest->name ? dest->name : "", (long long)atomic_load(&dest->size),
                          src->name ? src->name : "", (long long)atomic_load(&src->size));
        return false;
    }
    atomic_store(&dest->changed, true);
    if (dest->granularity_bits == src->granularity_bits) {
        merge_words(dest, src);
    } else {
        merge_areas(dest, src);
    }
    return true;
}

/* ---- reading it ---- */

bool bdrv_dirty_bitmap_get(const BdrvDirtyBitmap *bitmap, int64_t offset)
{
    uint64_t bit = bit_of(bitmap, offset);

    return offset < atomic_load(&bitmap->size) &&
           (dirty_bits_word(&bitmap->bits, bit / 64) >> bit % 64 & 1);
}

int64_t bdrv_get_dirty_count(const BdrvDirtyBitmap *bitmap)
{
    return (int64_t)(dirty_bits_count(&bitmap->bits) << bitmap->granularity_bits);
}

static int64_t next_byte(const BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes, bool dirty)
{
    int64_t end = end_of(bitmap, offset, bytes), found;
    uint64_t end_bit, bit;

    if (offset >= end) {
        return -1;
    }
    end_bit = bit_of(bitmap, end - 1) + 1;
    bit = dirty_bits_next(&bitmap->bits, bit_of(bitmap, offset), end_bit, dirty);
    found = (int64_t)(bit << bitmap->granularity_bits);
    return bit == end_bit ? -1 : found > offset ? found : offset;
}

int64_t bdrv_dirty_bitmap_next_dirty(const BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    return next_byte(bitmap, offset, bytes, true);
}

int64_t bdrv_dirty_bitmap_next_zero(const BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    return next_byte(bitmap, offset, bytes, false);
}

bool bdrv_dirty_bitmap_next_dirty_area(const BdrvDirtyBitmap *bitmap, int64_t start, int64_t end,
                                       int64_t max_dirty_count, int64_t *dirty_start,
                                       int64_t *dirty_count)
{
    int64_t first = next_byte(bitmap, start, end - start, true), clean;

    if (first < 0) {
        return false;
    }
    end = end_of(bitmap, first, end - first);
    clean = next_byte(bitmap, first, end - first, false);
    *dirty_start = first;
    *dirty_count = (clean < 0 ? end : clean) - first;
    if (*dirty_count > max_dirty_count) {
        *dirty_count = max_dirty_count;
    }
    return true;
}

bool bdrv_dirty_bitmap_status(const BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes,
                              int64_t *count)
{
    int64_t other = next_byte(bitmap, offset, bytes, false);
    bool dirty = other != offset;

    if (!dirty) {
        other = next_byte(bitmap, offset, bytes, true);
    }
    *count = other < 0 ? bytes : other - offset;
    return dirty;
}

BdrvDirtyBitmapIter *bdrv_dirty_iter_new(BdrvDirtyBitmap *bitmap)
{
    BdrvDirtyBitmapIter *iter = bdrv_alloc(sizeof(*iter));

    iter->bitmap = bitmap;
    atomic_fetch_add(&bitmap->iterators, 1);
    return iter;
}

void bdrv_dirty_iter_free(BdrvDirtyBitmapIter *iter)
{
    if (iter) {
        atomic_fetch_sub(&iter->bitmap->iterators, 1);
        free(iter);
    }
}

int64_t bdrv_dirty_iter_next(BdrvDirtyBitmapIter *iter)
{
    const BdrvDirtyBitmap *bitmap = iter->bitmap;
    uint64_t end = n_bits(bitmap);
    uint64_t bit = dirty_bits_next(&bitmap->bits, bit_of(bitmap, iter->offset), end, true);

    if (bit >= end) {
        return -1;
    }
    iter->offset = (int64_t)((bit + 1) << bitmap->granularity_bits);
    return (int64_t)(bit << bitmap->granularity_bits);
}

void bdrv_set_dirty_iter(BdrvDirtyBitmapIter *iter, int64_t offset)
{
    iter->offset = offset;
}

/* ---- as bytes ---- */

void bdrv_dirty_bitmap_serialize_part(const BdrvDirtyBitmap *bitmap, uint8_t *buf, int64_t offset,
                                      int64_t bytes)
{
    uint64_t from = bit_of(bitmap, offset) / 64, words;

    words = (bits_for(bytes, bitmap->granularity_bits) + 63) / 64;
    for (uint64_t i = 0; i < words; i++) {
        uint64_t word = htole64(dirty_bits_word(&bitmap->bits, from + i));

        memcpy(buf + i * sizeof(word), &word, sizeof(word));
    }
}

int bdrv_dirty_bitmap_deserialize_part(BdrvDirtyBitmap *bitmap, const uint8_t *buf, int64_t offset,
                                       int64_t bytes)
{
    uint64_t from = bit_of(bitmap, offset) / 64, bits, word;

    bits = bits_for(bytes, bitmap->granularity_bits);
    for (uint64_t i = 0; i * 64 < bits; i++) {
        memcpy(&word, buf + i * sizeof(word), sizeof(word));
        word = le64toh(word);
        if (bits - i * 64 < 64) {
            word &= (UINT64_C(1) << (bits - i * 64)) - 1;
        }
        if (!dirty_bits_set_word(&bitmap->bits, from + i, word)) {
            return -ENOMEM;
        }
    }
    return 0;
}

int bdrv_dirty_bitmap_deserialize_ones(BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    uint64_t from = bit_of(bitmap, offset);

    return dirty_bits_set(&bitmap->bits, from,
                          from + bits_for(bytes, bitmap->granularity_bits)) ? 0 : -ENOMEM;
}

/* ---- the node's requests ---- */

/* The disk has become longer by a write. */
static void grow_to(BdrvDirtyBitmap *bitmap, int64_t size)
{
    int64_t now = atomic_load(&bitmap->size);

    if (bits_for(size, bitmap->granularity_bits) > DIRTY_BITS_MAX) {
        lose_bits(bitmap);
        return;
    }
    while (now < size && !atomic_compare_exchange_weak(&bitmap->size, &now, size)) {
    }
}

void bdrv_mark_dirty_bitmaps(BlockDriverState *bs, int64_t offset, int64_t bytes, bool done)
{
    int64_t end = offset + bytes;

    /* The new data before our look at the bits. */
    atomic_thread_fence(memory_order_seq_cst);
    for (BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(bs); bitmap;
         bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        if (done && end > atomic_load_explicit(&bitmap->size, memory_order_relaxed)) {
            grow_to(bitmap, ROUND_UP(end, (int64_t)BDRV_SECTOR_SIZE));
        }
        if (atomic_load_explicit(&bitmap->enabled, memory_order_relaxed)) {
            set_bits(bitmap, offset, end_of(bitmap, offset, bytes));
        }
    }
}

bool bdrv_has_readonly_bitmaps(BlockDriverState *bs)
{
    for (BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(bs); bitmap;
         bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        if (bdrv_dirty_bitmap_readonly(bitmap)) {
            return true;
        }
    }
    return false;
}

bool bdrv_can_resize_dirty_bitmaps(BlockDriverState *bs, int64_t size, Error **errp)
{
    for (BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(bs); bitmap;
         bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        if (bdrv_dirty_bitmap_check(bitmap, BDRV_BITMAP_BUSY, errp) < 0 ||
            (bitmap->charged && check_room(bs, bits_for(size, bitmap->granularity_bits),
                                           bitmap->charged, errp) == 0)) {
            return false;
        }
    }
    return true;
}

void bdrv_resize_dirty_bitmaps(BlockDriverState *bs, int64_t size)
{
    for (BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(bs); bitmap;
         bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        uint64_t old = n_bits(bitmap), bits = bits_for(size, bitmap->granularity_bits);

        atomic_store(&bitmap->size, size);
        atomic_store(&bitmap->changed, true);
        if (bits < old) {
            dirty_bits_reset(&bitmap->bits, bits, old);
        }
        if (bitmap->charged) {
            charge(bitmap, bits / 8 + sizeof(*bitmap));
        }
    }
}
