/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session has yet to be sent, see output.c. */
#ifndef NBD_EXPORT_QMP_OUTPUT_H
#define NBD_EXPORT_QMP_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* A line, for as many sessions as it concerns. */
typedef struct QmpText {
    unsigned refs;
    size_t len;
    char bytes[];
} QmpText;

typedef struct QmpOutput {
    STAILQ_HEAD(, QmpChunk) chunks;
    size_t bytes;             /* to be sent */
    size_t sent;              /* of the first chunk */
    unsigned events;          /* of the chunks */
    uint64_t lost;            /* events that found no room since the last one that did */
} QmpOutput;

/* One reference; takes over value; NULL: no memory. */
QmpText *qmp_text_new(json_t *value);
void qmp_text_unref(QmpText *text);

void qmp_output_init(QmpOutput *out);
void qmp_output_clear(QmpOutput *out);
/* Does not take over the reference.  False: no memory. */
bool qmp_output_add(QmpOutput *out, QmpText *text);
/* The same for an event, which is counted instead where there is no room. */
void qmp_output_add_event(QmpOutput *out, QmpText *text);
/* So many more found none before they got here. */
void qmp_output_lose(QmpOutput *out, uint64_t events);
/* Events were lost, and there is room again to say so: how many; else 0. */
uint64_t qmp_output_take_lost(QmpOutput *out);
/* As much as the socket takes; 0 or -errno. */
int qmp_output_write(QmpOutput *out, int fd);

#endif
