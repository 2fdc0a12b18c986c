/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The format qcow2, inside its driver.
 *
 *     guest offset ─▶ L1 table (memory) ─▶ L2 table (cached in slices) ─▶ host cluster
 *     host cluster ─▶ refcount table (memory) ─▶ refcount block (cached) ─▶ how often it is used
 *
 * Locks.  `lock` serialises whatever changes metadata, and their I/O.  Who only
 * looks a mapping up takes `map_lock`, for a few instructions; who changes what
 * is looked up (L1 table, L2 slices) holds both.  Data I/O runs under neither.
 *
 * Order on disk, kept by qcow2_write_back(): refcount blocks, then the refcount
 * table; then L2 slices, which point to counted clusters whose data is there;
 * then the L1 table; each step behind a flush of the ones before.  A cluster that
 * nothing points to any more is given back only when that is on the disk, and
 * when no request that had looked it up is still at it (reclaim.c).
 */
#ifndef BLKBACKEND_QCOW2_H
#define BLKBACKEND_QCOW2_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/image.h>

#define QCOW2_MAGIC 0x514649fbu

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_L1_BYTES (32u << 20)
#define QCOW2_MAX_REFTABLE_BYTES (8u << 20)
#define QCOW2_MAX_SNAPSHOTS 65536u
#define QCOW2_MAX_BACKING_NAME 1023u
#define QCOW2_SNAPSHOT_FIXED 40u        /* bytes that every entry of their table begins with */

/* Bits of the header's three sets of features. */
#define QCOW2_INCOMPAT_DIRTY (UINT64_C(1) << 0)
#define QCOW2_INCOMPAT_CORRUPT (UINT64_C(1) << 1)
#define QCOW2_INCOMPAT_DATA_FILE (UINT64_C(1) << 2)
#define QCOW2_INCOMPAT_COMPRESSION (UINT64_C(1) << 3)
#define QCOW2_INCOMPAT_EXTL2 (UINT64_C(1) << 4)
#define QCOW2_INCOMPAT_KNOWN UINT64_C(0x1f)
#define QCOW2_COMPAT_LAZY_REFCOUNTS (UINT64_C(1) << 0)
#define QCOW2_AUTOCLEAR_BITMAPS (UINT64_C(1) << 0)
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW (UINT64_C(1) << 1)

/* Where the header's fields are. */
#define QCOW2_HDR_SIZE 24
#define QCOW2_HDR_L1 36                 /* entries, offset */
#define QCOW2_HDR_REFTABLE 48           /* offset, clusters */
#define QCOW2_HDR_SNAPSHOTS 60          /* number, offset of their table */
#define QCOW2_HDR_INCOMPAT 72
#define QCOW2_HDR_COMPAT 80
#define QCOW2_HDR_AUTOCLEAR 88
#define QCOW2_V2_HDR_LEN 72u
#define QCOW2_V3_HDR_LEN 104u
#define QCOW2_FULL_HDR_LEN 112u         /* with all fields that we know */

/* What follows the fixed fields. */
#define QCOW2_EXT_END 0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES 0x6803f857u
#define QCOW2_EXT_BITMAPS 0x23852875u
#define QCOW2_EXT_DATA_FILE 0x44415441u
#define QCOW2_EXT_BITMAPS_LEN 24u

/* Entries of the L1 and L2 tables, and of the refcount table. */
#define QCOW2_COPIED (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_ZERO UINT64_C(1)
#define QCOW2_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define QCOW2_REFTABLE_MASK UINT64_C(0xfffffffffffffe00)
#define QCOW2_L1_RESERVED UINT64_C(0x7f000000000001ff)
#define QCOW2_L2_RESERVED UINT64_C(0x3f000000000001fe)     /* not of compressed clusters */

/* Metadata that writes are kept off, as bits of overlap_check. */
#define QCOW2_OL_MAIN_HEADER 0x001u
#define QCOW2_OL_ACTIVE_L1 0x002u
#define QCOW2_OL_ACTIVE_L2 0x004u
#define QCOW2_OL_REFCOUNT_TABLE 0x008u
#define QCOW2_OL_REFCOUNT_BLOCK 0x010u
#define QCOW2_OL_SNAPSHOT_TABLE 0x020u
#define QCOW2_OL_INACTIVE_L1 0x040u
#define QCOW2_OL_INACTIVE_L2 0x080u
#define QCOW2_OL_BITMAP_DIRECTORY 0x100u
#define QCOW2_OL_CONSTANT (QCOW2_OL_MAIN_HEADER | QCOW2_OL_ACTIVE_L1 | QCOW2_OL_REFCOUNT_TABLE | \
                           QCOW2_OL_SNAPSHOT_TABLE | QCOW2_OL_BITMAP_DIRECTORY)
#define QCOW2_OL_CACHED (QCOW2_OL_CONSTANT | QCOW2_OL_ACTIVE_L2 | QCOW2_OL_REFCOUNT_BLOCK | \
                         QCOW2_OL_INACTIVE_L1)
