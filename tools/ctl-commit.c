/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit: a job that copies an image's data into the one below it, looked after to its end.  Our
 * connection hears the job's events from before it begins, so none of them is missed; and the
 * server's list of jobs tells what they would have told, should it have dropped some.
 */
#include "tools/ctl.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define TERMINAL_MS 250          /* from one look at the job to the next */
#define PLAIN_MS 1000

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* LOST: it is no longer listed, and no event told why.  UNANSWERED: reported already. */
enum outcome { GOES_ON, COMPLETED, CANCELLED, FAILED, LOST, UNANSWERED };

typedef struct Commit {
    Ctl *ctl;
    const char *job;
    CtlProgress progress;
    bool completing, cancelling;     /* it has been told to */
    json_t *last;                    /* what was heard last of it */
} Commit;

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The data is all copied: what is left is to change over.  A refusal means that it ends anyway. */
static void complete(Commit *c)
{
    if (!c->completing && !c->cancelling) {
        c->completing = true;
        json_decref(ctl_try(c->ctl, "job-complete", "{s:s}", "id", c->job));
    }
}

static void cancel(Commit *c)
{
    if (!c->cancelling) {
        c->cancelling = true;
        ctl_progress_end(&c->progress);
        fprintf(stderr, "%s: the job is being cancelled; interrupt again to leave it alone\n",
                tool_name());
        json_decref(ctl_try(c->ctl, "job-cancel", "{s:s}", "id", c->job));
    }
}

static enum outcome take_event(Commit *c, json_t *event)
{
    const char *name = ctl_str(event, "event");
    json_t *data = json_object_get(event, "data");

    if (strcmp(ctl_str(data, "device"), c->job) != 0) {
        return GOES_ON;
    }
    if (strcmp(name, "BLOCK_JOB_READY") == 0) {
        complete(c);
    } else if (strcmp(name, "BLOCK_JOB_COMPLETED") == 0 ||
               strcmp(name, "BLOCK_JOB_CANCELLED") == 0) {
        json_decref(c->last);
        c->last = json_incref(data);
        return json_object_get(data, "error") ? FAILED
               : strcmp(name, "BLOCK_JOB_CANCELLED") == 0 ? CANCELLED : COMPLETED;
    }
    return GOES_ON;
}

/* Looks at the list of jobs. */
static enum outcome look(Commit *c)
{
    json_t *jobs = ctl_call(c->ctl, "query-jobs", NULL), *job;
    enum outcome outcome = jobs ? LOST : UNANSWERED;
    size_t i;

    json_array_foreach(jobs, i, job) {
        if (strcmp(ctl_str(job, "id"), c->job) == 0) {
            outcome = GOES_ON;
            if (!c->cancelling && !c->ctl->json) {
                ctl_progress_show(&c->progress, (uint64_t)ctl_int(job, "current-progress"),
                                  (uint64_t)ctl_int(job, "total-progress"), now_s());
            }
            if (strcmp(ctl_str(job, "status"), "ready") == 0) {
                complete(c);
            }
        }
    }
    json_decref(jobs);
    return outcome;
}

/* Events that have come by now, or come until it is time to look again. */
static enum outcome hear(Commit *c, int timeout_ms, Error **errp)
{
    enum outcome outcome = GOES_ON;
    json_t *event = ctl_qmp_event(c->ctl->qmp, timeout_ms, errp);

    while (event && outcome == GOES_ON) {
        outcome = take_event(c, event);
        json_decref(event);
        event = outcome == GOES_ON ? ctl_qmp_event(c->ctl->qmp, 0, errp) : NULL;
    }
    return outcome;
}

static enum outcome wait_for_end(Commit *c, Error **errp)
{
    int interval = c->progress.terminal ? TERMINAL_MS : PLAIN_MS;
    enum outcome outcome = GOES_ON;
    Error *err = NULL;

    while (outcome == GOES_ON) {
        if (interrupted) {
            cancel(c);
        }
        outcome = look(c);
        /* The event of its end may have come with the list that does not have it any more. */
        if (outcome == GOES_ON || outcome == LOST) {
            enum outcome heard = hear(c, outcome == LOST ? 0 : interval, &err);

            outcome = heard == GOES_ON ? outcome : heard;
        }
        if (err) {
            error_propagate(errp, err);
            outcome = LOST;
        }
    }
    return outcome;
}

