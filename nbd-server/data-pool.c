/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Size classes are powers of two; a free buffer's first word links it to the next. */
#include <blkbackend/block-driver.h>
#include <sys/mman.h>

#include "data-pool.h"

#define ALIGN 4096
#define MAP_MIN ((size_t)128 << 10)
#define CLASS_MIN_BITS 12              /* 4 KiB */
#define CLASSES 11                     /* up to 4 MiB: larger ones are not kept */
#define KEEP_MAX ((size_t)8 << 20)     /* bytes that a thread keeps */

typedef struct FreeBuffer {
    struct FreeBuffer *next;
} FreeBuffer;

static _Thread_local FreeBuffer *free_buffers[CLASSES];
static _Thread_local size_t kept;

void *pages_get(size_t size)
{
    void *pages;

    if (size < MAP_MIN) {
        return qemu_try_memalign(ALIGN, size);
    }
    pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void pages_put(void *pages, size_t size)
{
    if (size < MAP_MIN) {
        qemu_vfree(pages);
    } else {
        munmap(pages, size);
    }
}

static unsigned class_of(size_t size)
{
    if (size <= (size_t)1 << CLASS_MIN_BITS) {
        return 0;
    }
    return 64 - (unsigned)__builtin_clzl(size - 1) - CLASS_MIN_BITS;
}

static size_t class_size(unsigned class)
{
    return (size_t)1 << (CLASS_MIN_BITS + class);
}

void *data_get(size_t size)
{
    unsigned class = class_of(size);

    if (class >= CLASSES) {
        return pages_get(size);
    }
    if (free_buffers[class]) {
        FreeBuffer *buffer = free_buffers[class];

        free_buffers[class] = buffer->next;
        kept -= class_size(class);
        return buffer;
    }
    return pages_get(class_size(class));
}

void data_put(void *data, size_t size)
{
    unsigned class = class_of(size);
    FreeBuffer *buffer = data;

    if (!data) {
        return;
    }
    if (class >= CLASSES) {
        pages_put(data, size);
        return;
    }
    if (kept + class_size(class) > KEEP_MAX) {
        pages_put(data, class_size(class));
        return;
    }
    buffer->next = free_buffers[class];
    free_buffers[class] = buffer;
    kept += class_size(class);
}

void data_pool_release(void)
{
    for (unsigned class = 0; class < CLASSES; class++) {
        while (free_buffers[class]) {
            FreeBuffer *buffer = free_buffers[class];

            free_buffers[class] = buffer->next;
            pages_put(buffer, class_size(class));
        }
    }
    kept = 0;
}
