/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting requests, and summing up what was counted.
 */
#include "stats.h"

#include <string.h>

#include "conn-int.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

const uint64_t stats_bounds_ns[STATS_BOUNDS] = {
    10 * US, 20 * US, 50 * US, 100 * US, 200 * US, 500 * US,
    1 * MS, 2 * MS, 5 * MS, 10 * MS, 20 * MS, 50 * MS, 100 * MS, 200 * MS, 500 * MS,
    1 * S, 2 * S, 5 * S, 10 * S, 20 * S,
};

const char *const stats_command_names[STATS_COMMANDS + 1] = {
    [STATS_READ] = "read",
    [STATS_WRITE] = "write",
    [STATS_FLUSH] = "flush",
    [STATS_TRIM] = "trim",
    [STATS_WRITE_ZEROES] = "write_zeroes",
    [STATS_CACHE] = "cache",
    [STATS_BLOCK_STATUS] = "block_status",
    [STATS_UNKNOWN] = "unknown",
};

bool stats_command_has_bytes(enum stats_command command)
{
    return command != STATS_FLUSH && command != STATS_BLOCK_STATUS;
}

/* ---- counting ---- */

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* There is one writer: it takes no locked instruction. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, get(counter) + n, memory_order_relaxed);
}

/* The shorter a request, the sooner it is found: one that took long does not mind. */
static unsigned find_bin(uint64_t ns)
{
    unsigned bin = 0;

    while (bin < STATS_BOUNDS && ns > stats_bounds_ns[bin]) {
        bin++;
    }
    return bin;
}

void stats_begin(Stats *stats)
{
    add(&stats->in_flight, 1);
}

void stats_end(Stats *stats, enum stats_command command, uint64_t ns, uint64_t len, bool ok)
{
    CommandStats *c = &stats->commands[command];

    if (ok) {
        add(&c->operations, 1);
        add(&c->bytes, len);
    } else {
        add(&c->errors, 1);
    }
    add(&c->total_ns, ns);
    add(&c->bins[find_bin(ns)], 1);
    add(&stats->in_flight, (uint64_t)-1);
}

void stats_refused(Stats *stats, enum stats_command command)
{
    add(&stats->commands[command].errors, 1);
}

/* ---- summing up ---- */

uint64_t stats_bytes_read(const Stats *stats)
{
    return get(&stats->commands[STATS_READ].bytes);
}

uint64_t stats_bytes_written(const Stats *stats)
{
    return get(&stats->commands[STATS_WRITE].bytes) +
           get(&stats->commands[STATS_WRITE_ZEROES].bytes);
}

void stats_add(Stats *to, const Stats *from)
{
    add(&to->in_flight, get(&from->in_flight));
    for (unsigned i = 0; i <= STATS_COMMANDS; i++) {
        CommandStats *t = &to->commands[i];
        const CommandStats *f = &from->commands[i];

        add(&t->operations, get(&f->operations));
        add(&t->errors, get(&f->errors));
        add(&t->bytes, get(&f->bytes));
        add(&t->total_ns, get(&f->total_ns));
        for (unsigned bin = 0; bin <= STATS_BOUNDS; bin++) {
            add(&t->bins[bin], get(&f->bins[bin]));
        }
    }
}

void stats_of_export(Export *export, Stats *sum)
{
    Conn *conn;

    memset(sum, 0, sizeof(*sum));
    pthread_mutex_lock(&export->lock);
    stats_add(sum, &export->gone);
    TAILQ_FOREACH(conn, &export->conns, export_link) {
        stats_add(sum, &client_of(conn)->stats);
    }
    pthread_mutex_unlock(&export->lock);
}
