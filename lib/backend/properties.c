/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be asked about a backend and its medium, and the few settings.
 *
 * Any thread may ask while the main thread takes the medium out: the root is
 * looked at between blk_look_begin() and blk_look_end().
 */
#include "backend/backend.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- words for flags ---- */

typedef struct FlagWord {
    const char *word;
    int flags;
} FlagWord;

static const FlagWord cache_modes[] = {
    { "none",         BDRV_O_NOCACHE | BDRV_O_CACHE_WB },
    { "off",          BDRV_O_NOCACHE | BDRV_O_CACHE_WB },
    { "writeback",    BDRV_O_CACHE_WB },
    { "writethrough", 0 },
    { "directsync",   BDRV_O_NOCACHE },
    { "unsafe",       BDRV_O_CACHE_WB | BDRV_O_NO_FLUSH },
    { NULL, 0 },
};

static const FlagWord discard_modes[] = {
    { "ignore", 0 },
    { "off",    0 },
    { "unmap",  BDRV_O_UNMAP },
    { "on",     BDRV_O_UNMAP },
    { NULL, 0 },
};

static int parse_flag_word(const FlagWord *words, const char *word, int mask, int *flags)
{
    for (const FlagWord *w = words; w->word; w++) {
        if (strcmp(w->word, word) == 0) {
            *flags = (*flags & ~mask) | w->flags;
            return 0;
        }
    }
    return -EINVAL;
}

int bdrv_parse_cache_mode(const char *mode, int *flags)
{
    return parse_flag_word(cache_modes, mode, BDRV_O_CACHE_MASK, flags);
}

int bdrv_parse_discard_flags(const char *mode, int *flags)
{
    return parse_flag_word(discard_modes, mode, BDRV_O_UNMAP, flags);
}

/* ---- settings of the backend ---- */

void blk_set_allow_write_beyond_eof(BlockBackend *blk, bool allow)
{
    atomic_store(&blk->allow_beyond_eof, allow);
}

void blk_set_guest_block_size(BlockBackend *blk, int align)
{
    blk->guest_block_size = align;
}

BlockAcctStats *blk_get_stats(BlockBackend *blk)
{
    return &blk->stats;
}

/* ---- is there a medium? ---- */

bool blk_is_inserted(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    bool inserted = bs && bdrv_is_inserted(bs);

    blk_look_end(shard);
    return inserted;
}

bool blk_is_available(BlockBackend *blk)
{
    return blk_is_inserted(blk) && !blk_dev_is_tray_open(blk);
}

/* ---- how it is open ---- */

static int remembered_flags(BlockBackend *blk)
{
    return __atomic_load_n(&blk->root_state.open_flags, __ATOMIC_RELAXED);
}

int blk_get_flags(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int flags = bs ? bdrv_get_flags(bs) : remembered_flags(blk);

    blk_look_end(shard);
    return flags;
}

int blk_is_read_only(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    bool read_only = bs ? bdrv_is_read_only(bs)
                        : __atomic_load_n(&blk->root_state.read_only, __ATOMIC_RELAXED);

    blk_look_end(shard);
    return read_only;
}

int blk_is_sg(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    bool sg = bs && bs->sg;

    blk_look_end(shard);
    return sg;
}

int blk_enable_write_cache(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    bool wce = bs ? atomic_load(&bs->enable_write_cache)
                  : (remembered_flags(blk) & BDRV_O_CACHE_WB) != 0;

    blk_look_end(shard);
    return wce;
}

void blk_set_enable_write_cache(BlockBackend *blk, bool wce)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int *flags = &blk->root_state.open_flags;

    if (bs) {
        bdrv_set_enable_write_cache(bs, wce);
    } else if (wce) {
        __atomic_fetch_or(flags, BDRV_O_CACHE_WB, __ATOMIC_RELAXED);
    } else {
        __atomic_fetch_and(flags, ~BDRV_O_CACHE_WB, __ATOMIC_RELAXED);
    }
    blk_look_end(shard);
}

void blk_set_detect_zeroes(BlockBackend *blk, BlockdevDetectZeroesOptions mode)
{
    BlockDriverState *bs = blk_root(blk);

    BLK_PRECONDITION((unsigned)mode < BLOCKDEV_DETECT_ZEROES_OPTIONS__MAX, "no such mode");
    if (bs) {
        atomic_store(&bs->detect_zeroes, (int)mode);
    } else {
        blk->root_state.detect_zeroes = mode;
    }
}

/* ---- another process may have written: reread everything ---- */

typedef struct InvalidateJob {
    BlockDriverState *bs;
    Error **errp;
} InvalidateJob;

