/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The graph of nodes, inside the library: what lib/backend may use of
 * lib/graph beyond <blkbackend/block-driver.h>.
 *
 * The graph changes in the main thread only, and only while drained; the I/O
 * path walks it without a lock.
 */
#ifndef BLKBACKEND_GRAPH_H
#define BLKBACKEND_GRAPH_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/dirty-bitmap.h>

/* Who is above a node: a BlockBackend or a parent node. */
typedef struct BdrvParentOps {
    void (*drained_begin)(void *opaque);    /* close the gate; do not wait */
    bool (*drained_poll)(void *opaque);     /* true: requests still in flight */
    void (*drained_end)(void *opaque);
    const char *(*name)(void *opaque);      /* for messages; "" if anonymous */
    bool (*has_device)(void *opaque);       /* a device relies on us; may be NULL: no */
    bool is_backend;                        /* a BlockBackend: a node is the root of one at most */
} BdrvParentOps;

typedef struct BdrvParent {
    const BdrvParentOps *ops;
    void *opaque;
    LIST_ENTRY(BdrvParent) link;
} BdrvParent;

/* A node that another one has beside its file and its backing file. */
typedef struct BdrvChild {
    BlockDriverState *bs;
    BdrvParent parent;
    int old_flags, new_flags;           /* while it is being reopened */
    LIST_ENTRY(BdrvChild) link;
} BdrvChild;

/*
 * Requests in flight on a node, for serialisation (rule R8).  Kept in shards,
 * so that threads that do not overlap do not meet on a cache line: a request
 * registers in the shard of its thread, and only a serialising request looks
 * into all of them.
 */
#define TRACKER_SHARDS 8
typedef struct TrackedRequest TrackedRequest;
typedef struct TrackerShard {
    pthread_mutex_t lock;
    LIST_HEAD(, TrackedRequest) requests;
} __attribute__((aligned(64))) TrackerShard;

typedef struct OpBlocker {
    Error *reason;
    LIST_ENTRY(OpBlocker) link;
} OpBlocker;

#define BDRV_NODE_NAME_SIZE 32

struct BlockDriverState {
    /* Set at open, changed only in the main thread while drained; read by all. */
    BlockDriver *drv;                  /* NULL: driverless */
    void *opaque;                      /* the driver's instance */
    BlockDriverState *file;
    _Atomic(BlockDriverState *) backing;   /* who looks at properties does not stop for a drain */
    BdrvParent file_link, backing_link; /* this node as parent of its children */
    Error *backing_blocker;            /* why operations on backing are blocked */
    char *backing_file, *backing_format; /* what the image's header says; or NULL */
    /* An option that made it show something else than its file name says; NULL: none did. */
    const char *unnamed_option;
    BlockLimits bl;
    _Atomic(AioContext *) ctx;         /* any thread may ask for it at any time */
    char node_name[BDRV_NODE_NAME_SIZE]; /* "" if it lost it */
    char *filename;
    atomic_bool read_only;             /* so too */
    bool probed_raw;                   /* format guessed: sector 0 is guarded */
    bool sg;
    bool encrypted;
    bool native_fua;                   /* the driver honours BDRV_REQ_FUA itself */

    /* Shared, atomic. */
    atomic_int open_flags;
    atomic_bool enable_write_cache;
    atomic_int detect_zeroes;          /* BlockdevDetectZeroesOptions */
    atomic_int copy_on_read;           /* count of users */
    _Atomic int64_t length;            /* cached, bytes, multiple of 512 */
    _Atomic(BdrvDirtyBitmap *) dirty_bitmaps; /* linked by the main thread; unlinked if drained */
    _Atomic uint64_t wr_highest_offset;
    atomic_int serialising;            /* serialising requests in flight */

    CoMutex sector0_lock;              /* probed_raw: check and write of sector 0 are one step */
    pthread_mutex_t wait_lock;         /* who waits for whom; taken before a shard's lock */
    TrackerShard tracker[TRACKER_SHARDS];

    /* Main thread only. */
    int refcnt;
    int quiesce;                       /* drained sections of this node and of its children */
    int external_off;                  /* times we switched off external events of ctx */
    LIST_HEAD(, BdrvParent) parents;
    LIST_HEAD(, BdrvChild) children;   /* beside file and backing */
    LIST_HEAD(, OpBlocker) op_blockers[BLOCK_OP_TYPE_MAX];
    void *dirty_bitmap_names;          /* those with a name, for tfind() */
    uint64_t dirty_bitmap_bytes;       /* that they may take of memory */
    TAILQ_ENTRY(BlockDriverState) link; /* all nodes */
};

/* node.c */
BlockDriverState *bdrv_new(void);                        /* driverless, one reference */
bool bdrv_has_blk_parent(BlockDriverState *bs);          /* is root of a BlockBackend */
/* A request goes down from node to node on the small stack of its coroutine: -ELOOP if there are
 * too many in bs and below it, with `more` on top. */
