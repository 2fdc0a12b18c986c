/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does <blkbackend/block-backend.h> declare the interface of the BlockBackend contract, and does
 * the library export it?
 *
 * By hand, against an installed library:
 *     cc -std=gnu11 -Wall -Wextra -o api-check api-check.c \
 *         $(pkg-config --cflags --libs blkbackend) && ./api-check
 *
 * What fails the build:
 *   - a function that is missing, or whose prototype differs in any type from
 *     the one listed here (a hard error with GCC and Clang, C11);
 *   - an enum constant or flag that is missing or has another value;
 *   - a public structure member that is missing or has another type.
 * What fails the link: a function that the library does not export.
 *
 * Define API_CHECK_BASELINE_ONLY to leave out the few constants that the contract adds to those of
 * the interface's era.  Nothing here is a promise about behaviour.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include <blkbackend/block-backend.h>

#ifndef coroutine_fn
#error "the header must define coroutine_fn (it may be empty)"
#endif

/* ------------------------------------------------------------------ */
/* 1. Functions: X(return type, name, (parameters)), in the contract's order */

#define BASELINE_FUNCTIONS(X)                                                   \
    /* 1..7: creation, reference counting */                                \
    X(BlockBackend *, blk_new, (Error **errp))                              \
    X(BlockBackend *, blk_new_with_bs, (Error **errp))                      \
    X(BlockBackend *, blk_new_open, (const char *filename,                  \
        const char *reference, QDict *options, int flags, Error **errp))    \
    X(int, blk_get_refcnt, (BlockBackend *blk))                             \
    X(void, blk_ref, (BlockBackend *blk))                                   \
    X(void, blk_unref, (BlockBackend *blk))                                 \
    X(void, blk_remove_all_bs, (void))                                      \
    /* 8..12: names */                                                      \
    X(const char *, blk_name, (BlockBackend *blk))                          \
    X(BlockBackend *, blk_by_name, (const char *name))                      \
    X(BlockBackend *, blk_next, (BlockBackend *blk))                        \
    X(bool, monitor_add_blk, (BlockBackend *blk, const char *name,          \
        Error **errp))                                                      \
    X(void, monitor_remove_blk, (BlockBackend *blk))                        \
    /* 13..16: root node */                                                 \
    X(BlockDriverState *, blk_bs, (BlockBackend *blk))                      \
    X(void, blk_remove_bs, (BlockBackend *blk))                             \
    X(void, blk_insert_bs, (BlockBackend *blk, BlockDriverState *bs))       \
    X(void, blk_hide_on_behalf_of_hmp_drive_del, (BlockBackend *blk))       \
    /* 17..17: range policy */                                              \
    X(void, blk_set_allow_write_beyond_eof, (BlockBackend *blk, bool allow))\
    /* 18..23: I/O status */                                                \
    X(void, blk_iostatus_enable, (BlockBackend *blk))                       \
    X(bool, blk_iostatus_is_enabled, (const BlockBackend *blk))             \
    X(BlockDeviceIoStatus, blk_iostatus, (const BlockBackend *blk))         \
    X(void, blk_iostatus_disable, (BlockBackend *blk))                      \
    X(void, blk_iostatus_reset, (BlockBackend *blk))                        \
    X(void, blk_iostatus_set_err, (BlockBackend *blk, int error))           \
    /* 24..28: device model */                                              \
    X(int, blk_attach_dev, (BlockBackend *blk, void *dev))                  \
    X(void, blk_attach_dev_nofail, (BlockBackend *blk, void *dev))          \
    X(void, blk_detach_dev, (BlockBackend *blk, void *dev))                 \
    X(void *, blk_get_attached_dev, (BlockBackend *blk))                    \
    X(void, blk_set_dev_ops, (BlockBackend *blk, const BlockDevOps *ops,    \
        void *opaque))                                                      \
    /* 29..38: synchronous I/O and size */                                  \
    X(int, blk_read, (BlockBackend *blk, int64_t sector_num, uint8_t *buf,  \
        int nb_sectors))                                                    \
    X(int, blk_read_unthrottled, (BlockBackend *blk, int64_t sector_num,    \
        uint8_t *buf, int nb_sectors))                                      \
    X(int, blk_write, (BlockBackend *blk, int64_t sector_num,               \
        const uint8_t *buf, int nb_sectors))                                \
    X(int, blk_write_zeroes, (BlockBackend *blk, int64_t sector_num,        \
        int nb_sectors, BdrvRequestFlags flags))                            \
    X(BlockAIOCB *, blk_aio_write_zeroes, (BlockBackend *blk,               \
        int64_t sector_num, int nb_sectors, BdrvRequestFlags flags,         \
        BlockCompletionFunc *cb, void *opaque))                             \
    X(int, blk_pread, (BlockBackend *blk, int64_t offset, void *buf,        \
        int count))                                                         \
    X(int, blk_pwrite, (BlockBackend *blk, int64_t offset, const void *buf, \
        int count))                                                         \
    X(int64_t, blk_getlength, (BlockBackend *blk))                          \
    X(void, blk_get_geometry, (BlockBackend *blk, uint64_t *nb_sectors_ptr))\
    X(int64_t, blk_nb_sectors, (BlockBackend *blk))                         \
    /* 39..47: asynchronous I/O */                                          \
    X(BlockAIOCB *, blk_aio_readv, (BlockBackend *blk, int64_t sector_num,  \
        QEMUIOVector *iov, int nb_sectors, BlockCompletionFunc *cb,         \
        void *opaque))                                                      \
    X(BlockAIOCB *, blk_aio_writev, (BlockBackend *blk, int64_t sector_num, \
        QEMUIOVector *iov, int nb_sectors, BlockCompletionFunc *cb,         \
        void *opaque))                                                      \
    X(BlockAIOCB *, blk_aio_flush, (BlockBackend *blk,                      \
        BlockCompletionFunc *cb, void *opaque))                             \
    X(BlockAIOCB *, blk_aio_discard, (BlockBackend *blk, int64_t sector_num,\
        int nb_sectors, BlockCompletionFunc *cb, void *opaque))             \
    X(void, blk_aio_cancel, (BlockAIOCB *acb))                              \
    X(void, blk_aio_cancel_async, (BlockAIOCB *acb))                        \
    X(int, blk_aio_multiwrite, (BlockBackend *blk, BlockRequest *reqs,      \
        int num_reqs))                                                      \
    X(int, blk_ioctl, (BlockBackend *blk, unsigned long int req, void *buf))\
    X(BlockAIOCB *, blk_aio_ioctl, (BlockBackend *blk,                      \
        unsigned long int req, void *buf, BlockCompletionFunc *cb,          \
        void *opaque))                                                      \
    /* 48..54: discard, flush, commit, drain */                             \
    X(int, blk_co_discard, (BlockBackend *blk, int64_t sector_num,          \
        int nb_sectors))                                                    \
    X(int, blk_co_flush, (BlockBackend *blk))                               \
    X(int, blk_flush, (BlockBackend *blk))                                  \
    X(int, blk_flush_all, (void))                                           \
    X(int, blk_commit_all, (void))                                          \
    X(void, blk_drain, (BlockBackend *blk))                                 \
    X(void, blk_drain_all, (void))                                          \
    /* 55..58: error policy */                                              \
    X(void, blk_set_on_error, (BlockBackend *blk,                           \
        BlockdevOnError on_read_error, BlockdevOnError on_write_error))     \
    X(BlockdevOnError, blk_get_on_error, (BlockBackend *blk, bool is_read)) \
    X(BlockErrorAction, blk_get_error_action, (BlockBackend *blk,           \
        bool is_read, int error))                                           \
    X(void, blk_error_action, (BlockBackend *blk, BlockErrorAction action,  \
        bool is_read, int error))                                           \
    /* 59..73: properties and medium */                                     \
    X(int, blk_is_read_only, (BlockBackend *blk))                           \
    X(int, blk_is_sg, (BlockBackend *blk))                                  \
    X(int, blk_enable_write_cache, (BlockBackend *blk))                     \
    X(void, blk_set_enable_write_cache, (BlockBackend *blk, bool wce))      \
    X(void, blk_invalidate_cache, (BlockBackend *blk, Error **errp))        \
    X(bool, blk_is_inserted, (BlockBackend *blk))                           \
    X(bool, blk_is_available, (BlockBackend *blk))                          \
    X(void, blk_lock_medium, (BlockBackend *blk, bool locked))              \
    X(void, blk_eject, (BlockBackend *blk, bool eject_flag))                \
    X(int, blk_get_flags, (BlockBackend *blk))                              \
    X(int, blk_get_max_transfer_length, (BlockBackend *blk))                \
    X(int, blk_get_max_iov, (BlockBackend *blk))                            \
    X(void, blk_set_guest_block_size, (BlockBackend *blk, int align))       \
    X(void *, blk_try_blockalign, (BlockBackend *blk, size_t size))         \
    X(void *, blk_blockalign, (BlockBackend *blk, size_t size))             \
    /* 74..77: operation blockers */                                        \
    X(bool, blk_op_is_blocked, (BlockBackend *blk, BlockOpType op,          \
        Error **errp))                                                      \
    X(void, blk_op_unblock, (BlockBackend *blk, BlockOpType op,             \
        Error *reason))                                                     \
    X(void, blk_op_block_all, (BlockBackend *blk, Error *reason))           \
    X(void, blk_op_unblock_all, (BlockBackend *blk, Error *reason))         \
    /* 78..85: event loop, notifiers, plugging */                           \
    X(AioContext *, blk_get_aio_context, (BlockBackend *blk))               \
    X(void, blk_set_aio_context, (BlockBackend *blk,                        \
        AioContext *new_context))                                           \
    X(void, blk_add_aio_context_notifier, (BlockBackend *blk,               \
        void (*attached_aio_context)(AioContext *new_context, void *opaque),\
        void (*detach_aio_context)(void *opaque), void *opaque))            \
    X(void, blk_remove_aio_context_notifier, (BlockBackend *blk,            \
        void (*attached_aio_context)(AioContext *, void *),                 \
        void (*detach_aio_context)(void *), void *opaque))                  \
    X(void, blk_add_remove_bs_notifier, (BlockBackend *blk,                 \
        Notifier *notify))                                                  \
    X(void, blk_add_insert_bs_notifier, (BlockBackend *blk,                 \
        Notifier *notify))                                                  \
    X(void, blk_io_plug, (BlockBackend *blk))                               \
    X(void, blk_io_unplug, (BlockBackend *blk))                             \
    /* 86..90: statistics, root state */                                    \
    X(BlockAcctStats *, blk_get_stats, (BlockBackend *blk))                 \
    X(BlockBackendRootState *, blk_get_root_state, (BlockBackend *blk))     \
    X(void, blk_update_root_state, (BlockBackend *blk))                     \
    X(void, blk_apply_root_state, (BlockBackend *blk, BlockDriverState *bs))\
    X(int, blk_get_open_flags_from_root_state, (BlockBackend *blk))         \
    /* 91..100: AIOCBs, special writes, resize, VM state, probing */        \
    X(void *, blk_aio_get, (const AIOCBInfo *aiocb_info, BlockBackend *blk, \
        BlockCompletionFunc *cb, void *opaque))                             \
    X(int, blk_co_write_zeroes, (BlockBackend *blk, int64_t sector_num,     \
        int nb_sectors, BdrvRequestFlags flags))                            \
    X(int, blk_write_compressed, (BlockBackend *blk, int64_t sector_num,    \
        const uint8_t *buf, int nb_sectors))                                \
    X(int, blk_truncate, (BlockBackend *blk, int64_t offset))               \
    X(int, blk_discard, (BlockBackend *blk, int64_t sector_num,             \
        int nb_sectors))                                                    \
    X(int, blk_save_vmstate, (BlockBackend *blk, const uint8_t *buf,        \
        int64_t pos, int size))                                             \
    X(int, blk_load_vmstate, (BlockBackend *blk, uint8_t *buf, int64_t pos, \
        int size))                                                          \
    X(int, blk_probe_blocksizes, (BlockBackend *blk, BlockSizes *bsz))      \
    X(int, blk_probe_geometry, (BlockBackend *blk, HDGeometry *geo))        \
    X(BlockAIOCB *, blk_abort_aio_request, (BlockBackend *blk,              \
        BlockCompletionFunc *cb, void *opaque, int ret))

