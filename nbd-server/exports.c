/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The exports of a server, which come and go while it runs.
 *
 * Each is referenced by this list until it is removed, and by whoever uses it;
 * the last reference may go in any thread, and the main thread closes the image.
 * A removed export stays in the list, where nobody finds it, until then.
 */
#include <stdlib.h>
#include <string.h>

#include "block-jobs.h"
#include "common/xalloc.h"
#include "config.h"
#include "events.h"

/* ---- references ---- */

static void close_export(Export *export)
{
    Server *server = export->server;

    pthread_mutex_lock(&server->exports_lock);
    TAILQ_REMOVE(&server->exports, export, link);
    pthread_mutex_unlock(&server->exports_lock);
    server->data_lost |= !export_flush(export);
    event_export_deleted(export);
    export_free(export);
}

/* In the main thread, which opens and closes images: flushing may take long. */
void exports_close_unused(Server *server)
{
    Export *export, *next;

    for (export = TAILQ_FIRST(&server->exports); export; export = next) {
        next = TAILQ_NEXT(export, link);
        if (export->refs == 0) {
            close_export(export);
        }
    }
}

static void close_unused(void *opaque)
{
    exports_close_unused(opaque);
}

static void run_close_job(void *opaque)
{
    Server *server = opaque;

    jobs_run(&server->jobs, &server->close_job);
}

Export *export_ref(Export *export)
{
    atomic_fetch_add(&export->refs, 1);
    return export;
}

/* False if the last reference is gone. */
static bool try_ref(Export *export)
{
    unsigned n = atomic_load(&export->refs);

    while (n > 0 && !atomic_compare_exchange_weak(&export->refs, &n, n + 1)) {
    }
    return n > 0;
}

void export_unref(Export *export)
{
    Server *server = export ? export->server : NULL;

    if (export && atomic_fetch_sub(&export->refs, 1) == 1) {
        aio_bh_schedule_oneshot(qemu_get_aio_context(), run_close_job, server);
    }
}

/* ---- adding and removing ---- */

void exports_init(Server *server)
{
    pthread_mutex_init(&server->exports_lock, NULL);
    TAILQ_INIT(&server->exports);
    jobs_init(&server->jobs);
    server->close_job = (Job){ .func = close_unused, .opaque = server };
}

static bool is_namesake(const Export *export, const Export *of)
{
    return export != of && export->removed && strcmp(export->id, of->id) == 0;
}

/* To pause is to say so of an id, and holds until that is resumed, whatever image it has then. */
static void inherit_pause(Export *export)
{
    const Export *other;

    TAILQ_FOREACH(other, &export->server->exports, link) {
        if (is_namesake(other, export) && other->refs > 0) {
            export->gate |= other->gate & GATE_PAUSED;
        }
    }
}

/* [exports_lock] */
static void supersede(Export *export)
{
    Export *other;

    TAILQ_FOREACH(other, &export->server->exports, link) {
        other->superseded |= strcmp(other->name, export->name) == 0;
    }
    export->superseded = false;
}

void exports_add(Server *server, Export *export)
{
    export->server = server;
    inherit_pause(export);
    export_apply(export, export->cfg, &error_abort);      /* as it was opened: nothing to flush */
    pthread_mutex_lock(&server->exports_lock);
    supersede(export);
    TAILQ_INSERT_TAIL(&server->exports, export, link);
    pthread_mutex_unlock(&server->exports_lock);
    event_export_state(export, "added", 0);
}

static void cut_off(void *opaque)
{
    Export *export = opaque;

    log_msg(LOG_LEVEL_WARNING, export, NULL, "removed, and its last clients are cut off because "
            "--drain-timeout is over");
    iothreads_abort_export(export->server, export);
}

static void end_connections(Export *export)
{
    int64_t timeout_ns = (int64_t)export->server->config->drain_timeout * 1000000000;

    iothreads_shutdown_export(export->server, export);
    timer_free(export->deadline);
    export->deadline = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                     cut_off, export);
    timer_mod_ns(export->deadline, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + timeout_ns);
}

/* False: it was already. */
static bool set_removed(Export *export, bool removed)
{
    Server *server = export->server;
    bool was;

    pthread_mutex_lock(&server->exports_lock);
    was = atomic_exchange(&export->removed, removed);
    pthread_mutex_unlock(&server->exports_lock);
    return was != removed;
}

/* It was removed just now: the list's reference goes. */
static void give_up(Export *export)
{
    export_jobs_cancel(export);
    export_unref(export);
}

void exports_remove(Export *export, enum remove_mode mode)
{
    bool first = set_removed(export, true);

    if (first) {
        event_export_state(export, "removed", 0);
    }
    if (mode == REMOVE_SOFT) {
        end_connections(export);
    } else if (mode == REMOVE_HARD) {
        iothreads_abort_export(export->server, export);
    }
    if (first) {
        give_up(export);
    }
}

