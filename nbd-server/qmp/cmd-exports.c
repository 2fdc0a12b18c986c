/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands that add exports, remove them and tell what there is.
 */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include "common/nbd-protocol.h"
#include "common/xalloc.h"
#include "nbd-server/config.h"
#include "nbd-server/nodes.h"
#include "settings.h"

/* ---- adding ---- */

/* Clients know it by its name, the control socket by its id. */
static bool check_names(Server *server, const ExportConfig *cfg, Error **errp)
{
    const char *id = cfg->id ? cfg->id : cfg->name;
    const Export *export;

    if (cfg->id && !*cfg->id) {
        error_setg(errp, "Parameter 'id' must not be empty");
        return false;
    }
    TAILQ_FOREACH(export, &server->exports, link) {
        if (!export->removed && strcmp(export->id, id) == 0) {
            error_setg(errp, "Block export id '%s' is already in use", id);
            return false;
        }
        if (!export->removed && strcmp(export->name, cfg->name) == 0) {
            error_setg(errp, "There is an export named '%s' already", cfg->name);
            return false;
        }
    }
    return true;
}

/* Takes over cfg; ok: it is complete. */
static json_t *add_export(Server *server, ExportConfig *cfg, bool ok, Error **errp)
{
    Export *export = NULL;

    if (ok && check_names(server, cfg, errp) &&
        config_complete_export(server->config, cfg, errp) &&
        config_check_tls(server->config, cfg, errp)) {
        export = export_new(cfg, errp);
    }
    export_config_unref(cfg);
    if (!export) {
        return NULL;
    }
    exports_add(server, export);
    log_msg(LOG_LEVEL_NOTICE, export, NULL, "added over the control socket");
    return json_object();
}

/* What args have under the first name is for the key of the second one. */
static bool set(const Config *config, ExportConfig *cfg, const json_t *args, const char *name,
                const char *key, Error **errp)
{
    const json_t *value = json_object_get(args, name);

    return !value || settings_set(config, cfg, key, value, errp);
}

static bool check_node(QmpSession *session, const char *name, bool writable, Error **errp)
{
    BlockDriverState *bs = bdrv_find_node(name);

    if (!bs) {
        qmp_set_error_class(session, "DeviceNotFound");
        error_setg(errp, "Cannot find node '%s'", name);
        error_append_hint(errp, "blockdev-add adds one, query-named-block-nodes lists them.\n");
        return false;
    }
    if (writable && bdrv_is_read_only(bs)) {
        error_setg(errp, "Block node '%s' is read-only", name);
        return false;
    }
    return nodes_may_serve(qmp_session_server(session), bs, writable, errp);
}

json_t *cmd_block_export_add(QmpSession *session, const json_t *args, Error **errp)
{
    Server *server = qmp_session_server(session);
    const Config *config = server->config;
    const char *node_name = qmp_str(args, "node-name", "");
    ExportConfig *cfg = settings_new(config);
    bool ok;

    cfg->id = xstrdup(qmp_str(args, "id", ""));
    cfg->name = xstrdup(node_name);
    cfg->node_name = xstrdup(node_name);
    cfg->read_only = !qmp_bool(args, "writable", false);
    cfg->cache = qmp_bool(args, "writethrough", false) ? CACHE_WRITETHROUGH : CACHE_WRITEBACK;
    cfg->allocation_depth = qmp_bool(args, "allocation-depth", false);
    name_list_clear(&cfg->bitmaps);
    ok = check_node(session, node_name, !cfg->read_only, errp) &&
         set(config, cfg, args, "name", "name", errp) &&
         set(config, cfg, args, "description", "description", errp) &&
         set(config, cfg, args, "bitmaps", "bitmap", errp);
    return add_export(server, cfg, ok, errp);
}

json_t *cmd_x_export_add(QmpSession *session, const json_t *args, Error **errp)
{
    Server *server = qmp_session_server(session);
    ExportConfig *cfg = settings_new(server->config);
    const char *key;
    json_t *value;
    bool ok = true;

    json_object_foreach((json_t *)args, key, value) {
        if (ok && strcmp(key, "id") != 0) {
            ok = settings_set(server->config, cfg, key, value, errp);
        }
    }
    if (qmp_has(args, "id")) {
        cfg->id = xstrdup(qmp_str(args, "id", ""));
    }
    return add_export(server, cfg, ok, errp);
}

/* ---- removing ---- */

/* In the order of the type. */
enum {
    BLOCK_EXPORT_REMOVE_SAFE, BLOCK_EXPORT_REMOVE_HARD, BLOCK_EXPORT_REMOVE_SOFT,
    BLOCK_EXPORT_REMOVE_HIDE,
};

static bool check_removable(const Export *export, unsigned mode, Error **errp)
{
    if (export->transient) {
        error_setg(errp, "Export '%s' is one of --export-dir", export->id);
        error_append_hint(errp, "It is closed with its last client: x-client-kick ends them.\n");
        return false;
    }
    if (export->removed && mode == BLOCK_EXPORT_REMOVE_SAFE) {
        error_setg(errp, "Block export '%s' is already shutting down", export->id);
        error_append_hint(errp, "With the mode 'soft' or 'hard' its clients are ended, too.\n");
        return false;
    }
    return true;
}

