/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buffers for the data of requests: page aligned, and kept by size class for the next request
 * of the same thread.  Get and put in the same thread.
 */
#ifndef NBD_EXPORT_DATA_POOL_H
#define NBD_EXPORT_DATA_POOL_H

#include <stddef.h>

void *data_get(size_t size);               /* NULL for lack of memory; content undefined */
void data_put(void *data, size_t size);    /* size as it was got; NULL is fine */
void data_pool_release(void);              /* frees what this thread keeps */

/* Page-aligned memory, not pooled.  Large pieces go back to the system when they are freed:
 * what one client made us hold must not stay in the allocator. */
void *pages_get(size_t size);              /* NULL for lack of memory */
void pages_put(void *pages, size_t size);

#endif
