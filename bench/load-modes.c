/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is measured without load: idle connections, and the time to a server's first reply.
 */
#include "bench/load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/load-proc.h"

int mode_idle(struct conn *conns)
{
    static struct cpu before, after;
    struct memory m0, m1;
    uint64_t t0, t1;

    if (!o.pid) {
        fatal(NULL, EX_CONN, "--idle needs --pid");
    }
    memory_read(&m0, o.pid);
    t0 = now_ns();
    for (unsigned i = 0; i < o.conns; i++) {
        conns[i].id = i;
        conns[i].fd = dial();
        if (conns[i].fd < 0) {
            fatal(&conns[i], EX_CONN, "connecting: %s", strerror(errno));
        }
        conn_handshake(&conns[i]);
    }
    t1 = now_ns();
    cpu_read(&before, o.pid);
    nap(o.idle);
    cpu_read(&after, o.pid);
    memory_read(&m1, o.pid);
    putchar('{');
    json_str("label", o.label);
    printf("\"idle_conns\":%u,\"rss0_kb\":%llu,\"dirty0_kb\":%llu,\"procs0\":%u,\"rss_kb\":%llu,"
           "\"dirty_kb\":%llu,\"procs\":%u,\"dirty_kb_per_conn\":%.1f,\"connect_us\":%.1f,"
           "\"idle_cpu_s\":%.2f}\n",
           o.conns, (unsigned long long)m0.rss_kb, (unsigned long long)m0.dirty_kb, m0.procs,
           (unsigned long long)m1.rss_kb, (unsigned long long)m1.dirty_kb, m1.procs,
           ((double)m1.dirty_kb - (double)m0.dirty_kb) / o.conns,
           (double)(t1 - t0) / 1000.0 / o.conns, cpu_seconds(&before, &after));
    for (unsigned i = 0; i < o.conns; i++) {
        conn_leave(&conns[i]);
    }
    return EX_FINE;
}

static pid_t spawn(char **argv)
{
    pid_t pid = fork();

    if (pid < 0) {
        fatal(NULL, EX_CONN, "fork: %s", strerror(errno));
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    return pid;
}

/* Connects as soon as the server listens. */
static int dial_eagerly(pid_t pid)
{
    uint64_t deadline = now_ns() + (uint64_t)(o.stall * 1e9);
    int fd, status;

    while ((fd = dial()) < 0) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            fatal(NULL, EX_CONN, "the server ended with status %#x", (unsigned)status);
        }
        if (now_ns() > deadline) {
            kill(pid, SIGKILL);
            fatal(NULL, EX_STALL, "no server after %g s", o.stall);
        }
        nap(0.00005);
    }
    return fd;
}

static void first_read(struct conn *c)
{
    struct nbd_request h = { .magic = htobe32(NBD_REQUEST_MAGIC), .type = htobe16(NBD_CMD_READ),
                             .cookie = htobe64(42), .len = htobe32((uint32_t)o.bs) };
    struct nbd_simple_reply r;
    uint8_t *buf = xcalloc(1, o.bs);

    conn_send(c, &h, sizeof(h));
    conn_read(c, &r, sizeof(r), "the first reply");
    if (be32toh(r.magic) != NBD_SIMPLE_REPLY_MAGIC || be64toh(r.cookie) != 42 || r.error) {
        fatal(c, EX_PROTO, "first reply: magic %08x, error %u", be32toh(r.magic),
              be32toh(r.error));
    }
    conn_read(c, buf, o.bs, "the first reply's data");
    free(buf);
}

int mode_first_reply(char **argv)
{
    static struct cpu none, used;
    struct conn c = { 0 };
    struct memory m;
    uint64_t t0, t1, t2;
    pid_t pid;

    o.structured = false;
    t0 = now_ns();
    pid = spawn(argv);
    c.fd = dial_eagerly(pid);
    t1 = now_ns();
    conn_handshake(&c);
    first_read(&c);
    t2 = now_ns();
    memory_read(&m, pid);
    cpu_read(&used, pid);
    conn_leave(&c);
    putchar('{');
    json_str("label", o.label);
    printf("\"first_reply_ms\":%.3f,\"connect_ms\":%.3f,\"rss_kb\":%llu,\"pss_kb\":%llu,"
           "\"dirty_kb\":%llu,\"procs\":%u,\"start_cpu_s\":%.2f}\n",
           (double)(t2 - t0) / 1e6, (double)(t1 - t0) / 1e6, (unsigned long long)m.rss_kb,
           (unsigned long long)m.pss_kb, (unsigned long long)m.dirty_kb, m.procs,
           cpu_seconds(&none, &used));
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return EX_FINE;
}
