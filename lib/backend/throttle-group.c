/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Throttle groups (§3.1.3): backends that share limits, and whose turn it is.
 *
 * Each member has a queue of waiting requests for each direction.  As long as
 * anybody waits in a direction, a timer is armed for exactly one request of
 * it: the first of the member whose turn it is.  When it fires, that request
 * is let go, whatever the levels say now, and the turn passes to the next
 * member with something waiting: to as many as may go at once, and then the
 * timer is armed again.  So everything between two calls is in one of two states:
 *
 *     nobody waits        no timer; a request looks at the buckets
 *     somebody waits      one timer; a request queues up
 *
 * Requests of one backend wait in many threads.  The armed timer belongs to the
 * waiting request and lives in its AioContext, which is surely being polled;
 * the request frees it there after it has been woken, so a timer that has just
 * fired never meets freed memory.
 *
 * Locks: the member's guards which group it is in, the group's all the rest.
 * Neither is held while a coroutine runs: who lets requests go collects them
 * and wakes them at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"

struct ThrottleState {
    /* Main thread only. */
    char *name;                         /* "" is nobody else's */
    unsigned refs;                      /* members and root states */
    LIST_ENTRY(ThrottleState) registry_link;

    pthread_mutex_t lock;
    /* Under the lock; [is_write] where there are two. */
    ThrottleBuckets buckets;
    TAILQ_HEAD(ThrottleMemberList, ThrottleMember) members;
    ThrottleMember *token[2];           /* who had the last turn; NULL: the next is the first's */
    ThrottleWaiter *armed[2];           /* whose timer runs */
};

/* A waiting request, on its coroutine's stack. */
struct ThrottleWaiter {
    BlockBackend *blk;
    Coroutine *co;
    uint64_t bytes;
    bool is_write;
    bool cancelled;
    QEMUTimer *timer;                   /* NULL until its turn is near */
    int64_t due;                        /* when that goes off */
    TAILQ_ENTRY(ThrottleWaiter) link;   /* of the member's queue, then of those let go */
};

static LIST_HEAD(, ThrottleState) groups = LIST_HEAD_INITIALIZER(groups);   /* main thread */

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/* ---- groups and references (main thread) ---- */

static char *copy_string(const char *s)
{
    char *copy = strdup(s);

    if (!copy) {
        abort();
    }
    return copy;
}

static ThrottleState *group_new(const char *name)
{
    ThrottleState *group = calloc(1, sizeof(*group));
    ThrottleConfig unlimited;

    if (!group) {
        abort();
    }
    group->name = copy_string(name);
    pthread_mutex_init(&group->lock, NULL);
    TAILQ_INIT(&group->members);
    throttle_config_init(&unlimited);
    throttle_start(&group->buckets, &unlimited, now_ns());
    LIST_INSERT_HEAD(&groups, group, registry_link);
    return group;
}

static ThrottleState *group_ref(ThrottleState *group)
{
    group->refs++;
    return group;
}

static void group_unref(ThrottleState *group)
{
    if (group && --group->refs == 0) {
        LIST_REMOVE(group, registry_link);
        pthread_mutex_destroy(&group->lock);
        free(group->name);
        free(group);
    }
}

/* By name; made if there is none.  An empty name is always a new group's. */
static ThrottleState *group_get(const char *name)
{
    ThrottleState *group;

    LIST_FOREACH(group, &groups, registry_link) {
        if (*name && strcmp(group->name, name) == 0) {
            return group_ref(group);
        }
    }
    return group_ref(group_new(name));
}

/* ---- locking ---- */

/* The group of a member, locked; NULL if it is in none. */
static ThrottleState *lock_group(ThrottleMember *member)
{
    ThrottleState *group;

    pthread_mutex_lock(&member->lock);
    group = atomic_load(&member->group);
    if (group) {
        pthread_mutex_lock(&group->lock);
    }
    pthread_mutex_unlock(&member->lock);
    return group;
}

/* Unlocks, and wakes whom we let go. */
static void unlock_group(ThrottleState *group, ThrottleWaiterList *released)
{
    ThrottleWaiter *w, *next;

    pthread_mutex_unlock(&group->lock);
    for (w = TAILQ_FIRST(released); w; w = next) {
        next = TAILQ_NEXT(w, link);
        aio_co_wake(w->co);     /* and w may be gone */
    }
}

/* ---- turns (group locked) ---- */

/* Who has somebody waiting: the members after the last one served, and that one last of all. */
static ThrottleMember *next_in_turn(ThrottleState *group, bool is_write)
{
    ThrottleMember *start = group->token[is_write], *member = start;

    do {
        member = member ? TAILQ_NEXT(member, link) : TAILQ_FIRST(&group->members);
        if (member && !TAILQ_EMPTY(&member->waiting[is_write])) {
            return member;
        }
    } while (member != start);
    return NULL;
}

static void leave_queue(ThrottleState *group, ThrottleWaiter *w, ThrottleWaiterList *released)
{
    TAILQ_REMOVE(&w->blk->throttle.waiting[w->is_write], w, link);
    TAILQ_INSERT_TAIL(released, w, link);
    if (group->armed[w->is_write] == w) {
        group->armed[w->is_write] = NULL;
    }
}

