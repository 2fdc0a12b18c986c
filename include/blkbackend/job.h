/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing what a disk is made of while clients use it: external snapshots, and
 * commit as a job.
 *
 * Main-loop thread only, not in a coroutine.  Errors: negative errno; errp says
 * what was tried and why it failed.
 */
#ifndef BLKBACKEND_JOB_H
#define BLKBACKEND_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- external snapshots ---- */

/* The overlay, a node that nobody uses and that has no backing file, of the same length, becomes
 * blk's root, and what was the root backs it, read-only unless another writes to it too.  Requests
 * wait meanwhile; none fails.  The overlay's header should say what backs it.  Refused if something
 * blocks BLOCK_OP_TYPE_EXTERNAL_SNAPSHOT; on failure all is as before. */
int blk_snapshot(BlockBackend *blk, BlockDriverState *overlay, Error **errp);
/* The same with a new image of this format, which names the root's by its absolute path; or, with
 * `existing`, with one that is there and names it already.  node_name: NULL: a generated one. */
int blk_snapshot_file(BlockBackend *blk, const char *filename, const char *format,
                      const char *node_name, bool existing, Error **errp);

/* ---- jobs ----
 *
 * A job copies in the background, in the main loop, and is there until it is dismissed:
 *
 *     CREATED ─▶ RUNNING ─▶ (READY) ─▶ WAITING ─▶ PENDING ─▶ CONCLUDED ─▶ NULL
 *                   └──────────┴──────────┴─▶ ABORTING ──────────▲
 *
 * PAUSED and STANDBY are RUNNING and READY, paused.  What a job does at its end changes the graph
 * and runs the main loop, so a job does not do it by itself: its user calls block_job_settle() once
 * the job is PENDING or ABORTING, where nothing else is changing the graph.
 */

typedef struct BlockJob BlockJob;

typedef enum {
    JOB_STATUS_UNDEFINED,
    JOB_STATUS_CREATED,
    JOB_STATUS_RUNNING,
    JOB_STATUS_PAUSED,
    JOB_STATUS_READY,      /* as good as done, and keeps up: waits for block_job_complete() */
    JOB_STATUS_STANDBY,
    JOB_STATUS_WAITING,
    JOB_STATUS_PENDING,    /* waits for block_job_settle() */
    JOB_STATUS_ABORTING,   /* cancelled, or failed: so too */
    JOB_STATUS_CONCLUDED,  /* waits for block_job_dismiss() */
    JOB_STATUS_NULL,
    JOB_STATUS__MAX
} JobStatus;

const char *job_status_name(JobStatus status);     /* "running" */

/* What a job tells its user; may come from inside a coroutine, and must not call back. */
typedef struct BlockJobOps {
    void (*status_changed)(BlockJob *job, JobStatus status, void *opaque);
    /* A request of the job has failed; error: a positive errno. */
    void (*io_error)(BlockJob *job, bool is_read, BlockErrorAction action, int error,
                     void *opaque);
} BlockJobOps;

typedef struct BlockJobInfo {
    const char *id, *type;             /* lent */
    BlockBackend *blk;                 /* lent; whose disk it works on */
    JobStatus status;
    int64_t done, total;               /* bytes; total grows as clients write */
    int64_t speed;                     /* bytes a second; 0: no limit */
    bool running, paused, ready;       /* paused: by block_job_pause(), or by an error */
    bool cancelled;
    BlockDeviceIoStatus io_status;
    int ret;                           /* once it is ABORTING or CONCLUDED: 0 or -errno */
    const char *error;                 /* lent; why it failed; NULL: it did not */
} BlockJobInfo;

BlockJob *block_job_find(const char *id);          /* or NULL */
BlockJob *block_job_next(BlockJob *job);           /* in the order of creation; NULL starts, ends */
void block_job_get_info(BlockJob *job, BlockJobInfo *info);
void *block_job_opaque(BlockJob *job);

/* Each fails where the job's status does not allow it. */
int block_job_pause(BlockJob *job, Error **errp);
int block_job_resume(BlockJob *job, Error **errp);
int block_job_set_speed(BlockJob *job, int64_t bytes_per_second, Error **errp);
/* The disk stays as it is.  force false, and READY: what it has copied is brought up to date once
 * more, and the job ends with success. */
int block_job_cancel(BlockJob *job, bool force, Error **errp);
int block_job_complete(BlockJob *job, Error **errp);     /* of a READY one */
/* block_job_settle(), of a PENDING one. */
int block_job_finalize(BlockJob *job, Error **errp);
int block_job_dismiss(BlockJob *job, Error **errp);      /* job is dead afterwards */

/* PENDING: the change that the job was for.  ABORTING: as if there had been no job.  CONCLUDED
 * afterwards. */
void block_job_settle(BlockJob *job);
/* Cancels it if it has not ended, and settles it. */
void block_job_cancel_sync(BlockJob *job);

/* ---- commit ---- */

typedef struct BlockCommitOptions {
    const char *job_id;
    BlockDriverState *top, *base;      /* NULL: the root; the last of the chain */
    const char *backing_file;          /* that the node above top shall name; NULL: base's name */
    int64_t speed;
    BlockdevOnError on_error;          /* not AUTO */
    const BlockJobOps *ops;
    void *opaque;
} BlockCommitOptions;

/*
 * Copies what the nodes from top down to, but without, base decide into base, which becomes
 * writable meanwhile, and grows if it is shorter.  Then, if top is not blk's root, the node above
 * it is backed by base; else the job becomes READY, and block_job_complete() makes base the root,
 * of the same length, and empties top, so that the image shows the same by both names.  The nodes
 * between are dropped.  Refused if somebody else uses one of the nodes, or something blocks
 * BLOCK_OP_TYPE_COMMIT_SOURCE of the root or BLOCK_OP_TYPE_COMMIT_TARGET of the others.
 */
BlockJob *blk_commit_start(BlockBackend *blk, const BlockCommitOptions *options, Error **errp);

#ifdef __cplusplus
}
#endif
#endif
