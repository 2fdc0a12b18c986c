/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each event is put together only if somebody listens. */
#include "events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "nbd-server/qmp/qmp.h"

/* A disk that fails does so thousands of times a second: of reads and writes each, one of these. */
#define IO_ERROR_NS INT64_C(1000000000)

/* ---- exports ---- */

void event_export_state(Export *export, const char *reason, int error)
{
    const char *error_name = error ? strerrorname_np(error) : NULL;

    if (qmp_has_listeners(export->server)) {
        qmp_event(export->server, "X_EXPORT_STATE",
                  json_pack("{s:s, s:s, s:s, s:s*}", "id", export->id,
                            "state", export_state(export), "reason", reason,
                            "error", error_name));
    }
}

void event_export_deleted(Export *export)
{
    if (qmp_has_listeners(export->server)) {
        qmp_event(export->server, "BLOCK_EXPORT_DELETED", json_pack("{s:s}", "id", export->id));
    }
}

/* ---- errors ---- */

/* On its way to the main thread, which alone can say what the node is called. */
typedef struct {
    Export *export;         /* a reference */
    BlockErrorAction action;
    bool is_read;
    int error;
} IoError;

static void send_io_error(void *opaque)
{
    static const char *const actions[] = {
        [BLOCK_ERROR_ACTION_IGNORE] = "ignore",
        [BLOCK_ERROR_ACTION_REPORT] = "report",
        [BLOCK_ERROR_ACTION_STOP] = "stop",
    };
    IoError *e = opaque;
    BlockDriverState *bs = blk_bs(e->export->blk);
    char reason[64];
    json_t *data = json_pack("{s:s, s:s, s:s, s:s}", "device", e->export->id,
                             "operation", e->is_read ? "read" : "write",
                             "action", actions[e->action],
                             "reason", strerror_r(e->error, reason, sizeof(reason)));

    if (bs) {
        json_object_set_new(data, "node-name", json_string(bdrv_get_node_name(bs)));
    }
    if (blk_iostatus_is_enabled(e->export->blk)) {
        json_object_set_new(data, "nospace", json_boolean(e->error == ENOSPC));
    }
    qmp_event(e->export->server, "BLOCK_IO_ERROR", data);
    export_unref(e->export);
    free(e);
}

/* One that stops the export is always told, whatever another thread tells at the same time. */
static bool is_due(Export *export, BlockErrorAction action, bool is_read)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    int64_t last = atomic_load(&export->io_error_ns[is_read]);

    if (action == BLOCK_ERROR_ACTION_STOP) {
        atomic_store(&export->io_error_ns[is_read], now);
        return true;
    }
    return (last == 0 || now - last >= IO_ERROR_NS) &&
           atomic_compare_exchange_strong(&export->io_error_ns[is_read], &last, now);
}

void event_io_error(Export *export, BlockErrorAction action, bool is_read, int error)
{
    IoError *e;

    if (!qmp_has_listeners(export->server) || !is_due(export, action, is_read) ||
        !(e = malloc(sizeof(*e)))) {
        return;
    }
    *e = (IoError){ export_ref(export), action, is_read, error };
    aio_bh_schedule_oneshot(qemu_get_aio_context(), send_io_error, e);
}

/* ---- clients ---- */

static void tell_client(const char *event, const Conn *conn, const char *reason)
{
    json_t *data;

    if (qmp_has_listeners(conn->server)) {
        data = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)conn->id, "export", conn->export->id,
                         "peer", conn->peer);
        if (reason) {
            json_object_set_new(data, "reason", json_string(reason));
        }
        qmp_event(conn->server, event, data);
    }
}

void event_client_connected(const Conn *conn)
{
    tell_client("X_CLIENT_CONNECTED", conn, NULL);
}

void event_client_disconnected(const Conn *conn, const char *reason)
{
    tell_client("X_CLIENT_DISCONNECTED", conn, reason);
}
