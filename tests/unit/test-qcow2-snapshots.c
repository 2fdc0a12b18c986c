/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Internal snapshots of qcow2 images, taken, applied and deleted here and by
 * qemu-img in turn, beside a shadow in memory of the disk and of each snapshot.
 */
#include "qcow2-test.h"

#include <blkbackend/image.h>

#define SIZE (MIB + 5 * 512)
#define MAX_SNAPSHOTS 4
#define RAW "raw"

/* ---- a disk with its snapshots, as they should be ---- */

typedef struct Shadow {
    char name[16];                  /* "": none */
    int64_t size;
    uint8_t data[4 * MIB];
} Shadow;

static Shadow disk, snapshots[MAX_SNAPSHOTS];
static unsigned next_name;
static const char *kind;            /* of the image */

static unsigned below(unsigned n)
{
    static unsigned state = 12345;

    state = state * 1103515245 + 12345;
    return (state >> 8) % n;
}

static bool kind_has(const char *text)
{
    return strstr(kind, text) != NULL;
}

static void assert_file_is(const Shadow *shadow)
{
    int fd = open(RAW, O_RDONLY | O_CLOEXEC);
    uint8_t *buf = malloc(sizeof(shadow->data));
    ssize_t n = read(fd, buf, sizeof(shadow->data));

    assert_int_equal(n, shadow->size);
    for (int64_t i = 0; i < shadow->size; i++) {
        if (buf[i] != shadow->data[i]) {
            fail_msg("%s: byte %lld of '%s' is %d, not %d", kind, (long long)i, shadow->name,
                     buf[i], shadow->data[i]);
        }
    }
    free(buf);
    close(fd);
}

/* By qemu-img. */
static void assert_image_is_right(void)
{
    assert_clean();
    assert_int_equal(shell("qemu-img convert -O raw " IMAGE " " RAW), 0);
    assert_file_is(&disk);
    for (int i = 0; i < MAX_SNAPSHOTS; i++) {
        if (snapshots[i].name[0] && snapshots[i].size == disk.size) {
            assert_int_equal(shell("qemu-img convert -l '%s' -O raw " IMAGE " " RAW,
                                   snapshots[i].name), 0);
            assert_file_is(&snapshots[i]);
        }
    }
}

static void begin(const char *options, const char *size)
{
    kind = options;
    memset(&disk, 0, sizeof(disk));
    memset(snapshots, 0, sizeof(snapshots));
    make_image(options, size);
    disk.size = SIZE;
    assert_int_equal(shell("qemu-img resize -q " IMAGE " %d", SIZE), 0);
}

/* ---- what is done, here (blk) or by QEMU (NULL) ---- */

static void write_somewhere(BlockBackend *blk)
{
    int bytes = (int)(below(300) + 1) * 512, value = (int)below(4);
    int64_t offset = below((unsigned)(disk.size - bytes) / 512) * 512;

    memset(disk.data + offset, value, (size_t)bytes);
    if (!blk) {
        assert_int_equal(shell("qemu-io -f qcow2 -c 'write %s %lld %d' " IMAGE " >/dev/null",
                               value == 0 ? "-z" : value == 1 ? "-P 1" : value == 2 ? "-P 2"
                               : "-P 3", (long long)offset, bytes), 0);
    } else if (value == 0) {
        assert_int_equal(blk_pwrite_zeroes(blk, offset, bytes, BDRV_REQ_MAY_UNMAP), 0);
    } else {
        write_byte(blk, offset, bytes, value);
    }
}

static void write_compressed(BlockBackend *blk)
{
    const int bytes = 64 * KIB;
    int64_t offset = below(4) * (unsigned)bytes;

    /* With 4 bits, counts of a cluster that many share would soon be full. */
    if (blk && !kind_has("2M") && !kind_has("refcount_bits=4")) {
        memset(disk.data + offset, 9, (size_t)bytes);
        assert_true(blk_write_compressed(blk, offset / 512, disk.data + offset, bytes / 512) >= 0);
    }
}

static void take(BlockBackend *blk)
{
    Shadow *sn = &snapshots[below(MAX_SNAPSHOTS)];

    if (sn->name[0]) {
        return;
    }
    *sn = disk;
    snprintf(sn->name, sizeof(sn->name), "s%u", next_name++);
    if (blk) {
        QEMUSnapshotInfo info = { .date_sec = 1700000000, .icount = UINT64_MAX };

        snprintf(info.name, sizeof(info.name), "%s", sn->name);
        assert_int_equal(bdrv_snapshot_create(blk_bs(blk), &info, &error_abort), 0);
    } else {
        assert_int_equal(shell("qemu-img snapshot -c %s " IMAGE, sn->name), 0);
    }
}

