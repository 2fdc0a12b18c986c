/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dirty bitmaps that an image keeps.
 *
 * They are loaded when it is opened.  Before its first change, all are marked
 * "in use" on the disk, so that after a crash nobody takes them for current.
 * When it is closed, they are written to new places, with a new directory, and
 * the header's switch to that makes them valid all at once.
 */
#include "drivers/qcow2/qcow2.h"

#include <blkbackend/dirty-bitmap.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

/* Entries of a bitmap's table. */
#define ENTRY_ALL_ONES UINT64_C(1)
#define ENTRY_RESERVED UINT64_C(0xff000000000001fe)

/* ---- tables ---- */

static bool table_entry_is_valid(const Qcow2State *s, uint64_t entry)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    return !(entry & ENTRY_RESERVED) && !(offset && (entry & ENTRY_ALL_ONES)) &&
           !qcow2_in_cluster(s, offset);
}

/* NULL: *err says why. */
static uint64_t *read_table(BlockDriverState *bs, const Qcow2Bitmap *b, int *err)
{
    Qcow2State *s = bdrv_state(bs);
    size_t bytes = b->table_entries * sizeof(uint64_t);
    uint64_t *table = malloc(bytes);

    *err = table ? bdrv_pread(bdrv_file(bs), (int64_t)b->table_offset, (int64_t)bytes, table)
                 : -ENOMEM;
    for (uint32_t i = 0; *err == 0 && i < b->table_entries; i++) {
        table[i] = load_be64(&table[i]);
        *err = table_entry_is_valid(s, table[i]) ? 0 : -EINVAL;
    }
    if (*err < 0) {
        free(table);
        table = NULL;
    }
    return table;
}

static void coroutine_fn free_data(BlockDriverState *bs, const uint64_t *table, uint32_t entries)
{
    Qcow2State *s = bdrv_state(bs);

    for (uint32_t i = 0; i < entries; i++) {
        if (table[i] & QCOW2_OFFSET_MASK) {
            qcow2_change_refcount(bs, (table[i] & QCOW2_OFFSET_MASK) >> s->cluster_bits, 1, -1);
        }
    }
}

/* Gives back what the bitmap took, to which nothing on the disk points any more.  What cannot be
 * read is leaked. */
static void coroutine_fn free_bitmap(BlockDriverState *bs, const Qcow2Bitmap *b)
{
    Qcow2State *s = bdrv_state(bs);
    int err;
    uint64_t *table = read_table(bs, b, &err);

    if (table) {
        free_data(bs, table, b->table_entries);
        qcow2_change_refcount(bs, b->table_offset >> s->cluster_bits,
                              qcow2_clusters_up(s, b->table_entries * sizeof(table[0])), -1);
    }
    free(table);
}

/* Bytes of the disk that a cluster of bits stands for. */
static int64_t bytes_per_cluster(const Qcow2State *s, unsigned granularity_bits)
{
    return (int64_t)((UINT64_C(8) << s->cluster_bits) << granularity_bits);
}

/* ---- loading ---- */

static int load_cluster(BlockDriverState *bs, BdrvDirtyBitmap *bitmap, uint64_t entry, uint8_t *buf,
                        int64_t offset, int64_t bytes)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t host = entry & QCOW2_OFFSET_MASK;
    int ret;

    if (host == 0) {
        return entry & ENTRY_ALL_ONES ? bdrv_dirty_bitmap_deserialize_ones(bitmap, offset, bytes)
                                      : 0;
    }
    ret = bdrv_pread(bdrv_file(bs), (int64_t)host, s->cluster_size, buf);
    return ret < 0 ? ret : bdrv_dirty_bitmap_deserialize_part(bitmap, buf, offset, bytes);
}

static int load_bits(BlockDriverState *bs, const Qcow2Bitmap *b, BdrvDirtyBitmap *bitmap,
                     const uint64_t *table)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t size = bdrv_dirty_bitmap_size(bitmap), step = bytes_per_cluster(s, b->granularity_bits);
    uint8_t *buf = malloc(s->cluster_size);
    int ret = buf ? 0 : -ENOMEM;

    if (b->table_entries != qcow2_bitmap_table_entries(s, b->granularity_bits)) {
        ret = -EINVAL;
    }
    for (uint32_t i = 0; ret == 0 && i < b->table_entries; i++) {
        int64_t offset = i * step;

        ret = load_cluster(bs, bitmap, table[i], buf, offset,
                           size - offset < step ? size - offset : step);
    }
    free(buf);
    return ret;
}

