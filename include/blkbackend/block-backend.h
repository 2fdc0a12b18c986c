/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BlockBackend: a disk as its user sees it.
 *
 * Open an image with blk_new_open(), read, write, flush, discard, drop it with
 * blk_unref().  Link with `pkg-config --libs blkbackend`.
 *
 * Units: a sector is 512 bytes, whatever the medium; offsets, lengths and
 * counts are bytes unless the name says sector.  Errors: negative errno.
 *
 * Threads: each section names its class.
 *   G  main-loop thread only (the one that called qemu_init_main_loop()), not in a coroutine
 *   I  any thread; a synchronous call waits in the calling thread, an AIO callback runs in the
 *      backend's AioContext, exactly once and never before the submitting call has returned
 *   C  any thread, inside a coroutine; the request stays in that coroutine's AioContext
 *   A  any thread while the backend cannot be freed under it
 * Callers of class I and C must hold the backend alive (blk_ref(), class G) meanwhile.
 * A broken precondition prints one line and aborts.
 */
#ifndef BLKBACKEND_BLOCK_BACKEND_H
#define BLKBACKEND_BLOCK_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <blkbackend/accounting.h>
#include <blkbackend/aio.h>
#include <blkbackend/block-driver.h>
#include <blkbackend/coroutine.h>
#include <blkbackend/error.h>
#include <blkbackend/iov.h>
#include <blkbackend/notify.h>
#include <blkbackend/qdict.h>
#include <blkbackend/throttle.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- constants ---- */

#define BDRV_SECTOR_BITS 9
#define BDRV_SECTOR_SIZE (1ULL << BDRV_SECTOR_BITS)
#define BDRV_SECTOR_MASK (~(BDRV_SECTOR_SIZE - 1))
#define BDRV_REQUEST_MAX_SECTORS (INT32_MAX >> BDRV_SECTOR_BITS)
/* Largest request: the most whole sectors that an int can count, in bytes. */
#define BDRV_REQUEST_MAX_BYTES ((int64_t)BDRV_REQUEST_MAX_SECTORS << BDRV_SECTOR_BITS)

/* Open flags. */
#define BDRV_O_RDWR          0x0002  /* writable; absent = read-only */
#define BDRV_O_SNAPSHOT      0x0008  /* temporary overlay takes the writes */
#define BDRV_O_TEMPORARY     0x0010  /* delete the file right after opening */
#define BDRV_O_NOCACHE       0x0020  /* bypass the host page cache (O_DIRECT) */
#define BDRV_O_CACHE_WB      0x0040  /* write-back; absent = write-through: each write is flushed */
#define BDRV_O_NATIVE_AIO    0x0080  /* kernel AIO; needs NOCACHE */
#define BDRV_O_NO_BACKING    0x0100  /* do not open the backing file */
#define BDRV_O_NO_FLUSH      0x0200  /* never force data to stable storage */
#define BDRV_O_COPY_ON_READ  0x0400  /* copy what is read from the backing file into this image */
#define BDRV_O_INACTIVE      0x0800  /* another process may own the image; no writes yet */
#define BDRV_O_CHECK         0x1000  /* opened only for a consistency check */
#define BDRV_O_ALLOW_RDWR    0x2000  /* may later be reopened read-write */
#define BDRV_O_UNMAP         0x4000  /* forward discards and unmapping zero writes */
#define BDRV_O_PROTOCOL      0x8000  /* no driver named: a protocol by file name, no probing */
#define BDRV_O_AUTO_RDONLY   0x20000 /* read-only if the file cannot be opened for writing */
#define BDRV_O_FORCE_SHARE   0x40000 /* read-only, while others may write to the image */
#define BDRV_O_CACHE_MASK    (BDRV_O_NOCACHE | BDRV_O_CACHE_WB | BDRV_O_NO_FLUSH)

/* Sets the cache bits of *flags for "none", "off", "writeback", "writethrough",
 * "directsync" or "unsafe"; 0, or -EINVAL for another word.  [any thread] */
int bdrv_parse_cache_mode(const char *mode, int *flags);
/* The same for "ignore"/"off" and "unmap"/"on".  [any thread] */
int bdrv_parse_discard_flags(const char *mode, int *flags);

typedef enum {
    BLOCKDEV_ON_ERROR_REPORT,
    BLOCKDEV_ON_ERROR_IGNORE,
    BLOCKDEV_ON_ERROR_ENOSPC,   /* STOP if the error is ENOSPC, else REPORT */
    BLOCKDEV_ON_ERROR_STOP,
    BLOCKDEV_ON_ERROR_AUTO,     /* blk_set_on_error(): keep the current one */
    BLOCKDEV_ON_ERROR__MAX,
} BlockdevOnError;

