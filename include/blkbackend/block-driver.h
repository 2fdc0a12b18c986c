/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For who writes a block driver: a format (raw, qcow2), a protocol (file,
 * null-co, memory) or a filter.  A driver is one file with one BlockDriver
 * table that registers itself with BLOCK_DRIVER(table).
 *
 * What the graph does for every driver, so that no driver has to:
 * range checks, alignment (offset and bytes of co_ calls are multiples of
 * limits->request_alignment, except that the end may be unaligned at the end
 * of the medium never: lengths are rounded up to it), read-only checks,
 * splitting at max_transfer and max_iov, emulation of FUA and of zero writes, serialising.
 *
 * Threads: co_ callbacks run in any thread, many at once, each in a coroutine
 * of the thread that submitted the request; guard shared metadata with the
 * locks of <blkbackend/coroutine.h>.  open, close, limits, truncate, attach
 * and detach run in the main thread with no request in flight.
 * Errors: negative errno; setup paths also fill errp.
 */
#ifndef BLKBACKEND_BLOCK_DRIVER_H
#define BLKBACKEND_BLOCK_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <blkbackend/aio.h>
#include <blkbackend/coroutine.h>
#include <blkbackend/error.h>
#include <blkbackend/iov.h>
#include <blkbackend/qdict.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct BlockDriverState BlockDriverState;

typedef struct BlockSizes {
    uint32_t phys;   /* bytes */
    uint32_t log;    /* bytes */
} BlockSizes;

typedef struct HDGeometry {
    uint32_t heads;
    uint32_t sectors;
    uint32_t cylinders;
} HDGeometry;

typedef enum {
    BDRV_REQ_COPY_ON_READ   = 0x1,   /* internal: this read also fills the node */
    BDRV_REQ_ZERO_WRITE     = 0x2,   /* internal: write zeroes, no buffer */
    BDRV_REQ_MAY_UNMAP      = 0x4,   /* zero write may deallocate what then reads as zeroes */
    BDRV_REQ_NO_SERIALISING = 0x8,   /* internal: read without waiting for serialising requests */
    BDRV_REQ_FUA            = 0x10,  /* on stable storage before it completes */
    BDRV_REQ_WRITE_COMPRESSED = 0x20,/* as blk_write_compressed(), any number of units */
    BDRV_REQ_NO_FALLBACK    = 0x100, /* zero write: fail with -ENOTSUP rather than write data */
} BdrvRequestFlags;

/* What block status says about a range (bits). */
#define BDRV_BLOCK_DATA         0x01  /* reads come from stored data */
#define BDRV_BLOCK_ZERO         0x02  /* reads as zeroes */
#define BDRV_BLOCK_OFFSET_VALID 0x04  /* *map is where in *file the data lies */
#define BDRV_BLOCK_RAW          0x08  /* ask *file at *map instead (pass-through drivers) */
#define BDRV_BLOCK_ALLOCATED    0x10  /* this node decides the content, not its backing file */
#define BDRV_BLOCK_EOF          0x20  /* the range ends at the end of the node */
#define BDRV_BLOCK_RECURSE      0x40  /* a driver's: may be a hole of *file, which is to be asked */
#define BDRV_BLOCK_COMPRESSED   0x80

/* All in bytes.  A driver sets what it needs in bdrv_refresh_limits; 0 keeps the default. */
typedef struct BlockLimits {
    uint32_t request_alignment;        /* power of two; the graph raises it to 512 at least */
    int64_t max_transfer;              /* most bytes a call; 0: no limit */
    int64_t opt_transfer;              /* preferred multiple; 0: none */
    int max_iov;                       /* most vector elements; 0: IOV_MAX */
    size_t min_mem_alignment;          /* buffers less aligned than this are bounced; 0: 1 */
    size_t opt_mem_alignment;          /* what bdrv_opt_mem_align() answers; 0: page size */
    int64_t pwrite_zeroes_alignment;   /* 0: request_alignment */
    int64_t max_pwrite_zeroes;         /* 0: no limit */
    int64_t pdiscard_alignment;        /* 0: request_alignment */
    int64_t max_pdiscard;              /* 0: no limit */
} BlockLimits;

/* Read-only view of a medium's own memory, see blk_co_map_read() and bdrv_co_map_read.  The kernel
 * may read it (EFAULT if it went away); user space must not touch it unless it is `stable`. */
