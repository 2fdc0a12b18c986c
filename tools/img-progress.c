/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a long command is: on stdout with -p, on stderr whenever SIGUSR1 asks. */
#include "tools/img.h"

#include <math.h>
#include <signal.h>

static bool shown;
static double last, step;
static volatile sig_atomic_t asked;

static void ask(int signal_number)
{
    (void)signal_number;
    asked = 1;
}

void img_progress_init(bool enabled, double min_step)
{
    shown = enabled;
    step = min_step;
    last = 0;
    if (!enabled) {
        struct sigaction action = { .sa_handler = ask };

        sigfillset(&action.sa_mask);
        sigaction(SIGUSR1, &action, NULL);
    }
}

static void print(double percent)
{
    if (shown) {
        printf("    (%3.2f/100%%)\r", percent);
        fflush(stdout);
    } else if (asked) {
        asked = 0;
        fprintf(stderr, "    (%3.2f/100%%)\n", percent);
    }
}

void img_progress_set(double percent)
{
    percent = fmin(percent, 100);
    if (fabs(percent - last) > step || percent == 100 || percent == 0) {
        last = percent;
        print(percent);
    }
}

void img_progress_end(void)
{
    if (shown) {
        putchar('\n');
    }
}

void img_progress_report(void *opaque, int64_t done, int64_t total)
{
    (void)opaque;
    img_progress_set(total > 0 ? (double)done / (double)total * 100 : 100);
}
