/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the image tools share; see tool.h. */
#include "tools/tool.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* ---- messages ---- */

static const char *name = "";

static void log_to_stderr(void *opaque, const char *message)
{
    (void)opaque;
    error_report("%s", message);
}

void tool_init(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');

    name = slash ? slash + 1 : argv0;
    blkbackend_set_log_fn(log_to_stderr, NULL);
}

const char *tool_name(void)
{
    return name;
}

/* stdout is not flushed: scripts that collect both streams in one file know the order in which
 * QEMU's tools leave them there. */
__attribute__((format(printf, 2, 0)))
static void report(const char *prefix, const char *fmt, va_list args)
{
    fprintf(stderr, "%s: %s", name, prefix);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

void error_report(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report("", fmt, args);
    va_end(args);
}

void warn_report(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report("warning: ", fmt, args);
    va_end(args);
}

void error_printf(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
}

void error_reportf_err(Error *err, const char *fmt, ...)
{
    const char *hint = error_get_hint(err);
    size_t len = strlen(hint);
    va_list args;

    fprintf(stderr, "%s: ", name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "%s\n%s%s", error_get_pretty(err), hint,
            len && hint[len - 1] != '\n' ? "\n" : "");
    error_free(err);
}

/* ---- sizes ---- */

static const char units[] = "BKMGTPE";   /* each is 1024 times the one before */

/* The whole part; *end behind it.  A sign is strtoull()'s business, but no number is negative. */
static int parse_integer(const char *text, char **end, uint64_t *value)
{
    errno = 0;
    *value = strtoull(text, end, 10);
    if (*end == text || memchr(text, '-', *end - text)) {
        return -EINVAL;
    }
    if (!errno && *value == 0 && (**end == 'x' || **end == 'X')) {
        *value = strtoull(text, end, 16);
        if (**end == '.') {
            return -EINVAL;
        }
    }
    return -errno;
}

/* What follows the point, in units of 2^-64; the point alone is no fraction. */
static int parse_fraction(char **end, uint64_t *value)
{
    char *start = *end;
    double fraction = strtod(start, end);

    if (*end == start) {
        *end = start + 1;
        return 0;
    }
    if (memchr(start, 'e', *end - start) || memchr(start, 'E', *end - start)) {
        return -EINVAL;
    }
    *value = fraction < 1 ? (uint64_t)(fraction * 0x1p64) : UINT64_MAX;   /* it may be rounded */
    return 0;
}

int64_t cvtnum(const char *text)
{
    uint64_t whole, fraction = 0;
    unsigned __int128 bytes;
    const char *unit;
    unsigned power = 0;
    char *end;
    int ret = parse_integer(text, &end, &whole);

    if (ret == 0 && *end == '.') {
        ret = parse_fraction(&end, &fraction);
    }
    if (ret < 0) {
        return ret == -ERANGE && *end ? -EINVAL : ret;
    }
    unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        if (memchr(text, 'x', end - text) || memchr(text, 'X', end - text)) {
            warn_report("Using a multiplier suffix on hex numbers is deprecated: %s", text);
        }
        power = 10 * (unit - units);
        end++;
    }
    if (*end || (fraction && !power)) {
        return -EINVAL;
    }
    bytes = ((unsigned __int128)whole << power) +
            ((((unsigned __int128)fraction << power) + (UINT64_C(1) << 63)) >> 64);
    return bytes > INT64_MAX ? -ERANGE : (int64_t)bytes;
}

const char *cvtstr(double value, char buf[CVTSTR_LEN])
{
    static const char *const names[] = {
        " bytes", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB",
    };
    char number[CVTSTR_LEN - sizeof(" bytes")];
    unsigned power = 0;
    char *zeroes;

    while (power < 6 && value >= 1024) {
        value /= 1024;
        power++;
    }
    snprintf(number, sizeof(number), power ? "%.3f" : "%f", value);
    zeroes = strstr(number, ".000");
    if (zeroes) {
        *zeroes = '\0';
    }
    snprintf(buf, CVTSTR_LEN, "%s%s", number, names[power]);
    return buf;
}