typedef struct BlockMapping {
    const void *data;                        /* as many bytes as were asked for */
    void (*release)(struct BlockMapping *);  /* any thread; for blk_unmap() */
    void *opaque;                            /* the driver's */
    bool stable;                             /* private memory: cannot vanish under the reader */
} BlockMapping;

/* How much of the space that an image grows by is taken at once. */
typedef enum {
    PREALLOC_MODE_OFF,
    PREALLOC_MODE_METADATA,
    PREALLOC_MODE_FALLOC,
    PREALLOC_MODE_FULL,
    PREALLOC_MODE__MAX,
} PreallocMode;
/* Its word on a command line, and back; -EINVAL: not one of them. */
const char *prealloc_mode_name(PreallocMode mode);
int prealloc_mode_parse(const char *word, PreallocMode *mode);

/* <blkbackend/image.h> has these. */
typedef struct BdrvOption BdrvOption;
typedef struct BdrvCheckResult BdrvCheckResult;
typedef struct BlockMeasureInfo BlockMeasureInfo;
typedef struct BlockDriverInfo BlockDriverInfo;
typedef struct QEMUSnapshotInfo QEMUSnapshotInfo;
typedef void BdrvReportFunc(void *opaque, const char *line);
typedef void BdrvProgressFunc(void *opaque, int64_t done, int64_t total);

typedef struct BlockDriver BlockDriver;
struct BlockDriver {
    const char *format_name;     /* value of the option "driver" */
    const char *protocol_name;   /* "proto" of "proto:rest"; NULL for formats */
    /* Other "proto"s that mean it, NULL-terminated, or NULL; bdrv_parse_filename gets such a name
     * whole, with its "proto:". */
    const char *const *other_protocol_names;
    size_t instance_size;        /* bdrv_state(): zeroed before open */
    bool has_file_child;         /* a format or filter: the graph opens its "file" child first */
    const char *file_option;     /* another name of its option ("image"); NULL: "file" only */
    bool is_passthrough;         /* one offset here is one offset there: limits, alignment and
                                    serialising are the file child's business (raw) */
    bool is_filter;              /* shows what its file child holds, byte for byte, unless one of
                                    content_options was given */
    /* Options by which a node shows something else than its file's name says: these names, and
     * "name.*"; NULL-terminated, or NULL. */
    const char *const *content_options;
    bool has_variable_length;    /* length may change behind our back: asked each time */
    bool supports_backing;

    /* Formats: 0..100, how sure this driver is that the first bytes are its format. */
    int (*bdrv_probe)(const uint8_t *buf, int buf_size, const char *filename);
    /* Protocols: 0..100, how sure that filename (a path) is one of its devices. */
    int (*bdrv_probe_device)(const char *filename);
    /* Protocols: turns "rest of the name" into options; absent: sets "filename". */
    void (*bdrv_parse_filename)(const char *filename, QDict *options, Error **errp);

    /* Deletes from options what it consumed.  The file child is already open. */
    int (*bdrv_open)(BlockDriverState *bs, QDict *options, int flags, Error **errp);
    void (*bdrv_close)(BlockDriverState *bs);
    void (*bdrv_refresh_limits)(BlockDriverState *bs, BlockLimits *limits, Error **errp);

    int64_t coroutine_fn (*bdrv_co_getlength)(BlockDriverState *bs);  /* bytes */
    int64_t (*bdrv_get_allocated_file_size)(BlockDriverState *bs);    /* bytes on the host */
    bool (*bdrv_has_zero_init)(BlockDriverState *bs);                 /* new areas read as zeroes */

