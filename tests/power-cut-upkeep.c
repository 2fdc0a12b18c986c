/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots, bitmaps, options: what is done to images on which the power fails, see power-cut.h. */
#include "tests/power-cut.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/image.h>

#define GRANULARITY 512
#define MOST_VM_STATE 10000

/* false: not done, because it makes no sense now or was refused. */
typedef bool Action(Scenario *sc);

static BlockDriverState *node(const Scenario *sc)
{
    return blk_bs(sc->blk);
}

static void progress(void *opaque, int64_t done, int64_t total)
{
    (void)opaque;
    (void)done;
    (void)total;
}

/* ---- snapshots ---- */

/* Half of them have one. */
static void save_vm_state(Scenario *sc, CutSnapshot *cs)
{
    cs->vm_state = cut_roll(sc, 2) ? 1 + (int)cut_roll(sc, MOST_VM_STATE) : 0;
    memset(sc->buf, sc->snapshot_count, (size_t)cs->vm_state);
    if (cs->vm_state && blk_save_vmstate(sc->blk, sc->buf, 0, cs->vm_state) != cs->vm_state) {
        cut_failed(sc, "cannot save the VM state");
    }
}

/* Whoever keeps the disk as it is keeps it for good. */
static bool create_snapshot(Scenario *sc)
{
    CutSnapshot *cs = &sc->snapshots[sc->snapshot_count];
    QEMUSnapshotInfo sn = { .date_sec = 1, .icount = UINT64_MAX };
    int64_t wrong;

    if (sc->snapshot_count == MOST_SNAPSHOTS) {
        return false;
    }
    if (blk_pread(sc->blk, 0, sc->buf, (int)sc->sectors * 512) < 0) {
        cut_failed(sc, "cannot read what a snapshot is to hold");
    }
    *cs = (CutSnapshot){ .create_start = cut_now(sc), .delete_start = INT64_MAX,
                         .delete_end = INT64_MAX };
    snprintf(sn.name, sizeof(sn.name), "s%d", sc->snapshot_count);
    cs->content = shadow_content(sc->buf, sc->sectors, &wrong);
    if (wrong >= 0) {
        cut_failed(sc, "sector %" PRId64 " holds nothing of ours", wrong);
    }
    save_vm_state(sc, cs);
    sn.vm_state_size = (uint64_t)cs->vm_state;
    if (bdrv_snapshot_create(node(sc), &sn, NULL) < 0) {
        free(cs->content.values);
        return false;
    }
    cs->create_end = cut_now(sc);
    shadow_flushed(&sc->shadow, cs->create_start, cs->create_end);
    sc->snapshot_count++;
    return true;
}

/* One that is certainly there at a moment; NULL. */
static CutSnapshot *choose_snapshot(Scenario *sc, int64_t moment)
{
    CutSnapshot *found = NULL;
    unsigned n = 0;

    for (int i = 0; i < sc->snapshot_count; i++) {
        CutSnapshot *cs = &sc->snapshots[i];

        if (cs->create_end <= moment && cs->delete_start > moment && cut_roll(sc, ++n) == 0) {
            found = cs;
        }
    }
    return found;
}

static void name_of(const Scenario *sc, const CutSnapshot *cs, char *name)
{
    snprintf(name, 16, "s%d", (int)(cs - sc->snapshots));
}

static bool delete_snapshot(Scenario *sc)
{
    CutSnapshot *cs = choose_snapshot(sc, cut_now(sc));
    Error *err = NULL;
    char name[16];

    if (!cs) {
        return false;
    }
    name_of(sc, cs, name);
    cs->delete_start = cut_now(sc);
    if (bdrv_snapshot_delete(node(sc), NULL, name, &err) < 0) {
        cut_failed(sc, "deleting a snapshot: %s", error_get_pretty(err));
    }
    cs->delete_end = cut_now(sc);
    return true;
}

/* A bitmap forgets what is behind the disk's end.  Refused: one more user is more than the width of
 * the counts allows, and nothing has happened. */
