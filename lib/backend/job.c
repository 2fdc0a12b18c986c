/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs: a coroutine in the main loop that can be paused, slowed down, cancelled
 * and asked how far it is.
 *
 * A job is a parent of the node that it works on: whoever drains that node
 * waits until the job is between two pieces of its work, and keeps it there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/job-int.h"

static TAILQ_HEAD(, BlockJob) jobs = TAILQ_HEAD_INITIALIZER(jobs);

/* ---- status ---- */

static const char *const status_names[JOB_STATUS__MAX] = {
    [JOB_STATUS_UNDEFINED] = "undefined",
    [JOB_STATUS_CREATED] = "created",
    [JOB_STATUS_RUNNING] = "running",
    [JOB_STATUS_PAUSED] = "paused",
    [JOB_STATUS_READY] = "ready",
    [JOB_STATUS_STANDBY] = "standby",
    [JOB_STATUS_WAITING] = "waiting",
    [JOB_STATUS_PENDING] = "pending",
    [JOB_STATUS_ABORTING] = "aborting",
    [JOB_STATUS_CONCLUDED] = "concluded",
    [JOB_STATUS_NULL] = "null",
};

const char *job_status_name(JobStatus status)
{
    return (unsigned)status < JOB_STATUS__MAX ? status_names[status] : "undefined";
}

static void set_status(BlockJob *job, JobStatus status)
{
    if (job->status != status) {
        job->status = status;
        job->ops->status_changed(job, status, job->opaque);
    }
}

/* Of one that is at work. */
static void update_status(BlockJob *job, bool paused)
{
    if (job->status < JOB_STATUS_WAITING) {
        set_status(job, paused ? (job->ready ? JOB_STATUS_STANDBY : JOB_STATUS_PAUSED)
                               : (job->ready ? JOB_STATUS_READY : JOB_STATUS_RUNNING));
    }
}

void block_job_set_ready(BlockJob *job)
{
    if (!job->ready) {
        job->ready = true;
        update_status(job, false);
    }
}

void block_job_set_pending(BlockJob *job)
{
    if (job->status < JOB_STATUS_WAITING) {
        set_status(job, JOB_STATUS_WAITING);
        set_status(job, JOB_STATUS_PENDING);
    }
}

/* ---- the coroutine: rest and pause ---- */

static void wake(void *opaque)
{
    BlockJob *job = opaque;

    job->asked = true;
    if (job->asleep) {
        job->asleep = false;
        timer_del(job->timer);
        aio_co_schedule(qemu_get_aio_context(), job->co);    /* not inside of who wakes it */
    }
}

static void coroutine_fn sleep_until_woken(BlockJob *job)
{
    job->busy = false;
    job->asleep = true;
    bdrv_wait_kick();
    qemu_coroutine_yield();
}

void coroutine_fn block_job_rest(BlockJob *job, int64_t ns)
{
    timer_mod_ns(job->timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + (job->asked ? 0 : ns));
    sleep_until_woken(job);
}

bool coroutine_fn block_job_goes_on(BlockJob *job)
{
    job->asked = false;
    while (!job->ending && (job->user_paused || job->drained > 0)) {
        if (job->user_paused) {
            update_status(job, true);
        }
        sleep_until_woken(job);
    }
    if (!job->ending) {
        update_status(job, false);
    }
    job->busy = !job->ending;
    return job->busy;
}

static BlockErrorAction action_for(const BlockJob *job, int error)
{
    switch (job->on_error) {
    case BLOCKDEV_ON_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    case BLOCKDEV_ON_ERROR_STOP:
        return BLOCK_ERROR_ACTION_STOP;
    case BLOCKDEV_ON_ERROR_ENOSPC:
        return error == ENOSPC ? BLOCK_ERROR_ACTION_STOP : BLOCK_ERROR_ACTION_REPORT;
    default:
        return BLOCK_ERROR_ACTION_REPORT;
    }
}

