/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dirty bitmaps of nodes: what marks them, and what can be done with them. */
#include "graph-test.h"

#include <blkbackend/dirty-bitmap.h>

#define RW (BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP)

static BlockDriverState *open_disk(void)
{
    return open_ok("test:", NULL, RW);
}

/* All dirty areas, "start+length" each. */
static void assert_dirty(BdrvDirtyBitmap *bitmap, const char *expected)
{
    char text[1000] = "";
    int64_t offset = 0, count, size = bdrv_dirty_bitmap_size(bitmap);

    while (bdrv_dirty_bitmap_next_dirty_area(bitmap, offset, size, INT64_MAX, &offset, &count)) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%lld+%lld",
                 text[0] ? " " : "", (long long)offset, (long long)count);
        offset += count;
    }
    assert_string_equal(text, expected);
}

static void assert_refused(Error **err, const char *message)
{
    assert_non_null(*err);
    assert_string_equal(error_get_pretty(*err), message);
    error_free(*err);
    *err = NULL;
}

static int write_at(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    static uint8_t data[DISK_SIZE];

    return request_run((Request){ .fn = do_write, .bs = bs, .offset = offset, .bytes = bytes,
                                  .buf = data });
}

/* ---- life ---- */

static void bitmaps_have_names_of_their_own(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *a = bdrv_create_dirty_bitmap(bs, 512, "a", &error_abort), *anonymous;
    Error *err = NULL;
    char long_name[1025];

    (void)state;
    assert_ptr_equal(bdrv_find_dirty_bitmap(bs, "a"), a);
    assert_null(bdrv_find_dirty_bitmap(bs, "b"));
    assert_null(bdrv_create_dirty_bitmap(bs, 512, "a", &err));
    assert_refused(&err, "Bitmap already exists: a");
    assert_null(bdrv_create_dirty_bitmap(bs, 512, "", &err));
    assert_refused(&err, "Bitmap name cannot be empty");
    memset(long_name, 'n', 1024);
    long_name[1024] = '\0';
    assert_null(bdrv_create_dirty_bitmap(bs, 512, long_name, NULL));
    long_name[1023] = '\0';
    assert_non_null(bdrv_create_dirty_bitmap(bs, 512, long_name, &error_abort));
    anonymous = bdrv_create_dirty_bitmap(bs, 512, NULL, &error_abort);
    assert_null(bdrv_dirty_bitmap_name(anonymous));
    assert_ptr_equal(bdrv_dirty_bitmap_first(bs), anonymous);
    bdrv_release_dirty_bitmap(a);
    assert_null(bdrv_find_dirty_bitmap(bs, "a"));
    assert_non_null(bdrv_find_dirty_bitmap(bs, long_name));
    assert_true(bdrv_has_named_bitmaps(bs));
    bdrv_unref(bs);   /* takes the others with it */
}

static void granularities_and_sizes_have_bounds(void **state)
{
    static const uint32_t wrong[] = { 0, 1, 256, 513, 1000, 3u << 20 };
    BlockDriverState *bs = open_disk();
    Error *err = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_null(bdrv_create_dirty_bitmap(bs, wrong[i], "a", &err));
        assert_refused(&err, "Granularity must be power of 2 and at least 512");
    }
    assert_non_null(bdrv_create_dirty_bitmap(bs, 1u << 31, "a", &error_abort));
    bdrv_unref(bs);
    disk.length = INT64_C(512) << 32;
    bs = open_disk();
    assert_non_null(bdrv_create_dirty_bitmap(bs, 512, "one", &error_abort));
    assert_null(bdrv_create_dirty_bitmap(bs, 512, "two", &err));   /* 1 GiB for all of them */
    assert_refused(&err, "Too much space will be occupied by the bitmap. Use larger granularity");
    assert_non_null(bdrv_create_dirty_bitmap(bs, 1024, "two", &error_abort));
    bdrv_unref(bs);
    disk.length = (INT64_C(512) << 32) + 512;
    bs = open_disk();
    assert_null(bdrv_create_dirty_bitmap(bs, 512, "one", &err));
    assert_refused(&err, "Too much space will be occupied by the bitmap. Use larger granularity");
    bdrv_unref(bs);
}

/* ---- what marks ---- */