static int tell(Commit *c, const char *export, enum outcome outcome)
{
    Ctl *ctl = c->ctl;
    json_t *last = c->last ? c->last : json_object();

    switch (outcome) {
    case COMPLETED:
        return ctl_done(ctl, last, "%s: committed", export);
    case CANCELLED:
        json_decref(last);
        return ctl_error(ctl, "Cancelled", "It shows what it has shown, in the same images; what "
                         "was copied so far stays in the one\nbelow, and another commit copies "
                         "it again.", "%s: the commit was cancelled", export);
    case FAILED:
        ctl_error(ctl, "GenericError", "It shows what it has shown, in the same images.",
                  "%s: the commit failed: %s", export, ctl_str(last, "error"));
        json_decref(last);
        return CTL_FAILED;
    case UNANSWERED:
        json_decref(last);
        return CTL_FAILED;
    default:
        json_decref(last);
        return ctl_error(ctl, "NoAnswer", "`nbd-ctl status` shows which images it has now.",
                         "%s: the job is gone, and how it ended was not heard", export);
    }
}

/* The name of the image below the top (NULL: the first one): the server would go to the end of the
 * chain, but what `snapshot` began is one image.  False: reported. */
static bool put_base(Ctl *ctl, const char *export, const char *top, json_t *args)
{
    json_t *device = ctl_query_block(ctl, export);
    const json_t *image = json_object_get(json_object_get(device, "inserted"), "image");

    if (!device) {
        return false;
    }
    while (image && top && strcmp(top, ctl_str(image, "filename")) != 0) {
        image = json_object_get(image, "backing-image");
    }
    image = json_object_get(image, "backing-image");
    if (image) {
        json_object_set(args, "base", json_object_get(image, "filename"));
    }
    json_decref(device);
    return true;
}

static bool put_layers(Ctl *ctl, const char *export, json_t *args)
{
    const char *base = ctl_option(ctl, "base"), *top = ctl_option(ctl, "top");

    if (top) {
        json_object_set_new(args, "top", json_string(top));
    }
    if (base) {
        json_object_set_new(args, "base", json_string(base));
    }
    return base || put_base(ctl, export, top, args);
}

static bool put_speed(Ctl *ctl, json_t *args)
{
    const char *speed = ctl_option(ctl, "speed");
    int64_t bytes = 0;

    if (speed && !ctl_parse_size(ctl, "--speed", speed, &bytes)) {
        return false;
    }
    json_object_set_new(args, "speed", json_integer(bytes));
    return true;
}

/* Begins the job; its end is looked after. */
static int run_to_end(Commit *c, const char *export, json_t *args)
{
    struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
    enum outcome outcome;
    json_t *result;
    Error *err = NULL;
    int status;

    sigaction(SIGINT, &action, NULL);
    result = ctl_call_with(c->ctl, "block-commit", args);
    if (!result) {
        return CTL_FAILED;
    }
    json_decref(result);
    ctl_progress_begin(&c->progress, export);
    outcome = wait_for_end(c, &err);
    ctl_progress_end(&c->progress);
    if (!err) {
        return tell(c, export, outcome);
    }
    status = ctl_error(c->ctl, "NoAnswer", "The job may go on: `nbd-ctl jobs` shows it.", "%s",
                       error_get_pretty(err));
    error_free(err);
    json_decref(c->last);
    return status;
}

int ctl_run_commit(Ctl *ctl)
{
    const char *export = ctl_take_export(ctl, 0);
    Commit c = { .ctl = ctl, .job = export };
    json_t *args;
    int status = CTL_OK;

    if (!export) {
        return CTL_FAILED;
    }
    args = json_pack("{s:s, s:s}", "device", export, "job-id", export);
    if (!put_speed(ctl, args)) {
        status = CTL_USAGE;
    } else if (!put_layers(ctl, export, args)) {
        status = CTL_FAILED;
    }
    if (status != CTL_OK) {
        json_decref(args);
        return status;
    } else if (ctl_option(ctl, "no-wait")) {
        return ctl_done(ctl, ctl_call_with(ctl, "block-commit", args),
                        "%s: the job has begun, and is called %s", export, c.job);
    }
    return run_to_end(&c, export, args);
}
