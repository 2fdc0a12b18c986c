/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Coroutines: entering, yielding, ending, waking, going on in another thread. */
#include <semaphore.h>
#include <string.h>

#include "unit.h"

/* What happened, in order. */
static char story[64];

static void tell(char what)
{
    size_t len = strlen(story);

    assert_true(len + 1 < sizeof(story));
    story[len] = what;
    story[len + 1] = '\0';
}

static void assert_story(const char *expected)
{
    assert_string_equal(story, expected);
    story[0] = '\0';
}

/* ---- one thread ---- */

static void tell_yield_tell(void *opaque)
{
    const char *what = opaque;

    tell(what[0]);
    qemu_coroutine_yield();
    tell(what[1]);
}

static void runs_until_it_yields_and_goes_on(void **state)
{
    Coroutine *co = qemu_coroutine_create(tell_yield_tell);

    (void)state;
    assert_story("");
    qemu_coroutine_enter(co, (char[]){ 'a', 'b' });
    assert_story("a");
    qemu_coroutine_enter(co, NULL);
    assert_story("b");
}

static void remember_self(void *opaque)
{
    *(Coroutine **)opaque = qemu_coroutine_self();
    assert_true(qemu_in_coroutine());
    qemu_coroutine_yield();
    assert_ptr_equal(*(Coroutine **)opaque, qemu_coroutine_self());
}

static void self_is_who_runs(void **state)
{
    Coroutine *seen = NULL, *co = qemu_coroutine_create(remember_self);

    (void)state;
    assert_null(qemu_coroutine_self());
    assert_false(qemu_in_coroutine());
    qemu_coroutine_enter(co, &seen);
    assert_ptr_equal(seen, co);
    assert_null(qemu_coroutine_self());
    qemu_coroutine_enter(co, NULL);
    assert_null(qemu_coroutine_self());
}

/* Depth n enters depth n - 1, which yields back into it. */
static void enter_nested(void *opaque)
{
    int depth = *(int *)opaque;
    Coroutine *self = qemu_coroutine_self(), *inner;

    if (depth > 0) {
        depth--;
        inner = qemu_coroutine_create(enter_nested);
        qemu_coroutine_enter(inner, &depth);
        assert_ptr_equal(qemu_coroutine_self(), self);
        tell('0' + depth);
        qemu_coroutine_enter(inner, NULL);
        assert_ptr_equal(qemu_coroutine_self(), self);
    }
    qemu_coroutine_yield();
}

static void yields_to_who_entered_it(void **state)
{
    int depth = 5;
    Coroutine *co = qemu_coroutine_create(enter_nested);

    (void)state;
    qemu_coroutine_enter(co, &depth);
    assert_story("01234");
    qemu_coroutine_enter(co, NULL);
    assert_story("");
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void stacks_are_used_again(void **state)
{
    int n = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        qemu_coroutine_enter(qemu_coroutine_create(count), &n);
    }
    assert_int_equal(n, 100000);
}

/* Uses `depth` KiB of stack and more. */
static __attribute__((noinline)) unsigned recurse(unsigned depth)
{
    volatile unsigned char block[1024];

    memset((void *)block, (int)(depth & 0x7f), sizeof(block));
    return depth == 0 ? 0 : recurse(depth - 1) + block[depth % sizeof(block)];
}

static void recurse_deeply(void *opaque)
{
    *(unsigned *)opaque = recurse(128);
}

static void stack_is_large_enough_for_drivers(void **state)
{
    unsigned in_coroutine;

    (void)state;
    qemu_coroutine_enter(qemu_coroutine_create(recurse_deeply), &in_coroutine);
    assert_int_equal(in_coroutine, recurse(128));
}

typedef struct Sum {
    int seed;
    long integers;
    double fractions;
} Sum;

#define ROUNDS 50

/* Keeps many values alive over the switch, so some are in every preserved register. */
static void sum_up(void *opaque)
{
    Sum *sum = opaque;
    long a = sum->seed, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6;
    double x = a / 3.0, y = b / 3.0;

    for (int i = 0; i < ROUNDS; i++) {
        a += b;
        c += d;
        e += f;
        g += a + c + e;
        x += y;
        qemu_coroutine_yield();
        y += x / 2;
    }
    sum->integers = a + b + c + d + e + f + g;
    sum->fractions = x + y;
}

