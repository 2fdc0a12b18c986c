/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clusters out of use, on their way to be free again.
 *
 * Two things must be over before such a cluster may hold something else.  On
 * the disk, nothing may point to it: or a power cut would show the new data in
 * the old place.  And no request may still be at it that looked it up before:
 * requests pin the epoch in which they did; an epoch ends when the one before
 * it has no requests left; so two ends later, those of its own are gone.
 */
#include "drivers/qcow2/qcow2.h"

#include <stdlib.h>
#include <string.h>

#define DUE_ENTRIES 1024u
#define DUE_BYTES (256u << 20)

void qcow2_unpin(Qcow2State *s, Qcow2Pin pin)
{
    if (pin >= 0) {
        atomic_fetch_sub_explicit(&s->pinned[pin], 1, memory_order_release);
    }
}

/* Ends up to two epochs, as far as requests let it. */
static void advance_epoch(Qcow2State *s)
{
    pthread_mutex_lock(&s->map_lock);
    for (int i = 0; i < 2; i++) {
        if (atomic_load_explicit(&s->pinned[(s->epoch + 1) & 1], memory_order_acquire) == 0) {
            s->epoch++;
        }
    }
    pthread_mutex_unlock(&s->map_lock);
}

/* ---- in ---- */

static bool extend_last(Qcow2State *s, uint64_t first, uint64_t count, Qcow2Discard discard)
{
    Qcow2Freed *last = s->freed_count ? &s->freed[s->freed_count - 1] : NULL;

    if (!last || last->discard != discard || last->epoch != s->epoch ||
        last->first + last->count != first) {
        return false;
    }
    last->count += count;
    return true;
}

static bool make_room(Qcow2State *s)
{
    uint32_t room = s->freed_room ? 2 * s->freed_room : 64;
    Qcow2Freed *larger;

    if (s->freed_count < s->freed_room) {
        return true;
    }
    larger = realloc(s->freed, room * sizeof(larger[0]));
    if (larger) {
        s->freed = larger;
        s->freed_room = room;
    }
    return larger != NULL;
}

void qcow2_free_later(Qcow2State *s, uint64_t first, uint64_t count, Qcow2Discard discard)
{
    if (!extend_last(s, first, count, discard)) {
        if (!make_room(s)) {
            return;   /* without memory they are leaked, which `check` can mend */
        }
        s->freed[s->freed_count++] = (Qcow2Freed){ .first = first, .count = count,
                                                   .epoch = s->epoch, .discard = discard };
    }
    s->freed_clusters += count;
    atomic_store(&s->dirty, true);
}

void qcow2_free_entry_later(Qcow2State *s, uint64_t entry, Qcow2Discard discard)
{
    uint64_t offset;
    uint32_t bytes;

    if (s->external) {
        return;
    }
    if (entry & QCOW2_COMPRESSED) {
        qcow2_compressed_place(s, entry, &offset, &bytes);
        qcow2_free_later(s, qcow2_cluster_of(s, offset),
                         qcow2_cluster_of(s, offset + bytes - 1) - qcow2_cluster_of(s, offset) + 1,
                         discard);
    } else if (entry & QCOW2_OFFSET_MASK) {
        qcow2_free_later(s, (entry & QCOW2_OFFSET_MASK) >> s->cluster_bits, 1, discard);
    }
}

bool qcow2_reclaim_is_due(const Qcow2State *s)
{
    return s->freed_count >= DUE_ENTRIES ||
           s->freed_clusters >= DUE_BYTES >> s->cluster_bits;
}

/* ---- out ---- */

/* Runs of clusters that nobody uses any more give their space back: a hint. */
static void coroutine_fn discard_unused(BlockDriverState *bs, uint64_t first, uint64_t count)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t run = 0, refcount;

    for (uint64_t i = 0; i <= count; i++) {
        if (i < count && qcow2_get_refcount(bs, first + i, &refcount) == 0 && refcount == 0) {
            run++;
        } else if (run > 0) {
            bdrv_co_pdiscard(bdrv_file(bs), (int64_t)((first + i - run) << s->cluster_bits),
                             (int64_t)(run << s->cluster_bits));
            run = 0;
        }
    }
}

int coroutine_fn qcow2_reclaim(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t done = 0;
    int ret = 0;

    advance_epoch(s);
    while (done < s->freed_count && ret == 0 && s->epoch - s->freed[done].epoch >= 2) {
        Qcow2Freed *freed = &s->freed[done++];

        s->freed_clusters -= freed->count;
        ret = qcow2_change_refcount(bs, freed->first, freed->count, -1);
        if (ret == 0 && s->pass_discard[freed->discard]) {
            discard_unused(bs, freed->first, freed->count);
        }
    }
    s->freed_count -= done;
    memmove(s->freed, s->freed + done, s->freed_count * sizeof(s->freed[0]));
    return ret;
}