    /* Reads past the end give zeroes.  flags: BdrvRequestFlags; FUA comes only with native_fua. */
    int coroutine_fn (*bdrv_co_preadv)(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       QEMUIOVector *qiov, int flags);
    int coroutine_fn (*bdrv_co_pwritev)(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        QEMUIOVector *qiov, int flags);
    bool native_fua;             /* pwritev and pwrite_zeroes honour BDRV_REQ_FUA */
    bool native_no_fallback;     /* pwrite_zeroes honours BDRV_REQ_NO_FALLBACK: -ENOTSUP if slow */
    /* -ENOTSUP: the graph writes a zeroed buffer instead. flags: MAY_UNMAP, FUA; NO_FALLBACK comes
     * only with native_no_fallback. */
    int coroutine_fn (*bdrv_co_pwrite_zeroes)(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                              int flags);
    int coroutine_fn (*bdrv_co_pdiscard)(BlockDriverState *bs, int64_t offset, int64_t bytes);
    /* Bytes that copy-on-read fills at once; absent: request_alignment. */
    int64_t (*bdrv_get_cluster_size)(BlockDriverState *bs);
    int coroutine_fn (*bdrv_co_flush_to_os)(BlockDriverState *bs);
    int coroutine_fn (*bdrv_co_flush_to_disk)(BlockDriverState *bs);
    int coroutine_fn (*bdrv_co_truncate)(BlockDriverState *bs, int64_t offset,
                                         PreallocMode prealloc, Error **errp);
    unsigned prealloc_modes;     /* 1 << PreallocMode, beside PREALLOC_MODE_OFF */
    /* Status of [offset, offset + *pnum), 0 < *pnum <= bytes; returns bits or -errno. */
    int coroutine_fn (*bdrv_co_block_status)(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                             int64_t *pnum, int64_t *map, BlockDriverState **file);
    /* Lends the medium's memory for reading; -ENOTSUP where there is none: the caller reads. */
    int coroutine_fn (*bdrv_co_map_read)(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                         BlockMapping *map);
    int coroutine_fn (*bdrv_co_pwritev_compressed)(BlockDriverState *bs, int64_t offset,
                                                   int64_t bytes, QEMUIOVector *qiov);
    int coroutine_fn (*bdrv_co_save_vmstate)(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos);
    int coroutine_fn (*bdrv_co_load_vmstate)(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos);
    int coroutine_fn (*bdrv_co_ioctl)(BlockDriverState *bs, unsigned long req, void *buf);
    void coroutine_fn (*bdrv_co_invalidate_cache)(BlockDriverState *bs, Error **errp);
    int (*bdrv_inactivate)(BlockDriverState *bs);
    int coroutine_fn (*bdrv_co_make_empty)(BlockDriverState *bs, Error **errp);

    /* Images as a whole, see <blkbackend/image.h>; the co_ ones run while the node is drained.
     * Options have the types that their table says. */
    const BdrvOption *create_options, *amend_options;
    int (*bdrv_create)(const char *filename, const QDict *options, Error **errp);
    /* Protocols whose files can be made: is there one of that name; deletes it. */
    bool (*bdrv_exists)(const char *filename);
    int (*bdrv_delete)(const char *filename);
    int (*bdrv_measure)(const QDict *options, BlockDriverState *from, BlockMeasureInfo *info,
                        Error **errp);
    int (*bdrv_get_info)(BlockDriverState *bs, BlockDriverInfo *info);
    QDict *(*bdrv_get_specific_info)(BlockDriverState *bs, Error **errp);
    int coroutine_fn (*bdrv_co_check)(BlockDriverState *bs, BdrvCheckResult *result, int fix,
                                      BdrvReportFunc *report, void *opaque);
    int coroutine_fn (*bdrv_co_amend)(BlockDriverState *bs, const QDict *options, bool force,
                                      BdrvProgressFunc *progress, void *opaque, Error **errp);
    int coroutine_fn (*bdrv_co_change_backing_file)(BlockDriverState *bs, const char *filename,
                                                    const char *format, Error **errp);
    int coroutine_fn (*bdrv_co_snapshot_create)(BlockDriverState *bs, QEMUSnapshotInfo *sn,
                                                Error **errp);
    int coroutine_fn (*bdrv_co_snapshot_goto)(BlockDriverState *bs, const char *id, Error **errp);
    int coroutine_fn (*bdrv_co_snapshot_delete)(BlockDriverState *bs, const char *id,
                                                Error **errp);
    int (*bdrv_snapshot_list)(BlockDriverState *bs, QEMUSnapshotInfo **list);
    int coroutine_fn (*bdrv_co_snapshot_load_tmp)(BlockDriverState *bs, const char *id,
                                                  Error **errp);

