/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes: their life, their parents and children, their names and properties.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IOV_MAX_DEFAULT 1024

static TAILQ_HEAD(, BlockDriverState) nodes = TAILQ_HEAD_INITIALIZER(nodes);

bool (*bdrv_name_in_use_elsewhere)(const char *name);
BlockDriverState *(*bdrv_lookup_backend)(const char *name, bool *found);

void bdrv_programming_error(const char *func, const char *what)
{
    fprintf(stderr, "libblkbackend: %s: %s\n", func, what);
    abort();
}

void *bdrv_alloc(size_t size)
{
    void *mem = calloc(1, size);

    if (!mem) {
        bdrv_programming_error(__func__, "out of memory");
    }
    return mem;
}

char *bdrv_strdup(const char *str)
{
    return strcpy(bdrv_alloc(strlen(str) + 1), str);
}

/* ---- life ---- */

BlockDriverState *bdrv_new(void)
{
    BlockDriverState *bs = qemu_try_memalign(_Alignof(BlockDriverState), sizeof(*bs));

    BDRV_PRECONDITION(bs, "out of memory");
    memset(bs, 0, sizeof(*bs));
    bs->refcnt = 1;
    bs->ctx = qemu_get_aio_context();
    pthread_mutex_init(&bs->wait_lock, NULL);
    qemu_co_mutex_init(&bs->sector0_lock);
    for (int i = 0; i < TRACKER_SHARDS; i++) {
        pthread_mutex_init(&bs->tracker[i].lock, NULL);
        LIST_INIT(&bs->tracker[i].requests);
    }
    LIST_INIT(&bs->parents);
    LIST_INIT(&bs->children);
    for (int i = 0; i < BLOCK_OP_TYPE_MAX; i++) {
        LIST_INIT(&bs->op_blockers[i]);
    }
    bdrv_refresh_limits(bs, NULL);
    TAILQ_INSERT_TAIL(&nodes, bs, link);
    return bs;
}

static void detach_children(BlockDriverState *bs)
{
    BdrvChild *child;

    while ((child = LIST_FIRST(&bs->children)) != NULL) {
        LIST_REMOVE(child, link);
        bdrv_remove_parent(child->bs, &child->parent);
        bdrv_unref(child->bs);
        free(child);
    }
}

void bdrv_detach_driver(BlockDriverState *bs)
{
    BlockDriverState *file = bs->file;

    bdrv_release_all_dirty_bitmaps(bs);
    bs->drv = NULL;
    free(bs->opaque);
    bs->opaque = NULL;
    free(bs->filename);
    bs->filename = NULL;
    bs->sg = bs->encrypted = bs->probed_raw = bs->native_fua = false;
    bs->read_only = false;
    atomic_store(&bs->length, 0);
    atomic_store(&bs->open_flags, 0);
    atomic_store(&bs->enable_write_cache, false);
    atomic_store(&bs->copy_on_read, 0);
    bs->file = NULL;
    if (file) {
        bdrv_remove_parent(file, &bs->file_link);
        bdrv_unref(file);
    }
    bdrv_detach_backing(bs);
    detach_children(bs);
}

static void store_bitmaps(BlockDriverState *bs)
{
    Error *err = NULL;

    if (bdrv_store_dirty_bitmaps(bs, &err) < 0) {
        error_prepend(&err, "Lost persistent bitmaps during inactivation of node '%s': ",
                      bs->node_name);
        error_report_err(err);
    }
}

static void close_driver(BlockDriverState *bs)
{
    if (!bs->drv) {
        return;
    }
    store_bitmaps(bs);
    if (!bs->read_only && !(bdrv_get_flags(bs) & BDRV_O_INACTIVE)) {
        int ret = bdrv_flush(bs);

        if (ret < 0) {
            blkbackend_log("Flushing node '%s' (%s) while closing it failed: %s", bs->node_name,
                           bdrv_filename(bs), strerror(-ret));
        }
    }
    if (bs->drv->bdrv_close) {
        bs->drv->bdrv_close(bs);
    }
    bdrv_detach_driver(bs);
}

static void delete_node(BlockDriverState *bs)
{
    for (int i = 0; i < BLOCK_OP_TYPE_MAX; i++) {
        BDRV_PRECONDITION(LIST_EMPTY(&bs->op_blockers[i]),
                          "the node goes while operations on it are blocked");
    }
    BDRV_PRECONDITION(LIST_EMPTY(&bs->parents), "the node goes while something is above it");
    close_driver(bs);
    TAILQ_REMOVE(&nodes, bs, link);
    for (int i = 0; i < TRACKER_SHARDS; i++) {
        pthread_mutex_destroy(&bs->tracker[i].lock);
    }
    pthread_mutex_destroy(&bs->wait_lock);
    qemu_vfree(bs);
}