static int load_content(BlockDriverState *bs, const Qcow2Bitmap *b, BdrvDirtyBitmap *bitmap,
                        Error **errp)
{
    int ret;
    uint64_t *table = read_table(bs, b, &ret);

    if (!table) {
        error_setg_errno(errp, -ret, "Could not read bitmap_table table from image for bitmap '%s'",
                         b->name);
        return ret;
    }
    ret = load_bits(bs, b, bitmap, table);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read bitmap '%s' from image", b->name);
    }
    free(table);
    return ret;
}

static int load_bitmap(BlockDriverState *bs, const Qcow2Bitmap *b, Error **errp)
{
    BdrvDirtyBitmap *bitmap = bdrv_create_dirty_bitmap(bs, UINT32_C(1) << b->granularity_bits,
                                                       b->name, errp);
    int ret = 0;

    if (!bitmap) {
        return -EINVAL;
    }
    bdrv_dirty_bitmap_set_persistence(bitmap, true);
    if (b->flags & QCOW2_BITMAP_IN_USE) {
        bdrv_dirty_bitmap_set_inconsistent(bitmap);
    } else {
        ret = load_content(bs, b, bitmap, errp);
    }
    if (!(b->flags & QCOW2_BITMAP_AUTO)) {
        bdrv_disable_dirty_bitmap(bitmap);
    }
    bdrv_dirty_bitmap_set_changed(bitmap, false);
    return ret;
}

int qcow2_load_dirty_bitmaps(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = s->hdr.nb_bitmaps > 0 ? qcow2_read_bitmap_directory(bs, errp) : 0;

    for (uint32_t i = 0; ret == 0 && i < s->bitmap_count; i++) {
        ret = load_bitmap(bs, &s->bitmaps[i], errp);
    }
    return ret;
}

/* ---- limits ---- */

static bool check_constraints(BlockDriverState *bs, const char *name, uint32_t granularity,
                              Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    unsigned bits = (unsigned)__builtin_ctz(granularity);
    uint64_t entries;

    if (bits < QCOW2_MIN_BITMAP_GRANULARITY_BITS) {
        error_setg(errp, "Granularity is under minimum (%u bytes)",
                   1u << QCOW2_MIN_BITMAP_GRANULARITY_BITS);
        return false;
    }
    entries = qcow2_bitmap_table_entries(s, bits);
    if (entries > QCOW2_MAX_BITMAP_TABLE ||
        entries << s->cluster_bits > QCOW2_MAX_BITMAP_BYTES) {
        error_setg(errp, "Too much space will be occupied by the bitmap. Use larger granularity");
        return false;
    }
    if (strlen(name) > BDRV_BITMAP_MAX_NAME_SIZE) {
        error_setg(errp, "Name length exceeds maximum (%u characters)", BDRV_BITMAP_MAX_NAME_SIZE);
        return false;
    }
    return true;
}

/* Room for one more beside those that are there or will be. */
static bool check_directory(BlockDriverState *bs, const char *name, Error **errp)
{
    uint64_t bytes = qcow2_bitmap_entry_bytes(strlen(name));
    uint32_t count = 1;

    for (BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(bs); b; b = bdrv_dirty_bitmap_next(b)) {
        if (bdrv_dirty_bitmap_get_persistence(b)) {
            bytes += qcow2_bitmap_entry_bytes(strlen(bdrv_dirty_bitmap_name(b)));
            count++;
        }
    }
    if (count > QCOW2_MAX_BITMAPS) {
        error_setg(errp, "Maximum number of persistent bitmaps is already reached");
    } else if (bytes > QCOW2_MAX_BITMAP_DIRECTORY) {
        error_setg(errp, "Not enough space in the bitmap directory");
    } else {
        return true;
    }
    return false;
}

bool qcow2_supports_persistent_dirty_bitmap(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);

    return s->hdr.version >= 3;
}

bool qcow2_can_store_new_dirty_bitmap(BlockDriverState *bs, const char *name, uint32_t granularity,
                                      Error **errp)
{
    Error *err = NULL;

    if (bdrv_find_dirty_bitmap(bs, name)) {
        error_setg(errp, "Bitmap already exists: %s", name);
        return false;
    }
    if (!qcow2_supports_persistent_dirty_bitmap(bs)) {
        error_setg(&err, "Cannot store dirty bitmaps in qcow2 v2 files");
    } else if (check_constraints(bs, name, granularity, &err)) {
        check_directory(bs, name, &err);
    }
    if (err) {
        error_prepend(&err, "Can't make bitmap '%s' persistent in '%s': ", name,
                      bdrv_get_node_name(bs));
        error_propagate(errp, err);
        return false;
    }
    return true;
}

