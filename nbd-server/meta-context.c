/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "meta-context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nbd-protocol.h"
#include "common/xalloc.h"
#include "config.h"

/* ---- what they tell ---- */

/* proto.md, "base:allocation metadata context" */
static int coroutine_fn state_allocation(const MetaContext *context, BlockBackend *blk,
                                         int64_t offset, int64_t bytes, int64_t *pnum)
{
    int ret = blk_co_block_status(blk, offset, bytes, pnum);

    (void)context;
    if (ret < 0) {
        return ret;
    }
    return (int)((ret & BDRV_BLOCK_DATA ? 0 : NBD_STATE_HOLE) |
                 (ret & BDRV_BLOCK_ZERO ? NBD_STATE_ZERO : 0));
}

/* 1: the image itself has the data, 2: its backing file, ...; 0: nobody. */
static int coroutine_fn state_depth(const MetaContext *context, BlockBackend *blk,
                                    int64_t offset, int64_t bytes, int64_t *pnum)
{
    (void)context;
    return blk_co_is_allocated_above(blk, NULL, false, offset, bytes, pnum);
}

static int coroutine_fn state_bitmap(const MetaContext *context, BlockBackend *blk,
                                     int64_t offset, int64_t bytes, int64_t *pnum)
{
    /* That of a backing file may be shorter than the export. */
    int64_t left = bdrv_dirty_bitmap_size(context->bitmap) - offset;

    (void)blk;
    if (left <= 0) {
        *pnum = bytes;
        return 0;
    }
    return bdrv_dirty_bitmap_status(context->bitmap, offset, bytes < left ? bytes : left, pnum)
           ? (int)NBD_STATE_DIRTY : 0;
}

/* ---- the table of an export ---- */

static MetaContext *add(Export *export, const char *name)
{
    MetaContext *context = &export->contexts[export->n_contexts++];

    context->name = xstrdup(name);
    return context;
}

/* In the image or in one of its chain of backing files. */
static BdrvDirtyBitmap *find_bitmap(BlockDriverState *bs, const char *name, bool *writable)
{
    for (; bs; bs = bdrv_backing(bs)) {
        BdrvDirtyBitmap *bitmap = bdrv_find_dirty_bitmap(bs, name);

        if (bitmap) {
            *writable = !bdrv_is_read_only(bs);
            return bitmap;
        }
    }
    return NULL;
}

/* What clients are told must hold as long as they are: the bitmap must not change. */
static BdrvDirtyBitmap *get_bitmap(BlockDriverState *bs, const char *name, Error **errp)
{
    bool writable;
    BdrvDirtyBitmap *bitmap = find_bitmap(bs, name, &writable);

    if (!bitmap) {
        error_setg(errp, "Bitmap '%s' is not found", name);
        error_append_hint(errp, "Neither the image nor a backing file of it has a bitmap of that "
                          "name; 'blk-img info' lists them.\n");
        return NULL;
    }
    if (bdrv_dirty_bitmap_check(bitmap, BDRV_BITMAP_ALLOW_RO, errp) < 0) {
        return NULL;
    }
    if (writable && bdrv_dirty_bitmap_enabled(bitmap)) {
        error_setg(errp, "Bitmap '%s' records the clients' writes, so what it says would change",
                   name);
        error_append_hint(errp, "Add --read-only, or stop it: blk-img bitmap --disable IMAGE %s\n",
                          name);
        return NULL;
    }
    return bitmap;
}

static bool add_bitmap(Export *export, const ExportConfig *cfg, const char *bitmap_name,
                       Error **errp)
{
    /* The export may have a node of its own on top of a node that others use, too. */
    BlockDriverState *bs = cfg->node_name ? bdrv_find_node(cfg->node_name) : blk_bs(export->blk);
    char name[sizeof(NBD_META_QEMU_DIRTY_BITMAP) + BDRV_BITMAP_MAX_NAME_SIZE];
    BdrvDirtyBitmap *bitmap = get_bitmap(bs, bitmap_name, errp);
    MetaContext *context;

    if (!bitmap) {
        return false;
    }
    snprintf(name, sizeof(name), NBD_META_QEMU_DIRTY_BITMAP "%s", bitmap_name);
    bdrv_dirty_bitmap_set_busy(bitmap, true);
    context = add(export, name);
    context->bitmap = bitmap;
    context->state = state_bitmap;
    return true;
}

bool meta_contexts_init(Export *export, const ExportConfig *cfg, Error **errp)
{
    export->contexts = xcalloc(META_CONTEXTS_MAX, sizeof(export->contexts[0]));
    add(export, NBD_META_BASE_ALLOCATION)->state = state_allocation;
    if (cfg->allocation_depth) {
        add(export, NBD_META_QEMU_ALLOCATION_DEPTH)->state = state_depth;
    }
    if (cfg->bitmaps.n > META_CONTEXTS_MAX - export->n_contexts) {
        error_setg(errp, "%u bitmaps are too many: at most %u are possible", cfg->bitmaps.n,
                   META_CONTEXTS_MAX - export->n_contexts);
        return false;
    }
    for (unsigned i = 0; i < cfg->bitmaps.n; i++) {
        if (!add_bitmap(export, cfg, cfg->bitmaps.names[i], errp)) {
            return false;
        }
    }
    return true;
}

void meta_contexts_free(Export *export)
{
    for (unsigned i = 0; i < export->n_contexts; i++) {
        if (export->contexts[i].bitmap) {
            bdrv_dirty_bitmap_set_busy(export->contexts[i].bitmap, false);
        }
        free(export->contexts[i].name);
    }
    free(export->contexts);
}

/* ---- choosing ---- */

uint32_t meta_contexts_match(const Export *export, const void *query, size_t len, bool listing)
{
    bool wildcard = listing && ((const char *)query)[len - 1] == ':';
    uint32_t set = 0;

    /* Names that we do not know must be ignored: "The base: metadata namespace". */
    for (unsigned i = 0; i < export->n_contexts; i++) {
        const char *name = export->contexts[i].name;
        size_t name_len = strlen(name);

        if ((name_len == len || (wildcard && name_len > len)) && memcmp(name, query, len) == 0) {
            set |= UINT32_C(1) << i;
        }
    }
    return set;
}

uint32_t meta_contexts_by_id(const Export *export, uint32_t id)
{
    return id >= 1 && id <= export->n_contexts ? UINT32_C(1) << (id - 1) : 0;
}