void bdrv_ref(BlockDriverState *bs)
{
    BDRV_PRECONDITION(bs->refcnt > 0, "the node is being closed");
    bs->refcnt++;
}

void bdrv_unref(BlockDriverState *bs)
{
    if (!bs) {
        return;
    }
    BDRV_PRECONDITION(bs->refcnt > 0, "more references dropped than taken");
    if (--bs->refcnt == 0) {
        delete_node(bs);
    }
}

/* ---- parents and children ---- */

void bdrv_add_parent(BlockDriverState *bs, BdrvParent *parent)
{
    LIST_INSERT_HEAD(&bs->parents, parent, link);
    /* A drained node stays so: its new parent has to hold back its requests too. */
    for (int i = 0; i < bs->quiesce; i++) {
        parent->ops->drained_begin(parent->opaque);
    }
}

void bdrv_remove_parent(BlockDriverState *bs, BdrvParent *parent)
{
    LIST_REMOVE(parent, link);
    for (int i = 0; i < bs->quiesce; i++) {
        parent->ops->drained_end(parent->opaque);
    }
}

void bdrv_attach_file(BlockDriverState *bs, BlockDriverState *file)
{
    bs->file = file;
    bs->file_link.ops = &bdrv_node_parent_ops;
    bs->file_link.opaque = bs;
    bdrv_add_parent(file, &bs->file_link);
}

void bdrv_attach_child(BlockDriverState *bs, BlockDriverState *child)
{
    BdrvChild *link = bdrv_alloc(sizeof(*link));

    link->bs = child;
    link->parent.ops = &bdrv_node_parent_ops;
    link->parent.opaque = bs;
    LIST_INSERT_HEAD(&bs->children, link, link);
    bdrv_add_parent(child, &link->parent);
}

bool bdrv_has_blk_parent(BlockDriverState *bs)
{
    BdrvParent *parent;

    LIST_FOREACH(parent, &bs->parents, link) {
        if (parent->ops->is_backend) {
            return true;
        }
    }
    return false;
}

BdrvParent *bdrv_other_parent(BlockDriverState *bs, const BdrvParent *known)
{
    BdrvParent *parent = LIST_FIRST(&bs->parents);

    return parent == known ? LIST_NEXT(parent, link) : parent;
}

BlockDriverState *bdrv_file(BlockDriverState *bs)
{
    return bs->file;
}

BlockDriverState *bdrv_backing(BlockDriverState *bs)
{
    return bs->backing;
}

BlockDriverState *bdrv_child(BlockDriverState *bs, unsigned i)
{
    BdrvChild *child;

    if (bs->file && i-- == 0) {
        return bs->file;
    }
    if (bs->backing && i-- == 0) {
        return bs->backing;
    }
    LIST_FOREACH(child, &bs->children, link) {
        if (i-- == 0) {
            return child->bs;
        }
    }
    return NULL;
}

#define MAX_DEPTH 200

