/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Worker threads for what would block: file I/O without a ring, ioctls.
 *
 * One pool for the process.  Jobs live on the stacks of the coroutines that
 * wait for them.  A worker is started when there are more jobs than idle ones,
 * and ends when it has had nothing to do for a while.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "aio/aio-int.h"

#define MAX_WORKERS 64
#define IDLE_SECONDS 10

typedef struct Job {
    int (*fn)(void *arg);
    void *arg;
    int ret;
    Coroutine *co;
    STAILQ_ENTRY(Job) link;
} Job;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static STAILQ_HEAD(, Job) jobs = STAILQ_HEAD_INITIALIZER(jobs);
static int workers, idle, waiting_jobs;

/* The next job, or NULL after IDLE_SECONDS without one.  Called with the lock held. */
static Job *next_job(void)
{
    struct timespec until;
    Job *job;
    int ret = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_SECONDS;
    idle++;
    while (STAILQ_EMPTY(&jobs) && ret != ETIMEDOUT) {
        ret = pthread_cond_timedwait(&work, &lock, &until);
    }
    idle--;
    job = STAILQ_FIRST(&jobs);
    if (job) {
        STAILQ_REMOVE_HEAD(&jobs, link);
        waiting_jobs--;
    }
    return job;
}

static void *worker(void *opaque)
{
    Job *job;

    pthread_mutex_lock(&lock);
    while ((job = next_job())) {
        pthread_mutex_unlock(&lock);
        job->ret = job->fn(job->arg);
        aio_co_wake(job->co);      /* job is gone after this */
        pthread_mutex_lock(&lock);
    }
    workers--;
    pthread_mutex_unlock(&lock);
    return opaque;
}

/* False only if there is no worker at all and none can be started. */
static bool enqueue(Job *job)
{
    bool queued = true;

    pthread_mutex_lock(&lock);
    /* An idle worker that was woken for an earlier job counts until it has taken it. */
    if (waiting_jobs >= idle && workers < MAX_WORKERS) {
        pthread_t thread;
        pthread_attr_t attr;

        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&thread, &attr, worker, NULL) == 0) {
            workers++;
        } else {
            queued = workers > 0;
        }
        pthread_attr_destroy(&attr);
    }
    if (queued) {
        STAILQ_INSERT_TAIL(&jobs, job, link);
        waiting_jobs++;
    }
    pthread_mutex_unlock(&lock);
    if (queued) {
        pthread_cond_signal(&work);    /* now, so that who wakes finds the lock free */
    }
    return queued;
}

int coroutine_fn aio_co_run_in_thread(int (*fn)(void *arg), void *arg)
{
    Job job = { .fn = fn, .arg = arg, .co = qemu_coroutine_self() };

    if (qemu_get_current_aio_context()->private_to_thread) {
        return fn(arg);
    }
    if (!enqueue(&job)) {
        return fn(arg);            /* slower for the others in this loop, but done */
    }
    qemu_coroutine_yield();
    return job.ret;
}