int bdrv_check_depth(BlockDriverState *bs, unsigned more, Error **errp);
void bdrv_add_parent(BlockDriverState *bs, BdrvParent *parent);
void bdrv_remove_parent(BlockDriverState *bs, BdrvParent *parent);
BdrvParent *bdrv_other_parent(BlockDriverState *bs, const BdrvParent *known);   /* or NULL */
void bdrv_drop_node_name(BlockDriverState *bs);
int bdrv_check_node_name(const char *name, Error **errp);    /* a new node could have it */
bool bdrv_id_wellformed(const char *id);                 /* letter, then letters digits - . _ */
/* Set by lib/backend: names of backends and nodes are one namespace, checked from both sides. */
extern bool (*bdrv_name_in_use_elsewhere)(const char *name);
/* Set by lib/backend: root of the backend of that name; *found: there is such a backend. */
extern BlockDriverState *(*bdrv_lookup_backend)(const char *name, bool *found);
void bdrv_set_enable_write_cache(BlockDriverState *bs, bool wce);
bool bdrv_is_inserted(BlockDriverState *bs);             /* rule R1, recursive */
int bdrv_refresh_limits(BlockDriverState *bs, Error **errp);
/* Moves the subtree: detach parents first, attach children first (§3.7); the caller drains. */
void bdrv_detach_aio_context(BlockDriverState *bs);
void bdrv_attach_aio_context(BlockDriverState *bs, AioContext *new_context);
/* Both, for a node that is nobody's root. */
void bdrv_move_to_context(BlockDriverState *bs, AioContext *ctx);

/* sync.c: the result of fn(opaque), run in a coroutine of the calling thread's context, which is
 * polled meanwhile (rule R4); inside a coroutine in place */
typedef int64_t coroutine_fn BdrvSyncFunc(void *opaque);
int64_t bdrv_run_sync(BdrvSyncFunc *fn, void *opaque);

/* drain.c: waits (rule R4), not in a coroutine, until cond(opaque) is false, polling what
 * must be polled; ctx: where most of the awaited work is done */
void bdrv_wait_while(AioContext *ctx, bool (*cond)(void *opaque), void *opaque);
/* [any thread] After a change that a waiter's condition may depend on.  The change and the
 * condition's look at it must be sequentially consistent atomics. */
void bdrv_wait_kick(void);

/* io.c: callers have done the range check; flags as in BdrvRequestFlags */
int bdrv_check_writable(BlockDriverState *bs);           /* 0, or -EPERM: read-only or inactive */
int bdrv_check_compressed(BlockDriverState *bs);         /* the same, or -ENOTSUP: it cannot */

/* vmstate.c: the area beside the disk, of the first node down the file chain that has one; not
 * counted, not tracked.  0 or -errno. */
int coroutine_fn bdrv_co_save_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos);
int coroutine_fn bdrv_co_load_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos);

/* invalidate.c: makes an inactive node, and what is below it, active (§3.10) */
int coroutine_fn bdrv_co_invalidate_cache(BlockDriverState *bs, Error **errp);

/* backing.c (main thread): from now on bs is backed by another node (NULL: none), whatever its
 * header says.  Drains bs; the content that it shows must be the same with both. */
void bdrv_set_backing(BlockDriverState *bs, BlockDriverState *backing);
/* bdrv_name_for_header() for the header of overlay, a node above base: what the one that base backs
 * now says, if that means the same there. */
char *bdrv_backing_name_from(BlockDriverState *overlay, BlockDriverState *base, Error **errp);

/* commit.c (main thread): writes what bs decides into its backing file (§3.11).  0 or -errno. */
int bdrv_commit(BlockDriverState *bs);

/* The parts of a commit that one under running clients has, too. */
bool bdrv_is_below(BlockDriverState *base, BlockDriverState *top);    /* or the same */
/* Base gets top's length if it is shorter.  0 or -errno. */
int bdrv_commit_make_room(BlockDriverState *top, BlockDriverState *base, Error **errp);
/* Sets *n to how far the nodes above base have one answer from offset on, and copies that into
 * base if they decide: max bytes of data at most.  How many bytes of data that were, or -errno;
 * then *is_read: base could be written. */
int64_t coroutine_fn bdrv_co_commit_piece(BlockDriverState *top, BlockDriverState *base,
                                          int64_t offset, int64_t bytes, int64_t max, int64_t *n,
                                          bool *is_read);

typedef struct BdrvRate {
    int64_t bytes_per_second;          /* 0: no limit */
    int64_t copied, started;           /* bytes; ns */
} BdrvRate;

void bdrv_rate_start(BdrvRate *rate, int64_t bytes_per_second);
/* So many more bytes have been copied: ns to wait before the next. */
int64_t bdrv_rate_account(BdrvRate *rate, int64_t bytes);

/* copy-range.c: from one node to another, in bounded pieces; zeroes are written as such.
 * Ranges of one node must not overlap.  flags: BDRV_REQ_FUA or 0.  *is_read (or NULL), on error:
 * it was src that failed. */
int coroutine_fn bdrv_co_copy_range(BlockDriverState *src, int64_t src_offset,
                                    BlockDriverState *dst, int64_t dst_offset, int64_t bytes,
                                    int flags, bool *is_read);

/* block-status.c: one answer for the chain from bs down to, but without, base (NULL: all of it).
 * DATA, ZERO or both, plus ALLOCATED if bs itself decides; 0: base decides.
 * 0 < *pnum <= bytes (0 at bytes 0). */
int coroutine_fn bdrv_co_block_status_above(BlockDriverState *bs, BlockDriverState *base,
                                            int64_t offset, int64_t bytes, int64_t *pnum);

/* The same with all that bdrv_block_status_above() says. */
int coroutine_fn bdrv_co_block_status_where(BlockDriverState *bs, BlockDriverState *base,
                                            int64_t offset, int64_t bytes, int64_t *pnum,
                                            int64_t *map, BlockDriverState **file, int *depth);

/* blockers.c; the error names the backend above, else the node */
void bdrv_op_block_all(BlockDriverState *bs, Error *reason);
void bdrv_op_unblock_all(BlockDriverState *bs, Error *reason);
/* All but those of the nodes above it, for which it is the backing file. */
void bdrv_move_op_blockers(BlockDriverState *from, BlockDriverState *to);

#endif