bool block_job_tolerates(BlockJob *job, bool is_read, int error)
{
    BlockErrorAction action = action_for(job, error);

    if (job->status >= JOB_STATUS_WAITING) {
        return true;                   /* what is left is copied at the end, or that fails */
    }
    if (action == BLOCK_ERROR_ACTION_STOP) {
        job->user_paused = true;
        if (job->io_status == BLOCK_DEVICE_IO_STATUS_OK) {
            job->io_status = error == ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE
                                             : BLOCK_DEVICE_IO_STATUS_FAILED;
        }
    }
    job->ops->io_error(job, is_read, action, error, job->opaque);
    return action != BLOCK_ERROR_ACTION_REPORT;
}

static void coroutine_fn run_entry(void *opaque)
{
    BlockJob *job = opaque;

    block_job_rest(job, 0);            /* who starts it learns first that it is there */
    job->ret = job->driver->run(job);
    job->busy = false;
    job->co = NULL;
    bdrv_wait_kick();
    if (job->cancelled || job->ret < 0) {
        set_status(job, JOB_STATUS_ABORTING);
    } else {
        block_job_set_pending(job);
    }
}

/* ---- drained sections of the node ---- */

static void drained_begin(void *opaque)
{
    ((BlockJob *)opaque)->drained++;
}

static bool drained_poll(void *opaque)
{
    return ((BlockJob *)opaque)->busy;
}

static void drained_end(void *opaque)
{
    BlockJob *job = opaque;

    if (--job->drained == 0) {
        wake(job);
    }
}

static const char *parent_name(void *opaque)
{
    return ((BlockJob *)opaque)->id;
}

static const BdrvParentOps job_parent_ops = {
    .drained_begin = drained_begin,
    .drained_poll = drained_poll,
    .drained_end = drained_end,
    .name = parent_name,
};

/* ---- life ---- */

void block_job_init(BlockJob *job, const BlockJobDriver *driver, BlockBackend *blk, const char *id)
{
    job->driver = driver;
    job->id = strdup(id);
    BLK_PRECONDITION(job->id, "out of memory");
    job->blk = blk;
    blk_ref(blk);
    job->timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS, wake, job);
    job->link.ops = &job_parent_ops;
    job->link.opaque = job;
    TAILQ_INSERT_TAIL(&jobs, job, link_all);
}

void block_job_start(BlockJob *job)
{
    bdrv_add_parent(job->node, &job->link);
    set_status(job, JOB_STATUS_CREATED);
    set_status(job, JOB_STATUS_RUNNING);
    bdrv_rate_start(&job->rate, job->rate.bytes_per_second);
    job->busy = true;
    job->co = qemu_coroutine_create(run_entry);
    aio_co_start(qemu_get_aio_context(), job->co, job);
}

void block_job_free(BlockJob *job)
{
    TAILQ_REMOVE(&jobs, job, link_all);
    timer_free(job->timer);
    blk_unref(job->blk);
    error_free(job->err);
    free(job->id);
    free(job);
}

BlockJob *block_job_next(BlockJob *job)
{
    return job ? TAILQ_NEXT(job, link_all) : TAILQ_FIRST(&jobs);
}

BlockJob *block_job_find(const char *id)
{
    BlockJob *job = NULL;

    while ((job = block_job_next(job)) && strcmp(job->id, id) != 0) {
        continue;
    }
    return job;
}

void *block_job_opaque(BlockJob *job)
{
    return job->opaque;
}

void block_job_get_info(BlockJob *job, BlockJobInfo *info)
{
    bool failed = job->ret < 0 && !job->cancelled;

    *info = (BlockJobInfo){
        .id = job->id, .type = job->driver->type, .blk = job->blk, .status = job->status,
        .done = job->done, .total = job->done + job->left, .speed = job->rate.bytes_per_second,
        .running = job->busy, .paused = job->user_paused, .ready = job->ready,
        .cancelled = job->cancelled, .io_status = job->io_status, .ret = job->ret,
        .error = !failed ? NULL : job->err ? error_get_pretty(job->err) : strerror(-job->ret),
    };
}

/* ---- what is asked of it ---- */

#define IN(status) (1u << JOB_STATUS_##status)
#define AT_WORK (IN(CREATED) | IN(RUNNING) | IN(PAUSED) | IN(READY) | IN(STANDBY))

