/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request: sent on the connection that has the least to do, and sent again on another one if
 * that was lost before the answer came.
 *
 * A request whose answer was lost may have been carried out, so sending it again may carry it out
 * twice.  That is no harm as long as nothing else has changed the same bytes in between.  So, where
 * requests are sent again at all, a write waits until no overlapping one is in flight.  A flush may
 * be sent again at any time: what it is to make stable had its answer before it came.
 */
#include <errno.h>

#include "drivers/nbd.h"

#define BUSY 4                     /* requests on each connection before one more is opened */

/* ---- waiting (under s->lock) ---- */

static void coroutine_fn wait_locked(BDRVNbdState *s)
{
    FarWaiter w = { .co = qemu_coroutine_self() };

    STAILQ_INSERT_TAIL(&s->waiters, &w, link);
    pthread_mutex_unlock(&s->lock);
    qemu_coroutine_yield();
    pthread_mutex_lock(&s->lock);
}

static bool overlaps_change(BDRVNbdState *s, const FarRequest *req)
{
    FarRequest *other;

    LIST_FOREACH(other, &s->changes, link) {
        if (req->offset < other->offset + other->bytes &&
            other->offset < req->offset + req->bytes) {
            return true;
        }
    }
    return false;
}

/* ---- sending ---- */

static int completed(void *opaque, int *error)
{
    FarRequest *req = opaque;

    req->error = *error;
    return 1;
}

/* libnbd's last word on a request, whatever became of it. */
static void released(void *opaque)
{
    FarRequest *req = opaque;

    if (atomic_fetch_add(&req->arrived, 1) == 1) {
        aio_co_wake(req->co);
    }
}

/* The first extents, as long as they have the same state. */
static int extents(void *opaque, const char *context, uint64_t offset, uint32_t *entries,
                   size_t n_entries, int *error)
{
    FarRequest *req = opaque;

    (void)context;
    (void)offset;
    (void)error;
    for (size_t i = 0; i + 1 < n_entries && !req->ended; i += 2) {
        if (req->length == 0) {
            req->state = entries[i + 1];
        }
        req->ended = req->state != entries[i + 1];
        req->length += req->ended ? 0 : entries[i];
    }
    return 0;
}

static int64_t send_request(struct nbd_handle *h, FarRequest *req, uint32_t flags)
{
    nbd_completion_callback done = { .callback = completed, .user_data = req, .free = released };
    nbd_extent_callback extent = { .callback = extents, .user_data = req };
    uint64_t offset = (uint64_t)req->offset, bytes = (uint64_t)req->bytes;

    switch (req->command) {
    case FAR_READ:
        return nbd_aio_pread(h, req->buf, bytes, offset, done, flags);
    case FAR_WRITE:
        return nbd_aio_pwrite(h, req->buf, bytes, offset, done, flags);
    case FAR_ZERO:
        return nbd_aio_zero(h, bytes, offset, done, flags);
    case FAR_TRIM:
        return nbd_aio_trim(h, bytes, offset, done, flags);
    case FAR_STATUS:
        return nbd_aio_block_status(h, bytes, offset, extent, done, flags);
    case FAR_FLUSH:
        break;
    }
    return nbd_aio_flush(h, done, flags);
}

/* What the server at the other end of this connection does not take is not sent. */
static int check_request(const FarInfo *info, const FarRequest *req)
{
    bool changes = req->command == FAR_WRITE || req->command == FAR_ZERO ||
                   req->command == FAR_TRIM;

    if (req->command != FAR_FLUSH &&
        (req->offset > info->size || req->bytes > info->size - req->offset)) {
        return -EIO;
    }
    if (changes && info->read_only) {
        return -EPERM;
    }
    if ((req->command == FAR_FLUSH && !info->flush) ||
        (req->command == FAR_ZERO && !info->zero) ||
        (req->command == FAR_TRIM && !info->trim) ||
        (req->command == FAR_STATUS && !info->status) ||
        ((req->flags & LIBNBD_CMD_FLAG_FAST_ZERO) && !info->fast_zero)) {
        return -ENOTSUP;
    }
    return 0;
}