int qcow2_check_bitmaps_resize(BlockDriverState *bs, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    for (uint32_t i = 0; i < s->bitmap_count; i++) {
        BdrvDirtyBitmap *bitmap = bdrv_find_dirty_bitmap(bs, s->bitmaps[i].name);

        if (!bitmap) {
            error_setg(errp, "Cannot resize qcow2 with persistent bitmaps that were not loaded "
                       "into memory");
            return -ENOTSUP;
        }
        if (bdrv_dirty_bitmap_check(bitmap, BDRV_BITMAP_DEFAULT, errp) < 0) {
            return -ENOTSUP;
        }
    }
    return 0;
}

/* ---- storing ---- */

static int coroutine_fn write_cluster(BlockDriverState *bs, const void *buf, uint64_t *entry)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t first, got;
    int ret = qcow2_alloc_clusters(bs, 1, &first, &got);

    if (ret == 0) {
        *entry = first << s->cluster_bits;
        ret = bdrv_pwrite(bdrv_file(bs), (int64_t)*entry, s->cluster_size, buf);
    }
    return ret;
}

/* Clusters with a bit in them get a place; the table's other entries stay 0. */
static int coroutine_fn store_bits(BlockDriverState *bs, const BdrvDirtyBitmap *bitmap,
                                   uint64_t *table, unsigned granularity_bits)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t size = bdrv_dirty_bitmap_size(bitmap), step = bytes_per_cluster(s, granularity_bits);
    int64_t offset = 0;
    uint8_t *buf = malloc(s->cluster_size);
    int ret = buf ? 0 : -ENOMEM;

    while (ret == 0 &&
           (offset = bdrv_dirty_bitmap_next_dirty(bitmap, offset, size - offset)) >= 0) {
        int64_t start = offset / step * step, end = size - start < step ? size : start + step;

        memset(buf, 0, s->cluster_size);
        bdrv_dirty_bitmap_serialize_part(bitmap, buf, start, end - start);
        ret = write_cluster(bs, buf, &table[start / step]);
        offset = end;
    }
    free(buf);
    return ret;
}

static int coroutine_fn store_table(BlockDriverState *bs, const uint64_t *table, uint32_t entries,
                                    uint64_t *offset)
{
    Qcow2State *s = bdrv_state(bs);
    size_t bytes = entries * sizeof(table[0]);
    uint64_t clusters = qcow2_clusters_up(s, bytes), first, *disk = malloc(bytes);
    int ret = disk ? qcow2_alloc_table(bs, clusters, &first) : -ENOMEM;

    if (ret == 0) {
        for (uint32_t i = 0; i < entries; i++) {
            store_be64(&disk[i], table[i]);
        }
        *offset = first << s->cluster_bits;
        ret = bdrv_pwrite(bdrv_file(bs), (int64_t)*offset, (int64_t)bytes, disk);
        if (ret < 0) {
            qcow2_change_refcount(bs, first, clusters, -1);
        }
    }
    free(disk);
    return ret;
}

/* The bitmap's content to a new place, which *b then names. */
static int coroutine_fn store_bitmap(BlockDriverState *bs, const BdrvDirtyBitmap *bitmap,
                                     Qcow2Bitmap *b)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t entries, *table;
    int ret;

    b->granularity_bits = (uint8_t)__builtin_ctz(bdrv_dirty_bitmap_granularity(bitmap));
    entries = qcow2_bitmap_table_entries(s, b->granularity_bits);
    table = calloc(entries, sizeof(table[0]));
    ret = table ? store_bits(bs, bitmap, table, b->granularity_bits) : -ENOMEM;
    if (ret == 0) {
        ret = store_table(bs, table, (uint32_t)entries, &b->table_offset);
    }
    if (ret < 0 && table) {
        free_data(bs, table, (uint32_t)entries);
    }
    free(table);
    b->table_entries = (uint32_t)entries;
    b->flags = bdrv_dirty_bitmap_enabled(bitmap) ? QCOW2_BITMAP_AUTO : 0;
    return ret;
}

/* ---- all of them ---- */

