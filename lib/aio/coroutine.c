/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Coroutines: each has a stack of its own, and entering one is a nested call
 * that returns when it yields or ends.
 *
 * A coroutine may go on in another thread after a yield.  The address of a
 * thread-local variable must therefore not be kept over a switch: all that use
 * one are functions of their own which the compiler may not inline, and none
 * uses it again after it let a coroutine be left.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aio/coroutine-int.h"
#include "aio/coroutine-switch.h"
#include "util/thread.h"

#if defined(STACK_SWITCH_ASAN) || defined(STACK_SWITCH_TSAN)
#define STACK_SIZE (1024 * 1024)   /* instrumented frames are several times as large */
#else
#define STACK_SIZE (256 * 1024)
#endif

#define POOL_MAX 256               /* ended coroutines that a thread keeps for reuse */

/* Lies at the upper end of its stack's mapping: near to what runs on it. */
typedef struct CoroutineStack {
    Coroutine co;                  /* first: the two are cast to each other */
    StackContext context;
    StackContext *back;            /* where yield goes; NULL: not running */
    void *mapping;                 /* STACK_SIZE bytes, the lowest page is the guard */
} CoroutineStack;

typedef struct CoroutineThread {
    Coroutine *current;            /* NULL: on the thread's own stack */
    Coroutine *pool;               /* ended ones, linked by next_scheduled */
    unsigned pool_size;
    bool pool_freed_at_exit;
    StackContext own_stack;
} CoroutineThread;

static THREAD_LOCAL CoroutineThread this_thread;

static pthread_key_t pool_key;
static pthread_once_t pool_key_once = PTHREAD_ONCE_INIT;

static void __attribute__((noreturn, cold)) die(const char *what)
{
    blkbackend_log("%s", what);
    abort();
}

static inline CoroutineStack *stack_of(Coroutine *co)
{
    return (CoroutineStack *)co;
}

/* ---- who runs ---- */

/* The barrier keeps the compiler from finding the function pure and merging
 * two calls on either side of a yield. */
__attribute__((noinline))
Coroutine *qemu_coroutine_self(void)
{
    __asm__ volatile("" ::: "memory");
    return this_thread.current;
}

bool qemu_in_coroutine(void)
{
    return qemu_coroutine_self() != NULL;
}

/* ---- stacks ---- */

/* The bottom of every coroutine's stack.  An ended coroutine waits here, in the
 * pool, for its next entry function.  ASan must not keep this frame in the fake
 * stack, which goes when a coroutine ends. */
__attribute__((no_sanitize("address")))
static void coroutine_main(void)
{
    CoroutineStack *self = stack_of(qemu_coroutine_self());

    for (;;) {
        stack_arrived(&self->context, self->back);
        self->co.entry(self->co.entry_arg);
        self->co.entry = NULL;
        stack_switch(&self->context, self->back, true);
    }
}

/* Stacks are mapped at whole pages, so their hottest words would all compete
 * for the same few lines of the processor's cache: shift each by some lines. */
static size_t next_colour(void)
{
    static atomic_uint count;

    return (atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) % 16) * 256;
}

static __attribute__((noinline)) Coroutine *stack_new(void)
{
    size_t guard = sysconf(_SC_PAGESIZE);
    char *mapping = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    CoroutineStack *stack;
    size_t room;

    if (mapping == MAP_FAILED || mprotect(mapping, guard, PROT_NONE) < 0) {
        die("out of memory for a coroutine's stack");
    }
    room = STACK_SIZE - next_colour() - sizeof(*stack);
    room -= room % 64;
    stack = (CoroutineStack *)(mapping + room);
    stack->mapping = mapping;
    stack_context_init(&stack->context, mapping + guard, room - guard, coroutine_main);
    return &stack->co;
}

static void stack_free(Coroutine *co)
{
    CoroutineStack *stack = stack_of(co);

    stack_context_destroy(&stack->context);
    munmap(stack->mapping, STACK_SIZE);
}

/* ---- the pool ---- */

static void pool_free(void *opaque)
{
    CoroutineThread *thread = opaque;

    while (thread->pool) {
        Coroutine *co = thread->pool;

        thread->pool = co->next_scheduled;
        stack_free(co);
    }
    thread->pool_size = 0;
    thread->pool_freed_at_exit = false;
}

