/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate of an export: while it is closed, for one reason or several, no request is started.
 * What comes waits in its connection (hold.c), what runs goes on.
 *
 * Closing it is a store; a thread that has not seen it yet starts requests for a moment.  So who
 * wants to know that nothing runs any more asks each thread, after that: from then on it sees the
 * gate, and it counts what it has started before.
 */
#include "config.h"
#include "conn-int.h"
#include "events.h"

const char *export_state(const Export *export)
{
    unsigned gate = export->gate;

    return export->removed ? "removed"
           : gate & GATE_PAUSED ? "paused"
           : gate & GATE_IO_ERROR ? "io-error"
           : gate & GATE_NO_MEDIUM ? "no-medium" : "running";
}

static void tell_closed(Export *export, unsigned reason)
{
    if (reason & GATE_IO_ERROR) {
        event_export_state(export, "error", export->stop_error);
    } else if (reason & ~GATE_MOMENTS) {
        event_export_state(export, reason & GATE_PAUSED ? "paused" : "medium-out", 0);
    }
}

static void tell_open(Export *export, unsigned reasons)
{
    if (reasons & ~GATE_MOMENTS) {
        event_export_state(export, export->server->stopping ? "server-ends"
                           : reasons & ~GATE_NO_MEDIUM ? "resumed"
                           : export_has_medium(export) ? "medium-in" : "on-eject", 0);
    }
}

bool export_gate(Export *export, unsigned reason)
{
    unsigned old = atomic_fetch_or(&export->gate, reason);

    if (export->server->stopping) {
        atomic_store(&export->gate, 0);     /* exports_ungate() may have been before us */
        return false;
    }
    if (!(old & reason)) {
        tell_closed(export, reason);
    }
    return !(old & reason);
}

void export_ungate(Export *export, unsigned reasons)
{
    unsigned old = atomic_fetch_and(&export->gate, ~reasons);

    tell_open(export, old & reasons);
    if (old && !(old & ~reasons)) {
        iothreads_release_export(export->server, export);
    }
}

void exports_ungate(Server *server)
{
    Export *export;

    TAILQ_FOREACH(export, &server->exports, link) {
        export_ungate(export, ~0u);
    }
}

/* ---- draining ---- */

static void count_running(Conn *conn, void *opaque)
{
    Client *c = client_of(conn);

    if (conn->export == opaque && c->running > 0 && !c->draining) {
        c->draining = true;
        atomic_fetch_add(&conn->export->draining, 1);
    }
}

void gate_conn_drained(Client *c)
{
    c->draining = false;
    if (atomic_fetch_sub(&c->conn.export->draining, 1) == 1) {
        aio_notify(qemu_get_aio_context());
    }
}

static void set_flag(void *opaque)
{
    *(bool *)opaque = true;
}

bool export_drain(Export *export, unsigned reasons)
{
    Server *server = export->server;
    int64_t timeout_ns = (int64_t)server->config->drain_timeout * 1000000000;
    bool expired = false;
    QEMUTimer *timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                     set_flag, &expired);

    timer_mod_ns(timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + timeout_ns);
    export_gate(export, GATE_DRAIN);
    iothreads_visit(server, count_running, export);
    while (export->draining > 0 && !expired && !server->stopping &&
           (export->gate & reasons) == reasons) {
        main_loop_wait(false);
    }
    timer_free(timer);
    export_ungate(export, GATE_DRAIN);
    return export->draining == 0;
}