typedef enum {
    BLOCK_ERROR_ACTION_IGNORE,
    BLOCK_ERROR_ACTION_REPORT,
    BLOCK_ERROR_ACTION_STOP,
    BLOCK_ERROR_ACTION__MAX,
} BlockErrorAction;

typedef enum {
    BLOCK_DEVICE_IO_STATUS_OK,
    BLOCK_DEVICE_IO_STATUS_FAILED,
    BLOCK_DEVICE_IO_STATUS_NOSPACE,
    BLOCK_DEVICE_IO_STATUS__MAX,
} BlockDeviceIoStatus;

typedef enum {
    BLOCK_OP_TYPE_BACKUP_SOURCE,
    BLOCK_OP_TYPE_BACKUP_TARGET,
    BLOCK_OP_TYPE_CHANGE,
    BLOCK_OP_TYPE_COMMIT_SOURCE,
    BLOCK_OP_TYPE_COMMIT_TARGET,
    BLOCK_OP_TYPE_DATAPLANE,
    BLOCK_OP_TYPE_DRIVE_DEL,
    BLOCK_OP_TYPE_EJECT,
    BLOCK_OP_TYPE_EXTERNAL_SNAPSHOT,
    BLOCK_OP_TYPE_INTERNAL_SNAPSHOT,
    BLOCK_OP_TYPE_INTERNAL_SNAPSHOT_DELETE,
    BLOCK_OP_TYPE_MIRROR_SOURCE,
    BLOCK_OP_TYPE_MIRROR_TARGET,
    BLOCK_OP_TYPE_RESIZE,
    BLOCK_OP_TYPE_STREAM,
    BLOCK_OP_TYPE_REPLACE,
    BLOCK_OP_TYPE_MAX,
} BlockOpType;

typedef enum {
    BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF,
    BLOCKDEV_DETECT_ZEROES_OPTIONS_ON,
    BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP,
    BLOCKDEV_DETECT_ZEROES_OPTIONS__MAX,
} BlockdevDetectZeroesOptions;

/* ---- types ---- */

typedef struct BlockBackend BlockBackend;

/* Callbacks of the attached device; any may be NULL.  The table is not copied. */
typedef struct BlockDevOps {
    void (*change_media_cb)(void *opaque, bool load);   /* its presence means "removable" */
    void (*eject_request_cb)(void *opaque, bool force);
    bool (*is_tray_open)(void *opaque);                 /* its presence means "has a tray" */
    bool (*is_medium_locked)(void *opaque);
    void (*resize_cb)(void *opaque);
} BlockDevOps;

typedef void BlockCompletionFunc(void *opaque, int ret);
typedef struct BlockAIOCB BlockAIOCB;

typedef struct AIOCBInfo {
    void (*cancel_async)(BlockAIOCB *acb);
    AioContext *(*get_aio_context)(BlockAIOCB *acb);    /* required where bs may be NULL */
    size_t aiocb_size;
} AIOCBInfo;

struct BlockAIOCB {
    const AIOCBInfo *aiocb_info;
    BlockDriverState *bs;
    BlockCompletionFunc *cb;
    void *opaque;
    int refcnt;
};

/* One write of blk_aio_multiwrite(). */
typedef struct BlockRequest {
    union {
        struct {
            int64_t sector;
            int nb_sectors;
            int flags;
            QEMUIOVector *qiov;
        };
        struct {
            int req;
            void *buf;
        };
    };
    BlockCompletionFunc *cb;
    void *opaque;
    int error;
} BlockRequest;

/* What an empty BlockBackend remembers of its last medium. */
typedef struct BlockBackendRootState {
    int open_flags;
    bool read_only;
    BlockdevDetectZeroesOptions detect_zeroes;
    char *throttle_group;              /* owned by the BlockBackend */
    ThrottleState *throttle_state;     /* a reference, or NULL */
} BlockBackendRootState;

/* ---- F1..7: creation and references (G) ---- */

/* An empty drive without a name; one reference, the caller's.  Never fails. */
BlockBackend *blk_new(Error **errp);
/* The same with a node as root that has no driver yet: still no medium. */
BlockBackend *blk_new_with_bs(Error **errp);
/* Opens filename (may be NULL; a path, "proto:rest" or "json:{...}") and/or what options say
 * (may be NULL; this reference is taken over, also on failure).  flags: BDRV_O_*.  reference:
 * instead of both, the name of a node, or of a backend whose root to use.  NULL with errp set on
 * error. */
BlockBackend *blk_new_open(const char *filename, const char *reference, QDict *options,
                           int flags, Error **errp);
int blk_get_refcnt(BlockBackend *blk);   /* NULL: 0 */
void blk_ref(BlockBackend *blk);
/* NULL is fine.  The last one waits for the requests in flight, flushes and closes the medium.
 * By then: no name, no device, no notifier (else it aborts). */
