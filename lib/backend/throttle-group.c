/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Throttle groups (§3.1.3): members that share limits, and whose turn it is.
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
 * A request in parts stays at the head of its queue until its last part has
 * had its turn.
 *
 * Requests of one member wait in many threads.  The armed timer belongs to the
 * waiting request and lives in its AioContext, which is surely being polled;
 * the request frees it there after it has been woken, so a timer that has just
 * fired never meets freed memory.
 *
 * Locks: the registry's guards the list of groups and their references, the
 * member's which group it is in, the group's all the rest.  None is held while
 * a coroutine runs: who lets requests go collects them and wakes them at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"

/* Who has had a request so recently will have another one. */
#define SHARED_NS (100 * (int64_t)SCALE_MS)

struct ThrottleState {
    char *name;                         /* never changes; "" is nobody else's */
    /* Under registry_lock. */
    unsigned refs;
    LIST_ENTRY(ThrottleState) registry_link;

    pthread_mutex_t lock;
    /* Under the lock; [is_write] where there are two. */
    ThrottleBuckets buckets;
    TAILQ_HEAD(ThrottleMemberList, ThrottleGroupMember) members;
    ThrottleGroupMember *token[2];      /* who had the last turn; NULL: the next is the first's */
    ThrottleWaiter *armed[2];           /* whose timer runs */
};

/* A waiting request, on its coroutine's stack. */
struct ThrottleWaiter {
    ThrottleGroupMember *member;
    Coroutine *co;
    ThrottleLoad load;
    bool in_parts;
    bool cancelled;
    QEMUTimer *timer;                   /* NULL until its turn is near */
    int64_t due;                        /* when that goes off */
    TAILQ_ENTRY(ThrottleWaiter) link;   /* of the member's queue, then of those let go */
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, ThrottleState) groups = LIST_HEAD_INITIALIZER(groups);

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/* ---- groups and references ---- */

/* (registry locked) No reference yet. */
static ThrottleState *group_new(const char *name)
{
    ThrottleState *group = calloc(1, sizeof(*group));
    ThrottleConfig unlimited;

    if (!group || !(group->name = strdup(name))) {
        abort();
    }
    pthread_mutex_init(&group->lock, NULL);
    TAILQ_INIT(&group->members);
    throttle_config_init(&unlimited);
    throttle_start(&group->buckets, &unlimited, now_ns());
    LIST_INSERT_HEAD(&groups, group, registry_link);
    return group;
}

ThrottleState *throttle_group_incref(const char *name)
{
    ThrottleState *group = NULL;

    pthread_mutex_lock(&registry_lock);
    if (name && *name) {
        LIST_FOREACH(group, &groups, registry_link) {
            if (strcmp(group->name, name) == 0) {
                break;
            }
        }
    }
    if (!group) {
        group = group_new(name ? name : "");
    }
    group->refs++;
    pthread_mutex_unlock(&registry_lock);
    return group;
}

ThrottleState *throttle_group_ref(ThrottleState *group)
{
    pthread_mutex_lock(&registry_lock);
    group->refs++;
    pthread_mutex_unlock(&registry_lock);
    return group;
}

void throttle_group_unref(ThrottleState *group)
{
    bool last = false;

    if (group) {
        pthread_mutex_lock(&registry_lock);
        last = --group->refs == 0;
        if (last) {
            LIST_REMOVE(group, registry_link);
        }
        pthread_mutex_unlock(&registry_lock);
    }
    if (last) {
        pthread_mutex_destroy(&group->lock);
        free(group->name);
        free(group);
    }
}

const char *throttle_state_get_name(const ThrottleState *group)
{
    return group->name;
}

/* ---- locking ---- */

/* The group of a member, locked; NULL if it is in none. */
static ThrottleState *lock_group(ThrottleGroupMember *tgm)
{
    ThrottleState *group;

    pthread_mutex_lock(&tgm->lock);
    group = atomic_load(&tgm->group);
    if (group) {
        pthread_mutex_lock(&group->lock);
    }
    pthread_mutex_unlock(&tgm->lock);
    return group;
}