static Shadow *any_snapshot(void)
{
    Shadow *sn = &snapshots[below(MAX_SNAPSHOTS)];

    return sn->name[0] ? sn : NULL;
}

static void apply(BlockBackend *blk)
{
    Shadow *sn = any_snapshot();

    if (!sn || (!blk && kind_has("compat=0.10") && sn->size != disk.size)) {
        return;
    }
    if (blk) {
        assert_int_equal(bdrv_snapshot_goto(blk_bs(blk), sn->name, &error_abort), 0);
        assert_int_equal(blk_getlength(blk), sn->size);
    } else {
        assert_int_equal(shell("qemu-img snapshot -a %s " IMAGE, sn->name), 0);
    }
    disk = *sn;
}

static void delete(BlockBackend *blk)
{
    Shadow *sn = any_snapshot();

    if (!sn) {
        return;
    }
    if (blk) {
        assert_int_equal(bdrv_snapshot_delete(blk_bs(blk), NULL, sn->name, &error_abort), 0);
    } else {
        assert_int_equal(shell("qemu-img snapshot -d %s " IMAGE, sn->name), 0);
    }
    sn->name[0] = '\0';
}

static void resize(BlockBackend *blk)
{
    int64_t size = SIZE + (int64_t)below(4) * 700 * 512;

    if (kind_has("compat=0.10")) {
        return;
    }
    if (blk) {
        assert_int_equal(blk_truncate(blk, size), 0);
    } else {
        assert_int_equal(shell("qemu-img resize -q --shrink " IMAGE " %lld", (long long)size), 0);
    }
    if (size > disk.size) {
        memset(disk.data + disk.size, 0, (size_t)(size - disk.size));
    }
    disk.size = size;
}

static void do_something(BlockBackend *blk)
{
    switch (below(12)) {
    case 0:
        take(blk);
        break;
    case 1:
        apply(blk);
        break;
    case 2:
        delete(blk);
        break;
    case 3:
        resize(blk);
        break;
    case 4:
        write_compressed(blk);
        break;
    default:
        write_somewhere(blk);
        break;
    }
}

static const char *const kinds[] = {
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=512,refcount_bits=64",
    "cluster_size=4k,refcount_bits=4", "cluster_size=16k,extended_l2=on", "cluster_size=2M",
    "refcount_bits=8", "refcount_bits=32", "cluster_size=64k,extended_l2=on",
    "cluster_size=4k,lazy_refcounts=on", "compression_type=zstd",
    "cluster_size=1k,compat=0.10",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void ours_and_theirs_in_turn(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        begin(kinds[i], "1M");
        for (int round = 0; round < 4; round++) {
            BlockBackend *blk = open_image(RDWR, below(2) ? "" : ",'l2-cache-size':1024,"
                                           "'l2-cache-entry-size':512,'refcount-cache-size':1024");

            for (int n = 0; n < 40; n++) {
                do_something(blk);
            }
            blk_unref(blk);
            assert_image_is_right();
            for (int n = 0; n < 5; n++) {
                do_something(NULL);
            }
            assert_image_is_right();
        }
    }
}

/* ---- one by one ---- */

static void take_named(BlockBackend *blk, const char *name, uint64_t vm_state)
{
    QEMUSnapshotInfo info = { .date_sec = 1700000000, .vm_state_size = vm_state,
                              .icount = UINT64_MAX };

    snprintf(info.name, sizeof(info.name), "%s", name);
    assert_int_equal(bdrv_snapshot_create(blk_bs(blk), &info, &error_abort), 0);
}