#define QCOW2_OL_ALL (QCOW2_OL_CACHED | QCOW2_OL_INACTIVE_L2)

enum { QCOW2_COMPRESSION_ZLIB, QCOW2_COMPRESSION_ZSTD };

/* The header, in the host's byte order. */
typedef struct Qcow2Header {
    uint32_t version;
    uint32_t cluster_bits;
    uint64_t size;                      /* bytes */
    uint32_t l1_size;                   /* entries */
    uint64_t l1_offset;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    uint32_t nb_snapshots;
    uint64_t snapshots_offset;
    uint64_t incompatible;
    uint64_t compatible;
    uint64_t autoclear;
    uint32_t refcount_order;
    uint32_t header_length;
    uint32_t compression;
    char *backing_file;                 /* NULL: none */
    char *backing_format;
    char *data_file;
    uint32_t nb_bitmaps;                /* 0: the header has no such extension */
    uint64_t bitmap_directory_bytes, bitmap_directory_offset;
    /* Kept as they are when the header is written anew. */
    uint8_t *unknown_fields;            /* behind those that we know */
    uint32_t unknown_fields_len;
    uint8_t *unknown_extensions;        /* as they are on disk, one behind the other */
    uint32_t unknown_extensions_len;
} Qcow2Header;

/* ---- cache.c ---- */

/* One cached piece of metadata: an L2 slice or a refcount block. */
typedef struct Qcow2Table {
    uint64_t offset;                    /* in the file; 0: empty */
    uint8_t *data;                      /* as on disk; allocated on first use */
    bool dirty;
    atomic_bool used;                   /* since the clock hand last passed */
    uint32_t next;                      /* in its hash chain: index + 1, 0 ends it */
} Qcow2Table;

typedef struct Qcow2Cache {
    uint32_t table_size;                /* bytes of one */
    uint32_t count, filled, hand;
    uint32_t hash_bits;
    uint32_t *hash;                     /* index + 1 of the first, 0: none */
    Qcow2Table *tables;
    uint32_t dirty;                     /* how many are */
    pthread_mutex_t *map_lock;          /* held to change it; NULL: nobody looks without `lock` */
    unsigned area;                      /* QCOW2_OL_*: what these are a part of */
} Qcow2Cache;

/* ---- mapping ---- */

typedef enum {
    QCOW2_UNALLOCATED,                  /* the backing file decides */
    QCOW2_UNALLOCATED_HOST,             /* a subcluster of that kind in a cluster that has room */
    QCOW2_ZERO_PLAIN,
    QCOW2_ZERO_HOST,                    /* reads as zeroes, but has room */
    QCOW2_NORMAL,
    QCOW2_COMPRESSED_CLUSTER,
    QCOW2_INVALID,
} Qcow2Type;

/* A part of the guest's disk that is of one kind and lies in one piece. */
typedef struct Qcow2Extent {
    Qcow2Type type;
    bool writable;                      /* nobody else uses these host clusters */
    uint64_t host;                      /* of the first byte; compressed: the L2 entry */
    int64_t bytes;
} Qcow2Extent;

/* What a request in flight holds on the clusters that it has looked up; -1: nothing. */
typedef int Qcow2Pin;

/* Guest clusters that a request is giving a place: others wait until it is done. */
typedef struct Qcow2Allocation {
    uint64_t first, count;              /* guest clusters */
    CoQueue waiters;
    LIST_ENTRY(Qcow2Allocation) link;
} Qcow2Allocation;

/* Why clusters become free: options say in which cases their space goes back to the file. */
typedef enum {
    QCOW2_DISCARD_NEVER,                /* they will soon be used again */
    QCOW2_DISCARD_REQUEST,              /* the guest wants it */
    QCOW2_DISCARD_SNAPSHOT,             /* a snapshot goes */
    QCOW2_DISCARD_OTHER,
    QCOW2_DISCARD_ALWAYS,
    QCOW2_DISCARD__MAX,
} Qcow2Discard;

/* Host clusters that are out of use, but not yet to be used again. */
typedef struct Qcow2Freed {
    uint64_t first, count;              /* host clusters */
    unsigned epoch;
    Qcow2Discard discard;
} Qcow2Freed;

/* Where tables are, in a hash table of host clusters. */
typedef struct Qcow2Guard {
    uint64_t *entries;                  /* cluster, and QCOW2_OL_* bits; 0: none */
    uint32_t bits, count;
    bool built, overfull;
    /* When it was built; others: it has to be built anew. */
    const uint64_t *l1, *reftable;
    uint64_t snapshots_offset;
    uint32_t nb_snapshots;
} Qcow2Guard;

/* ---- bitmaps ---- */