/* ---- options ---- */

/* Everything up to a single comma or the end, with doubled commas undone. */
static char *next_value(const char **cursor)
{
    const char *p = *cursor;
    char *value = xcalloc(1, strlen(p) + 1);
    size_t n = 0;

    for (; *p; p++) {
        if (*p == ',' && *++p != ',') {
            break;
        }
        value[n++] = *p;
    }
    *cursor = p;
    return value;
}

/* A key without a value. */
static const char *switch_value(char *key, bool warn)
{
    bool off = strncmp(key, "no", 2) == 0;
    const char *value = off ? "off" : "on";

    if (off) {
        memmove(key, key + 2, strlen(key + 2) + 1);
    }
    if (warn && (off || (strcmp(key, "help") != 0 && strcmp(key, "?") != 0))) {
        warn_report("short-form boolean option '%s%s' deprecated", off ? "no" : "", key);
        error_printf("Please use %s=%s instead\n", key, value);
    }
    return value;
}

static bool is_identifier(const char *id)
{
    if (!isalpha((unsigned char)id[0])) {
        return false;
    }
    while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id))) {
        id++;
    }
    return !*id;
}

static bool check_option(const char *key, const char *value)
{
    if (strcmp(key, "id") != 0 || is_identifier(value)) {
        return true;
    }
    error_report("Parameter 'id' expects an identifier");
    error_printf("Identifiers consist of letters, digits, '-', '.', '_', starting with a "
                 "letter.\n");
    return false;
}

static bool parse_options(QDict *options, const char *text, bool warn)
{
    bool good = true;

    while (good && *text) {
        size_t len = strcspn(text, "=,");
        auto_free char *key = xstrndup(text, len);
        auto_free char *value = NULL;
        const char *word;

        if (text[len] == '=') {
            text += len + 1;
            word = value = next_value(&text);
        } else {
            text += text[len] ? len + 1 : len;
            word = switch_value(key, warn);
        }
        good = check_option(key, word);
        if (good) {
            qdict_put(options, key, qstring_from_str(word));
        }
    }
    return good;
}

bool tool_parse_options(QDict *options, const char *text)
{
    return parse_options(options, text, true);
}

bool tool_parse_image_options(QDict *options, const char *text)
{
    return parse_options(options, text, false);
}

int tool_parse_aio(const char *mode, int *flags)
{
    static const char *const engines[][2] = {
        {"threads", "threads"}, {"native", "auto"}, {"io_uring", "io_uring"},
    };

    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        if (strcmp(mode, engines[i][0]) == 0) {
            bool native = strcmp(mode, "native") == 0;

            *flags = native ? *flags | BDRV_O_NATIVE_AIO : *flags & ~BDRV_O_NATIVE_AIO;
            return aio_set_engine(engines[i][1], NULL);
        }
    }
    return -EINVAL;
}

void tool_warn_of_guess(BlockBackend *blk, const char *filename)
{
    BlockDriverState *bs = blk_bs(blk);

    if ((filename && strncmp(filename, "json:", 5) == 0) || blk_is_read_only(blk) ||
        strcmp(bdrv_get_format_name(bs), "raw") != 0) {
        return;
    }
    error_printf("WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
                 "         Automatically detecting the format is dangerous for raw images, write "
                 "operations on block 0 will be restricted.\n"
                 "         Specify the 'raw' format explicitly to remove the restrictions.\n",
                 bdrv_filename(bdrv_file(bs)));
}

bool tool_force_share(QDict *options)
{
    const char *said = qdict_get_try_str(options, "force-share");

    if (said && strcmp(said, "on") != 0) {
        return false;
    }
    qdict_put(options, "force-share", qstring_from_str("on"));
    return true;
}
