/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BlockBackends: their life, their names and their root.
 *
 * Two lists: all backends, and those registered under a name.  Neither holds a
 * reference.  The root changes in three places, blk_insert_bs(), blk_remove_bs()
 * and blk_replace_bs(), with requests kept away.
 */
#include "backend/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static TAILQ_HEAD(, BlockBackend) all_blks = TAILQ_HEAD_INITIALIZER(all_blks);
static TAILQ_HEAD(, BlockBackend) named_blks = TAILQ_HEAD_INITIALIZER(named_blks);

/* Guards blk->name against blk_name_copy(); the main thread reads it without. */
static pthread_mutex_t name_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- creation and references ---- */

static BlockBackend *blk_alloc(void)
{
    void *mem;

    if (posix_memalign(&mem, _Alignof(BlockBackend), sizeof(BlockBackend)) != 0) {
        abort();
    }
    memset(mem, 0, sizeof(BlockBackend));
    return mem;
}

static void blk_init_locks(BlockBackend *blk)
{
    pthread_mutexattr_t recursive;

    qemu_co_mutex_init(&blk->gate_lock);
    qemu_co_queue_init(&blk->gate_queue);
    pthread_mutex_init(&blk->parked_lock, NULL);
    TAILQ_INIT(&blk->parked);
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&blk->plug_lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
}

BlockBackend *blk_new(Error **errp)
{
    BlockBackend *blk = blk_alloc();

    (void)errp;
    blk->refcnt = 1;
    blk_init_locks(blk);
    blk_throttle_init(blk);
    notifier_list_init(&blk->remove_bs_notifiers);
    notifier_list_init(&blk->insert_bs_notifiers);
    LIST_INIT(&blk->aio_notifiers);
    blk->root_link.ops = &blk_parent_ops;
    blk->root_link.opaque = blk;
    TAILQ_INSERT_TAIL(&all_blks, blk, all_link);
    return blk;
}

BlockBackend *blk_new_with_bs(Error **errp)
{
    BlockBackend *blk = blk_new(errp);
    BlockDriverState *bs = bdrv_new();

    blk_insert_bs(blk, bs);
    bdrv_unref(bs);
    return blk;
}

BlockBackend *blk_new_open(const char *filename, const char *reference, QDict *options,
                           int flags, Error **errp)
{
    BlockBackend *blk;
    BlockDriverState *bs = NULL;

    if (bdrv_open(&bs, filename, reference, options, flags, errp) < 0) {
        return NULL;
    }
    if (bdrv_has_blk_parent(bs)) {
        error_setg(errp, "Node '%s' is already in use by another block backend",
                   bdrv_get_node_name(bs));
        bdrv_unref(bs);
        return NULL;
    }
    blk = blk_new(NULL);
    blk_insert_bs(blk, bs);
    bdrv_unref(bs);
    return blk;
}

int blk_get_refcnt(BlockBackend *blk)
{
    return blk ? blk->refcnt : 0;
}

void blk_ref(BlockBackend *blk)
{
    BLK_PRECONDITION(blk->refcnt > 0, "the backend is being destroyed");
    blk->refcnt++;
}

static void blk_delete(BlockBackend *blk)
{
    BLK_PRECONDITION(!blk->name, "the last reference went while the backend has a name");
    BLK_PRECONDITION(!blk_get_attached_dev(blk),
                     "the last reference went while a device is attached");
    TAILQ_REMOVE(&all_blks, blk, all_link);
    if (blk_root(blk)) {
        blk_remove_bs(blk);
        blk_drain(blk);     /* who waited at the root's gate has come in */
    }
    BLK_PRECONDITION(notifier_list_empty(&blk->remove_bs_notifiers) &&
                     notifier_list_empty(&blk->insert_bs_notifiers) &&
                     LIST_EMPTY(&blk->aio_notifiers),
                     "the last reference went while a notifier is registered");
    blk_throttle_cleanup(blk);
    block_acct_cleanup(&blk->stats);
    blk->dead = true;
    blk_free_if_dead(blk);
}

