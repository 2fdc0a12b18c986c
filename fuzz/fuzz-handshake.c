/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: any bytes as what an NBD client sends, from the first one on.
 *
 *     how the bytes arrive (1 byte) │ the client's flags, its options, and what follows
 */
#include "fuzz/fuzz.h"
#include "fuzz/server-target.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    server_target_init(NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        server_target_run(data + 1, size - 1, data[0]);
    }
    return 0;
}
