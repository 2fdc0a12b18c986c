/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The meta contexts of an export: what NBD_CMD_BLOCK_STATUS can tell about its parts.
 * proto.md, "Metadata querying".
 *
 * An export has a table of them.  A context's place in it is its bit in a set of contexts, as a
 * connection or a request has it, and one less than its number on the wire.
 */
#ifndef NBD_EXPORT_META_CONTEXT_H
#define NBD_EXPORT_META_CONTEXT_H

#include <blkbackend/dirty-bitmap.h>

#include "server.h"

#define META_CONTEXTS_MAX 32       /* of an export */

struct MetaContext {
    char *name;
    BdrvDirtyBitmap *bitmap;       /* lent; NULL: the context is none of a bitmap */
    /* The state of [offset, offset + *pnum), 0 < *pnum <= bytes, or -errno. */
    int coroutine_fn (*state)(const MetaContext *context, BlockBackend *blk, int64_t offset,
                              int64_t bytes, int64_t *pnum);
};

static inline uint32_t meta_context_id(unsigned place)
{
    return place + 1;
}

/* main thread; false: one that cfg wants is not to be had. */
bool meta_contexts_init(Export *export, const ExportConfig *cfg, Error **errp);
void meta_contexts_free(Export *export);

/* The contexts that a query means, as a set.  It names one; when listing, one that ends with a
 * colon means all contexts that begin so. */
uint32_t meta_contexts_match(const Export *export, const void *query, size_t len, bool listing);
/* The context of that number, as a set; 0: none. */
uint32_t meta_contexts_by_id(const Export *export, uint32_t id);

#endif