static void ids_are_one_more_than_the_highest(void **state)
{
    QEMUSnapshotInfo *list;
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", "1M");
    assert_int_equal(shell("qemu-img snapshot -c a " IMAGE " && qemu-img snapshot -c b " IMAGE), 0);
    blk = open_image(RDWR, "");
    assert_int_equal(bdrv_snapshot_delete(blk_bs(blk), "1", NULL, &error_abort), 0);
    take_named(blk, "c", 0);
    assert_int_equal(bdrv_snapshot_list(blk_bs(blk), &list), 2);
    assert_string_equal(list[0].id_str, "2");
    assert_string_equal(list[0].name, "b");
    assert_string_equal(list[1].id_str, "3");
    assert_string_equal(list[1].name, "c");
    assert_int_equal(list[1].date_sec, 1700000000);
    assert_int_equal(list[1].disk_size, MIB);
    free(list);
    blk_unref(blk);
    assert_clean();
    assert_int_equal(shell("qemu-img snapshot -l " IMAGE " | grep -q '^3  *c '"), 0);
}

static void unknown_data_of_entries_stays(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("cluster_size=64k", "1M");
    assert_int_equal(shell("qemu-img snapshot -c abcdefgh " IMAGE), 0);
    /* The table: id and name move 8 bytes back, to make room for what nobody knows. */
    assert_int_equal(shell("at=$(qemu-img map " IMAGE " >/dev/null; od -An -tu8 --endian=big -j64 "
                           "-N8 " IMAGE " | tr -d ' '); dd if=" IMAGE " of=" RAW " bs=1 skip=$at "
                           "count=64 status=none; printf 'unknown!1abcdefgh' | dd of=" IMAGE " "
                           "bs=1 seek=$((at + 64)) conv=notrunc status=none; printf "
                           "'\\0\\0\\0\\040' | dd of=" IMAGE " bs=1 seek=$((at + 36)) conv=notrunc "
                           "status=none"), 0);
    blk = open_image(RDWR, "");
    take_named(blk, "second", 0);
    blk_unref(blk);
    assert_clean();
    assert_int_equal(shell("grep -qa 'unknown!1abcdefgh' " IMAGE), 0);
    assert_int_equal(shell("qemu-img snapshot -l " IMAGE " | grep -q '^1  *abcdefgh '"), 0);
}

static void full_counts_are_refused_without_a_trace(void **state)
{
    QEMUSnapshotInfo info = { .name = "one" };
    BlockBackend *blk;

    (void)state;
    make_image("refcount_bits=1", "1M");
    blk = open_image(RDWR, "");
    take_named(blk, "empty", 0);
    write_byte(blk, 0, 256 * KIB, 1);
    assert_int_equal(bdrv_snapshot_create(blk_bs(blk), &info, NULL), -EINVAL);
    write_byte(blk, 256 * KIB, 256 * KIB, 2);
    assert_bytes(blk, 0, 256 * KIB, 1);
    blk_unref(blk);
    assert_clean();
    assert_int_equal(shell("qemu-io -f qcow2 -c 'read -P 1 0 256k' -c 'read -P 2 256k 256k' " IMAGE
                           " >/dev/null && qemu-img snapshot -a empty " IMAGE), 0);
    assert_clean();
}

static void going_back_works_with_counts_as_high_as_they_can_be(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("refcount_bits=2", "1M");
    blk = open_image(RDWR, "");
    write_byte(blk, 0, MIB, 1);
    take_named(blk, "one", 0);
    take_named(blk, "two", 0);
    assert_int_equal(bdrv_snapshot_goto(blk_bs(blk), "one", &error_abort), 0);
    assert_bytes(blk, 0, MIB, 1);
    blk_unref(blk);
    assert_clean();
}

static void external_data_file_has_no_snapshots(void **state)
{
    QEMUSnapshotInfo info = { .name = "one" }, *list;
    BlockBackend *blk;

    (void)state;
    make_image("data_file=" BASE, "1M");
    blk = open_image(RDWR, "");
    assert_int_equal(bdrv_snapshot_create(blk_bs(blk), &info, NULL), -ENOTSUP);
    assert_int_equal(bdrv_snapshot_list(blk_bs(blk), &list), -ENOTSUP);
    blk_unref(blk);
}

static void v2_image_with_snapshots_keeps_its_size(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("compat=0.10", "1M");
    blk = open_image(RDWR, "");
    take_named(blk, "one", 0);
    assert_int_equal(blk_truncate(blk, 2 * MIB), -ENOTSUP);
    assert_int_equal(bdrv_snapshot_delete(blk_bs(blk), NULL, "one", &error_abort), 0);
    assert_int_equal(blk_truncate(blk, 2 * MIB), 0);
    blk_unref(blk);
    assert_clean();
}