/* Whom we let go: with no lock held. */
static void wake(ThrottleWaiterList *released)
{
    ThrottleWaiter *w, *next;

    for (w = TAILQ_FIRST(released); w; w = next) {
        next = TAILQ_NEXT(w, link);
        aio_co_wake(w->co);     /* and w may be gone */
    }
}

static void unlock_group(ThrottleState *group, ThrottleWaiterList *released)
{
    pthread_mutex_unlock(&group->lock);
    wake(released);
}

/* ---- turns (group locked) ---- */

/* Who has somebody waiting: the members after the last one served, and that one last of all. */
static ThrottleGroupMember *next_in_turn(ThrottleState *group, bool is_write)
{
    ThrottleGroupMember *start = group->token[is_write], *member = start;

    do {
        member = member ? TAILQ_NEXT(member, link) : TAILQ_FIRST(&group->members);
        if (member && !TAILQ_EMPTY(&member->waiting[is_write])) {
            return member;
        }
    } while (member != start);
    return NULL;
}

/* Other members' requests come, too: some wait, or one was there a moment ago. */
static bool is_shared(ThrottleState *group, const ThrottleWaiter *w, int64_t now)
{
    bool is_write = w->load.is_write;
    ThrottleGroupMember *member;

    TAILQ_FOREACH(member, &group->members, link) {
        if (member != w->member && (!TAILQ_EMPTY(&member->waiting[is_write]) ||
                                    now - member->arrived[is_write] < SHARED_NS)) {
            return true;
        }
    }
    return false;
}

/* What may go of the request at once, goes.  True: and that was all that was left of it. */
static bool pour(ThrottleState *group, ThrottleWaiter *w)
{
    int64_t now = now_ns();
    uint64_t part = w->in_parts ? throttle_part(&group->buckets, &w->load,
                                                is_shared(group, w, now), now) : w->load.left;

    throttle_account(&group->buckets, &w->load, part, now);
    return w->load.left == 0;
}

static void disarm(ThrottleState *group, bool is_write)
{
    if (group->armed[is_write]) {
        timer_del(group->armed[is_write]->timer);
        group->armed[is_write] = NULL;
    }
}

static void leave_queue(ThrottleState *group, ThrottleWaiter *w, ThrottleWaiterList *released)
{
    bool is_write = w->load.is_write;

    TAILQ_REMOVE(&w->member->waiting[is_write], w, link);
    TAILQ_INSERT_TAIL(released, w, link);
    if (group->armed[is_write] == w) {
        group->armed[is_write] = NULL;
    }
}

static void take_turn(ThrottleState *group, ThrottleWaiter *w, ThrottleWaiterList *released)
{
    bool is_write = w->load.is_write;

    group->token[is_write] = w->member;
    if (pour(group, w)) {
        leave_queue(group, w, released);
    } else if (group->armed[is_write] == w) {
        group->armed[is_write] = NULL;      /* its timer has gone off */
    }
}

static void timer_cb(void *opaque);

static void arm(ThrottleState *group, ThrottleWaiter *w, int64_t due)
{
    if (!w->timer) {
        w->timer = aio_timer_new(qemu_coroutine_get_aio_context(w->co), QEMU_CLOCK_VIRTUAL,
                                 SCALE_NS, timer_cb, w);
    }
    w->due = due;
    group->armed[w->load.is_write] = w;
    timer_mod_ns(w->timer, due);
}