/* A callback that dropped the last reference is still counted in: its request frees. */
void blk_free_if_dead(BlockBackend *blk)
{
    if (!blk_counted(blk)) {
        pthread_mutex_destroy(&blk->parked_lock);
        pthread_mutex_destroy(&blk->plug_lock);
        free(blk);
    }
}

void blk_unref(BlockBackend *blk)
{
    if (!blk) {
        return;
    }
    BLK_PRECONDITION(blk->refcnt > 0, "more references dropped than taken");
    if (blk->refcnt == 1) {
        /* Still counted, so that callbacks may take references and drop them again. */
        blk_drain(blk);
    }
    if (--blk->refcnt == 0) {
        blk_delete(blk);
    }
}

BlockBackend *blk_all_next(BlockBackend *blk)
{
    return blk ? TAILQ_NEXT(blk, all_link) : TAILQ_FIRST(&all_blks);
}

/* blk_all_next() with references: takes one to the next backend, drops the one to blk. */
static BlockBackend *blk_all_next_ref(BlockBackend *blk)
{
    BlockBackend *next = blk_all_next(blk);

    if (next) {
        blk_ref(next);
    }
    blk_unref(blk);
    return next;
}

void blk_remove_all_bs(void)
{
    BlockBackend *blk = NULL;

    /* A notifier may drop the last reference but ours to this backend or to the next. */
    while ((blk = blk_all_next_ref(blk))) {
        AioContext *ctx = blk_get_aio_context(blk);

        aio_context_acquire(ctx);
        if (blk_root(blk)) {
            blk_remove_bs(blk);
        }
        aio_context_release(ctx);
    }
}

/* ---- names ---- */

static void blk_set_name(BlockBackend *blk, char *name)
{
    pthread_mutex_lock(&name_lock);
    free(blk->name);
    blk->name = name;
    pthread_mutex_unlock(&name_lock);
}

const char *blk_name(BlockBackend *blk)
{
    return blk->name ? blk->name : "";
}

char *blk_name_copy(BlockBackend *blk)
{
    char *copy;

    pthread_mutex_lock(&name_lock);
    copy = strdup(blk_name(blk));
    pthread_mutex_unlock(&name_lock);
    if (!copy) {
        abort();
    }
    return copy;
}

BlockBackend *blk_by_name(const char *name)
{
    BlockBackend *blk;

    BLK_PRECONDITION(name, "no name");
    TAILQ_FOREACH(blk, &named_blks, name_link) {
        if (strcmp(blk->name, name) == 0) {
            return blk;
        }
    }
    return NULL;
}

BlockBackend *blk_next(BlockBackend *blk)
{
    BLK_PRECONDITION(!blk || blk->name, "the backend is not registered");
    return blk ? TAILQ_NEXT(blk, name_link) : TAILQ_FIRST(&named_blks);
}

bool monitor_add_blk(BlockBackend *blk, const char *name, Error **errp)
{
    char *copy;

    BLK_PRECONDITION(!blk->name, "the backend has a name already");
    BLK_PRECONDITION(name && name[0], "no name");
    if (!bdrv_id_wellformed(name)) {
        error_setg(errp, "Invalid device name '%s'", name);
        error_append_hint(errp, "A name is a letter followed by letters, digits, "
                          "'-', '.' and '_'.\n");
        return false;
    }
    if (blk_by_name(name)) {
        error_setg(errp, "Device name '%s' is already in use", name);
        return false;
    }
    if (bdrv_find_node(name)) {
        error_setg(errp, "Device name '%s' is already the name of a node", name);
        return false;
    }
    copy = strdup(name);
    if (!copy) {
        abort();
    }
    blk_set_name(blk, copy);
    TAILQ_INSERT_TAIL(&named_blks, blk, name_link);
    return true;
}

void monitor_remove_blk(BlockBackend *blk)
{
    if (blk->name) {
        TAILQ_REMOVE(&named_blks, blk, name_link);
        blk_set_name(blk, NULL);
    }
}

static bool blk_name_in_use(const char *name)
{
    return blk_by_name(name) != NULL;
}

static BlockDriverState *blk_lookup_root(const char *name, bool *found)
{
    BlockBackend *blk = blk_by_name(name);

    *found = blk != NULL;
    return blk ? blk_root(blk) : NULL;
}

