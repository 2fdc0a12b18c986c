/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on images in the main thread, one piece after the other.
 *
 * Opening, flushing and closing an image runs the main loop until it is done, and the loop may
 * come by the next such piece of work: what it finds would be half open or half closed.
 *
 * Urgent work is such that it does no harm in there, and is quick.  While it runs, no other piece
 * begins: that would have to come to its end before the urgent one can.
 *
 * Between two pieces the loop has a turn, and who waits in it can see whether he still has to:
 * however fast new ones come.
 */
#include "jobs.h"

#include <blkbackend/aio.h>

void jobs_init(Jobs *jobs)
{
    STAILQ_INIT(&jobs->waiting);
    STAILQ_INIT(&jobs->urgent);
}

static void put(JobQueue *queue, Job *job)
{
    if (!job->waiting) {
        job->waiting = true;
        STAILQ_INSERT_TAIL(queue, job, link);
    }
}

static void run_first(JobQueue *queue, bool *running)
{
    Job *job = STAILQ_FIRST(queue);

    STAILQ_REMOVE_HEAD(queue, link);
    job->waiting = false;
    *running = true;
    job->func(job->opaque);       /* job may be gone now */
    *running = false;
}

/* Begins what may begin. */
static void go_on(void *opaque)
{
    Jobs *jobs = opaque;

    if (!jobs->running_urgent && !STAILQ_EMPTY(&jobs->urgent)) {
        run_first(&jobs->urgent, &jobs->running_urgent);
    } else if (!jobs->running_urgent && !jobs->running && !STAILQ_EMPTY(&jobs->waiting)) {
        run_first(&jobs->waiting, &jobs->running);
    } else {
        return;                   /* who is at work comes back here */
    }
    if (!STAILQ_EMPTY(&jobs->urgent) || !STAILQ_EMPTY(&jobs->waiting)) {
        aio_bh_schedule_oneshot(qemu_get_aio_context(), go_on, jobs);
    }
}

void jobs_run(Jobs *jobs, Job *job)
{
    put(&jobs->waiting, job);
    go_on(jobs);
}

void jobs_run_urgent(Jobs *jobs, Job *job)
{
    put(&jobs->urgent, job);
    go_on(jobs);
}