static int64_t coroutine_fn do_invalidate(void *opaque)
{
    InvalidateJob *job = opaque;

    return bdrv_co_invalidate_cache(job->bs, job->errp);
}

void blk_invalidate_cache(BlockBackend *blk, Error **errp)
{
    InvalidateJob job = { .bs = blk_root(blk), .errp = errp };

    if (!job.bs) {
        error_setg(errp, "Device '%s' has no medium", blk_name(blk));
        return;
    }
    bdrv_run_sync(do_invalidate, &job);
}

/* ---- limits ---- */

int blk_get_max_transfer_length(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int64_t sectors = bs ? bs->bl.max_transfer >> BDRV_SECTOR_BITS : 0;

    blk_look_end(shard);
    return sectors < INT_MAX ? (int)sectors : 0;
}

int blk_get_max_iov(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int max_iov = bs && bs->drv && bs->bl.max_iov ? bs->bl.max_iov : IOV_MAX;

    blk_look_end(shard);
    return max_iov;
}

uint32_t blk_get_request_alignment(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    uint32_t align = bs && bs->drv ? bs->bl.request_alignment : BDRV_SECTOR_SIZE;

    blk_look_end(shard);
    return align;
}

int64_t blk_get_max_transfer(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int64_t max = bs ? bs->bl.max_transfer : 0;

    blk_look_end(shard);
    return max > 0 && max < BDRV_REQUEST_MAX_BYTES ? max : BDRV_REQUEST_MAX_BYTES;
}

int64_t blk_get_opt_transfer(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int64_t opt = bs ? bs->bl.opt_transfer : 0;

    blk_look_end(shard);
    return opt;
}

/* ---- memory that needs no bounce buffer ---- */

static size_t buffer_align(BlockBackend *blk)
{
    long page = sysconf(_SC_PAGESIZE);
    size_t align = page > 4096 ? (size_t)page : 4096;
    BlockDriverState *bs;
    BlkShard *shard;

    if (blk) {
        bs = blk_look_begin(blk, &shard);
        if (bs && bs->drv) {
            align = bdrv_opt_mem_align(bs);
        }
        blk_look_end(shard);
    }
    return align;
}

void *blk_try_blockalign(BlockBackend *blk, size_t size)
{
    size_t align = buffer_align(blk);

    return qemu_try_memalign(align, size ? size : align);
}

void *blk_blockalign(BlockBackend *blk, size_t size)
{
    void *mem = blk_try_blockalign(blk, size);

    if (!mem) {
        abort();
    }
    return mem;
}

/* ---- operation blockers: they belong to the node ---- */

bool blk_op_is_blocked(BlockBackend *blk, BlockOpType op, Error **errp)
{
    BlockDriverState *bs = blk_root(blk);

    BLK_PRECONDITION((unsigned)op < BLOCK_OP_TYPE_MAX, "no such operation");
    return bs && bdrv_op_is_blocked(bs, op, errp);
}

void blk_op_unblock(BlockBackend *blk, BlockOpType op, Error *reason)
{
    BlockDriverState *bs = blk_root(blk);

    BLK_PRECONDITION((unsigned)op < BLOCK_OP_TYPE_MAX, "no such operation");
    if (bs) {
        bdrv_op_unblock(bs, op, reason);
    }
}

void blk_op_block_all(BlockBackend *blk, Error *reason)
{
    BlockDriverState *bs = blk_root(blk);

    if (bs) {
        bdrv_op_block_all(bs, reason);
    }
}

void blk_op_unblock_all(BlockBackend *blk, Error *reason)
{
    BlockDriverState *bs = blk_root(blk);

    if (bs) {
        bdrv_op_unblock_all(bs, reason);
    }
}

/* ---- what the hardware says ---- */

int blk_probe_blocksizes(BlockBackend *blk, BlockSizes *bsz)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int ret;

    if (!bs || !bdrv_is_inserted(bs) || blk_dev_is_tray_open(blk)) {
        ret = -ENOMEDIUM;
    } else if (!bs->drv->bdrv_probe_blocksizes) {
        ret = -ENOTSUP;
    } else {
        ret = bs->drv->bdrv_probe_blocksizes(bs, bsz);
    }
    blk_look_end(shard);
    return ret;
}

int blk_probe_geometry(BlockBackend *blk, HDGeometry *geo)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int ret;

    if (!bs || !bdrv_is_inserted(bs) || blk_dev_is_tray_open(blk)) {
        ret = -ENOMEDIUM;
    } else if (!bs->drv->bdrv_probe_geometry) {
        ret = -ENOTSUP;
    } else {
        ret = bs->drv->bdrv_probe_geometry(bs, geo);
    }
    blk_look_end(shard);
    return ret;
}
