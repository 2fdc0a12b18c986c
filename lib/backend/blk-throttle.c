/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A backend as a member of a throttle group (§3.1.3), and what it remembers of that while it is
 * empty.  Main thread, but for cancelling and draining.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"

static ThrottleState *group_of(BlockBackend *blk)
{
    return atomic_load(&blk->throttle.group);
}

bool blk_is_throttled(BlockBackend *blk)
{
    return group_of(blk) != NULL;
}

static ThrottleState *group_of_member(BlockBackend *blk, const char *func)
{
    ThrottleState *group = group_of(blk);

    if (!group) {
        blk_programming_error(func, "the backend is in no throttle group");
    }
    return group;
}

/* ---- requests ---- */

bool blk_throttle_cancel(BlockBackend *blk, const Coroutine *co)
{
    return throttle_group_cancel_tgm(&blk->throttle, co);
}

void blk_throttle_drain_begin(BlockBackend *blk)
{
    atomic_fetch_add(&blk->throttle.off, 1);
    throttle_group_restart_tgm(&blk->throttle);
}

void blk_throttle_drain_end(BlockBackend *blk)
{
    atomic_fetch_sub(&blk->throttle.off, 1);
}

/* ---- membership ---- */

/* A backend without a medium remembers the limits that it will have with the next one. */
static void membership_changed(BlockBackend *blk)
{
    if (!blk_root(blk)) {
        blk_throttle_remember(blk);
    }
}

static void join_by_name(BlockBackend *blk, const char *name)
{
    ThrottleState *group = throttle_group_incref(name);

    throttle_group_register_tgm(&blk->throttle, group);
    throttle_group_unref(group);
}

void blk_io_limits_enable(BlockBackend *blk, const char *group)
{
    BLK_PRECONDITION(!group_of(blk), "the backend is in a throttle group already");
    join_by_name(blk, group ? group : blk_name(blk));
    membership_changed(blk);
}

void blk_io_limits_disable(BlockBackend *blk)
{
    group_of_member(blk, __func__);
    throttle_group_unregister_tgm(&blk->throttle);
    membership_changed(blk);
}

void blk_io_limits_update_group(BlockBackend *blk, const char *group)
{
    const char *name = group ? group : blk_name(blk);

    if (!group_of(blk) || strcmp(throttle_state_get_name(group_of(blk)), name) == 0) {
        return;
    }
    throttle_group_unregister_tgm(&blk->throttle);
    join_by_name(blk, name);
    membership_changed(blk);
}

/* ---- limits ---- */

void blk_set_io_limits(BlockBackend *blk, ThrottleConfig *cfg)
{
    ThrottleState *group = group_of_member(blk, __func__);

    BLK_PRECONDITION(throttle_is_valid(cfg, NULL), "the limits contradict each other");
    throttle_group_config_for(group, &blk->throttle, cfg);
}

void throttle_group_get_config(BlockBackend *blk, ThrottleConfig *cfg)
{
    throttle_state_get_config(group_of_member(blk, __func__), cfg);
}

const char *throttle_group_get_name(BlockBackend *blk)
{
    return throttle_state_get_name(group_of_member(blk, __func__));
}

/* ---- the root state ---- */

static void set_remembered(BlockBackendRootState *state, ThrottleState *group)
{
    ThrottleState *old = state->throttle_state;

    free(state->throttle_group);
    state->throttle_group = NULL;
    if (group && !(state->throttle_group = strdup(throttle_state_get_name(group)))) {
        abort();
    }
    state->throttle_state = group ? throttle_group_ref(group) : NULL;
    throttle_group_unref(old);
}

void blk_throttle_remember(BlockBackend *blk)
{
    set_remembered(&blk->root_state, group_of(blk));
}

void blk_throttle_restore(BlockBackend *blk)
{
    ThrottleState *group = blk->root_state.throttle_state;

    if (!group || group == group_of(blk)) {
        return;
    }
    throttle_group_unregister_tgm(&blk->throttle);
    throttle_group_register_tgm(&blk->throttle, group);
}

/* ---- life ---- */

void blk_throttle_init(BlockBackend *blk)
{
    throttle_group_init_tgm(&blk->throttle);
}

void blk_throttle_cleanup(BlockBackend *blk)
{
    throttle_group_unregister_tgm(&blk->throttle);
    set_remembered(&blk->root_state, NULL);
    throttle_group_destroy_tgm(&blk->throttle);
}