/* The next directory: the entries that stay, and those of new bitmaps. */
typedef struct NextDirectory {
    Qcow2Bitmap *bitmaps;
    BdrvDirtyBitmap **content;          /* of each: to be stored; NULL: stays as it is */
    uint32_t count, old_count;
} NextDirectory;

static void free_next(NextDirectory *next)
{
    qcow2_free_bitmaps(next->bitmaps, next->count);
    free(next->content);
}

static bool is_to_be_stored(const BdrvDirtyBitmap *bitmap)
{
    return bdrv_dirty_bitmap_get_persistence(bitmap) && !bdrv_dirty_bitmap_inconsistent(bitmap) &&
           !bdrv_dirty_bitmap_readonly(bitmap);
}

static int copy_entry(Qcow2Bitmap *to, const Qcow2Bitmap *from)
{
    *to = *from;
    to->name = strdup(from->name);
    return to->name ? 0 : -ENOMEM;
}

static int compare_pointers(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;

    return (x > y) - (x < y);
}

/* Those of old entries, sorted to find out quickly who has none. */
static BdrvDirtyBitmap **sorted_content(const NextDirectory *next)
{
    BdrvDirtyBitmap **sorted = malloc((next->old_count + 1) * sizeof(sorted[0]));

    if (sorted && next->old_count > 0) {
        memcpy(sorted, next->content, next->old_count * sizeof(sorted[0]));
        qsort(sorted, next->old_count, sizeof(sorted[0]), compare_pointers);
    }
    return sorted;
}

static int add_new_entries(BlockDriverState *bs, NextDirectory *next)
{
    BdrvDirtyBitmap **sorted = sorted_content(next);
    int ret = sorted ? 0 : -ENOMEM;

    for (BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(bs); b && ret == 0;
         b = bdrv_dirty_bitmap_next(b)) {
        if (is_to_be_stored(b) &&
            !bsearch(&b, sorted, next->old_count, sizeof(sorted[0]), compare_pointers)) {
            Qcow2Bitmap entry = { .name = (char *)bdrv_dirty_bitmap_name(b) };

            next->content[next->count] = b;
            ret = copy_entry(&next->bitmaps[next->count++], &entry);
        }
    }
    free(sorted);
    return ret;
}

static uint32_t count_bitmaps(BlockDriverState *bs)
{
    uint32_t count = 0;

    for (BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(bs); b; b = bdrv_dirty_bitmap_next(b)) {
        count++;
    }
    return count;
}

static int plan_directory(BlockDriverState *bs, NextDirectory *next)
{
    const Qcow2State *s = bdrv_state(bs);
    size_t room = (size_t)s->bitmap_count + count_bitmaps(bs) + 1;
    int ret = 0;

    next->bitmaps = calloc(room, sizeof(next->bitmaps[0]));
    next->content = calloc(room, sizeof(next->content[0]));
    if (!next->bitmaps || !next->content) {
        return -ENOMEM;
    }
    next->old_count = s->bitmap_count;
    for (uint32_t i = 0; i < s->bitmap_count && ret == 0; i++) {
        BdrvDirtyBitmap *b = bdrv_find_dirty_bitmap(bs, s->bitmaps[i].name);

        next->content[i] = b && is_to_be_stored(b) ? b : NULL;
        ret = copy_entry(&next->bitmaps[next->count++], &s->bitmaps[i]);
    }
    return ret < 0 ? ret : add_new_entries(bs, next);
}

static int coroutine_fn store_content(BlockDriverState *bs, NextDirectory *next, uint32_t *stored,
                                      Error **errp)
{
    for (uint32_t i = 0; i < next->count; i++) {
        Qcow2Bitmap *b = &next->bitmaps[i];
        int ret = 0;

        if (next->content[i] &&
            !check_constraints(bs, b->name, bdrv_dirty_bitmap_granularity(next->content[i]),
                               errp)) {
            error_prepend(errp, "Bitmap '%s' doesn't satisfy the constraints: ", b->name);
            ret = -EINVAL;
        } else if (next->content[i]) {
            ret = store_bitmap(bs, next->content[i], b);
            if (ret < 0) {
                error_setg_errno(errp, -ret, "Failed to write bitmap '%s' to file", b->name);
            }
        }
        if (ret < 0) {
            return ret;
        }
        *stored = i + 1;
    }
    return 0;
}