static int check_verb(BlockJob *job, const char *verb, unsigned allowed, Error **errp)
{
    if (allowed & (1u << job->status)) {
        return 0;
    }
    error_setg(errp, "Job '%s' in state '%s' cannot accept command verb '%s'", job->id,
               job_status_name(job->status), verb);
    return -EPERM;
}

int block_job_pause(BlockJob *job, Error **errp)
{
    int ret = check_verb(job, "pause", AT_WORK, errp);

    if (ret == 0 && job->user_paused) {
        error_setg(errp, "Job is already paused");
        ret = -EPERM;
    }
    if (ret == 0) {
        job->user_paused = true;
        wake(job);
    }
    return ret;
}

int block_job_resume(BlockJob *job, Error **errp)
{
    int ret = check_verb(job, "resume", AT_WORK, errp);

    if (ret == 0 && !job->user_paused) {
        error_setg(errp, "Can't resume a job that was not paused");
        ret = -EPERM;
    }
    if (ret == 0) {
        job->user_paused = false;
        job->io_status = BLOCK_DEVICE_IO_STATUS_OK;
        wake(job);
    }
    return ret;
}

int block_job_set_speed(BlockJob *job, int64_t bytes_per_second, Error **errp)
{
    int ret = check_verb(job, "set-speed", AT_WORK, errp);

    if (ret == 0 && bytes_per_second < 0) {
        error_setg(errp, "Parameter 'speed' expects a non-negative value");
        ret = -EINVAL;
    }
    if (ret == 0) {
        bdrv_rate_start(&job->rate, bytes_per_second);
        wake(job);
    }
    return ret;
}

int block_job_complete(BlockJob *job, Error **errp)
{
    int ret = check_verb(job, "complete", IN(READY), errp);

    if (ret == 0) {
        job->completing = true;
        wake(job);
    }
    return ret;
}

int block_job_cancel(BlockJob *job, bool force, Error **errp)
{
    int ret = check_verb(job, "cancel", AT_WORK | IN(WAITING) | IN(PENDING), errp);

    if (ret < 0) {
        return ret;
    }
    job->user_paused = false;
    if (!force && job->ready) {
        job->keeps_graph = job->completing = true;
    } else {
        job->cancelled = job->ending = true;
    }
    if (job->co) {
        wake(job);
    } else if (job->cancelled) {
        set_status(job, JOB_STATUS_ABORTING);
    }
    return 0;
}

/* ---- its end ---- */

static void end_coroutine(BlockJob *job)
{
    job->ending = true;
    wake(job);
    while (job->co) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

void block_job_settle(BlockJob *job)
{
    if (job->settling || (job->status != JOB_STATUS_PENDING &&
                          job->status != JOB_STATUS_ABORTING)) {
        return;
    }
    job->settling = true;
    end_coroutine(job);
    if (job->status == JOB_STATUS_PENDING && job->ret == 0) {
        job->ret = job->driver->finish(job, &job->err);
    }
    if (job->ret < 0) {
        set_status(job, JOB_STATUS_ABORTING);
    }
    bdrv_remove_parent(job->node, &job->link);
    job->driver->clean(job);
    blk_unref(job->blk);
    job->blk = NULL;
    set_status(job, JOB_STATUS_CONCLUDED);
}

void block_job_cancel_sync(BlockJob *job)
{
    if (job->status < JOB_STATUS_ABORTING) {
        block_job_cancel(job, true, NULL);
        end_coroutine(job);
    }
    block_job_settle(job);
}

int block_job_finalize(BlockJob *job, Error **errp)
{
    int ret = check_verb(job, "finalize", IN(PENDING), errp);

    if (ret == 0) {
        block_job_settle(job);
    }
    return ret;
}

int block_job_dismiss(BlockJob *job, Error **errp)
{
    int ret = check_verb(job, "dismiss", IN(CONCLUDED), errp);

    if (ret == 0) {
        set_status(job, JOB_STATUS_NULL);
        block_job_free(job);
    }
    return ret;
}
