/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands about limits: QEMU's, and those that know of clients.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "nbd-server/config.h"
#include "nbd-server/throttle.h"
#include "commands.h"

/* What the limits are called: in QEMU's command; as settings, by which our own go. */
static const char *const qemu_names[BUCKETS_COUNT] = {
    [THROTTLE_BPS_TOTAL] = "bps", [THROTTLE_BPS_READ] = "bps_rd", [THROTTLE_BPS_WRITE] = "bps_wr",
    [THROTTLE_OPS_TOTAL] = "iops", [THROTTLE_OPS_READ] = "iops_rd",
    [THROTTLE_OPS_WRITE] = "iops_wr",
};
static const char *const setting_names[BUCKETS_COUNT] = {
    [THROTTLE_BPS_TOTAL] = "bps-total", [THROTTLE_BPS_READ] = "bps-read",
    [THROTTLE_BPS_WRITE] = "bps-write", [THROTTLE_OPS_TOTAL] = "iops-total",
    [THROTTLE_OPS_READ] = "iops-read", [THROTTLE_OPS_WRITE] = "iops-write",
};

typedef struct Names {
    const char *const *rates;
    const char *max, *max_length;       /* put behind those */
    const char *op_size;
} Names;

static const Names as_qemu = { qemu_names, "_max", "_max_length", "iops_size" };
static const Names as_settings = { setting_names, "-max", "-max-length", "iops-size" };

#define KEY_LEN 32

static const char *key_of(const Names *names, int bucket, const char *suffix, char key[KEY_LEN])
{
    snprintf(key, KEY_LEN, "%s%s", names->rates[bucket], suffix);
    return key;
}

/* ---- arguments to limits ---- */

static bool take_rate(LeakyBucket *bkt, const Names *names, int i, const json_t *args, Error **errp)
{
    char rate[KEY_LEN], max[KEY_LEN], length[KEY_LEN];
    int64_t seconds;

    key_of(names, i, "", rate);
    key_of(names, i, names->max, max);
    key_of(names, i, names->max_length, length);
    bkt->avg = (double)qmp_int(args, rate, (int64_t)bkt->avg);
    bkt->max = bkt->avg > 0 || qmp_has(args, max) ? (double)qmp_int(args, max, (int64_t)bkt->max)
                                                  : 0;
    seconds = qmp_int(args, length, bkt->max > 0 ? bkt->burst_length : 1);
    if (seconds < 1 || seconds > UINT_MAX) {
        error_setg(errp, "%s must be from 1 to %u seconds", length, UINT_MAX);
        return false;
    }
    bkt->burst_length = (unsigned)seconds;
    return true;
}

static bool limits_operations(const ThrottleConfig *limits)
{
    return limits->buckets[THROTTLE_OPS_TOTAL].avg > 0 ||
           limits->buckets[THROTTLE_OPS_READ].avg > 0 ||
           limits->buckets[THROTTLE_OPS_WRITE].avg > 0;
}

/* What args do not name stays; with a rate that is lifted goes what was set for its bursts, and
 * with the last one of operations the size of one. */
static bool take_limits(ThrottleConfig *limits, const Names *names, const json_t *args,
                        Error **errp)
{
    int64_t op_size;

    for (int i = 0; i < BUCKETS_COUNT; i++) {
        if (!take_rate(&limits->buckets[i], names, i, args, errp)) {
            return false;
        }
    }
    op_size = qmp_int(args, names->op_size,
                      limits_operations(limits) ? (int64_t)limits->op_size : 0);
    if (op_size < 0 || op_size > THROTTLE_VALUE_MAX) {
        error_setg(errp, "%s must be from 0 to %lld", names->op_size, THROTTLE_VALUE_MAX);
        return false;
    }
    limits->op_size = (uint64_t)op_size;
    return true;
}

/* ---- limits to results ---- */

static void put_limits(json_t *object, const Names *names, const ThrottleConfig *limits)
{
    char key[KEY_LEN];

    for (int i = 0; i < BUCKETS_COUNT; i++) {
        const LeakyBucket *bkt = &limits->buckets[i];

        json_object_set_new(object, key_of(names, i, "", key), json_integer((json_int_t)bkt->avg));
        if (bkt->max > 0) {
            json_object_set_new(object, key_of(names, i, names->max, key),
                                json_integer((json_int_t)bkt->max));
            json_object_set_new(object, key_of(names, i, names->max_length, key),
                                json_integer(bkt->burst_length));
        }
    }
    if (limits->op_size) {
        json_object_set_new(object, names->op_size, json_integer((json_int_t)limits->op_size));
    }
}

void qmp_put_limits(json_t *object, const ThrottleConfig *limits)
{
    put_limits(object, &as_qemu, limits);
}

