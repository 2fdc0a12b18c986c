/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the driver "blkdebug" know of each other. */
#ifndef BLKBACKEND_DRIVER_BLKDEBUG_H
#define BLKBACKEND_DRIVER_BLKDEBUG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <blkbackend/block-driver.h>

/* What a request can be.  Their words in options and in the log: debug_op_words. */
typedef enum DebugOp {
    DEBUG_READ,
    DEBUG_WRITE,
    DEBUG_WRITE_ZEROES,
    DEBUG_DISCARD,
    DEBUG_FLUSH_TO_OS,
    DEBUG_FLUSH_TO_DISK,
    DEBUG_TRUNCATE,
    DEBUG_BLOCK_STATUS,
    DEBUG_COMPRESSED,
    DEBUG_IOCTL,
    DEBUG_GETLENGTH,
    DEBUG_OPS,
} DebugOp;

/* What is done to a request. */
typedef struct DebugFault {
    int64_t delay_ns;      /* before it is handed on */
    bool fails;            /* the next three hold */
    int error;             /* positive errno; 0: it claims success */
    int64_t most;          /* only its first bytes are handed on; 0: nothing of it */
    bool immediately;      /* its end comes within the turn of the loop that it came in */
} DebugFault;

typedef struct DebugRequest {
    BlockDriverState *bs;
    DebugOp op;
    int64_t offset, bytes; /* truncate: the new size, 0; ioctl: its number, 0 */
    int flags;             /* BdrvRequestFlags; truncate: PreallocMode */
    QEMUIOVector *qiov;
    void *arg;             /* of the one operation that needs it */
    uint64_t seq;          /* from 1, in order of arrival */
    DebugFault fault;
} DebugRequest;

/* ---- blkdebug-rules.c; the caller has the lock, except while opening and closing ---- */

typedef struct DebugRule DebugRule;

typedef struct DebugRules {
    DebugRule *rule;       /* in order of their options: all inject-error, then all set-state */
    int n;
    int64_t state;         /* 1 at first */
} DebugRules;

/* Takes the options inject-error.* and set-state.*. */
int debug_rules_take(DebugRules *rules, QDict *options, Error **errp);
void debug_rules_free(DebugRules *rules);
/* Sets req->fault, counts the match, and changes the state. */
void debug_rules_apply(DebugRules *rules, DebugRequest *req);
/* The operations (a bit each) that an event or an operation's word means; 0: no such word. */
unsigned debug_ops_of_word(const char *word);

/* ---- blkdebug-log.c; likewise ---- */

extern const char *const debug_op_words[DEBUG_OPS];

typedef struct DebugLog {
    int fd, data_fd;       /* -1: none */
    int64_t data_end;
} DebugLog;

/* Takes the options log and log-data and begins the log of an image of `size` bytes. */
int debug_log_open(DebugLog *log, QDict *options, int64_t size, Error **errp);
void debug_log_close(DebugLog *log);
/* 0 or -errno: what is not in the log must not happen. */
int debug_log_arrival(DebugLog *log, const DebugRequest *req);
/* passed: bytes that were handed on. */
int debug_log_end(DebugLog *log, const DebugRequest *req, int64_t passed, int64_t result);

/* ---- blkdebug-breaks.c; likewise ---- */

typedef struct DebugBreak DebugBreak;
typedef STAILQ_HEAD(DebugBreaks, DebugBreak) DebugBreaks;

/* event: as for debug_ops_of_word(); 0 or -EINVAL. */
int debug_breaks_add(DebugBreaks *breaks, const char *event, const char *tag);
/* True if the calling coroutine, whose request this is, has to yield until it is resumed. */
bool coroutine_fn debug_breaks_hit(DebugBreaks *breaks, const DebugRequest *req);
/* The request under that tag, taken out of the list; NULL if there is none. */
Coroutine *debug_breaks_take(DebugBreaks *breaks, const char *tag);
/* Takes away one of that tag that has stopped nothing yet; false if there is none. */
bool debug_breaks_remove(DebugBreaks *breaks, const char *tag);
bool debug_breaks_suspended(DebugBreaks *breaks, const char *tag);
void debug_breaks_free(DebugBreaks *breaks);

#endif
