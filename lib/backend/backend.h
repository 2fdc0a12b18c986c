/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A BlockBackend from the inside (lib/backend only). */
#ifndef BLKBACKEND_BACKEND_H
#define BLKBACKEND_BACKEND_H

#include "backend/throttle.h"
#include "graph/graph.h"

/*
 * Requests in flight, counted where they run: one counter a shard, so that
 * threads do not meet on a cache line.  A request adds and subtracts in the
 * same shard.  Drain closes the gate, then looks at the sum.
 */
#define BLK_SHARDS 8
typedef struct BlkShard {
    atomic_int in_flight;
} __attribute__((aligned(64))) BlkShard;

typedef struct AioContextNotifier {
    void (*attached)(AioContext *new_context, void *opaque);
    void (*detach)(void *opaque);
    void *opaque;
    bool deleted;                       /* removed while the list is being walked */
    LIST_ENTRY(AioContextNotifier) link;
} AioContextNotifier;

struct BlkAio;

struct BlockBackend {
    /* Changed in the main thread while drained; read by requests that are counted in. */
    _Atomic(BlockDriverState *) root;

    /* Shared, atomic. */
    BlkShard shard[BLK_SHARDS];
    atomic_int gate;                    /* > 0: new requests wait (drained section) */
    atomic_bool allow_beyond_eof;
    atomic_int iostatus;                /* BlockDeviceIoStatus */
    atomic_uint dev_seq;                /* odd while the next two are being changed */
    _Atomic(const BlockDevOps *) dev_ops;
    _Atomic(void *) dev_opaque;
    _Atomic(void *) dev;
    atomic_bool iostatus_enabled;
    atomic_int on_read_error, on_write_error;   /* BlockdevOnError */
    CoMutex gate_lock;                  /* guards waiting requests: gate_queue */
    CoQueue gate_queue;
    pthread_mutex_t parked_lock;
    TAILQ_HEAD(, BlkAio) parked;        /* AIO requests that wait at the gate */
    atomic_int plug;                    /* blk_io_plug() depth */
    ThrottleGroupMember throttle;            /* own locks, see throttle.h */
    atomic_int plug_suspended;          /* > 0: somebody waits for requests */
    pthread_mutex_t plug_lock;          /* recursive; guards root_plugged */
    bool root_plugged;                  /* the root's driver was told of it */
    BlockAcctStats stats;               /* counters atomic (accounting.c) */

    /* Main thread only. */
    char *name;                         /* NULL: anonymous; other threads: blk_name_copy() */
    int refcnt;
    bool dead;                          /* destroyed, but a callback of it still runs */
    BlockBackendRootState root_state;   /* the first three are read by all threads */
    int guest_block_size;
    BdrvParent root_link;               /* this backend as parent of its root */
    NotifierList remove_bs_notifiers, insert_bs_notifiers;
    LIST_HEAD(, AioContextNotifier) aio_notifiers;   /* newest first */
    bool walking_aio_notifiers;
    TAILQ_ENTRY(BlockBackend) all_link;     /* all backends, in order of creation */
    TAILQ_ENTRY(BlockBackend) name_link;    /* named ones, in order of registration */
};

/* Prints one line and aborts: the caller broke a precondition ("P" in the contract). */
void blk_programming_error(const char *func, const char *what) __attribute__((noreturn));
#define BLK_PRECONDITION(cond, what) \
    do { if (!(cond)) { blk_programming_error(__func__, what); } } while (0)

static inline BlockDriverState *blk_root(const BlockBackend *blk)
{
    return atomic_load_explicit((_Atomic(BlockDriverState *) *)&blk->root, memory_order_acquire);
}

/* block-backend.c */
BlockBackend *blk_all_next(BlockBackend *blk);   /* in order of creation; NULL starts and ends */
char *blk_name_copy(BlockBackend *blk);          /* [any thread] caller frees */
void blk_free_if_dead(BlockBackend *blk);

/* request.c */
extern const BdrvParentOps blk_parent_ops;        /* gate and drain, for root_link */
bool blk_in_flight(BlockBackend *blk);            /* beyond callbacks that called us */
bool blk_counted(BlockBackend *blk);              /* these included */
BlkShard *blk_inc_in_flight(BlockBackend *blk);   /* never waits */
void blk_dec_in_flight(BlkShard *shard);          /* and wakes who drains */

/*
 * [any thread] The root, held in place for a look at it (it may be NULL), from
 * begin to end; never waits, so end it soon.  Requests need none of this: they
 * are counted in already.
 */
static inline BlockDriverState *blk_look_begin(BlockBackend *blk, BlkShard **shard)
{
    *shard = blk_inc_in_flight(blk);
    return atomic_load(&blk->root);     /* blk_remove_bs() stores it, then looks at in_flight */
}

static inline void blk_look_end(BlkShard *shard)
{
    blk_dec_in_flight(shard);
}

/* plug.c: tell the root's driver how things are; that it is not ours any more */
void blk_plug_update(BlockBackend *blk, BlockDriverState *root);
void blk_plug_forget(BlockBackend *blk, BlockDriverState *root);
/* [any thread] Around a wait for requests: nothing is held back meanwhile. */
void blk_plug_suspend(BlockBackend *blk);
void blk_plug_resume(BlockBackend *blk);

/* aio.c: the gate is open again */
void blk_aio_unpark(BlockBackend *blk);

/* histogram.c */
void block_histogram_account(BlockAcctStats *stats, enum BlockAcctType type, uint64_t latency);
void block_histograms_cleanup(BlockAcctStats *stats);

/* hooks.c: without a hook they do nothing */
void blk_send_io_error(BlockBackend *blk, bool is_read, BlockErrorAction action, int error);
void blk_send_tray_moved(BlockBackend *blk, bool tray_open);
void blk_stop(BlockBackend *blk, BlkStopPhase phase);

#endif