static json_t *describe_limits(const ThrottleConfig *limits)
{
    json_t *object = json_object();

    put_limits(object, &as_settings, limits);
    return object;
}

/* Who shares the limits, by id. */
static json_t *describe_members(Export *export)
{
    Export **all = exports_snapshot(export->server);
    json_t *list = json_array();

    for (Export **next = all; next && *next; next++) {
        if (*next == export || (export->cfg->throttle_group &&
                                config_same_string((*next)->cfg->throttle_group,
                                                   export->cfg->throttle_group))) {
            json_array_append_new(list, json_string((*next)->id));
        }
    }
    exports_snapshot_free(all);
    return list;
}

static void add_to(json_t *object, const char *key, uint64_t n)
{
    json_t *value = json_object_get(object, key);

    json_object_set_new(object, key, json_integer(json_integer_value(value) + (json_int_t)n));
}

static void describe_connection(const Conn *conn, bool first, void *opaque)
{
    const Client *c = (const Client *)conn;
    json_t *list = opaque, *object;

    if (first) {
        json_array_append_new(list, json_pack("{s:[]}", "peers"));
    }
    object = json_array_get(list, json_array_size(list) - 1);
    json_array_append_new(json_object_get(object, "peers"), json_string(conn->peer));
    add_to(object, "waiting", c->n_throttled);
    add_to(object, "waits", c->throttle_waits);
    add_to(object, "wait-ns", c->throttle_wait_ns);
}

static json_t *describe(Export *export)
{
    ThrottleConfig limits;
    const char *group = export->cfg->throttle_group;
    json_t *clients = json_array(), *result;

    throttle_state_get_config(export->limits, &limits);
    throttle_list_clients(export, describe_connection, clients);
    result = json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:I}",
                       "id", export->id, "members", describe_members(export),
                       "limits", describe_limits(&limits),
                       "client-limits", describe_limits(&export->cfg->client_limits),
                       "clients", clients,
                       "waits", (json_int_t)export->throttle_waits,
                       "wait-ns", (json_int_t)export->throttle_wait_ns);
    if (group) {
        json_object_set_new(result, "group", json_string(group));
    }
    return result;
}

/* ---- the commands ---- */

json_t *cmd_block_set_io_throttle(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);
    ThrottleConfig limits;
    const char *group;
    bool ok = false;

    if (!export) {
        return NULL;
    }
    throttle_config_init(&limits);
    if (take_limits(&limits, &as_qemu, args, errp)) {
        group = throttle_enabled(&limits) ? qmp_str(args, "group", export->cfg->throttle_group)
                                          : NULL;
        ok = export_set_limits(export, &limits, group, errp);
    }
    export_unref(export);
    return ok ? json_object() : NULL;
}

/* The limits that changes are to be made to: of the group that the export enters, if it has any. */
static void limits_in_group(Export *export, const char *group, ThrottleConfig *limits)
{
    ThrottleState *state = throttle_group_incref(group);

    throttle_state_get_config(state, limits);
    if (!throttle_enabled(limits)) {
        throttle_state_get_config(export->limits, limits);
    }
    throttle_group_unref(state);
}

static bool set_for_export(Export *export, const json_t *args, Error **errp)
{
    const char *group = qmp_str(args, "group", export->cfg->throttle_group);
    ThrottleConfig limits;

    group = group && *group ? group : NULL;
    if (group) {
        limits_in_group(export, group, &limits);
    } else {
        throttle_state_get_config(export->limits, &limits);
    }
    return take_limits(&limits, &as_settings, args, errp) &&
           export_set_limits(export, &limits, group, errp);
}

static bool set_for_clients(Export *export, const json_t *args, Error **errp)
{
    ThrottleConfig limits = export->cfg->client_limits;

    if (qmp_has(args, "group")) {
        error_setg(errp, "Parameter 'group' does not go with scope 'client': what clients may is "
                   "said by export");
        return false;
    }
    return take_limits(&limits, &as_settings, args, errp) &&
           export_set_client_limits(export, &limits, errp);
}

enum { SCOPE_EXPORT, SCOPE_CLIENT };      /* as in XThrottleScope */

json_t *cmd_x_set_throttle(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);
    unsigned scope = qmp_enum(args, "scope", "XThrottleScope", SCOPE_EXPORT);
    json_t *result = NULL;

    if (export && (scope == SCOPE_CLIENT ? set_for_clients(export, args, errp)
                                         : set_for_export(export, args, errp))) {
        result = describe(export);
    }
    export_unref(export);
    return result;
}

json_t *cmd_x_query_throttle(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);
    json_t *result = export ? describe(export) : NULL;

    export_unref(export);
    return result;
}