/* Far more than a pool keeps, all alive at once. */
static void many_keep_their_variables_apart(void **state)
{
    enum { MANY = 1500 };
    Coroutine **co = calloc(MANY, sizeof(*co));
    Sum *sums = calloc(MANY, sizeof(*sums));
    Sum alone = { .seed = 7 };
    Coroutine *single = qemu_coroutine_create(sum_up);

    (void)state;
    for (int r = 0; r <= ROUNDS; r++) {
        qemu_coroutine_enter(single, &alone);
    }
    for (int i = 0; i < MANY; i++) {
        sums[i].seed = i;
        co[i] = qemu_coroutine_create(sum_up);
    }
    for (int r = 0; r <= ROUNDS; r++) {
        for (int i = 0; i < MANY; i++) {
            qemu_coroutine_enter(co[i], &sums[i]);
        }
    }
    assert_int_equal(sums[7].integers, alone.integers);
    assert_true(sums[7].fractions == alone.fractions);
    assert_int_equal(sums[8].integers - sums[7].integers, sums[1].integers - sums[0].integers);
    free(sums);
    free(co);
}

/* ---- waking ---- */

typedef struct Waker {
    Coroutine *wakes[2];
    bool yields;
} Waker;

static void wake_others(void *opaque)
{
    Waker *waker = opaque;

    tell('w');
    for (int i = 0; i < 2 && waker->wakes[i]; i++) {
        aio_co_wake(waker->wakes[i]);
    }
    tell('x');
    if (waker->yields) {
        qemu_coroutine_yield();
        tell('y');
    }
}

static void who_is_woken_runs_after_the_waker(bool yields)
{
    Coroutine *a = qemu_coroutine_create(tell_yield_tell);
    Coroutine *b = qemu_coroutine_create(tell_yield_tell);
    Coroutine *w = qemu_coroutine_create(wake_others);
    Waker waker = { .wakes = { a, b }, .yields = yields };

    qemu_coroutine_enter(a, (char[]){ 'a', 'A' });
    qemu_coroutine_enter(b, (char[]){ 'b', 'B' });
    qemu_coroutine_enter(w, &waker);
    assert_story("abwxAB");
    if (yields) {
        qemu_coroutine_enter(w, NULL);
        assert_story("y");
    }
}

static void woken_run_when_the_waker_yields(void **state)
{
    (void)state;
    who_is_woken_runs_after_the_waker(true);
}

static void woken_run_when_the_waker_ends(void **state)
{
    (void)state;
    who_is_woken_runs_after_the_waker(false);
}

static void yield_then_wake_others(void *opaque)
{
    qemu_coroutine_yield();
    wake_others(opaque);
}

/* w wakes v and a; v wakes b: in order of waking that is v, a, b. */
static void woken_run_in_order_of_waking(void **state)
{
    Coroutine *a = qemu_coroutine_create(tell_yield_tell);
    Coroutine *b = qemu_coroutine_create(tell_yield_tell);
    Coroutine *v = qemu_coroutine_create(yield_then_wake_others);
    Waker inner = { .wakes = { b } }, outer = { .wakes = { v, a } };

    (void)state;
    qemu_coroutine_enter(a, (char[]){ 'a', 'A' });
    qemu_coroutine_enter(b, (char[]){ 'b', 'B' });
    qemu_coroutine_enter(v, &inner);
    qemu_coroutine_enter(qemu_coroutine_create(wake_others), &outer);
    assert_story("abwxwxAB");
}

static void wake_outside_of_a_coroutine_enters_at_once(void **state)
{
    Coroutine *co = qemu_coroutine_create(tell_yield_tell);

    (void)state;
    qemu_coroutine_enter(co, (char[]){ 'a', 'b' });
    aio_co_wake(co);
    assert_story("ab");
}

/* ---- threads ---- */

/* The compiler may remember pthread_self() within a function: it cannot know of switches. */
static __attribute__((noinline)) pthread_t thread_now(void)
{
    __asm__ volatile("" ::: "memory");
    return pthread_self();
}

typedef struct Journey {
    LoopThread *loops;
    sem_t arrived;
} Journey;

static void travel(void *opaque)
{
    Journey *journey = opaque;

    for (int i = 0; i < 2; i++) {
        assert_true(pthread_equal(thread_now(), journey->loops[i].thread));
        assert_ptr_equal(qemu_get_current_aio_context(), journey->loops[i].ctx);
        assert_ptr_equal(qemu_coroutine_get_aio_context(qemu_coroutine_self()),
                         journey->loops[i].ctx);
        if (i == 0) {
            qemu_coroutine_yield();
        }
    }
    sem_post(&journey->arrived);
}

