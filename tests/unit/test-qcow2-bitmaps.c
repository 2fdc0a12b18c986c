/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bitmaps that qcow2 images keep: made by QEMU and used here, made here and used
 * by QEMU, bit by bit; after a crash; and images that lie about them.
 */
#include "driver-test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/image.h>

#include "byte-order.h"
#include "drivers/qcow2/qcow2.h"

#define IMAGE "image"
#define DISK (20 * MIB + 512)
#define MAX_AREAS 20000

/* ---- QEMU's tools ---- */

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *fmt, ...)
{
    char command[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    return system(command);
}

#define RUN(...) assert_int_equal(shell(__VA_ARGS__), 0)

static void make_image(const char *options, long size)
{
    RUN("qemu-img create -q -f qcow2 -o '%s' " IMAGE " %ld", options, size);
}

/* No leaks, no errors. */
static void assert_clean(void)
{
    RUN("qemu-img check -q " IMAGE);
}

/* What QEMU's info says about bitmaps, without line breaks and spaces; "" if there are none. */
static void assert_qemu_lists(const char *expected)
{
    char text[2000] = "";
    FILE *f = popen("qemu-img info --output=json " IMAGE " | tr -d ' \\n' | "
                    "sed -n 's/.*\"bitmaps\":\\(\\[.*\\]\\),\"refcount.*/\\1/p'", "r");

    assert_non_null(f);
    if (fgets(text, sizeof(text), f)) {
        text[strcspn(text, "\n")] = '\0';
    }
    pclose(f);
    assert_string_equal(text, expected);
}

#define LISTED(flags, name, granularity) \
    "{\"flags\":[" flags "],\"name\":\"" name "\",\"granularity\":" #granularity "}"

/* ---- dirty areas ---- */

typedef struct Areas {
    int64_t start[MAX_AREAS], bytes[MAX_AREAS];
    int n;
} Areas;

static void add_area(Areas *areas, int64_t start, int64_t bytes)
{
    assert_in_range(areas->n, 0, MAX_AREAS - 1);
    if (areas->n > 0 && areas->start[areas->n - 1] + areas->bytes[areas->n - 1] == start) {
        areas->bytes[areas->n - 1] += bytes;
        return;
    }
    areas->start[areas->n] = start;
    areas->bytes[areas->n++] = bytes;
}

/* As QEMU serves them over NBD. */
static void areas_by_qemu(Areas *areas, const char *name)
{
    long long start, bytes;
    char command[300], what[20];
    int type;
    FILE *f;

    areas->n = 0;
    snprintf(command, sizeof(command), "nbdinfo --map=qemu:dirty-bitmap:%s -- [ qemu-nbd -r -f "
             "qcow2 -B %s " IMAGE " ]", name, name);
    f = popen(command, "r");
    assert_non_null(f);
    while (fscanf(f, "%lld %lld %d %19s", &start, &bytes, &type, what) == 4) {
        if (type & 1) {
            add_area(areas, start, bytes);
        }
    }
    assert_int_equal(pclose(f), 0);
}

static void areas_of(Areas *areas, const BdrvDirtyBitmap *bitmap)
{
    int64_t offset = 0, count, size = bdrv_dirty_bitmap_size(bitmap);

    areas->n = 0;
    while (bdrv_dirty_bitmap_next_dirty_area(bitmap, offset, size, INT64_MAX, &offset, &count)) {
        add_area(areas, offset, count);
        offset += count;
    }
}

static void assert_same_areas(const Areas *a, const Areas *b)
{
    for (int i = 0; i < a->n && i < b->n; i++) {
        assert_int_equal(a->start[i], b->start[i]);
        assert_int_equal(a->bytes[i], b->bytes[i]);
    }
    assert_int_equal(a->n, b->n);
}

/* ---- here ---- */

static BlockBackend *open_image(int flags)
{
    return open_options(flags, &error_abort, "'driver':'qcow2','file':{'driver':'file',"
                        "'filename':'" IMAGE "'}");
}

static BdrvDirtyBitmap *find(BlockBackend *blk, const char *name)
{
    BdrvDirtyBitmap *bitmap = bdrv_find_dirty_bitmap(blk_bs(blk), name);

    assert_non_null(bitmap);
    return bitmap;
}

static BdrvDirtyBitmap *add(BlockBackend *blk, const char *name, uint32_t granularity)
{
    BdrvDirtyBitmap *bitmap;

    assert_true(bdrv_can_store_new_dirty_bitmap(blk_bs(blk), name, granularity, &error_abort));
    bitmap = bdrv_create_dirty_bitmap(blk_bs(blk), granularity, name, &error_abort);
    bdrv_dirty_bitmap_set_persistence(bitmap, true);
    return bitmap;
}

static void drop(BlockBackend *blk, const char *name)
{
    assert_int_equal(bdrv_remove_persistent_dirty_bitmap(blk_bs(blk), name, &error_abort), 0);
    bdrv_release_dirty_bitmap(find(blk, name));
}

static uint64_t field_at(off_t offset, int bytes)
{
    uint8_t buf[8] = { 0 };
    int fd = open(IMAGE, O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, buf + 8 - bytes, (size_t)bytes, offset), bytes);
    close(fd);
    return load_be64(buf);
}

