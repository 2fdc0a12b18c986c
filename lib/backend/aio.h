/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The asynchronous form of a request, for doors.c. */
#ifndef BLKBACKEND_BACKEND_AIO_H
#define BLKBACKEND_BACKEND_AIO_H

#include "backend/request.h"

/* Copies *req; cb gets its result, cut to an int, in the backend's context. */
BlockAIOCB *blk_aio_submit(const BlkRequest *req, BlockCompletionFunc *cb, void *opaque);

#endif
