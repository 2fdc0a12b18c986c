/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes to JSON values, wherever packets are cut.
 */
#include "input.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool qmp_input_has_bytes(const QmpInput *input)
{
    return input->pos < input->len;
}

ssize_t qmp_input_receive(QmpInput *input, int fd)
{
    ssize_t n = recv(fd, input->bytes, sizeof(input->bytes), MSG_DONTWAIT);

    if (n >= 0) {
        input->pos = 0;
        input->len = (size_t)n;
    }
    return n;
}

void qmp_input_forget(QmpInput *input)
{
    free(input->value);
    input->value = NULL;
    input->value_len = input->value_size = 0;
}

/* One reason for each value is enough. */
static void refuse(QmpInput *input, Error **errp, Error *err)
{
    error_propagate(input->skipping ? NULL : errp, err);
    input->skipping = true;
    qmp_input_forget(input);
}

static void keep(QmpInput *input, const char *bytes, size_t len, Error **errp)
{
    Error *err = NULL;
    size_t need = input->value_len + len;
    char *larger;

    if (input->skipping) {
        return;
    }
    if (need > QMP_MAX_VALUE) {
        error_setg(&err, "JSON parse error, a command is longer than %u bytes", QMP_MAX_VALUE);
        refuse(input, errp, err);
        return;
    }
    if (need > input->value_size) {
        larger = realloc(input->value, 2 * need);
        if (!larger) {
            error_setg(&err, "out of memory");
            refuse(input, errp, err);
            return;
        }
        input->value = larger;
        input->value_size = 2 * need;
    }
    memcpy(input->value + input->value_len, bytes, len);
    input->value_len = need;
}

/* What the scan has found in these bytes is no end of a value. */
static void refuse_found(QmpInput *input, enum json_scan found, char last, Error **errp)
{
    Error *err = NULL;

    if (found == JSON_SCAN_DEEP) {
        error_setg(&err, "JSON parse error, more than %u brackets within each other",
                   JSON_SCAN_MAX_DEPTH);
    } else {
        error_setg(&err, "JSON parse error, stray byte 0x%02x after %zu others; what came before "
                   "it is dropped", (unsigned char)last,
                   input->value_len ? input->value_len - 1 : 0);
    }
    refuse(input, errp, err);
}

enum qmp_input qmp_input_next(QmpInput *input, Error **errp)
{
    const char *bytes = input->bytes + input->pos;
    Error *err = NULL;
    size_t used;
    enum json_scan found = json_scan(&input->scan, bytes, input->len - input->pos, &used);

    input->pos += used;
    if (found == JSON_SCAN_MORE && !input->scan.inside) {
        return QMP_INPUT_NONE;       /* nothing but spaces */
    }
    keep(input, bytes, used, &err);
    if (found == JSON_SCAN_DEEP || found == JSON_SCAN_STRAY) {
        refuse_found(input, found, bytes[used - 1], &err);
    } else if (found == JSON_SCAN_END && !input->skipping) {
        return QMP_INPUT_VALUE;
    }
    if (found == JSON_SCAN_END || found == JSON_SCAN_STRAY) {
        input->skipping = false;
        qmp_input_forget(input);
    }
    if (err) {
        error_propagate(errp, err);
        return QMP_INPUT_REFUSED;
    }
    return QMP_INPUT_NONE;
}