static void poke(off_t offset, const void *bytes, size_t len)
{
    int fd = open(IMAGE, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), len);
    close(fd);
}

/* Where the header's extension has its data. */
static off_t extension(void)
{
    off_t pos = (off_t)field_at(100, 4);

    while (field_at(pos, 4) != QCOW2_EXT_BITMAPS) {
        assert_true(field_at(pos, 4) != QCOW2_EXT_END);
        pos += 8 + (off_t)((field_at(pos + 4, 4) + 7) & ~UINT64_C(7));
    }
    return pos + 8;
}

static off_t directory(void)
{
    return (off_t)field_at(extension() + 16, 8);
}

/* ---- made there, used here ---- */

static const uint32_t granularities[] = {
    512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 2 << 20,
};
#define GRANULARITIES (sizeof(granularities) / sizeof(granularities[0]))

static void bits_of_qemu_are_read(void **state)
{
    static Areas here, there;

    (void)state;
    make_image("compat=1.1", DISK);
    for (size_t i = 0; i < GRANULARITIES; i++) {
        RUN("qemu-img bitmap --add -g %u " IMAGE " b%zu", granularities[i], i);
    }
    RUN("qemu-img bitmap --add --disable " IMAGE " off");
    RUN("qemu-io -f qcow2 -c 'write 512 1k' -c 'write -z 4M 100k' -c 'discard 8M 1M' -c "
        "'write 20M 512' " IMAGE " >/dev/null");
    for (size_t i = 0; i < GRANULARITIES; i++) {
        char name[8];
        BlockBackend *blk = open_image(0);

        snprintf(name, sizeof(name), "b%zu", i);
        assert_int_equal(bdrv_dirty_bitmap_granularity(find(blk, name)), granularities[i]);
        assert_true(bdrv_dirty_bitmap_enabled(find(blk, name)));
        assert_true(bdrv_dirty_bitmap_get_persistence(find(blk, name)));
        assert_true(bdrv_dirty_bitmap_readonly(find(blk, name)));
        areas_of(&here, find(blk, name));
        areas_by_qemu(&there, name);
        assert_same_areas(&here, &there);
        assert_true(here.n > 0);
        assert_false(bdrv_dirty_bitmap_enabled(find(blk, "off")));
        assert_int_equal(bdrv_get_dirty_count(find(blk, "off")), 0);
        blk_unref(blk);
    }
    assert_clean();
}

static void reading_and_idle_opening_change_nothing(void **state)
{
    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0 && cp " IMAGE " " IMAGE ".copy");
    blk_unref(open_image(0));
    blk_unref(open_image(RDWR));
    RUN("cmp " IMAGE " " IMAGE ".copy");
}

/* ---- made here, used there ---- */

