/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F78 to F81 and §3.7: the backend's loop, who hears of its change, and changing it under load. */
#include <sched.h>

#include "testfmt.h"

/* ---- notifiers ---- */

typedef struct Listener {
    const char *name;
    BlockBackend *blk;
    AioContext *before, *after;      /* what F78 said in the last detach and attach */
    AioContext *told;
    bool remove_itself;
} Listener;

static void heard_detach(void *opaque);

static void heard_attached(AioContext *new_context, void *opaque)
{
    Listener *l = opaque;

    event("%s attached", l->name);
    l->told = new_context;
    l->after = blk_get_aio_context(l->blk);
    if (l->remove_itself) {
        blk_remove_aio_context_notifier(l->blk, heard_attached, heard_detach, l);
    }
}

static void heard_detach(void *opaque)
{
    Listener *l = opaque;

    event("%s detach", l->name);
    l->before = blk_get_aio_context(l->blk);
}

static void listen_to(Listener *l, const char *name, BlockBackend *blk)
{
    *l = (Listener){ .name = name, .blk = blk };
    blk_add_aio_context_notifier(blk, heard_attached, heard_detach, l);
}

static void stop_listening(Listener *l)
{
    blk_remove_aio_context_notifier(l->blk, heard_attached, heard_detach, l);
}

static void move(BlockBackend *blk, AioContext *ctx)
{
    AioContext *old = blk_get_aio_context(blk);

    aio_context_acquire(old);
    blk_set_aio_context(blk, ctx);
    aio_context_release(old);
}

static void all_move_in_order(void **state)
{
    AioContext *ctx = aio_context_new(&error_abort);
    Listener old_one, new_one;
    BlockBackend *blk;

    (void)state;
    image_make("base", CLUSTER, NULL);
    image_make("top", CLUSTER, "base");
    blk = open_image("top", RW);
    assert_ptr_equal(blk_get_aio_context(blk), qemu_get_aio_context());
    listen_to(&old_one, "first", blk);
    listen_to(&new_one, "second", blk);
    events_clear();
    move(blk, ctx);
    assert_events("second detach\nfirst detach\n"
                  "detach top\ndetach file of top\ndetach base\ndetach file of base\n"
                  "attach file of base\nattach base\nattach file of top\nattach top\n"
                  "second attached\nfirst attached\n");
    assert_ptr_equal(new_one.before, qemu_get_aio_context());
    assert_ptr_equal(new_one.after, ctx);
    assert_ptr_equal(new_one.told, ctx);
    assert_ptr_equal(blk_get_aio_context(blk), ctx);
    assert_ptr_equal(bdrv_get_aio_context(bdrv_file(bdrv_backing(blk_bs(blk)))), ctx);

    /* The same context: the same steps. */
    events_clear();
    move(blk, ctx);
    assert_int_equal(events_of("detach"), 4);
    assert_int_equal(events_of("attach"), 4);
    assert_int_equal(events_of("first"), 2);
    stop_listening(&old_one);
    stop_listening(&new_one);
    move(blk, qemu_get_aio_context());
    blk_unref(blk);
    aio_context_unref(ctx);
}

static void an_empty_backend_stays_in_the_main_context(void **state)
{
    AioContext *ctx = aio_context_new(&error_abort);
    BlockBackend *blk = blk_new(NULL);
    Listener l;

    (void)state;
    listen_to(&l, "l", blk);
    blk_set_aio_context(blk, ctx);
    assert_events("");
    assert_ptr_equal(blk_get_aio_context(blk), qemu_get_aio_context());
    stop_listening(&l);
    blk_unref(blk);
    aio_context_unref(ctx);
}

static void a_driverless_root_moves_too(void **state)
{
    AioContext *ctx = aio_context_new(&error_abort);
    BlockBackend *blk = blk_new_with_bs(NULL);
    Listener l;

    (void)state;
    listen_to(&l, "l", blk);
    move(blk, ctx);
    assert_events("l detach\nl attached\n");
    assert_ptr_equal(blk_get_aio_context(blk), ctx);
    stop_listening(&l);
    move(blk, qemu_get_aio_context());
    blk_unref(blk);
    aio_context_unref(ctx);
}

static void notifiers_outlive_media(void **state)
{
    BlockBackend *blk = blk_new(NULL), *holder;
    BlockDriverState *bs;
    Listener l;

    (void)state;
    image_make("top", CLUSTER, NULL);
    listen_to(&l, "l", blk);
    for (int i = 0; i < 2; i++) {
        holder = open_image("top", RW);
        bs = blk_bs(holder);
        bdrv_ref(bs);
        blk_unref(holder);
        blk_insert_bs(blk, bs);     /* they do not fire for this, nor for removal */
        bdrv_unref(bs);
        events_clear();
        blk_set_aio_context(blk, qemu_get_aio_context());
        assert_int_equal(events_of("l "), 2);
        events_clear();
        blk_remove_bs(blk);
        assert_int_equal(events_of("l "), 0);
    }
    stop_listening(&l);
    blk_unref(blk);
}

