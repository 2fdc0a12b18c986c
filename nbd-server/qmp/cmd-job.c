/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * block-commit, and commands about jobs: those of all kinds of jobs (job-...), and the older ones
 * of block jobs, which say "device" where they mean the job's ID.
 */
#include <string.h>

#include <blkbackend/image.h>

#include "common/cleanup.h"
#include "commands.h"
#include "nbd-server/block-jobs.h"

/* ---- block-commit ---- */

static BlockDriverState *top_of(Export *export, Error **errp)
{
    BlockDriverState *bs = blk_bs(export->blk);

    if (!bs) {
        error_setg(errp, "Device '%s' has no medium", export->id);
    }
    return bs;
}

/* By the name of a node, or by a file name as the image above it has it; NULL with *ok: neither was
 * given. */
static BlockDriverState *find_layer(const json_t *args, BlockDriverState *top, const char *what,
                                    bool *ok, Error **errp)
{
    auto_free char *node_key = NULL;
    const char *file = qmp_str(args, what, NULL), *node;
    BlockDriverState *bs = NULL;

    if (asprintf(&node_key, "%s-node", what) < 0) {
        abort();
    }
    node = qmp_str(args, node_key, NULL);
    if (file && node) {
        error_setg(errp, "'%s' and '%s' are mutually exclusive", node_key, what);
    } else if (node && !(bs = bdrv_find_node(node))) {
        error_setg(errp, "Cannot find node '%s'", node);
    } else if (file && strcmp(file, bdrv_filename(top)) == 0) {
        bs = top;
    } else if (file && !(bs = bdrv_find_backing_image(top, file))) {
        error_setg(errp, "Can't find '%s' in the backing chain", file);
    }
    *ok = bs || (!file && !node);
    return bs;
}

static bool commit(Export *export, const json_t *args, Error **errp)
{
    BlockDriverState *top = top_of(export, errp);
    BlockCommitOptions o = {
        .job_id = qmp_str(args, "job-id", export->id),
        .backing_file = qmp_str(args, "backing-file", NULL),
        .speed = qmp_int(args, "speed", 0),
        .on_error = (BlockdevOnError)qmp_enum(args, "on-error", "BlockdevOnError",
                                              BLOCKDEV_ON_ERROR_REPORT),
    };
    bool ok = top != NULL;

    if (ok) {
        o.base = find_layer(args, top, "base", &ok, errp);
    }
    if (ok) {
        o.top = find_layer(args, top, "top", &ok, errp);
    }
    if (ok && o.on_error == BLOCKDEV_ON_ERROR_AUTO) {
        o.on_error = BLOCKDEV_ON_ERROR_REPORT;
    }
    return ok && export_job_commit(export, &o, qmp_bool(args, "auto-finalize", true),
                                   qmp_bool(args, "auto-dismiss", true), errp);
}

json_t *cmd_block_commit(QmpSession *session, const json_t *args, Error **errp)
{
    Export *export = qmp_find_export(session, qmp_str(args, "device", ""), errp);
    bool ok = export && commit(export, args, errp);

    export_unref(export);
    return ok ? json_object() : NULL;
}

/* ---- finding ---- */

static BlockJob *find_job(const json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "id", "");
    BlockJob *job = block_job_find(id);

    if (!job) {
        error_setg(errp, "Job '%s' not found", id);
    }
    return job;
}

static BlockJob *find_block_job(QmpSession *session, const json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "device", qmp_str(args, "id", ""));
    BlockJob *job = block_job_find(id);

    if (!job) {
        qmp_set_error_class(session, "DeviceNotActive");
        error_setg(errp, "Block job '%s' not found", id);
    }
    return job;
}

static json_t *done(bool ok)
{
    return ok ? json_object() : NULL;
}

/* ---- all kinds of jobs ---- */

json_t *cmd_job_pause(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_job(args, errp);

    (void)session;
    return done(job && block_job_pause(job, errp) == 0);
}

json_t *cmd_job_resume(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_job(args, errp);

    (void)session;
    return done(job && block_job_resume(job, errp) == 0);
}