#define QCOW2_MAX_BITMAPS 65535u
#define QCOW2_BITMAP_ENTRY 24u          /* bytes that every entry of the directory begins with */
#define QCOW2_MAX_BITMAP_DIRECTORY (1024u * QCOW2_MAX_BITMAPS)   /* bytes */
#define QCOW2_MAX_BITMAP_TABLE (UINT32_C(1) << 27)              /* entries */
#define QCOW2_MAX_BITMAP_BYTES (UINT64_C(1) << 29)
#define QCOW2_MIN_BITMAP_GRANULARITY_BITS 9
#define QCOW2_MAX_BITMAP_GRANULARITY_BITS 31

#define QCOW2_BITMAP_IN_USE 1u          /* what is stored is not current */
#define QCOW2_BITMAP_AUTO 2u            /* enabled */

/* An entry of the bitmap directory. */
typedef struct Qcow2Bitmap {
    char *name;
    uint64_t table_offset;
    uint32_t table_entries;
    atomic_uint flags;                /* changed under the lock; described without */
    uint8_t granularity_bits;
} Qcow2Bitmap;

/* An entry of the snapshot table, kept as it is on disk. */
typedef struct Qcow2Snapshot {
    uint64_t l1_offset;
    uint32_t l1_size;                   /* entries */
    uint32_t bytes;                     /* of raw: the entry without padding */
    uint8_t *raw;
} Qcow2Snapshot;

typedef struct Qcow2State {
    Qcow2Header hdr;                    /* fixed, but for lock: tables' places, size, features */
    uint32_t cluster_bits, cluster_size;
    uint32_t l2_entry_bits;             /* log2 of bytes of an entry: 3 or 4 */
    uint32_t l2_bits, slice_bits;       /* log2 of entries of an L2 table, of a slice */
    uint32_t subclusters, subcluster_bits, subcluster_size;
    uint32_t refblock_bits;             /* log2 of entries of a refcount block */
    uint64_t refcount_max;
    BlockDriverState *data_file;        /* where the guest's data are */
    bool external;                      /* and that is not the file itself */
    bool lazy_zero;                     /* what is beyond the file's end reads as zeroes */

    CoMutex lock;
    pthread_mutex_t map_lock;
    atomic_bool reported;               /* found corrupt, and said so */
    atomic_bool broken;                 /* and must not be written to any more */
    atomic_bool refused;                /* nor be read from: it is marked as corrupt */
    atomic_bool dirty;                  /* a flush has work to do */
    atomic_bool must_prepare;           /* the first write has to clear autoclear bits, and mark
                                           bitmaps as in use */
    atomic_int sparse;                  /* whether clusters in use are holes of the file: 1 yes,
                                           0 no, -1 nobody has asked yet */

    unsigned overlap_check;             /* QCOW2_OL_*; fixed */
    bool pass_discard[QCOW2_DISCARD__MAX];  /* fixed */
    Qcow2Guard guard;                   /* lock and map_lock */
    QEMUTimer *clean_timer;      /* cache-clean.c; NULL: never */
    int64_t clean_interval;             /* s */

    uint64_t *l1;                       /* hdr.l1_size entries; lock and map_lock */
    uint32_t l1_dirty_from, l1_dirty_to;
    Qcow2Cache l2_cache;

    uint64_t *reftable;                 /* lock */
    uint32_t reftable_size;             /* entries */
    uint32_t reftable_dirty_from, reftable_dirty_to;
    bool reftable_checked;
    Qcow2Cache refcount_cache;

    uint64_t free_hint;                 /* no free host cluster below it */
    uint64_t fresh_from;                /* host clusters from here on were never written to */
    uint64_t compressed_tail;           /* where the next compressed data may go; 0: nowhere */
    LIST_HEAD(, Qcow2Allocation) allocations;

    unsigned epoch;                     /* map_lock */
    atomic_uint pinned[2];              /* requests of an even and of an odd epoch; raised under
                                           map_lock */
    Qcow2Freed *freed;
    uint32_t freed_count, freed_room;
    uint64_t freed_clusters;

    bool switching;                     /* between qcow2_switch_begin and its end; lock */
    uint64_t snapshots_bytes;           /* of the snapshot table */
    Qcow2Snapshot *snapshots;           /* hdr.nb_snapshots; lock */

    Qcow2Bitmap *bitmaps;               /* the directory as the disk has it; lock */
    uint32_t bitmap_count;
} Qcow2State;

/* ---- header.c ---- */

int qcow2_read_header(BlockDriverState *bs, Qcow2Header *hdr, Error **errp);
void qcow2_free_header(Qcow2Header *hdr);
/* Writes `bytes` bytes of the header and flushes. */
int qcow2_update_header(BlockDriverState *bs, uint32_t offset, const void *buf, uint32_t bytes);
int qcow2_set_incompatible(BlockDriverState *bs, uint64_t bits);
int qcow2_clear_incompatible(BlockDriverState *bs, uint64_t bits);
int qcow2_clear_autoclear(BlockDriverState *bs, uint64_t keep);

/* ---- header-write.c ---- */

/* The header as it is on disk, into a buffer of a cluster; false: it does not fit. */
bool qcow2_lay_out_header(uint8_t *buf, uint32_t size, const Qcow2Header *hdr);
/* Lays all of s->hdr anew into the first cluster, and flushes.  -ENOSPC: it does not fit, nothing
 * was written.  lock */
