/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* has-engine NAME: status 0 if the event engine works here, else 1, and says why not. */
#include <stdio.h>

#include <blkbackend/aio.h>

int main(int argc, char **argv)
{
    Error *err = NULL;

    if (argc != 2) {
        fprintf(stderr, "usage: has-engine NAME\n");
        return 2;
    }
    if (aio_set_engine(argv[1], &err) < 0) {
        puts(error_get_pretty(err));
        error_free(err);
        return 1;
    }
    return 0;
}
