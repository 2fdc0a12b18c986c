/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top: rates of exports and clients, again and again; on a terminal in place, elsewhere in turn. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define DELAY_S 2.0
#define MAX_DELAY_S 86400.0

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* ---- the page ---- */

static double number(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

static void add_rate(CtlTable *table, double bytes)
{
    char text[SIZE_STR_LEN];

    ctl_table_add(table, bytes < 0.5 ? "0" : "%s/s", size_str((uint64_t)(bytes + 0.5), text));
}

static void add_latency(CtlTable *table, const json_t *row, const char *key)
{
    double ns = number(row, key);

    if (ns <= 0) {
        ctl_table_add(table, "%s", "");
    } else if (ns < 999500) {
        ctl_table_add(table, "%.3g µs", ns / 1e3);
    } else if (ns < 999.5e6) {
        ctl_table_add(table, "%.3g ms", ns / 1e6);
    } else {
        ctl_table_add(table, "%.3g s", ns / 1e9);
    }
}

static void print_exports(const json_t *rows, FILE *out, unsigned width)
{
    static const char *const heads[] = {
        "~EXPORT", ">CONN", ">BUSY", ">R/S", ">W/S", ">READ", ">WRITE", ">P50", ">P99", ">THR%",
        ">ERR",
    };
    CtlTable *table = ctl_table_new(heads, sizeof(heads) / sizeof(heads[0]));
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) {
        ctl_table_add(table, "%s", ctl_str(row, "export"));
        ctl_table_add(table, "%" PRId64, ctl_int(row, "clients"));
        ctl_table_add(table, "%" PRId64, ctl_int(row, "in-flight"));
        ctl_table_add(table, "%.0f", number(row, "read-iops"));
        ctl_table_add(table, "%.0f", number(row, "write-iops"));
        add_rate(table, number(row, "read-bps"));
        add_rate(table, number(row, "write-bps"));
        add_latency(table, row, "latency-p50-ns");
        add_latency(table, row, "latency-p99-ns");
        ctl_table_add(table, "%.0f", number(row, "throttled-percent"));
        ctl_table_add(table, "%" PRId64, ctl_int(row, "errors"));
    }
    ctl_table_print(table, out, width);
}

static void print_clients(const json_t *rows, FILE *out, unsigned width)
{
    static const char *const heads[] = {
        ">CLIENT", "~PEER", "~EXPORT", ">BUSY", ">IO/S", ">READ", ">WRITE", ">ERR",
    };
    CtlTable *table = ctl_table_new(heads, sizeof(heads) / sizeof(heads[0]));
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) {
        ctl_table_add(table, "%" PRId64, ctl_int(row, "client"));
        ctl_table_add(table, "%s", ctl_str(row, "peer"));
        ctl_table_add(table, "%s", ctl_str(row, "export"));
        ctl_table_add(table, "%" PRId64, ctl_int(row, "in-flight"));
        ctl_table_add(table, "%.0f", number(row, "iops"));
        add_rate(table, number(row, "read-bps"));
        add_rate(table, number(row, "write-bps"));
        ctl_table_add(table, "%" PRId64, ctl_int(row, "errors"));
    }
    ctl_table_print(table, out, width);
}

static void print_page(const json_t *rates, FILE *out)
{
    const json_t *exports = json_object_get(rates, "exports");
    const json_t *clients = json_object_get(rates, "clients");
    unsigned width = ctl_terminal_width();
    time_t now = time(NULL);
    char clock[16];
    struct tm tm;

    localtime_r(&now, &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    fprintf(out, "%s  %zu export%s, %zu client%s\n\n", clock, json_array_size(exports),
            json_array_size(exports) == 1 ? "" : "s", json_array_size(clients),
            json_array_size(clients) == 1 ? "" : "s");
    print_exports(exports, out, width);
    if (json_array_size(clients)) {
        fputc('\n', out);
        print_clients(clients, out, width);
    }
}

static void draw(const json_t *rates)
{
    auto_free char *page = NULL;
    size_t len;
    FILE *out = xalloc_check(open_memstream(&page, &len));

    print_page(rates, out);
    fclose(out);
    ctl_screen_draw(page);
}

/* ---- again and again ---- */

/* One after the other, each about the time since the one before. */
static int print_in_turn(Ctl *ctl, double delay, int64_t count)
{
    json_t *then = ctl_rates_look(ctl);
    int64_t then_ms = now_ms();

    for (int64_t i = 0; then && (count == 0 || i < count) && !ferror(stdout); i++) {
        json_t *now, *rates;
        int64_t ms;

        usleep((useconds_t)(delay * 1e6));
        now = ctl_rates_look(ctl);
        ms = now_ms();
        if (now) {
            rates = ctl_rates(then, now, (double)(ms > then_ms ? ms - then_ms : 1) / 1000);
            if (ctl->json) {
                ctl_print_json(rates);
            } else {
                fputs(i ? "\n" : "", stdout);
                print_page(rates, stdout);
            }
            fflush(stdout);
            json_decref(rates);
        }
        json_decref(then);
        then = now;
        then_ms = ms;
    }
    json_decref(then);
    return then ? CTL_OK : CTL_FAILED;
}

/* In place, until a key or a signal ends it. */
static int show(Ctl *ctl, double delay)
{
    json_t *then = ctl_rates_look(ctl), *now = json_incref(then), *rates;
    int64_t then_ms = now_ms(), due = then_ms;
    enum ctl_key key = CTL_KEY_NONE;

    if (!then) {
        return CTL_FAILED;
    }
    rates = ctl_rates(then, now, 1);
    ctl_screen_begin();
    while (now && key != CTL_KEY_QUIT) {
        int64_t ms;

        draw(rates);
        due = key == CTL_KEY_NONE ? due + (int64_t)(delay * 1000) : due;
        ms = now_ms();
        key = ctl_screen_wait(due > ms ? due - ms : 0);
        if (key == CTL_KEY_NONE) {
            json_decref(then);
            then = now;
            now = ctl_rates_look(ctl);
            ms = now_ms();
            json_decref(rates);
            rates = ctl_rates(then, now, (double)(ms > then_ms ? ms - then_ms : 1) / 1000);
            then_ms = due = ms;
        }
    }
    ctl_screen_end();
    json_decref(rates);
    json_decref(then);
    json_decref(now);
    return now ? CTL_OK : CTL_FAILED;
}

int ctl_run_top(Ctl *ctl)
{
    const char *delay_text = ctl_option(ctl, "delay"), *count_text = ctl_option(ctl, "count");
    double delay = DELAY_S;
    int64_t count = 0;
    char *end;

    if (delay_text) {
        delay = strtod(delay_text, &end);
        if (end == delay_text || *end || !(delay >= 0.1 && delay <= MAX_DELAY_S)) {
            return ctl_usage_error(ctl, NULL, "--delay: \"%s\" is no number of seconds from 0.1 "
                                   "to %.0f", delay_text, MAX_DELAY_S);
        }
    }
    if (count_text && !ctl_parse_number(ctl, "--count", count_text, 1, INT32_MAX, &count)) {
        return CTL_USAGE;
    }
    return ctl->json || count || !isatty(STDOUT_FILENO) ? print_in_turn(ctl, delay, count)
                                                        : show(ctl, delay);
}
