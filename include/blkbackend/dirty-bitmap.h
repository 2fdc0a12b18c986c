/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dirty bitmaps: which parts of a disk were written to since a moment in time.
 *
 * A bitmap belongs to a node.  While it is enabled, each write, write of zeroes
 * and discard sets the bits of what it touches, before the request completes,
 * also if it fails.  A persistent bitmap is kept in the image itself, where the
 * format can; an inconsistent one was not stored when the image was last closed:
 * it can only be removed.  A bitmap covers the node's whole length and follows
 * it: what is new begins clean.
 *
 * Main-loop thread only, but where it says otherwise; requests may go on
 * meanwhile.  Offsets and sizes are bytes.  A bitmap lives until it is released,
 * or the node loses its medium.
 */
#ifndef BLKBACKEND_DIRTY_BITMAP_H
#define BLKBACKEND_DIRTY_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct BdrvDirtyBitmap BdrvDirtyBitmap;

#define BDRV_BITMAP_MAX_NAME_SIZE 1023

/* ---- life ---- */

/* Enabled and clean.  granularity: bytes that a bit stands for, a power of two from 512 on.
 * name: NULL (none), or unique on the node.  NULL: refused, errp says why. */
BdrvDirtyBitmap *bdrv_create_dirty_bitmap(BlockDriverState *bs, uint32_t granularity,
                                          const char *name, Error **errp);
/* Does not touch what the image holds of it.  It must be neither busy nor iterated over. */
void bdrv_release_dirty_bitmap(BdrvDirtyBitmap *bitmap);
/* NULL: there is none of that name. */
BdrvDirtyBitmap *bdrv_find_dirty_bitmap(BlockDriverState *bs, const char *name);
/* All of a node, the newest first; NULL ends. */
BdrvDirtyBitmap *bdrv_dirty_bitmap_first(BlockDriverState *bs);
BdrvDirtyBitmap *bdrv_dirty_bitmap_next(BdrvDirtyBitmap *bitmap);
bool bdrv_has_named_bitmaps(BlockDriverState *bs);
/* The cluster size, within 4 KiB and 64 KiB. */
uint32_t bdrv_get_default_bitmap_granularity(BlockDriverState *bs);

/* ---- what it is like (any thread while the bitmap lives) ---- */

const char *bdrv_dirty_bitmap_name(const BdrvDirtyBitmap *bitmap);   /* NULL: none */
uint32_t bdrv_dirty_bitmap_granularity(const BdrvDirtyBitmap *bitmap);
int64_t bdrv_dirty_bitmap_size(const BdrvDirtyBitmap *bitmap);       /* of the disk */
bool bdrv_dirty_bitmap_enabled(const BdrvDirtyBitmap *bitmap);
bool bdrv_dirty_bitmap_get_persistence(const BdrvDirtyBitmap *bitmap);
bool bdrv_dirty_bitmap_inconsistent(const BdrvDirtyBitmap *bitmap);
bool bdrv_dirty_bitmap_readonly(const BdrvDirtyBitmap *bitmap);
bool bdrv_dirty_bitmap_busy(const BdrvDirtyBitmap *bitmap);

typedef enum {
    BDRV_BITMAP_BUSY = 1,
    BDRV_BITMAP_RO = 2,
    BDRV_BITMAP_INCONSISTENT = 4,
} BitmapCheckFlags;
#define BDRV_BITMAP_DEFAULT (BDRV_BITMAP_BUSY | BDRV_BITMAP_RO | BDRV_BITMAP_INCONSISTENT)
#define BDRV_BITMAP_ALLOW_RO (BDRV_BITMAP_BUSY | BDRV_BITMAP_INCONSISTENT)

/* -1 and errp if it is in one of these states. */
int bdrv_dirty_bitmap_check(const BdrvDirtyBitmap *bitmap, uint32_t flags, Error **errp);

/* ---- changing it; who does has checked that it is not read-only or inconsistent ---- */

