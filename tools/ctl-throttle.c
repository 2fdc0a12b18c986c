/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * throttle: limits as people write them, and those in force as people read them.  A limit that is
 * given anew has the burst that is given with it, or none; other limits stay.
 */
#include "tools/ctl.h"

#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* The names: ours, and the protocol's ("_max" and "_max_length" behind it are the burst's). */
typedef struct Limit {
    const char *option, *key, *what;
    bool bytes;
} Limit;

static const Limit limits[] = {
    { "iops", "iops", "operations", false },
    { "iops-read", "iops_rd", "reads", false },
    { "iops-write", "iops_wr", "writes", false },
    { "bps", "bps", "bytes", true },
    { "bps-read", "bps_rd", "bytes read", true },
    { "bps-write", "bps_wr", "bytes written", true },
};

#define N_LIMITS (sizeof(limits) / sizeof(limits[0]))

/* ---- as they are written ---- */

/* "RATE", with what follows a ":" in *rest, or NULL there. */
static bool parse_rate(Ctl *ctl, const Limit *limit, const char *text, int64_t *rate,
                       const char **rest)
{
    size_t len = strcspn(text, ":");
    auto_free char *number = xstrndup(text, len), *what = NULL;

    *rest = text[len] ? text + len + 1 : NULL;
    if (asprintf(&what, "--%s", limit->option) < 0) {
        xalloc_check(NULL);
    }
    return limit->bytes ? ctl_parse_size(ctl, what, number, rate)
                        : ctl_parse_number(ctl, what, number, 0, INT64_MAX, rate);
}

static void put(json_t *args, const Limit *limit, const char *suffix, int64_t value)
{
    auto_free char *key = NULL;

    if (asprintf(&key, "%s%s", limit->key, suffix) < 0) {
        xalloc_check(NULL);
    }
    json_object_set_new(args, key, json_integer(value));
}

/* "RATE[:SECONDS]", where SECONDS may end in "s". */
static bool parse_burst(Ctl *ctl, json_t *args, const Limit *limit, const char *text)
{
    const char *length;
    int64_t rate, seconds = 1;

    if (!parse_rate(ctl, limit, text, &rate, &length)) {
        return false;
    }
    if (length) {
        size_t len = strlen(length);
        auto_free char *number = xstrndup(length, len - (len && length[len - 1] == 's'));

        if (!ctl_parse_number(ctl, "seconds of a burst", number, 1, UINT32_MAX, &seconds)) {
            return false;
        }
    }
    put(args, limit, "_max", rate);
    put(args, limit, "_max_length", seconds);
    return true;
}

static bool parse_limit(Ctl *ctl, json_t *args, const Limit *limit, const char *text)
{
    const char *burst;
    int64_t rate;

    if (!parse_rate(ctl, limit, text, &rate, &burst)) {
        return false;
    }
    put(args, limit, "", rate);
    put(args, limit, "_max", 0);
    put(args, limit, "_max_length", 1);
    return !burst || parse_burst(ctl, args, limit, burst);
}

static const Limit *find_limit(const char *option)
{
    for (size_t i = 0; i < N_LIMITS; i++) {
        if (strcmp(limits[i].option, option) == 0) {
            return &limits[i];
        }
    }
    return NULL;
}

/* What the options ask to be changed; NULL: reported. */
static json_t *parse_limits(Ctl *ctl)
{
    json_t *args = json_object();
    const Limit *last = NULL;
    bool good = true;

    for (unsigned i = 0; i < ctl->n_given && good; i++) {
        const char *option = ctl->given[i].option->name, *value = ctl->given[i].value;
        const Limit *limit = find_limit(option);

        if (limit) {
            last = limit;
            good = parse_limit(ctl, args, limit, value);
        } else if (strcmp(option, "burst") == 0 && last) {
            good = parse_burst(ctl, args, last, value);
        } else if (strcmp(option, "burst") == 0) {
            ctl_usage_error(ctl, "As in --iops=500 --burst=2000:10s.",
                            "--burst needs the limit that it goes beyond before it");
            good = false;
        } else if (strcmp(option, "group") == 0) {
            json_object_set_new(args, "group", json_string(value));
        }
    }
    if (!good) {
        json_decref(args);
        args = NULL;
    }
    return args;
}

/* ---- as they are read ---- */

static int64_t get(const json_t *object, const Limit *limit, const char *suffix)
{
    char key[32];

    snprintf(key, sizeof(key), "%s%s", limit->key, suffix);
    return ctl_int(object, key);
}

static const char *rate_str(const Limit *limit, int64_t rate, char text[SIZE_STR_LEN])
{
    if (limit->bytes) {
        return size_str((uint64_t)rate, text);
    }
    snprintf(text, SIZE_STR_LEN, "%" PRId64, rate);
    return text;
}

static void print_limits(const char *whose, const json_t *object)
{
    bool any = false;

    for (size_t i = 0; i < N_LIMITS; i++) {
        int64_t rate = get(object, &limits[i], ""), burst = get(object, &limits[i], "_max");
        char text[SIZE_STR_LEN];

        if (rate) {
            any = true;
            printf("%s: %s: %s/s", whose, limits[i].what, rate_str(&limits[i], rate, text));
            if (burst) {
                printf(", up to %s/s for %" PRId64 " s", rate_str(&limits[i], burst, text),
                       get(object, &limits[i], "_max_length"));
            }
            putchar('\n');
        }
    }
    if (!any) {
        printf("%s: no limits\n", whose);
    }
}

/* Of the export or its group, and of each client. */
static void print_throttle(const json_t *throttle, const char *export)
{
    auto_free char *name = ctl_escape(export), *group = ctl_escape(ctl_str(throttle, "group"));
    auto_free char *whose = NULL, *clients = NULL;

    if (asprintf(&whose, *group ? "%s (group %s)" : "%s", name, group) < 0 ||
        asprintf(&clients, "%s, each client", name) < 0) {
        xalloc_check(NULL);
    }
    print_limits(whose, throttle);
    print_limits(clients, json_object_get(throttle, "client"));
}

int ctl_run_throttle(Ctl *ctl)
{
    const char *export;
    json_t *limits_args = parse_limits(ctl), *result;
    bool changes;

    if (!limits_args) {
        return CTL_USAGE;
    }
    export = ctl_take_export(ctl, 0);
    if (!export) {
        json_decref(limits_args);
        return CTL_FAILED;
    }
    changes = json_object_size(limits_args) > 0;
    json_object_set_new(limits_args, "device", json_string(export));
    if (changes && ctl_option(ctl, "client")) {
        json_object_set_new(limits_args, "client", json_true());
    }
    result = ctl_call_with(ctl, changes ? "x-set-throttle" : "x-query-throttle", limits_args);
    if (result && !ctl->json) {
        print_throttle(result, export);
        json_decref(result);
        return CTL_OK;
    }
    return ctl_done(ctl, result, "%s", "");
}