static const char *const kinds[] = {
    "compat=1.1", "cluster_size=512", "cluster_size=2M", "extended_l2=on", "refcount_bits=1",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void bits_are_read_by_qemu(void **state)
{
    static Areas here, there;

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        BlockBackend *blk;
        BdrvDirtyBitmap *b0;

        make_image(kinds[i], DISK);
        blk = open_image(RDWR);
        b0 = add(blk, "b0", 512);
        add(blk, "b1", 65536);
        write_byte(blk, 0, 100 * KIB, 1);
        write_byte(blk, 20 * MIB, 512, 1);
        bdrv_disable_dirty_bitmap(find(blk, "b1"));
        write_byte(blk, 9 * MIB, 1024, 1);
        areas_of(&here, b0);
        blk_unref(blk);
        assert_clean();
        assert_qemu_lists("[" LISTED("", "b1", 65536) "," LISTED("\"auto\"", "b0", 512) "]");
        areas_by_qemu(&there, "b0");
        assert_same_areas(&here, &there);
        areas_by_qemu(&there, "b1");
        assert_int_equal(there.n, 2);
        assert_int_equal(there.bytes[0], 128 * KIB);

        RUN("qemu-img bitmap --clear " IMAGE " b0 && qemu-img bitmap --enable " IMAGE " b1 && "
            "qemu-img bitmap --merge b1 " IMAGE " b0 && qemu-img bitmap --remove " IMAGE " b1");
        blk = open_image(RDWR);
        areas_of(&here, find(blk, "b0"));
        assert_same_areas(&here, &there);
        drop(blk, "b0");
        assert_null(qcow2_bitmaps_info(blk_bs(blk)));
        blk_unref(blk);
        assert_qemu_lists("");
        assert_clean();
    }
}

static void names_flags_and_order_are_kept(void **state)
{
    BlockBackend *blk;
    QObject *info;
    char *text;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add -g 4096 " IMAGE " first && "
        "qemu-img bitmap --add --disable " IMAGE " second");
    blk = open_image(RDWR);
    info = qcow2_bitmaps_info(blk_bs(blk));
    text = json_dumps(info, JSON_COMPACT);
    assert_string_equal(text, "[" LISTED("\"auto\"", "first", 4096) ","
                        LISTED("", "second", 65536) "]");
    free(text);
    json_decref(info);
    bdrv_enable_dirty_bitmap(find(blk, "second"));
    add(blk, "third", 1024);
    blk_unref(blk);
    assert_qemu_lists("[" LISTED("\"auto\"", "first", 4096) ","
                      LISTED("\"auto\"", "second", 65536) ","
                      LISTED("\"auto\"", "third", 1024) "]");
    assert_clean();
}

static void merging_between_images(void **state)
{
    BlockBackend *blk, *from;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add -g 4096 " IMAGE " b0 && qemu-io -f qcow2 -c 'write 1M 4k' " IMAGE
        " >/dev/null && cp " IMAGE " " IMAGE ".copy && qemu-img bitmap --clear " IMAGE " b0");
    blk = open_image(RDWR);
    from = open_options(0, &error_abort, "'driver':'qcow2','file':{'driver':'file',"
                        "'filename':'" IMAGE ".copy'}");
    assert_true(bdrv_merge_dirty_bitmap(find(blk, "b0"), find(from, "b0"), &error_abort));
    blk_unref(from);
    blk_unref(blk);
    blk = open_image(0);
    assert_int_equal(bdrv_get_dirty_count(find(blk, "b0")), 4096);
    assert_true(bdrv_dirty_bitmap_get(find(blk, "b0"), MIB));
    blk_unref(blk);
    assert_clean();
}

static void all_that_writes_shows_in_the_image(void **state)
{
    static uint8_t data[64 * KIB];
    BlockBackend *blk;
    BdrvDirtyBitmap *b;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0");
    blk = open_image(RDWR);
    assert_int_equal(blk_write_zeroes(blk, MIB / 512, 128, 0), 0);
    assert_int_equal(blk_discard(blk, 2 * MIB / 512, 128), 0);
    assert_int_equal(blk_write_compressed(blk, 3 * MIB / 512, data, 128), 0);
    blk_unref(blk);
    blk = open_image(0);
    b = find(blk, "b0");
    assert_int_equal(bdrv_get_dirty_count(b), 3 * 64 * KIB);
    for (int i = 1; i <= 3; i++) {
        assert_true(bdrv_dirty_bitmap_get(b, i * MIB));
    }
    blk_unref(blk);
    assert_clean();
}

/* ---- crashes ---- */

