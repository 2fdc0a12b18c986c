/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The states that a power cut could leave, one after the other in ram_files[0]. */
#ifndef TESTS_CUT_STATES_H
#define TESTS_CUT_STATES_H

#include "tests/cut-log.h"

typedef struct CutChoice {
    int at_random;                      /* states at a moment, beside the two extremes */
    unsigned (*roll)(unsigned n);       /* 0 to n - 1 */
    void (*judge)(void);
} CutChoice;

/* The arguments of cut_log_open(). */
void cut_try_all_moments(const CutChoice *choice, const char *path, const uint8_t *disk,
                         size_t size, size_t room);

#endif
