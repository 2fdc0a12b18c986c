/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots as a table. */
#include "tools/img.h"

#include <inttypes.h>
#include <time.h>

void img_print_snapshot(const QEMUSnapshotInfo *sn)
{
    char date[64], clock[64], icount[32] = "", size[SIZE_STR_LEN];
    uint64_t ms;
    time_t sec;
    struct tm tm;

    if (!sn) {
        printf("%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK",
               "ICOUNT");
        return;
    }
    sec = sn->date_sec;
    ms = sn->vm_clock_nsec / 1000000;
    localtime_r(&sec, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(clock, sizeof(clock), "%02d:%02d:%02d.%03d", (int)(ms / 3600000),
             (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
    if (sn->icount != UINT64_MAX) {
        snprintf(icount, sizeof(icount), "%" PRId64, (int64_t)sn->icount);
    }
    printf("%-9s %-16s %8s%20s%13s%11s\n", sn->id_str, sn->name,
           size_str(sn->vm_state_size, size), date, clock, icount);
}
