/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands about what is in an export: tray, medium, size, write cache.
 */
#include <blkbackend/block-driver.h>

#include "nbd-server/nodes.h"
#include "commands.h"

/* Gives back the export; the result of a command that has none. */
static json_t *done(Export *export, bool ok)
{
    export_unref(export);
    return ok ? json_object() : NULL;
}

/* ---- the tray ---- */

json_t *cmd_eject(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);

    return done(export, export && export_eject(export, qmp_bool(args, "force", false), errp));
}

json_t *cmd_blockdev_open_tray(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);

    return done(export, export && export_open_tray(export, qmp_bool(args, "force", false), errp));
}

json_t *cmd_blockdev_close_tray(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);

    return done(export, export && export_close_tray(export, errp));
}

/* ---- the medium ---- */

json_t *cmd_blockdev_remove_medium(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);

    return done(export, export && export_remove_medium(export, errp));
}

/* A node by its own name. */
static BlockDriverState *find_node(QmpSession *session, const char *name, Error **errp)
{
    BlockDriverState *bs = bdrv_find_node(name);

    if (!bs) {
        qmp_set_error_class(session, "DeviceNotFound");
        error_setg(errp, "Node '%s' not found", name);
        error_append_hint(errp, "blockdev-add adds one, query-named-block-nodes lists them.\n");
    }
    return bs;
}

static bool insert(QmpSession *session, Export *export, const char *name, Error **errp)
{
    BlockDriverState *bs = find_node(session, name, errp);

    return bs && nodes_may_use(qmp_session_server(session), bs,
                               !export->cfg->read_only && !bdrv_is_read_only(bs), errp) &&
           export_insert_medium(export, bs, errp);
}

json_t *cmd_blockdev_insert_medium(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);

    return done(export, export && insert(session, export, qmp_str(args, "node-name", ""), errp));
}

json_t *cmd_blockdev_change_medium(QmpSession *session, const json_t *args, Error **errp)
{
    unsigned mode = qmp_enum(args, "read-only-mode", "BlockdevChangeReadOnlyMode",
                             BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN);
    Export *export = qmp_find_device(session, args, errp);

    return done(export, export && export_change_medium(export, qmp_str(args, "filename", ""),
                                                       qmp_str(args, "format", NULL),
                                                       (BlockdevChangeReadOnlyMode)mode,
                                                       qmp_bool(args, "force", false), errp));
}

/* ---- size ---- */

json_t *cmd_block_resize(QmpSession *session, const json_t *args, Error **errp)
{
    Server *server = qmp_session_server(session);
    int64_t size = qmp_int(args, "size", 0);
    bool force = qmp_bool(args, "x-force", false);
    const char *node_name = qmp_str(args, "node-name", NULL);
    BlockDriverState *bs;
    Export *export;
    bool ok;

    if (qmp_has(args, "device") == qmp_has(args, "node-name")) {
        error_setg(errp, "Exactly one of 'device' and 'node-name' must be given");
        return NULL;
    }
    if (size < 0) {
        error_setg(errp, "Parameter 'size' is negative");
        return NULL;
    }
    bs = node_name ? find_node(session, node_name, errp) : NULL;
    export = bs ? nodes_find_export(server, bs)
             : node_name ? NULL : qmp_find_device(session, args, errp);
    ok = export ? export_resize(export, size, force, errp)
         : bs ? nodes_resize(server, bs, size, errp) : false;
    return done(export, ok);
}

/* ---- the write cache ---- */

json_t *cmd_x_set_write_cache(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_device(session, args, errp);

    return done(export, export && export_set_write_cache(export, qmp_bool(args, "enable", true),
                                                         errp));
}