void blk_unref(BlockBackend *blk);
/* blk_remove_bs() on every backend that has a root; call it with no context held. */
void blk_remove_all_bs(void);

/* ---- F8..12: names (G) ---- */

const char *blk_name(BlockBackend *blk);          /* "" without one; valid while it has it */
BlockBackend *blk_by_name(const char *name);      /* or NULL; takes no reference */
BlockBackend *blk_next(BlockBackend *blk);        /* iterates the named; NULL starts and ends */
/* Registers blk, which has no name yet, under a copy of name.  Takes NO reference.  False with
 * errp set: ill-formed (a letter, then letters, digits, - . _) or taken by a backend or node. */
bool monitor_add_blk(BlockBackend *blk, const char *name, Error **errp);
void monitor_remove_blk(BlockBackend *blk);       /* drops no reference; no name: no-op */

/* ---- F13..16: root node (G; blk_bs: A) ---- */

BlockDriverState *blk_bs(BlockBackend *blk);      /* or NULL; lent, takes no reference */
/* Notifies, drains, remembers the root state, drops the reference to the root (there is one). */
void blk_remove_bs(BlockBackend *blk);
/* Makes bs, nobody's root, the root of an empty blk; takes a reference of its own.  Notifies;
 * neither tells the device nor applies the root state: blk_insert_medium(), blk_change_medium(). */
void blk_insert_bs(BlockBackend *blk, BlockDriverState *bs);
/* Another root instead of the one that it has, while others make requests: those in flight end on
 * the old one, the next begin on bs, and none finds the backend empty.  The write cache's mode,
 * zero detection, the event loop and operation blockers go over to bs; the size is bs's.
 * -ENOMEDIUM: no root; -EBUSY: bs is another backend's. */
int blk_replace_bs(BlockBackend *blk, BlockDriverState *bs, Error **errp);
/* Takes the names of blk and of its root away; who holds pointers goes on. */
void blk_hide_on_behalf_of_hmp_drive_del(BlockBackend *blk);

/* ---- F17..17: range policy (G/I) ---- */

/* Whether requests (reads too: zeroes) may pass the end, default false.  Such a write grows the
 * medium or fails with the driver's error. */
void blk_set_allow_write_beyond_eof(BlockBackend *blk, bool allow);

/* ---- F18..23: I/O status (G; queries A; set_err I) ---- */

void blk_iostatus_enable(BlockBackend *blk);      /* the device wants it; status OK */
/* True if wanted, and the error policy can stop (ENOSPC or STOP for writes, STOP for reads). */
bool blk_iostatus_is_enabled(const BlockBackend *blk);
BlockDeviceIoStatus blk_iostatus(const BlockBackend *blk);   /* enabled or not */
void blk_iostatus_disable(BlockBackend *blk);     /* keeps the status */
void blk_iostatus_reset(BlockBackend *blk);       /* OK again; not enabled: no-op */
/* error: positive errno.  The first one sticks until reset.  Must be enabled. */
void blk_iostatus_set_err(BlockBackend *blk, int error);

/* ---- F24..28: device model (G; get: A) ---- */

/* dev is never looked into.  Takes a reference to blk.  -EBUSY if a device is attached. */
int blk_attach_dev(BlockBackend *blk, void *dev);
void blk_attach_dev_nofail(BlockBackend *blk, void *dev);    /* -EBUSY aborts */
/* dev is the attached one.  Forgets its ops and drops the reference, which may be the last. */
void blk_detach_dev(BlockBackend *blk, void *dev);
void *blk_get_attached_dev(BlockBackend *blk);    /* or NULL */
/* ops (or NULL) and opaque stay the caller's and valid until replaced or detached. */
void blk_set_dev_ops(BlockBackend *blk, const BlockDevOps *ops, void *opaque);

/* ---- F29..38: synchronous I/O and size (I) ----
 * Outside a coroutine they poll the calling thread's context until done: its other handlers run
 * meanwhile.  Buffers are the caller's, of any alignment.  Errors: -EIO for a range that is not
 * in the medium or too long (BDRV_REQUEST_MAX_BYTES), -ENOMEDIUM without a medium or with an
 * open tray, -EPERM for a write to a read-only medium, else the medium's. */

