/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A second opinion on a qcow2 image in memory: walks all that the header, the tables and the
 * snapshots point to and compares it with the counts.  Shares no code with the driver.
 */
#ifndef TESTS_QCOW2_WALK_H
#define TESTS_QCOW2_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Qcow2Walk {
    bool dirty;                 /* its counts may be wrong until it is repaired */
    unsigned leaks, errors;
    char first[200];            /* what is wrong, "" if nothing */
} Qcow2Walk;

/* `size` bytes; behind them are zeroes. */
void qcow2_walk(const uint8_t *image, size_t size, Qcow2Walk *walk);

#endif