    /* Bitmaps that the image keeps, see <blkbackend/dirty-bitmap.h>.  load makes those of an image
     * that has been opened; store, before it is closed or becomes read-only, writes what has
     * changed: until then a crash must leave them recognisably inconsistent. */
    bool (*bdrv_supports_persistent_dirty_bitmap)(BlockDriverState *bs);
    bool (*bdrv_can_store_new_dirty_bitmap)(BlockDriverState *bs, const char *name,
                                            uint32_t granularity, Error **errp);
    int coroutine_fn (*bdrv_co_remove_persistent_dirty_bitmap)(BlockDriverState *bs,
                                                               const char *name, Error **errp);
    int (*bdrv_load_dirty_bitmaps)(BlockDriverState *bs, Error **errp);
    int coroutine_fn (*bdrv_co_store_dirty_bitmaps)(BlockDriverState *bs, Error **errp);

    bool (*bdrv_is_inserted)(BlockDriverState *bs);
    void (*bdrv_eject)(BlockDriverState *bs, bool eject_flag);
    void (*bdrv_lock_medium)(BlockDriverState *bs, bool locked);
    int (*bdrv_probe_blocksizes)(BlockDriverState *bs, BlockSizes *bsz);
    int (*bdrv_probe_geometry)(BlockDriverState *bs, HDGeometry *geo);
    void (*bdrv_io_plug)(BlockDriverState *bs);
    void (*bdrv_io_unplug)(BlockDriverState *bs);
    void (*bdrv_detach_aio_context)(BlockDriverState *bs);
    void (*bdrv_attach_aio_context)(BlockDriverState *bs, AioContext *new_context);
    /* Test filters: breakpoints, see blk_debug_breakpoint(). */
    int (*bdrv_debug_breakpoint)(BlockDriverState *bs, const char *event, const char *tag);
    int (*bdrv_debug_remove_breakpoint)(BlockDriverState *bs, const char *tag);
    int (*bdrv_debug_resume)(BlockDriverState *bs, const char *tag);
    bool (*bdrv_debug_is_suspended)(BlockDriverState *bs, const char *tag);
    /* Same object, other flags (read-only <-> read-write, cache bits). */
    int (*bdrv_reopen)(BlockDriverState *bs, int flags, Error **errp);

    const BlockDriver *next;     /* the registry's */
};

/* Main thread, before the first open that needs it; drv stays the caller's, for good. */
void bdrv_register(BlockDriver *drv);
BlockDriver *bdrv_find_format(const char *format_name);   /* or NULL */
/* Iterates all drivers; NULL starts and ends. */
const BlockDriver *bdrv_next_driver(const BlockDriver *drv);

/* Registers a driver when its object is loaded. */
#define BLOCK_DRIVER(table)                                             \
    static void __attribute__((constructor)) register_##table(void) { bdrv_register(&(table)); }

/* ---- what a driver may ask of its node (any thread); strings and nodes are lent ---- */

void *bdrv_state(BlockDriverState *bs);               /* instance_size bytes */
BlockDriverState *bdrv_file(BlockDriverState *bs);    /* file child or NULL */
BlockDriverState *bdrv_backing(BlockDriverState *bs); /* backing child or NULL */
/* All children, from 0 on, those beside file and backing too; NULL: no more. */
BlockDriverState *bdrv_child(BlockDriverState *bs, unsigned i);
const char *bdrv_get_node_name(const BlockDriverState *bs);
const char *bdrv_get_format_name(BlockDriverState *bs);  /* NULL: driverless */
const char *bdrv_filename(BlockDriverState *bs);      /* as given, else its file's, else "" */
int bdrv_get_flags(BlockDriverState *bs);             /* open flags now */
bool bdrv_is_read_only(BlockDriverState *bs);
/* Where the writes that there were since it was opened have ended at most: bytes. */
uint64_t bdrv_get_wr_highest_offset(BlockDriverState *bs);
const BlockLimits *bdrv_limits(BlockDriverState *bs);
size_t bdrv_opt_mem_align(BlockDriverState *bs);      /* bytes: buffers so aligned suit best */
/* Marks the node as a SCSI-generic device (open time only). */
void bdrv_set_sg(BlockDriverState *bs, bool sg);
/* Opens the node read-only although read-write was asked (open time only, with auto-read-only). */
void bdrv_set_read_only(BlockDriverState *bs);
/* What the image's header says about its backing file (open time only): the graph opens it,
 * unless the options name another.  A relative name starts at the image's directory; format may
 * be NULL: guessed. */