int blk_read(BlockBackend *blk, int64_t sector_num, uint8_t *buf, int nb_sectors);
/* Neither waits for the limits nor counts against them. */
int blk_read_unthrottled(BlockBackend *blk, int64_t sector_num, uint8_t *buf, int nb_sectors);
/* Volatile until a flush, unless the write cache is off: then the flush is part of the write. */
int blk_write(BlockBackend *blk, int64_t sector_num, const uint8_t *buf, int nb_sectors);
/* flags: BDRV_REQ_MAY_UNMAP, BDRV_REQ_FUA; others -EINVAL. */
int blk_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                     BdrvRequestFlags flags);
BlockAIOCB *blk_aio_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                                 BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque);
/* Any offset and count, in bytes; return count (never less) or -errno. */
int blk_pread(BlockBackend *blk, int64_t offset, void *buf, int count);
int blk_pwrite(BlockBackend *blk, int64_t offset, const void *buf, int count);
int64_t blk_getlength(BlockBackend *blk);         /* bytes, a multiple of 512, or -errno */
/* Sectors, 0 on any error; looks past an open tray. */
void blk_get_geometry(BlockBackend *blk, uint64_t *nb_sectors_ptr);
int64_t blk_nb_sectors(BlockBackend *blk);        /* sectors or -errno */

/* ---- F39..47: asynchronous I/O (I) ----
 * Never NULL; every error comes through cb(opaque, ret), ret 0 (never a count) or -errno.  Vector,
 * its array and the data stay valid and in place until then.  The BlockAIOCB is the library's, for
 * cancelling only, dead once cb has returned.  Requests in flight have no order among them. */

/* iov->size is nb_sectors * 512. */
BlockAIOCB *blk_aio_readv(BlockBackend *blk, int64_t sector_num, QEMUIOVector *iov,
                          int nb_sectors, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_writev(BlockBackend *blk, int64_t sector_num, QEMUIOVector *iov,
                           int nb_sectors, BlockCompletionFunc *cb, void *opaque);
/* Covers the writes that have completed, not those in flight. */
BlockAIOCB *blk_aio_flush(BlockBackend *blk, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                            BlockCompletionFunc *cb, void *opaque);
/* Not in a coroutine.  Waits: cb has run when it returns, with -ECANCELED only if the request
 * could be withdrawn; ordinary reads and writes cannot, and succeed. */
void blk_aio_cancel(BlockAIOCB *acb);
void blk_aio_cancel_async(BlockAIOCB *acb);       /* asks, does not wait; cb still comes */
/* Writes; neighbours are merged.  0: every cb runs, all after the last write, with one common
 * result; the array may be reordered and is free for reuse at return.  -errno: no cb runs, and
 * each `error` is set. */
int blk_aio_multiwrite(BlockBackend *blk, BlockRequest *reqs, int num_reqs);
/* The driver's result, -ENOTSUP if it has none.  The driver knows what buf is. */
int blk_ioctl(BlockBackend *blk, unsigned long int req, void *buf);
BlockAIOCB *blk_aio_ioctl(BlockBackend *blk, unsigned long int req, void *buf,
                          BlockCompletionFunc *cb, void *opaque);

/* ---- F48..54: discard, flush, commit, drain (co: C; _all: G; others I) ---- */

/* A hint: content afterwards is undefined.  0 also where the medium cannot; 0 or -errno. */
int coroutine_fn blk_co_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors);
/* Puts all completed writes on stable storage.  0 or -errno; read-only: 0. */
int coroutine_fn blk_co_flush(BlockBackend *blk);
int blk_flush(BlockBackend *blk);
int blk_flush_all(void);             /* every backend, trays ignored; the first error, or 0 */
/* Commits every overlay into its backing file; stops at the first error and returns it. */
int blk_commit_all(void);
/* Waits until nothing of blk is in flight, callbacks included; releases what the limits hold
 * back.  Neither flushes nor keeps new requests away: blk_drained_begin(). */
void blk_drain(BlockBackend *blk);
void blk_drain_all(void);            /* all backends; no context held, not in a coroutine */

/* ---- F55..58: error policy (set: G; get: A; actions: I) ---- */

/* What the user wants done on errors; default REPORT for both.  The library itself does none of
 * it: after a failed request the device asks for the action, follows it, and announces it. */
void blk_set_on_error(BlockBackend *blk, BlockdevOnError on_read_error,
                      BlockdevOnError on_write_error);
BlockdevOnError blk_get_on_error(BlockBackend *blk, bool is_read);       /* never AUTO */
/* What the policy says to this error (positive errno); no side effect. */
BlockErrorAction blk_get_error_action(BlockBackend *blk, bool is_read, int error);
/* Sends BLK_EVENT_BLOCK_IO_ERROR; for STOP in this order: I/O status, stop hook PREPARE, event,
 * stop hook REQUEST.  error: positive errno.  Completes no request. */
void blk_error_action(BlockBackend *blk, BlockErrorAction action, bool is_read, int error);

/* ---- F59..73: properties and medium (A or I; guest_block_size, invalidate_cache: G) ----
 * Without a root, the root state answers for read_only, write_cache and flags. */

