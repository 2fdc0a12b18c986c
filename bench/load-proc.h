/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processor time and memory of a server: its process and all that descend from it.
 */
#ifndef BENCH_LOAD_PROC_H
#define BENCH_LOAD_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_MAX 4096

struct proc {
    pid_t pid, ppid;
    uint64_t ticks;
};

/*
 * Processor time as seen at one moment.  Differences are taken process by
 * process: a child that served an earlier connection and ends meanwhile must
 * not count, one that appears meanwhile counts in full.
 */
struct cpu {
    size_t n;
    struct proc procs[PROC_MAX];
    uint64_t busy, total;       /* the whole machine, in ticks */
};

void cpu_read(struct cpu *c, pid_t pid);
double cpu_seconds(const struct cpu *before, const struct cpu *after);
/* Share of the machine, in percent, used by neither the server nor us (`own_seconds`). */
double cpu_foreign_percent(const struct cpu *before, const struct cpu *after, double own_seconds);

struct memory {
    uint64_t rss_kb, pss_kb, dirty_kb;
    unsigned procs;
};

void memory_read(struct memory *m, pid_t pid);

#endif
