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
#define BDRV_O_CACHE_WB      0x0040  /* write-back; absent = write-through: flush after each write */
#define BDRV_O_NATIVE_AIO    0x0080  /* kernel AIO; needs NOCACHE */
#define BDRV_O_NO_BACKING    0x0100  /* do not open the backing file */
#define BDRV_O_NO_FLUSH      0x0200  /* never force data to stable storage */
#define BDRV_O_COPY_ON_READ  0x0400  /* copy what is read from the backing file into this image */
#define BDRV_O_INACTIVE      0x0800  /* another process may own the image; no writes yet */
#define BDRV_O_CHECK         0x1000  /* opened only for a consistency check */
#define BDRV_O_ALLOW_RDWR    0x2000  /* may later be reopened read-write */
#define BDRV_O_UNMAP         0x4000  /* forward discards and unmapping zero writes */
#define BDRV_O_PROTOCOL      0x8000  /* no driver named: a protocol driver by file name, no probing */
#define BDRV_O_AUTO_RDONLY   0x20000 /* read-only if the file cannot be opened for writing */
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
    void (*change_media_cb)(void *opaque, bool load);   /* its presence makes the device removable */
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

BlockBackend *blk_new(Error **errp);
BlockBackend *blk_new_with_bs(Error **errp);
BlockBackend *blk_new_open(const char *filename, const char *reference, QDict *options,
                           int flags, Error **errp);
int blk_get_refcnt(BlockBackend *blk);
void blk_ref(BlockBackend *blk);
void blk_unref(BlockBackend *blk);
void blk_remove_all_bs(void);

/* ---- F8..12: names (G) ---- */

const char *blk_name(BlockBackend *blk);
BlockBackend *blk_by_name(const char *name);
BlockBackend *blk_next(BlockBackend *blk);
bool monitor_add_blk(BlockBackend *blk, const char *name, Error **errp);
void monitor_remove_blk(BlockBackend *blk);

/* ---- F13..16: root node (G; blk_bs: A) ---- */

BlockDriverState *blk_bs(BlockBackend *blk);
void blk_remove_bs(BlockBackend *blk);
void blk_insert_bs(BlockBackend *blk, BlockDriverState *bs);
void blk_hide_on_behalf_of_hmp_drive_del(BlockBackend *blk);

/* ---- F17..17: range policy (G/I) ---- */

void blk_set_allow_write_beyond_eof(BlockBackend *blk, bool allow);

/* ---- F18..23: I/O status (G; queries A; set_err I) ---- */

void blk_iostatus_enable(BlockBackend *blk);
bool blk_iostatus_is_enabled(const BlockBackend *blk);
BlockDeviceIoStatus blk_iostatus(const BlockBackend *blk);
void blk_iostatus_disable(BlockBackend *blk);
void blk_iostatus_reset(BlockBackend *blk);
void blk_iostatus_set_err(BlockBackend *blk, int error);

/* ---- F24..28: device model (G; get: A) ---- */

int blk_attach_dev(BlockBackend *blk, void *dev);
void blk_attach_dev_nofail(BlockBackend *blk, void *dev);
void blk_detach_dev(BlockBackend *blk, void *dev);
void *blk_get_attached_dev(BlockBackend *blk);
void blk_set_dev_ops(BlockBackend *blk, const BlockDevOps *ops, void *opaque);

/* ---- F29..38: synchronous I/O and size (I) ---- */

int blk_read(BlockBackend *blk, int64_t sector_num, uint8_t *buf, int nb_sectors);
int blk_read_unthrottled(BlockBackend *blk, int64_t sector_num, uint8_t *buf, int nb_sectors);
int blk_write(BlockBackend *blk, int64_t sector_num, const uint8_t *buf, int nb_sectors);
int blk_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                     BdrvRequestFlags flags);
BlockAIOCB *blk_aio_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                                 BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque);
int blk_pread(BlockBackend *blk, int64_t offset, void *buf, int count);
int blk_pwrite(BlockBackend *blk, int64_t offset, const void *buf, int count);
int64_t blk_getlength(BlockBackend *blk);
void blk_get_geometry(BlockBackend *blk, uint64_t *nb_sectors_ptr);
int64_t blk_nb_sectors(BlockBackend *blk);