static void write_something(BlockBackend *blk)
{
    write_byte(blk, MIB, 4096, 1);
}

static void do_nothing(BlockBackend *blk)
{
    (void)blk;
}

static void change_by_hand(BlockBackend *blk)
{
    bdrv_clear_dirty_bitmap(find(blk, "b0"));
    drop(blk, "b1");
}

static const struct { const char *name; void (*fn)(BlockBackend *blk); } crashes[] = {
    { "write", write_something }, { "nothing", do_nothing }, { "remove", change_by_hand },
};

/* What the process does that crash_after() starts: it changes the image and dies with it open. */
static int crash(const char *name)
{
    BlockBackend *blk = qemu_init_main_loop(NULL) == 0 ? open_image(RDWR) : NULL;

    for (size_t i = 0; blk && i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        if (strcmp(crashes[i].name, name) == 0) {
            crashes[i].fn(blk);
            blk_flush(blk);
            raise(SIGKILL);
        }
    }
    return 1;
}

static void crash_after(const char *name)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test-qcow2-bitmaps", name, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void a_crash_after_a_write_makes_them_inconsistent(void **state)
{
    BlockBackend *blk;
    Error *err = NULL;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0 && qemu-img bitmap --add --disable " IMAGE " b1");
    crash_after("write");
    assert_qemu_lists("[" LISTED("\"in-use\",\"auto\"", "b0", 65536) ","
                      LISTED("\"in-use\"", "b1", 65536) "]");
    blk = open_image(RDWR);
    assert_true(bdrv_dirty_bitmap_inconsistent(find(blk, "b0")));
    assert_false(bdrv_dirty_bitmap_enabled(find(blk, "b0")));
    assert_int_equal(blk_truncate(blk, 2 * DISK), -ENOTSUP);
    assert_int_equal(bdrv_truncate(blk_bs(blk), 2 * DISK, PREALLOC_MODE_OFF, &err), -ENOTSUP);
    assert_non_null(strstr(error_get_pretty(err), "is inconsistent and cannot be used"));
    error_free(err);
    write_byte(blk, 0, 4096, 1);
    blk_unref(blk);
    assert_int_equal(shell("qemu-img bitmap --clear " IMAGE " b0 2>/dev/null") != 0, 1);
    blk = open_image(RDWR);
    assert_true(bdrv_dirty_bitmap_inconsistent(find(blk, "b0")));
    drop(blk, "b0");
    drop(blk, "b1");
    blk_unref(blk);
    assert_qemu_lists("");
    assert_clean();
}

static void a_crash_before_any_write_does_no_harm(void **state)
{
    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0");
    crash_after("nothing");
    assert_qemu_lists("[" LISTED("\"auto\"", "b0", 65536) "]");
}

/* What was taken out of one bitmap may rest in another that is not stored yet. */
static void a_crash_after_a_removal_makes_the_others_inconsistent(void **state)
{
    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0 && qemu-img bitmap --add " IMAGE " b1");
    crash_after("remove");
    assert_qemu_lists("[" LISTED("\"in-use\",\"auto\"", "b0", 65536) "]");
}

static void what_qemu_left_in_use_is_inconsistent_here(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0 && "
        "qemu-io -f qcow2 -c 'sigraise 9' " IMAGE " >/dev/null 2>&1; true");
    blk = open_image(0);
    assert_true(bdrv_dirty_bitmap_inconsistent(find(blk, "b0")));
    blk_unref(blk);
}

/* ---- reopening, resizing ---- */

static void reopening_stores_and_goes_on(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0");
    blk = open_image(RDWR);
    write_byte(blk, 0, 4096, 1);
    assert_int_equal(bdrv_reopen(blk_bs(blk), BDRV_O_CACHE_WB, &error_abort), 0);
    assert_true(bdrv_dirty_bitmap_readonly(find(blk, "b0")));
    RUN("qemu-img info -U " IMAGE " | grep -q auto");
    assert_int_not_equal(shell("qemu-img info -U " IMAGE " | grep -q in-use"), 0);
    assert_int_equal(bdrv_reopen(blk_bs(blk), RDWR, &error_abort), 0);
    assert_false(bdrv_dirty_bitmap_readonly(find(blk, "b0")));
    write_byte(blk, MIB, 4096, 1);
    RUN("qemu-img info -U " IMAGE " | grep -q in-use");
    blk_unref(blk);
    blk = open_image(0);
    assert_int_equal(bdrv_get_dirty_count(find(blk, "b0")), 128 * KIB);
    blk_unref(blk);
    assert_clean();
}

