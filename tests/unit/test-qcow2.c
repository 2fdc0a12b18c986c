/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The format qcow2: what takes a program to ask for, on images made and checked by qemu-img. */
#include "qcow2-test.h"

#include <blkbackend/image.h>

/* ---- another size ---- */

static const char *const kinds[] = {
    "compat=1.1", "cluster_size=512", "extended_l2=on", "cluster_size=2M",
    "cluster_size=2M,extended_l2=on", "cluster_size=4k,refcount_bits=64",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void grown_part_reads_as_zeroes(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        BlockBackend *blk;

        make_overlay(kinds[i], "1000k");
        blk = open_image(RDWR, "");
        write_byte(blk, 300 * KIB, 20 * KIB, 0x22);
        assert_int_equal(blk_truncate(blk, 3 * MIB), 0);
        assert_int_equal(blk_getlength(blk), 3 * MIB);
        assert_bytes(blk, 0, 300 * KIB, 0x11);
        assert_bytes(blk, 300 * KIB, 20 * KIB, 0x22);
        assert_bytes(blk, 320 * KIB, 680 * KIB, 0x11);
        assert_bytes(blk, 1000 * KIB, 3 * MIB - 1000 * KIB, 0);
        write_byte(blk, 2 * MIB, 512, 0x33);
        assert_bytes(blk, 2 * MIB - 512, 512, 0);
        assert_bytes(blk, 2 * MIB + 512, 512, 0);
        blk_unref(blk);
        assert_clean();
    }
}

static void nothing_stale_shows_after_shrinking_and_growing(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        BlockBackend *blk;

        make_image(kinds[i], "3M");
        blk = open_image(RDWR, "");
        write_byte(blk, 0, 3 * MIB, 0x44);
        assert_int_equal(blk_truncate(blk, 700 * KIB + 512), 0);
        assert_int_equal(blk_truncate(blk, 5 * MIB), 0);
        assert_bytes(blk, 0, 700 * KIB + 512, 0x44);
        assert_bytes(blk, 700 * KIB + 512, 4 * MIB, 0);
        blk_unref(blk);
        assert_clean();
    }
}

static void growing_moves_the_l1_table(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("cluster_size=512", "1M");
    blk = open_image(RDWR, "");
    write_byte(blk, 0, MIB, 0x55);
    assert_int_equal(blk_truncate(blk, 1024 * (int64_t)MIB), 0);
    write_byte(blk, 1023 * (int64_t)MIB, MIB, 0x66);
    assert_bytes(blk, 0, MIB, 0x55);
    assert_bytes(blk, MIB, MIB, 0);
    blk_unref(blk);
    assert_clean();
    blk = open_image(0, "");
    assert_bytes(blk, 1023 * (int64_t)MIB, MIB, 0x66);
    blk_unref(blk);
}

/* ---- space that goes back to the file ---- */

/* What is opened with one of them off, and all others on. */
static BlockBackend *open_logged(int flags, const char *off)
{
    static const char *const kinds_of_discard[] = { "request", "snapshot", "other" };
    char more[200] = "";

    for (size_t i = 0; i < 3; i++) {
        snprintf(more + strlen(more), sizeof(more) - strlen(more), ",'pass-discard-%s':%s",
                 kinds_of_discard[i], strcmp(kinds_of_discard[i], off) == 0 ? "false" : "true");
    }
    return open_options(flags, &error_abort, "'driver':'qcow2','file':{'driver':'blkdebug','log':"
                        "'log','image':{'driver':'file','filename':'" IMAGE "'}}%s", more);
}

static int64_t discarded_in_log(void)
{
    FILE *log = fopen("log", "r");
    long long bytes, sum = 0;
    char line[200];

    assert_non_null(log);
    while (fgets(line, sizeof(line), log)) {
        if (sscanf(line, "> %*s discard %*s %lld", &bytes) == 1) {
            sum += bytes;
        }
    }
    fclose(log);
    return sum;
}

/* What was discarded below while `change` was made to an image of which `off` is not passed on. */
static int64_t discarded_by(void (*change)(BlockBackend *blk), int flags, const char *off)
{
    BlockBackend *blk;

    make_image("cluster_size=64k", "4M");
    assert_int_equal(shell("qemu-io -f qcow2 -c 'write -P 1 0 4M' " IMAGE " >/dev/null && "
                           "qemu-img snapshot -c s0 " IMAGE " && "
                           "qemu-io -f qcow2 -c 'write -P 2 0 1M' " IMAGE " >/dev/null"), 0);
    blk = open_logged(flags, off);
    change(blk);
    assert_int_equal(blk_flush(blk), 0);
    blk_unref(blk);
    assert_clean();
    return discarded_in_log();
}

/* 1 MiB is the image's alone, the rest also the snapshot's. */
static void discard_all(BlockBackend *blk)
{
    assert_int_equal(blk_pdiscard(blk, 0, 4 * MIB), 0);
}

