/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scatter/gather vectors, and whether memory is all zero. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/iov.h>

#define EXTERNAL (-1)

/* ---- life ---- */

static void set_capacity(QEMUIOVector *qiov, int nalloc)
{
    struct iovec *iov = reallocarray(qiov->iov, nalloc, sizeof(*iov));

    if (!iov) {
        abort();
    }
    qiov->iov = iov;
    qiov->nalloc = nalloc;
}

void qemu_iovec_init(QEMUIOVector *qiov, int alloc_hint)
{
    memset(qiov, 0, sizeof(*qiov));
    if (alloc_hint > 0) {
        set_capacity(qiov, alloc_hint);
    }
}

void qemu_iovec_init_external(QEMUIOVector *qiov, struct iovec *iov, int niov)
{
    qiov->iov = iov;
    qiov->niov = niov;
    qiov->nalloc = EXTERNAL;
    qiov->size = 0;
    for (int i = 0; i < niov; i++) {
        qiov->size += iov[i].iov_len;
    }
}

void qemu_iovec_destroy(QEMUIOVector *qiov)
{
    if (qiov->nalloc != EXTERNAL) {
        free(qiov->iov);
    }
    memset(qiov, 0, sizeof(*qiov));
}

void qemu_iovec_reset(QEMUIOVector *qiov)
{
    qiov->niov = 0;
    qiov->size = 0;
}

/* ---- building ---- */

void qemu_iovec_add(QEMUIOVector *qiov, void *base, size_t len)
{
    if (qiov->nalloc == EXTERNAL) {
        abort();                   /* the array is not ours to write to */
    }
    if (qiov->niov == qiov->nalloc) {
        set_capacity(qiov, 2 * qiov->nalloc + 1);
    }
    qiov->iov[qiov->niov++] = (struct iovec){ .iov_base = base, .iov_len = len };
    qiov->size += len;
}

void qemu_iovec_concat(QEMUIOVector *dst, QEMUIOVector *src, size_t soffset, size_t bytes)
{
    int niov = src->niov;          /* dst may be src */

    for (int i = 0; i < niov && bytes > 0; i++) {
        struct iovec span = src->iov[i];

        if (soffset >= span.iov_len) {
            soffset -= span.iov_len;
            continue;
        }
        span.iov_len -= soffset;
        if (span.iov_len > bytes) {
            span.iov_len = bytes;
        }
        qemu_iovec_add(dst, (char *)span.iov_base + soffset, span.iov_len);
        bytes -= span.iov_len;
        soffset = 0;
    }
}

/* ---- moving data ---- */

typedef void SpanFunc(char *span, size_t done, size_t len, const void *arg);

/* Calls fn for each piece of [offset, offset + bytes); `done` bytes came before it. */
static inline size_t for_each_span(QEMUIOVector *qiov, size_t offset, size_t bytes,
                                   SpanFunc *fn, const void *arg)
{
    size_t done = 0;

    for (int i = 0; i < qiov->niov && done < bytes; i++) {
        size_t len = qiov->iov[i].iov_len;

        if (offset >= len) {
            offset -= len;
            continue;
        }
        len -= offset;
        if (len > bytes - done) {
            len = bytes - done;
        }
        fn((char *)qiov->iov[i].iov_base + offset, done, len, arg);
        done += len;
        offset = 0;
    }
    return done;
}

static void span_to_buf(char *span, size_t done, size_t len, const void *buf)
{
    memcpy((char *)(uintptr_t)buf + done, span, len);
}

static void span_from_buf(char *span, size_t done, size_t len, const void *buf)
{
    memcpy(span, (const char *)buf + done, len);
}

static void span_fill(char *span, size_t done, size_t len, const void *fillc)
{
    (void)done;
    memset(span, *(const int *)fillc, len);
}

size_t qemu_iovec_to_buf(QEMUIOVector *qiov, size_t offset, void *buf, size_t bytes)
{
    return for_each_span(qiov, offset, bytes, span_to_buf, buf);
}

size_t qemu_iovec_from_buf(QEMUIOVector *qiov, size_t offset, const void *buf, size_t bytes)
{
    return for_each_span(qiov, offset, bytes, span_from_buf, buf);
}

size_t qemu_iovec_memset(QEMUIOVector *qiov, size_t offset, int fillc, size_t bytes)
{
    return for_each_span(qiov, offset, bytes, span_fill, &fillc);
}

/* ---- zeroes ---- */

static bool word_is_zero(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return word == 0;
}

/*
 * Most data that is not zero shows it at its start, middle or end.  Then: a
 * buffer that begins with zeroes and equals itself shifted is zero throughout,
 * and comparing is what the C library has its widest instructions for.
 */
bool buffer_is_zero(const void *buf, size_t len)
{
    const char *bytes = buf;
    const size_t word = sizeof(uint64_t);

    if (len < 2 * word) {
        for (size_t i = 0; i < len; i++) {
            if (bytes[i] != 0) {
                return false;
            }
        }
        return true;
    }
    return word_is_zero(bytes) && word_is_zero(bytes + len / 2) &&
           word_is_zero(bytes + len - word) && memcmp(bytes, bytes + word, len - word) == 0;
}

bool qemu_iovec_is_zero(QEMUIOVector *qiov)
{
    for (int i = 0; i < qiov->niov; i++) {
        if (!buffer_is_zero(qiov->iov[i].iov_base, qiov->iov[i].iov_len)) {
            return false;
        }
    }
    return true;
}
