/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Linked into programs that do not ask for an event engine: $ENGINE chooses it, before main(). */
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

static void __attribute__((constructor)) choose_engine(void)
{
    const char *engine = getenv("ENGINE");

    if (engine && strcmp(engine, "auto") != 0) {
        aio_set_engine(engine, &error_fatal);
    }
}