static void every_kind_of_write_marks(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *b = bdrv_create_dirty_bitmap(bs, 1024, "a", &error_abort);

    (void)state;
    assert_dirty(b, "");
    assert_int_equal(write_at(bs, 1536, 512), 0);
    assert_dirty(b, "1024+1024");
    assert_int_equal(write_at(bs, 4095, 2), 0);
    assert_dirty(b, "1024+1024 3072+2048");
    assert_int_equal(request_run((Request){ .fn = do_zero, .bs = bs, .offset = 8192,
                                            .bytes = 3000 }), 0);
    assert_dirty(b, "1024+1024 3072+2048 8192+3072");
    assert_int_equal(request_run((Request){ .fn = do_discard, .bs = bs, .offset = 65536,
                                            .bytes = 4096 }), 0);
    assert_dirty(b, "1024+1024 3072+2048 8192+3072 65536+4096");
    assert_int_equal(bdrv_get_dirty_count(b), 10 * 1024);
    bdrv_unref(bs);
}

static void reads_do_not(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *b = bdrv_create_dirty_bitmap(bs, 512, "a", &error_abort);
    uint8_t buf[512];

    (void)state;
    assert_int_equal(request_run((Request){ .fn = do_read, .bs = bs, .bytes = 512, .buf = buf }),
                     0);
    assert_int_equal(write_at(bs, 0, 0), 0);
    assert_dirty(b, "");
    bdrv_unref(bs);
}

static void a_failed_write_marks(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *b = bdrv_create_dirty_bitmap(bs, 512, "a", &error_abort);

    (void)state;
    disk.write_error = -EIO;
    assert_int_equal(write_at(bs, 512, 512), -EIO);
    assert_dirty(b, "512+512");
    bdrv_unref(bs);
}

static void it_is_marked_when_the_driver_is_done_and_before_the_reply(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *b = bdrv_create_dirty_bitmap(bs, 512, "a", &error_abort);
    static uint8_t data[512];
    Request req = { .fn = do_write, .bs = bs, .bytes = 512, .buf = data };

    (void)state;
    disk.hold = true;
    request_start(&req);
    bdrv_clear_dirty_bitmap(b);   /* somebody copies the old data now: the new ones must show */
    disk_release();
    assert_int_equal(request_finish(&req), 0);
    assert_dirty(b, "0+512");
    bdrv_unref(bs);
}

static void disabled_ones_ignore_writes(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *on = bdrv_create_dirty_bitmap(bs, 512, "on", &error_abort);
    BdrvDirtyBitmap *off = bdrv_create_dirty_bitmap(bs, 512, "off", &error_abort);

    (void)state;
    bdrv_disable_dirty_bitmap(off);
    assert_false(bdrv_dirty_bitmap_enabled(off));
    assert_int_equal(write_at(bs, 0, 512), 0);
    assert_dirty(on, "0+512");
    assert_dirty(off, "");
    bdrv_set_dirty_bitmap(off, 4096, 512);   /* by hand it can be changed */
    bdrv_enable_dirty_bitmap(off);
    assert_int_equal(write_at(bs, 1024, 512), 0);
    assert_dirty(on, "0+512 1024+512");
    assert_dirty(off, "1024+512 4096+512");
    bdrv_unref(bs);
}

static void a_readonly_one_stops_writes(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *b = bdrv_create_dirty_bitmap(bs, 512, "a", &error_abort);
    Error *err = NULL;

    (void)state;
    bdrv_dirty_bitmap_set_readonly(b, true);
    assert_int_equal(write_at(bs, 0, 512), -EPERM);
    assert_int_equal(bdrv_dirty_bitmap_check(b, BDRV_BITMAP_DEFAULT, &err), -1);
    assert_refused(&err, "Bitmap 'a' is readonly and cannot be modified");
    assert_int_equal(bdrv_dirty_bitmap_check(b, BDRV_BITMAP_ALLOW_RO, &err), 0);
    bdrv_dirty_bitmap_set_readonly(b, false);
    assert_int_equal(write_at(bs, 0, 512), 0);
    assert_dirty(b, "0+512");
    bdrv_dirty_bitmap_set_busy(b, true);
    assert_int_equal(bdrv_dirty_bitmap_check(b, BDRV_BITMAP_DEFAULT, &err), -1);
    assert_refused(&err, "Bitmap 'a' is currently in use by another operation and cannot be used");
    bdrv_dirty_bitmap_set_busy(b, false);
    bdrv_unref(bs);
}

/* ---- the disk's size ---- */

