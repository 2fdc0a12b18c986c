/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work that must not begin within other work of its kind, see jobs.c. */
#ifndef NBD_EXPORT_JOBS_H
#define NBD_EXPORT_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

typedef struct Job {
    void (*func)(void *opaque);
    void *opaque;
    bool waiting;
    STAILQ_ENTRY(Job) link;
} Job;

typedef STAILQ_HEAD(JobQueue, Job) JobQueue;

typedef struct Jobs {
    JobQueue waiting, urgent;
    bool running, running_urgent;
    bool urgent_was_last;            /* to begin */
    bool coming_back;                /* a turn of the loop begins the next one */
} Jobs;

void jobs_init(Jobs *jobs);
/* Now or after those before it; once if it waits already.  job may go when it begins. */
void jobs_run(Jobs *jobs, Job *job);
/* The same, without waiting for the end of any but others like it. */
void jobs_run_urgent(Jobs *jobs, Job *job);

#endif