void bdrv_enable_dirty_bitmap(BdrvDirtyBitmap *bitmap);
void bdrv_disable_dirty_bitmap(BdrvDirtyBitmap *bitmap);
/* Somebody relies on it: others leave it alone. */
void bdrv_dirty_bitmap_set_busy(BdrvDirtyBitmap *bitmap, bool busy);
/* Writes to a node with such a bitmap fail (-EPERM). */
void bdrv_dirty_bitmap_set_readonly(BdrvDirtyBitmap *bitmap, bool readonly);
/* Ask bdrv_can_store_new_dirty_bitmap() first. */
void bdrv_dirty_bitmap_set_persistence(BdrvDirtyBitmap *bitmap, bool persistent);
/* For good; it no longer records. */
void bdrv_dirty_bitmap_set_inconsistent(BdrvDirtyBitmap *bitmap);

/* [any thread] All that [offset, offset + bytes) touches becomes dirty; or, of what lies in it as
 * a whole, clean. */
void bdrv_set_dirty_bitmap(BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes);
void bdrv_reset_dirty_bitmap(BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes);
void bdrv_clear_dirty_bitmap(BdrvDirtyBitmap *bitmap);
/* What is dirty in src becomes so in dest, of this or another node of the same length, whatever
 * their granularities.  false and errp: they do not fit, or must not be used. */
bool bdrv_merge_dirty_bitmap(BdrvDirtyBitmap *dest, const BdrvDirtyBitmap *src, Error **errp);

/* ---- reading it (any thread while the bitmap lives) ---- */

bool bdrv_dirty_bitmap_get(const BdrvDirtyBitmap *bitmap, int64_t offset);
/* Bytes: bits set, times the granularity. */
int64_t bdrv_get_dirty_count(const BdrvDirtyBitmap *bitmap);
/* The first byte of [offset, offset + bytes) that is dirty, or clean; -1: none. */
int64_t bdrv_dirty_bitmap_next_dirty(const BdrvDirtyBitmap *bitmap, int64_t offset,
                                     int64_t bytes);
int64_t bdrv_dirty_bitmap_next_zero(const BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes);
/* The first dirty area in [start, end), of at most max_dirty_count bytes. */
bool bdrv_dirty_bitmap_next_dirty_area(const BdrvDirtyBitmap *bitmap, int64_t start, int64_t end,
                                       int64_t max_dirty_count, int64_t *dirty_start,
                                       int64_t *dirty_count);
/* Whether offset is dirty; *count: so many bytes, at most `bytes`, are the same. */
bool bdrv_dirty_bitmap_status(const BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes,
                              int64_t *count);

typedef struct BdrvDirtyBitmapIter BdrvDirtyBitmapIter;
BdrvDirtyBitmapIter *bdrv_dirty_iter_new(BdrvDirtyBitmap *bitmap);
void bdrv_dirty_iter_free(BdrvDirtyBitmapIter *iter);          /* NULL is fine */
int64_t bdrv_dirty_iter_next(BdrvDirtyBitmapIter *iter);     /* the next dirty granule; -1: none */
void bdrv_set_dirty_iter(BdrvDirtyBitmapIter *iter, int64_t offset);   /* goes on from there */

/* ---- persistence ---- */

bool bdrv_supports_persistent_dirty_bitmap(BlockDriverState *bs);
/* Whether the image could keep one more; false: errp says why not. */
bool bdrv_can_store_new_dirty_bitmap(BlockDriverState *bs, const char *name, uint32_t granularity,
                                     Error **errp);
/* Removes it from the image, if it is there; the one in memory stays.  0 or -errno. */
int bdrv_remove_persistent_dirty_bitmap(BlockDriverState *bs, const char *name, Error **errp);

/* For drivers that store bitmaps: bits from offset on, a multiple of 64 granularities; the first
 * is the lowest of the first byte; whole groups of 8 bytes. */
void bdrv_dirty_bitmap_serialize_part(const BdrvDirtyBitmap *bitmap, uint8_t *buf, int64_t offset,
                                      int64_t bytes);
/* Sets what is set there; ones: all.  0 or -ENOMEM. */
int bdrv_dirty_bitmap_deserialize_part(BdrvDirtyBitmap *bitmap, const uint8_t *buf, int64_t offset,
                                       int64_t bytes);
int bdrv_dirty_bitmap_deserialize_ones(BdrvDirtyBitmap *bitmap, int64_t offset, int64_t bytes);
/* Whether it was changed other than by requests since it was loaded or stored. */
bool bdrv_dirty_bitmap_changed(const BdrvDirtyBitmap *bitmap);
void bdrv_dirty_bitmap_set_changed(BdrvDirtyBitmap *bitmap, bool changed);

#ifdef __cplusplus
}
#endif
#endif