static void bitmaps_follow_the_size(void **state)
{
    BlockDriverState *bs;
    BdrvDirtyBitmap *b;

    (void)state;
    disk.length = 64 * 1024;
    bs = open_disk();
    b = bdrv_create_dirty_bitmap(bs, 1024, "a", &error_abort);
    assert_int_equal(write_at(bs, 0, 64 * 1024), 0);
    assert_int_equal(bdrv_truncate(bs, 128 * 1024, PREALLOC_MODE_OFF, &error_abort), 0);
    assert_int_equal(bdrv_dirty_bitmap_size(b), 128 * 1024);
    assert_dirty(b, "0+65536");
    assert_int_equal(bdrv_truncate(bs, 10 * 1024 + 512, PREALLOC_MODE_OFF, &error_abort), 0);
    assert_dirty(b, "0+10752");
    assert_int_equal(bdrv_get_dirty_count(b), 11 * 1024);
    assert_int_equal(bdrv_truncate(bs, 64 * 1024, PREALLOC_MODE_OFF, &error_abort), 0);
    assert_dirty(b, "0+11264");   /* nothing of what was cut off comes back */
    bdrv_dirty_bitmap_set_busy(b, true);
    assert_int_equal(bdrv_truncate(bs, 1024, PREALLOC_MODE_OFF, NULL), -ENOTSUP);
    bdrv_dirty_bitmap_set_busy(b, false);
    bdrv_unref(bs);
}

static void a_write_may_make_the_disk_longer(void **state)
{
    BlockDriverState *bs;
    BdrvDirtyBitmap *b;

    (void)state;
    disk.length = 4096;
    bs = open_disk();
    b = bdrv_create_dirty_bitmap(bs, 512, "a", &error_abort);
    assert_int_equal(write_at(bs, 8192, 1024), 0);
    assert_int_equal(bdrv_dirty_bitmap_size(b), 9216);
    assert_dirty(b, "8192+1024");
    assert_int_equal(write_at(bs, DISK_SIZE - 512, 1024), -ENOSPC);
    assert_int_equal(bdrv_dirty_bitmap_size(b), 9216);
    bdrv_unref(bs);
}

/* ---- set, reset, read ---- */

static void areas_are_found(void **state)
{
    BlockDriverState *bs;
    BdrvDirtyBitmap *b;
    int64_t start, count;

    (void)state;
    disk.length = 10 * 1024 + 512;
    bs = open_disk();
    b = bdrv_create_dirty_bitmap(bs, 1024, "a", &error_abort);
    bdrv_set_dirty_bitmap(b, 1500, 1);
    bdrv_set_dirty_bitmap(b, 10000, INT64_MAX - 10000);
    assert_dirty(b, "1024+1024 9216+1536");
    assert_true(bdrv_dirty_bitmap_get(b, 2047));
    assert_false(bdrv_dirty_bitmap_get(b, 2048));
    assert_int_equal(bdrv_dirty_bitmap_next_dirty(b, 0, INT64_MAX), 1024);
    assert_int_equal(bdrv_dirty_bitmap_next_dirty(b, 1100, INT64_MAX), 1100);
    assert_int_equal(bdrv_dirty_bitmap_next_dirty(b, 2048, 7168), -1);
    assert_int_equal(bdrv_dirty_bitmap_next_zero(b, 1100, INT64_MAX), 2048);
    assert_int_equal(bdrv_dirty_bitmap_next_zero(b, 9300, INT64_MAX), -1);
    assert_true(bdrv_dirty_bitmap_next_dirty_area(b, 1100, 10752, 500, &start, &count));
    assert_int_equal(start, 1100);
    assert_int_equal(count, 500);
    assert_false(bdrv_dirty_bitmap_status(b, 0, 10752, &count));
    assert_int_equal(count, 1024);
    assert_true(bdrv_dirty_bitmap_status(b, 9216, 1536, &count));
    assert_int_equal(count, 1536);
    assert_false(bdrv_dirty_bitmap_status(b, 2048, 100, &count));
    assert_int_equal(count, 100);
    bdrv_reset_dirty_bitmap(b, 1025, 9727);   /* of the first granule a part: it stays */
    assert_dirty(b, "1024+1024");
    bdrv_clear_dirty_bitmap(b);
    assert_dirty(b, "");
    bdrv_unref(bs);
}