static void snapshot_is_shown_as_it_was(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("cluster_size=4k", "1M");
    blk = open_image(RDWR, "");
    write_byte(blk, 0, MIB, 1);
    take_named(blk, "one", 0);
    write_byte(blk, 0, MIB, 2);
    assert_int_equal(blk_truncate(blk, 2 * MIB), 0);
    assert_int_equal(bdrv_snapshot_load_tmp(blk_bs(blk), NULL, "one", NULL), -EINVAL);
    blk_unref(blk);
    blk = open_image(0, "");
    assert_bytes(blk, 0, MIB, 2);
    assert_int_equal(bdrv_snapshot_load_tmp(blk_bs(blk), NULL, "none", NULL), -ENOENT);
    assert_int_equal(bdrv_snapshot_load_tmp(blk_bs(blk), NULL, "one", &error_abort), 0);
    assert_int_equal(blk_getlength(blk), MIB);
    assert_bytes(blk, 0, MIB, 1);
    blk_unref(blk);
    assert_clean();
}

static void vm_state_belongs_to_its_snapshot(void **state)
{
    enum { VM = 300 * KIB + 3 * 512 };
    uint8_t *buf = malloc(VM), *back = malloc(VM);

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        BlockBackend *blk;

        make_overlay(kinds[i], "1000k");
        memset(buf, 0x5a, VM);
        blk = open_image(RDWR, "");
        write_byte(blk, 10 * KIB, 500 * KIB, 1);
        assert_int_equal(blk_save_vmstate(blk, buf, 0, 100001), 100001);
        assert_int_equal(blk_save_vmstate(blk, buf + 100001, 100001, VM - 100001), VM - 100001);
        take_named(blk, "one", VM);
        memset(back, 1, VM);
        assert_int_equal(blk_load_vmstate(blk, back, 0, VM), VM);
        assert_int_equal(back[0] | back[VM / 2] | back[VM - 1], 0);
        memset(buf, 0x33, VM);
        assert_int_equal(blk_save_vmstate(blk, buf, 1, 1000), 1000);
        assert_int_equal(bdrv_snapshot_goto(blk_bs(blk), "one", &error_abort), 0);
        assert_int_equal(blk_load_vmstate(blk, back, 0, VM), VM);
        assert_int_equal(back[0] & back[1] & back[VM / 2] & back[VM - 1], 0x5a);
        assert_int_equal(blk_save_vmstate(blk, buf, 5120, 1024), 1024);
        assert_int_equal(blk_load_vmstate(blk, back, 5119, 1026), 1026);
        assert_int_equal(back[0], 0x5a);
        assert_int_equal(back[1] & back[1024], 0x33);
        assert_int_equal(back[1025], 0x5a);
        blk_unref(blk);
        assert_clean();
        assert_int_equal(shell("qemu-io -f qcow2 -c 'read -b -P 0x5a 0 5k' -c 'read -b -P 0x33 "
                               "5k 1k' -c 'read -b -P 0x5a 6k %d' " IMAGE " >/dev/null",
                               VM - 6 * KIB), 0);
    }
    free(buf);
    free(back);
}

static void read_vm_state_that_qemu_wrote(void **state)
{
    uint8_t buf[4096];
    BlockBackend *blk;

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        make_image(kinds[i], "1000k");
        assert_int_equal(shell("qemu-io -f qcow2 -c 'write -b -P 0x77 0 700k' " IMAGE
                               " >/dev/null"), 0);
        blk = open_image(0, "");
        assert_int_equal(blk_load_vmstate(blk, buf, 699 * KIB - 1, 1024), 1024);
        assert_int_equal(buf[0] & buf[1023], 0x77);
        blk_unref(blk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_and_theirs_in_turn),
        cmocka_unit_test(ids_are_one_more_than_the_highest),
        cmocka_unit_test(unknown_data_of_entries_stays),
        cmocka_unit_test(full_counts_are_refused_without_a_trace),
        cmocka_unit_test(going_back_works_with_counts_as_high_as_they_can_be),
        cmocka_unit_test(external_data_file_has_no_snapshots),
        cmocka_unit_test(v2_image_with_snapshots_keeps_its_size),
        cmocka_unit_test(snapshot_is_shown_as_it_was),
        cmocka_unit_test(vm_state_belongs_to_its_snapshot),
        cmocka_unit_test(read_vm_state_that_qemu_wrote),
    };

    if (!have_qemu_img()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