int blk_is_read_only(BlockBackend *blk);          /* 0 or 1 */
int blk_is_sg(BlockBackend *blk);                 /* 1: a SCSI-generic device; empty: 0 */
int blk_enable_write_cache(BlockBackend *blk);    /* 1: write-back, 0: write-through */
/* For writes from now on; does not flush those before. */
void blk_set_enable_write_cache(BlockBackend *blk, bool wce);
/* Rereads all that was cached of a medium opened with BDRV_O_INACTIVE, and activates it. */
void blk_invalidate_cache(BlockBackend *blk, Error **errp);
bool blk_is_inserted(BlockBackend *blk);          /* a medium is in, whatever the tray does */
bool blk_is_available(BlockBackend *blk);         /* and the tray is not open */
void blk_lock_medium(BlockBackend *blk, bool locked);   /* to the driver, if it can */
/* The device moved its tray (true: opened).  Tells driver and event hook; the root stays. */
void blk_eject(BlockBackend *blk, bool eject_flag);
int blk_get_flags(BlockBackend *blk);             /* BDRV_O_* as they are now */
int blk_get_max_transfer_length(BlockBackend *blk);  /* sectors, advice; 0: no limit */
int blk_get_max_iov(BlockBackend *blk);           /* vector elements, advice */
void blk_set_guest_block_size(BlockBackend *blk, int align);  /* bytes; the library uses it not */
/* Memory (of any content) that this medium needs not bounce; blk may be NULL.  Free it with
 * qemu_vfree().  NULL for lack of memory; the second one aborts instead. */
void *blk_try_blockalign(BlockBackend *blk, size_t size);
void *blk_blockalign(BlockBackend *blk, size_t size);

/* ---- F74..77: operation blockers (G) ----
 * They belong to the root node and leave with it; only management operations heed them.  A reason
 * stays the caller's, must live until unblocked, and is known by its address.  Empty: no-op. */

/* True: errp gets a copy of the newest reason.  False: errp is left alone. */
bool blk_op_is_blocked(BlockBackend *blk, BlockOpType op, Error **errp);
void blk_op_unblock(BlockBackend *blk, BlockOpType op, Error *reason);   /* all with this reason */
void blk_op_block_all(BlockBackend *blk, Error *reason);                 /* one blocker each */
void blk_op_unblock_all(BlockBackend *blk, Error *reason);

/* ---- F78..85: event loop, notifiers (G), plugging (I) ---- */

/* [A] Where AIO callbacks run: the root's; empty: the main context.  Takes no reference. */
AioContext *blk_get_aio_context(BlockBackend *blk);
/* Drains and moves the root with its subtree; empty: no-op.  The old context is acquired, and no
 * other thread polls it meanwhile. */
void blk_set_aio_context(BlockBackend *blk, AioContext *new_context);
/* A pair of callbacks around every move: detach in the old context, attached in the new one;
 * newest first.  They belong to blk and survive its media. */
void blk_add_aio_context_notifier(BlockBackend *blk,
                                  void (*attached_aio_context)(AioContext *new_context,
                                                               void *opaque),
                                  void (*detach_aio_context)(void *opaque), void *opaque);
/* One registration with these very values, which there is; allowed from inside a callback. */
void blk_remove_aio_context_notifier(BlockBackend *blk,
                                     void (*attached_aio_context)(AioContext *, void *),
                                     void (*detach_aio_context)(void *), void *opaque);
/* notify->notify(notify, blk), newest first: before the root goes, and after one came.  The
 * Notifier is the caller's storage; notifier_remove() ends it. */
void blk_add_remove_bs_notifier(BlockBackend *blk, Notifier *notify);
void blk_add_insert_bs_notifier(BlockBackend *blk, Notifier *notify);
/* Between the two the driver may hold submissions back, to hand them over together.  Nests; never
 * delays a drain. */
void blk_io_plug(BlockBackend *blk);
void blk_io_unplug(BlockBackend *blk);

/* ---- F86..90: statistics (A), root state (G) ---- */

/* Lent, as long as blk lives; counted by its user, see <blkbackend/accounting.h>. */
BlockAcctStats *blk_get_stats(BlockBackend *blk);
/* The live object, as long as blk lives; the first three members may be set for an empty drive. */
BlockBackendRootState *blk_get_root_state(BlockBackend *blk);
void blk_update_root_state(BlockBackend *blk);    /* from the root, which there is */
/* Gives bs, before it is inserted, the remembered detect_zeroes and throttle group. */
void blk_apply_root_state(BlockBackend *blk, BlockDriverState *bs);
/* The remembered flags, with BDRV_O_RDWR as read_only says: to open the next medium with. */
int blk_get_open_flags_from_root_state(BlockBackend *blk);

