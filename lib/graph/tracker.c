/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests in flight on a node, and who waits for whom (rule R8).
 *
 * A request enters itself in its thread's shard and then looks at the count of
 * serialising requests; a serialising one raises the count and then looks into
 * all shards.  Both pass through the shard's lock, so at least one of two
 * overlapping requests sees the other, and the many that meet no serialising
 * request share nothing but that count, which nobody changes.
 */
#include "graph/graph-int.h"
#include "util/thread.h"

static bool overlap(const TrackedRequest *a, const TrackedRequest *b)
{
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/*
 * Queues self behind a request that it must wait for; false if there is none.
 * One that waits itself does not count: either it waits for us, or it will look
 * again and find us before it goes on.
 */
static bool queue_behind_another(TrackedRequest *self)
{
    BlockDriverState *bs = self->bs;

    for (int i = 0; i < TRACKER_SHARDS; i++) {
        TrackerShard *shard = &bs->tracker[i];
        TrackedRequest *req;

        pthread_mutex_lock(&shard->lock);
        LIST_FOREACH(req, &shard->requests, link) {
            if (req != self && (req->serialising || self->serialising) && !req->waiting &&
                overlap(req, self)) {
                self->waiting = true;
                STAILQ_INSERT_TAIL(&req->waiters, self, waiter_link);
                pthread_mutex_unlock(&shard->lock);
                return true;
            }
        }
        pthread_mutex_unlock(&shard->lock);
    }
    return false;
}

static void coroutine_fn wait_for_others(TrackedRequest *self)
{
    BlockDriverState *bs = self->bs;

    self->co = qemu_coroutine_self();
    pthread_mutex_lock(&bs->wait_lock);
    while (queue_behind_another(self)) {
        pthread_mutex_unlock(&bs->wait_lock);
        qemu_coroutine_yield();
        pthread_mutex_lock(&bs->wait_lock);
        self->waiting = false;
    }
    pthread_mutex_unlock(&bs->wait_lock);
}

/* True if there may be a request to wait for. */
static bool enter(TrackedRequest *req)
{
    TrackerShard *shard = req->shard;
    bool meets_serialising;

    pthread_mutex_lock(&shard->lock);
    LIST_INSERT_HEAD(&shard->requests, req, link);
    meets_serialising = atomic_load_explicit(&req->bs->serialising, memory_order_relaxed) > 0;
    pthread_mutex_unlock(&shard->lock);
    return meets_serialising;
}

static void init_request(TrackedRequest *req, BlockDriverState *bs, int64_t offset, int64_t bytes,
                         bool serialising)
{
    req->bs = bs;
    req->offset = offset;
    req->bytes = bytes;
    req->serialising = serialising;
    req->waiting = false;
    req->shard = &bs->tracker[thread_number() % TRACKER_SHARDS];
    STAILQ_INIT(&req->waiters);
}

void coroutine_fn tracker_begin(TrackedRequest *req, BlockDriverState *bs, int64_t offset,
                                int64_t bytes, bool serialising)
{
    init_request(req, bs, offset, bytes, serialising);
    if (serialising) {
        atomic_fetch_add_explicit(&bs->serialising, 1, memory_order_relaxed);
    }
    if (enter(req)) {
        wait_for_others(req);
    }
}

void coroutine_fn tracker_begin_no_wait(TrackedRequest *req, BlockDriverState *bs, int64_t offset,
                                        int64_t bytes)
{
    init_request(req, bs, offset, bytes, false);
    enter(req);
}

void coroutine_fn tracker_end(TrackedRequest *req)
{
    TrackedRequest *waiter, *next;

    pthread_mutex_lock(&req->shard->lock);
    LIST_REMOVE(req, link);
    pthread_mutex_unlock(&req->shard->lock);
    if (req->serialising) {
        atomic_fetch_sub_explicit(&req->bs->serialising, 1, memory_order_relaxed);
    }
    /* Off the list, nobody joins our waiters any more.  A woken one takes its entry with it. */
    for (waiter = STAILQ_FIRST(&req->waiters); waiter; waiter = next) {
        next = STAILQ_NEXT(waiter, waiter_link);
        aio_co_wake(waiter->co);
    }
}
