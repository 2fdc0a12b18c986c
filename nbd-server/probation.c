/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a network is cut, what a client has sent may wait in its kernel long after the client closed
 * that connection and made a new one; and when the network is whole again it arrives: old writes,
 * after newer ones.  From here it looks like a connection that was silent and goes on.
 *
 * So if a connection was silent when a newer one of its client came, its next writes are held
 * until no more comes for a moment.  What a dead process left behind is followed at once by the end
 * of the stream, and then the writes are dropped: nobody waits for them.  A client that lives loses
 * that moment, once.
 */
#include "probation.h"

#include <errno.h>

#include "hold.h"
#include "liveness.h"

/* Connections that were made together, to be used together, are silent at first. */
#define FIRST_SILENCE_NS (2000 * (int64_t)SCALE_MS)
/* The moment; and the round trips that it is at least. */
#define QUIET_NS (100 * (int64_t)SCALE_MS)
#define QUIET_TRIPS 4

void probation_announce(Client *c)
{
    atomic_store(&c->newer_ns, qemu_clock_get_ns(QEMU_CLOCK_REALTIME));
}

void probation_begin(Client *c)
{
    int64_t newer_ns = atomic_load_explicit(&c->newer_ns, memory_order_relaxed);

    if (newer_ns != 0) {
        atomic_store(&c->newer_ns, 0);
        c->doubted = c->n_requests > 0 || newer_ns - c->heard_ns >= FIRST_SILENCE_NS;
    }
}

void probation_lift(Client *c, int64_t since_ns)
{
    if (atomic_load(&c->newer_ns) <= since_ns) {
        atomic_store(&c->newer_ns, 0);
    }
}

static int64_t quiet_from(const Client *c)
{
    int64_t trips = QUIET_TRIPS * liveness_round_trip_ns(c->conn.fd);

    return c->heard_ns + (trips > QUIET_NS ? trips : QUIET_NS);
}

static void on_timer(void *opaque)
{
    Client *c = opaque;
    bool unread, closed = liveness_closed(c->conn.fd, &unread);
    bool full = c->wait == WAIT_ROOM || c->wait == WAIT_MEMORY;

    if (c->error) {
        return;
    }
    if (closed && (full || c->wait == WAIT_TURN)) {
        client_fail(c, -ECONNRESET);    /* which nobody would find in the stream */
    } else if (closed || export_is_gated(c->conn.export) || c->wait == WAIT_TURN) {
        timer_mod_ns(c->probation_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + QUIET_NS);
    } else if (full) {
        log_msg(LOG_LEVEL_WARNING, c->conn.export, &c->conn, "cut off: after the client has "
                "connected anew, too much at once has come over this connection");
        client_fail(c, -ECONNABORTED);
    } else if (unread || qemu_clock_get_ns(QEMU_CLOCK_REALTIME) < quiet_from(c)) {
        timer_mod_ns(c->probation_timer, quiet_from(c));
    } else {
        c->doubted = false;
        hold_release(c);
    }
}

void probation_watch(Client *c)
{
    if (!c->probation_timer) {
        c->probation_timer = aio_timer_new(c->conn.ctx, QEMU_CLOCK_REALTIME, SCALE_NS, on_timer, c);
    }
    if (!timer_pending(c->probation_timer)) {
        timer_mod_ns(c->probation_timer, quiet_from(c));
    }
}

void probation_end(Client *c)
{
    if (c->doubted && c->n_held > 0) {
        log_msg(LOG_LEVEL_WARNING, c->conn.export, &c->conn, "the client closed this connection "
                "and made another one: old writes that came late over this one are dropped");
    }
    timer_free(c->probation_timer);
    c->probation_timer = NULL;
}
