/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cache of equally sized pieces of metadata, found by their place in the file.
 *
 * What leaves to make room is chosen by a clock: a table that was used since
 * the hand last passed gets another round.  Memory for a table is taken when
 * it is first needed, so a large limit costs a small image nothing.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static uint32_t log2_up(uint64_t n)
{
    uint32_t bits = 0;

    while ((UINT64_C(1) << bits) < n) {
        bits++;
    }
    return bits;
}

int qcow2_cache_init(Qcow2Cache *c, uint32_t table_size, uint64_t bytes, unsigned area,
                     pthread_mutex_t *map_lock)
{
    uint64_t count = bytes / table_size;

    memset(c, 0, sizeof(*c));
    c->table_size = table_size;
    c->count = count < 2 ? 2 : count > (1u << 24) ? 1u << 24 : (uint32_t)count;
    c->hash_bits = log2_up(c->count);
    c->map_lock = map_lock;
    c->area = area;
    c->tables = calloc(c->count, sizeof(c->tables[0]));
    c->hash = calloc((size_t)1 << c->hash_bits, sizeof(c->hash[0]));
    if (!c->tables || !c->hash) {
        qcow2_cache_destroy(c);
        return -ENOMEM;
    }
    return 0;
}

void qcow2_cache_destroy(Qcow2Cache *c)
{
    for (uint32_t i = 0; c->tables && i < c->count; i++) {
        qemu_vfree(c->tables[i].data);
    }
    free(c->tables);
    free(c->hash);
    c->tables = NULL;
    c->hash = NULL;
}

/* ---- finding ---- */

static uint32_t *hash_head(const Qcow2Cache *c, uint64_t offset)
{
    uint64_t n = offset / c->table_size * UINT64_C(0x9e3779b97f4a7c15);

    return &c->hash[n >> (64 - c->hash_bits)];
}

Qcow2Table *qcow2_cache_find(Qcow2Cache *c, uint64_t offset)
{
    uint32_t i = *hash_head(c, offset);

    while (i) {
        Qcow2Table *table = &c->tables[i - 1];

        if (table->offset == offset) {
            if (!atomic_load_explicit(&table->used, memory_order_relaxed)) {
                atomic_store_explicit(&table->used, true, memory_order_relaxed);
            }
            return table;
        }
        i = table->next;
    }
    return NULL;
}

static void lock_map(Qcow2Cache *c)
{
    if (c->map_lock) {
        pthread_mutex_lock(c->map_lock);
    }
}

static void unlock_map(Qcow2Cache *c)
{
    if (c->map_lock) {
        pthread_mutex_unlock(c->map_lock);
    }
}

static void hash_insert(Qcow2Cache *c, Qcow2Table *table, uint64_t offset)
{
    uint32_t *head = hash_head(c, offset);

    lock_map(c);
    table->offset = offset;
    atomic_store_explicit(&table->used, true, memory_order_relaxed);
    table->next = *head;
    *head = (uint32_t)(table - c->tables) + 1;
    unlock_map(c);
}

static void hash_remove(Qcow2Cache *c, Qcow2Table *table)
{
    uint32_t *link = hash_head(c, table->offset), self = (uint32_t)(table - c->tables) + 1;

    lock_map(c);
    while (*link != self) {
        link = &c->tables[*link - 1].next;
    }
    *link = table->next;
    table->offset = 0;
    unlock_map(c);
    if (table->dirty) {
        table->dirty = false;
        c->dirty--;
    }
}

/* ---- making room ---- */

static Qcow2Table *choose_victim(Qcow2Cache *c)
{
    if (c->filled < c->count) {
        return &c->tables[c->filled++];
    }
    for (;;) {
        Qcow2Table *table = &c->tables[c->hand];

        c->hand = (c->hand + 1) % c->count;
        if (!table->offset || !atomic_exchange(&table->used, false)) {
            return table;
        }
    }
}

/* An empty table with memory; NULL with *ret set. */
static Qcow2Table *coroutine_fn make_room(BlockDriverState *bs, Qcow2Cache *c, int *ret)
{
    Qcow2Table *table = choose_victim(c);

    if (table->dirty) {
        *ret = qcow2_write_back(bs);
        if (*ret < 0) {
            return NULL;
        }
    }
    if (table->offset) {
        hash_remove(c, table);
    }
    if (!table->data) {
        table->data = qemu_try_memalign(bdrv_opt_mem_align(bdrv_file(bs)), c->table_size);
    }
    *ret = table->data ? 0 : -ENOMEM;
    return table->data ? table : NULL;
}

int coroutine_fn qcow2_cache_get(BlockDriverState *bs, Qcow2Cache *c, uint64_t offset,
                                 Qcow2Table **table)
{
    Qcow2Table *found = qcow2_cache_find(c, offset);
    int ret = 0;

    if (!found) {
        found = make_room(bs, c, &ret);
        if (!found) {
            return ret;
        }
        ret = bdrv_pread(bdrv_file(bs), (int64_t)offset, c->table_size, found->data);
        if (ret < 0) {
            return ret;
        }
        hash_insert(c, found, offset);
    }
    *table = found;
    return 0;
}

int coroutine_fn qcow2_cache_new(BlockDriverState *bs, Qcow2Cache *c, uint64_t offset,
                                 Qcow2Table **table)
{
    int ret = 0;

    qcow2_cache_forget(c, offset, c->table_size);
    *table = make_room(bs, c, &ret);
    if (*table) {
        memset((*table)->data, 0, c->table_size);
        hash_insert(c, *table, offset);
        qcow2_cache_dirty(bs, c, *table);
    }
    return ret;
}

/* ---- changed tables ---- */

void qcow2_cache_dirty(BlockDriverState *bs, Qcow2Cache *c, Qcow2Table *table)
{
    Qcow2State *s = bdrv_state(bs);

    if (!table->dirty) {
        table->dirty = true;
        c->dirty++;
    }
    atomic_store(&s->dirty, true);
}

void qcow2_cache_forget(Qcow2Cache *c, uint64_t offset, uint64_t bytes)
{
    for (uint64_t at = offset; at < offset + bytes; at += c->table_size) {
        Qcow2Table *table = qcow2_cache_find(c, at);

        if (table) {
            hash_remove(c, table);
        }
    }
}

void qcow2_cache_forget_all(Qcow2Cache *c)
{
    for (uint32_t i = 0; i < c->filled; i++) {
        if (c->tables[i].offset) {
            hash_remove(c, &c->tables[i]);
        }
    }
}

void qcow2_cache_clean(Qcow2Cache *c)
{
    for (uint32_t i = 0; i < c->filled; i++) {
        Qcow2Table *table = &c->tables[i];

        if (!table->dirty && !atomic_exchange(&table->used, false)) {
            if (table->offset) {
                hash_remove(c, table);
            }
            qemu_vfree(table->data);
            table->data = NULL;
        }
    }
}

int coroutine_fn qcow2_cache_write(BlockDriverState *bs, Qcow2Cache *c)
{
    int ret;

    for (uint32_t i = 0; c->dirty > 0 && i < c->filled; i++) {
        Qcow2Table *table = &c->tables[i];

        if (table->dirty) {
            ret = qcow2_check_table_write(bs, c->area, table->offset, c->table_size);
            if (ret < 0) {
                return ret;
            }
            ret = bdrv_pwrite(bdrv_file(bs), (int64_t)table->offset, c->table_size, table->data);
            if (ret < 0) {
                return ret;
            }
            table->dirty = false;
            c->dirty--;
        }
    }
    return 0;
}
