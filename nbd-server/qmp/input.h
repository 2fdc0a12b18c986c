/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client of the control socket says, see input.c. */
#ifndef NBD_EXPORT_QMP_INPUT_H
#define NBD_EXPORT_QMP_INPUT_H

#include <blkbackend/error.h>
#include <sys/types.h>

#include "json-scan.h"

#define QMP_MAX_VALUE (1u << 20)    /* bytes of a value */

/* All zero at the beginning. */
typedef struct QmpInput {
    char bytes[16u << 10];
    size_t pos, len;                /* of them, what is still to be looked at */
    JsonScan scan;
    char *value;                    /* so far */
    size_t value_len, value_size;
    bool skipping;                  /* it was refused: the rest of it is of no use */
} QmpInput;

enum qmp_input {
    QMP_INPUT_NONE,                 /* no value has come to its end yet */
    QMP_INPUT_VALUE,                /* this one has: value, value_len; until qmp_input_forget() */
    QMP_INPUT_REFUSED,              /* errp says why; the rest of the value is passed by */
};

/* There is something to be looked at. */
bool qmp_input_has_bytes(const QmpInput *input);
/* As recv(): once all has been looked at. */
ssize_t qmp_input_receive(QmpInput *input, int fd);
/* One step through the bytes, at most to the end of a value. */
enum qmp_input qmp_input_next(QmpInput *input, Error **errp);
/* The value so far. */
void qmp_input_forget(QmpInput *input);

#endif
