/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What arguments name: exports and nodes.
 */
#include "qmp.h"

#include <string.h>

#include <blkbackend/block-driver.h>

/* So many names are worth telling. */
#define MAX_NAMES 10

static void hint_names(QmpSession *session, Error **errp)
{
    Export **all = exports_snapshot(qmp_session_server(session));
    size_t n = 0;

    for (Export **next = all; next && *next; next++, n++) {
        if (n < MAX_NAMES) {
            error_append_hint(errp, "%s \"%s\"", n ? "," : "There are:", (*next)->id);
        }
    }
    error_append_hint(errp, n > MAX_NAMES ? ", ...\n" : n ? ".\n" : "There is no export.\n");
    exports_snapshot_free(all);
}

Export *qmp_find_export(QmpSession *session, const char *name, Error **errp)
{
    Server *server = qmp_session_server(session);
    Export *export = exports_find_id(server, name);

    if (!export) {
        export = exports_find(server, name, strlen(name));      /* "": the default export */
    }
    if (!export) {
        qmp_set_error_class(session, "DeviceNotFound");
        error_setg(errp, "Device '%s' not found", name);
        hint_names(session, errp);
    }
    return export;
}

Export *qmp_find_device(QmpSession *session, const json_t *args, Error **errp)
{
    const char *name = qmp_str(args, "id", qmp_str(args, "device", NULL));

    if (!name) {
        error_setg(errp, "Parameter 'id' is missing: it names the device, which is an export");
        return NULL;
    }
    return qmp_find_export(session, name, errp);
}

BlockDriverState *qmp_find_node(QmpSession *session, const char *name, Error **errp)
{
    BlockDriverState *bs = bdrv_find_node(name);
    Export *export;

    if (!bs) {
        export = qmp_find_export(session, name, NULL);
        bs = export ? blk_bs(export->blk) : NULL;
        export_unref(export);
    }
    if (!bs) {
        qmp_set_error_class(session, "DeviceNotFound");
        error_setg(errp, "Cannot find node '%s', nor a device of that name with a medium", name);
        hint_names(session, errp);
    }
    return bs;
}