bool exports_remove_unused(Export *export)
{
    bool first = set_removed(export, true);

    /* Looked at after that: who comes later sees that it is removed, and who was faster counts. */
    if (!first || export->clients > 0) {
        if (first) {
            set_removed(export, false);
        }
        return false;
    }
    event_export_state(export, "removed", 0);
    give_up(export);
    return true;
}

void exports_set_default(Server *server, const char *name)
{
    pthread_mutex_lock(&server->exports_lock);
    free(server->default_export);
    server->default_export = xstrdup(name);
    pthread_mutex_unlock(&server->exports_lock);
}

Export *exports_find_any(Server *server, const char *name)
{
    Export *export, *found = NULL;

    exports_close_unused(server);
    TAILQ_FOREACH(export, &server->exports, link) {
        if (strcmp(export->name, name) == 0 && (!found || !export->removed)) {
            found = export;
        }
    }
    return found && try_ref(found) ? found : NULL;
}

Export *exports_find_id(Server *server, const char *id)
{
    Export *export, *found = NULL;

    TAILQ_FOREACH(export, &server->exports, link) {
        bool better = !found || (found->removed && !export->removed);

        if (export->refs == 0) {
            continue;               /* it is as good as closed */
        } else if (strcmp(export->id, id) == 0 && (better || strcmp(found->id, id) != 0)) {
            found = export;
        } else if (strcmp(export->name, id) == 0 && better) {
            found = export;
        }
    }
    return found && try_ref(found) ? found : NULL;
}

Export **exports_namesakes(Export *export)
{
    Export **all, **next, *other;
    size_t n = 2;

    TAILQ_FOREACH(other, &export->server->exports, link) {
        n++;
    }
    all = next = xcalloc(n, sizeof(*all));
    *next++ = export_ref(export);
    TAILQ_FOREACH(other, &export->server->exports, link) {
        if (is_namesake(other, export) && try_ref(other)) {
            *next++ = other;
        }
    }
    return all;
}

void exports_revive(Export *export)
{
    pthread_mutex_lock(&export->server->exports_lock);
    supersede(export);
    pthread_mutex_unlock(&export->server->exports_lock);
    timer_free(export->deadline);
    export->deadline = NULL;
    export_ref(export);
    set_removed(export, false);
    event_export_state(export, "brought-back", 0);
}

bool exports_close(Server *server)
{
    Export *export;

    /* Closing happens in the main loop: nothing leaves the list in here. */
    TAILQ_FOREACH(export, &server->exports, link) {
        if (!export->removed && !export->transient) {
            exports_remove(export, REMOVE_HIDE);
        }
        export_jobs_cancel(export);
    }
    while (!TAILQ_EMPTY(&server->exports)) {
        main_loop_wait(false);
    }
    exports_set_default(server, NULL);
    return !server->data_lost;
}

void exports_unthrottle(Server *server)
{
    Export *export;

    TAILQ_FOREACH(export, &server->exports, link) {
        export_unthrottle(export);
    }
}

/* ---- finding ---- */

static bool has_name(const Export *export, const void *name, size_t len)
{
    return strlen(export->name) == len && memcmp(export->name, name, len) == 0;
}

/* Under the lock: what a client means that names no export, the only one there is. */
static Export *only_export(Server *server)
{
    Export *export, *only = NULL;

    TAILQ_FOREACH(export, &server->exports, link) {
        if (!export->removed && !export->transient) {
            if (only) {
                return NULL;
            }
            only = export;
        }
    }
    return only;
}

/* Under the lock. */
static Export *find(Server *server, const void *name, size_t len)
{
    Export *export;

    TAILQ_FOREACH(export, &server->exports, link) {
        if (!export->removed && has_name(export, name, len)) {
            break;
        }
    }
    return export;
}

Export *exports_find(Server *server, const void *name, size_t len)
{
    Export *export;

    pthread_mutex_lock(&server->exports_lock);
    if (len == 0 && server->default_export) {
        export = find(server, server->default_export, strlen(server->default_export));
    } else {
        export = find(server, name, len);
        if (!export && len == 0) {
            export = only_export(server);
        }
    }
    if (export && !try_ref(export)) {
        export = NULL;      /* its last user has just left */
    }
    pthread_mutex_unlock(&server->exports_lock);
    return export;
}

Export **exports_snapshot(Server *server)
{
    Export **all, **next, *export;
    size_t n = 1;

    pthread_mutex_lock(&server->exports_lock);
    TAILQ_FOREACH(export, &server->exports, link) {
        n++;
    }
    all = next = calloc(n, sizeof(*all));
    TAILQ_FOREACH(export, &server->exports, link) {
        if (all && !export->removed && !export->transient) {
            *next++ = export_ref(export);
        }
    }
    pthread_mutex_unlock(&server->exports_lock);
    return all;
}

void exports_snapshot_free(Export **all)
{
    for (Export **next = all; next && *next; next++) {
        export_unref(*next);
    }
    free(all);
}