/* A bottom half that runs once the coroutine, entered in the same thread, has yielded. */
static void travel_start(void *opaque)
{
    Journey *journey = opaque;
    Coroutine *co = qemu_coroutine_create(travel);

    qemu_coroutine_enter(co, journey);
    aio_co_schedule(journey->loops[1].ctx, co);
}

/* Made in one thread, ended in another; there are more of them than a pool keeps. */
static void goes_on_in_another_thread(void **state)
{
    enum { TRIPS = 600 };
    LoopThread loops[2];
    Journey journey = { .loops = loops };

    (void)state;
    sem_init(&journey.arrived, 0, 0);
    for (int i = 0; i < 2; i++) {
        loop_thread_start(&loops[i]);
    }
    for (int i = 0; i < TRIPS; i++) {
        aio_bh_schedule_oneshot(loops[0].ctx, travel_start, &journey);
    }
    for (int i = 0; i < TRIPS; i++) {
        sem_wait(&journey.arrived);
    }
    for (int i = 0; i < 2; i++) {
        loop_thread_stop(&loops[i]);
    }
    sem_destroy(&journey.arrived);
}

static void yield_once(void *opaque)
{
    (void)opaque;
    qemu_coroutine_yield();
}

typedef struct WakeRace {
    Coroutine *co;
    LoopThread *other;
    int rounds;
    sem_t done;
} WakeRace;

static void wake_from_other_thread(void *opaque)
{
    WakeRace *race = opaque;

    aio_co_wake(race->co);
}

/* The wake-up may come before the yield that it is meant for. */
static void be_woken_often(void *opaque)
{
    WakeRace *race = opaque;

    race->co = qemu_coroutine_self();
    for (int i = 0; i < race->rounds; i++) {
        aio_bh_schedule_oneshot(race->other->ctx, wake_from_other_thread, race);
        qemu_coroutine_yield();
    }
    sem_post(&race->done);
}

static void wake_may_overtake_the_yield(void **state)
{
    LoopThread loops[2];
    WakeRace race = { .other = &loops[1], .rounds = 5000 };

    (void)state;
    sem_init(&race.done, 0, 0);
    for (int i = 0; i < 2; i++) {
        loop_thread_start(&loops[i]);
    }
    aio_co_start(loops[0].ctx, qemu_coroutine_create(be_woken_often), &race);
    sem_wait(&race.done);
    for (int i = 0; i < 2; i++) {
        loop_thread_stop(&loops[i]);
    }
    sem_destroy(&race.done);
}

/* ---- what must not be done ---- */

static void enter_self(void *opaque)
{
    (void)opaque;
    qemu_coroutine_enter(qemu_coroutine_self(), NULL);
}

static void do_enter_running(void)
{
    qemu_coroutine_enter(qemu_coroutine_create(enter_self), NULL);
}

static void wake_twice(void *opaque)
{
    aio_co_wake(opaque);
    aio_co_wake(opaque);
}

static void do_wake_twice(void)
{
    Coroutine *co = qemu_coroutine_create(yield_once);

    qemu_coroutine_enter(co, NULL);
    qemu_coroutine_enter(qemu_coroutine_create(wake_twice), co);
}

static void recurse_too_deeply(void *opaque)
{
    *(unsigned *)opaque = recurse(1u << 20);
}

static void do_overflow(void)
{
    unsigned result;

    qemu_coroutine_enter(qemu_coroutine_create(recurse_too_deeply), &result);
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_dies(do_enter_running);
    assert_dies(qemu_coroutine_yield);
    assert_dies(do_wake_twice);
}

static void stack_overflow_meets_the_guard_page(void **state)
{
    (void)state;
    assert_dies(do_overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_aborts),
        cmocka_unit_test(stack_overflow_meets_the_guard_page),
        cmocka_unit_test(runs_until_it_yields_and_goes_on),
        cmocka_unit_test(self_is_who_runs),
        cmocka_unit_test(yields_to_who_entered_it),
        cmocka_unit_test(stacks_are_used_again),
        cmocka_unit_test(stack_is_large_enough_for_drivers),
        cmocka_unit_test(many_keep_their_variables_apart),
        cmocka_unit_test(woken_run_when_the_waker_yields),
        cmocka_unit_test(woken_run_when_the_waker_ends),
        cmocka_unit_test(woken_run_in_order_of_waking),
        cmocka_unit_test(wake_outside_of_a_coroutine_enters_at_once),
        cmocka_unit_test(goes_on_in_another_thread),
        cmocka_unit_test(wake_may_overtake_the_yield),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