static void resizing_takes_the_bitmaps_along(void **state)
{
    static Areas here, there;
    static const long sizes[] = { 100 * MIB, 3 * MIB + 512, 40 * MIB };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        BlockBackend *blk;

        make_image("cluster_size=512", DISK);
        RUN("qemu-img bitmap --add -g 512 " IMAGE " b0 && "
            "qemu-io -f qcow2 -c 'write 2M 3M' " IMAGE " >/dev/null && cp " IMAGE " " IMAGE
            ".copy");
        blk = open_image(RDWR);
        assert_int_equal(blk_truncate(blk, sizes[i]), 0);
        areas_of(&here, find(blk, "b0"));
        blk_unref(blk);
        assert_clean();
        areas_by_qemu(&there, "b0");
        assert_same_areas(&here, &there);
        RUN("mv " IMAGE ".copy " IMAGE " && qemu-img resize -q --shrink " IMAGE " %ld", sizes[i]);
        areas_by_qemu(&there, "b0");
        assert_same_areas(&here, &there);
    }
}

/* ---- limits ---- */

static void assert_not_storable(BlockBackend *blk, const char *name, uint32_t granularity,
                                const char *why)
{
    Error *err = NULL;

    assert_false(bdrv_can_store_new_dirty_bitmap(blk_bs(blk), name, granularity, &err));
    assert_non_null(strstr(error_get_pretty(err), why));
    error_free(err);
}

static void what_cannot_be_stored_is_refused(void **state)
{
    char long_name[1025];
    BlockBackend *blk;

    (void)state;
    make_image("compat=0.10", DISK);
    blk = open_image(RDWR);
    assert_not_storable(blk, "b0", 512, "Cannot store dirty bitmaps in qcow2 v2 files");
    assert_false(bdrv_supports_persistent_dirty_bitmap(blk_bs(blk)));
    blk_unref(blk);
    make_image("compat=1.1", 3L << 40);
    blk = open_image(RDWR);
    assert_not_storable(blk, "b0", 512, "Too much space will be occupied by the bitmap");
    memset(long_name, 'x', 1024);
    long_name[1024] = '\0';
    assert_not_storable(blk, long_name, 65536, "Name length exceeds maximum (1023 characters)");
    add(blk, "b0", 65536);
    assert_not_storable(blk, "b0", 65536, "Bitmap already exists: b0");
    blk_unref(blk);
    assert_clean();
    assert_qemu_lists("[" LISTED("\"auto\"", "b0", 65536) "]");
}

/* A bitmap that the image has not yet got counts like one that it has. */
static void no_downgrade_with_a_bitmap_yet_to_be_stored(void **state)
{
    QDict *options = qdict_new();
    Error *err = NULL;
    BlockBackend *blk;

    (void)state;
    qdict_put(options, "compat", qstring_from_str("0.10"));
    make_image("compat=1.1", DISK);
    blk = open_image(RDWR);
    add(blk, "b0", 65536);
    assert_int_equal(bdrv_amend(blk_bs(blk), options, false, NULL, NULL, &err), -ENOTSUP);
    assert_string_equal(error_get_pretty(err),
                        "Cannot downgrade an image with persistent bitmaps");
    error_free(err);
    drop(blk, "b0");
    assert_int_equal(bdrv_amend(blk_bs(blk), options, false, NULL, NULL, &error_abort), 0);
    blk_unref(blk);
    QDECREF(options);
    assert_clean();
    assert_qemu_lists("");
    RUN("qemu-img info " IMAGE " | grep -q 'compat: 0.10'");
}

/* ---- images that lie ---- */

#define ENTRY(field) (directory() + (field))

static void assert_refused(const char *why)
{
    assert_open_fails(why, 0, "'driver':'qcow2','file':{'driver':'file','filename':'" IMAGE "'}");
    assert_int_not_equal(shell("qemu-img info " IMAGE " >/dev/null 2>&1"), 0);
}

