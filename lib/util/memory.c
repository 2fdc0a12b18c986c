/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Aligned memory for data. */
#include <stdlib.h>

#include <blkbackend/block-driver.h>

/* Size 0 gets one unit of alignment: NULL means lack of memory and nothing else. */
void *qemu_try_memalign(size_t alignment, size_t size)
{
    void *ptr;

    if (alignment < sizeof(void *)) {
        alignment = sizeof(void *);
    }
    if (posix_memalign(&ptr, alignment, size ? size : alignment) != 0) {
        return NULL;
    }
    return ptr;
}

void qemu_vfree(void *ptr)
{
    free(ptr);
}
