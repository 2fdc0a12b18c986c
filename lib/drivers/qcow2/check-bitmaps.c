/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What persistent bitmaps refer to: directory, tables, bits.
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "byte-order.h"

#define ENTRY_LEN 24u                   /* what every entry of the directory begins with */
#define MAX_NAME 1023u
#define TYPE_DIRTY_TRACKING 1
#define KNOWN_FLAGS (QCOW2_BITMAP_IN_USE | QCOW2_BITMAP_AUTO)

#define TABLE_RESERVED UINT64_C(0xff000000000001fe)
#define TABLE_ALL_ONES UINT64_C(1)

static bool is_sound(const Qcow2State *s, const uint8_t *entry)
{
    uint64_t offset = load_be64(entry), size = load_be32(entry + 8);
    uint32_t flags = load_be32(entry + 12), name_len = load_be16(entry + 18);
    uint64_t bytes = size << s->cluster_bits;

    return offset != 0 && qcow2_in_cluster(s, offset) == 0 && offset <= INT64_MAX / 2 &&
           size != 0 && bytes <= QCOW2_MAX_BITMAP_BYTES && !(flags & ~KNOWN_FLAGS) &&
           entry[16] == TYPE_DIRTY_TRACKING && entry[17] >= QCOW2_MIN_BITMAP_GRANULARITY_BITS &&
           entry[17] <= QCOW2_MAX_BITMAP_GRANULARITY_BITS && name_len > 0 && name_len <= MAX_NAME &&
           load_be32(entry + 20) == 0 &&
           ((flags & QCOW2_BITMAP_IN_USE) || s->hdr.size <= (bytes * 8) << entry[17]);
}

static bool is_sound_place(const Qcow2State *s, uint64_t entry)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    return !(entry & TABLE_RESERVED) &&
           (offset == 0 || (!(entry & TABLE_ALL_ONES) && qcow2_in_cluster(s, offset) == 0));
}

static int coroutine_fn count_table(Qcow2Check *ck, uint64_t offset, uint32_t size)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t bytes = size * sizeof(uint64_t), *table = malloc(bytes);
    int ret = table ? qcow2_check_read(ck, offset, bytes, table) : -ENOMEM;

    qcow2_check_add(ck, offset, bytes, 1);
    for (uint32_t i = 0; ret == 0 && i < size; i++) {
        uint64_t entry = load_be64(&table[i]);

        if (!is_sound_place(s, entry)) {
            qcow2_check_say(ck, "ERROR bitmap table entry %" PRIu32 " is invalid: %" PRIx64, i,
                            entry);
            ret = -EINVAL;
        } else if (entry & QCOW2_OFFSET_MASK) {
            qcow2_check_add(ck, entry & QCOW2_OFFSET_MASK, s->cluster_size, 1);
        }
    }
    free(table);
    return ret < 0 ? ret : 0;
}

static int coroutine_fn count_directory(Qcow2Check *ck, const uint8_t *dir, uint64_t bytes)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t pos = 0;
    uint32_t found = 0;
    int ret = 0;

    while (pos < bytes && ret == 0) {
        const uint8_t *entry = dir + pos;

        if (bytes - pos < ENTRY_LEN || !is_sound(s, entry)) {
            return -EINVAL;
        }
        pos += ((uint64_t)ENTRY_LEN + load_be32(entry + 20) + load_be16(entry + 18) + 7) &
               ~UINT64_C(7);
        found++;
        ret = pos > bytes ? -EINVAL : count_table(ck, load_be64(entry), load_be32(entry + 8));
    }
    return ret < 0 ? ret : found == s->hdr.nb_bitmaps ? 0 : -EINVAL;
}

int coroutine_fn qcow2_check_count_bitmaps(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t offset = s->hdr.bitmap_directory_offset, bytes = s->hdr.bitmap_directory_bytes;
    uint8_t *dir;
    int ret;

    if (s->hdr.nb_bitmaps == 0 || !(s->hdr.autoclear & QCOW2_AUTOCLEAR_BITMAPS)) {
        return 0;
    }
    if (bytes == 0 || bytes > QCOW2_MAX_BITMAP_DIRECTORY || offset > INT64_MAX / 2) {
        qcow2_check_say(ck, "ERROR the bitmap directory is at no possible place");
        ck->res->corruptions++;
        return -EINVAL;
    }
    qcow2_check_add(ck, offset, bytes, 1);
    dir = malloc(bytes);
    ret = dir ? qcow2_check_read(ck, offset, bytes, dir) : -ENOMEM;
    if (ret >= 0) {
        ret = count_directory(ck, dir, bytes);
    }
    free(dir);
    if (ret < 0) {
        qcow2_check_say(ck, "ERROR the bitmap directory is damaged");
        ck->res->corruptions++;
    }
    return ret;
}