/* Changes bytes, expects the refusal, and puts the old ones back. */
static void refused_with(off_t offset, const char *bytes, size_t len, const char *why)
{
    uint8_t old[8];
    int fd = open(IMAGE, O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, old, len, offset), len);
    close(fd);
    poke(offset, bytes, len);
    assert_refused(why);
    poke(offset, old, len);
}

static void lies_are_refused_as_by_qemu(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0");
    refused_with(extension(), "\0\1\0\0", 4, "exceeding the supported maximum");
    refused_with(extension(), "\0\0\0\2", 4, "Less bitmaps found than specified");
    refused_with(extension() + 22, "\1", 1, "invalid bitmap directory offset");
    refused_with(extension() + 8, "\0\0\0\0\4\0\0\0", 8, "exceeds the maximum supported size");
    refused_with(extension() + 15, "\x18", 1, "Broken bitmap directory");
    refused_with(extension() + 15, "\0", 1, "Requested bitmap directory size is zero");
    refused_with(extension() + 16, "\0\0\0\0\0\1\0\0", 8, "overlaps other metadata");
    refused_with(extension() + 16, "\0\0\0\0\0\2\0\0", 8, "overlaps other metadata");
    refused_with(ENTRY(7), "\1", 1, "Bitmap 'b0' doesn't satisfy the constraints");
    refused_with(ENTRY(8), "\1", 1, "Bitmap 'b0' doesn't satisfy the constraints");
    refused_with(ENTRY(12), "\1", 1, "Bitmap 'b0' doesn't satisfy the constraints");
    refused_with(ENTRY(16), "\2", 1, "Bitmap 'b0' doesn't satisfy the constraints");
    refused_with(ENTRY(17), "\x20", 1, "Bitmap 'b0' doesn't satisfy the constraints");
    refused_with(ENTRY(20), "\0\0\0\2", 4, "Bitmap extra data is not supported");
    refused_with((off_t)field_at(ENTRY(0), 8), "\xff", 1, "Could not read bitmap_table table");
    blk = open_image(RDWR);
    assert_false(bdrv_dirty_bitmap_inconsistent(find(blk, "b0")));
    blk_unref(blk);
    assert_clean();
}

static void without_the_autoclear_bit_they_are_forgotten(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0");
    poke(95, "\0", 1);
    blk = open_image(RDWR);
    assert_null(bdrv_find_dirty_bitmap(blk_bs(blk), "b0"));
    write_byte(blk, 0, 4096, 1);
    add(blk, "b0", 4096);
    blk_unref(blk);
    assert_qemu_lists("[" LISTED("\"auto\"", "b0", 4096) "]");
    assert_int_equal(WEXITSTATUS(shell("qemu-img check -q " IMAGE " >/dev/null")), 3);
}

static void what_could_not_be_written_is_inconsistent(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0 && "
        "qemu-io -f qcow2 -c 'write 0 64k' " IMAGE " >/dev/null");
    /* The first two writes are the mark "in use" and the guest's. */
    blk = open_options(RDWR, &error_abort, "'driver':'qcow2','file':{'driver':'blkdebug',"
                       "'image':{'driver':'file','filename':'" IMAGE "'},'inject-error':[{"
                       "'iotype':'write','errno':28,'after':2}]}");
    write_byte(blk, 0, 512, 1);
    blk_unref(blk);
    blk = open_image(0);
    assert_true(bdrv_dirty_bitmap_inconsistent(find(blk, "b0")));
    blk_unref(blk);
    assert_clean();
}

static void all_ones_need_no_clusters(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image("compat=1.1", DISK);
    RUN("qemu-img bitmap --add " IMAGE " b0");
    poke((off_t)field_at(ENTRY(0), 8) + 7, "\1", 1);
    blk = open_image(RDWR);
    assert_int_equal(bdrv_get_dirty_count(find(blk, "b0")), 321 * 64 * KIB);
    write_byte(blk, 0, 512, 1);
    blk_unref(blk);
    assert_clean();
    blk = open_image(RDWR);
    assert_int_equal(bdrv_get_dirty_count(find(blk, "b0")), 321 * 64 * KIB);
    blk_unref(blk);
}