static void let_go(ThrottleState *group, ThrottleWaiter *w, ThrottleWaiterList *released)
{
    leave_queue(group, w, released);
    throttle_account(&group->buckets, w->is_write, w->bytes, now_ns());
}

static void take_turn(ThrottleState *group, ThrottleWaiter *w, ThrottleWaiterList *released)
{
    group->token[w->is_write] = &w->blk->throttle;
    let_go(group, w, released);
}

static void timer_cb(void *opaque);

static void arm(ThrottleState *group, ThrottleWaiter *w, int64_t due)
{
    if (!w->timer) {
        w->timer = aio_timer_new(qemu_coroutine_get_aio_context(w->co), QEMU_CLOCK_VIRTUAL,
                                 SCALE_NS, timer_cb, w);
    }
    w->due = due;
    group->armed[w->is_write] = w;
    timer_mod_ns(w->timer, due);
}

/* Leaves the direction in one of its two states. */
static void schedule(ThrottleState *group, bool is_write, ThrottleWaiterList *released)
{
    ThrottleMember *member;

    while (!group->armed[is_write] && (member = next_in_turn(group, is_write))) {
        ThrottleWaiter *w = TAILQ_FIRST(&member->waiting[is_write]);
        int64_t now = now_ns();
        int64_t wait = throttle_wait_ns(&group->buckets, is_write, now);

        if (wait > 0) {
            arm(group, w, now + wait);
        } else {
            take_turn(group, w, released);
        }
    }
}

/* In the waiting request's context. */
static void timer_cb(void *opaque)
{
    ThrottleWaiter *w = opaque;
    bool is_write = w->is_write;
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleState *group = lock_group(&w->blk->throttle);

    if (!group) {
        return;             /* let go meanwhile, and its backend has left the group */
    }
    if (group->armed[is_write] == w) {
        if (now_ns() < w->due) {
            timer_mod_ns(w->timer, w->due);     /* was armed anew after it had fired */
        } else {
            take_turn(group, w, &released);
            schedule(group, is_write, &released);
        }
    }
    unlock_group(group, &released);
}

/* ---- requests ---- */

/* (group locked) When a new request may go: not later than now, or at a time to come. */
static int64_t due_time(ThrottleState *group, const ThrottleWaiter *w, int64_t now)
{
    if (atomic_load(&w->blk->throttle.off) > 0) {
        return now;
    }
    if (group->armed[w->is_write]) {
        return INT64_MAX;       /* it will learn that when its turn comes */
    }
    return now + throttle_wait_ns(&group->buckets, w->is_write, now);
}

/* (group locked) Counts w, if it may go; or else puts it into its queue. */
static bool must_wait(ThrottleState *group, ThrottleWaiter *w)
{
    int64_t now = now_ns(), due = due_time(group, w, now);

    if (due <= now) {
        throttle_account(&group->buckets, w->is_write, w->bytes, now);
        return false;
    }
    TAILQ_INSERT_TAIL(&w->blk->throttle.waiting[w->is_write], w, link);
    if (!group->armed[w->is_write]) {
        arm(group, w, due);
    }
    return true;
}

int coroutine_fn blk_throttle_wait(BlockBackend *blk, uint64_t bytes, bool is_write)
{
    ThrottleWaiter w = {
        .blk = blk, .co = qemu_coroutine_self(), .bytes = bytes, .is_write = is_write,
    };
    ThrottleState *group = lock_group(&blk->throttle);
    bool wait;

    if (!group) {
        return 0;
    }
    wait = must_wait(group, &w);
    pthread_mutex_unlock(&group->lock);
    if (wait) {
        qemu_coroutine_yield();
        timer_free(w.timer);
    }
    return w.cancelled ? -ECANCELED : 0;
}

/* (group locked) */
static ThrottleWaiter *find_waiter(BlockBackend *blk, const Coroutine *co)
{
    for (int is_write = 0; is_write < 2; is_write++) {
        ThrottleWaiter *w;

        TAILQ_FOREACH(w, &blk->throttle.waiting[is_write], link) {
            if (w->co == co) {
                return w;
            }
        }
    }
    return NULL;
}

bool blk_throttle_cancel(BlockBackend *blk, const Coroutine *co)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleState *group = lock_group(&blk->throttle);
    ThrottleWaiter *w;

    if (!group) {
        return false;
    }
    w = find_waiter(blk, co);
    if (w) {
        w->cancelled = true;
        leave_queue(group, w, &released);
        schedule(group, w->is_write, &released);
    }
    unlock_group(group, &released);
    return w != NULL;
}

/* ---- draining ---- */

/* (group locked) Everybody of this member goes; then it is the others' turn. */
static void let_all_go(ThrottleState *group, ThrottleMember *member, ThrottleWaiterList *released)
{
    for (int is_write = 0; is_write < 2; is_write++) {
        ThrottleWaiter *w;

        while ((w = TAILQ_FIRST(&member->waiting[is_write]))) {
            let_go(group, w, released);
        }
        schedule(group, is_write, released);
    }
}