/* ---- F39..47: asynchronous I/O (I) ---- */

BlockAIOCB *blk_aio_readv(BlockBackend *blk, int64_t sector_num, QEMUIOVector *iov,
                          int nb_sectors, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_writev(BlockBackend *blk, int64_t sector_num, QEMUIOVector *iov,
                           int nb_sectors, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_flush(BlockBackend *blk, BlockCompletionFunc *cb, void *opaque);
BlockAIOCB *blk_aio_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                            BlockCompletionFunc *cb, void *opaque);
void blk_aio_cancel(BlockAIOCB *acb);
void blk_aio_cancel_async(BlockAIOCB *acb);
int blk_aio_multiwrite(BlockBackend *blk, BlockRequest *reqs, int num_reqs);
int blk_ioctl(BlockBackend *blk, unsigned long int req, void *buf);
BlockAIOCB *blk_aio_ioctl(BlockBackend *blk, unsigned long int req, void *buf,
                          BlockCompletionFunc *cb, void *opaque);

/* ---- F48..54: discard, flush, commit, drain (co: C; _all: G; others I) ---- */

int coroutine_fn blk_co_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors);
int coroutine_fn blk_co_flush(BlockBackend *blk);
int blk_flush(BlockBackend *blk);
int blk_flush_all(void);
int blk_commit_all(void);
void blk_drain(BlockBackend *blk);
void blk_drain_all(void);

/* ---- F55..58: error policy (set: G; get: A; actions: I) ---- */

void blk_set_on_error(BlockBackend *blk, BlockdevOnError on_read_error,
                      BlockdevOnError on_write_error);
BlockdevOnError blk_get_on_error(BlockBackend *blk, bool is_read);
BlockErrorAction blk_get_error_action(BlockBackend *blk, bool is_read, int error);
void blk_error_action(BlockBackend *blk, BlockErrorAction action, bool is_read, int error);

/* ---- F59..73: properties and medium (A or I; guest_block_size, invalidate_cache: G) ---- */

int blk_is_read_only(BlockBackend *blk);
int blk_is_sg(BlockBackend *blk);
int blk_enable_write_cache(BlockBackend *blk);
void blk_set_enable_write_cache(BlockBackend *blk, bool wce);
void blk_invalidate_cache(BlockBackend *blk, Error **errp);
bool blk_is_inserted(BlockBackend *blk);
bool blk_is_available(BlockBackend *blk);
void blk_lock_medium(BlockBackend *blk, bool locked);
void blk_eject(BlockBackend *blk, bool eject_flag);
int blk_get_flags(BlockBackend *blk);
int blk_get_max_transfer_length(BlockBackend *blk);
int blk_get_max_iov(BlockBackend *blk);
void blk_set_guest_block_size(BlockBackend *blk, int align);
void *blk_try_blockalign(BlockBackend *blk, size_t size);
void *blk_blockalign(BlockBackend *blk, size_t size);

/* ---- F74..77: operation blockers (G) ---- */

bool blk_op_is_blocked(BlockBackend *blk, BlockOpType op, Error **errp);
void blk_op_unblock(BlockBackend *blk, BlockOpType op, Error *reason);
void blk_op_block_all(BlockBackend *blk, Error *reason);
void blk_op_unblock_all(BlockBackend *blk, Error *reason);

/* ---- F78..85: event loop, notifiers (G), plugging (I) ---- */

AioContext *blk_get_aio_context(BlockBackend *blk);
void blk_set_aio_context(BlockBackend *blk, AioContext *new_context);
void blk_add_aio_context_notifier(BlockBackend *blk,
                                  void (*attached_aio_context)(AioContext *new_context, void *opaque),
                                  void (*detach_aio_context)(void *opaque), void *opaque);
void blk_remove_aio_context_notifier(BlockBackend *blk,
                                     void (*attached_aio_context)(AioContext *, void *),
                                     void (*detach_aio_context)(void *), void *opaque);
