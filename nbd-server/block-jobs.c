/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs of exports.
 *
 * A job keeps its export open.  At its end it changes what the image is made of: that is work of
 * jobs.h, which must not begin within other work of its kind.
 */
#include "block-jobs.h"

#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "chain.h"
#include "common/cleanup.h"
#include "common/xalloc.h"
#include "nbd-server/qmp/qmp.h"

#define PROGRESS_NS (INT64_C(500) * 1000000)

struct ExportJob {
    Server *server;
    Export *export;                 /* a reference; NULL: the job is over */
    BlockJob *job;
    bool auto_finalize, auto_dismiss;
    bool told_ready;
    bool settles;                   /* settle() is called, or about to be */
    Job settle;
    QEMUTimer *progress_timer;
    int64_t told_done, told_total;
};

/* ---- what is told ---- */

static json_t *describe(BlockJob *job)
{
    BlockJobInfo info;

    block_job_get_info(job, &info);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s*}", "type", info.type, "device", info.id,
                     "len", (json_int_t)info.total, "offset", (json_int_t)info.done,
                     "speed", (json_int_t)info.speed, "error", info.error);
}

static void tell_end(ExportJob *j)
{
    BlockJobInfo info;

    block_job_get_info(j->job, &info);
    qmp_event(j->server, info.cancelled ? "BLOCK_JOB_CANCELLED" : "BLOCK_JOB_COMPLETED",
              describe(j->job));
    log_msg(info.error ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, j->export, NULL, "job \"%s\" %s%s",
            info.id, info.cancelled ? "was cancelled" : info.error ? "failed: " : "has ended",
            info.error ? info.error : "");
}

static void tell_status(ExportJob *j, const char *id, JobStatus status)
{
    qmp_event(j->server, "JOB_STATUS_CHANGE", json_pack("{s:s, s:s}", "id", id, "status",
                                                        job_status_name(status)));
}

static void tell_progress(void *opaque)
{
    ExportJob *j = opaque;
    BlockJobInfo info;

    block_job_get_info(j->job, &info);
    if (info.done != j->told_done || info.total != j->told_total) {
        j->told_done = info.done;
        j->told_total = info.total;
        qmp_event(j->server, "X_JOB_PROGRESS",
                  json_pack("{s:s, s:I, s:I}", "id", info.id, "current-progress",
                            (json_int_t)info.done, "total-progress", (json_int_t)info.total));
    }
    timer_mod_ns(j->progress_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + PROGRESS_NS);
}

static void io_error(BlockJob *job, bool is_read, BlockErrorAction action, int error, void *opaque)
{
    static const char *const actions[] = {
        [BLOCK_ERROR_ACTION_IGNORE] = "ignore",
        [BLOCK_ERROR_ACTION_REPORT] = "report",
        [BLOCK_ERROR_ACTION_STOP] = "stop",
    };
    ExportJob *j = opaque;
    BlockJobInfo info;

    (void)error;
    block_job_get_info(job, &info);
    qmp_event(j->server, "BLOCK_JOB_ERROR",
              json_pack("{s:s, s:s, s:s}", "device", info.id, "operation",
                        is_read ? "read" : "write", "action", actions[action]));
}

/* ---- its end ---- */

static void dismiss(ExportJob *j)
{
    block_job_dismiss(j->job, NULL);
    free(j);
}

/* top: what was at the top of the image before. */
static void concluded(ExportJob *j, const BlockDriverState *top)
{
    Export *export = j->export;

    timer_free(take_ptr(j->progress_timer));
    if (blk_bs(export->blk) != top) {
        chain_top_changed(export);
    }
    j->export = NULL;
    if (j->auto_dismiss) {
        dismiss(j);
    }
    export_unref(export);
}

static void settle(void *opaque)
{
    ExportJob *j = opaque;
    BlockDriverState *top = blk_bs(j->export->blk);

    block_job_settle(j->job);
    concluded(j, top);
}

static void settle_soon(void *opaque)
{
    ExportJob *j = opaque;

    jobs_run(&j->server->jobs, &j->settle);
}

static void status_changed(BlockJob *job, JobStatus status, void *opaque)
{
    ExportJob *j = opaque;
    BlockJobInfo info;
    bool due = status == JOB_STATUS_ABORTING || (status == JOB_STATUS_PENDING && j->auto_finalize);

    j->job = job;
    block_job_get_info(job, &info);
    if (status == JOB_STATUS_CONCLUDED) {
        tell_end(j);
    }
    tell_status(j, info.id, status);
    if (status == JOB_STATUS_READY && !j->told_ready) {
        j->told_ready = true;
        qmp_event(j->server, "BLOCK_JOB_READY", describe(job));
    }
    if (status == JOB_STATUS_PENDING && !j->auto_finalize) {
        qmp_event(j->server, "BLOCK_JOB_PENDING", json_pack("{s:s, s:s}", "type", info.type,
                                                            "id", info.id));
    }
    if (due && !j->settles) {
        j->settles = true;
        aio_bh_schedule_oneshot(qemu_get_aio_context(), settle_soon, j);
    }
}

static const BlockJobOps job_ops = {
    .status_changed = status_changed,
    .io_error = io_error,
};

/* ---- its beginning ---- */

bool export_job_commit(Export *export, BlockCommitOptions *o, bool auto_finalize,
                       bool auto_dismiss, Error **errp)
{
    ExportJob *j = xcalloc(1, sizeof(*j));

    *j = (ExportJob){ .server = export->server, .export = export_ref(export),
                      .auto_finalize = auto_finalize, .auto_dismiss = auto_dismiss,
                      .settle = { .func = settle, .opaque = j } };
    o->ops = &job_ops;
    o->opaque = j;
    if (!chain_may_change(export, errp) || !blk_commit_start(export->blk, o, errp)) {
        export_unref(export);
        free(j);
        return false;
    }
    j->progress_timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                      tell_progress, j);
    tell_progress(j);
    return true;
}

/* ---- afterwards ---- */

bool export_job_auto_finalize(BlockJob *job)
{
    return ((ExportJob *)block_job_opaque(job))->auto_finalize;
}

bool export_job_auto_dismiss(BlockJob *job)
{
    return ((ExportJob *)block_job_opaque(job))->auto_dismiss;
}

bool export_job_finalize(BlockJob *job, Error **errp)
{
    ExportJob *j = block_job_opaque(job);
    BlockDriverState *top = j->export ? blk_bs(j->export->blk) : NULL;
    BlockJobInfo info;

    block_job_get_info(job, &info);
    if (info.status == JOB_STATUS_PENDING && j->settles) {
        return true;                /* it is about to be */
    }
    j->settles |= info.status == JOB_STATUS_PENDING;
    if (block_job_finalize(job, errp) < 0) {
        return false;
    }
    concluded(j, top);
    return true;
}

bool export_job_dismiss(BlockJob *job, Error **errp)
{
    ExportJob *j = block_job_opaque(job);

    if (block_job_dismiss(job, errp) < 0) {
        return false;
    }
    free(j);
    return true;
}

void export_jobs_cancel(Export *export)
{
    for (BlockJob *job = block_job_next(NULL); job; job = block_job_next(job)) {
        if (((ExportJob *)block_job_opaque(job))->export == export) {
            block_job_cancel(job, true, NULL);
        }
    }
}

void export_jobs_free(void)
{
    BlockJob *job;

    while ((job = block_job_next(NULL))) {
        dismiss(block_job_opaque(job));
    }
}
