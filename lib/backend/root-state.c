/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a backend remembers of its last medium, for the next one.
 *
 * The state is a plain public structure; the main thread writes it, other
 * threads may ask an empty backend for its properties meanwhile.
 */
#include "backend/backend.h"

/* Is another backend's root, and that one is in a throttle group? */
static bool is_throttled_by_another(BlockBackend *blk, BlockDriverState *bs)
{
    BdrvParent *parent;

    LIST_FOREACH(parent, &bs->parents, link) {
        if (parent->ops == &blk_parent_ops && parent->opaque != blk &&
            blk_is_throttled(parent->opaque)) {
            return true;
        }
    }
    return false;
}

BlockBackendRootState *blk_get_root_state(BlockBackend *blk)
{
    return &blk->root_state;
}

void blk_update_root_state(BlockBackend *blk)
{
    BlockDriverState *bs = blk_root(blk);
    BlockBackendRootState *state = &blk->root_state;

    BLK_PRECONDITION(bs, "the backend has no root");
    __atomic_store_n(&state->open_flags, bdrv_get_flags(bs), __ATOMIC_RELAXED);
    __atomic_store_n(&state->read_only, bdrv_is_read_only(bs), __ATOMIC_RELAXED);
    state->detect_zeroes = atomic_load(&bs->detect_zeroes);
    blk_throttle_remember(blk);
}

void blk_apply_root_state(BlockBackend *blk, BlockDriverState *bs)
{
    BLK_PRECONDITION(!is_throttled_by_another(blk, bs), "the node is throttled already");
    atomic_store(&bs->detect_zeroes, (int)blk->root_state.detect_zeroes);
    blk_throttle_restore(blk);
}

int blk_get_open_flags_from_root_state(BlockBackend *blk)
{
    const BlockBackendRootState *state = &blk->root_state;

    return (state->read_only ? 0 : BDRV_O_RDWR) | (state->open_flags & ~BDRV_O_RDWR);
}
