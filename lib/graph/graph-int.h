/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of lib/graph know of each other. */
#ifndef BLKBACKEND_GRAPH_INT_H
#define BLKBACKEND_GRAPH_INT_H

#include "graph/graph.h"

/* The largest size of a node: rounding it up to any alignment cannot overflow. */
#define BDRV_MAX_ALIGNMENT (1 << 30)
#define BDRV_MAX_LENGTH (INT64_MAX - INT64_MAX % BDRV_MAX_ALIGNMENT)

#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define ROUND_DOWN(n, unit) ((n) - (n) % (unit))
#define ROUND_UP(n, unit) ROUND_DOWN((n) + (unit) - 1, (unit))

/* Prints one line and aborts: the caller broke a precondition. */
void bdrv_programming_error(const char *func, const char *what) __attribute__((noreturn));
#define BDRV_PRECONDITION(cond, what) \
    do { if (!(cond)) { bdrv_programming_error(__func__, what); } } while (0)

/* Small objects: zeroed memory or a copy; running out of it aborts. */
void *bdrv_alloc(size_t size);
char *bdrv_strdup(const char *str);

/* node.c */
/* name NULL: a generated one. */
int bdrv_set_node_name(BlockDriverState *bs, const char *name, Error **errp);
/* Takes over the reference to file. */
void bdrv_attach_file(BlockDriverState *bs, BlockDriverState *file);
void bdrv_detach_driver(BlockDriverState *bs);    /* after its close, or its failed open */

/* backing.c: opens and attaches the backing file, if bs is to have one */
int bdrv_open_backing(BlockDriverState *bs, QDict *options, int flags, Error **errp);
void bdrv_detach_backing(BlockDriverState *bs);

/* snapshot-overlay.c: as bdrv_open(), with a temporary overlay that takes the writes */
int bdrv_open_snapshot(BlockDriverState **pbs, const char *filename, QDict *options, int flags,
                       Error **errp);

/* registry.c */
const BlockDriver *bdrv_find_protocol(const char *filename, bool allow_prefix, Error **errp);
/* The format that the first `size` bytes of an image show; raw if they show none. */
const BlockDriver *bdrv_guess_format(const uint8_t *buf, int size, const char *filename);
/* What follows "proto:" in filename; NULL if it does not start with that. */
const char *bdrv_strip_protocol(const char *filename, const char *protocol_name);

/* options.c: dictionaries with dotted keys and no nesting */
QDict *bdrv_options_flatten(const QDict *options, Error **errp);
/* The options in "json:{...}". */
QDict *bdrv_options_from_json(const char *filename, Error **errp);
/* Moves "prefix.key" to "key" in a new dictionary. */
QDict *bdrv_options_extract(QDict *options, const char *prefix);
/* Remove the option and hand out its value; an absent one leaves *value alone.  0 or -EINVAL. */
int bdrv_options_take_str(QDict *options, const char *key, char **value, Error **errp);
int bdrv_options_take_bool(QDict *options, const char *key, bool *value, Error **errp);

/* sync.c */
int64_t bdrv_refresh_length(BlockDriverState *bs);

/* io.c: asks the driver and remembers the answer; bytes or -errno */
int64_t coroutine_fn bdrv_co_refresh_length(BlockDriverState *bs);

/* dirty-bitmap.c */
/* [any thread] A request has changed this range, or has failed to (done: it has not).  Only where
 * there are bitmaps. */
void bdrv_mark_dirty_bitmaps(BlockDriverState *bs, int64_t offset, int64_t bytes, bool done);
bool bdrv_has_readonly_bitmaps(BlockDriverState *bs);
bool bdrv_can_resize_dirty_bitmaps(BlockDriverState *bs, int64_t size, Error **errp);
void bdrv_resize_dirty_bitmaps(BlockDriverState *bs, int64_t size);
/* No request is in flight, and none will be. */
void bdrv_release_all_dirty_bitmaps(BlockDriverState *bs);

/* stored-bitmaps.c */
/* A node can be used: an inactive one cannot. */
int bdrv_load_dirty_bitmaps(BlockDriverState *bs, Error **errp);
/* It is about to be closed or to become read-only; no request is in flight. */
int bdrv_store_dirty_bitmaps(BlockDriverState *bs, Error **errp);
/* Persistent bitmaps can be changed if their node can. */
void bdrv_follow_read_only(BlockDriverState *bs);

/* drain.c: a node as parent of its children */
extern const BdrvParentOps bdrv_node_parent_ops;

/*
 * transfer.c: a read or write as the driver wants it: no more bytes or vector
 * elements than it takes at once, memory as it needs it.  offset and bytes are
 * aligned; uses qiov from its first byte on.  flags: BDRV_REQ_FUA or 0.
 */
int coroutine_fn bdrv_transfer_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                    QEMUIOVector *qiov);
int coroutine_fn bdrv_transfer_write(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     QEMUIOVector *qiov, int flags);
/* Bytes of the next piece of [offset, offset + bytes): a short head up to a multiple of
 * align, whole multiples, a short tail; at most max (0: no limit). */
int64_t bdrv_piece_size(int64_t offset, int64_t bytes, int64_t align, int64_t max);

/* copy-on-read.c: whether reading this range stores data of the backing file; 0, 1 or -errno */
int coroutine_fn bdrv_must_fill(BlockDriverState *bs, int64_t offset, int64_t bytes, int flags);
/* Reads it, all before the node's end, and stores them. */
int coroutine_fn bdrv_fill_and_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                    QEMUIOVector *qiov);

/* zero.c: writes zeroes to an aligned range (rule R9).  flags as of bdrv_co_pwrite_zeroes() */
int coroutine_fn bdrv_transfer_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      int flags);

/*
 * tracker.c: a request in flight on a node, on its coroutine's stack.
 * tracker_begin() enters it and waits for the serialising requests that it
 * overlaps (a serialising one: for all that it overlaps).
 */
struct TrackedRequest {
    BlockDriverState *bs;
    int64_t offset, bytes;             /* aligned: what it reads or writes of the medium */
    bool serialising;
    bool waiting;                      /* bs->wait_lock; may be stale "true", never stale "false" */
    Coroutine *co;                     /* once it waits */
    TrackerShard *shard;
    LIST_ENTRY(TrackedRequest) link;                /* shard->lock */
    STAILQ_HEAD(, TrackedRequest) waiters;          /* shard->lock of the one waited for */
    STAILQ_ENTRY(TrackedRequest) waiter_link;
};

void coroutine_fn tracker_begin(TrackedRequest *req, BlockDriverState *bs, int64_t offset,
                                int64_t bytes, bool serialising);
/* Enters it without waiting: a read that may overlap a serialising request. */
void coroutine_fn tracker_begin_no_wait(TrackedRequest *req, BlockDriverState *bs, int64_t offset,
                                        int64_t bytes);
void coroutine_fn tracker_end(TrackedRequest *req);

#endif
