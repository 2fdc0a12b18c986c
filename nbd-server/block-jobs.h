/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The jobs at work on exports' images: their policies, their end, what is told of them.  Main
 * thread. */
#ifndef NBD_EXPORT_BLOCK_JOBS_H
#define NBD_EXPORT_BLOCK_JOBS_H

#include <blkbackend/job.h>

#include "server.h"

typedef struct ExportJob ExportJob;

/* What the job was started with; o's ops are ours. */
bool export_job_commit(Export *export, BlockCommitOptions *o, bool auto_finalize,
                       bool auto_dismiss, Error **errp);
/* Of a job that there is. */
bool export_job_auto_finalize(BlockJob *job);
bool export_job_auto_dismiss(BlockJob *job);
bool export_job_finalize(BlockJob *job, Error **errp);
bool export_job_dismiss(BlockJob *job, Error **errp);
/* The export is about to go: its jobs end as soon as they can. */
void export_jobs_cancel(Export *export);
/* No export is left: those that nobody has dismissed. */
void export_jobs_free(void);

#endif