static void a_notifier_may_remove_itself(void **state)
{
    Listener first, second, third;
    BlockBackend *blk;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    listen_to(&first, "first", blk);
    listen_to(&second, "second", blk);
    listen_to(&third, "third", blk);
    second.remove_itself = true;
    blk_set_aio_context(blk, qemu_get_aio_context());
    assert_int_equal(events_of("first"), 2);
    assert_int_equal(events_of("second"), 2);
    assert_int_equal(events_of("third"), 2);
    events_clear();
    blk_set_aio_context(blk, qemu_get_aio_context());
    assert_int_equal(events_of("first"), 2);
    assert_int_equal(events_of("second"), 0);
    stop_listening(&first);
    stop_listening(&third);
    blk_unref(blk);
}

static void the_same_triple_may_be_there_twice(void **state)
{
    BlockBackend *blk;
    Listener l;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    listen_to(&l, "l", blk);
    listen_to(&l, "l", blk);
    blk_set_aio_context(blk, qemu_get_aio_context());
    assert_int_equal(events_of("l "), 4);
    stop_listening(&l);
    events_clear();
    blk_set_aio_context(blk, qemu_get_aio_context());
    assert_int_equal(events_of("l "), 2);
    stop_listening(&l);
    blk_unref(blk);
}

static void remove_an_unknown_notifier(void)
{
    Listener l = { .blk = blk_new(NULL) };

    stop_listening(&l);
}

static void removing_an_unknown_one_aborts(void **state)
{
    (void)state;
#ifndef UNDER_TSAN
    assert_dies(remove_an_unknown_notifier);
#else
    (void)remove_an_unknown_notifier;
#endif
}

/* ---- requests and a move ---- */

static uint8_t buf[CLUSTER];
static struct iovec iov = { buf, sizeof(buf) };
static QEMUIOVector qiov = { &iov, 1, -1, sizeof(buf) };

typedef struct WhereCalled {
    AioResult result;
    BlockBackend *blk;
    AioContext *ran_in, *backends;
} WhereCalled;

static void note_where(void *opaque, int ret)
{
    WhereCalled *where = opaque;

    where->ran_in = qemu_get_current_aio_context();
    where->backends = blk_get_aio_context(where->blk);
    aio_result_cb(&where->result, ret);
}

static void resume(void *opaque)
{
    aio_co_wake(opaque);
}

static void what_is_in_flight_completes_before_it(void **state)
{
    TestImage *top = image_make("top", CLUSTER, NULL);
    BlockBackend *blk = open_image("top", RW);
    WhereCalled where = { .blk = blk };
    LoopThread loop;

    (void)state;
    loop_thread_start(&loop);
    top->hold = true;
    blk_aio_pwritev(blk, 0, &qiov, 0, note_where, &where);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, top->held);
    blk_set_aio_context(blk, loop.ctx);
    assert_int_equal(where.result.calls, 1);
    assert_int_equal(where.result.ret, 0);
    assert_ptr_equal(where.ran_in, qemu_get_aio_context());
    assert_ptr_equal(where.backends, qemu_get_aio_context());
    blk_set_aio_context(blk, qemu_get_aio_context());
    loop_thread_stop(&loop);
    blk_unref(blk);
}

/* It waits in a drained section, for a loop that is gone when the section ends. */
static void what_has_not_begun_goes_to_the_new_loop(void **state)
{
    BlockBackend *blk;
    WhereCalled where;
    LoopThread loop;

    (void)state;
    image_make("top", CLUSTER, NULL);
    blk = open_image("top", RW);
    where = (WhereCalled){ .blk = blk };
    loop_thread_start(&loop);
    blk_set_aio_context(blk, loop.ctx);
    blk_drained_begin(blk);
    blk_aio_preadv(blk, 0, &qiov, 0, note_where, &where);
    blk_set_aio_context(blk, qemu_get_aio_context());
    loop_thread_stop(&loop);
    assert_int_equal(where.result.calls, 0);
    blk_drained_end(blk);
    assert_int_equal(aio_result_wait(&where.result), 0);
    assert_ptr_equal(where.ran_in, qemu_get_aio_context());
    blk_unref(blk);
}

static void children_of_others_move_along(void **state)
{
    BlockBackend *one, *other;
    BlockDriverState *file = NULL;
    WhereCalled where;
    LoopThread loop;

    (void)state;
    image_make("top", CLUSTER, NULL);
    bdrv_open(&file, "testfile:top", NULL, options_of("'node-name':'shared'"),
              RW | BDRV_O_PROTOCOL, &error_abort);
    one = blk_new_open(NULL, NULL, options_of("'driver':'testfmt','file':'shared'"), RW,
                       &error_abort);
    other = blk_new_open(NULL, NULL, options_of("'driver':'testfmt','file':'shared'"), RW,
                         &error_abort);
    loop_thread_start(&loop);
    where = (WhereCalled){ .blk = other };
    image_find("top")->hold = true;
    blk_aio_pwritev(other, 0, &qiov, 0, note_where, &where);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, image_find("top")->held);
    blk_set_aio_context(one, loop.ctx);
    assert_int_equal(where.result.calls, 1);    /* it uses what moved */
    assert_ptr_equal(bdrv_get_aio_context(file), loop.ctx);
    assert_ptr_equal(blk_get_aio_context(other), qemu_get_aio_context());
    assert_read(other, 0, CLUSTER, 0);
    blk_set_aio_context(one, qemu_get_aio_context());
    loop_thread_stop(&loop);
    blk_unref(one);
    blk_unref(other);
    bdrv_unref(file);
}

