/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a request took, and what that is in a second. */
#include "tools/io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/tool.h"

#define NS_PER_SECOND 1000000000

int64_t io_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

/* "00.01 sec", or with hours and minutes. */
static void format_time(int64_t ns, bool always_hours, char *text, size_t size)
{
    int64_t seconds = ns / NS_PER_SECOND;
    double fraction = (double)(ns % NS_PER_SECOND) / NS_PER_SECOND;

    if (always_hours || seconds) {
        snprintf(text, size, "%u:%02u:%05.2f", (unsigned)(seconds / 3600),
                 (unsigned)(seconds / 60 % 60), (double)(seconds % 60) + fraction);
    } else {
        snprintf(text, size, "%05.2f sec", fraction);
    }
}

void io_print_report(const IoOptions *o, const char *verb, int64_t ns, int64_t offset,
                     int64_t bytes)
{
    double seconds = (double)ns / NS_PER_SECOND;
    char size[CVTSTR_LEN], rate[CVTSTR_LEN], time[64];

    if (o->given['q']) {
        return;
    }
    format_time(ns, o->given['C'], time, sizeof(time));
    if (o->given['C']) {
        printf("%" PRId64 ",1,%s,%.3f,%.3f\n", bytes, time, (double)bytes / seconds, 1 / seconds);
        return;
    }
    printf("%s %" PRId64 "/%" PRId64 " bytes at offset %" PRId64 "\n", verb, bytes, bytes, offset);
    printf("%s, 1 ops; %s (%s/sec and %.4f ops/sec)\n", cvtstr((double)bytes, size), time,
           cvtstr((double)bytes / seconds, rate), 1 / seconds);
}

void io_print_failure(const char *what, int error)
{
    printf("%s failed: %s\n", what, strerror(-error));
}