int coroutine_fn qcow2_write_header(BlockDriverState *bs, Error **errp);
int coroutine_fn qcow2_co_change_backing_file(BlockDriverState *bs, const char *filename,
                                              const char *format, Error **errp);

/* ---- cache.c; all but find under lock ---- */

int qcow2_cache_init(Qcow2Cache *c, uint32_t table_size, uint64_t bytes, unsigned area,
                     pthread_mutex_t *map_lock);
void qcow2_cache_destroy(Qcow2Cache *c);
/* The table at `offset` if it is cached; under map_lock or lock. */
Qcow2Table *qcow2_cache_find(Qcow2Cache *c, uint64_t offset);
/* Valid until the next call for this cache. */
int coroutine_fn qcow2_cache_get(BlockDriverState *bs, Qcow2Cache *c, uint64_t offset,
                                 Qcow2Table **table);
/* As get, but of a place whose old content is of no interest: all zeroes, dirty. */
int coroutine_fn qcow2_cache_new(BlockDriverState *bs, Qcow2Cache *c, uint64_t offset,
                                 Qcow2Table **table);
void qcow2_cache_dirty(BlockDriverState *bs, Qcow2Cache *c, Qcow2Table *table);
/* Forgets what is cached of [offset, offset + bytes), dirty or not; or all of it. */
void qcow2_cache_forget(Qcow2Cache *c, uint64_t offset, uint64_t bytes);
void qcow2_cache_forget_all(Qcow2Cache *c);
/* Gives back the memory of what is as on the disk, and was not used since the last time. */
void qcow2_cache_clean(Qcow2Cache *c);
int coroutine_fn qcow2_cache_write(BlockDriverState *bs, Qcow2Cache *c);

/* ---- write-back.c ---- */

/* All metadata to the file, in order; what was written last is not yet flushed.  lock */
int coroutine_fn qcow2_write_back(BlockDriverState *bs);
/* As well gives back what is out of use; flushes only if there is something.  lock */
int coroutine_fn qcow2_write_back_and_reclaim(BlockDriverState *bs);
/* Entries [from, to) of a table of 64-bit numbers. */
int coroutine_fn qcow2_write_entries(BlockDriverState *bs, uint64_t table_offset,
                                     const uint64_t *entries, uint32_t from, uint32_t to);
int coroutine_fn qcow2_flush_data(BlockDriverState *bs);
int coroutine_fn qcow2_co_flush_to_os(BlockDriverState *bs);

/* ---- cluster.c ---- */

/* What [offset, offset + *) is, at most `bytes`.  Pins what it refers to. */
int coroutine_fn qcow2_map(BlockDriverState *bs, int64_t offset, int64_t bytes, Qcow2Extent *ext,
                           Qcow2Pin *pin);
/* The same while holding lock, without a pin. */
int coroutine_fn qcow2_map_locked(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  Qcow2Extent *ext);
/* The same without lock, where it is known without I/O; else false. */
bool qcow2_map_quick(Qcow2State *s, int64_t offset, int64_t bytes, Qcow2Extent *ext,
                     Qcow2Pin *pin);
/* The slice of guest cluster `index`, to change it: the L2 table is made or copied if it must
 * be.  *entry: its place in there.  lock */
int coroutine_fn qcow2_get_slice(BlockDriverState *bs, uint64_t index, Qcow2Table **slice,
                                 uint32_t *entry);
uint64_t qcow2_slice_get(const Qcow2State *s, const Qcow2Table *slice, uint32_t entry,
                         uint64_t *bitmap);
/* lock */
void qcow2_slice_set(BlockDriverState *bs, Qcow2Table *slice, uint32_t entry, uint64_t value,
                     uint64_t bitmap);
/* lock */
void qcow2_set_l1(BlockDriverState *bs, uint64_t index, uint64_t value);
/* Of a whole cluster without subclusters, or of one subcluster. */
Qcow2Type qcow2_entry_type(const Qcow2State *s, uint64_t entry, uint64_t bitmap, uint32_t sub);
/* Whether an entry that is not compressed has a place, used or not. */
bool qcow2_entry_has_place(const Qcow2State *s, uint64_t entry);
/* Where the compressed data of an entry are. */
void qcow2_compressed_place(const Qcow2State *s, uint64_t entry, uint64_t *offset,
                            uint32_t *bytes);

/* ---- refcount.c; lock ---- */

/* Entry i of a refcount block, or of anything kept like one. */
uint64_t qcow2_count_get(const uint8_t *block, uint64_t i, uint32_t order);
void qcow2_count_set(uint8_t *block, uint64_t i, uint32_t order, uint64_t value);

int coroutine_fn qcow2_get_refcount(BlockDriverState *bs, uint64_t cluster, uint64_t *count);
int coroutine_fn qcow2_change_refcount(BlockDriverState *bs, uint64_t first, uint64_t count,
                                       int change);