static unsigned depth_of(BlockDriverState *bs)
{
    BlockDriverState *child;
    unsigned deepest = 0;

    for (unsigned i = 0; (child = bdrv_child(bs, i)); i++) {
        unsigned depth = depth_of(child);

        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

int bdrv_check_depth(BlockDriverState *bs, unsigned more, Error **errp)
{
    if (depth_of(bs) + more > MAX_DEPTH) {
        error_setg(errp, "More than %d nodes would be on top of each other", MAX_DEPTH);
        error_append_hint(errp, "Commit or rebase what is in between.\n");
        return -ELOOP;
    }
    return 0;
}

/* ---- names ---- */

bool bdrv_id_wellformed(const char *id)
{
    /* ASCII only, whatever the locale. */
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return id && id[0] && strchr(LETTERS, id[0]) &&
           id[strspn(id, LETTERS "0123456789-._")] == '\0';
#undef LETTERS
}

BlockDriverState *bdrv_find_node(const char *node_name)
{
    BlockDriverState *bs;

    BDRV_PRECONDITION(node_name, "no name");
    TAILQ_FOREACH(bs, &nodes, link) {
        if (bs->node_name[0] && strcmp(bs->node_name, node_name) == 0) {
            return bs;
        }
    }
    return NULL;
}

BlockDriverState *bdrv_next_node(BlockDriverState *bs)
{
    return bs ? TAILQ_NEXT(bs, link) : TAILQ_FIRST(&nodes);
}

static void generate_node_name(BlockDriverState *bs)
{
    static unsigned count;

    snprintf(bs->node_name, sizeof(bs->node_name), "#block%03u", count++);
}

int bdrv_check_node_name(const char *name, Error **errp)
{
    if (!bdrv_id_wellformed(name)) {
        error_setg(errp, "Invalid node name '%s'", name);
        error_append_hint(errp, "A name is a letter followed by letters, digits, "
                          "'-', '.' and '_'.\n");
        return -EINVAL;
    }
    if (strlen(name) >= BDRV_NODE_NAME_SIZE) {
        error_setg(errp, "Node name '%s' is longer than %d characters", name,
                   BDRV_NODE_NAME_SIZE - 1);
        return -EINVAL;
    }
    if (bdrv_find_node(name)) {
        error_setg(errp, "Node name '%s' is already in use", name);
        return -EINVAL;
    }
    if (bdrv_name_in_use_elsewhere && bdrv_name_in_use_elsewhere(name)) {
        error_setg(errp, "Node name '%s' is already the name of a device", name);
        return -EINVAL;
    }
    return 0;
}

int bdrv_set_node_name(BlockDriverState *bs, const char *name, Error **errp)
{
    int ret = name ? bdrv_check_node_name(name, errp) : 0;

    if (!name) {
        generate_node_name(bs);
    } else if (ret == 0) {
        strcpy(bs->node_name, name);
    }
    return ret;
}

void bdrv_drop_node_name(BlockDriverState *bs)
{
    bs->node_name[0] = '\0';
}

const char *bdrv_get_node_name(const BlockDriverState *bs)
{
    return bs->node_name;
}

/* ---- properties ---- */

void *bdrv_state(BlockDriverState *bs)
{
    return bs->opaque;
}

const char *bdrv_get_format_name(BlockDriverState *bs)
{
    return bs->drv ? bs->drv->format_name : NULL;
}

const char *bdrv_filename(BlockDriverState *bs)
{
    return bs->filename ? bs->filename : "";
}

int bdrv_get_flags(BlockDriverState *bs)
{
    return atomic_load_explicit(&bs->open_flags, memory_order_relaxed);
}

bool bdrv_is_read_only(BlockDriverState *bs)
{
    return bs->read_only;
}

uint64_t bdrv_get_wr_highest_offset(BlockDriverState *bs)
{
    return atomic_load_explicit(&bs->wr_highest_offset, memory_order_relaxed);
}

BlockdevDetectZeroesOptions bdrv_get_detect_zeroes(BlockDriverState *bs)
{
    return (BlockdevDetectZeroesOptions)atomic_load(&bs->detect_zeroes);
}

void bdrv_set_read_only(BlockDriverState *bs)
{
    bs->read_only = true;
    atomic_fetch_and(&bs->open_flags, ~BDRV_O_RDWR);
}

void bdrv_set_sg(BlockDriverState *bs, bool sg)
{
    bs->sg = sg;
}

void bdrv_set_native_fua(BlockDriverState *bs, bool native_fua)
{
    bs->native_fua = native_fua;
}

void bdrv_set_enable_write_cache(BlockDriverState *bs, bool wce)
{
    atomic_store(&bs->enable_write_cache, wce);
    if (wce) {
        atomic_fetch_or(&bs->open_flags, BDRV_O_CACHE_WB);
    } else {
        atomic_fetch_and(&bs->open_flags, ~BDRV_O_CACHE_WB);
    }
}

static bool children_are_inserted(BlockDriverState *bs)
{
    BdrvChild *child;

    LIST_FOREACH(child, &bs->children, link) {
        if (!bdrv_is_inserted(child->bs)) {
            return false;
        }
    }
    return true;
}

bool bdrv_is_inserted(BlockDriverState *bs)
{
    if (!bs->drv) {
        return false;
    }
    if (bs->drv->bdrv_is_inserted) {
        return bs->drv->bdrv_is_inserted(bs);
    }
    return (!bs->file || bdrv_is_inserted(bs->file)) &&
           (!bs->backing || bdrv_is_inserted(bs->backing)) && children_are_inserted(bs);
}

/* ---- limits ---- */

static size_t default_mem_alignment(void)
{
    long page = sysconf(_SC_PAGESIZE);

    return page > 4096 ? (size_t)page : 4096;
}

/* What a driver starts from: a transparent one with its file's limits. */
static BlockLimits inherited_limits(const BlockDriverState *bs)
{
    BlockLimits bl = { 0 };

    if (bs->file && bs->drv->is_passthrough) {
        return bs->file->bl;
    }
    if (bs->file) {
        bl.max_transfer = bs->file->bl.max_transfer;
        bl.opt_transfer = bs->file->bl.opt_transfer;
        bl.opt_mem_alignment = bs->file->bl.opt_mem_alignment;
    }
    return bl;
}

static int64_t cap_to_units(int64_t max, int64_t unit)
{
    return max > 0 ? (max < unit ? unit : ROUND_DOWN(max, unit)) : 0;
}

static int64_t raise_to_units(int64_t value, int64_t unit)
{
    return value > unit ? ROUND_UP(value, unit) : unit;
}

static bool is_power_of_2(uint64_t n)
{
    return n && !(n & (n - 1));
}

static void fill_in_limits(BlockLimits *bl)
{
    uint32_t align;

    if (bl->request_alignment < BDRV_SECTOR_SIZE) {
        bl->request_alignment = BDRV_SECTOR_SIZE;
    }
    align = bl->request_alignment;
    bl->max_transfer = cap_to_units(bl->max_transfer, align);
    bl->max_pwrite_zeroes = cap_to_units(bl->max_pwrite_zeroes, align);
    bl->max_pdiscard = cap_to_units(bl->max_pdiscard, align);
    bl->pwrite_zeroes_alignment = raise_to_units(bl->pwrite_zeroes_alignment, align);
    bl->pdiscard_alignment = raise_to_units(bl->pdiscard_alignment, align);
    if (bl->max_iov <= 0 || bl->max_iov > IOV_MAX_DEFAULT) {
        bl->max_iov = IOV_MAX_DEFAULT;
    }
    if (bl->min_mem_alignment == 0) {
        bl->min_mem_alignment = 1;
    }
    if (bl->opt_mem_alignment == 0) {
        bl->opt_mem_alignment = default_mem_alignment();
    }
    if (bl->opt_mem_alignment < bl->min_mem_alignment) {
        bl->opt_mem_alignment = bl->min_mem_alignment;
    }
}

int bdrv_refresh_limits(BlockDriverState *bs, Error **errp)
{
    BlockLimits bl = { 0 };
    Error *err = NULL;

    if (bs->drv) {
        bl = inherited_limits(bs);
        if (bs->drv->bdrv_refresh_limits) {
            bs->drv->bdrv_refresh_limits(bs, &bl, &err);
        }
    }
    fill_in_limits(&bl);
    if (!err && (!is_power_of_2(bl.request_alignment) || !is_power_of_2(bl.min_mem_alignment) ||
                 !is_power_of_2(bl.opt_mem_alignment) ||
                 bl.request_alignment > BDRV_MAX_ALIGNMENT)) {
        error_setg(&err, "Driver '%s' asks for an alignment that is not a power of two up to %d",
                   bs->drv->format_name, BDRV_MAX_ALIGNMENT);
    }
    if (err) {
        error_propagate(errp, err);
        return -EINVAL;
    }
    bs->bl = bl;
    return 0;
}

const BlockLimits *bdrv_limits(BlockDriverState *bs)
{
    return &bs->bl;
}

size_t bdrv_opt_mem_align(BlockDriverState *bs)
{
    return bs && bs->drv ? bs->bl.opt_mem_alignment : default_mem_alignment();
}

/* ---- event loops ---- */

AioContext *bdrv_get_aio_context(BlockDriverState *bs)
{
    return bs->ctx;
}

void bdrv_detach_aio_context(BlockDriverState *bs)
{
    BdrvChild *child;

    if (bs->drv && bs->drv->bdrv_detach_aio_context) {
        bs->drv->bdrv_detach_aio_context(bs);
    }
    if (bs->file) {
        bdrv_detach_aio_context(bs->file);
    }
    if (bs->backing) {
        bdrv_detach_aio_context(bs->backing);
    }
    LIST_FOREACH(child, &bs->children, link) {
        bdrv_detach_aio_context(child->bs);
    }
    /* A drained section follows the node into its new loop. */
    for (int i = 0; i < bs->external_off; i++) {
        aio_enable_external(bs->ctx);
    }
}

void bdrv_attach_aio_context(BlockDriverState *bs, AioContext *new_context)
{
    BdrvChild *child;

    LIST_FOREACH(child, &bs->children, link) {
        bdrv_attach_aio_context(child->bs, new_context);
    }
    if (bs->backing) {
        bdrv_attach_aio_context(bs->backing, new_context);
    }
    if (bs->file) {
        bdrv_attach_aio_context(bs->file, new_context);
    }
    bs->ctx = new_context;
    for (int i = 0; i < bs->external_off; i++) {
        aio_disable_external(new_context);
    }
    if (bs->drv && bs->drv->bdrv_attach_aio_context) {
        bs->drv->bdrv_attach_aio_context(bs, new_context);
    }
}

void bdrv_move_to_context(BlockDriverState *bs, AioContext *ctx)
{
    if (bs->ctx == ctx) {
        return;
    }
    bdrv_drained_begin(bs);
    bdrv_detach_aio_context(bs);
    aio_context_acquire(ctx);
    bdrv_attach_aio_context(bs, ctx);
    aio_context_release(ctx);
    bdrv_drained_end(bs);
}