static void pool_key_make(void)
{
    if (pthread_key_create(&pool_key, pool_free) != 0) {
        die("out of keys for thread-specific data");
    }
}

static void pool_free_at_thread_exit(CoroutineThread *thread)
{
    pthread_once(&pool_key_once, pool_key_make);
    pthread_setspecific(pool_key, thread);
    thread->pool_freed_at_exit = true;
}

static void pool_put(CoroutineThread *thread, Coroutine *co)
{
    if (thread->pool_size >= POOL_MAX) {
        stack_free(co);
        return;
    }
    if (!thread->pool_freed_at_exit) {
        pool_free_at_thread_exit(thread);
    }
    co->next_scheduled = thread->pool;
    thread->pool = co;
    thread->pool_size++;
}

__attribute__((noinline))
Coroutine *qemu_coroutine_create(CoroutineEntry *entry)
{
    CoroutineThread *thread = &this_thread;
    Coroutine *co = thread->pool;

    if (co) {
        thread->pool = co->next_scheduled;
        thread->pool_size--;
    } else {
        co = stack_new();
    }
    co->entry = entry;
    co->ctx = NULL;
    return co;
}

/* ---- entering and yielding ---- */

/* Runs co until it yields or ends; the caller and its thread stay the same over
 * that, so `thread` remains right. */
static inline void run(CoroutineThread *thread, Coroutine *co, void *opaque)
{
    CoroutineStack *stack = stack_of(co);
    Coroutine *caller = thread->current;
    StackContext *here = caller ? &stack_of(caller)->context : &thread->own_stack;

    if (stack->back) {
        die("a coroutine was entered that is running already");
    }
    if (atomic_load_explicit(&co->scheduled, memory_order_relaxed)) {
        die("a coroutine was entered that is scheduled to be entered");
    }
    if (!caller) {
        stack_context_adopt_thread(here);
    }
    co->entry_arg = opaque;
    co->ctx = qemu_get_current_aio_context();
    co->caller = caller;
    stack->back = here;
    thread->current = co;
    stack_switch(here, &stack->context, false);
    stack_arrived(here, &stack->context);
    thread->current = caller;
    stack->back = NULL;
}

/* Takes over the wake-ups that co left behind, and co itself if it has ended. */
static inline Coroutine *after_run(CoroutineThread *thread, Coroutine *co, Coroutine **last)
{
    Coroutine *first = co->wake_first;

    if (first) {
        *last = co->wake_last;
        co->wake_first = NULL;
    }
    if (!co->entry) {
        pool_put(thread, co);
    }
    return first;
}

/* In the order in which they were woken; who is woken by one of them comes last. */
static __attribute__((noinline)) void run_woken(CoroutineThread *thread, Coroutine *first,
                                                Coroutine *last)
{
    while (first) {
        Coroutine *co = first;
        Coroutine *more, *more_last = NULL;

        first = co->next_scheduled;
        atomic_store_explicit(&co->scheduled, false, memory_order_relaxed);
        run(thread, co, co->entry_arg);
        more = after_run(thread, co, &more_last);
        if (more) {
            if (first) {
                last->next_scheduled = more;
            } else {
                first = more;
            }
            last = more_last;
        }
    }
}

__attribute__((noinline))
void qemu_coroutine_enter(Coroutine *co, void *opaque)
{
    CoroutineThread *thread = &this_thread;
    Coroutine *woken, *last = NULL;

    run(thread, co, opaque);
    woken = after_run(thread, co, &last);
    if (woken) {
        run_woken(thread, woken, last);
    }
}

__attribute__((noinline))
void coroutine_fn qemu_coroutine_yield(void)
{
    CoroutineStack *self = stack_of(this_thread.current);

    if (!self) {
        die("yield outside of a coroutine");
    }
    stack_switch(&self->context, self->back, false);
    stack_arrived(&self->context, self->back);
}

void coroutine_queue_after_self(Coroutine *self, Coroutine *co)
{
    if (atomic_load_explicit(&co->scheduled, memory_order_relaxed)) {
        die("a coroutine was woken twice");
    }
    atomic_store_explicit(&co->scheduled, true, memory_order_relaxed);
    co->next_scheduled = NULL;
    if (self->wake_first) {
        self->wake_last->next_scheduled = co;
    } else {
        self->wake_first = co;
    }
    self->wake_last = co;
}
