/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy-image SOURCE DESTINATION
 *
 * Copies an image, of whatever format, into a raw image file.  Several requests
 * are in flight at a time, each in a slot with a buffer of its own: a slot
 * reads, writes what it has read, and takes the next part of the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>

#define SLOTS 8
#define PART (1024 * 1024)

typedef struct Copy {
    BlockBackend *source;
    BlockBackend *destination;
    int64_t length;
    int64_t next;         /* offset of the first part that no slot has taken */
    int64_t done;
    int busy_slots;
    int error;            /* negative errno of the last failure */
} Copy;

typedef struct Slot {
    Copy *copy;
    int64_t offset;
    struct iovec iov;     /* a request borrows these two until its callback */
    QEMUIOVector qiov;
} Slot;

static void have_read(void *opaque, int ret);

/* Errors come through the callback, too; so there is nothing to check here. */
static void next_part(Slot *slot)
{
    Copy *copy = slot->copy;
    int64_t left = copy->length - copy->next;

    if (left == 0 || copy->error) {
        return;
    }
    slot->offset = copy->next;
    slot->iov.iov_len = left < PART ? (size_t)left : PART;
    qemu_iovec_init_external(&slot->qiov, &slot->iov, 1);
    copy->next += (int64_t)slot->iov.iov_len;
    copy->busy_slots++;
    blk_aio_preadv(copy->source, slot->offset, &slot->qiov, 0, have_read, slot);
}

static void written(void *opaque, int ret)
{
    Slot *slot = opaque;
    Copy *copy = slot->copy;

    copy->busy_slots--;
    if (ret < 0) {
        copy->error = ret;
        return;
    }
    copy->done += (int64_t)slot->iov.iov_len;
    fprintf(stderr, "\r%3d %%", (int)(100.0 * (double)copy->done / (double)copy->length));
    next_part(slot);
}

static void have_read(void *opaque, int ret)
{
    Slot *slot = opaque;
    BlockBackend *to = slot->copy->destination;

    if (ret < 0) {
        written(slot, ret);
    } else if (qemu_iovec_is_zero(&slot->qiov)) {
        blk_aio_pwrite_zeroes(to, slot->offset, (int64_t)slot->qiov.size, BDRV_REQ_MAY_UNMAP,
                              written, slot);
    } else {
        blk_aio_pwritev(to, slot->offset, &slot->qiov, 0, written, slot);
    }
}

static int copy_image(Copy *copy)
{
    Slot slots[SLOTS];

    for (int i = 0; i < SLOTS; i++) {
        slots[i].copy = copy;
        slots[i].iov.iov_base = blk_blockalign(copy->source, PART);
        next_part(&slots[i]);
    }
    while (copy->busy_slots > 0) {
        main_loop_wait(false);
    }
    for (int i = 0; i < SLOTS; i++) {
        qemu_vfree(slots[i].iov.iov_base);
    }
    fputc('\n', stderr);
    return copy->error ? copy->error : blk_flush(copy->destination);
}

/* The library opens images; to make the file is up to its user. */
static BlockBackend *create_raw(const char *path)
{
    QDict *options = qdict_new();
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);

    if (fd < 0) {
        error_setg_errno(&error_fatal, errno, "Could not create '%s'", path);
    }
    close(fd);
    /* Were the format guessed, the library would refuse to write what looks like another one. */
    qdict_put(options, "driver", qstring_from_str("raw"));
    return blk_new_open(path, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP,
                        &error_fatal);
}

int main(int argc, char **argv)
{
    Copy copy = { 0 };
    int ret;

    if (argc != 3) {
        fprintf(stderr, "usage: copy-image SOURCE DESTINATION\n");
        return 2;
    }
    qemu_init_main_loop(&error_fatal);
    copy.source = blk_new_open(argv[1], NULL, NULL, 0, &error_fatal);
    copy.destination = create_raw(argv[2]);

    copy.length = blk_getlength(copy.source);
    ret = copy.length < 0 ? (int)copy.length : blk_truncate(copy.destination, copy.length);
    if (ret == 0) {
        ret = copy_image(&copy);
    }
    if (ret < 0) {
        fprintf(stderr, "copy-image: %s\n", strerror(-ret));
    }
    blk_unref(copy.destination);
    blk_unref(copy.source);
    return ret < 0;
}
