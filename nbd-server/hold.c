/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that have come and must not run yet.  They wait in their connection, in the order they
 * came, for one of these:
 *
 *     the gate of their export        all that come while it is closed: gate.c
 *     proof that their client lives   writes over a connection that is doubted: probation.c
 *
 * They cost their client its budget and its number of requests, but no other: what waits has no
 * coroutine, unless it was under way before (it waited for something else, or has failed and is to
 * be tried again).  When the connection ends they end with it.
 */
#include "hold.h"

#include <errno.h>

#include "common/nbd-protocol.h"
#include "liveness.h"
#include "probation.h"

static bool is_doubtful(const Client *c, const Request *req)
{
    return c->doubted && !req->co && request_writes(req);
}

static unsigned thread_share(const Client *c)
{
    return SERVER_MAX_IN_FLIGHT / c->conn.server->n_threads;
}

/* ---- in ---- */

/* By the time of arrival: what failed and is tried again is older than what waits already. */
static void hold(Client *c, Request *req)
{
    Request *before = NULL, *each;

    STAILQ_FOREACH(each, &c->held, link) {
        if (each->position > req->position) {
            break;
        }
        before = each;
    }
    if (before) {
        STAILQ_INSERT_AFTER(&c->held, before, req, link);
    } else {
        STAILQ_INSERT_HEAD(&c->held, req, link);
    }
    c->n_held++;
    request_list_write(req);
    request_detach_payload(req);
    if (!req->co) {
        requests_in_thread_add(-1);
    }
}

/* It has been taken off the queue. */
static void unhold(Client *c, const Request *req)
{
    c->n_held--;
    if (!req->co) {
        requests_in_thread_add(1);
    }
}

static void refuse(Request *req)
{
    request_reject(req, NBD_ESHUTDOWN, "not started: the export is stopped, and the connection "
                   "is being ended");
}

bool hold_take(Request *req)
{
    Client *c = req->client;
    bool gated = export_is_gated(c->conn.export);

    if (gated && c->stopping) {
        refuse(req);
        return true;
    }
    if (!gated && !c->gated && !is_doubtful(c, req)) {
        return false;
    }
    c->gated |= gated;
    hold(c, req);
    if (c->doubted) {
        probation_watch(c);
    }
    return true;
}

bool coroutine_fn hold_pass(Request *req)
{
    Client *c = req->client;

    while (export_is_gated(c->conn.export)) {
        if (c->error || c->ended || c->stopping) {
            return false;
        }
        c->gated = true;
        hold(c, req);
        qemu_coroutine_yield();
    }
    return !c->error;
}

bool hold_is_full(const Client *c, uint64_t payload)
{
    size_t used = c->gated ? c->budget.used : 0;

    /* Up to here the memory is the client's own; what lies beyond others share. */
    return used + payload > BUDGET_OWN_BYTES && !c->stopping &&
           (c->gated || export_is_gated(c->conn.export));
}

/* ---- out ---- */

static void start(Client *c, Request *req)
{
    char text[ERROR_TEXT_MAX];

    unhold(c, req);
    if (req->co) {
        qemu_coroutine_enter(req->co, NULL);
    } else if (export_is_gated(c->conn.export)) {
        refuse(req);
    } else {
        /* The medium may be another one than when it came. */
        uint32_t error = request_check(req, text);

        if (error != NBD_SUCCESS) {
            request_reject(req, error, text);
        } else {
            request_start(req);
        }
    }
}

/* Has to wait on; gated: for more than to be believed. */
static bool must_stay(const Client *c, const Request *req, bool *gated)
{
    *gated = c->gated || (export_is_gated(c->conn.export) && !c->stopping) ||
             (c->in_flight > c->n_held && requests_in_thread() >= thread_share(c));
    return *gated || is_doubtful(c, req);
}

void hold_release(Client *c)
{
    RequestQueue waiting = STAILQ_HEAD_INITIALIZER(waiting);
    Request *req;

    if (STAILQ_EMPTY(&c->held) || (export_is_gated(c->conn.export) && !c->stopping)) {
        return;
    }
    /* Nobody may have read the socket's end: there was no room for more. */
    if (c->gated && liveness_gone(c->conn.fd)) {
        client_fail(c, -ECONNRESET);
        return;
    }
    STAILQ_CONCAT(&waiting, &c->held);
    c->gated = false;
    while ((req = STAILQ_FIRST(&waiting))) {
        bool gated;

        STAILQ_REMOVE_HEAD(&waiting, link);
        if (must_stay(c, req, &gated)) {
            STAILQ_INSERT_TAIL(&c->held, req, link);
            c->gated = gated;
        } else {
            start(c, req);
        }
    }
}

void hold_drop(Client *c, bool all)
{
    RequestQueue waiting = STAILQ_HEAD_INITIALIZER(waiting);
    Request *req;

    STAILQ_CONCAT(&waiting, &c->held);
    while ((req = STAILQ_FIRST(&waiting))) {
        STAILQ_REMOVE_HEAD(&waiting, link);
        if (!all && !is_doubtful(c, req)) {
            STAILQ_INSERT_TAIL(&c->held, req, link);
            continue;
        }
        unhold(c, req);
        if (req->co) {
            qemu_coroutine_enter(req->co, NULL);
        } else {
            request_unlist_write(req);
            request_free(req);
        }
    }
}