/* ---- F91..100: AIOCBs, special writes, resize, VM state, probing (I; co: C; vmstate: G) ---- */

/* An AIOCB of the caller's own making: aiocb_size bytes, of which only the BlockAIOCB is set.  One
 * reference: call cb, then qemu_aio_unref().  A drain does not wait for it. */
void *blk_aio_get(const AIOCBInfo *aiocb_info, BlockBackend *blk, BlockCompletionFunc *cb,
                  void *opaque);
int coroutine_fn blk_co_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                                     BdrvRequestFlags flags);
/* One whole compression unit of the format a call (the last may be short); nb_sectors 0 ends the
 * series.  -ENOTSUP if the format cannot, -EINVAL for another size. */
int blk_write_compressed(BlockBackend *blk, int64_t sector_num, const uint8_t *buf,
                         int nb_sectors);
/* Resizes to offset bytes and calls resize_cb.  Drain first; in the main-loop thread.  -ENOMEDIUM,
 * -EINVAL if negative, -ENOTSUP, -EACCES if read-only, or the driver's error. */
int blk_truncate(BlockBackend *blk, int64_t offset);
int blk_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors);  /* as blk_co_discard() */
/* An area beside the disk; pos and size in bytes.  size, or -errno: -ENOTSUP without one. */
int blk_save_vmstate(BlockBackend *blk, const uint8_t *buf, int64_t pos, int size);
int blk_load_vmstate(BlockBackend *blk, uint8_t *buf, int64_t pos, int size);
/* What the hardware says; 0 and *bsz or *geo filled in, or -ENOTSUP, as for most files. */
int blk_probe_blocksizes(BlockBackend *blk, BlockSizes *bsz);
int blk_probe_geometry(BlockBackend *blk, HDGeometry *geo);
/* Does nothing but hand ret to cb, as every AIO request does.  Works without a medium. */
BlockAIOCB *blk_abort_aio_request(BlockBackend *blk, BlockCompletionFunc *cb, void *opaque,
                                  int ret);

/* AIOCBs of one's own (any thread): made with a reference, freed with the last one. */
void *qemu_aio_get(const AIOCBInfo *aiocb_info, BlockDriverState *bs, BlockCompletionFunc *cb,
                   void *opaque);             /* as blk_aio_get(); bs may be NULL */
void qemu_aio_ref(void *acb);
void qemu_aio_unref(void *acb);

/* Operation blockers of a node (G), as those of a backend; `reason` stays the caller's. */
bool bdrv_op_is_blocked(BlockDriverState *bs, BlockOpType op, Error **errp);
void bdrv_op_block(BlockDriverState *bs, BlockOpType op, Error *reason);
void bdrv_op_unblock(BlockDriverState *bs, BlockOpType op, Error *reason);

/* ---- byte-based requests (I; co: C), names as in later QEMU ----
 * Ranges are checked as above; any alignment; flags: BDRV_REQ_FUA on every write,
 * BDRV_REQ_MAY_UNMAP and BDRV_REQ_NO_FALLBACK on zero writes; BDRV_REQ_WRITE_COMPRESSED, alone, on
 * other writes.  0 or -errno. */

int coroutine_fn blk_co_preadv(BlockBackend *blk, int64_t offset, int64_t bytes,
                               QEMUIOVector *qiov, BdrvRequestFlags flags);
int coroutine_fn blk_co_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes,
                                QEMUIOVector *qiov, BdrvRequestFlags flags);
int coroutine_fn blk_co_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                      BdrvRequestFlags flags);
int coroutine_fn blk_co_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes);
int blk_preadv(BlockBackend *blk, int64_t offset, int64_t bytes, QEMUIOVector *qiov,
               BdrvRequestFlags flags);
int blk_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes, QEMUIOVector *qiov,
                BdrvRequestFlags flags);