static void delete_snapshot(BlockBackend *blk)
{
    assert_int_equal(bdrv_snapshot_delete(blk_bs(blk), "1", NULL, &error_abort), 0);
}

static void go_to_snapshot(BlockBackend *blk)
{
    assert_int_equal(bdrv_snapshot_goto(blk_bs(blk), "1", &error_abort), 0);
}

static void freed_space_goes_back_as_the_options_say(void **state)
{
    (void)state;
    assert_in_range(discarded_by(discard_all, RDWR, ""), MIB, MIB);
    assert_int_equal(discarded_by(discard_all, RDWR, "request"), 0);
    assert_in_range(discarded_by(delete_snapshot, RDWR, ""), MIB, 2 * MIB);
    assert_int_equal(discarded_by(delete_snapshot, RDWR, "snapshot"), 0);
    assert_in_range(discarded_by(go_to_snapshot, RDWR, ""), MIB, 2 * MIB);
    assert_int_equal(discarded_by(go_to_snapshot, RDWR, "snapshot"), 0);
    /* Who asks for no discards gets those that are none of the guest's. */
    assert_in_range(discarded_by(delete_snapshot, RDWR & ~BDRV_O_UNMAP, ""), MIB, 2 * MIB);
}

/* A table that got too small. */
static void outgrow_refcount_table(BlockBackend *blk)
{
    for (int i = 4; i < 12; i++) {
        write_byte(blk, i * MIB, MIB, i);
    }
}

static void outgrown_tables_go_back_if_asked(void **state)
{
    static const char *const options[] = { "other", "" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        BlockBackend *blk;

        make_image("cluster_size=512,refcount_bits=64", "16M");
        blk = open_logged(RDWR, options[i]);
        outgrow_refcount_table(blk);
        assert_int_equal(blk_flush(blk), 0);
        blk_unref(blk);
        assert_clean();
        assert_int_equal(discarded_in_log() > 0, i);
    }
}

/* ---- tables that grow, caches that are small ---- */

static void refcount_table_grows(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("cluster_size=512,refcount_bits=64", "32M");
    blk = open_image(RDWR | BDRV_O_NO_FLUSH, "");
    for (int i = 0; i < 32; i++) {
        write_byte(blk, i * MIB, MIB, i + 1);
    }
    blk_unref(blk);
    assert_clean();
    blk = open_image(0, "");
    for (int i = 0; i < 32; i++) {
        assert_bytes(blk, i * MIB, MIB, i + 1);
    }
    blk_unref(blk);
}

static void small_caches_lose_nothing(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("cluster_size=4k,refcount_bits=64", "64M");
    blk = open_image(RDWR | BDRV_O_NO_FLUSH, ",'l2-cache-size':1024,'l2-cache-entry-size':512,"
                     "'refcount-cache-size':4096");
    for (int i = 0; i < 2000; i++) {
        write_byte(blk, (i * 7919 % 16384) * 4 * (int64_t)KIB, 4 * KIB, i % 255 + 1);
    }
    for (int i = 0; i < 2000; i++) {
        assert_bytes(blk, (i * 7919 % 16384) * 4 * (int64_t)KIB, 4 * KIB, i % 255 + 1);
    }
    blk_unref(blk);
    assert_clean();
}

/* ---- compression ---- */

static void compressed_writes_read_back(void **state)
{
    static const char *const types[] = { "zlib", "zstd" };
    uint8_t *buf = malloc(64 * KIB);

    (void)state;
    for (size_t t = 0; t < 2; t++) {
        BlockBackend *blk;
        char options[100];

        snprintf(options, sizeof(options), "compression_type=%s", types[t]);
        make_image(options, "2M");
        blk = open_image(RDWR, "");
        for (int i = 0; i < 20; i++) {
            for (int k = 0; k < 64 * KIB; k++) {
                buf[k] = (uint8_t)(i % 4 == 3 ? rand() : k / 100 * i);
            }
            assert_true(blk_write_compressed(blk, i % 16 * 128, buf, 128) >= 0);
        }
        memset(buf, 0x77, 64 * KIB);
        assert_true(blk_write_compressed(blk, 20 * 128, buf, 128) >= 0);
        write_byte(blk, 100 * KIB, 1000, 0x12);
        assert_bytes(blk, 20 * 64 * KIB, 64 * KIB, 0x77);
        assert_bytes(blk, 100 * KIB, 1000, 0x12);
        blk_unref(blk);
        assert_clean();
        assert_int_equal(shell("qemu-io -f qcow2 -c 'read -P 0x77 1280k 64k' -c "
                               "'read -P 0x12 100k 1000' " IMAGE " >/dev/null"), 0);
    }
    free(buf);
}

/* ---- what is refused ---- */

#define FILE_OPTIONS "'driver':'qcow2','file':{'driver':'file','filename':'" IMAGE "'}"
#define REFUSED(flags, text) assert_open_fails(text, flags, FILE_OPTIONS)
#define REFUSED_WITH(option, text) assert_open_fails(text, 0, FILE_OPTIONS "," option)

