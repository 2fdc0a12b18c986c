/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: any bytes as what an NBD client sends once it has chosen an export.
 *
 *     what was negotiated (1 byte) │ how the bytes arrive (1 byte) │ requests
 */
#include <stdlib.h>
#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "fuzz/fuzz.h"
#include "fuzz/server-target.h"

#define PREFIX_MAX 256

enum {
    FORM_MASK = 3,              /* of replies: simple, structured, extended, extended */
    WITH_CONTEXTS = 4,          /* all that there are */
    EXPORT_SHIFT = 3,           /* two bits: which export */
};

static uint8_t *put_option(uint8_t *at, uint32_t option, const void *data, size_t len)
{
    store_be64(at, NBD_OPTS_MAGIC);
    store_be32(at + 8, option);
    store_be32(at + 12, (uint32_t)len);
    if (len > 0) {
        memcpy(at + 16, data, len);
    }
    return at + 16 + len;
}

static size_t put_string(uint8_t *at, const char *text)
{
    store_be32(at, (uint32_t)strlen(text));
    memcpy(at + 4, text, strlen(text));
    return 4 + strlen(text);
}

static size_t put_contexts(uint8_t *data, const char *name)
{
    size_t len = put_string(data, name);

    store_be32(data + len, 2);
    len += 4;
    len += put_string(data + len, NBD_META_BASE_ALLOCATION);
    return len + put_string(data + len, NBD_META_QEMU_ALLOCATION_DEPTH);
}

/* A handshake; its length. */
static size_t put_handshake(uint8_t *prefix, uint8_t how)
{
    static const char *const names[] = { "", "ro", "big", "" };
    const char *name = names[how >> EXPORT_SHIFT & 3];
    uint8_t data[PREFIX_MAX], *at = prefix + 4;
    size_t len;

    store_be32(prefix, NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES);
    if (how & FORM_MASK) {
        at = put_option(at, (how & FORM_MASK) == 1 ? NBD_OPT_STRUCTURED_REPLY
                                                   : NBD_OPT_EXTENDED_HEADERS, NULL, 0);
    }
    if (how & WITH_CONTEXTS) {
        at = put_option(at, NBD_OPT_SET_META_CONTEXT, data, put_contexts(data, name));
    }
    len = put_string(data, name);
    store_be16(data + len, 0);
    return (size_t)(put_option(at, NBD_OPT_GO, data, len + 2) - prefix);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    server_target_init(NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes;
    size_t len;

    if (size < 2) {
        return 0;
    }
    bytes = malloc(PREFIX_MAX + size);
    if (bytes) {
        len = put_handshake(bytes, data[0]);
        memcpy(bytes + len, data + 2, size - 2);
        server_target_run(bytes, len + size - 2, data[1]);
    }
    free(bytes);
    return 0;
}