static void __attribute__((constructor)) blk_join_namespace(void)
{
    bdrv_name_in_use_elsewhere = blk_name_in_use;
    bdrv_lookup_backend = blk_lookup_root;
}

/* ---- root ---- */

BlockDriverState *blk_bs(BlockBackend *blk)
{
    return blk_root(blk);
}

static bool blk_looked_at(void *opaque)
{
    return blk_in_flight(opaque);
}

void blk_remove_bs(BlockBackend *blk)
{
    BlockDriverState *bs = blk_root(blk);

    BLK_PRECONDITION(bs, "the backend has no root");
    notifier_list_notify(&blk->remove_bs_notifiers, blk);
    bdrv_drained_begin(bs);
    blk_update_root_state(blk);
    atomic_store(&blk->root, NULL);
    /* Who asks for a property does not stop at the gate: blk_look_begin(). */
    bdrv_wait_while(bdrv_get_aio_context(bs), blk_looked_at, blk);
    blk_plug_forget(blk, bs);
    bdrv_remove_parent(bs, &blk->root_link);    /* the gate opens: -ENOMEDIUM for who waits */
    bdrv_drained_end(bs);
    bdrv_unref(bs);
}

void blk_insert_bs(BlockBackend *blk, BlockDriverState *bs)
{
    BLK_PRECONDITION(!blk_root(blk), "the backend has a root already");
    BLK_PRECONDITION(!bdrv_has_blk_parent(bs), "the node is another backend's root");
    bdrv_ref(bs);
    bdrv_add_parent(bs, &blk->root_link);
    atomic_store(&blk->root, bs);
    blk_plug_update(blk, bs);
    notifier_list_notify(&blk->insert_bs_notifiers, blk);
}

static int check_replacement(BlockBackend *blk, BlockDriverState *bs, Error **errp)
{
    if (!blk_root(blk)) {
        error_setg(errp, "Device '%s' has no medium", blk_name(blk));
        return -ENOMEDIUM;
    }
    if (bdrv_has_blk_parent(bs)) {
        error_setg(errp, "Node '%s' is already in use by another block backend",
                   bdrv_get_node_name(bs));
        return -EBUSY;
    }
    return 0;
}

/* No request is in flight.  What is a node's, and was set for this backend's clients, stays. */
static void exchange_root(BlockBackend *blk, BlockDriverState *old, BlockDriverState *bs)
{
    bdrv_set_enable_write_cache(bs, atomic_load(&old->enable_write_cache));
    atomic_store(&bs->detect_zeroes, atomic_load(&old->detect_zeroes));
    bdrv_ref(bs);
    atomic_store(&blk->root, bs);
    bdrv_wait_while(bdrv_get_aio_context(bs), blk_looked_at, blk);
    blk_plug_forget(blk, old);
    bdrv_move_op_blockers(old, bs);
    bdrv_remove_parent(old, &blk->root_link);
    bdrv_add_parent(bs, &blk->root_link);
    blk_plug_update(blk, bs);
}

int blk_replace_bs(BlockBackend *blk, BlockDriverState *bs, Error **errp)
{
    BlockDriverState *old = blk_root(blk);
    int ret = check_replacement(blk, bs, errp);

    if (ret < 0) {
        return ret;
    }
    blk_drained_begin(blk);             /* holds its gate while it is no node's parent */
    bdrv_drained_begin(old);
    bdrv_move_to_context(bs, bdrv_get_aio_context(old));
    exchange_root(blk, old, bs);
    bdrv_drained_end(old);
    blk_drained_end(blk);
    bdrv_unref(old);
    return 0;
}

void blk_hide_on_behalf_of_hmp_drive_del(BlockBackend *blk)
{
    monitor_remove_blk(blk);
    if (blk_root(blk)) {
        bdrv_drop_node_name(blk_root(blk));
    }
}

void blk_add_remove_bs_notifier(BlockBackend *blk, Notifier *notify)
{
    notifier_list_add(&blk->remove_bs_notifiers, notify);
}

void blk_add_insert_bs_notifier(BlockBackend *blk, Notifier *notify)
{
    notifier_list_add(&blk->insert_bs_notifiers, notify);
}