/* ---- at random: our changes and QEMU's in turn, against a model ---- */

#define MODEL_DISK (2 * MIB)
#define MODEL_GRANULES (MODEL_DISK / 512)

static void mark_model(uint8_t *model, uint32_t granularity, int64_t offset, int64_t bytes)
{
    int64_t last = (offset + bytes - 1) / granularity;

    memset(model + offset / granularity, 1, (size_t)(last - offset / granularity + 1));
}

static void assert_as_model(const BdrvDirtyBitmap *b, const uint8_t *model, uint32_t granularity)
{
    for (int64_t i = 0; i * granularity < MODEL_DISK; i++) {
        assert_int_equal(bdrv_dirty_bitmap_get(b, i * granularity), model[i]);
    }
}

static void changes_in_turn_agree_with_a_model(void **state)
{
    static uint8_t model[MODEL_GRANULES];
    const char *seed_text = getenv("SEED");
    unsigned seed = seed_text ? (unsigned)atoi(seed_text) : 1;

    (void)state;
    for (size_t g = 0; g < GRANULARITIES; g++) {
        memset(model, 0, sizeof(model));
        make_image(g % 2 ? "cluster_size=512" : "cluster_size=64k", MODEL_DISK);
        RUN("qemu-img bitmap --add -g %u " IMAGE " b0", granularities[g]);
        for (int round = 0; round < 6; round++) {
            int64_t offset = rand_r(&seed) % (MODEL_DISK / 512) * 512L, bytes;
            BlockBackend *blk = open_image(RDWR);

            bytes = (1 + rand_r(&seed) % (round % 3 ? 8 : 2000)) * 512L;
            bytes = bytes > MODEL_DISK - offset ? MODEL_DISK - offset : bytes;
            assert_as_model(find(blk, "b0"), model, granularities[g]);
            write_byte(blk, offset, (int)bytes, round);
            mark_model(model, granularities[g], offset, bytes);
            if (rand_r(&seed) % 4 == 0) {
                bdrv_clear_dirty_bitmap(find(blk, "b0"));
                memset(model, 0, sizeof(model));
            }
            blk_unref(blk);
            offset = rand_r(&seed) % (MODEL_DISK / 512 - 8) * 512L;
            RUN("qemu-io -f qcow2 -c 'write -q %lld 4k' " IMAGE " >/dev/null && qemu-img check -q "
                IMAGE, (long long)offset);
            mark_model(model, granularities[g], offset, 4096);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_of_qemu_are_read),
        cmocka_unit_test(reading_and_idle_opening_change_nothing),
        cmocka_unit_test(bits_are_read_by_qemu),
        cmocka_unit_test(names_flags_and_order_are_kept),
        cmocka_unit_test(merging_between_images),
        cmocka_unit_test(all_that_writes_shows_in_the_image),
        cmocka_unit_test(a_crash_after_a_write_makes_them_inconsistent),
        cmocka_unit_test(a_crash_before_any_write_does_no_harm),
        cmocka_unit_test(a_crash_after_a_removal_makes_the_others_inconsistent),
        cmocka_unit_test(what_qemu_left_in_use_is_inconsistent_here),
        cmocka_unit_test(reopening_stores_and_goes_on),
        cmocka_unit_test(resizing_takes_the_bitmaps_along),
        cmocka_unit_test(what_cannot_be_stored_is_refused),
        cmocka_unit_test(no_downgrade_with_a_bitmap_yet_to_be_stored),
        cmocka_unit_test(lies_are_refused_as_by_qemu),
        cmocka_unit_test(without_the_autoclear_bit_they_are_forgotten),
        cmocka_unit_test(what_could_not_be_written_is_inconsistent),
        cmocka_unit_test(all_ones_need_no_clusters),
        cmocka_unit_test(changes_in_turn_agree_with_a_model),
    };

    if (argc > 1) {
        return crash(argv[1]);
    }
    if (shell("qemu-img --version >/dev/null 2>&1 && nbdinfo --version >/dev/null 2>&1")) {
        printf("no qemu-img or no nbdinfo here\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