/* Before the first search for free clusters: every block is listed but once.  Otherwise a small
 * file could make the search as long as it likes; so its length is that of the file. */
int coroutine_fn qcow2_check_reftable(BlockDriverState *bs);
/* In a block that is not cached. */
void qcow2_refblock_set(const Qcow2State *s, uint8_t *block, uint64_t cluster, uint64_t count);
/* Sees to it that there is a refcount block for the host cluster. */
int coroutine_fn qcow2_ensure_refblock(BlockDriverState *bs, uint64_t cluster);
/* Makes the block that entry `index` of the refcount table lacks, in a free cluster. */
int coroutine_fn qcow2_new_refblock(BlockDriverState *bs, uint64_t cluster, uint64_t index);

/* ---- alloc.c; lock ---- */

/* Up to `want` host clusters in one piece; counts them once. */
int coroutine_fn qcow2_alloc_clusters(BlockDriverState *bs, uint64_t want, uint64_t *first,
                                      uint64_t *got);
/* All of `count` host clusters in one piece; counts them once. */
int coroutine_fn qcow2_alloc_table(BlockDriverState *bs, uint64_t count, uint64_t *first);
/* Room for compressed data; may share a cluster with others. */
int coroutine_fn qcow2_alloc_bytes(BlockDriverState *bs, uint32_t bytes, uint64_t *offset);
/* Waits until nobody else is giving a place to one of these guest clusters; drops and retakes
 * lock meanwhile, and is then true. */
bool coroutine_fn qcow2_wait_allocations(Qcow2State *s, uint64_t first, uint64_t count);
/* How many of these guest clusters, from the first on, nobody is giving a place to. */
uint64_t qcow2_unallocating_run(Qcow2State *s, uint64_t first, uint64_t count);
void qcow2_begin_allocation(Qcow2State *s, Qcow2Allocation *a, uint64_t first, uint64_t count);
void qcow2_end_allocation(Qcow2Allocation *a);

/* ---- reclaim.c ---- */

void qcow2_unpin(Qcow2State *s, Qcow2Pin pin);
/* Host clusters that nothing in memory points to any more.  lock */
void qcow2_free_later(Qcow2State *s, uint64_t first, uint64_t count, Qcow2Discard discard);
/* What the L2 entry of a guest cluster pointed to.  lock */
void qcow2_free_entry_later(Qcow2State *s, uint64_t entry, Qcow2Discard discard);
/* So much is out of use that it should not wait for the next flush.  lock */
bool qcow2_reclaim_is_due(const Qcow2State *s);
/* Gives back what may be; all of it was unmapped on disk.  lock */
int coroutine_fn qcow2_reclaim(BlockDriverState *bs);

/* ---- overlap.c ---- */

/* Whether `bytes` bytes at `offset` of the file are surely free of metadata; quick.  false: not,
 * or it takes a closer look.  map_lock or lock */
bool qcow2_is_data_area(const Qcow2State *s, uint64_t offset, uint64_t bytes);
/* What metadata there is, except for the areas to ignore; NULL: none.  lock */
const char *qcow2_find_overlap(BlockDriverState *bs, unsigned ignore, uint64_t offset,
                               uint64_t bytes);
/* Whether one of them surely is metadata, whatever writes are kept off; lock, or no request in
 * flight. */
bool qcow2_hits_metadata(Qcow2State *s, uint64_t offset, uint64_t bytes);
/* These two: -EIO, after marking the image as corrupt, where metadata would be overwritten: by
 * data or something new, by a table of the kind `area`.  lock */
int coroutine_fn qcow2_check_new_area(BlockDriverState *bs, uint64_t offset, uint64_t bytes);
int coroutine_fn qcow2_check_table_write(BlockDriverState *bs, unsigned area, uint64_t offset,
                                         uint64_t bytes);
/* There is a table now at offset.  lock */
void qcow2_note_table(Qcow2State *s, uint64_t offset, unsigned area);
/* Tables have come or gone that nobody noted.  lock */
void qcow2_forget_metadata_places(Qcow2State *s);
/* The image contradicts itself: says so, marks it, and stops all requests if it is writable. */
int coroutine_fn qcow2_corrupt(BlockDriverState *bs, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- io.c ---- */

int coroutine_fn qcow2_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, int flags);
int coroutine_fn qcow2_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                   BlockMapping *map);
/* A vector of `bytes` bytes of qiov, from its byte `skip` on; destroy it. */
void qcow2_piece_init(QEMUIOVector *piece, QEMUIOVector *qiov, size_t skip, size_t bytes);
/* Reads into a buffer what the guest would see. */
int coroutine_fn qcow2_read_guest(BlockDriverState *bs, int64_t offset, int64_t bytes, void *buf);

/* ---- write.c ---- */

int coroutine_fn qcow2_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  QEMUIOVector *qiov, int flags);
/* Before the first change of an image; 0, or why it cannot be changed. */
int coroutine_fn qcow2_prepare_write(BlockDriverState *bs);

/* ---- zero.c ---- */

