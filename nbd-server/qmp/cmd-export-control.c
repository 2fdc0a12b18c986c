/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands that stop an export for a while, let it go on, and change its settings.
 */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "nbd-server/config.h"
#include "settings.h"

/* ---- stopping ---- */

static json_t *state_json(const Export *export)
{
    return json_pack("{s:s, s:s}", "id", export->id, "state", export_state(export));
}

/* False, with the error set: the wait was cut short. */
static bool is_wanted(const Export *export, unsigned reason, Error **errp)
{
    if (export->server->stopping) {
        error_setg(errp, "Export '%s': the server is ending", export->id);
    } else if ((export->gate & reason) != reason) {
        error_setg(errp, "Export '%s' was resumed before it had come to rest", export->id);
    } else {
        return true;
    }
    return false;
}

/* All that runs is done, and on the disk, while the gate is closed for that reason (0: or not). */
static bool settle(Export *export, unsigned reason, Error **errp)
{
    if (!export_drain(export, reason)) {
        if (is_wanted(export, reason, errp)) {
            error_setg(errp, "Export '%s': the requests in flight have not come to an end within "
                       "the %u seconds of --drain-timeout", export->id,
                       export->server->config->drain_timeout);
        }
        return false;
    }
    if (!export_flush(export)) {
        error_setg(errp, "Export '%s': flushing the image failed; what was written may be lost",
                   export->id);
        return false;
    }
    return reason == 0 || is_wanted(export, reason, errp);
}

/* Those that had its id before, and were removed with clients, have no other name. */
static bool settle_namesakes(Export *export, unsigned reason, Error **errp)
{
    Export **all = exports_namesakes(export);
    bool ok = true;

    for (Export **next = all; ok && *next; next++) {
        ok = settle(*next, reason, errp);
    }
    exports_snapshot_free(all);
    return ok;
}

/* False: they were. */
static bool gate_namesakes(Export *export)
{
    Export **all = exports_namesakes(export);
    bool first = false;

    for (Export **next = all; *next; next++) {
        first |= export_gate(*next, GATE_PAUSED);
    }
    exports_snapshot_free(all);
    return first;
}

static void ungate_namesakes(Export *export, unsigned reasons)
{
    Export **all = exports_namesakes(export);

    for (Export **next = all; *next; next++) {
        if (reasons & GATE_IO_ERROR) {
            blk_iostatus_reset((*next)->blk);
        }
        export_ungate(*next, reasons);
    }
    exports_snapshot_free(all);
}

/* Paused means: the host's files are as the clients have left them.  Else it is not paused. */
static json_t *pause_export(Export *export, Error **errp)
{
    bool first = gate_namesakes(export);

    if (!settle_namesakes(export, GATE_PAUSED, errp)) {
        if (first) {
            ungate_namesakes(export, GATE_PAUSED);
        }
        return NULL;
    }
    log_msg(LOG_LEVEL_NOTICE, export, NULL, "paused");
    return state_json(export);
}

json_t *cmd_x_export_pause(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);
    json_t *result = export ? pause_export(export, errp) : NULL;

    export_unref(export);
    return result;
}

json_t *cmd_x_export_resume(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);
    json_t *result;

    if (!export) {
        return NULL;
    }
    ungate_namesakes(export, GATE_PAUSED | GATE_IO_ERROR);
    result = state_json(export);
    log_msg(LOG_LEVEL_NOTICE, export, NULL, "resumed");
    export_unref(export);
    return result;
}

static bool settle_all(Server *server, Error **errp)
{
    Export **all = exports_snapshot(server);
    bool ok = all != NULL;

    for (Export **next = all; ok && *next; next++) {
        ok = settle(*next, 0, errp);
    }
    exports_snapshot_free(all);
    return ok;
}

json_t *cmd_x_export_drain(QmpSession *session, const json_t *args, Error **errp)
{
    bool ok = false;
    Export *export;

    if (!qmp_has(args, "id")) {
        return settle_all(qmp_session_server(session), errp) ? json_object() : NULL;
    }
    export = qmp_find_device(session, args, errp);
    if (export) {
        ok = settle_namesakes(export, 0, errp);
        export_unref(export);
    }
    return ok ? json_object() : NULL;
}

/* ---- settings ---- */

/* False: it would take opening the image anew; or as export_apply() says. */
static bool apply(Export *export, ExportConfig *cfg, Error **errp)
{
    const Config *config = export->server->config;
    auto_free char *changes = NULL, *others = NULL;
    bool ok;

    if (!config_complete_export(config, cfg, errp) || !config_check_tls(config, cfg, errp)) {
        return false;
    }
    others = config_export_changes(export->cfg, cfg, CHANGES_REOPEN);
    if (others || strcmp(export->name, cfg->name) != 0) {
        error_setg(errp, "Export '%s': this cannot be changed while it is open: %s", export->id,
                   others ? others : "name");
        error_append_hint(errp, "Remove the export and add it anew: block-export-del, then "
                          "x-export-add.\n");
        return false;
    }
    if (!export_can_take(export, cfg)) {
        error_setg(errp, "Export '%s' cannot become writable: its image was opened to be read only",
                   export->id);
        error_append_hint(errp, "Remove the export and add it anew, or reopen the node: "
                          "blockdev-reopen.\n");
        return false;
    }
    changes = config_export_changes(export->cfg, cfg, CHANGES_LIVE);
    ok = export_apply_to_group(export, cfg, errp);
    if (changes) {
        log_msg(LOG_LEVEL_NOTICE, export, NULL, "changed: %s", changes);
    }
    return ok;
}

static bool change(Export *export, const json_t *args, Error **errp)
{
    ExportConfig *cfg = export_config_copy(export->cfg);
    const char *key;
    json_t *value;
    bool ok = true;

    json_object_foreach((json_t *)args, key, value) {
        if (ok && strcmp(key, "id") != 0 && strcmp(key, "device") != 0) {
            ok = settings_set(export->server->config, cfg, key, value, errp);
        }
    }
    ok = ok && apply(export, cfg, errp);
    export_config_unref(cfg);
    return ok;
}

json_t *cmd_x_export_set(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);
    json_t *result = NULL;

    if (export && change(export, args, errp)) {
        result = settings_live(export->cfg);
    }
    export_unref(export);
    return result;
}

/* "auto" leaves a policy as it is. */
json_t *cmd_x_set_error_policy(QmpSession *session, const json_t *args, Error **errp)
{
    static const char *const keys[] = { "on-read-error", "on-write-error" };
    Export *export = qmp_find_device(session, args, errp);
    json_t *changes = json_object(), *result = NULL;

    for (size_t i = 0; i < 2; i++) {
        if (strcmp(qmp_str(args, keys[i], "auto"), "auto") != 0) {
            json_object_set(changes, keys[i], json_object_get(args, keys[i]));
        }
    }
    if (export && change(export, changes, errp)) {
        json_t *live = settings_live(export->cfg);

        result = json_pack("{s:O, s:O}", keys[0], json_object_get(live, keys[0]),
                           keys[1], json_object_get(live, keys[1]));
        json_decref(live);
    }
    json_decref(changes);
    export_unref(export);
    return result;
}