void bdrv_set_backing_file(BlockDriverState *bs, const char *filename, const char *format);
/* Takes over the reference to a node that bs has beside its file and its backing file (open time
 * only): it is drained, moved and reopened with bs, and dropped when bs has been closed. */
void bdrv_attach_child(BlockDriverState *bs, BlockDriverState *child);
/* For a driver whose nodes differ in it (open time only); otherwise its native_fua holds. */
void bdrv_set_native_fua(BlockDriverState *bs, bool native_fua);

/* ---- requests to a node (usually the file child); any thread ----
 * Bytes, any alignment; 0 or -errno.  The range is the caller's business: reads past the end give
 * zeroes, writes grow the node if its driver can. */

int coroutine_fn bdrv_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                QEMUIOVector *qiov, int flags);
int coroutine_fn bdrv_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, int flags);
int coroutine_fn bdrv_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       int flags);
int coroutine_fn bdrv_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes);
int coroutine_fn bdrv_co_flush(BlockDriverState *bs);
int coroutine_fn bdrv_co_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                                  Error **errp);
int64_t coroutine_fn bdrv_co_getlength(BlockDriverState *bs);   /* bytes, a multiple of 512 */
/* BDRV_BLOCK_* of this node alone, or -errno; *file is lent. */
int coroutine_fn bdrv_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map, BlockDriverState **file);
int coroutine_fn bdrv_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  BlockMapping *map);
int coroutine_fn bdrv_co_ioctl(BlockDriverState *bs, unsigned long req, void *buf);
/* -ENOTSUP where the node's driver cannot compress. */
int coroutine_fn bdrv_co_pwritev_compressed(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                            QEMUIOVector *qiov);
/* Linear buffers; inside a coroutine in place, outside it they poll (rule R4). 0 or -errno. */
int bdrv_pread(BlockDriverState *bs, int64_t offset, int64_t bytes, void *buf);
int bdrv_pwrite(BlockDriverState *bs, int64_t offset, int64_t bytes, const void *buf);
/* Writes and flushes. */
int bdrv_pwrite_sync(BlockDriverState *bs, int64_t offset, int64_t bytes, const void *buf);
int bdrv_flush(BlockDriverState *bs);
int64_t bdrv_getlength(BlockDriverState *bs);
int bdrv_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc, Error **errp);

/* ---- nodes (main thread) ---- */

void bdrv_ref(BlockDriverState *bs);
void bdrv_unref(BlockDriverState *bs);     /* NULL is fine; the last one closes the node */
/* *pbs NULL: makes a node; else opens the driverless *pbs.  See blk_new_open() for the arguments
 * (options: reference taken over, also on failure).  0 or -errno with errp. */
int bdrv_open(BlockDriverState **pbs, const char *filename, const char *reference,
              QDict *options, int flags, Error **errp);
/* Changes BDRV_O_RDWR and the cache bits to those of flags, for the node and what it opened below
 * it.  -EACCES: not opened to become writable; -EINVAL: the write cache, under a device;
 * -ENOTSUP; or the driver's error.  Then nothing has changed. */
int bdrv_reopen(BlockDriverState *bs, int flags, Error **errp);
/* Copy-on-read: what is read from the backing file is stored in bs too.  Counted; a read-only
 * node does it as soon as it is writable. */
void bdrv_enable_copy_on_read(BlockDriverState *bs);
void bdrv_disable_copy_on_read(BlockDriverState *bs);
BlockDriverState *bdrv_find_node(const char *node_name);     /* or NULL; takes no reference */
/* Every node, those below others too, in the order they were made; NULL starts and ends.  Takes no
 * reference. */
BlockDriverState *bdrv_next_node(BlockDriverState *bs);
AioContext *bdrv_get_aio_context(BlockDriverState *bs);      /* any thread */
/* Between begin and end no request is in flight and none starts; nestable. */
void bdrv_drained_begin(BlockDriverState *bs);
void bdrv_drained_end(BlockDriverState *bs);

/* ---- aligned memory (any thread); the caller frees it ---- */

void *qemu_try_memalign(size_t alignment, size_t size);   /* NULL: no memory; size 0 is fine */
void qemu_vfree(void *ptr);                               /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
