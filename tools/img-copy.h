/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying the content of images, one behind the other, into a target: what
 * `convert` does once all are open.
 */
#ifndef IMG_COPY_H
#define IMG_COPY_H

#include "tools/img.h"

#define IMG_COPY_MAX_WORKERS 16
#define IMG_COPY_MAX_BUFFER (16 << 20)

typedef struct ImgCopySource {
    BlockBackend *blk;
    int64_t length;                    /* bytes; multiple of 512 */
    int64_t alignment;                 /* bytes: where to cut reads */
} ImgCopySource;

/* All sizes are bytes.  The caller sets these. */
typedef struct ImgCopy {
    ImgCopySource *src;
    int src_num;
    int64_t total;                     /* the sum of their lengths */
    BlockBackend *target;
    bool target_has_backing;           /* what the source leaves to its backing file, so does it */
    int64_t target_backing_length;     /* negative: not known */
    bool zero_init;                    /* what is not written reads as zeroes */
    bool compressed;
    int64_t cluster_size;              /* of the target, if compressed */
    bool in_order;                     /* writes have ascending offsets, one at a time */
    bool offload;                      /* let the images copy among themselves */
    bool salvage;                      /* what cannot be read becomes zeroes */
    bool quiet;                        /* no warnings about that */
    int64_t min_sparse;                /* shorter runs of zeroes are data; 0: all is data */
    int64_t alignment;                 /* where to cut writes; a power of two */
    int64_t buf_size;                  /* of each worker */
    int workers;
} ImgCopy;

/* 0, or -errno after it has reported what failed, and at which offset.  Shows the progress. */
int img_copy(const ImgCopy *job);

/* img-copy-bitmaps.c; false: reported.  Whether bs has bitmaps that can be copied; then copies
 * them, without the inconsistent ones, into an image that can keep them. */
bool img_check_bitmaps(BlockDriverState *bs, bool skip_broken);
bool img_copy_bitmaps(BlockDriverState *from, BlockDriverState *to);

#endif
