/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Operation blockers: management operations that a node's users object to.
 * Advice only; requests do not look.  A blocker is known by the address of its
 * reason, which stays its owner's.
 */
#include "graph/graph-int.h"

#include <stdlib.h>

/* The name that the user knows: that of the backend above, or the node's own. */
static const char *user_name(BlockDriverState *bs)
{
    BdrvParent *parent;

    LIST_FOREACH(parent, &bs->parents, link) {
        if (parent->ops != &bdrv_node_parent_ops && parent->ops->name(parent->opaque)[0]) {
            return parent->ops->name(parent->opaque);
        }
    }
    return bs->node_name;
}

bool bdrv_op_is_blocked(BlockDriverState *bs, BlockOpType op, Error **errp)
{
    OpBlocker *newest;

    BDRV_PRECONDITION((unsigned)op < BLOCK_OP_TYPE_MAX, "no such operation");
    newest = LIST_FIRST(&bs->op_blockers[op]);
    if (!newest) {
        return false;
    }
    error_propagate(errp, error_copy(newest->reason));
    error_prepend(errp, "Node '%s' is busy: ", user_name(bs));
    return true;
}

void bdrv_op_block(BlockDriverState *bs, BlockOpType op, Error *reason)
{
    OpBlocker *blocker;

    BDRV_PRECONDITION((unsigned)op < BLOCK_OP_TYPE_MAX, "no such operation");
    BDRV_PRECONDITION(reason, "no reason given");
    blocker = bdrv_alloc(sizeof(*blocker));
    blocker->reason = reason;
    LIST_INSERT_HEAD(&bs->op_blockers[op], blocker, link);
}

void bdrv_op_unblock(BlockDriverState *bs, BlockOpType op, Error *reason)
{
    OpBlocker *blocker, *next;

    BDRV_PRECONDITION((unsigned)op < BLOCK_OP_TYPE_MAX, "no such operation");
    for (blocker = LIST_FIRST(&bs->op_blockers[op]); blocker; blocker = next) {
        next = LIST_NEXT(blocker, link);
        if (blocker->reason == reason) {
            LIST_REMOVE(blocker, link);
            free(blocker);
        }
    }
}

static bool is_of_overlay(BlockDriverState *bs, const Error *reason)
{
    BdrvParent *parent;

    LIST_FOREACH(parent, &bs->parents, link) {
        if (parent->ops == &bdrv_node_parent_ops &&
            ((BlockDriverState *)parent->opaque)->backing_blocker == reason) {
            return true;
        }
    }
    return false;
}

void bdrv_move_op_blockers(BlockDriverState *from, BlockDriverState *to)
{
    OpBlocker *blocker, *next;

    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        for (blocker = LIST_FIRST(&from->op_blockers[op]); blocker; blocker = next) {
            next = LIST_NEXT(blocker, link);
            if (!is_of_overlay(from, blocker->reason)) {
                LIST_REMOVE(blocker, link);
                LIST_INSERT_HEAD(&to->op_blockers[op], blocker, link);
            }
        }
    }
}

void bdrv_op_block_all(BlockDriverState *bs, Error *reason)
{
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        bdrv_op_block(bs, op, reason);
    }
}

void bdrv_op_unblock_all(BlockDriverState *bs, Error *reason)
{
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        bdrv_op_unblock(bs, op, reason);
    }
}