/* Leaves the direction in one of its two states. */
static void schedule(ThrottleState *group, bool is_write, ThrottleWaiterList *released)
{
    ThrottleGroupMember *member;

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
    bool is_write = w->load.is_write;
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleState *group = lock_group(w->member);

    if (!group) {
        return;             /* let go meanwhile, and its member has left the group */
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

/* Everybody of this member goes; then it is the others' turn. */
static void let_all_go(ThrottleState *group, ThrottleGroupMember *tgm,
                       ThrottleWaiterList *released)
{
    for (int is_write = 0; is_write < 2; is_write++) {
        ThrottleWaiter *w;

        while ((w = TAILQ_FIRST(&tgm->waiting[is_write]))) {
            throttle_account(&group->buckets, &w->load, w->load.left, now_ns());
            leave_queue(group, w, released);
        }
        schedule(group, is_write, released);
    }
}

/* ---- requests ---- */

/* (group locked) Counts w, if it may go; or else puts it into its queue. */
static bool must_wait(ThrottleState *group, ThrottleWaiter *w)
{
    bool is_write = w->load.is_write;
    int64_t now = now_ns(), wait = 0;

    w->member->arrived[is_write] = now;
    if (atomic_load(&w->member->off) > 0) {
        throttle_account(&group->buckets, &w->load, w->load.left, now);
        return false;
    }
    if (!group->armed[is_write]) {      /* else it learns when its turn comes */
        while ((wait = throttle_wait_ns(&group->buckets, is_write, now)) == 0) {
            if (pour(group, w)) {
                return false;
            }
        }
        arm(group, w, now + wait);
    }
    TAILQ_INSERT_TAIL(&w->member->waiting[is_write], w, link);
    return true;
}

static int coroutine_fn take_turns(ThrottleWaiter *w, int64_t *waited_ns)
{
    ThrottleState *group = lock_group(w->member);
    int64_t start;

    if (!group) {
        return 0;
    }
    if (!must_wait(group, w)) {
        pthread_mutex_unlock(&group->lock);
        return 0;
    }
    start = now_ns();
    pthread_mutex_unlock(&group->lock);
    qemu_coroutine_yield();
    timer_free(w->timer);
    *waited_ns = now_ns() - start;
    return w->cancelled ? -ECANCELED : 0;
}

int coroutine_fn throttle_group_co_io_limits_intercept(ThrottleGroupMember *tgm, uint64_t bytes,
                                                       bool is_write)
{
    int64_t waited_ns;

    return take_turns(&(ThrottleWaiter){
        .member = tgm, .co = qemu_coroutine_self(),
        .load = { .is_write = is_write, .bytes = bytes, .left = bytes },
    }, &waited_ns);
}

int coroutine_fn throttle_group_co_io_limits_intercept_parts(ThrottleGroupMember *tgm,
                                                             uint64_t bytes, bool is_write,
                                                             int64_t *waited_ns)
{
    *waited_ns = 0;
    return take_turns(&(ThrottleWaiter){
        .member = tgm, .co = qemu_coroutine_self(), .in_parts = true,
        .load = { .is_write = is_write, .bytes = bytes, .left = bytes },
    }, waited_ns);
}

/* (group locked) */
static ThrottleWaiter *find_waiter(ThrottleGroupMember *tgm, const Coroutine *co)
{
    for (int is_write = 0; is_write < 2; is_write++) {
        ThrottleWaiter *w;

        TAILQ_FOREACH(w, &tgm->waiting[is_write], link) {
            if (w->co == co) {
                return w;
            }
        }
    }
    return NULL;
}

bool throttle_group_cancel_tgm(ThrottleGroupMember *tgm, const Coroutine *co)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleState *group = lock_group(tgm);
    ThrottleWaiter *w;

    if (!group) {
        return false;
    }
    w = find_waiter(tgm, co);
    if (w) {
        w->cancelled = true;
        leave_queue(group, w, &released);
        schedule(group, w->load.is_write, &released);
    }
    unlock_group(group, &released);
    return w != NULL;
}

void throttle_group_restart_tgm(ThrottleGroupMember *tgm)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);
    ThrottleState *group = lock_group(tgm);

    if (group) {
        let_all_go(group, tgm, &released);
        unlock_group(group, &released);
    }
}

/* ---- membership ---- */

/* (member locked) Its queues stay as they are; whom the others let go is not woken yet. */
static void join(ThrottleGroupMember *tgm, ThrottleState *group, ThrottleWaiterList *released)
{
    throttle_group_ref(group);
    pthread_mutex_lock(&group->lock);
    TAILQ_INSERT_TAIL(&group->members, tgm, link);
    atomic_store(&tgm->group, group);
    schedule(group, false, released);
    schedule(group, true, released);
    pthread_mutex_unlock(&group->lock);
}

