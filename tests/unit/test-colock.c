/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CoMutex, CoQueue and CoRwlock: in one thread for their order, in many for exclusion. */
#include <semaphore.h>
#include <string.h>

#include "unit.h"

#define THREADS 4
#ifdef UNDER_TSAN
#define COROUTINES 200             /* of all threads; it is slow and knows only some thousand */
#define ROUNDS 20
#else
#define COROUTINES 2000
#define ROUNDS 50
#endif

/* ---- many threads with many coroutines each ---- */

typedef struct Crowd {
    LoopThread loops[THREADS];
    CoroutineEntry *member;
    atomic_int running;
    sem_t all_done;
} Crowd;

static Crowd crowd;

static void run_member(void *opaque)
{
    crowd.member(opaque);
    if (atomic_fetch_sub(&crowd.running, 1) == 1) {
        sem_post(&crowd.all_done);
    }
}

/* Runs member(opaque) in n coroutines, spread over the threads, to their end. */
static void crowd_run(CoroutineEntry *member, void *opaque, int n)
{
    crowd.member = member;
    atomic_store(&crowd.running, n);
    sem_init(&crowd.all_done, 0, 0);
    for (int i = 0; i < THREADS; i++) {
        loop_thread_start(&crowd.loops[i]);
    }
    for (int i = 0; i < n; i++) {
        aio_co_start(crowd.loops[i % THREADS].ctx, qemu_coroutine_create(run_member), opaque);
    }
    sem_wait(&crowd.all_done);
    for (int i = 0; i < THREADS; i++) {
        loop_thread_stop(&crowd.loops[i]);
    }
    sem_destroy(&crowd.all_done);
}

/* Lets the thread's other coroutines run. */
static void coroutine_fn go_round_the_loop(void)
{
    aio_co_schedule(qemu_get_current_aio_context(), qemu_coroutine_self());
    qemu_coroutine_yield();
}

/* ---- one thread: what happened, in order ---- */

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

/* ---- CoMutex ---- */

static CoMutex mutex;              /* zeroed is as good as initialised */

typedef struct Named {
    char name;
    CoRwlock *lock;
    CoQueue *queue;
} Named;

static void hold_mutex(void *opaque)
{
    Named *me = opaque;

    qemu_co_mutex_lock(&mutex);
    tell(me->name);
    qemu_coroutine_yield();
    qemu_co_mutex_unlock(&mutex);
}

static void mutex_is_handed_over_in_order_of_arrival(void **state)
{
    Named names[] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' } };
    Coroutine *co[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        co[i] = qemu_coroutine_create(hold_mutex);
        qemu_coroutine_enter(co[i], &names[i]);
    }
    assert_story("a");
    qemu_coroutine_enter(co[0], NULL);
    assert_story("b");
    qemu_coroutine_enter(co[1], NULL);
    assert_story("c");
    qemu_coroutine_enter(co[2], NULL);
    assert_story("");
    assert_false(mutex.locked);
}

static void hold_mutex_twice(void *opaque)
{
    hold_mutex(opaque);
    hold_mutex(opaque);
}

static void mutex_is_not_taken_back_from_a_waiter(void **state)
{
    Named names[] = { { .name = 'a' }, { .name = 'b' } };
    Coroutine *a = qemu_coroutine_create(hold_mutex_twice);
    Coroutine *b = qemu_coroutine_create(hold_mutex);

    (void)state;
    qemu_coroutine_enter(a, &names[0]);
    qemu_coroutine_enter(b, &names[1]);
    qemu_coroutine_enter(a, NULL);
    assert_story("ab");
    qemu_coroutine_enter(b, NULL);
    assert_story("a");
    qemu_coroutine_enter(a, NULL);
    assert_false(mutex.locked);
}

static long counter;               /* under the mutex */
static int inside;

static void count_under_mutex(void *opaque)
{
    (void)opaque;
    for (int i = 0; i < ROUNDS; i++) {
        qemu_co_mutex_lock(&mutex);
        assert_int_equal(inside++, 0);
        counter++;
        if (i % 8 == 0) {
            go_round_the_loop();
        }
        assert_int_equal(inside--, 1);
        qemu_co_mutex_unlock(&mutex);
        if (i % 4 == 0) {
            go_round_the_loop();
        }
    }
}

