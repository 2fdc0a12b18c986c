/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What becomes of a request that the image has failed: --on-read-error and --on-write-error.
 *
 *     report    the client gets the error
 *     ignore    the client is told that it succeeded; what could not be read is zeroes, for memory
 *               that nobody has filled is nobody's business
 *     stop      the export's gate closes, and the request waits there with those that come, until
 *               somebody has mended what is broken and opens it: then it runs again
 *     enospc    stop if there was no space left, else report
 *
 * A connection that ends does not wait for that: its requests have the error.
 */
#include <errno.h>
#include <string.h>

#include "events.h"
#include "hold.h"

/* Not of us, who lack memory or stop; and no refusal of what a client asks for, who could stop the
 * export for all others with it. */
static bool is_of_the_image(int error)
{
    switch (error) {
    case ENOMEM:
    case ENOMEDIUM:
    case ESHUTDOWN:
    case ECANCELED:
    case ENOTSUP:
    case EPERM:
    case EACCES:
    case EROFS:
    case EINVAL:
        return false;
    default:
        return true;
    }
}

static void tell(const Request *req, BlockErrorAction action, int error)
{
    Export *export = req->client->conn.export;
    char reason[64];

    if (action == BLOCK_ERROR_ACTION_STOP) {
        log_msg(LOG_LEVEL_ERROR, export, NULL, "stopped, because a %s failed: %s; once that is "
                "mended, resume it", request_name(req), strerror_r(error, reason, sizeof(reason)));
    } else if (action == BLOCK_ERROR_ACTION_IGNORE) {
        log_msg(LOG_LEVEL_WARNING, export, &req->client->conn, "%s failed, and that is ignored: %s",
                request_name(req), strerror_r(error, reason, sizeof(reason)));
    }
}

static int coroutine_fn answer_zeroes(Request *req)
{
    int ret;

    request_release_data(req);
    ret = request_get_data(req, req->len);
    if (ret == 0) {
        memset(req->data, 0, req->len);
        reply_data(req, req->data);
    }
    return ret;
}

/* What the client is told; and true: again. */
static bool coroutine_fn wait_to_retry(Request *req, bool is_read, int error)
{
    Export *export = req->client->conn.export;

    export->stop_error = error;
    if (export_gate(export, GATE_IO_ERROR)) {
        tell(req, BLOCK_ERROR_ACTION_STOP, error);
    }
    if (is_read) {
        request_release_data(req);
    }
    return hold_pass(req);
}

bool coroutine_fn error_policy_retries(Request *req, int *ret)
{
    const Client *c = req->client;
    BlockBackend *blk = c->conn.export->blk;
    bool is_read, leaving = c->error || c->ended || c->stopping || c->conn.server->stopping;
    BlockErrorAction action;
    int error = -*ret;

    if (!is_of_the_image(error) || !request_has_policy(req, &is_read)) {
        return false;
    }
    action = blk_get_error_action(blk, is_read, error);
    if (action == BLOCK_ERROR_ACTION_STOP && leaving) {
        action = BLOCK_ERROR_ACTION_REPORT;
    }
    blk_error_action(blk, action, is_read, error);
    event_io_error(c->conn.export, action, is_read, error);
    if (action == BLOCK_ERROR_ACTION_STOP) {
        return wait_to_retry(req, is_read, error);
    }
    if (action == BLOCK_ERROR_ACTION_IGNORE) {
        tell(req, action, error);
        *ret = is_read ? answer_zeroes(req) : 0;
    }
    return false;
}
