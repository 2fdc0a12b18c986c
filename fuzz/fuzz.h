/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a fuzz target is made of, as libFuzzer wants it; replay.c calls it without libFuzzer. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Once, before all else. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
/* One input; 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
