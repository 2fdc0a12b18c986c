/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a power cut can leave of a disk, see cut-log.h. */
#include "tests/cut-log.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEQ 65536

static void die(const char *what, const char *more)
{
    fprintf(stderr, "%s: %s\n", what, more);
    abort();
}

static void *need(void *memory)
{
    if (!memory) {
        die("malloc", "no memory");
    }
    return memory;
}

/* ---- reading ---- */

typedef struct Reader {
    CutLog *log;
    int64_t at;                         /* behind the line */
    int64_t size;                       /* of the disk */
    size_t *by_seq;                     /* index of a request + 1 */
    int64_t flush_arrived[MAX_SEQ];
} Reader;

static void add_moment(CutLog *log, int64_t moment)
{
    if (log->moment_count == log->moment_room) {
        log->moment_room = 2 * log->moment_room + 64;
        log->moments = need(realloc(log->moments, log->moment_room * sizeof(log->moments[0])));
    }
    log->moments[log->moment_count++] = moment;
}

static bool changes_disk(const char *op)
{
    return strcmp(op, "write") == 0 || strcmp(op, "write-zeroes") == 0 ||
           strcmp(op, "discard") == 0;
}

static void add_request(Reader *r, uint64_t seq, int64_t offset, int64_t bytes, int64_t data)
{
    CutLog *log = r->log;

    if (log->count == log->room) {
        log->room = 2 * log->room + 64;
        log->requests = need(realloc(log->requests, log->room * sizeof(log->requests[0])));
    }
    log->requests[log->count++] = (CutRequest){
        .offset = offset, .bytes = bytes, .passed = bytes, .data = data, .arrived = r->at,
        .ended = CUT_NEVER, .certain = CUT_NEVER,
    };
    r->by_seq[seq] = log->count;
    add_moment(log, r->at);
}

static void arrive(Reader *r, uint64_t seq, const char *op, int64_t offset, int64_t bytes,
                   const char *data)
{
    if (changes_disk(op)) {
        add_request(r, seq, offset, bytes, data[0] == '-' ? -1 : strtoll(data, NULL, 10));
    } else if (strcmp(op, "flush-to-disk") == 0) {
        r->flush_arrived[seq] = r->at;
    } else if (strcmp(op, "truncate") == 0) {
        add_request(r, seq, offset, 0, -1);
        r->log->requests[r->log->count - 1].cuts = offset < r->size;
        r->log->requests[r->log->count - 1].grows = offset >= r->size;
    }
}

/* As far as it shows in the log. */
static void follow_size(Reader *r, const CutRequest *req)
{
    int64_t end = req->offset + req->passed;

    r->size = req->cuts || end > r->size ? end : r->size;
}

/* A discard is a hint: every other one leaves what was there. */
static void end_request(Reader *r, size_t i, bool is_discard, bool fua, int64_t result,
                        int64_t passed)
{
    CutRequest *req = &r->log->requests[i];

    req->passed = is_discard && i % 2 ? 0 : passed;
    if (result >= 0) {
        req->ended = r->at;
        follow_size(r, req);
    }
    if (result >= 0 && fua) {
        req->certain = r->at;
        add_moment(r->log, r->at);
    }
}

static void end_flush(Reader *r, uint64_t seq)
{
    for (size_t i = 0; i < r->log->count; i++) {
        CutRequest *req = &r->log->requests[i];

        if (req->ended < r->flush_arrived[seq] && req->certain == CUT_NEVER) {
            req->certain = r->at;
        }
    }
    add_moment(r->log, r->at);
}

static void read_line(Reader *r, const char *line)
{
    char mark, op[32], flags[32], word[32];
    int64_t offset, bytes, passed = 0;
    uint64_t seq;
    int n = sscanf(line, "%c %" SCNu64 " %31s %" SCNd64 " %" SCNd64 " %31s %31s %" SCNd64, &mark,
                   &seq, op, &offset, &bytes, flags, word, &passed);

    if (mark == '#') {
        return;
    }
    if (n < 7 || seq >= MAX_SEQ) {
        die("a line of the log", line);
    }
    if (mark == '>') {
        arrive(r, seq, op, offset, bytes, word);
    } else if (r->by_seq[seq]) {
        end_request(r, r->by_seq[seq] - 1, strcmp(op, "discard") == 0, strstr(flags, "fua"),
                    strtoll(word, NULL, 10), passed);
    } else if (r->flush_arrived[seq] && strtoll(word, NULL, 10) >= 0) {
        end_flush(r, seq);
    }
}