int coroutine_fn qcow2_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        int flags);
int coroutine_fn qcow2_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes);
int coroutine_fn qcow2_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       int64_t *pnum, int64_t *map, BlockDriverState **file);
/* Guest clusters [first, end) as if they had never been written; or reading as zeroes. */
int coroutine_fn qcow2_drop_clusters(BlockDriverState *bs, uint64_t first, uint64_t end);
int coroutine_fn qcow2_zero_clusters(BlockDriverState *bs, uint64_t first, uint64_t end);

/* ---- compress.c ---- */

bool qcow2_can_compress(uint32_t compression);
int coroutine_fn qcow2_read_compressed(BlockDriverState *bs, uint64_t entry, uint8_t *cluster);
int coroutine_fn qcow2_co_pwritev_compressed(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                             QEMUIOVector *qiov);

/* ---- options.c ---- */

/* What is checked and passed on, and how often caches are cleaned. */
int qcow2_take_options(BlockDriverState *bs, QDict *options, int flags, Error **errp);
int qcow2_open_caches(BlockDriverState *bs, QDict *options, Error **errp);
int qcow2_open_data_file(BlockDriverState *bs, QDict *options, int flags, Error **errp);

/* ---- cache-clean.c ---- */

/* From now on gives back the memory of what was not used for clean_interval. */
void qcow2_start_cleaning(BlockDriverState *bs, AioContext *ctx);
void qcow2_stop_cleaning(BlockDriverState *bs);

/* ---- check.c ---- */

int coroutine_fn qcow2_co_check(BlockDriverState *bs, BdrvCheckResult *result, int fix,
                                BdrvReportFunc *report, void *opaque);
/* Of an image that was not closed properly: mends it as check would, and says that it was. */
int qcow2_mend_dirty(BlockDriverState *bs, Error **errp);

/* ---- info.c ---- */

int qcow2_get_info(BlockDriverState *bs, BlockDriverInfo *info);
QDict *qcow2_get_specific_info(BlockDriverState *bs, Error **errp);

/* ---- switch.c: from one state of the image to another in one step; lock, drained ---- */

/*
 * Between begin and end, counts of clusters are changed in copies of the refcount
 * blocks, and all else that changes is written to new places.  One write to the
 * header's first sector then makes it the image; before it, or if it does not come
 * to that, the image is what it was.
 */
typedef struct Qcow2Switch {
    uint64_t *old_reftable;
    uint32_t old_reftable_size;
    uint64_t area, area_clusters;       /* of the copies and their table; */
    uint64_t blocks, table_clusters;    /* so much of it is used */
    uint64_t free_hint, compressed_tail;
    uint64_t *reserved;                 /* clusters for copies of L2 tables */
    uint64_t reserved_count;
    Qcow2Freed *freed;                  /* to be discarded afterwards */
    uint32_t freed_count, freed_room;
    /* What the image is to be from then on. */
    Qcow2Header hdr;
    uint64_t *l1;                       /* hdr.l1_size */
    Qcow2Snapshot *snapshots;           /* hdr.nb_snapshots; NULL: those that there are */
    uint64_t snapshots_bytes;
} Qcow2Switch;

/* room: clusters that will be allocated, at most. */
int coroutine_fn qcow2_switch_begin(BlockDriverState *bs, Qcow2Switch *sw, uint64_t room);
/* ret < 0: as if nothing had happened.  Else it takes over sw->l1 and sw->snapshots; returns ret or
 * why it failed. */
int coroutine_fn qcow2_switch_end(BlockDriverState *bs, Qcow2Switch *sw, int ret);
/* Clusters that are allocated now, although they may be needed only later, or not at all. */
int coroutine_fn qcow2_switch_reserve(BlockDriverState *bs, Qcow2Switch *sw, uint64_t count);
/* A reserved cluster, or another one. */
int coroutine_fn qcow2_switch_cluster(BlockDriverState *bs, Qcow2Switch *sw, uint64_t *cluster);
/* One user less; nothing may be allocated after the first of these. */
int coroutine_fn qcow2_switch_drop(BlockDriverState *bs, Qcow2Switch *sw, uint64_t first,
                                   uint64_t count);
/* A table of 64-bit numbers in new clusters; entries 0: at 0. */
int coroutine_fn qcow2_switch_write_table(BlockDriverState *bs, const uint64_t *table,
                                          uint32_t entries, uint64_t *offset);

/* Writes what of the header differs between two states of the image: size, L1, refcount table,
 * snapshots; after a failure the image is not written to any more. */
int coroutine_fn qcow2_switch_header(BlockDriverState *bs, const Qcow2Header *hdr);

/* ---- empty.c ---- */

int coroutine_fn qcow2_co_make_empty(BlockDriverState *bs, Error **errp);

/* ---- tree.c: an L1 table with all that it refers to; lock ---- */

/* One L2 table in memory. */
typedef struct Qcow2Tree {
    uint8_t *l2;                        /* a cluster, as on disk */
    uint64_t *clusters;                 /* host clusters that it refers to, in order */
    uint32_t count;
} Qcow2Tree;

