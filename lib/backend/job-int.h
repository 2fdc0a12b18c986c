/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A job from the inside: what job.c and the kinds of jobs know of each other. */
#ifndef BLKBACKEND_JOB_INT_H
#define BLKBACKEND_JOB_INT_H

#include <blkbackend/job.h>

#include "backend/backend.h"

typedef struct BlockJobDriver {
    const char *type;
    /* Copies for as long as block_job_goes_on(); 0: what it was for is done, or -errno. */
    int coroutine_fn (*run)(BlockJob *job);
    /* run() has ended: the change of the graph. */
    int (*finish)(BlockJob *job, Error **errp);
    void (*clean)(BlockJob *job);      /* the last, whatever has happened */
} BlockJobDriver;

/* Main thread only. */
struct BlockJob {
    const BlockJobDriver *driver;
    char *id;
    BlockBackend *blk;                 /* one reference; NULL: it is over */
    BlockDriverState *node;            /* is drained: the job pauses; lent by the driver */
    BdrvParent link;                   /* the job as its parent */
    const BlockJobOps *ops;
    void *opaque;
    BlockdevOnError on_error;
    BlockDeviceIoStatus io_status;
    BdrvRate rate;
    JobStatus status;
    int64_t done, left;                /* bytes */
    int ret;
    Error *err;
    bool user_paused;
    bool ready;
    bool completing;                   /* PENDING as soon as it may be */
    bool keeps_graph;                  /* then: without the change */
    bool cancelled;
    bool ending;                       /* run() shall return */
    bool settling;
    int drained;                       /* sections of node */
    bool busy;                         /* between two calls of block_job_goes_on() or _rest() */
    bool asleep;                       /* until it is woken */
    bool asked;                        /* something, since it looked last: no time to rest */
    QEMUTimer *timer;
    Coroutine *co;                     /* NULL: run() is over */
    TAILQ_ENTRY(BlockJob) link_all;
};

/* job->node is set; takes a reference to blk. */
void block_job_init(BlockJob *job, const BlockJobDriver *driver, BlockBackend *blk, const char *id);
void block_job_start(BlockJob *job);
/* What has been begun comes to nothing: never started. */
void block_job_free(BlockJob *job);

/* Waits while it may not go on; false: it shall end. */
bool coroutine_fn block_job_goes_on(BlockJob *job);
/* Waits so long, or until something is asked of it. */
void coroutine_fn block_job_rest(BlockJob *job, int64_t ns);
void block_job_set_ready(BlockJob *job);
void block_job_set_pending(BlockJob *job);
/* As its policy says; true: try again. */
bool block_job_tolerates(BlockJob *job, bool is_read, int error);

#endif