static void unknown_features_are_refused_by_name(void **state)
{
    static const uint8_t bit5 = 0x20, bit9 = 0x02;

    (void)state;
    make_image("compat=1.1", "1M");
    poke(79, &bit5, 1);
    REFUSED(0, "Unsupported qcow2 feature(s): Unknown incompatible feature: 20");
    poke(79, "", 1);
    poke(78, &bit9, 1);
    /* the first entry of the feature name table, which describes bit 0, now names bit 9 */
    poke(112 + 8 + 1, "\11" "time travel\0", 13);
    REFUSED(0, "Unsupported qcow2 feature(s): time travel");
}

static void corrupt_image_is_only_read(void **state)
{
    static const uint8_t corrupt = 2;
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", "1M");
    poke(79, &corrupt, 1);
    REFUSED(RDWR, "Image is corrupt; cannot be opened read/write");
    blk = open_image(0, "");
    assert_bytes(blk, 0, MIB, 0);
    blk_unref(blk);
}

static void write_on_metadata_marks_the_image(void **state)
{
    /* Where clusters of 64 KiB are: refcount table and block, L1 table, L2 table. */
    static const uint8_t metadata[] = { 1, 2, 3, 4 };
    uint8_t buf[512] = { 1 }, entry[8] = { 0x80 };
    BlockBackend *blk;

    (void)state;
    for (size_t i = 0; i < sizeof(metadata); i++) {
        make_image("cluster_size=64k", "1M");
        blk = open_image(RDWR, "");
        write_byte(blk, 0, 512, 1);
        blk_unref(blk);
        entry[5] = metadata[i];
        poke(256 * KIB, entry, sizeof(entry));
        blk = open_image(RDWR, "");
        assert_int_equal(blk_pwrite(blk, 0, buf, sizeof(buf)), -EIO);
        assert_int_equal(blk_pwrite(blk, 512 * KIB, buf, sizeof(buf)), -ENOMEDIUM);
        assert_int_equal(blk_pread(blk, 512 * KIB, buf, sizeof(buf)), -ENOMEDIUM);
        blk_unref(blk);
        REFUSED(RDWR, "Image is corrupt");
    }
}

/* Or a small file could send the search for a free cluster on a very long way. */
static void a_refcount_block_listed_twice_is_corruption(void **state)
{
    static const uint8_t block[8] = { 0, 0, 0, 0, 0, 0, 4, 0 };
    BlockBackend *blk;
    uint8_t buf[512] = { 1 };

    (void)state;
    make_image("cluster_size=512,refcount_bits=1", "1M");
    for (int i = 0; i < 64; i++) {
        poke(0x200 + 8 * i, block, sizeof(block));
    }
    blk = open_image(RDWR, "");
    assert_int_equal(blk_pwrite(blk, 0, buf, sizeof(buf)), -EIO);
    assert_int_equal(blk_pread(blk, 0, buf, sizeof(buf)), -ENOMEDIUM);
    blk_unref(blk);
    REFUSED(RDWR, "Image is corrupt");
}

static void encryption_is_refused(void **state)
{
    (void)state;
    make_image("compat=1.1", "1M");
    poke(32, "\0\0\0\2", 4);
    REFUSED(0, "LUKS-encrypted qcow2 images are not supported");
    poke(32, "\0\0\0\1", 4);
    REFUSED(0, "AES-encrypted qcow2 images are not supported");
}

static void bad_cache_sizes_are_refused(void **state)
{
    (void)state;
    make_image("compat=1.1", "1M");
    REFUSED_WITH("'l2-cache-entry-size':1000", "power of two between 512 and the cluster size");
    REFUSED_WITH("'l2-cache-entry-size':131072", "power of two between 512 and the cluster size");
    REFUSED_WITH("'cache-size':4096,'l2-cache-size':8192", "may not exceed cache-size");
    REFUSED_WITH("'cache-size':1,'l2-cache-size':1,'refcount-cache-size':1", "at the same time");
    REFUSED_WITH("'lazy':1", "does not support the option 'lazy'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grown_part_reads_as_zeroes),
        cmocka_unit_test(nothing_stale_shows_after_shrinking_and_growing),
        cmocka_unit_test(growing_moves_the_l1_table),
        cmocka_unit_test(freed_space_goes_back_as_the_options_say),
        cmocka_unit_test(outgrown_tables_go_back_if_asked),
        cmocka_unit_test(refcount_table_grows),
        cmocka_unit_test(small_caches_lose_nothing),
        cmocka_unit_test(compressed_writes_read_back),
        cmocka_unit_test(unknown_features_are_refused_by_name),
        cmocka_unit_test(corrupt_image_is_only_read),
        cmocka_unit_test(write_on_metadata_marks_the_image),
        cmocka_unit_test(a_refcount_block_listed_twice_is_corruption),
        cmocka_unit_test(encryption_is_refused),
        cmocka_unit_test(bad_cache_sizes_are_refused),
    };

    if (!have_qemu_img()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