json_t *cmd_job_cancel(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_job(args, errp);

    (void)session;
    return done(job && block_job_cancel(job, true, errp) == 0);
}

json_t *cmd_job_complete(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_job(args, errp);

    (void)session;
    return done(job && block_job_complete(job, errp) == 0);
}

json_t *cmd_job_finalize(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_job(args, errp);

    (void)session;
    return done(job && export_job_finalize(job, errp));
}

json_t *cmd_job_dismiss(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_job(args, errp);

    (void)session;
    return done(job && export_job_dismiss(job, errp));
}

static json_t *describe(const BlockJobInfo *info)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*}", "id", info->id, "type", info->type,
                     "status", job_status_name(info->status),
                     "current-progress", (json_int_t)info->done,
                     "total-progress", (json_int_t)info->total, "error", info->error);
}

json_t *cmd_query_jobs(QmpSession *session, const json_t *args, Error **errp)
{
    json_t *list = json_array();

    (void)session;
    (void)args;
    (void)errp;
    for (BlockJob *job = block_job_next(NULL); job; job = block_job_next(job)) {
        BlockJobInfo info;

        block_job_get_info(job, &info);
        json_array_append_new(list, describe(&info));
    }
    return list;
}

/* ---- block jobs ---- */

json_t *cmd_block_job_pause(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_block_job(session, args, errp);

    return done(job && block_job_pause(job, errp) == 0);
}

json_t *cmd_block_job_resume(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_block_job(session, args, errp);

    return done(job && block_job_resume(job, errp) == 0);
}

/* A job that was paused goes on to its end only if it is forced. */
json_t *cmd_block_job_cancel(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_block_job(session, args, errp);
    bool force = qmp_bool(args, "force", false);
    BlockJobInfo info;

    if (job) {
        block_job_get_info(job, &info);
    }
    if (job && info.paused && !force) {
        error_setg(errp, "The block job for device '%s' is currently paused", info.id);
        error_append_hint(errp, "\"force\": true cancels it all the same.\n");
        return NULL;
    }
    return done(job && block_job_cancel(job, force, errp) == 0);
}

json_t *cmd_block_job_complete(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_block_job(session, args, errp);

    return done(job && block_job_complete(job, errp) == 0);
}

json_t *cmd_block_job_finalize(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_block_job(session, args, errp);

    return done(job && export_job_finalize(job, errp));
}

json_t *cmd_block_job_dismiss(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_block_job(session, args, errp);

    return done(job && export_job_dismiss(job, errp));
}

json_t *cmd_block_job_set_speed(QmpSession *session, const json_t *args, Error **errp)
{
    BlockJob *job = find_block_job(session, args, errp);

    return done(job && block_job_set_speed(job, qmp_int(args, "speed", 0), errp) == 0);
}

static json_t *describe_block_job(BlockJob *job, const BlockJobInfo *info)
{
    static const char *const io_status[] = {
        [BLOCK_DEVICE_IO_STATUS_OK] = "ok",
        [BLOCK_DEVICE_IO_STATUS_FAILED] = "failed",
        [BLOCK_DEVICE_IO_STATUS_NOSPACE] = "nospace",
    };

    return json_pack("{s:s, s:s, s:I, s:I, s:b, s:b, s:I, s:s, s:b, s:s, s:b, s:b, s:s*}",
                     "type", info->type, "device", info->id, "len", (json_int_t)info->total,
                     "offset", (json_int_t)info->done, "busy", info->running,
                     "paused", info->paused, "speed", (json_int_t)info->speed,
                     "io-status", io_status[info->io_status], "ready", info->ready,
                     "status", job_status_name(info->status),
                     "auto-finalize", export_job_auto_finalize(job),
                     "auto-dismiss", export_job_auto_dismiss(job), "error", info->error);
}

json_t *cmd_query_block_jobs(QmpSession *session, const json_t *args, Error **errp)
{
    json_t *list = json_array();

    (void)session;
    (void)args;
    (void)errp;
    for (BlockJob *job = block_job_next(NULL); job; job = block_job_next(job)) {
        BlockJobInfo info;

        block_job_get_info(job, &info);
        json_array_append_new(list, describe_block_job(job, &info));
    }
    return list;
}
