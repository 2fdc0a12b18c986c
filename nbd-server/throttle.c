/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits.  A request waits for two turns before it is run:
 *
 *     its client's limits         one group for each client, whose only member it is
 *     the export's, or a group's  whose members are the clients: they take turns
 *
 * A client is one, however many connections it makes; they share its place, first come, first
 * served.  One that comes back finds what it has used up, until that would be forgotten anyway.
 * Both are there without limits, too, and then let everything pass; but an export where nothing is
 * limited does not ask (Export.throttled).
 *
 * Images have no limits: what waits here is not in flight, and no drain sends it on its way.
 */
#include "throttle.h"

#include <errno.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "config.h"
#include "peer.h"

/* So many clients that have gone an export remembers. */
#define MAX_GONE 1024
#define MAX_DEBTS (100.0 * 365 * 24 * 3600)     /* seconds; no clock overflows */

struct ThrottleClient {
    PeerIdentity who;               /* [const] */
    unsigned refs;                  /* [export's lock] its connections */
    int64_t forget_ns;              /* [export's lock] without any: by then it has no debts */
    ThrottleGroupMember *turns;     /* [const] among the export's clients */
    ThrottleGroupMember *own;       /* [const] in `limits` */
    ThrottleState *limits;          /* [const] */
    LIST_ENTRY(ThrottleClient) link;    /* [export's lock] */
};

/* ---- who shares ---- */

/* Many processes of one user may be clients of their own, unlike those that come and go. */
static bool is_same_client(const PeerIdentity *a, const PeerIdentity *b)
{
    return peer_same_identity(a, b) && (!a->has_cred || a->cred.pid == b->cred.pid);
}

static ThrottleClient *client_new(Export *export, const PeerIdentity *who)
{
    ThrottleClient *tc = xcalloc(1, sizeof(*tc));
    ThrottleConfig limits = export->cfg->client_limits;

    tc->who = *who;
    tc->who.tls_name = who->tls_name ? xstrdup(who->tls_name) : NULL;
    tc->turns = throttle_group_member_new();
    tc->own = throttle_group_member_new();
    tc->limits = throttle_group_incref(NULL);
    throttle_group_config(tc->limits, &limits);
    throttle_group_register_tgm(tc->turns, export->limits);
    throttle_group_register_tgm(tc->own, tc->limits);
    LIST_INSERT_HEAD(&export->throttle_clients, tc, link);
    return tc;
}

static void client_free(ThrottleClient *tc)
{
    LIST_REMOVE(tc, link);
    throttle_group_member_free(tc->turns);
    throttle_group_member_free(tc->own);
    throttle_group_unref(tc->limits);
    free((char *)tc->who.tls_name);
    free(tc);
}

static ThrottleClient *find_client(Export *export, const PeerIdentity *who)
{
    ThrottleClient *tc;

    LIST_FOREACH(tc, &export->throttle_clients, link) {
        if (is_same_client(&tc->who, who)) {
            break;
        }
    }
    return tc;
}

/* How long full buckets take to run empty: what they hold, and what went last. */
static int64_t debts_ns(ThrottleState *group)
{
    ThrottleConfig limits;
    double seconds = 0;

    throttle_state_get_config(group, &limits);
    for (unsigned i = 0; i < BUCKETS_COUNT; i++) {
        const LeakyBucket *b = &limits.buckets[i];

        if (b->avg > 0) {
            double s = b->max * b->burst_length / b->avg + 1 + 1 / b->avg;

            seconds = s > seconds ? s : seconds;
        }
    }
    return (int64_t)((seconds < MAX_DEBTS ? seconds : MAX_DEBTS) * 1e9);
}

/* Those who have gone and have no debts any more, and the one with the oldest if they are many. */
static void forget(Export *export)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    ThrottleClient *tc, *next, *oldest = NULL;
    unsigned gone = 0;

    for (tc = LIST_FIRST(&export->throttle_clients); tc; tc = next) {
        next = LIST_NEXT(tc, link);
        if (tc->refs == 0 && tc->forget_ns <= now) {
            client_free(tc);
        } else if (tc->refs == 0) {
            gone++;
            oldest = !oldest || tc->forget_ns < oldest->forget_ns ? tc : oldest;
        }
    }
    if (gone > MAX_GONE) {
        client_free(oldest);
    }
}