int blk_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes, BdrvRequestFlags flags);
int blk_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes);
BlockAIOCB *blk_aio_preadv(BlockBackend *blk, int64_t offset, QEMUIOVector *qiov,
                           BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_pwritev(BlockBackend *blk, int64_t offset, QEMUIOVector *qiov,
                            BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                  BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes,
                             BlockCompletionFunc *cb, void *opaque);

/* What [offset, offset + *pnum) is, through the whole chain: BDRV_BLOCK_DATA, BDRV_BLOCK_ZERO or
 * both, plus ALLOCATED if the top node decides; 0 < *pnum <= bytes (0 at bytes 0).  Or -errno. */
int coroutine_fn blk_co_block_status(BlockBackend *blk, int64_t offset, int64_t bytes,
                                     int64_t *pnum);
int blk_block_status(BlockBackend *blk, int64_t offset, int64_t bytes, int64_t *pnum);
/* Which node of the chain down to base (NULL: all of it; a node of the chain, itself counted with
 * include_base) decides what [offset, offset + *pnum) is: 1 the top one, 2 its backing, ...; 0 none
 * of them.  Or -errno. */
int coroutine_fn blk_co_is_allocated_above(BlockBackend *blk, BlockDriverState *base,
                                           bool include_base, int64_t offset, int64_t bytes,
                                           int64_t *pnum);
/* As ret: the bits, or -errno.  pnum stays valid until then. */
BlockAIOCB *blk_aio_block_status(BlockBackend *blk, int64_t offset, int64_t bytes, int64_t *pnum,
                                 BlockCompletionFunc *cb, void *opaque);

/* Copies from one medium to another, or to another place of the same one (-EINVAL if the two
 * overlap); what is known to be zero is written as zeroes.  Counts as a read of the one and a
 * write of the other, and runs where blk_out's requests do.  flags: BDRV_REQ_FUA.  0 or -errno:
 * then part of it may have been copied. */
int coroutine_fn blk_co_copy_range(BlockBackend *blk_in, int64_t off_in, BlockBackend *blk_out,
                                   int64_t off_out, int64_t bytes, BdrvRequestFlags flags);
BlockAIOCB *blk_aio_copy_range(BlockBackend *blk_in, int64_t off_in, BlockBackend *blk_out,
                               int64_t off_out, int64_t bytes, BdrvRequestFlags flags,
                               BlockCompletionFunc *cb, void *opaque);
/* Zeroes all of the medium that does not read so already.  flags as of blk_pwrite_zeroes(). */
int blk_make_zero(BlockBackend *blk, BdrvRequestFlags flags);

/* A read without a copy: lends the medium's own memory (see BlockMapping).  Checked, throttled and
 * counted like a read.  -ENOTSUP where the medium is not in memory: read instead.  Return it with
 * blk_unmap(), in any thread; it may outlive the request, the medium and the backend. */
int coroutine_fn blk_co_map_read(BlockBackend *blk, int64_t offset, int64_t bytes,
                                 BlockMapping *map);
void blk_unmap(BlockMapping *map);

/* ---- I/O limits (G) ----
 * Backends of one group share its limits: they hold for the sum of their reads, writes and zero
 * writes, whichever threads make them, and members that have to wait take turns.  Discards, flushes
 * and ioctls are not limited.  A drain lets the waiting requests of its backend go at once.  A
 * backend stays in its group when its medium goes. */

/* Joins a group, which is made by its first member; NULL: the one named like the backend, and for
 * an anonymous backend a group of its own.  The backend must not be in a group. */
void blk_io_limits_enable(BlockBackend *blk, const char *group);
/* Sets the limits of the backend's group, and forgets its debts.  cfg (not kept) must be valid:
 * throttle_is_valid(). */
void blk_set_io_limits(BlockBackend *blk, ThrottleConfig *cfg);
/* Moves to another group and comes under its limits; waiting requests go at once.  Nothing if the
 * backend is in none, or in this one. */
void blk_io_limits_update_group(BlockBackend *blk, const char *group);
/* Leaves the group; waiting requests go at once.  The backend must be in a group. */
void blk_io_limits_disable(BlockBackend *blk);
/* If coroutine co waits for a turn of a request to blk, that request fails with -ECANCELED and uses
 * nothing up; false: it does not wait.  For requests that a coroutine makes (blk_co_*).  Any
 * thread, as long as co has not ended. */
bool blk_throttle_cancel(BlockBackend *blk, const Coroutine *co);
/* The limits exactly as they were set.  The backend must be in a group. */
void throttle_group_get_config(BlockBackend *blk, ThrottleConfig *cfg);
/* The group's name, "" if it has none; valid as long as the backend is in it, and it must be. */
const char *throttle_group_get_name(BlockBackend *blk);

/* ---- request limits (A), bytes ---- */

uint32_t blk_get_request_alignment(BlockBackend *blk);    /* 512 if empty */
int64_t blk_get_max_transfer(BlockBackend *blk);          /* never 0 */
int64_t blk_get_opt_transfer(BlockBackend *blk);          /* 0: no preference */

/* ---- removable media (G, no context held; the questions about the device: A) ----
 * A device is removable if it has change_media_cb, or if there is no device; it has a tray if it
 * has is_tray_open.  The operations return 0 or -errno with errp set. */

bool blk_dev_has_removable_media(BlockBackend *blk);
bool blk_dev_has_tray(BlockBackend *blk);
bool blk_dev_is_tray_open(BlockBackend *blk);            /* false without a tray */
bool blk_dev_is_medium_locked(BlockBackend *blk);        /* false if the device does not say */
/* These three call the device's callback, if it has it. */
void blk_dev_eject_request(BlockBackend *blk, bool force);
void blk_dev_change_media_cb(BlockBackend *blk, bool load);  /* and announces a tray that moved */
void blk_dev_resize_cb(BlockBackend *blk);

/* Opens the tray; 0 also if there is none or it is open.  A locked one is only asked to unlock,
 * with success, and stays closed unless `force`: look at blk_dev_is_tray_open(). */
int blk_open_tray(BlockBackend *blk, bool force, Error **errp);
int blk_close_tray(BlockBackend *blk, Error **errp);
/* Takes the medium out (0 if there is none) or puts one in; a tray must be open.  The backend
 * takes a reference of its own to bs, and does not do blk_apply_root_state(). */
int blk_remove_medium(BlockBackend *blk, Error **errp);
int blk_insert_medium(BlockBackend *blk, BlockDriverState *bs, Error **errp);
/* Opens the tray and takes the medium out; a locked tray without `force` is an error. */
int blk_eject_medium(BlockBackend *blk, bool force, Error **errp);

typedef enum {
    BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN,      /* as the last medium was */
    BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_ONLY,
    BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_WRITE,
} BlockdevChangeReadOnlyMode;

/* Opens filename (format NULL: guessed) with the flags and settings of the last medium and
 * exchanges the medium for it.  If the file does not open, the old medium stays in. */
int blk_change_medium(BlockBackend *blk, const char *filename, const char *format,
                      BlockdevChangeReadOnlyMode read_only_mode, Error **errp);

/* ---- hooks of the application (set them in any thread) ----
 * One function each, NULL for none.  They run in the thread of the function that causes them and
 * may call everything that this thread may call. */

typedef enum {
    BLK_EVENT_BLOCK_IO_ERROR,        /* blk_error_action() */
    BLK_EVENT_DEVICE_TRAY_MOVED,
} BlkEventType;

/* Valid during the call only. */
typedef struct BlkEvent {
    BlkEventType type;
    const char *device;              /* name of the backend, "" if anonymous */
    union {
        struct {
            bool is_read;
            BlockErrorAction action;
            bool has_nospace;        /* the device asked for I/O status, so nospace is valid */
            bool nospace;            /* the error was ENOSPC */
            const char *reason;      /* the error in words */
        } io_error;
        struct {
            bool tray_open;
        } tray_moved;
    } u;
} BlkEvent;

typedef void BlkEventFunc(void *opaque, const BlkEvent *event);
void blkbackend_set_event_fn(BlkEventFunc *fn, void *opaque);

/* An I/O error stops the machine: PREPARE comes before the event, REQUEST after it. */
typedef enum {
    BLK_STOP_PREPARE,
    BLK_STOP_REQUEST,
} BlkStopPhase;

typedef void BlkStopFunc(void *opaque, BlockBackend *blk, BlkStopPhase phase);
void blkbackend_set_stop_fn(BlkStopFunc *fn, void *opaque);

/* ---- zero detection (G) ---- */

/* What becomes of a write whose data are all zero: with ON a zero write, with UNMAP one that may
 * deallocate (on a medium opened without BDRV_O_UNMAP: as ON).  Set on the root; empty: in the
 * root state, for the next medium. */
void blk_set_detect_zeroes(BlockBackend *blk, BlockdevDetectZeroesOptions mode);
/* What is set for a node. */
BlockdevDetectZeroesOptions bdrv_get_detect_zeroes(BlockDriverState *bs);

/* ---- breakpoints (any thread), for tests: with the filter "blkdebug" in the medium's chain ----
 * event: what a request is ("read", "write", "flush", ...; docs/blkdebug.md lists them).  -ENOTSUP
 * without that filter, -ENOMEDIUM without a medium. */

/* The next request of that kind, and only that one, stops before anything happens to the image,
 * until it is resumed by its tag.  A drain waits for it.  -EINVAL: no such event. */
int blk_debug_breakpoint(BlockBackend *blk, const char *event, const char *tag);
/* Takes back all of that tag, and resumes what they stopped.  -ENOENT: there is none. */
int blk_debug_remove_breakpoint(BlockBackend *blk, const char *tag);
int blk_debug_resume(BlockBackend *blk, const char *tag);     /* -ENOENT: nothing stopped there */
bool blk_debug_is_suspended(BlockBackend *blk, const char *tag);

/* ---- drained sections ---- */

/* Keeps requests away: those that come meanwhile wait until the matching end.  Nestable.  (G) */
void blk_drained_begin(BlockBackend *blk);
void blk_drained_end(BlockBackend *blk);

#ifdef __cplusplus
}
#endif
#endif