/* With those that had its id before: their clients are what one sees of it, too. */
static void remove_export(Export *export, enum remove_mode mode)
{
    Export **all = exports_namesakes(export);

    for (Export **next = all; *next; next++) {
        exports_remove(*next, mode);
    }
    exports_snapshot_free(all);
}

json_t *cmd_block_export_del(QmpSession *session, const json_t *args, Error **errp)
{
    static const enum remove_mode modes[] = {
        [BLOCK_EXPORT_REMOVE_HARD] = REMOVE_HARD,
        [BLOCK_EXPORT_REMOVE_SOFT] = REMOVE_SOFT,
        [BLOCK_EXPORT_REMOVE_HIDE] = REMOVE_HIDE,
    };
    unsigned mode = qmp_enum(args, "mode", "BlockExportRemoveMode", BLOCK_EXPORT_REMOVE_SAFE);
    Export *export = qmp_find_device(session, args, errp);
    bool ok = export && check_removable(export, mode, errp);

    if (ok && mode != BLOCK_EXPORT_REMOVE_SAFE) {
        remove_export(export, modes[mode]);
    } else if (ok && !exports_remove_unused(export)) {
        error_setg(errp, "export '%s' still in use", export->id);
        error_append_hint(errp, "Use mode='hard' to force client disconnect, 'soft' to have its "
                          "clients leave, or 'hide' to wait until they do.\n");
        ok = false;
    }
    if (ok) {
        log_msg(LOG_LEVEL_NOTICE, export, NULL, "removed over the control socket");
    }
    export_unref(export);
    return ok ? json_object() : NULL;
}

/* ---- telling ---- */

static const char *node_name(Export *export)
{
    BlockDriverState *bs = blk_bs(export->blk);

    return export->cfg->node_name ? export->cfg->node_name : bs ? bdrv_get_node_name(bs) : "";
}

static json_t *block_export_info(Export *export)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "id", export->id, "type", "nbd",
                     "node-name", node_name(export), "shutting-down", (int)export->removed);
}

/* The names of the protocol, in small letters. */
static json_t *flag_names(uint16_t flags)
{
    static const struct {
        uint16_t flag;
        const char *name;
    } names[] = {
        { NBD_FLAG_READ_ONLY, "read-only" },
        { NBD_FLAG_SEND_FLUSH, "flush" },
        { NBD_FLAG_SEND_FUA, "fua" },
        { NBD_FLAG_ROTATIONAL, "rotational" },
        { NBD_FLAG_SEND_TRIM, "trim" },
        { NBD_FLAG_SEND_WRITE_ZEROES, "write-zeroes" },
        { NBD_FLAG_CAN_MULTI_CONN, "multi-conn" },
        { NBD_FLAG_SEND_CACHE, "cache" },
        { NBD_FLAG_SEND_FAST_ZERO, "fast-zero" },
    };
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (flags & names[i].flag) {
            json_array_append_new(list, json_string(names[i].name));
        }
    }
    return list;
}

static void add_string(json_t *object, const char *name, const char *text)
{
    if (text) {
        json_object_set_new(object, name, json_string(text));
    }
}

static void add_load(json_t *info, Export *export)
{
    Stats stats;

    stats_of_export(export, &stats);
    json_object_set_new(info, "in-flight", json_integer((json_int_t)stats.in_flight));
    json_object_set_new(info, "throttle-waits", json_integer((json_int_t)export->throttle_waits));
    json_object_set_new(info, "throttle-wait-ns",
                        json_integer((json_int_t)export->throttle_wait_ns));
}

static json_t *export_info(Export *export)
{
    const ExportConfig *cfg = export->cfg;
    json_t *info = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:I, s:i, s:o, s:o}",
                             "id", export->id, "name", export->name,
                             "state", export_state(export),
                             "read-only", (int)export->read_only, "hidden", (int)cfg->hidden,
                             "dynamic", (int)cfg->dynamic, "removed", (int)export->removed,
                             "size", (json_int_t)export->size, "clients", (int)export->clients,
                             "flags", flag_names(export_flags(export, export->read_only)),
                             "settings", settings_live(cfg));

    add_load(info, export);
    add_string(info, "description", cfg->description);
    add_string(info, "image", cfg->node_name ? NULL : cfg->image);
    add_string(info, "format", cfg->format);
    add_string(info, "node-name", node_name(export));
    return info;
}

static json_t *list_exports(QmpSession *session, json_t *(*describe)(Export *export))
{
    Server *server = qmp_session_server(session);
    json_t *list = json_array();
    Export *export;

    TAILQ_FOREACH(export, &server->exports, link) {
        if (export->refs > 0) {      /* else it is as good as closed */
            json_array_append_new(list, describe(export));
        }
    }
    return list;
}

json_t *cmd_query_block_exports(QmpSession *session, const json_t *args, Error **errp)
{
    (void)args;
    (void)errp;
    return list_exports(session, block_export_info);
}

json_t *cmd_x_query_exports(QmpSession *session, const json_t *args, Error **errp)
{
    (void)args;
    (void)errp;
    return list_exports(session, export_info);
}
