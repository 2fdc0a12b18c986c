/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots: external ones, which put an overlay on top of an export's image, and internal ones.
 */
#include "commands.h"
#include "common/image-info.h"
#include "nbd-server/chain.h"

/* Gives back the export; the result of a command that has none. */
static json_t *done(Export *export, bool ok)
{
    export_unref(export);
    return ok ? json_object() : NULL;
}

/* ---- external ---- */

/* The export whose image has this node at its top; a reference. */
static Export *find_by_node(QmpSession *session, const char *name, Error **errp)
{
    BlockDriverState *bs = qmp_find_node(session, name, errp);
    Export *export;

    if (!bs) {
        return NULL;
    }
    TAILQ_FOREACH(export, &qmp_session_server(session)->exports, link) {
        if (!export->removed && blk_bs(export->blk) == bs) {
            return export_ref(export);
        }
    }
    error_setg(errp, "Node '%s' is not at the top of an export's image", name);
    error_append_hint(errp, "query-block tells which nodes are.\n");
    return NULL;
}

json_t *cmd_blockdev_snapshot_sync(QmpSession *session, const json_t *args, Error **errp)
{
    const char *node = qmp_str(args, "node-name", NULL);
    Export *export;

    if (node && qmp_has(args, "device")) {
        error_setg(errp, "'device' and 'node-name' are mutually exclusive");
        return NULL;
    }
    export = node ? find_by_node(session, node, errp) : qmp_find_device(session, args, errp);
    return done(export, export &&
                chain_snapshot_file(export, qmp_str(args, "snapshot-file", ""),
                                    qmp_str(args, "format", "qcow2"),
                                    qmp_str(args, "snapshot-node-name", NULL),
                                    qmp_enum(args, "mode", "NewImageMode", 1) == 0, errp));
}

json_t *cmd_blockdev_snapshot(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = find_by_node(session, qmp_str(args, "node", ""), errp);
    const char *name = qmp_str(args, "overlay", "");
    BlockDriverState *overlay = export ? bdrv_find_node(name) : NULL;

    if (export && !overlay) {
        qmp_set_error_class(session, "DeviceNotFound");
        error_setg(errp, "Cannot find node '%s'", name);
        error_append_hint(errp, "blockdev-add opens one, with \"backing\": null.\n");
    }
    return done(export, overlay && chain_snapshot_node(export, overlay, errp));
}

/* ---- internal ---- */

json_t *cmd_blockdev_snapshot_internal_sync(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_export(session, qmp_str(args, "device", ""), errp);

    return done(export, export && chain_save(export, qmp_str(args, "name", ""), errp));
}

json_t *cmd_blockdev_snapshot_delete_internal_sync(QmpSession *session, const json_t *args,
                                                   Error **errp)
{
    Export *export = qmp_find_export(session, qmp_str(args, "device", ""), errp);
    QEMUSnapshotInfo sn;
    bool ok;

    ok = export && chain_delete(export, qmp_str(args, "id", NULL), qmp_str(args, "name", NULL),
                                &sn, errp);
    export_unref(export);
    return ok ? image_snapshot_info(&sn) : NULL;
}
