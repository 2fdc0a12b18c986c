/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on images in the main thread, one piece after the other.
 *
 * Opening, flushing and closing an image runs the main loop until it is done, and the loop may
 * come by the next such piece of work: what it finds would be half open or half closed.
 *
 * Urgent work is such that it does no harm in there, and is quick.  While it runs, no other piece
 * begins: that would have to come to its end before the urgent one can.
 */
#include "jobs.h"

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

static void run_all(JobQueue *queue, bool *running)
{
    Job *job;

    *running = true;
    while ((job = STAILQ_FIRST(queue))) {
        STAILQ_REMOVE_HEAD(queue, link);
        job->waiting = false;
        job->func(job->opaque);       /* job may be gone now */
    }
    *running = false;
}

void jobs_run(Jobs *jobs, Job *job)
{
    put(&jobs->waiting, job);
    if (!jobs->running && !jobs->running_urgent) {
        run_all(&jobs->waiting, &jobs->running);
    }
}

void jobs_run_urgent(Jobs *jobs, Job *job)
{
    put(&jobs->urgent, job);
    if (jobs->running_urgent) {
        return;
    }
    run_all(&jobs->urgent, &jobs->running_urgent);
    if (!jobs->running) {
        run_all(&jobs->waiting, &jobs->running);      /* what came meanwhile */
    }
}