static void iterators_go_from_granule_to_granule(void **state)
{
    BlockDriverState *bs = open_disk();
    BdrvDirtyBitmap *b = bdrv_create_dirty_bitmap(bs, 1024, "a", &error_abort);
    BdrvDirtyBitmapIter *iter = bdrv_dirty_iter_new(b);

    (void)state;
    assert_int_equal(bdrv_dirty_iter_next(iter), -1);
    bdrv_set_dirty_bitmap(b, 1024, 2048);
    bdrv_set_dirty_bitmap(b, DISK_SIZE - 1, 1);
    assert_int_equal(bdrv_dirty_iter_next(iter), 1024);
    assert_int_equal(bdrv_dirty_iter_next(iter), 2048);
    assert_int_equal(bdrv_dirty_iter_next(iter), DISK_SIZE - 1024);
    assert_int_equal(bdrv_dirty_iter_next(iter), -1);
    bdrv_set_dirty_iter(iter, 2048);
    assert_int_equal(bdrv_dirty_iter_next(iter), 2048);
    bdrv_dirty_iter_free(iter);
    bdrv_dirty_iter_free(NULL);
    bdrv_unref(bs);
}

static void merging_takes_any_granularity(void **state)
{
    BlockDriverState *bs = open_disk(), *other = open_disk();
    BdrvDirtyBitmap *fine = bdrv_create_dirty_bitmap(bs, 512, "fine", &error_abort);
    BdrvDirtyBitmap *same = bdrv_create_dirty_bitmap(other, 512, "same", &error_abort);
    BdrvDirtyBitmap *coarse = bdrv_create_dirty_bitmap(other, 4096, "coarse", &error_abort);
    Error *err = NULL;

    (void)state;
    bdrv_set_dirty_bitmap(fine, 512, 512);
    bdrv_set_dirty_bitmap(same, 8192, 512);
    assert_true(bdrv_merge_dirty_bitmap(fine, same, &error_abort));
    assert_dirty(fine, "512+512 8192+512");
    assert_true(bdrv_merge_dirty_bitmap(coarse, fine, &error_abort));
    assert_dirty(coarse, "0+4096 8192+4096");
    assert_true(bdrv_merge_dirty_bitmap(fine, coarse, &error_abort));
    assert_dirty(fine, "0+4096 8192+4096");
    bdrv_dirty_bitmap_set_readonly(same, true);
    assert_true(bdrv_merge_dirty_bitmap(fine, same, &error_abort));
    assert_false(bdrv_merge_dirty_bitmap(same, fine, &err));
    assert_refused(&err, "Bitmap 'same' is readonly and cannot be modified");
    bdrv_dirty_bitmap_set_readonly(same, false);
    bdrv_dirty_bitmap_set_inconsistent(coarse);
    assert_false(bdrv_merge_dirty_bitmap(fine, coarse, &err));
    assert_refused(&err, "Bitmap 'coarse' is inconsistent and cannot be used");
    assert_int_equal(bdrv_truncate(bs, 4096, PREALLOC_MODE_OFF, &error_abort), 0);
    assert_false(bdrv_merge_dirty_bitmap(same, fine, &err));
    assert_refused(&err, "Bitmaps are incompatible and can't be merged");
    bdrv_unref(bs);
    bdrv_unref(other);
}

/* Against one byte a granule. */
static void random_changes_agree_with_a_model(void **state)
{
    static uint8_t model[DISK_SIZE / 512];
    unsigned seed = 4711;

    (void)state;
    for (uint32_t granularity = 512; granularity <= 2u << 20; granularity *= 2) {
        int64_t n = (DISK_SIZE + granularity - 1) / granularity;
        BlockDriverState *bs = open_disk();
        BdrvDirtyBitmap *b = bdrv_create_dirty_bitmap(bs, granularity, "a", &error_abort);

        memset(model, 0, sizeof(model));
        for (int round = 0; round < 300; round++) {
            int64_t offset = rand_r(&seed) % (DISK_SIZE - 1);
            int64_t bytes = 1 + rand_r(&seed) % (DISK_SIZE - offset), end = offset + bytes;

            switch (rand_r(&seed) % 4) {
            case 0:
                bdrv_reset_dirty_bitmap(b, offset, bytes);
                end = end == DISK_SIZE ? n : end / granularity;
                for (int64_t i = (offset + granularity - 1) / granularity; i < end; i++) {
                    model[i] = 0;
                }
                break;
            case 1:
                bytes = bytes % 5000 + 1;
                bytes = bytes > DISK_SIZE - offset ? DISK_SIZE - offset : bytes;
                assert_int_equal(write_at(bs, offset, bytes), 0);
                memset(model + offset / granularity, 1,
                       (offset + bytes - 1) / granularity - offset / granularity + 1);
                break;
            case 2:
                bytes = bytes % 3 + 1;
                bdrv_set_dirty_bitmap(b, offset, bytes);
                end = offset + bytes > DISK_SIZE ? DISK_SIZE : offset + bytes;
                memset(model + offset / granularity, 1,
                       (end - 1) / granularity - offset / granularity + 1);
                break;
            default:
                assert_int_equal(bdrv_dirty_bitmap_get(b, offset), model[offset / granularity]);
            }
            for (int64_t i = 0; i < n; i++) {
                assert_int_equal(bdrv_dirty_bitmap_get(b, i * granularity), model[i]);
            }
        }
        bdrv_unref(bs);
    }
}

