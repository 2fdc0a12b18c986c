/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs: what is under way, and what becomes of it. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <string.h>

static void print_jobs(const json_t *jobs)
{
    static const char *const heads[] = { "~JOB", "TYPE", "STATUS", ">DONE", ">OF", ">%",
                                         "~ERROR" };
    CtlTable *table = ctl_table_new(heads, 7);
    json_t *job;
    size_t i;

    json_array_foreach(jobs, i, job) {
        uint64_t done = (uint64_t)ctl_int(job, "current-progress");
        uint64_t total = (uint64_t)ctl_int(job, "total-progress");
        char text[SIZE_STR_LEN];

        ctl_table_add(table, "%s", ctl_str(job, "id"));
        ctl_table_add(table, "%s", ctl_str(job, "type"));
        ctl_table_add(table, "%s", ctl_str(job, "status"));
        ctl_table_add(table, "%s", size_str(done, text));
        ctl_table_add(table, "%s", size_str(total, text));
        ctl_table_add(table, "%.0f", total ? 100 * (double)done / (double)total : 100);
        ctl_table_add(table, "%s", ctl_str(job, "error"));
    }
    ctl_table_print(table, stdout, ctl_terminal_width());
}

int ctl_run_jobs(Ctl *ctl)
{
    json_t *jobs = ctl_call(ctl, "query-jobs", NULL);

    if (jobs && !ctl->json && json_array_size(jobs) > 0) {
        print_jobs(jobs);
        json_decref(jobs);
        return CTL_OK;
    }
    return ctl_done(ctl, jobs, "no jobs");
}

int ctl_run_job(Ctl *ctl)
{
    static const struct {
        const char *name, *command, *done;
    } verbs[] = {
        { "jobs cancel", "job-cancel", "is being cancelled" },
        { "jobs complete", "job-complete", "is being completed" },
        { "jobs dismiss", "job-dismiss", "is forgotten" },
        { "jobs pause", "job-pause", "is paused" },
        { "jobs resume", "job-resume", "goes on" },
    };
    const char *job = ctl->words[0];
    size_t i = 0;

    while (strcmp(ctl->cmd->name, verbs[i].name) != 0) {
        i++;
    }
    return ctl_done(ctl, ctl_call(ctl, verbs[i].command, "{s:s}", "id", job), "%s %s", job,
                    verbs[i].done);
}

int ctl_run_job_speed(Ctl *ctl)
{
    const char *job = ctl->words[0];
    char text[SIZE_STR_LEN];
    int64_t speed;

    if (!ctl_parse_size(ctl, "SPEED", ctl->words[1], &speed)) {
        return CTL_USAGE;
    }
    return ctl_done(ctl, ctl_call(ctl, "block-job-set-speed", "{s:s, s:I}", "device", job,
                                  "speed", (json_int_t)speed),
                    speed ? "%s: %s/s" : "%s: as fast as it can", job,
                    size_str((uint64_t)speed, text));
}