/* (a) the address goes into a pointer of exactly the baseline's type */
#define X_POINTER(ret, name, args) static ret (*const ptr_##name) args = name;
BASELINE_FUNCTIONS(X_POINTER)

/* (b) and the type is the same one, not merely one that converts with a warning */
#define X_SAME(ret, name, args)                                             \
    _Static_assert(_Generic(&name, ret (*) args: 1, default: 0),            \
                   "prototype differs from the baseline: " #name);
BASELINE_FUNCTIONS(X_SAME)

/* (c) how many there are */
#define X_COUNT(ret, name, args) +1
enum { BASELINE_FUNCTION_COUNT = 0 BASELINE_FUNCTIONS(X_COUNT) };
_Static_assert(BASELINE_FUNCTION_COUNT == 100, "the baseline declares 100 functions");

/* ------------------------------------------------------------------ */
/* 2. Constants: X(name, value) */

#define BASELINE_CONSTANTS(X)                                                   \
    /* BdrvRequestFlags */                                                  \
    X(BDRV_REQ_COPY_ON_READ, 0x1)                                           \
    X(BDRV_REQ_ZERO_WRITE, 0x2)                                             \
    X(BDRV_REQ_MAY_UNMAP, 0x4)                                              \
    X(BDRV_REQ_NO_SERIALISING, 0x8)                                         \
    /* open flags */                                                        \
    X(BDRV_O_RDWR, 0x0002)                                                  \
    X(BDRV_O_SNAPSHOT, 0x0008)                                              \
    X(BDRV_O_TEMPORARY, 0x0010)                                             \
    X(BDRV_O_NOCACHE, 0x0020)                                               \
    X(BDRV_O_CACHE_WB, 0x0040)                                              \
    X(BDRV_O_NATIVE_AIO, 0x0080)                                            \
    X(BDRV_O_NO_BACKING, 0x0100)                                            \
    X(BDRV_O_NO_FLUSH, 0x0200)                                              \
    X(BDRV_O_COPY_ON_READ, 0x0400)                                          \
    X(BDRV_O_INACTIVE, 0x0800)                                              \
    X(BDRV_O_CHECK, 0x1000)                                                 \
    X(BDRV_O_ALLOW_RDWR, 0x2000)                                            \
    X(BDRV_O_UNMAP, 0x4000)                                                 \
    X(BDRV_O_PROTOCOL, 0x8000)                                              \
    X(BDRV_O_CACHE_MASK, 0x0260)                                            \
    /* sectors */                                                           \
    X(BDRV_SECTOR_BITS, 9)                                                  \
    X(BDRV_SECTOR_SIZE, 512)                                                \
    X(BDRV_SECTOR_MASK, -512)                                               \
    X(BDRV_REQUEST_MAX_SECTORS, 4194303)                                    \
    /* BlockdevOnError */                                                   \
    X(BLOCKDEV_ON_ERROR_REPORT, 0)                                          \
    X(BLOCKDEV_ON_ERROR_IGNORE, 1)                                          \
    X(BLOCKDEV_ON_ERROR_ENOSPC, 2)                                          \
    X(BLOCKDEV_ON_ERROR_STOP, 3)                                            \
    /* BlockErrorAction */                                                  \
    X(BLOCK_ERROR_ACTION_IGNORE, 0)                                         \
    X(BLOCK_ERROR_ACTION_REPORT, 1)                                         \
    X(BLOCK_ERROR_ACTION_STOP, 2)                                           \
    X(BLOCK_ERROR_ACTION__MAX, 3)                                           \
    /* BlockDeviceIoStatus */                                               \
    X(BLOCK_DEVICE_IO_STATUS_OK, 0)                                         \
    X(BLOCK_DEVICE_IO_STATUS_FAILED, 1)                                     \
    X(BLOCK_DEVICE_IO_STATUS_NOSPACE, 2)                                    \
    X(BLOCK_DEVICE_IO_STATUS__MAX, 3)                                       \
    /* BlockOpType */                                                       \
    X(BLOCK_OP_TYPE_BACKUP_SOURCE, 0)                                       \
    X(BLOCK_OP_TYPE_BACKUP_TARGET, 1)                                       \
    X(BLOCK_OP_TYPE_CHANGE, 2)                                              \
    X(BLOCK_OP_TYPE_COMMIT_SOURCE, 3)                                       \
    X(BLOCK_OP_TYPE_COMMIT_TARGET, 4)                                       \
    X(BLOCK_OP_TYPE_DATAPLANE, 5)                                           \
    X(BLOCK_OP_TYPE_DRIVE_DEL, 6)                                           \
    X(BLOCK_OP_TYPE_EJECT, 7)                                               \
    X(BLOCK_OP_TYPE_EXTERNAL_SNAPSHOT, 8)                                   \
    X(BLOCK_OP_TYPE_INTERNAL_SNAPSHOT, 9)                                   \
    X(BLOCK_OP_TYPE_INTERNAL_SNAPSHOT_DELETE, 10)                           \
    X(BLOCK_OP_TYPE_MIRROR_SOURCE, 11)                                      \
    X(BLOCK_OP_TYPE_MIRROR_TARGET, 12)                                      \
    X(BLOCK_OP_TYPE_RESIZE, 13)                                             \
    X(BLOCK_OP_TYPE_STREAM, 14)                                             \
    X(BLOCK_OP_TYPE_REPLACE, 15)                                            \
    X(BLOCK_OP_TYPE_MAX, 16)                                                \
    /* BlockAcctType */                                                     \
    X(BLOCK_ACCT_READ, 0)                                                   \
    X(BLOCK_ACCT_WRITE, 1)                                                  \
    X(BLOCK_ACCT_FLUSH, 2)                                                  \
    X(BLOCK_MAX_IOTYPE, 3)                                                  \
    /* BlockdevDetectZeroesOptions */                                       \
    X(BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF, 0)                                \
    X(BLOCKDEV_DETECT_ZEROES_OPTIONS_ON, 1)                                 \
    X(BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP, 2)                              \
    X(BLOCKDEV_DETECT_ZEROES_OPTIONS__MAX, 3)

/* later than the baseline's header, but part of the contract */
#define ADDED_CONSTANTS(X)                                                  \
    X(BLOCKDEV_ON_ERROR_AUTO, 4)                                            \
    X(BLOCKDEV_ON_ERROR__MAX, 5)                                            \
    X(BDRV_REQ_FUA, 0x10)

#define X_VALUE(name, value)                                                \
    _Static_assert((long long)(name) == (value), "wrong value: " #name);
#define X_NCONST(name, value) +1

BASELINE_CONSTANTS(X_VALUE)
enum { BASELINE_CONSTANT_COUNT = 0 BASELINE_CONSTANTS(X_NCONST) };

#ifndef API_CHECK_BASELINE_ONLY
ADDED_CONSTANTS(X_VALUE)
enum { ADDED_CONSTANT_COUNT = 0 ADDED_CONSTANTS(X_NCONST) };
#else
enum { ADDED_CONSTANT_COUNT = 0 };
#endif

/* ------------------------------------------------------------------ */
/* 3. Public structure members: X(structure, member, (type)) */

#define STRIP(...) __VA_ARGS__

#define BASELINE_MEMBERS(X)                                                     \
    X(BlockDevOps, change_media_cb, (void (*)(void *, bool)))               \
    X(BlockDevOps, eject_request_cb, (void (*)(void *, bool)))              \
    X(BlockDevOps, is_tray_open, (bool (*)(void *)))                        \
    X(BlockDevOps, is_medium_locked, (bool (*)(void *)))                    \
    X(BlockDevOps, resize_cb, (void (*)(void *)))                           \
    X(QEMUIOVector, iov, (struct iovec *))                                  \
    X(QEMUIOVector, niov, (int))                                            \
    X(QEMUIOVector, nalloc, (int))                                          \
    X(QEMUIOVector, size, (size_t))                                         \
    X(AIOCBInfo, cancel_async, (void (*)(BlockAIOCB *)))                    \
    X(AIOCBInfo, get_aio_context, (AioContext *(*)(BlockAIOCB *)))          \
    X(AIOCBInfo, aiocb_size, (size_t))                                      \
    X(BlockAIOCB, aiocb_info, (const AIOCBInfo *))                          \
    X(BlockAIOCB, bs, (BlockDriverState *))                                 \
    X(BlockAIOCB, cb, (BlockCompletionFunc *))                              \
    X(BlockAIOCB, opaque, (void *))                                         \
    X(BlockAIOCB, refcnt, (int))                                            \
    X(BlockRequest, sector, (int64_t))                                      \
    X(BlockRequest, nb_sectors, (int))                                      \
    X(BlockRequest, flags, (int))                                           \
    X(BlockRequest, qiov, (QEMUIOVector *))                                 \
    X(BlockRequest, req, (int))                                             \
    X(BlockRequest, buf, (void *))                                          \
    X(BlockRequest, cb, (BlockCompletionFunc *))                            \
    X(BlockRequest, opaque, (void *))                                       \
    X(BlockRequest, error, (int))                                           \
    X(BlockSizes, phys, (uint32_t))                                         \
    X(BlockSizes, log, (uint32_t))                                          \
    X(HDGeometry, heads, (uint32_t))                                        \
    X(HDGeometry, sectors, (uint32_t))                                      \
    X(HDGeometry, cylinders, (uint32_t))                                    \
    X(BlockBackendRootState, open_flags, (int))                             \
    X(BlockBackendRootState, read_only, (bool))                             \
    X(BlockBackendRootState, detect_zeroes, (BlockdevDetectZeroesOptions))  \
    X(BlockBackendRootState, throttle_group, (char *))                      \
    X(BlockBackendRootState, throttle_state, (ThrottleState *))             \
    X(BlockAcctStats, nr_bytes[0], (uint64_t))                              \
    X(BlockAcctStats, nr_ops[0], (uint64_t))                                \
    X(BlockAcctStats, invalid_ops[0], (uint64_t))                           \
    X(BlockAcctStats, failed_ops[0], (uint64_t))                            \
    X(BlockAcctStats, total_time_ns[0], (uint64_t))                         \
    X(BlockAcctStats, merged[0], (uint64_t))                                \
    X(BlockAcctStats, last_access_time_ns, (int64_t))                       \
    X(BlockAcctStats, account_invalid, (bool))                              \
    X(BlockAcctStats, account_failed, (bool))                               \
    X(Notifier, notify, (void (*)(Notifier *, void *)))

#define X_MEMBER(st, member, type)                                          \
    _Static_assert(_Generic(((st *)0)->member, STRIP type: 1, default: 0),  \
                   "wrong type: " #st "." #member);
#define X_NMEMBER(st, member, type) +1

BASELINE_MEMBERS(X_MEMBER)
enum { BASELINE_MEMBER_COUNT = 0 BASELINE_MEMBERS(X_NMEMBER) };

/* ------------------------------------------------------------------ */

int main(void)
{
#define X_TABLE(ret, name, args) { #name, (void (*)(void))ptr_##name },
    static const struct {
        const char *name;
        void (*fn)(void);
    } table[] = { BASELINE_FUNCTIONS(X_TABLE) };
    size_t i, missing = 0;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (!table[i].fn) {
            fprintf(stderr, "not exported: %s\n", table[i].name);
            missing++;
        }
    }
    printf("%d functions checked\n", BASELINE_FUNCTION_COUNT);
    printf("%d constants checked (%d of the baseline, %d added)\n",
           BASELINE_CONSTANT_COUNT + ADDED_CONSTANT_COUNT,
           BASELINE_CONSTANT_COUNT, ADDED_CONSTANT_COUNT);
    printf("%d structure members checked\n", BASELINE_MEMBER_COUNT);
    return missing ? 1 : 0;
}