void throttle_join(Conn *conn)
{
    PeerIdentity who = peer_identity(conn);
    ThrottleClient *tc;

    forget(conn->export);
    tc = find_client(conn->export, &who);
    conn->throttle = tc ? tc : client_new(conn->export, &who);
    conn->throttle->refs++;
}

void throttle_leave(Conn *conn)
{
    ThrottleClient *tc = conn->throttle;

    conn->throttle = NULL;
    if (--tc->refs == 0) {
        int64_t debts = debts_ns(tc->limits);

        tc->forget_ns = debts ? qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + debts : 0;
        forget(conn->export);
    }
}

/* ---- waiting ---- */

static void add_relaxed(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void count_wait(Client *c, int64_t ns)
{
    Export *export = c->conn.export;

    if (ns > 0) {
        add_relaxed(&export->throttle_waits, 1);
        add_relaxed(&export->throttle_wait_ns, (uint64_t)ns);
        add_relaxed(&c->throttle_waits, 1);
        add_relaxed(&c->throttle_wait_ns, (uint64_t)ns);
    }
}

static int coroutine_fn wait_for(ThrottleGroupMember *member, const Client *c, uint64_t bytes,
                                 bool is_write, int64_t *ns)
{
    return c->unwanted[is_write] ? -ECANCELED
           : throttle_group_co_io_limits_intercept_parts(member, bytes, is_write, ns);
}

int coroutine_fn throttle_wait(Request *req, uint64_t bytes, bool is_write)
{
    Client *c = req->client;
    ThrottleClient *tc = c->conn.throttle;
    int64_t own_ns = 0, turns_ns = 0;
    int ret;

    TAILQ_INSERT_TAIL(&c->throttled, req, throttled_link);
    atomic_fetch_add_explicit(&c->n_throttled, 1, memory_order_relaxed);
    ret = wait_for(tc->own, c, bytes, is_write, &own_ns);
    if (ret == 0) {
        ret = wait_for(tc->turns, c, bytes, is_write, &turns_ns);
    }
    atomic_fetch_sub_explicit(&c->n_throttled, 1, memory_order_relaxed);
    TAILQ_REMOVE(&c->throttled, req, throttled_link);
    count_wait(c, own_ns + turns_ns);
    return ret < 0 ? -ESHUTDOWN : 0;
}

static bool give_up_one(Client *c)
{
    ThrottleClient *tc = c->conn.throttle;
    Request *req;

    TAILQ_FOREACH(req, &c->throttled, throttled_link) {
        if (c->unwanted[request_writes(req)] && (throttle_group_cancel_tgm(tc->own, req->co) ||
                                                 throttle_group_cancel_tgm(tc->turns, req->co))) {
            return true;        /* and the list may be another one */
        }
    }
    return false;
}

void throttle_give_up(Client *c, bool all)
{
    c->unwanted[false] = true;
    c->unwanted[true] |= all;
    while (give_up_one(c)) {
        continue;
    }
}

/* ---- limits ---- */

void throttle_init_export(Export *export)
{
    LIST_INIT(&export->throttle_clients);
    export->limits = throttle_group_incref(export->cfg->throttle_group);
}

void throttle_free_export(Export *export)
{
    ThrottleClient *tc;

    while ((tc = LIST_FIRST(&export->throttle_clients))) {
        client_free(tc);
    }
    throttle_group_unref(export->limits);
}

/* What is in force already stays, with its debts. */
static void set_limits(ThrottleState *group, const ThrottleConfig *limits)
{
    ThrottleConfig new = *limits, old;

    throttle_state_get_config(group, &old);
    if (!config_same_limits(&old, &new)) {
        throttle_group_config(group, &new);
    }
}

/* [lock] */
static void move_to_group(Export *export, const char *name)
{
    ThrottleState *old = export->limits;
    ThrottleClient *tc;

    export->limits = throttle_group_incref(name);
    LIST_FOREACH(tc, &export->throttle_clients, link) {
        throttle_group_register_tgm(tc->turns, export->limits);
    }
    throttle_group_unref(old);
}

static bool is_limited(const ThrottleConfig *limits)
{
    ThrottleConfig copy = *limits;

    return throttle_enabled(&copy);
}

void throttle_apply(Export *export, const ExportConfig *cfg)
{
    bool limited = is_limited(&cfg->limits), set = limited;
    ThrottleClient *tc;

    if (config_same_string(cfg->throttle_group, export->cfg->throttle_group)) {
        set |= is_limited(&export->cfg->limits);
    } else {
        move_to_group(export, cfg->throttle_group);
    }
    if (set) {      /* or else those of the group hold, that others have set */
        set_limits(export->limits, &cfg->limits);
    }
    LIST_FOREACH(tc, &export->throttle_clients, link) {
        set_limits(tc->limits, &cfg->client_limits);
    }
    export->throttled = limited || cfg->throttle_group || is_limited(&cfg->client_limits);
}

void export_throttle_config(Export *export, ThrottleConfig *limits, const char **group)
{
    throttle_state_get_config(export->limits, limits);
    *group = export->cfg->throttle_group ? export->cfg->throttle_group
             : throttle_enabled(limits) ? export->id : NULL;
}

/* A group has one set of limits: the others that say what they are say the same. */
static void tell_group(Export *export)
{
    const ExportConfig *cfg = export->cfg;
    Export **all = cfg->throttle_group ? exports_snapshot(export->server) : NULL;

    for (Export **next = all; next && *next; next++) {
        const ExportConfig *other = (*next)->cfg;

        if (*next != export && is_limited(&other->limits) &&
            config_same_string(other->throttle_group, cfg->throttle_group)) {
            ExportConfig *copy = export_config_copy(other);

            copy->limits = cfg->limits;
            export_apply(*next, copy, &error_abort);
            export_config_unref(copy);
        }
    }
    exports_snapshot_free(all);
}

bool export_apply_to_group(Export *export, ExportConfig *cfg, Error **errp)
{
    bool ok = export_apply(export, cfg, errp);

    tell_group(export);
    return ok;
}

static bool check_limits(const ThrottleConfig *limits, Error **errp)
{
    ThrottleConfig copy = *limits;

    return throttle_is_valid(&copy, errp);
}

bool export_set_limits(Export *export, const ThrottleConfig *limits, const char *group,
                       Error **errp)
{
    const ConfigKey *key = config_key_find("group", KEY_LIMIT, "", &error_abort);
    ExportConfig *cfg = export_config_copy(export->cfg);
    bool ok;

    cfg->limits = *limits;
    free(cfg->throttle_group);
    cfg->throttle_group = NULL;
    ok = check_limits(limits, errp) &&
         (!group || config_key_set_named(key, NULL, cfg, "group", group, errp)) &&
         export_apply_to_group(export, cfg, errp);
    export_config_unref(cfg);
    return ok;
}

bool export_set_client_limits(Export *export, const ThrottleConfig *limits, Error **errp)
{
    ExportConfig *cfg = export_config_copy(export->cfg);
    bool ok;

    cfg->client_limits = *limits;
    ok = check_limits(limits, errp) && export_apply(export, cfg, errp);
    export_config_unref(cfg);
    return ok;
}

void throttle_list_clients(Export *export, void (*func)(const Conn *conn, bool first, void *opaque),
                           void *opaque)
{
    const ThrottleClient *tc;
    const Conn *conn;

    pthread_mutex_lock(&export->lock);
    LIST_FOREACH(tc, &export->throttle_clients, link) {
        bool first = true;

        TAILQ_FOREACH(conn, &export->conns, export_link) {
            if (conn->throttle == tc) {
                func(conn, first, opaque);
                first = false;
            }
        }
    }
    pthread_mutex_unlock(&export->lock);
}

void export_unthrottle(Export *export)
{
    ThrottleClient *tc;

    pthread_mutex_lock(&export->lock);
    export->throttled = false;
    LIST_FOREACH(tc, &export->throttle_clients, link) {
        throttle_group_unregister_tgm(tc->own);
        throttle_group_unregister_tgm(tc->turns);
    }
    pthread_mutex_unlock(&export->lock);
}
