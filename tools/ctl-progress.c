/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far a job is: on a terminal a bar, elsewhere a line each time it has come some percent on.
 * The speed is that of the last seconds, so that a limit that was changed is soon seen.
 */
#include "tools/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define BAR_MAX 40               /* columns */
#define LINE_PERCENT 10          /* from one line to the next */
#define SMOOTH_S 3.0             /* what lies longer back counts for little */

void ctl_progress_begin(CtlProgress *progress, const char *what)
{
    *progress = (CtlProgress){
        .what = what, .terminal = isatty(STDOUT_FILENO), .next_percent = LINE_PERCENT,
    };
}

static void measure(CtlProgress *progress, uint64_t done, double now)
{
    double seconds = now - progress->then;
    double weight = seconds / (seconds + SMOOTH_S), speed;

    if (progress->then > 0 && seconds > 0 && done >= progress->done) {
        speed = (double)(done - progress->done) / seconds;
        progress->speed = progress->speed > 0 ? weight * speed + (1 - weight) * progress->speed
                                              : speed;
    }
    progress->then = now;
    progress->done = done;
}

/* "128 MiB of 1 GiB, 64 MiB/s, 0:00:14 left" */
static char *describe(const CtlProgress *progress, uint64_t total)
{
    char done[SIZE_STR_LEN], all[SIZE_STR_LEN], speed[SIZE_STR_LEN], left[32];
    char *text;
    int n;

    size_str(progress->done, done);
    size_str(total, all);
    if (progress->speed < 1 || progress->done >= total) {
        n = asprintf(&text, "%s of %s", done, all);
    } else {
        double seconds = (double)(total - progress->done) / progress->speed;

        n = asprintf(&text, "%s of %s, %s/s, %s left", done, all,
                     size_str((uint64_t)progress->speed, speed),
                     ctl_duration((int64_t)(seconds + 0.5), left));
    }
    if (n < 0) {
        xalloc_check(NULL);
    }
    return text;
}

/* The whole line is as wide as the terminal, at most: one that wraps could not be drawn over. */
static void draw(const char *what, double percent, const char *text)
{
    unsigned width = ctl_terminal_width();
    unsigned rest = 12 + ctl_width(text);
    unsigned bar = width > rest ? width - rest : 0;
    char marks[BAR_MAX + 1];
    auto_free char *line = NULL, *cut = NULL;
    unsigned full;

    bar = bar > BAR_MAX ? BAR_MAX : bar;
    full = (unsigned)(percent * bar / 100);
    memset(marks, ' ', bar);
    memset(marks, '#', full > bar ? bar : full);
    marks[bar] = '\0';
    if (asprintf(&line, "%s [%s] %3.0f%% %s", what, marks, percent, text) < 0) {
        xalloc_check(NULL);
    }
    cut = ctl_cut(line, width ? width - 1 : 0);
    printf("\r%s\033[K", cut);
    fflush(stdout);
}

void ctl_progress_show(CtlProgress *progress, uint64_t done, uint64_t total, double now)
{
    double percent = total ? 100 * (double)done / (double)total : 100;
    auto_free char *text = NULL;

    percent = percent > 100 ? 100 : percent;
    measure(progress, done, now);
    text = describe(progress, total);
    if (progress->terminal) {
        draw(progress->what, percent, text);
    } else if (percent >= progress->next_percent) {
        printf("%s: %.0f%%, %s\n", progress->what, percent, text);
        fflush(stdout);
        progress->next_percent = (unsigned)percent / LINE_PERCENT * LINE_PERCENT + LINE_PERCENT;
    }
}

void ctl_progress_end(CtlProgress *progress)
{
    if (progress->terminal && progress->then > 0) {
        printf("\r\033[K");
        fflush(stdout);
    }
}