static bool goto_snapshot(Scenario *sc)
{
    CutSnapshot *cs = choose_snapshot(sc, cut_now(sc));
    ShadowOp *op;
    char name[16];

    if (!cs || (cs->content.size != sc->sectors && sc->bitmap_count > 0)) {
        return false;
    }
    op = shadow_begin(&sc->shadow, SHADOW_GOTO, 0, MAX_SECTORS, cut_now(sc));
    if (!op) {
        return false;
    }
    op->content = &cs->content;
    op->size = cs->content.size;
    op->fua = true;
    name_of(sc, cs, name);
    if (bdrv_snapshot_goto(node(sc), name, NULL) < 0) {
        sc->shadow.count--;
        return false;
    }
    shadow_end(op, cut_now(sc), 0);
    sc->sectors = op->size;
    return true;
}

/* ---- bitmaps ---- */

static bool add_bitmap(Scenario *sc)
{
    BdrvDirtyBitmap *b;
    char name[16];

    snprintf(name, sizeof(name), "b%d", sc->bitmap_count);
    if (sc->bitmap_count == MOST_BITMAPS ||
        !bdrv_can_store_new_dirty_bitmap(node(sc), name, GRANULARITY, NULL)) {
        return false;
    }
    b = bdrv_create_dirty_bitmap(node(sc), GRANULARITY, name, NULL);
    if (!b) {
        cut_failed(sc, "cannot make a bitmap");
    }
    bdrv_dirty_bitmap_set_persistence(b, true);
    sc->bitmaps[sc->bitmap_count++] = sc->shadow.count;
    return true;
}

static bool remove_bitmap(Scenario *sc)
{
    BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(node(sc));
    Error *err = NULL;

    if (!b) {
        return false;
    }
    if (bdrv_remove_persistent_dirty_bitmap(node(sc), bdrv_dirty_bitmap_name(b), &err) < 0) {
        cut_failed(sc, "removing a bitmap: %s", error_get_pretty(err));
    }
    bdrv_release_dirty_bitmap(b);
    return true;
}

/* Bitmaps are stored and loaded again, and the image is clean meanwhile. */
static bool reopen(Scenario *sc)
{
    int unmap = sc->unmap ? BDRV_O_UNMAP : 0;
    Error *err = NULL;

    if (bdrv_reopen(node(sc), BDRV_O_CACHE_WB | unmap, &err) < 0 ||
        bdrv_reopen(node(sc), BDRV_O_CACHE_WB | BDRV_O_RDWR | unmap, &err) < 0) {
        cut_failed(sc, "opening it anew: %s", error_get_pretty(err));
    }
    return true;
}

/* ---- the image ---- */

static bool make_empty(Scenario *sc)
{
    ShadowOp *op = shadow_begin(&sc->shadow, SHADOW_EMPTY, 0, MAX_SECTORS, cut_now(sc));
    Error *err = NULL;

    if (!op) {
        return false;
    }
    if (bdrv_make_empty(node(sc), &err) < 0) {
        cut_failed(sc, "emptying: %s", error_get_pretty(err));
    }
    shadow_end(op, cut_now(sc), 0);
    return true;
}

static bool amend(Scenario *sc, const char *name, const char *value)
{
    QDict *options = json_pack("{s:s}", name, value);
    int ret;

    bdrv_check_options(bdrv_amend_options(bdrv_find_format("qcow2")), NULL, options, &error_abort);
    ret = bdrv_amend(node(sc), options, false, progress, NULL, NULL);
    QDECREF(options);
    return ret == 0;
}

static bool amend_compat(Scenario *sc)
{
    bool done = amend(sc, "compat", sc->v2 ? "1.1" : "0.10");

    sc->v2 = done ? !sc->v2 : sc->v2;
    return done;
}

static bool amend_lazy_refcounts(Scenario *sc)
{
    return amend(sc, "lazy_refcounts", cut_roll(sc, 2) ? "on" : "off");
}

static bool amend_refcount_bits(Scenario *sc)
{
    char bits[8];

    snprintf(bits, sizeof(bits), "%d", 1 << cut_roll(sc, 7));
    return amend(sc, "refcount_bits", bits);
}