/* Frees what `from` has and the other directory does not need: the places of what was stored. */
static void coroutine_fn free_stored(BlockDriverState *bs, const NextDirectory *next,
                                     const Qcow2Bitmap *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (next->content[i]) {
            free_bitmap(bs, &from[i]);
        }
    }
}

static int coroutine_fn store_planned(BlockDriverState *bs, NextDirectory *next, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Bitmap *old = s->bitmaps;
    uint32_t stored = 0;
    int ret = store_content(bs, next, &stored, errp);

    if (ret == 0) {
        ret = qcow2_write_bitmap_directory(bs, next->bitmaps, next->count, errp);
    }
    if (ret < 0) {
        if (!atomic_load(&s->broken)) {
            free_stored(bs, next, next->bitmaps, stored);
        }
        return ret;
    }
    free_stored(bs, next, old, next->old_count);
    for (uint32_t i = 0; i < next->count; i++) {
        if (next->content[i]) {
            bdrv_dirty_bitmap_set_changed(next->content[i], false);
        }
    }
    s->bitmaps = next->bitmaps;
    s->bitmap_count = next->count;
    next->bitmaps = old;
    next->count = next->old_count;
    atomic_store(&s->must_prepare, true);
    return 0;
}

/* Whether the disk lacks something that memory has. */
static bool must_store(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);
    bool prepared = !atomic_load(&s->must_prepare);

    for (BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(bs); b; b = bdrv_dirty_bitmap_next(b)) {
        if (is_to_be_stored(b) && (prepared || bdrv_dirty_bitmap_changed(b))) {
            return true;
        }
    }
    return false;
}

int coroutine_fn qcow2_co_store_dirty_bitmaps(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    NextDirectory next = { 0 };
    Error *err = NULL;
    int ret = 0;

    if (!must_store(bs)) {
        return 0;
    }
    ret = qcow2_prepare_write(bs);
    if (ret == 0) {
        qemu_co_mutex_lock(&s->lock);
        ret = plan_directory(bs, &next);
        if (ret == 0) {
            ret = store_planned(bs, &next, &err);
        }
        qemu_co_mutex_unlock(&s->lock);
    }
    free_next(&next);
    if (ret < 0 && !err) {
        error_setg_errno(&err, -ret, "Could not store the bitmaps");
    }
    error_propagate(errp, err);
    return ret;
}

/* ---- removing one ---- */

static int coroutine_fn remove_at(BlockDriverState *bs, uint32_t index, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Bitmap removed = s->bitmaps[index];
    uint32_t rest = s->bitmap_count - index - 1;
    int ret;

    memmove(&s->bitmaps[index], &s->bitmaps[index + 1], rest * sizeof(removed));
    ret = qcow2_write_bitmap_directory(bs, s->bitmaps, s->bitmap_count - 1, errp);
    if (ret < 0) {
        memmove(&s->bitmaps[index + 1], &s->bitmaps[index], rest * sizeof(removed));
        s->bitmaps[index] = removed;
        return ret;
    }
    s->bitmap_count--;
    free_bitmap(bs, &removed);
    free(removed.name);
    return 0;
}

int coroutine_fn qcow2_co_remove_persistent_dirty_bitmap(BlockDriverState *bs, const char *name,
                                                         Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t index = 0;
    int ret;

    while (index < s->bitmap_count && strcmp(s->bitmaps[index].name, name) != 0) {
        index++;
    }
    if (index == s->bitmap_count) {
        return 0;                       /* never stored, or removed before */
    }
    ret = qcow2_prepare_write(bs);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not remove bitmap '%s'", name);
        return ret;
    }
    qemu_co_mutex_lock(&s->lock);
    ret = remove_at(bs, index, errp);
    qemu_co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- describing ---- */

QObject *qcow2_bitmaps_info(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);
    json_t *list = s->bitmap_count > 0 ? json_array() : NULL;

    for (uint32_t i = 0; list && i < s->bitmap_count; i++) {
        const Qcow2Bitmap *b = &s->bitmaps[i];
        json_t *flags = json_array();

        if (b->flags & QCOW2_BITMAP_IN_USE) {
            json_array_append_new(flags, json_string("in-use"));
        }
        if (b->flags & QCOW2_BITMAP_AUTO) {
            json_array_append_new(flags, json_string("auto"));
        }
        json_array_append_new(list, json_pack("{s:o, s:s%, s:I}", "flags", flags, "name", b->name,
                                              strlen(b->name), "granularity",
                                              (json_int_t)1 << b->granularity_bits));
    }
    return list;
}
