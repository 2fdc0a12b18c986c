/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Leaving one stack and going on with another.
 *
 * The switch is a call as far as the compiler knows, so only the registers that
 * a callee must preserve are saved: on the stack that is left.  The sanitizers
 * follow stacks too and are told of every switch.
 */
#ifndef BLKBACKEND_COROUTINE_SWITCH_H
#define BLKBACKEND_COROUTINE_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__LP64__)
#define STACK_SWITCH_ASM 1
#elif defined(__aarch64__) && defined(__LP64__)
#define STACK_SWITCH_ASM 1
#else
#include <ucontext.h>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_SWITCH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define STACK_SWITCH_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define STACK_SWITCH_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define STACK_SWITCH_TSAN 1
#endif

#ifdef STACK_SWITCH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef STACK_SWITCH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* A stack that is not running: all that is needed to go on with it. */
typedef struct StackContext {
#ifdef STACK_SWITCH_ASM
    void *sp;                      /* first: the assembly finds it at offset 0 */
#else
    ucontext_t uc;
#endif
#ifdef STACK_SWITCH_ASAN
    const void *bottom;
    size_t size;
    void *fake_stack;
#endif
#ifdef STACK_SWITCH_TSAN
    void *fiber;
#endif
} StackContext;

/* ---- the switch itself ---- */

#ifdef STACK_SWITCH_ASM

__attribute__((visibility("hidden")))
void blk_stack_switch(StackContext *from, StackContext *to);

#ifdef __x86_64__

/* The way on is a jump rather than a return: processors predict returns from
 * the calls they saw, and the matching call was made on another stack. */
__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".globl blk_stack_switch\n"
        ".hidden blk_stack_switch\n"
        ".type blk_stack_switch, @function\n"
        "blk_stack_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq (%rsi), %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    popq %rcx\n"
        "    jmpq *%rcx\n"
        ".size blk_stack_switch, .-blk_stack_switch\n"
        ".popsection\n");

enum { SAVED_WORDS = 8, SAVED_PC = 6 };  /* six registers, the way on, an end for backtraces */

#else /* aarch64 */

__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".globl blk_stack_switch\n"
        ".hidden blk_stack_switch\n"
        ".type blk_stack_switch, %function\n"
        "blk_stack_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    ldr x9, [x1]\n"
        "    mov sp, x9\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size blk_stack_switch, .-blk_stack_switch\n"
        ".popsection\n");

enum { SAVED_WORDS = 20, SAVED_PC = 11 };

#endif

/* Lays out the stack as if entry() had been interrupted before its first instruction. */
static inline void stack_context_prepare(StackContext *context, void *base, size_t size,
                                         void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)base + size) & ~(uintptr_t)15;
    uintptr_t *saved = (uintptr_t *)top - SAVED_WORDS;

    saved[SAVED_PC] = (uintptr_t)entry;
    context->sp = saved;
}

#else /* any other processor: portable, but two system calls a switch */

static inline void blk_stack_switch(StackContext *from, StackContext *to)
{
    swapcontext(&from->uc, &to->uc);
}

static inline void stack_context_prepare(StackContext *context, void *base, size_t size,
                                         void (*entry)(void))
{
    getcontext(&context->uc);
    context->uc.uc_stack.ss_sp = base;
    context->uc.uc_stack.ss_size = size;
    makecontext(&context->uc, entry, 0);
}

#endif

/* ---- with what the sanitizers need to know ---- */

/* Makes a context for a new stack of zeroed memory; entry() must not return and
 * calls stack_arrived() first. */
static inline void stack_context_init(StackContext *context, void *base, size_t size,
                                      void (*entry)(void))
{
    stack_context_prepare(context, base, size, entry);
#ifdef STACK_SWITCH_ASAN
    context->bottom = base;
    context->size = size;
#endif
#ifdef STACK_SWITCH_TSAN
    context->fiber = __tsan_create_fiber(0);
#endif
}

static inline void stack_context_destroy(StackContext *context)
{
#ifdef STACK_SWITCH_TSAN
    __tsan_destroy_fiber(context->fiber);
#endif
    (void)context;
}

/* For the context of a thread's own stack, before it is left. */
static inline void stack_context_adopt_thread(StackContext *context)
{
#ifdef STACK_SWITCH_TSAN
    context->fiber = __tsan_get_current_fiber();
#endif
    (void)context;
}

/* To be called with the context just come from when a stack goes on. */
static inline void stack_arrived(StackContext *here, StackContext *from)
{
#ifdef STACK_SWITCH_ASAN
    __sanitizer_finish_switch_fiber(here->fake_stack, &from->bottom, &from->size);
#endif
    (void)here;
    (void)from;
}

/* Leaves `from`; returns (without stack_arrived()) when somebody switches back.
 * for_good: nothing on that stack is alive any more. */
static inline void stack_switch(StackContext *from, StackContext *to, bool for_good)
{
#ifdef STACK_SWITCH_ASAN
    from->fake_stack = NULL;
    __sanitizer_start_switch_fiber(for_good ? NULL : &from->fake_stack, to->bottom, to->size);
#endif
#ifdef STACK_SWITCH_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)for_good;
    blk_stack_switch(from, to);
}

#endif