static bool change_backing_file(Scenario *sc)
{
    static const char *const names[] = { "base.raw", "b", "a/name/that/is/quite/a/bit/longer" };

    return sc->kind->base &&
           bdrv_change_backing_file(node(sc), names[cut_roll(sc, 3)], "raw", NULL) == 0;
}

static bool preallocate(Scenario *sc)
{
    int64_t new = sc->sectors + 1 + cut_roll(sc, (unsigned)sc->kind->sectors);
    ShadowOp *op;
    int ret;

    if (new > sc->kind->sectors * 2 || (sc->v2 && sc->snapshot_count > 0)) {
        return false;
    }
    op = shadow_begin(&sc->shadow, SHADOW_RESIZE, sc->sectors, new - sc->sectors, cut_now(sc));
    if (!op) {
        return false;
    }
    op->size = new;
    ret = bdrv_truncate(node(sc), new * 512, 1 + cut_roll(sc, PREALLOC_MODE__MAX - 1), NULL);
    shadow_end(op, cut_now(sc), ret);
    sc->sectors = ret < 0 ? sc->sectors : new;
    return ret >= 0;
}

static bool check(Scenario *sc)
{
    BdrvCheckResult result;

    if (bdrv_check(node(sc), &result, BDRV_FIX_LEAKS | BDRV_FIX_ERRORS, NULL, NULL) < 0 ||
        result.corruptions || result.corruptions_fixed || result.check_errors) {
        cut_failed(sc, "there are errors without any power cut");
    }
    return true;
}

/* ---- all of it ---- */

