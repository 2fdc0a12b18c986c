/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding a partition with libblkid, which reads files: it gets a sparse one with
 * those parts of the disk that can hold a partition table, read through the block
 * layer, whatever the image's format is.
 */
#include "view.h"

#ifdef HAVE_BLKID

#include <blkid/blkid.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <blkbackend/block-driver.h>

#include "common/cleanup.h"
#include "common/human-size.h"
#include "common/xalloc.h"

#define EDGE_BYTES (1 << 20)     /* of either end: GPT needs 34 sectors */
#define BLKID_SECTOR 512         /* libblkid's unit, whatever the disk's is */
#define LOGICAL_MAX 256          /* partitions in an extended one; it may be a ring */

/* ---- the copy ---- */

typedef struct Copy {
    BlockDriverState *disk;
    int64_t length;
    int fd;
} Copy;

static int copy_range(Copy *copy, int64_t offset, int64_t bytes)
{
    auto_free uint8_t *buf = NULL;
    int ret;

    if (offset >= copy->length) {
        return 0;
    }
    if (bytes > copy->length - offset) {
        bytes = copy->length - offset;
    }
    buf = xalloc_check(malloc((size_t)bytes));
    ret = bdrv_pread(copy->disk, offset, bytes, buf);
    if (ret >= 0 && pwrite(copy->fd, buf, (size_t)bytes, offset) != bytes) {
        ret = -errno;
    }
    return ret < 0 ? ret : 0;
}

/* The link in a boot record at `sector`: its extended partition, or 0. */
static uint32_t extended_start(const Copy *copy, uint64_t sector, unsigned sector_size)
{
    uint8_t record[512];

    if (pread(copy->fd, record, sizeof(record), (off_t)(sector * sector_size)) !=
        sizeof(record) || record[510] != 0x55 || record[511] != 0xaa) {
        return 0;
    }
    for (const uint8_t *entry = record + 446; entry < record + 510; entry += 16) {
        if (entry[4] == 0x05 || entry[4] == 0x0f || entry[4] == 0x85) {
            uint32_t start;

            memcpy(&start, entry + 8, sizeof(start));
            return le32toh(start);
        }
    }
    return 0;
}

/* The boot records of logical partitions lie before each of them, one leading to the next. */
static int copy_extended(Copy *copy, unsigned sector_size)
{
    uint64_t first = extended_start(copy, 0, sector_size), sector = first;

    for (int i = 0; i < LOGICAL_MAX && sector > 0; i++) {
        int ret = copy_range(copy, (int64_t)(sector * sector_size), sector_size);
        uint32_t next;

        if (ret < 0) {
            return ret;
        }
        next = extended_start(copy, sector, sector_size);
        sector = next ? first + next : 0;
    }
    return 0;
}

static int copy_tables(Copy *copy, unsigned sector_size)
{
    int64_t end = copy->length > EDGE_BYTES ? copy->length - EDGE_BYTES : 0;
    int ret;

    if (ftruncate(copy->fd, copy->length) < 0) {
        return -errno;
    }
    ret = copy_range(copy, 0, EDGE_BYTES);
    if (ret == 0) {
        ret = copy_range(copy, end, EDGE_BYTES);
    }
    return ret < 0 ? ret : copy_extended(copy, sector_size);
}

/* ---- what is there ---- */

/* NULL: no partition table. */
static blkid_partlist read_table(blkid_probe probe, unsigned sector_size, int fd)
{
    blkid_partlist list;

    if (blkid_probe_set_device(probe, fd, 0, 0) != 0 ||
        blkid_probe_set_sectorsize(probe, sector_size) != 0) {
        return NULL;
    }
    blkid_probe_enable_superblocks(probe, 0);
    blkid_probe_enable_partitions(probe, 1);
    list = blkid_probe_get_partitions(probe);
    return list && blkid_partlist_get_table(list) ? list : NULL;
}

static void hint_partitions(blkid_partlist list, Error **errp)
{
    int n = blkid_partlist_numof_partitions(list);

    error_append_hint(errp, n ? "There are:" : "The partition table is empty.\n");
    for (int i = 0; i < n; i++) {
        blkid_partition part = blkid_partlist_get_partition(list, i);
        char size[HUMAN_SIZE_LEN];

        human_size_format(blkid_partition_get_size(part) * BLKID_SECTOR, size);
        error_append_hint(errp, "%s %d (%s)%s", i ? "," : "", blkid_partition_get_partno(part),
                          size, i == n - 1 ? ".\n" : "");
    }
}

static bool pick(blkid_partlist list, unsigned number, int64_t *offset, int64_t *size,
                 Error **errp)
{
    for (int i = 0; i < blkid_partlist_numof_partitions(list); i++) {
        blkid_partition part = blkid_partlist_get_partition(list, i);

        if (blkid_partition_get_partno(part) == (int)number) {
            *offset = blkid_partition_get_start(part) * BLKID_SECTOR;
            *size = blkid_partition_get_size(part) * BLKID_SECTOR;
            return true;
        }
    }
    error_setg(errp, "There is no partition %u", number);
    hint_partitions(list, errp);
    return false;
}

bool partition_find(BlockDriverState *disk, unsigned number, int64_t *offset, int64_t *size,
                    Error **errp)
{
    static const unsigned sector_sizes[] = { 512, 4096 };    /* a table does not say */
    Copy copy = { .disk = disk, .length = bdrv_getlength(disk) };
    auto_close int fd = memfd_create("partition table", MFD_CLOEXEC);
    blkid_probe probe = xalloc_check(blkid_new_probe());
    blkid_partlist list = NULL;
    bool ok = false;
    int ret = copy.length < 0 ? (int)copy.length : fd < 0 ? -errno : 0;

    copy.fd = fd;
    for (size_t i = 0; i < 2 && !list && ret == 0; i++) {
        ret = copy_tables(&copy, sector_sizes[i]);
        list = ret == 0 ? read_table(probe, sector_sizes[i], fd) : NULL;
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot read the partition table");
    } else if (!list) {
        error_setg(errp, "There is no partition table");
    } else {
        ok = pick(list, number, offset, size, errp);
    }
    blkid_free_probe(probe);
    return ok;
}

#else

bool partition_find(BlockDriverState *disk, unsigned number, int64_t *offset, int64_t *size,
                    Error **errp)
{
    (void)disk;
    (void)number;
    (void)offset;
    (void)size;
    error_setg(errp, "This nbd-export was built without libblkid, which finds partitions");
    error_append_hint(errp, "Say where it is with --offset and --size.\n");
    return false;
}

#endif