static void mutex_excludes_across_threads(void **state)
{
    (void)state;
    qemu_co_mutex_init(&mutex);
    counter = 0;
    crowd_run(count_under_mutex, NULL, COROUTINES);
    assert_int_equal(counter, (long)COROUTINES * ROUNDS);
    assert_false(mutex.locked);
}

static void unlock_mutex(void *opaque)
{
    CoMutex unlocked = { .locked = false };

    (void)opaque;
    qemu_co_mutex_unlock(&unlocked);
}

static void do_unlock_unlocked(void)
{
    qemu_coroutine_enter(qemu_coroutine_create(unlock_mutex), NULL);
}

static void unlocking_what_is_not_locked_aborts(void **state)
{
    (void)state;
    assert_dies(do_unlock_unlocked);
}

/* ---- CoQueue ---- */

static void wait_in_queue(void *opaque)
{
    Named *me = opaque;

    qemu_co_queue_wait(me->queue);
    tell(me->name);
}

static void wait_in_queue_twice(void *opaque)
{
    wait_in_queue(opaque);
    wait_in_queue(opaque);
}

static void start_waiters(CoroutineEntry *entry, Named *names, CoQueue *queue)
{
    for (int i = 0; i < 3; i++) {
        names[i] = (Named){ .name = 'a' + i, .queue = queue };
        qemu_coroutine_enter(qemu_coroutine_create(entry), &names[i]);
    }
}

static void queue_wakes_the_first(void **state)
{
    CoQueue queue = { .guard = { 0 } };
    Named names[3];

    (void)state;
    assert_true(qemu_co_queue_empty(&queue));
    assert_false(qemu_co_queue_next(&queue));
    start_waiters(wait_in_queue, names, &queue);
    assert_false(qemu_co_queue_empty(&queue));
    assert_true(qemu_co_queue_next(&queue));
    assert_story("a");
    assert_true(qemu_co_queue_next(&queue));
    assert_story("b");
    assert_true(qemu_co_queue_next(&queue));
    assert_story("c");
    assert_false(qemu_co_queue_next(&queue));
    assert_true(qemu_co_queue_empty(&queue));
}

static void queue_restart_wakes_who_waits_now(void **state)
{
    CoQueue queue;
    Named names[3];

    (void)state;
    qemu_co_queue_init(&queue);
    qemu_co_queue_restart_all(&queue);
    start_waiters(wait_in_queue_twice, names, &queue);
    qemu_co_queue_restart_all(&queue);
    assert_story("abc");
    assert_false(qemu_co_queue_empty(&queue));
    qemu_co_queue_restart_all(&queue);
    assert_story("abc");
    assert_true(qemu_co_queue_empty(&queue));
}

/* A store with room for few; half of the crowd puts in, the other half takes out. */
static struct {
    CoMutex mutex;
    CoQueue not_full, not_empty;
    int items[8];
    int n, produced;
    long sum;
} store;

static atomic_int role;

static void put(int item)
{
    qemu_co_mutex_lock(&store.mutex);
    while (store.n == 8) {
        qemu_co_queue_wait_locked(&store.not_full, &store.mutex);
    }
    store.items[store.n++] = item;
    store.produced++;
    qemu_co_queue_next(&store.not_empty);
    qemu_co_mutex_unlock(&store.mutex);
}

static void take(void)
{
    qemu_co_mutex_lock(&store.mutex);
    while (store.n == 0) {
        qemu_co_queue_wait_locked(&store.not_empty, &store.mutex);
    }
    store.sum += store.items[--store.n];
    qemu_co_queue_next(&store.not_full);
    qemu_co_mutex_unlock(&store.mutex);
}

static void put_or_take(void *opaque)
{
    bool puts = atomic_fetch_add(&role, 1) % 2;

    (void)opaque;
    for (int i = 0; i < ROUNDS; i++) {
        if (puts) {
            put(i);
        } else {
            take();
        }
    }
}

static void queue_hands_over_across_threads(void **state)
{
    (void)state;
    crowd_run(put_or_take, NULL, COROUTINES);
    assert_int_equal(store.n, 0);
    assert_int_equal(store.produced, COROUTINES / 2 * ROUNDS);
    assert_int_equal(store.sum, (long)COROUTINES / 2 * (ROUNDS * (ROUNDS - 1) / 2));
    assert_true(qemu_co_queue_empty(&store.not_full));
    assert_true(qemu_co_queue_empty(&store.not_empty));
}