/* ---- connections (under s->lock) ---- */

static FarConn *pick_connection(BDRVNbdState *s)
{
    FarConn *best = NULL;

    for (int i = 0; i < s->n_wanted; i++) {
        FarConn *conn = &s->conns[i];

        if (conn->state == FAR_UP && (!best || conn->in_flight < best->in_flight)) {
            best = conn;
        }
    }
    if (best && best->in_flight >= BUSY && s->n_wanted == s->n_up && best->info.multi_conn &&
        s->n_wanted < s->set.connections) {
        s->n_wanted++;
        qemu_bh_schedule(s->work);
    }
    return best;
}

/* ---- running ---- */

/* Sends it and waits for the answer; *lost: the connection went first.  The lock is given up
 * meanwhile; taken again when this returns. */
static int coroutine_fn run_on(BDRVNbdState *s, FarConn *conn, FarRequest *req, bool *lost)
{
    unsigned generation = conn->generation;
    struct nbd_handle *h = conn->h;
    uint32_t flags = (uint32_t)req->flags;
    bool look;

    req->fua_dropped = (flags & LIBNBD_CMD_FLAG_FUA) && !conn->info.fua;
    if (req->fua_dropped) {
        flags &= ~(uint32_t)LIBNBD_CMD_FLAG_FUA;
    }
    conn->users++;
    conn->in_flight++;
    pthread_mutex_unlock(&s->lock);

    req->co = qemu_coroutine_self();
    req->error = ENOTCONN;
    req->length = 0;
    req->ended = false;
    atomic_store(&req->arrived, 0);
    if (send_request(h, req, flags) < 0 && !far_is_dead(h)) {
        req->error = nbd_get_errno();
    }
    look = far_is_dead(h) || (nbd_aio_get_direction(h) & LIBNBD_AIO_DIRECTION_WRITE);

    pthread_mutex_lock(&s->lock);
    conn->users--;
    if (look || (conn->users == 0 && conn->state == FAR_LOST)) {
        qemu_bh_schedule(s->work);
    }
    pthread_mutex_unlock(&s->lock);
    if (atomic_fetch_add(&req->arrived, 1) == 0) {
        qemu_coroutine_yield();
    }
    pthread_mutex_lock(&s->lock);
    conn->in_flight--;
    *lost = req->error == ENOTCONN || req->error == ESHUTDOWN;
    if (*lost) {
        far_lose(conn, generation);
    }
    return *lost ? -EIO : -req->error;
}

static int coroutine_fn run_locked(BDRVNbdState *s, FarRequest *req)
{
    bool lost = true;
    int ret = 0;

    while (lost) {
        FarConn *conn = pick_connection(s);

        if (conn) {
            ret = check_request(&conn->info, req);
            if (ret == 0) {
                ret = run_on(s, conn, req, &lost);
            } else {
                lost = false;
            }
            lost = lost && s->set.reconnect_ns > 0;
        } else if (s->failing) {
            return -EIO;
        } else {
            wait_locked(s);
        }
    }
    return ret;
}

static int coroutine_fn run_alone(BDRVNbdState *s, FarRequest *req)
{
    int ret;

    while (overlaps_change(s, req)) {
        wait_locked(s);
    }
    LIST_INSERT_HEAD(&s->changes, req, link);
    ret = run_locked(s, req);
    LIST_REMOVE(req, link);
    return ret;
}

int coroutine_fn far_co_run(BDRVNbdState *s, FarRequest *req)
{
    bool alone = s->set.reconnect_ns > 0 &&
                 (req->command == FAR_WRITE || req->command == FAR_ZERO ||
                  req->command == FAR_TRIM);
    bool wake;
    int ret;

    pthread_mutex_lock(&s->lock);
    ret = alone ? run_alone(s, req) : run_locked(s, req);
    wake = alone && !STAILQ_EMPTY(&s->waiters);
    pthread_mutex_unlock(&s->lock);
    if (wake) {
        far_wake_waiters(s);
    }
    return ret;
}