void blk_add_remove_bs_notifier(BlockBackend *blk, Notifier *notify);
void blk_add_insert_bs_notifier(BlockBackend *blk, Notifier *notify);
void blk_io_plug(BlockBackend *blk);
void blk_io_unplug(BlockBackend *blk);

/* ---- F86..90: statistics (A), root state (G) ---- */

BlockAcctStats *blk_get_stats(BlockBackend *blk);
BlockBackendRootState *blk_get_root_state(BlockBackend *blk);
void blk_update_root_state(BlockBackend *blk);
void blk_apply_root_state(BlockBackend *blk, BlockDriverState *bs);
int blk_get_open_flags_from_root_state(BlockBackend *blk);

/* ---- F91..100: AIOCBs, special writes, resize, VM state, probing (I; co: C; vmstate: G) ---- */

void *blk_aio_get(const AIOCBInfo *aiocb_info, BlockBackend *blk, BlockCompletionFunc *cb,
                  void *opaque);
int coroutine_fn blk_co_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                                     BdrvRequestFlags flags);
int blk_write_compressed(BlockBackend *blk, int64_t sector_num, const uint8_t *buf,
                         int nb_sectors);
int blk_truncate(BlockBackend *blk, int64_t offset);
int blk_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors);
int blk_save_vmstate(BlockBackend *blk, const uint8_t *buf, int64_t pos, int size);
int blk_load_vmstate(BlockBackend *blk, uint8_t *buf, int64_t pos, int size);
int blk_probe_blocksizes(BlockBackend *blk, BlockSizes *bsz);
int blk_probe_geometry(BlockBackend *blk, HDGeometry *geo);
BlockAIOCB *blk_abort_aio_request(BlockBackend *blk, BlockCompletionFunc *cb, void *opaque,
                                  int ret);

/* AIOCBs of one's own (any thread): made with a reference, freed with the last one. */
void *qemu_aio_get(const AIOCBInfo *aiocb_info, BlockDriverState *bs, BlockCompletionFunc *cb,
                   void *opaque);
void qemu_aio_ref(void *acb);
void qemu_aio_unref(void *acb);

/* Operation blockers of a node (G); `reason` stays the caller's. */
void bdrv_op_block(BlockDriverState *bs, BlockOpType op, Error *reason);
void bdrv_op_unblock(BlockDriverState *bs, BlockOpType op, Error *reason);

/* ---- byte-based requests (I; co: C), names as in later QEMU ----
 * Ranges are checked as above; any alignment; flags: BDRV_REQ_FUA on every write,
 * BDRV_REQ_MAY_UNMAP and BDRV_REQ_NO_FALLBACK on zero writes.  0 or -errno. */

int coroutine_fn blk_co_preadv(BlockBackend *blk, int64_t offset, int64_t bytes,
                               QEMUIOVector *qiov, BdrvRequestFlags flags);
int coroutine_fn blk_co_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes,
                                QEMUIOVector *qiov, BdrvRequestFlags flags);
int coroutine_fn blk_co_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                      BdrvRequestFlags flags);
int coroutine_fn blk_co_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes);
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
 * both, plus ALLOCATED if the top node decides; 0 < *pnum <= bytes (0 at bytes 0).  -errno on error. */
int coroutine_fn blk_co_block_status(BlockBackend *blk, int64_t offset, int64_t bytes,
                                     int64_t *pnum);
int blk_block_status(BlockBackend *blk, int64_t offset, int64_t bytes, int64_t *pnum);

/* A read without a copy: lends the medium's own memory (see BlockMapping).  Checked, throttled and
 * counted like a read.  -ENOTSUP where the medium is not in memory: read instead.  Return it with
 * blk_unmap(), in any thread; it may outlive the request, the medium and the backend. */
int coroutine_fn blk_co_map_read(BlockBackend *blk, int64_t offset, int64_t bytes,
                                 BlockMapping *map);
void blk_unmap(BlockMapping *map);

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

/* ---- drained sections ---- */

/* Keeps requests away: those that come meanwhile wait until the matching end.  Nestable.  (G) */
void blk_drained_begin(BlockBackend *blk);
void blk_drained_end(BlockBackend *blk);

#ifdef __cplusplus
}
#endif
#endif
