/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines that wait for a client to read them.
 *
 * Replies are bounded by taking no further command while they wait (session.c); events come
 * unasked, so that a client which does not read loses them, and is told later how many they were.
 */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_EVENTS 1024
#define MAX_EVENT_BYTES (4u << 20)

typedef struct QmpChunk {
    QmpText *text;            /* a reference */
    bool event;
    STAILQ_ENTRY(QmpChunk) link;
} QmpChunk;

/* ---- texts ---- */

QmpText *qmp_text_new(json_t *value)
{
    const size_t flags = JSON_ENSURE_ASCII;
    size_t len = json_dumpb(value, NULL, 0, flags);
    QmpText *text = len ? malloc(sizeof(*text) + len + 2) : NULL;

    if (text) {
        json_dumpb(value, text->bytes, len, flags);
        memcpy(text->bytes + len, "\r\n", 2);
        text->len = len + 2;
        text->refs = 1;
    }
    json_decref(value);
    return text;
}

void qmp_text_unref(QmpText *text)
{
    if (text && --text->refs == 0) {
        free(text);
    }
}

/* ---- the queue ---- */

void qmp_output_init(QmpOutput *out)
{
    *out = (QmpOutput){ .bytes = 0 };
    STAILQ_INIT(&out->chunks);
}

static bool add(QmpOutput *out, QmpText *text, bool event)
{
    QmpChunk *chunk = malloc(sizeof(*chunk));

    if (!chunk) {
        return false;
    }
    text->refs++;
    *chunk = (QmpChunk){ .text = text, .event = event };
    STAILQ_INSERT_TAIL(&out->chunks, chunk, link);
    out->bytes += text->len;
    out->events += event;
    return true;
}

static void remove_first(QmpOutput *out)
{
    QmpChunk *chunk = STAILQ_FIRST(&out->chunks);

    STAILQ_REMOVE_HEAD(&out->chunks, link);
    out->bytes -= chunk->text->len - out->sent;
    out->events -= chunk->event;
    out->sent = 0;
    qmp_text_unref(chunk->text);
    free(chunk);
}

void qmp_output_clear(QmpOutput *out)
{
    while (!STAILQ_EMPTY(&out->chunks)) {
        remove_first(out);
    }
}

bool qmp_output_add(QmpOutput *out, QmpText *text)
{
    return add(out, text, false);
}

void qmp_output_add_event(QmpOutput *out, QmpText *text)
{
    bool room = out->events < MAX_EVENTS && out->bytes < MAX_EVENT_BYTES;

    if (out->lost || !room || !add(out, text, true)) {
        out->lost++;
    }
}

void qmp_output_lose(QmpOutput *out, uint64_t events)
{
    out->lost += events;
}

uint64_t qmp_output_take_lost(QmpOutput *out)
{
    uint64_t lost = 0;

    if (out->events < MAX_EVENTS / 2 && out->bytes < MAX_EVENT_BYTES / 2) {
        lost = out->lost;
        out->lost = 0;
    }
    return lost;
}

int qmp_output_write(QmpOutput *out, int fd)
{
    QmpChunk *chunk;

    while ((chunk = STAILQ_FIRST(&out->chunks))) {
        ssize_t n = send(fd, chunk->text->bytes + out->sent, chunk->text->len - out->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        }
        out->sent += (size_t)n;
        out->bytes -= (size_t)n;
        if (out->sent == chunk->text->len) {
            remove_first(out);
        }
    }
    return 0;
}
