/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the content of a range comes from: stored data, known zeroes, or the
 * backing file.
 */
#include "graph/graph-int.h"

#include <errno.h>

/* What a driver, or its absence of an answer, says about an aligned range. */
static int coroutine_fn ask_driver(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                   int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    *pnum = bytes;
    if (bs->drv->bdrv_co_block_status) {
        return bs->drv->bdrv_co_block_status(bs, offset, bytes, pnum, map, file);
    }
    *map = offset;
    *file = bs;
    return BDRV_BLOCK_DATA | (bs->drv->protocol_name ? BDRV_BLOCK_OFFSET_VALID : 0);
}

/* The driver answers for whole blocks; the caller asked for [offset, offset + bytes). */
static int coroutine_fn ask_driver_aligned(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                           int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    int64_t align = bs->drv->is_passthrough ? 1 : bs->bl.request_alignment;
    int64_t start = ROUND_DOWN(offset, align), end = ROUND_UP(offset + bytes, align);
    int ret = ask_driver(bs, start, end - start, pnum, map, file);

    if (ret < 0) {
        return ret;
    }
    *pnum -= offset - start;
    *map += offset - start;
    if (*pnum > bytes) {
        *pnum = bytes;
    }
    return *pnum > 0 ? ret : -EIO;
}

/* The node passes requests on: the answer is the file's.  What the file leaves to those that back
 * it is the node's own, as nothing backs the node. */
static int coroutine_fn ask_file(BlockDriverState **file, int64_t *map, int64_t *pnum)
{
    BlockDriverState *bs = *file;
    int64_t offset = *map, n;
    int depth;
    int ret = bdrv_co_block_status(bs, offset, *pnum, &n, map, file);

    if (ret >= 0 && !(ret & (BDRV_BLOCK_DATA | BDRV_BLOCK_ZERO)) && bs->backing && n > 0) {
        ret = bdrv_co_block_status_where(bs, NULL, offset, n, &n, map, file, &depth);
    }
    if (ret < 0) {
        return ret;
    }
    if (n == 0) {   /* past its end */
        return BDRV_BLOCK_ZERO;
    }
    *pnum = n;
    return ret & ~BDRV_BLOCK_EOF;
}

/* A format that stores data in a hole of its file: zeroes all the same. */
static int coroutine_fn add_zero_of_file(BlockDriverState *file, int64_t map, int64_t *pnum)
{
    BlockDriverState *below;
    int64_t n, where;
    int ret = bdrv_co_block_status(file, map, *pnum, &n, &where, &below);

    if (ret < 0) {
        return 0;   /* only a refinement: an error here hurts nobody */
    }
    if (n == 0) {   /* past its end */
        return BDRV_BLOCK_ZERO;
    }
    *pnum = n;
    return ret & BDRV_BLOCK_ZERO;
}

/* bytes > 0, all of them before the node's end. */
static int coroutine_fn status_inside(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    int ret = ask_driver_aligned(bs, offset, bytes, pnum, map, file);

    if (ret < 0) {
        return ret;
    }
    if (ret & BDRV_BLOCK_RAW) {
        ret = ask_file(file, map, pnum);
    } else if ((ret & BDRV_BLOCK_RECURSE) && !(ret & BDRV_BLOCK_ZERO) &&
               (ret & BDRV_BLOCK_OFFSET_VALID) && *file && *file != bs) {
        ret |= add_zero_of_file(*file, *map, pnum);
    }
    ret = ret < 0 ? ret : ret & ~BDRV_BLOCK_RECURSE;
    if (ret >= 0 && (ret & (BDRV_BLOCK_DATA | BDRV_BLOCK_ZERO))) {
        ret |= BDRV_BLOCK_ALLOCATED;
    }
    return ret;
}

int coroutine_fn bdrv_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    BlockDriverState *local_file = NULL;
    int64_t length, local_map = 0;
    int ret;

    *pnum = 0;
    if (offset < 0 || bytes < 0) {
        return -EIO;
    }
    length = bdrv_co_getlength(bs);
    if (length < 0) {
        return length;
    }
    if (offset >= length) {
        return BDRV_BLOCK_EOF;
    }
    if (bytes == 0) {
        return 0;
    }
    ret = status_inside(bs, offset, MIN_OF(bytes, length - offset), pnum, &local_map, &local_file);
    if (ret < 0) {
        return ret;
    }
    if (offset + *pnum == length) {
        ret |= BDRV_BLOCK_EOF;
    }
    if (map) {
        *map = local_map;
    }
    if (file) {
        *file = local_file;
    }
    return ret;
}

int coroutine_fn bdrv_co_block_status_where(BlockDriverState *bs, BlockDriverState *base,
                                            int64_t offset, int64_t bytes, int64_t *pnum,
                                            int64_t *map, BlockDriverState **file, int *depth)
{
    BlockDriverState *node;
    int64_t eof = -1;       /* the end of bs, where the range reached it */

    *pnum = 0;
    *depth = 0;
    if (bytes == 0) {
        return 0;
    }
    for (node = bs; node && node != base; node = node->backing, ++*depth) {
        int64_t n;
        int ret = bdrv_co_block_status(node, offset, bytes, &n, map, file);

        if (ret < 0) {
            return ret;
        }
        if (n == 0) {   /* past the end of this node, and so past what its overlays took from it */
            *pnum = bytes;
            return BDRV_BLOCK_ZERO | (node == bs ? 0 : BDRV_BLOCK_ALLOCATED) |
                   (offset + bytes == eof ? BDRV_BLOCK_EOF : 0);
        }
        bytes = n;
        if (node == bs && (ret & BDRV_BLOCK_EOF)) {
            eof = offset + n;
        }
        if (ret & BDRV_BLOCK_ALLOCATED) {
            *pnum = n;
            return (ret & ~BDRV_BLOCK_EOF) | (offset + n == eof ? BDRV_BLOCK_EOF : 0);
        }
    }
    *pnum = bytes;
    return (node && node == base ? 0 : BDRV_BLOCK_ZERO) |
           (offset + bytes == eof ? BDRV_BLOCK_EOF : 0);
}

int coroutine_fn bdrv_co_block_status_above(BlockDriverState *bs, BlockDriverState *base,
                                            int64_t offset, int64_t bytes, int64_t *pnum)
{
    int depth, ret = bdrv_co_block_status_where(bs, base, offset, bytes, pnum, NULL, NULL, &depth);

    if (ret < 0) {
        return ret;
    }
    return (ret & (BDRV_BLOCK_DATA | BDRV_BLOCK_ZERO)) |
           ((ret & BDRV_BLOCK_ALLOCATED) && depth == 0 ? BDRV_BLOCK_ALLOCATED : 0);
}
