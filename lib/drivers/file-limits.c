/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of a file: with O_DIRECT, what alignment requests and buffers need;
 * for devices also how much they take at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/file.h"

#include <blkbackend/block-backend.h>

#define ALIGN_MIN 512u
#define ALIGN_MAX 4096u

static bool is_power_of_two(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* ---- alignment for O_DIRECT: three ways to learn it, best first ---- */

/* 0: both are set; -EINVAL: no O_DIRECT on this file; -ENOTSUP: the kernel does not tell. */
static int alignment_from_statx(int fd, uint32_t *request, uint32_t *mem)
{
#ifdef STATX_DIOALIGN
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
        (stx.stx_mask & STATX_DIOALIGN)) {
        *request = stx.stx_dio_offset_align;
        *mem = stx.stx_dio_mem_align;
        return *request ? 0 : -EINVAL;
    }
#else
    (void)fd;
    (void)request;
    (void)mem;
#endif
    return -ENOTSUP;
}

static int alignment_from_device(int fd, uint32_t *request, uint32_t *mem)
{
    int bytes;

    if (ioctl(fd, BLKSSZGET, &bytes) < 0 || bytes <= 0) {
        return -ENOTSUP;
    }
    *request = *mem = (uint32_t)bytes;
    return 0;
}

/* The least of 512 ... 4096 that a read at `buf` + `shift` times it accepts; 0: none. */
static uint32_t least_working(int fd, char *buf, uint32_t length, bool shift)
{
    for (uint32_t align = ALIGN_MIN; align <= ALIGN_MAX; align *= 2) {
        if (pread(fd, shift ? buf + align : buf, length ? length : align, 0) >= 0) {
            return align;
        }
    }
    return 0;
}

static int alignment_from_reads(int fd, uint32_t *request, uint32_t *mem)
{
    char *buf = qemu_try_memalign(ALIGN_MAX, 2 * ALIGN_MAX);
    struct stat st;
    int ret = 0;

    if (!buf) {
        return -ENOMEM;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < ALIGN_MAX) {
        *request = *mem = ALIGN_MAX;   /* too small to fail: reads there prove nothing */
    } else {
        *request = least_working(fd, buf, 0, false);
        *mem = least_working(fd, buf, *request ? *request : ALIGN_MAX, true);
        ret = *request && *mem ? 0 : -EINVAL;
    }
    qemu_vfree(buf);
    return ret;
}

int file_probe_alignment(BDRVFileState *s, const char *filename, Error **errp)
{
    uint32_t request = ALIGN_MIN, mem = 1;
    int ret = 0;

    if (s->direct && !s->is_sg) {
        ret = alignment_from_statx(s->fd, &request, &mem);
        if (ret == -ENOTSUP) {
            ret = alignment_from_device(s->fd, &request, &mem);
        }
        if (ret == -ENOTSUP) {
            ret = alignment_from_reads(s->fd, &request, &mem);
        }
    }
    if (ret < 0 || !is_power_of_two(request) || !is_power_of_two(mem)) {
        error_setg(errp, "Could not find a working O_DIRECT alignment for '%s'", filename);
        error_append_hint(errp, "Use cache.direct=off.\n");
        return ret < 0 ? ret : -EINVAL;
    }
    s->request_alignment = request > ALIGN_MIN ? request : ALIGN_MIN;
    s->mem_alignment = mem;
    return 0;
}

/* ---- limits ---- */

/* Most bytes that the device takes in one piece; 0: unknown. */
static int64_t device_max_transfer(int fd)
{
    unsigned short sectors = 0;

    return ioctl(fd, BLKSECTGET, &sectors) == 0 ? (int64_t)sectors * 512 : 0;
}

void file_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    BDRVFileState *s = bdrv_state(bs);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    (void)errp;
    limits->request_alignment = s->request_alignment;
    limits->min_mem_alignment = s->mem_alignment;
    limits->opt_mem_alignment = s->mem_alignment > page ? s->mem_alignment : page;
    limits->max_iov = IOV_MAX;
    if (s->is_device && s->direct) {
        limits->max_transfer = device_max_transfer(s->fd) & -(int64_t)s->request_alignment;
    }
}

int file_probe_blocksizes(BlockDriverState *bs, BlockSizes *bsz)
{
    BDRVFileState *s = bdrv_state(bs);
    unsigned int phys;
    int log;

    if (!s->is_device || ioctl(s->fd, BLKSSZGET, &log) < 0 ||
        ioctl(s->fd, BLKPBSZGET, &phys) < 0) {
        return -ENOTSUP;
    }
    bsz->log = (uint32_t)log;
    bsz->phys = phys;
    return 0;
}