static void read_lines(CutLog *log, const char *path)
{
    FILE *file = fopen(path, "r");
    Reader *r = need(calloc(1, sizeof(*r)));
    char line[256];

    if (!file) {
        die("cannot open", path);
    }
    r->log = log;
    r->size = log->size;
    r->by_seq = need(calloc(MAX_SEQ, sizeof(r->by_seq[0])));
    while (fgets(line, sizeof(line), file)) {
        r->at += (int64_t)strlen(line);
        read_line(r, line);
    }
    fclose(file);
    free(r->by_seq);
    free(r);
}

static uint8_t *read_data(const char *path)
{
    char name[512];
    uint8_t *data;
    FILE *file;
    long size;

    snprintf(name, sizeof(name), "%s.data", path);
    file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        die("cannot open", name);
    }
    size = ftell(file);
    rewind(file);
    data = need(malloc((size_t)size + 1));
    if (fread(data, 1, (size_t)size, file) != (size_t)size) {
        die("cannot read", name);
    }
    fclose(file);
    return data;
}

void cut_log_open(CutLog *log, const char *path, const uint8_t *disk, size_t size, size_t room)
{
    *log = (CutLog){ .size = (int64_t)size, .room_bytes = (int64_t)room };
    read_lines(log, path);
    log->data = read_data(path);
    log->disk = need(calloc(1, room));
    memcpy(log->disk, disk, size);
    log->last = need(calloc(room / CUT_SECTOR, sizeof(log->last[0])));
}

void cut_log_close(CutLog *log)
{
    free(log->requests);
    free(log->moments);
    free(log->data);
    free(log->disk);
    free(log->last);
}

/* ---- states ---- */

int64_t cut_sectors(const CutRequest *req)
{
    return req->cuts || req->grows ? 1 : req->passed / CUT_SECTOR;
}

/* What came later stays, and so does the room before it. */
static void cut_off(const CutLog *log, const CutRequest *req, uint8_t *state, int64_t *size)
{
    int64_t end = req->offset;

    for (int64_t at = req->offset; at < *size; at += CUT_SECTOR) {
        if (req->ended <= log->last[at / CUT_SECTOR]) {
            end = at + CUT_SECTOR;
        } else {
            memset(state + at, 0, CUT_SECTOR);
        }
    }
    *size = end;
}

void cut_log_apply(const CutLog *log, const CutRequest *req, int64_t i, uint8_t *state,
                   int64_t *size)
{
    int64_t at = req->offset + i * CUT_SECTOR;

    if (req->cuts) {
        cut_off(log, req, state, size);
        return;
    }
    if (req->grows) {
        *size = req->offset > *size ? req->offset : *size;
        return;
    }
    if (at + CUT_SECTOR > log->room_bytes) {
        die("a request", "writes far behind the image's end");
    }
    if (req->ended <= log->last[at / CUT_SECTOR]) {
        return;
    }
    if (req->data < 0) {
        memset(state + at, 0, CUT_SECTOR);
    } else {
        memcpy(state + at, log->data + req->data + i * CUT_SECTOR, CUT_SECTOR);
    }
    *size = at + CUT_SECTOR > *size ? at + CUT_SECTOR : *size;
}

/* Nothing that came before can show behind the new end. */
static void make_cut_certain(CutLog *log, const CutRequest *req)
{
    cut_log_apply(log, req, 0, log->disk, &log->size);
    for (int64_t i = req->offset / CUT_SECTOR; i < log->room_bytes / CUT_SECTOR; i++) {
        if (req->arrived > log->last[i]) {
            log->last[i] = req->arrived;
        }
    }
}

static void make_certain(CutLog *log, const CutRequest *req)
{
    if (req->cuts) {
        make_cut_certain(log, req);
        return;
    }
    for (int64_t i = 0; i < cut_sectors(req); i++) {
        int64_t *last = &log->last[req->offset / CUT_SECTOR + i];

        if (req->grows) {
            cut_log_apply(log, req, i, log->disk, &log->size);
        } else if (req->arrived > *last) {
            cut_log_apply(log, req, i, log->disk, &log->size);
            *last = req->arrived;
        }
    }
}

void cut_log_advance(CutLog *log, int64_t moment)
{
    log->uncertain_count = 0;
    for (size_t i = 0; i < log->count && log->requests[i].arrived <= moment; i++) {
        const CutRequest *req = &log->requests[i];

        if (req->certain > log->moment && req->certain <= moment) {
            make_certain(log, req);
        } else if (req->certain > moment && log->uncertain_count < CUT_MAX_UNCERTAIN) {
            log->uncertain[log->uncertain_count++] = req;
        }
    }
    log->moment = moment;
}