void blk_throttle_drain_begin(BlockBackend *blk)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleState *group;

    atomic_fetch_add(&blk->throttle.off, 1);
    group = lock_group(&blk->throttle);
    if (group) {
        let_all_go(group, &blk->throttle, &released);
        unlock_group(group, &released);
    }
}

void blk_throttle_drain_end(BlockBackend *blk)
{
    atomic_fetch_sub(&blk->throttle.off, 1);
}

/* ---- membership (main thread) ---- */

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

/* Takes over the caller's reference. */
static void join(BlockBackend *blk, ThrottleState *group)
{
    ThrottleMember *member = &blk->throttle;

    pthread_mutex_lock(&member->lock);
    pthread_mutex_lock(&group->lock);
    TAILQ_INSERT_TAIL(&group->members, member, link);
    atomic_store(&member->group, group);
    pthread_mutex_unlock(&group->lock);
    pthread_mutex_unlock(&member->lock);
}

static void leave(BlockBackend *blk)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleMember *member = &blk->throttle;
    ThrottleState *group = group_of(blk);

    pthread_mutex_lock(&member->lock);
    pthread_mutex_lock(&group->lock);
    let_all_go(group, member, &released);
    for (int is_write = 0; is_write < 2; is_write++) {
        if (group->token[is_write] == member) {
            group->token[is_write] = TAILQ_PREV(member, ThrottleMemberList, link);
        }
    }
    TAILQ_REMOVE(&group->members, member, link);
    atomic_store(&member->group, NULL);
    pthread_mutex_unlock(&member->lock);
    unlock_group(group, &released);
    group_unref(group);
}

/* A backend without a medium remembers the limits that it will have with the next one. */
static void membership_changed(BlockBackend *blk)
{
    if (!blk_root(blk)) {
        blk_throttle_remember(blk);
    }
}

void blk_io_limits_enable(BlockBackend *blk, const char *group)
{
    BLK_PRECONDITION(!group_of(blk), "the backend is in a throttle group already");
    join(blk, group_get(group ? group : blk_name(blk)));
    membership_changed(blk);
}

void blk_io_limits_disable(BlockBackend *blk)
{
    group_of_member(blk, __func__);
    leave(blk);
    membership_changed(blk);
}

void blk_io_limits_update_group(BlockBackend *blk, const char *group)
{
    const char *name = group ? group : blk_name(blk);

    if (!group_of(blk) || strcmp(group_of(blk)->name, name) == 0) {
        return;
    }
    leave(blk);
    join(blk, group_get(name));
    membership_changed(blk);
}

/* ---- limits (main thread) ---- */

void blk_set_io_limits(BlockBackend *blk, ThrottleConfig *cfg)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleState *group = group_of_member(blk, __func__);

    BLK_PRECONDITION(throttle_is_valid(cfg, NULL), "the limits contradict each other");
    pthread_mutex_lock(&group->lock);
    throttle_start(&group->buckets, cfg, now_ns());
    for (int is_write = 0; is_write < 2; is_write++) {
        ThrottleWaiter *first = TAILQ_FIRST(&blk->throttle.waiting[is_write]);

        if (group->armed[is_write]) {
            timer_del(group->armed[is_write]->timer);
            group->armed[is_write] = NULL;
        }
        if (first) {
            take_turn(group, first, &released);
        }
    }
    for (int is_write = 0; is_write < 2; is_write++) {
        schedule(group, is_write, &released);
    }
    unlock_group(group, &released);
}

void throttle_group_get_config(BlockBackend *blk, ThrottleConfig *cfg)
{
    ThrottleState *group = group_of_member(blk, __func__);
    ThrottleBuckets empty;

    pthread_mutex_lock(&group->lock);
    throttle_start(&empty, &group->buckets.cfg, 0);
    pthread_mutex_unlock(&group->lock);
    *cfg = empty.cfg;
}

const char *throttle_group_get_name(BlockBackend *blk)
{
    return group_of_member(blk, __func__)->name;
}

/* ---- the root state (main thread) ---- */

static void set_remembered(BlockBackendRootState *state, ThrottleState *group)
{
    ThrottleState *old = state->throttle_state;

    free(state->throttle_group);
    state->throttle_group = group ? copy_string(group->name) : NULL;
    state->throttle_state = group ? group_ref(group) : NULL;
    group_unref(old);
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
    if (group_of(blk)) {
        leave(blk);
    }
    join(blk, group_ref(group));
}

/* ---- life ---- */

void blk_throttle_init(BlockBackend *blk)
{
    pthread_mutex_init(&blk->throttle.lock, NULL);
    TAILQ_INIT(&blk->throttle.waiting[0]);
    TAILQ_INIT(&blk->throttle.waiting[1]);
}

void blk_throttle_cleanup(BlockBackend *blk)
{
    if (group_of(blk)) {
        leave(blk);
    }
    set_remembered(&blk->root_state, NULL);
    pthread_mutex_destroy(&blk->throttle.lock);
}
