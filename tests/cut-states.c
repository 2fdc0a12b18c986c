/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* At each moment: what was uncertain is all gone, all there, or there by chance. */
#include "tests/cut-states.h"

#include "tests/ram-file.h"

static void start_from_what_is_certain(const CutLog *cut)
{
    ram_file_set(&ram_files[0], cut->disk, (size_t)cut->size);
}

static void apply_all(const CutLog *cut, const CutRequest *req, unsigned (*roll)(unsigned n))
{
    for (int64_t k = 0; k < cut_sectors(req); k++) {
        if (!roll || roll(2)) {
            cut_log_apply(cut, req, k, ram_files[0].data, &ram_files[0].size);
        }
    }
}

/* Some sectors of some requests, in any order. */
static void apply_some(const CutLog *cut, unsigned (*roll)(unsigned n))
{
    size_t order[CUT_MAX_UNCERTAIN];

    for (size_t i = 0; i < cut->uncertain_count; i++) {
        size_t j = roll((unsigned)i + 1);

        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < cut->uncertain_count; i++) {
        apply_all(cut, cut->uncertain[order[i]], roll);
    }
}

static void try_moment(const CutChoice *choice, const CutLog *cut)
{
    start_from_what_is_certain(cut);
    choice->judge();
    if (cut->uncertain_count == 0) {
        return;
    }
    start_from_what_is_certain(cut);
    for (size_t i = 0; i < cut->uncertain_count; i++) {
        apply_all(cut, cut->uncertain[i], NULL);
    }
    choice->judge();
    for (int n = 0; n < choice->at_random; n++) {
        start_from_what_is_certain(cut);
        apply_some(cut, choice->roll);
        choice->judge();
    }
}

void cut_try_all_moments(const CutChoice *choice, const char *path, const uint8_t *disk,
                         size_t size, size_t room)
{
    CutLog cut;

    cut_log_open(&cut, path, disk, size, room);
    for (size_t i = 0; i < cut.moment_count; i++) {
        cut_log_advance(&cut, cut.moments[i]);
        try_moment(choice, &cut);
    }
    cut_log_close(&cut);
}