static struct {
    const char *name;
    Action *action;
    unsigned done;
} actions[] = {
    { "snapshot create", create_snapshot, 0 },
    { "snapshot create once more", create_snapshot, 0 },
    { "snapshot delete", delete_snapshot, 0 },
    { "snapshot goto", goto_snapshot, 0 },
    { "bitmap add", add_bitmap, 0 },
    { "bitmap remove", remove_bitmap, 0 },
    { "reopen", reopen, 0 },
    { "make empty", make_empty, 0 },
    { "amend compat", amend_compat, 0 },
    { "amend lazy_refcounts", amend_lazy_refcounts, 0 },
    { "amend refcount_bits", amend_refcount_bits, 0 },
    { "change backing file", change_backing_file, 0 },
    { "preallocate", preallocate, 0 },
    { "check", check, 0 },
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

void upkeep(Scenario *sc)
{
    unsigned i = cut_roll(sc, ACTIONS);

    actions[i].done += actions[i].action(sc);
}

bool upkeep_report(void)
{
    bool all = true;

    for (size_t i = 0; i < ACTIONS; i++) {
        printf("%6u %s\n", actions[i].done, actions[i].name);
        all = all && actions[i].done > 0;
    }
    return all;
}

void upkeep_free(Scenario *sc)
{
    for (int i = 0; i < sc->snapshot_count; i++) {
        free(sc->snapshots[i].content.values);
    }
}

/* ---- judgement ---- */

/* What was written since the bitmap came is dirty, or the bitmap does not claim to be right. */
static void judge_bitmap(Scenario *sc, const BdrvDirtyBitmap *b, const ShadowContent *content)
{
    int first = sc->bitmaps[atoi(bdrv_dirty_bitmap_name(b) + 1)];

    for (int64_t i = 0; i < content->size && !bdrv_dirty_bitmap_inconsistent(b); i++) {
        if (shadow_writer(content->values[i]) >= first && !bdrv_dirty_bitmap_get(b, i * 512)) {
            cut_failed(sc, "bitmap %s does not know that sector %" PRId64 " was written to",
                       bdrv_dirty_bitmap_name(b), i);
        }
    }
}

static void judge_snapshot_list(Scenario *sc, BlockDriverState *bs)
{
    for (int i = 0; i < sc->snapshot_count; i++) {
        const CutSnapshot *cs = &sc->snapshots[i];
        QEMUSnapshotInfo sn;
        char name[16];
        bool is_there;

        name_of(sc, cs, name);
        is_there = bdrv_snapshot_find(bs, &sn, name) >= 0;
        if (is_there ? cs->create_start > sc->moment || cs->delete_end <= sc->moment
                     : cs->create_end <= sc->moment && cs->delete_start > sc->moment) {
            cut_failed(sc, "snapshot %s is %sthere", name, is_there ? "" : "not ");
        }
    }
}

void upkeep_judge(Scenario *sc, BlockBackend *blk, int64_t size)
{
    BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(blk_bs(blk));
    ShadowContent content = { 0 };
    int64_t wrong;

    judge_snapshot_list(sc, blk_bs(blk));
    if (b) {
        content = shadow_content(sc->buf, size / 512, &wrong);
    }
    for (; b; b = bdrv_dirty_bitmap_next(b)) {
        judge_bitmap(sc, b, &content);
    }
    free(content.values);
}

static void judge_vm_state(Scenario *sc, BlockBackend *blk, const CutSnapshot *cs)
{
    int number = (int)(cs - sc->snapshots);

    if (cs->vm_state == 0) {
        return;
    }
    if (blk_load_vmstate(blk, sc->buf, 0, cs->vm_state) != cs->vm_state) {
        cut_failed(sc, "cannot load the VM state of snapshot s%d", number);
    }
    for (int i = 0; i < cs->vm_state; i++) {
        if (sc->buf[i] != number) {
            cut_failed(sc, "byte %d of the VM state of snapshot s%d is %d", i, number, sc->buf[i]);
        }
    }
}

void upkeep_judge_snapshot(Scenario *sc, BlockBackend *blk)
{
    const CutSnapshot *cs = choose_snapshot(sc, sc->moment);
    ShadowContent content;
    char name[16];
    int64_t wrong, size;

    if (!cs) {
        return;
    }
    name_of(sc, cs, name);
    if (bdrv_snapshot_load_tmp(blk_bs(blk), NULL, name, NULL) < 0) {
        cut_failed(sc, "cannot show snapshot %s", name);
    }
    size = blk_getlength(blk);
    if (size != cs->content.size * 512 || blk_pread(blk, 0, sc->buf, (int)size) < 0) {
        cut_failed(sc, "snapshot %s cannot be read, or has %" PRId64 " bytes", name, size);
    }
    content = shadow_content(sc->buf, size / 512, &wrong);
    if (memcmp(content.values, cs->content.values, (size_t)size / 512 * sizeof(uint64_t)) != 0) {
        cut_failed(sc, "snapshot %s has changed", name);
    }
    free(content.values);
    judge_vm_state(sc, blk, cs);
}

void upkeep_judge_check(Scenario *sc, BlockBackend *blk)
{
    BdrvCheckResult found, repaired, again;

    if (bdrv_check(blk_bs(blk), &found, 0, NULL, NULL) < 0 || found.corruptions ||
        found.check_errors) {
        cut_failed(sc, "check finds %" PRId64 " errors", found.corruptions);
    }
    if (bdrv_check(blk_bs(blk), &repaired, BDRV_FIX_LEAKS | BDRV_FIX_ERRORS, NULL, NULL) < 0 ||
        repaired.corruptions_fixed || repaired.leaks_fixed != found.leaks) {
        cut_failed(sc, "repair does not repair %" PRId64 " leaks, and nothing else", found.leaks);
    }
    if (bdrv_check(blk_bs(blk), &again, 0, NULL, NULL) < 0 || again.corruptions || again.leaks ||
        again.check_errors) {
        cut_failed(sc, "check finds %" PRId64 " leaks after the repair", again.leaks);
    }
}

void upkeep_repair(Scenario *sc, BlockBackend *blk)
{
    BdrvCheckResult result;

    if (bdrv_check(blk_bs(blk), &result, BDRV_FIX_LEAKS | BDRV_FIX_ERRORS, NULL, NULL) < 0 ||
        result.corruptions || result.leaks || result.check_errors) {
        cut_failed(sc, "a repair leaves %" PRId64 " errors and %" PRId64 " leaks",
                   result.corruptions, result.leaks);
    }
}
