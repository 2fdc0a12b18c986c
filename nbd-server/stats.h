/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What clients have asked for, and how long it took: counters that only grow.
 *
 * Each connection counts for itself, so no request touches memory that another thread writes.  Who
 * wants to know sums up the connections of an export; one that ends leaves its sums with the export
 * in the moment in which it leaves the export's list, so that nothing is missed or counted twice.
 */
#ifndef NBD_EXPORT_STATS_H
#define NBD_EXPORT_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Export Export;

enum stats_command {
    STATS_READ, STATS_WRITE, STATS_FLUSH, STATS_TRIM, STATS_WRITE_ZEROES, STATS_CACHE,
    STATS_BLOCK_STATUS,
    STATS_COMMANDS,
    STATS_UNKNOWN = STATS_COMMANDS,     /* has errors only */
};

/* Latencies are sorted into bins: [0, bound 0], (bound 0, bound 1] ... (last bound, for ever). */
#define STATS_BOUNDS 20
extern const uint64_t stats_bounds_ns[STATS_BOUNDS];
/* "write zeroes" is "write_zeroes": a word. */
extern const char *const stats_command_names[STATS_COMMANDS + 1];
/* Its length is a number of bytes that are read, written or changed. */
bool stats_command_has_bytes(enum stats_command command);

typedef struct CommandStats {
    _Atomic uint64_t operations;        /* that succeeded */
    _Atomic uint64_t errors;            /* that were refused, or failed */
    _Atomic uint64_t bytes;             /* of those that succeeded: the part of the export.  Says
                                         * something if stats_command_has_bytes() */
    _Atomic uint64_t total_ns;          /* of all that were not refused, like the bins */
    _Atomic uint64_t bins[STATS_BOUNDS + 1];
} CommandStats;

typedef struct Stats {
    CommandStats commands[STATS_COMMANDS + 1];
    _Atomic uint64_t in_flight;         /* started, and not done */
} Stats;

/* Of handshakes. */
typedef struct HandshakeStats {
    _Atomic uint64_t ok, failed;
    _Atomic uint64_t left;              /* the client chose no export, and left in order */
} HandshakeStats;

/* A request begins, ends after so long: in the thread that all of this `stats` counts in. */
void stats_begin(Stats *stats);
void stats_end(Stats *stats, enum stats_command command, uint64_t ns, uint64_t len, bool ok);
void stats_refused(Stats *stats, enum stats_command command);

/* What clients got to read, and had written: zeroes, too. */
uint64_t stats_bytes_read(const Stats *stats);
uint64_t stats_bytes_written(const Stats *stats);
/* Counts `from` into `to`, which others may read meanwhile. */
void stats_add(Stats *to, const Stats *from);
/* Of all clients that the export has, and has had.  [any thread] */
void stats_of_export(Export *export, Stats *sum);

#endif
