/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file driver's inside: one state, shared by
 *   file.c         opening, reopening, closing, size; the two driver tables
 *   file-rw.c      reads, writes, flushes and what a failed flush means
 *   file-space.c   zeroing, discarding, allocation
 *   file-create.c  new files
 *   file-limits.c  alignment and other limits of the medium
 *   file-lock.c    locks against other processes
 *   file-map.c     reads without a copy
 */
#ifndef BLKBACKEND_DRIVER_FILE_H
#define BLKBACKEND_DRIVER_FILE_H

#include <pthread.h>
#include <stdatomic.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/image.h>

typedef struct FileMap FileMap;

typedef enum { FILE_LOCKING_AUTO, FILE_LOCKING_ON, FILE_LOCKING_OFF } FileLocking;

/* Flushes of many requests share one fdatasync, see file_sync_shared(). */
typedef struct FileFlush {
    CoMutex lock;
    CoQueue waiters;
    uint64_t started;              /* fdatasyncs begun; more than finished: one is running */
    uint64_t finished;
    int result;                    /* of the last that finished */
} FileFlush;

typedef struct BDRVFileState {
    /* Set at open and reopen, when no request is in flight. */
    int fd;
    bool writable;                 /* fd is open for writing */
    bool direct;                   /* O_DIRECT */
    bool is_device;                /* a block device */
    bool is_sg;                    /* a SCSI-generic character device */
    bool inline_io;                /* see file_is_memory() */
    bool mappable;                 /* see file-map.c */
    FileLocking locking;
    bool force_share;              /* deny others nothing */
    bool locked;
    uint32_t request_alignment;
    uint32_t mem_alignment;

    /* Any thread. */
    atomic_int flush_error;        /* positive errno: data was lost, no flush may succeed */
    _Atomic int64_t slow_until_ns; /* monotonic: until then buffered writes go to workers ... */
    _Atomic int64_t slow_for_ns;   /* ... because one had to wait; for how long, the last time */
    atomic_bool no_zero_range;     /* the medium turned these down: don't ask again */
    atomic_bool no_punch_hole;
    atomic_bool no_discard;
    FileFlush flush;
    _Atomic(FileMap *) map;        /* the newest */
    pthread_mutex_t map_lock;      /* held by who replaces or enlarges it */
} BDRVFileState;

/* file.c: bytes, or -errno; cheap */
int64_t file_length(BDRVFileState *s);

/* file-rw.c */
int coroutine_fn file_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                QEMUIOVector *qiov, int flags);
int coroutine_fn file_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, int flags);
int coroutine_fn file_co_flush(BlockDriverState *bs);

/* file-space.c */
int coroutine_fn file_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       int flags);
int coroutine_fn file_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes);
int coroutine_fn file_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map, BlockDriverState **file);
int coroutine_fn file_co_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                                  Error **errp);
int64_t file_get_allocated_file_size(BlockDriverState *bs);

/* file-create.c */
#define FILE_PREALLOC_MODES (1u << PREALLOC_MODE_FALLOC | 1u << PREALLOC_MODE_FULL)
extern const BdrvOption file_create_options[], host_device_create_options[];
bool file_exists(const char *filename);
int file_delete(const char *filename);
int file_create(const char *filename, const QDict *options, Error **errp);
int host_device_create(const char *filename, const QDict *options, Error **errp);

/* file-limits.c: file_probe_alignment() sets the state's two alignments */
int file_probe_alignment(BDRVFileState *s, const char *filename, Error **errp);
void file_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp);
int file_probe_blocksizes(BlockDriverState *bs, BlockSizes *bsz);

/* file-lock.c */
int file_lock(BDRVFileState *s, int fd, bool writable, const char *filename, Error **errp);
void file_unlock(int fd);
/* Moves the lock from s->fd to fd; on failure s->fd has it still. */
int file_lock_move(BDRVFileState *s, int fd, bool writable, const char *filename, Error **errp);

/* file-map.c */
void file_map_init(BDRVFileState *s);
void file_map_destroy(BDRVFileState *s);
int coroutine_fn file_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  BlockMapping *map);
/* How many bytes from offset on, at most `bytes`, are known to be data; 0: nothing is known. */
int64_t file_map_known_data(BDRVFileState *s, int64_t offset, int64_t bytes);
/* The range may have become a hole. */
void file_map_forget(BDRVFileState *s, int64_t offset, int64_t bytes);

#endif
