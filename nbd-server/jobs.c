/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on images in the main thread, one piece after the other.
 *
 * Opening, flushing and closing an image runs the main loop until it is done, and the loop may
 * come by the next such piece of work: what it finds would be half open or half closed.
 */
#include "jobs.h"

void jobs_init(Jobs *jobs)
{
    STAILQ_INIT(&jobs->waiting);
}

void jobs_run(Jobs *jobs, Job *job)
{
    if (job->waiting) {
        return;
    }
    job->waiting = true;
    STAILQ_INSERT_TAIL(&jobs->waiting, job, link);
    if (jobs->running) {
        return;
    }
    jobs->running = true;
    while ((job = STAILQ_FIRST(&jobs->waiting))) {
        STAILQ_REMOVE_HEAD(&jobs->waiting, link);
        job->waiting = false;
        job->func(job->opaque);       /* job may be gone now */
    }
    jobs->running = false;
}
