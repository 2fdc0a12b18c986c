/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What /proc knows of a server and its children.
 */
#include "bench/load-proc.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_stat(pid_t pid, struct proc *p)
{
    char path[64], buf[1024], *q;
    unsigned long long user, system;
    size_t n;
    int ppid;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f) {
        return false;
    }
    n = fread(buf, 1, sizeof(buf) - 1, f);
    fclose(f);
    buf[n] = 0;
    q = strrchr(buf, ')');
    if (!q || sscanf(q + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                     &ppid, &user, &system) != 3) {
        return false;
    }
    p->pid = pid;
    p->ppid = ppid;
    p->ticks = user + system;
    return true;
}

/* Fills `out` with `pid` and all its descendants; returns how many. */
static size_t proc_tree(pid_t pid, struct proc *out, size_t max)
{
    static struct proc all[2 * PROC_MAX];
    size_t n_all = 0, n = 1;
    struct dirent *e;
    DIR *d;

    if (!read_stat(pid, &out[0])) {
        return 0;
    }
    d = opendir("/proc");
    if (!d) {
        return n;
    }
    while ((e = readdir(d)) && n_all < 2 * PROC_MAX) {
        if (isdigit((unsigned char)e->d_name[0]) &&
            read_stat((pid_t)atoi(e->d_name), &all[n_all])) {
            n_all++;
        }
    }
    closedir(d);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_all && n < max; j++) {
            if (all[j].ppid == out[i].pid && all[j].pid != out[i].pid) {
                out[n++] = all[j];
            }
        }
    }
    return n;
}

void cpu_read(struct cpu *c, pid_t pid)
{
    unsigned long long v[8] = { 0 };
    FILE *f;

    c->n = pid ? proc_tree(pid, c->procs, PROC_MAX) : 0;
    c->busy = c->total = 0;
    f = fopen("/proc/stat", "re");
    if (!f) {
        return;
    }
    if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &v[6], &v[7]) != 8) {
        memset(v, 0, sizeof(v));
    }
    fclose(f);
    for (int i = 0; i < 8; i++) {
        c->total += v[i];
    }
    c->busy = c->total - v[3] - v[4];       /* idle, waiting */
}

double cpu_seconds(const struct cpu *before, const struct cpu *after)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < after->n; i++) {
        uint64_t earlier = 0;

        for (size_t j = 0; j < before->n; j++) {
            if (before->procs[j].pid == after->procs[i].pid) {
                earlier = before->procs[j].ticks;
            }
        }
        if (after->procs[i].ticks > earlier) {
            sum += after->procs[i].ticks - earlier;
        }
    }
    return (double)sum / (double)sysconf(_SC_CLK_TCK);
}

double cpu_foreign_percent(const struct cpu *before, const struct cpu *after, double own_seconds)
{
    double total = (double)(after->total - before->total);
    double busy = (double)(after->busy - before->busy) -
                  own_seconds * (double)sysconf(_SC_CLK_TCK);

    return total > 0 && busy > 0 ? 100.0 * busy / total : 0.0;
}

void memory_read(struct memory *m, pid_t pid)
{
    static struct proc tree[PROC_MAX];
    size_t n = proc_tree(pid, tree, PROC_MAX);

    *m = (struct memory){ .procs = (unsigned)n };
    for (size_t i = 0; i < n; i++) {
        char path[64], line[256];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)tree[i].pid);
        f = fopen(path, "re");
        if (!f) {
            continue;
        }
        while (fgets(line, sizeof(line), f)) {
            unsigned long long v;

            if (sscanf(line, "Rss: %llu", &v) == 1) {
                m->rss_kb += v;
            } else if (sscanf(line, "Pss: %llu", &v) == 1) {
                m->pss_kb += v;
            } else if (sscanf(line, "Private_Dirty: %llu", &v) == 1) {
                m->dirty_kb += v;
            }
        }
        fclose(f);
    }
}
