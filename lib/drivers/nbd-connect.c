/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connecting: a libnbd handle from settings, the first handshake, and what the server told in it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "drivers/nbd.h"

#define PAUSE_NS (NS_PER_SECOND / 10)      /* between two attempts to open */
#define GOODBYE_MS 1000

/* ---- a handle ---- */

static int set_tls(struct nbd_handle *h, const FarSettings *set)
{
    if (!set->tls) {
        return 0;
    }
    if (nbd_set_tls(h, LIBNBD_TLS_REQUIRE) < 0 ||
        nbd_set_tls_verify_peer(h, set->tls_verify) < 0 ||
        (set->tls_certs && nbd_set_tls_certificates(h, set->tls_certs) < 0) ||
        (set->tls_psk && nbd_set_tls_psk_file(h, set->tls_psk) < 0) ||
        (set->tls_username && nbd_set_tls_username(h, set->tls_username) < 0)) {
        return -1;
    }
    return 0;
}

static int start(struct nbd_handle *h, const FarSettings *set)
{
    /* Nobody sees a buffer whose read has failed, so it need not be cleared first. */
    if (nbd_set_pread_initialize(h, false) < 0 || nbd_set_export_name(h, set->export) < 0 ||
        nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 || set_tls(h, set) < 0) {
        return -1;
    }
    return set->path ? nbd_aio_connect_unix(h, set->path)
                     : nbd_aio_connect_tcp(h, set->host, set->port);
}

/* libnbd's text without the name of its function that it begins with. */
static void connect_error(const FarSettings *set, Error **errp)
{
    const char *text = nbd_get_error();
    const char *colon = text && strncmp(text, "nbd_", 4) == 0 ? strstr(text, ": ") : NULL;
    const char *why = colon ? colon + 2 : text;

    error_setg(errp, "Failed to connect to '%s': %s", set->name, why ? why : "unknown error");
}

struct nbd_handle *far_connect_start(const FarSettings *set, Error **errp)
{
    struct nbd_handle *h = nbd_create();

    if (!h || start(h, set) < 0) {
        connect_error(set, errp);
        nbd_close(h);
        return NULL;
    }
    return h;
}

bool far_is_dead(struct nbd_handle *h)
{
    return nbd_aio_is_dead(h) == 1 || nbd_aio_is_closed(h) == 1;
}

/* ---- the first connection ---- */

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

static int finish_handshake(struct nbd_handle *h, const FarSettings *set, int64_t end_ns,
                            Error **errp)
{
    while (nbd_aio_is_ready(h) != 1) {
        int64_t left = end_ns - now_ns();

        if (left <= 0) {
            error_setg(errp, "Failed to connect to '%s': the server did not answer in time",
                       set->name);
            return -ETIMEDOUT;
        }
        if (nbd_poll(h, (int)(left / SCALE_MS) + 1) < 0) {
            connect_error(set, errp);
            return -ECONNREFUSED;
        }
    }
    return 0;
}

static struct nbd_handle *connect_once(const FarSettings *set, int64_t end_ns, Error **errp)
{
    struct nbd_handle *h = far_connect_start(set, errp);

    if (h && finish_handshake(h, set, end_ns, errp) < 0) {
        nbd_close(h);
        h = NULL;
    }
    return h;
}

struct nbd_handle *far_connect(const FarSettings *set, Error **errp)
{
    int64_t end = now_ns() + (set->open_ns ? set->open_ns : FAR_HANDSHAKE_NS);
    struct timespec pause = { .tv_nsec = PAUSE_NS };
    Error *err = NULL;
    struct nbd_handle *h = connect_once(set, end, &err);

    while (!h && set->open_ns && now_ns() + PAUSE_NS < end) {
        nanosleep(&pause, NULL);
        error_free(err);
        err = NULL;
        h = connect_once(set, end, &err);
    }
    error_propagate(errp, err);
    return h;
}

FarInfo far_get_info(struct nbd_handle *h)
{
    int64_t min = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM);
    int64_t opt = nbd_get_block_size(h, LIBNBD_SIZE_PREFERRED);
    int64_t max = nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM);

    return (FarInfo){
        .size = nbd_get_size(h),
        .min_block = min > 0 ? min : 0,
        .opt_block = opt > 0 ? opt : 0,
        .max_block = max > 0 ? max : 0,
        .read_only = nbd_is_read_only(h) == 1,
        .flush = nbd_can_flush(h) == 1,
        .fua = nbd_can_fua(h) == 1,
        .trim = nbd_can_trim(h) == 1,
        .zero = nbd_can_zero(h) == 1,
        .fast_zero = nbd_can_fast_zero(h) == 1,
        .multi_conn = nbd_can_multi_conn(h) == 1,
        .status = nbd_can_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1,
    };
}

void far_disconnect(struct nbd_handle *h)
{
    int64_t end = now_ns() + GOODBYE_MS * SCALE_MS;

    if (nbd_aio_disconnect(h, 0) == 0) {
        while (!far_is_dead(h) && now_ns() < end && nbd_poll(h, GOODBYE_MS) >= 0) {
        }
    }
    nbd_close(h);
}