int qcow2_tree_init(BlockDriverState *bs, Qcow2Tree *t);
void qcow2_tree_free(Qcow2Tree *t);
/* The L1 table of a snapshot. */
int coroutine_fn qcow2_tree_read_l1(BlockDriverState *bs, const Qcow2Snapshot *sn, uint64_t **l1);
/* The L2 table at an L1 entry; -EIO if it cannot be one. */
int coroutine_fn qcow2_tree_read_l2(BlockDriverState *bs, Qcow2Tree *t, uint64_t l1_entry);
/* One user more of clusters that are in use. */
int coroutine_fn qcow2_share_clusters(BlockDriverState *bs, uint64_t first, uint64_t count);
/* One user more of all that the table refers to. */
int coroutine_fn qcow2_tree_share(BlockDriverState *bs, const Qcow2Tree *t);
/* One user less of all that the L1 table refers to. */
int coroutine_fn qcow2_tree_drop(BlockDriverState *bs, Qcow2Tree *t, const uint64_t *l1,
                                 uint32_t entries, Qcow2Switch *sw);
/* Entries no longer say that nobody else uses their clusters; true: one did. */
bool qcow2_tree_clear_copied(BlockDriverState *bs, Qcow2Tree *t);
/* Entries say so that did not, although it is true; 1: there were some. */
int coroutine_fn qcow2_tree_set_copied(BlockDriverState *bs, Qcow2Tree *t);
/* The L2 table as it is in memory now, to this cluster. */
int coroutine_fn qcow2_tree_write_l2(BlockDriverState *bs, const Qcow2Tree *t, uint64_t cluster);

/* ---- snapshot.c: their table ---- */

int qcow2_read_snapshots(BlockDriverState *bs, Error **errp);
void qcow2_free_snapshots(Qcow2Snapshot *list, uint32_t count);
/* After the table has changed on the disk; without the snapshots where it is damaged. */
int qcow2_reload_snapshots(BlockDriverState *bs);
/* All of them in new clusters; bytes: how long the table is. */
int coroutine_fn qcow2_write_snapshots(BlockDriverState *bs, const Qcow2Snapshot *list,
                                       uint32_t count, uint64_t *offset, uint64_t *bytes);
void qcow2_snapshot_info(BlockDriverState *bs, const Qcow2Snapshot *sn, QEMUSnapshotInfo *info);
/* The index of the one with this id; -ENOENT. */
int qcow2_find_snapshot(BlockDriverState *bs, const char *id);
int qcow2_snapshot_list(BlockDriverState *bs, QEMUSnapshotInfo **list);
/* 0, or why there can be none: -ENOTSUP. */
int qcow2_check_can_snapshot(BlockDriverState *bs, Error **errp);

/* ---- snapshot-create.c, snapshot-goto.c, snapshot-delete.c ---- */

int coroutine_fn qcow2_co_snapshot_create(BlockDriverState *bs, QEMUSnapshotInfo *info,
                                          Error **errp);
int coroutine_fn qcow2_co_snapshot_goto(BlockDriverState *bs, const char *id, Error **errp);
int coroutine_fn qcow2_co_snapshot_load_tmp(BlockDriverState *bs, const char *id, Error **errp);
int coroutine_fn qcow2_co_snapshot_delete(BlockDriverState *bs, const char *id, Error **errp);

/* ---- vmstate.c ---- */

/* Where it lies among the guest's clusters: multiple of what an L2 table maps. */
uint64_t qcow2_vmstate_offset(const Qcow2State *s);
int coroutine_fn qcow2_co_save_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos);
int coroutine_fn qcow2_co_load_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos);

/* ---- bitmap-directory.c ---- */

/* What the header says of bitmaps; forgotten if it is not to be trusted. */
int qcow2_check_bitmaps_extension(BlockDriverState *bs, Error **errp);
int qcow2_read_bitmap_directory(BlockDriverState *bs, Error **errp);
void qcow2_free_bitmaps(Qcow2Bitmap *bitmaps, uint32_t count);
uint64_t qcow2_bitmap_entry_bytes(uint64_t name_len);
/* Clusters with the bits of a bitmap of the whole disk. */
uint64_t qcow2_bitmap_table_entries(const Qcow2State *s, unsigned granularity_bits);
/* On the disk, before the first change; flushes.  lock */
int coroutine_fn qcow2_mark_bitmaps_in_use(BlockDriverState *bs);
/* A new directory takes the place of the old one, which is freed; all that it refers to must have
 * been written, but need not be flushed.  lock */
int coroutine_fn qcow2_write_bitmap_directory(BlockDriverState *bs, const Qcow2Bitmap *bitmaps,
                                              uint32_t count, Error **errp);

/* ---- bitmap.c ---- */

bool qcow2_supports_persistent_dirty_bitmap(BlockDriverState *bs);
bool qcow2_can_store_new_dirty_bitmap(BlockDriverState *bs, const char *name, uint32_t granularity,
                                      Error **errp);
