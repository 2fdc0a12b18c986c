/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PROGRAM FILE...
 *
 * Gives a fuzz target the inputs in these files, one after the other: what libFuzzer does with
 * them, for builds without it.
 */
#include "fuzz/fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole file, in memory of its exact size, so that reads behind it are seen. */
static bool replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;

    if (file && fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
        rewind(file);
    }
    data = size >= 0 ? malloc((size_t)size) : NULL;
    if (data && fread(data, 1, (size_t)size, file) == (size_t)size) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
    } else {
        fprintf(stderr, "cannot read '%s'\n", path);
        size = -1;
    }
    free(data);
    if (file) {
        fclose(file);
    }
    return size >= 0;
}

int main(int argc, char **argv)
{
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        printf("%s\n", argv[i]);
        fflush(stdout);
        if (!replay(argv[i])) {
            return 1;
        }
    }
    return argc < 2;
}