/* ---- under load ---- */

#define SUBMITTERS 4
#define DEPTH 4

typedef struct Submitter {
    BlockBackend *blk;
    pthread_t thread;
    atomic_int in_flight;
    atomic_int wrong_context, failed, done;
} Submitter;

static atomic_bool stop;

static void load_done(void *opaque, int ret)
{
    Submitter *s = opaque;

    /* Counted in until we return: the context cannot change under us. */
    if (qemu_get_current_aio_context() != blk_get_aio_context(s->blk)) {
        atomic_fetch_add(&s->wrong_context, 1);
    }
    if (ret != 0) {
        atomic_fetch_add(&s->failed, 1);
    }
    atomic_fetch_add(&s->done, 1);
    atomic_fetch_sub(&s->in_flight, 1);
}

static void *submit_load(void *opaque)
{
    static __thread uint8_t mem[DEPTH][512], one[512];
    static __thread struct iovec parts[DEPTH];
    static __thread QEMUIOVector vecs[DEPTH];
    Submitter *s = opaque;

    for (int i = 0; i < DEPTH; i++) {
        parts[i] = (struct iovec){ mem[i], 512 };
        qemu_iovec_init_external(&vecs[i], &parts[i], 1);
    }
    while (!atomic_load(&stop)) {
        for (int i = 0; i < DEPTH; i++) {
            atomic_fetch_add(&s->in_flight, 1);
            if (i % 2) {
                blk_aio_pwritev(s->blk, i * CLUSTER, &vecs[i], 0, load_done, s);
            } else {
                blk_aio_preadv(s->blk, i * CLUSTER, &vecs[i], 0, load_done, s);
            }
        }
        if (blk_pread(s->blk, 512, one, 512) != 512) {
            atomic_fetch_add(&s->failed, 1);
        }
        while (atomic_load(&s->in_flight) > 0) {
            sched_yield();
        }
    }
    return NULL;
}

static int total_done(Submitter *s)
{
    int n = 0;

    for (int i = 0; i < SUBMITTERS; i++) {
        n += atomic_load(&s[i].done);
    }
    return n;
}

static void it_moves_under_load(void **state)
{
    static Submitter submitters[SUBMITTERS];
    LoopThread loops[2];
    Listener l;
    BlockBackend *blk;

    (void)state;
    image_make("top", 8 * CLUSTER, NULL);
    blk = open_image("top", RW);
    atomic_store(&stop, false);
    loop_thread_start(&loops[0]);
    loop_thread_start(&loops[1]);
    listen_to(&l, "l", blk);
    memset(submitters, 0, sizeof(submitters));
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i].blk = blk;
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_load, &submitters[i]),
                         0);
    }
    for (int i = 0; i < 60; i++) {
        int before = total_done(submitters);

        blk_set_aio_context(blk, i % 3 == 2 ? qemu_get_aio_context() : loops[i % 3].ctx);
        while (total_done(submitters) < before + 8) {
            aio_poll(qemu_get_aio_context(), false);
        }
    }
    atomic_store(&stop, true);
    /* The last callbacks are ours to run: the backend is in the main context again. */
    assert_ptr_equal(blk_get_aio_context(blk), qemu_get_aio_context());
    for (int i = 0; i < SUBMITTERS; i++) {
        while (pthread_tryjoin_np(submitters[i].thread, NULL) != 0) {
            aio_poll(qemu_get_aio_context(), false);
        }
        assert_int_equal(atomic_load(&submitters[i].wrong_context), 0);
        assert_int_equal(atomic_load(&submitters[i].failed), 0);
    }
    stop_listening(&l);
    loop_thread_stop(&loops[0]);
    loop_thread_stop(&loops[1]);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(all_move_in_order),
        IMAGE_TEST(an_empty_backend_stays_in_the_main_context),
        IMAGE_TEST(a_driverless_root_moves_too),
        IMAGE_TEST(notifiers_outlive_media),
        IMAGE_TEST(a_notifier_may_remove_itself),
        IMAGE_TEST(the_same_triple_may_be_there_twice),
        IMAGE_TEST(removing_an_unknown_one_aborts),
        IMAGE_TEST(what_is_in_flight_completes_before_it),
        IMAGE_TEST(what_has_not_begun_goes_to_the_new_loop),
        IMAGE_TEST(children_of_others_move_along),
        IMAGE_TEST(it_moves_under_load),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