/* (member locked, and in a group) The same. */
static void leave(ThrottleGroupMember *tgm, bool let_go, ThrottleWaiterList *released)
{
    ThrottleState *group = atomic_load(&tgm->group);

    pthread_mutex_lock(&group->lock);
    if (let_go) {
        let_all_go(group, tgm, released);
    }
    for (int is_write = 0; is_write < 2; is_write++) {
        if (group->token[is_write] == tgm) {
            group->token[is_write] = TAILQ_PREV(tgm, ThrottleMemberList, link);
        }
        if (group->armed[is_write] && group->armed[is_write]->member == tgm) {
            disarm(group, is_write);
        }
    }
    TAILQ_REMOVE(&group->members, tgm, link);
    atomic_store(&tgm->group, NULL);
    for (int is_write = 0; is_write < 2; is_write++) {
        schedule(group, is_write, released);
    }
    pthread_mutex_unlock(&group->lock);
    throttle_group_unref(group);
}

void throttle_group_register_tgm(ThrottleGroupMember *tgm, ThrottleState *group)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);

    pthread_mutex_lock(&tgm->lock);
    if (atomic_load(&tgm->group) != group) {
        if (atomic_load(&tgm->group)) {
            leave(tgm, false, &released);
        }
        join(tgm, group, &released);
    }
    pthread_mutex_unlock(&tgm->lock);
    wake(&released);
}

void throttle_group_unregister_tgm(ThrottleGroupMember *tgm)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);

    pthread_mutex_lock(&tgm->lock);
    if (atomic_load(&tgm->group)) {
        leave(tgm, true, &released);
    }
    pthread_mutex_unlock(&tgm->lock);
    wake(&released);
}

/* ---- limits ---- */

void throttle_group_config_for(ThrottleState *group, ThrottleGroupMember *first,
                               const ThrottleConfig *cfg)
{
    ThrottleWaiterList released = TAILQ_HEAD_INITIALIZER(released);

    pthread_mutex_lock(&group->lock);
    throttle_start(&group->buckets, cfg, now_ns());
    for (int is_write = 0; is_write < 2; is_write++) {
        disarm(group, is_write);
        if (first && !TAILQ_EMPTY(&first->waiting[is_write])) {
            take_turn(group, TAILQ_FIRST(&first->waiting[is_write]), &released);
        }
    }
    for (int is_write = 0; is_write < 2; is_write++) {
        schedule(group, is_write, &released);
    }
    unlock_group(group, &released);
}

void throttle_group_config(ThrottleState *group, ThrottleConfig *cfg)
{
    BLK_PRECONDITION(throttle_is_valid(cfg, NULL), "the limits contradict each other");
    throttle_group_config_for(group, NULL, cfg);
}

void throttle_state_get_config(ThrottleState *group, ThrottleConfig *cfg)
{
    ThrottleBuckets empty;

    pthread_mutex_lock(&group->lock);
    throttle_start(&empty, &group->buckets.cfg, 0);
    pthread_mutex_unlock(&group->lock);
    *cfg = empty.cfg;
}

/* ---- life ---- */

void throttle_group_init_tgm(ThrottleGroupMember *tgm)
{
    *tgm = (ThrottleGroupMember){ .arrived = { -SHARED_NS, -SHARED_NS } };
    pthread_mutex_init(&tgm->lock, NULL);
    TAILQ_INIT(&tgm->waiting[0]);
    TAILQ_INIT(&tgm->waiting[1]);
}

void throttle_group_destroy_tgm(ThrottleGroupMember *tgm)
{
    pthread_mutex_destroy(&tgm->lock);
}

ThrottleGroupMember *throttle_group_member_new(void)
{
    ThrottleGroupMember *tgm = malloc(sizeof(*tgm));

    if (!tgm) {
        abort();
    }
    throttle_group_init_tgm(tgm);
    return tgm;
}

void throttle_group_member_free(ThrottleGroupMember *tgm)
{
    if (tgm) {
        throttle_group_unregister_tgm(tgm);
        throttle_group_destroy_tgm(tgm);
        free(tgm);
    }
}