/* ---- CoRwlock ---- */

static void hold_for_reading(void *opaque)
{
    Named *me = opaque;

    qemu_co_rwlock_rdlock(me->lock);
    tell(me->name);
    qemu_coroutine_yield();
    qemu_co_rwlock_unlock(me->lock);
}

static void hold_for_writing(void *opaque)
{
    Named *me = opaque;

    qemu_co_rwlock_wrlock(me->lock);
    tell(me->name);
    qemu_coroutine_yield();
    qemu_co_rwlock_unlock(me->lock);
}

/* Arrivals: readers r and s, writer W, readers t and u, writers X and Y, reader v. */
static void rwlock_serves_in_order_of_arrival(void **state)
{
    const char *arrivals = "rsWtuXYv";
    CoRwlock lock = { .readers = 0 };
    Named names[8];
    Coroutine *co[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        bool writer = strchr("WXY", arrivals[i]) != NULL;

        names[i] = (Named){ .name = arrivals[i], .lock = &lock };
        co[i] = qemu_coroutine_create(writer ? hold_for_writing : hold_for_reading);
        qemu_coroutine_enter(co[i], &names[i]);
    }
    assert_story("rs");            /* t and u do not overtake W */
    qemu_coroutine_enter(co[1], NULL);
    assert_story("");
    qemu_coroutine_enter(co[0], NULL);
    assert_story("W");
    qemu_coroutine_enter(co[2], NULL);
    assert_story("tu");            /* together, and not v, who is behind X */
    qemu_coroutine_enter(co[3], NULL);
    qemu_coroutine_enter(co[4], NULL);
    assert_story("X");
    qemu_coroutine_enter(co[5], NULL);
    assert_story("Y");
    qemu_coroutine_enter(co[6], NULL);
    assert_story("v");
    qemu_coroutine_enter(co[7], NULL);
    assert_int_equal(lock.readers, 0);
}

static struct {
    CoRwlock lock;
    atomic_int readers, most_readers;
    int writers;                   /* under the lock */
    long first, second;            /* under the lock; always equal outside of a writer */
} shared;

static void read_shared(void)
{
    int readers, most;

    qemu_co_rwlock_rdlock(&shared.lock);
    readers = atomic_fetch_add(&shared.readers, 1) + 1;
    most = atomic_load(&shared.most_readers);
    while (readers > most && !atomic_compare_exchange_weak(&shared.most_readers, &most, readers)) {
        ;
    }
    assert_int_equal(shared.writers, 0);
    assert_int_equal(shared.first, shared.second);
    go_round_the_loop();
    assert_int_equal(shared.first, shared.second);
    atomic_fetch_sub(&shared.readers, 1);
    qemu_co_rwlock_unlock(&shared.lock);
}

static void write_shared(void)
{
    qemu_co_rwlock_wrlock(&shared.lock);
    assert_int_equal(atomic_load(&shared.readers), 0);
    assert_int_equal(shared.writers++, 0);
    shared.first++;
    go_round_the_loop();
    shared.second++;
    shared.writers--;
    qemu_co_rwlock_unlock(&shared.lock);
}

static void read_or_write(void *opaque)
{
    (void)opaque;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 5 == 0) {
            write_shared();
        } else {
            read_shared();
        }
    }
}

static void rwlock_excludes_across_threads(void **state)
{
    (void)state;
    crowd_run(read_or_write, NULL, COROUTINES / 4);
    assert_int_equal(shared.first, COROUTINES / 4 * (ROUNDS / 5));
    assert_int_equal(shared.second, shared.first);
    assert_true(atomic_load(&shared.most_readers) > 1);
    assert_int_equal(shared.lock.readers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unlocking_what_is_not_locked_aborts),
        cmocka_unit_test(mutex_is_handed_over_in_order_of_arrival),
        cmocka_unit_test(mutex_is_not_taken_back_from_a_waiter),
        cmocka_unit_test(mutex_excludes_across_threads),
        cmocka_unit_test(queue_wakes_the_first),
        cmocka_unit_test(queue_restart_wakes_who_waits_now),
        cmocka_unit_test(queue_hands_over_across_threads),
        cmocka_unit_test(rwlock_serves_in_order_of_arrival),
        cmocka_unit_test(rwlock_excludes_across_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