/* ---- threads ---- */

#define THREADS 4
#define SPAN (DISK_SIZE / THREADS)

static BlockDriverState *shared;
static BdrvDirtyBitmap *shared_bitmap;
static atomic_int missed;

/* Each writes every second sector of its own span; neighbours share words of the bitmap. */
static void *write_and_look(void *opaque)
{
    int64_t id = (intptr_t)opaque;
    static _Thread_local uint8_t data[512];

    for (int64_t i = 0; i < SPAN / 1024; i++) {
        int64_t offset = (i * THREADS + id) * 1024;
        Request req = { .fn = do_write, .bs = shared, .offset = offset, .bytes = 512,
                        .buf = data };

        if (request_run(req) != 0 || !bdrv_dirty_bitmap_get(shared_bitmap, offset)) {
            atomic_fetch_add(&missed, 1);
        }
    }
    return NULL;
}

static void threads_lose_no_bit(void **state)
{
    BdrvDirtyBitmap *other;
    pthread_t threads[THREADS];

    (void)state;
    shared = open_disk();
    shared_bitmap = bdrv_create_dirty_bitmap(shared, 512, "a", &error_abort);
    for (intptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_look, (void *)i), 0);
    }
    other = bdrv_create_dirty_bitmap(shared, 4096, "other", &error_abort);
    for (int i = 0; i < 100; i++) {
        bdrv_disable_dirty_bitmap(other);
        bdrv_clear_dirty_bitmap(other);
        bdrv_enable_dirty_bitmap(other);
        bdrv_merge_dirty_bitmap(other, shared_bitmap, &error_abort);
        assert_in_range(bdrv_get_dirty_count(other), 0, DISK_SIZE);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&missed), 0);
    bdrv_unref(shared);
}

#define TURNS 300000

static pthread_barrier_t start;

/* All threads' bits are in one word; each looks at its own alone. */
static void *turn_on_and_off(void *opaque)
{
    int64_t mine = (intptr_t)opaque * 512;

    pthread_barrier_wait(&start);
    for (int i = 0; i < TURNS; i++) {
        bdrv_set_dirty_bitmap(shared_bitmap, mine, 512);
        if (!bdrv_dirty_bitmap_get(shared_bitmap, mine)) {
            atomic_fetch_add(&missed, 1);
        }
        bdrv_reset_dirty_bitmap(shared_bitmap, mine, 512);
        if (bdrv_dirty_bitmap_get(shared_bitmap, mine)) {
            atomic_fetch_add(&missed, 1);
        }
    }
    return NULL;
}

static void threads_share_words(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    atomic_store(&missed, 0);
    shared = open_disk();
    shared_bitmap = bdrv_create_dirty_bitmap(shared, 512, "a", &error_abort);
    pthread_barrier_init(&start, NULL, THREADS);
    for (intptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, turn_on_and_off, (void *)i), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(atomic_load(&missed), 0);
    assert_dirty(shared_bitmap, "");
    bdrv_unref(shared);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, unit_reset_disk)
    const struct CMUnitTest tests[] = {
        TEST(bitmaps_have_names_of_their_own),
        TEST(granularities_and_sizes_have_bounds),
        TEST(every_kind_of_write_marks),
        TEST(reads_do_not),
        TEST(a_failed_write_marks),
        TEST(it_is_marked_when_the_driver_is_done_and_before_the_reply),
        TEST(disabled_ones_ignore_writes),
        TEST(a_readonly_one_stops_writes),
        TEST(bitmaps_follow_the_size),
        TEST(a_write_may_make_the_disk_longer),
        TEST(areas_are_found),
        TEST(iterators_go_from_granule_to_granule),
        TEST(merging_takes_any_granularity),
        TEST(random_changes_agree_with_a_model),
        TEST(threads_lose_no_bit),
        TEST(threads_share_words),
    };

    return cmocka_run_group_tests(tests, unit_main_loop, NULL);
}
