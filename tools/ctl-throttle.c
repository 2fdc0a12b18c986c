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

/* The names: ours, and the protocol's ("-max" and "-max-length" behind it are the burst's). */
typedef struct Limit {
    const char *option, *key, *what;
    bool bytes;
} Limit;

static const Limit limits[] = {
    { "iops", "iops-total", "operations", false },
    { "iops-read", "iops-read", "reads", false },
    { "iops-write", "iops-write", "writes", false },
    { "bps", "bps-total", "bytes", true },
    { "bps-read", "bps-read", "bytes read", true },
    { "bps-write", "bps-write", "bytes written", true },
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
    put(args, limit, "-max", rate);
    put(args, limit, "-max-length", seconds);
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
    put(args, limit, "-max", 0);
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
        int64_t rate = get(object, &limits[i], ""), burst = get(object, &limits[i], "-max");
        char text[SIZE_STR_LEN];

        if (rate) {
            any = true;
            printf("%s: %s: %s/s", whose, limits[i].what, rate_str(&limits[i], rate, text));
            if (burst) {
                printf(", up to %s/s for %" PRId64 " s", rate_str(&limits[i], burst, text),
                       get(object, &limits[i], "-max-length"));
            }
            putchar('\n');
        }
    }
    if (!any) {
        printf("%s: no limits\n", whose);
    }
}

/* "d0 (group web, with d1 and d2)" */
static char *describe_export(const json_t *throttle)
{
    const json_t *members = json_object_get(throttle, "members");
    const char *id = ctl_str(throttle, "id"), *group = ctl_str(throttle, "group");
    auto_free char *text = NULL;
    json_t *each;
    size_t i, len;
    FILE *out = xalloc_check(open_memstream(&text, &len));
    const char *before = ", with ";

    fprintf(out, "%s%s%s", id, *group ? " (group " : "", group);
    json_array_foreach(members, i, each) {
        const char *member = json_string_value(each);

        if (*group && member && strcmp(member, id) != 0) {
            fprintf(out, "%s%s", before, member);
            before = ", ";
        }
    }
    fputs(*group ? ")" : "", out);
    fclose(out);
    return ctl_escape(text);
}

static void print_throttle(const json_t *throttle)
{
    auto_free char *whose = describe_export(throttle), *clients = NULL;
    auto_free char *id = ctl_escape(ctl_str(throttle, "id"));
    int64_t waits = ctl_int(throttle, "waits");

    if (asprintf(&clients, "%s, each client", id) < 0) {
        xalloc_check(NULL);
    }
    print_limits(whose, json_object_get(throttle, "limits"));
    print_limits(clients, json_object_get(throttle, "client-limits"));
    if (waits) {
        printf("%s: %" PRId64 " requests have waited, %.1f ms each\n", id, waits,
               (double)ctl_int(throttle, "wait-ns") / 1e6 / (double)waits);
    }
}

int ctl_run_throttle(Ctl *ctl)
{
    json_t *args = parse_limits(ctl), *result;
    const char *export;
    bool changes;

    if (!args) {
        return CTL_USAGE;
    }
    changes = json_object_size(args) > 0;
    if (changes && ctl_option(ctl, "client")) {
        json_object_set_new(args, "scope", json_string("client"));
    }
    export = ctl_take_export(ctl, 0);
    if (!export) {
        json_decref(args);
        return CTL_FAILED;
    }
    json_object_set_new(args, "id", json_string(export));
    result = ctl_call_with(ctl, changes ? "x-set-throttle" : "x-query-throttle", args);
    if (result && !ctl->json) {
        print_throttle(result);
        json_decref(result);
        return CTL_OK;
    }
    return ctl_done(ctl, result, "%s", "");
}
