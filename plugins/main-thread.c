/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library's main-loop thread, and the jobs that others have for it, one after the other. */
#include "main-thread.h"
#include "plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <unistd.h>

typedef struct Job {
    void (*fn)(void *opaque);
    void *opaque;
    bool done;
    STAILQ_ENTRY(Job) link;
} Job;

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static STAILQ_HEAD(, Job) jobs = STAILQ_HEAD_INITIALIZER(jobs);
static enum { STARTING, RUNNING, FAILED, STOPPING } state;
static Error *start_error;
static int folder = -1;         /* where nbdkit was started */

/* ---- in the thread ---- */

/* What wakes the loop; the work is not done here, where a job that polls would nest others. */
static void wake_up(void *opaque)
{
    (void)opaque;
}

static void set_state(int new_state)
{
    pthread_mutex_lock(&lock);
    state = new_state;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* The next job, or NULL; *stop: there will not be another. */
static Job *take_job(bool *stop)
{
    Job *job;

    pthread_mutex_lock(&lock);
    job = STAILQ_FIRST(&jobs);
    if (job) {
        STAILQ_REMOVE_HEAD(&jobs, link);
    }
    *stop = !job && state == STOPPING;
    pthread_mutex_unlock(&lock);
    return job;
}

static void run_job(Job *job)
{
    job->fn(job->opaque);
    pthread_mutex_lock(&lock);
    job->done = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* A folder of the thread's own.  Where that is not allowed, absolute names work all the same. */
static void go_back_to_folder(void)
{
    if (unshare(CLONE_FS) < 0 || fchdir(folder) < 0) {
        nbdkit_debug("blkbackend: relative names of files count from /: %m");
    }
    close(folder);
}

static void *main_thread(void *arg)
{
    bool stop = false;
    Job *job;

    (void)arg;
    go_back_to_folder();
    if (qemu_init_main_loop(&start_error) < 0) {
        set_state(FAILED);
        return NULL;
    }
    set_state(RUNNING);
    while (!stop) {
        while ((job = take_job(&stop)) != NULL) {
            run_job(job);
        }
        if (!stop) {
            main_loop_wait(false);
        }
    }
    return NULL;
}

/* ---- from outside ---- */

int main_thread_prepare(void)
{
    folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? -1 : 0;
}

int main_thread_start(Error **errp)
{
    int ret = pthread_create(&thread, NULL, main_thread, NULL);

    if (ret != 0) {
        error_setg_errno(errp, ret, "Cannot start a thread");
        return -ret;
    }
    pthread_mutex_lock(&lock);
    while (state == STARTING) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    if (state == FAILED) {
        pthread_join(thread, NULL);
        error_propagate(errp, start_error);
        return -EIO;
    }
    return 0;
}

void main_thread_stop(void)
{
    if (state == RUNNING) {
        set_state(STOPPING);
        aio_bh_schedule_oneshot(qemu_get_aio_context(), wake_up, NULL);
        pthread_join(thread, NULL);
    }
}

void main_thread_run(void (*fn)(void *opaque), void *opaque)
{
    Job job = { .fn = fn, .opaque = opaque };

    pthread_mutex_lock(&lock);
    STAILQ_INSERT_TAIL(&jobs, &job, link);
    pthread_mutex_unlock(&lock);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), wake_up, NULL);
    pthread_mutex_lock(&lock);
    while (!job.done) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}
