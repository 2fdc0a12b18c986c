/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a power cut can leave of a disk: its content at the start, and blkdebug's log of all that
 * was asked of it since; docs/blkdebug.md has the rules.
 *
 * A moment is a position in the log, in bytes: what stands before it has happened.
 */
#ifndef TESTS_CUT_LOG_H
#define TESTS_CUT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUT_SECTOR 512
#define CUT_NEVER INT64_MAX
#define CUT_MAX_UNCERTAIN 64            /* more than these are taken to have been lost */

typedef struct CutRequest {
    int64_t offset, bytes;
    int64_t data;                       /* place in log.data; -1: zeroes */
    bool cuts, grows;                   /* the disk ends at offset, or does so at least */
    int64_t arrived, ended, certain;    /* moments */
    int64_t passed;                     /* bytes of it that can be there */
} CutRequest;

typedef struct CutLog {
    CutRequest *requests;               /* those that change the disk, in order of arrival */
    size_t count, room;
    int64_t *moments;                   /* at which something becomes possible or certain */
    size_t moment_count, moment_room;
    uint8_t *data;

    /* The disk at a moment, of what is certain by then. */
    int64_t moment;
    uint8_t *disk;                      /* zeroes behind size */
    int64_t size, room_bytes;
    int64_t *last;                      /* a sector: when that which it holds arrived */
    const CutRequest *uncertain[CUT_MAX_UNCERTAIN];
    size_t uncertain_count;
} CutLog;

/* Reads PATH and PATH.data; `disk` is what was there at the start. */
void cut_log_open(CutLog *log, const char *path, const uint8_t *disk, size_t size, size_t room);
void cut_log_close(CutLog *log);
/* Goes on to a later moment. */
void cut_log_advance(CutLog *log, int64_t moment);
/* Puts sector `i` of a request onto a state, unless something newer is certain there. */
void cut_log_apply(const CutLog *log, const CutRequest *req, int64_t i, uint8_t *state,
                   int64_t *size);
/* Its parts that can be there without each other: sectors; a change of size is one. */
int64_t cut_sectors(const CutRequest *req);

#endif