int qcow2_load_dirty_bitmaps(BlockDriverState *bs, Error **errp);
int coroutine_fn qcow2_co_store_dirty_bitmaps(BlockDriverState *bs, Error **errp);
int coroutine_fn qcow2_co_remove_persistent_dirty_bitmap(BlockDriverState *bs, const char *name,
                                                         Error **errp);
/* Whether the disk's size may change. */
int qcow2_check_bitmaps_resize(BlockDriverState *bs, Error **errp);
/* What `info` shows: a list of {"flags", "name", "granularity"}; NULL: there are none. */
QObject *qcow2_bitmaps_info(BlockDriverState *bs);

/* ---- resize.c ---- */

int coroutine_fn qcow2_co_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                                   Error **errp);
/* Moves the L1 table to where it has room for so many entries, more than it has.  lock */
int coroutine_fn qcow2_grow_l1(BlockDriverState *bs, uint64_t entries);
/* Entries that an L1 table needs for a disk of `bytes`. */
uint64_t qcow2_l1_entries(const Qcow2State *s, uint64_t bytes);

/* ---- preallocate.c ---- */

/* Gives guest clusters [first, end) that have none a place, which reads as zeroes. */
int coroutine_fn qcow2_preallocate(BlockDriverState *bs, uint64_t first, uint64_t end,
                                   PreallocMode mode, Error **errp);

/* ---- create-options.c ---- */

extern const BdrvOption qcow2_create_options[];
/* What options say of a new image, as far as it does not depend on its layout; the strings are
 * lent. */
int qcow2_parse_create_options(const QDict *options, Qcow2Header *hdr, PreallocMode *prealloc,
                               Error **errp);
int qcow2_parse_compat(const char *word, uint32_t *version, Error **errp);
/* The few that matter for what an image takes; some of the words differ, as they do in QEMU. */
int qcow2_parse_measure_options(const QDict *options, Qcow2Header *hdr, PreallocMode *prealloc,
                                Error **errp);

/* ---- layout.c ---- */

/* Where the parts of a new image are, in clusters, one behind the other. */
typedef struct Qcow2Layout {
    uint64_t l1_entries;
    uint64_t reftable, refblocks, l1, l2;           /* first cluster; l2: of all L2 tables */
    uint64_t data;                                  /* and what is behind the metadata */
    uint64_t total;
} Qcow2Layout;

/* l2_tables: all, or none; data_clusters: beside them.  -EFBIG: the L1 table would be too large. */
int qcow2_lay_out(const Qcow2Header *hdr, bool l2_tables, uint64_t data_clusters,
                  Qcow2Layout *layout);

/* ---- create.c ---- */

int qcow2_create(const char *filename, const QDict *options, Error **errp);

/* ---- measure.c ---- */

int qcow2_measure(const QDict *options, BlockDriverState *from, BlockMeasureInfo *info,
                  Error **errp);

/* ---- refcount-width.c ---- */

/* All refcounts with 1 << order bits each; on failure they are what they were. */
int coroutine_fn qcow2_change_refcount_width(BlockDriverState *bs, uint32_t order,
                                             BdrvProgressFunc *progress, void *opaque,
                                             Error **errp);

/* ---- expand-zero.c ---- */

/* No L2 table has marks of zeroes any more. */
int coroutine_fn qcow2_expand_zero_clusters(BlockDriverState *bs, BdrvProgressFunc *progress,
                                            void *opaque);

/* ---- version.c ---- */

int coroutine_fn qcow2_upgrade(BlockDriverState *bs, BdrvProgressFunc *progress, void *opaque,
                               Error **errp);
/* Whether it can be done, with refcounts of that width. */
int qcow2_check_downgrade(BlockDriverState *bs, uint32_t refcount_order, Error **errp);
int coroutine_fn qcow2_downgrade(BlockDriverState *bs, BdrvProgressFunc *progress, void *opaque,
                                 Error **errp);

/* ---- amend.c ---- */

extern const BdrvOption qcow2_amend_options[];
int coroutine_fn qcow2_co_amend(BlockDriverState *bs, const QDict *options, bool force,
                                BdrvProgressFunc *progress, void *opaque, Error **errp);

static inline bool qcow2_has_subclusters(const Qcow2State *s)
{
    return s->subclusters > 1;
}

/* The data file by itself is the disk. */
static inline bool qcow2_is_data_file_raw(const Qcow2State *s)
{
    return s->hdr.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW;
}

static inline uint64_t qcow2_cluster_of(const Qcow2State *s, uint64_t offset)
{
    return offset >> s->cluster_bits;
}

static inline uint64_t qcow2_clusters_up(const Qcow2State *s, uint64_t bytes)
{
    return (bytes + s->cluster_size - 1) >> s->cluster_bits;
}

static inline uint32_t qcow2_in_cluster(const Qcow2State *s, uint64_t offset)
{
    return offset & (s->cluster_size - 1);
}

#endif
