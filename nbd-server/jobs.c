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
 * Where both could begin, they take turns, so that neither kind starves the other.
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

static void go_on(void *opaque);

/* What waits has its turn, be that within a piece of work which runs the loop. */
static void come_back(Jobs *jobs)
{
    if (!jobs->coming_back && (!STAILQ_EMPTY(&jobs->urgent) || !STAILQ_EMPTY(&jobs->waiting))) {
        jobs->coming_back = true;
        aio_bh_schedule_oneshot(qemu_get_aio_context(), go_on, jobs);
    }
}

static void run_first(Jobs *jobs, JobQueue *queue, bool *running)
{
    Job *job = STAILQ_FIRST(queue);

    STAILQ_REMOVE_HEAD(queue, link);
    job->waiting = false;
    jobs->urgent_was_last = queue == &jobs->urgent;
    *running = true;
    come_back(jobs);
    job->func(job->opaque);       /* job may be gone now */
    *running = false;
    come_back(jobs);
}

/* Begins what may begin; if nothing may, who is at work comes back. */
static void begin(Jobs *jobs)
{
    bool may_urgent = !jobs->running_urgent && !STAILQ_EMPTY(&jobs->urgent);
    bool may_other = !jobs->running_urgent && !jobs->running && !STAILQ_EMPTY(&jobs->waiting);

    if (may_urgent && (!may_other || !jobs->urgent_was_last)) {
        run_first(jobs, &jobs->urgent, &jobs->running_urgent);
    } else if (may_other) {
        run_first(jobs, &jobs->waiting, &jobs->running);
    }
}

static void go_on(void *opaque)
{
    Jobs *jobs = opaque;

    jobs->coming_back = false;
    begin(jobs);
}

void jobs_run(Jobs *jobs, Job *job)
{
    put(&jobs->waiting, job);
    begin(jobs);
}

void jobs_run_urgent(Jobs *jobs, Job *job)
{
    put(&jobs->urgent, job);
    begin(jobs);
}
