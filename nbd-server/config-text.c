/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cuts a configuration file into sections and lines.
 *
 *   # comment          only as a line of its own: a value may contain #
 *   [section]
 *   key = value        spaces around either do not count
 */
#include "config-text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "server.h"

#define MAX_ERRORS 100         /* whose words we keep */
#define SHOWN 60               /* bytes of a line in a message */
#define SPACES " \t\r\f\v"

/* ---- errors ---- */

struct ConfigError {
    Error *err;
    STAILQ_ENTRY(ConfigError) link;
};

void config_errors_add(ConfigErrors *errors, Error *err)
{
    struct ConfigError *each;

    if (errors->n++ >= MAX_ERRORS) {
        error_free(err);
        return;
    }
    each = xcalloc(1, sizeof(*each));
    each->err = err;
    STAILQ_INSERT_TAIL(&errors->list, each, link);
}

void config_errors_forget(ConfigErrors *errors)
{
    struct ConfigError *each;

    while ((each = STAILQ_FIRST(&errors->list))) {
        STAILQ_REMOVE_HEAD(&errors->list, link);
        error_free(each->err);
        free(each);
    }
    errors->n = 0;
}

void config_errors_log(ConfigErrors *errors)
{
    struct ConfigError *each;

    STAILQ_FOREACH(each, &errors->list, link) {
        log_error_free(take_ptr(each->err));
    }
    if (errors->n > MAX_ERRORS) {
        log_msg(LOG_LEVEL_ERROR, NULL, NULL, "... and %u more errors", errors->n - MAX_ERRORS);
    }
    config_errors_forget(errors);
}

char *config_errors_text(const ConfigErrors *errors)
{
    char *text = NULL;
    size_t size;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    const struct ConfigError *each;

    STAILQ_FOREACH(each, &errors->list, link) {
        const char *hint = error_get_hint(each->err);

        fprintf(out, "%s%s", ftell(out) > 0 ? "; " : "", error_get_pretty(each->err));
        fprintf(out, "%s%.*s", *hint ? ". " : "", (int)strcspn(hint, "\n"), hint);
    }
    if (errors->n > MAX_ERRORS) {
        fprintf(out, "; and %u more errors", errors->n - MAX_ERRORS);
    }
    fclose(out);
    return text;
}

/* ---- reading ---- */

/* Where reading has got to. */
typedef struct {
    const char *file;
    unsigned number;
    ConfigSectionList *sections;
    ConfigSection *section;    /* the one that lines belong to; NULL: none yet */
    bool lost;                 /* they belong to none, which has been said */
    ConfigErrors *errors;
} Reader;

static void add_located(Reader *r, Error *err)
{
    error_prepend(&err, "%s:%u: ", r->file, r->number);
    config_errors_add(r->errors, err);
}

#define COMPLAIN(reader, ...) \
    do { \
        Error *err_ = NULL; \
        error_setg(&err_, __VA_ARGS__); \
        add_located(reader, err_); \
    } while (0)

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && strchr(SPACES, **text)) {
        ++*text;
        --*len;
    }
    while (*len > 0 && strchr(SPACES, (*text)[*len - 1])) {
        --*len;
    }
}

/* What a message shows of a line. */
static int shown(size_t len)
{
    return len > SHOWN ? SHOWN : (int)len;
}

static void read_header(Reader *r, const char *text, size_t len)
{
    const char *end = memchr(text, ']', len);

    r->section = NULL;
    r->lost = true;
    if (!end || end != text + len - 1) {
        COMPLAIN(r, "\"%.*s\" should be [SECTION], and nothing after it", shown(len), text);
        return;
    }
    text++;
    len -= 2;
    trim(&text, &len);
    if (len == 0) {
        COMPLAIN(r, "a section needs a name: [NAME]");
        return;
    }
    r->lost = false;
    r->section = xcalloc(1, sizeof(*r->section));
    r->section->name = xstrndup(text, len);
    r->section->file = xstrdup(r->file);
    r->section->number = r->number;
    STAILQ_INIT(&r->section->lines);
    STAILQ_INSERT_TAIL(r->sections, r->section, link);
}

static void add_line(Reader *r, const char *key, size_t key_len, const char *value,
                     size_t value_len)
{
    ConfigLine *line = xcalloc(1, sizeof(*line));

    line->key = xstrndup(key, key_len);
    line->value = xstrndup(value, value_len);
    line->number = r->number;
    STAILQ_INSERT_TAIL(&r->section->lines, line, link);
}

static void read_setting(Reader *r, const char *text, size_t len)
{
    const char *equals = memchr(text, '=', len);
    const char *value = equals ? equals + 1 : text;
    size_t key_len = equals ? (size_t)(equals - text) : 0;
    size_t value_len = len - (size_t)(value - text);

    trim(&text, &key_len);
    if (key_len == 0) {
        COMPLAIN(r, "\"%.*s\" should be KEY = VALUE, [SECTION] or # a comment", shown(len), text);
    } else if (r->section) {
        trim(&value, &value_len);
        add_line(r, text, key_len, value, value_len);
    } else if (!r->lost) {
        COMPLAIN(r, "\"%.*s\" belongs to no section: put [" CONFIG_GENERIC "] or an export's "
                 "[NAME] before it", shown(key_len), text);
        r->lost = true;
    }
}

static void read_line(Reader *r, const char *text, size_t len)
{
    if (memchr(text, '\0', len)) {
        COMPLAIN(r, "a byte 0 in the line: this is no text");
        return;
    }
    trim(&text, &len);
    if (len == 0 || *text == '#' || *text == ';') {
        return;
    }
    if (*text == '[') {
        read_header(r, text, len);
    } else {
        read_setting(r, text, len);
    }
}

void config_text_parse(const char *file, const char *text, size_t len,
                       ConfigSectionList *sections, ConfigErrors *errors)
{
    static const char mark[] = "\xef\xbb\xbf";     /* some editors begin UTF-8 with it */
    Reader r = { .file = file, .sections = sections, .errors = errors };

    if (len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0) {
        text += strlen(mark);
        len -= strlen(mark);
    }
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end ? (size_t)(end - text) : len;

        r.number++;
        read_line(&r, text, line_len);
        text += line_len + (end != NULL);
        len -= line_len + (end != NULL);
    }
}

/* ---- files ---- */

/* The file's bytes, or -1 with errno set; more than CONFIG_MAX_SIZE: there is more. */
static ssize_t read_all(const char *file, char *buf)
{
    auto_close int fd = open(file, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = 1;

    if (fd < 0) {
        return -1;
    }
    while (n > 0 && len <= CONFIG_MAX_SIZE) {
        n = read(fd, buf + len, CONFIG_MAX_SIZE + 1 - len);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        len += n > 0 ? (size_t)n : 0;
        n = n < 0 ? 1 : n;
    }
    return (ssize_t)len;
}

bool config_text_read(const char *file, ConfigSectionList *sections, ConfigErrors *errors)
{
    auto_free char *buf = xalloc_check(malloc(CONFIG_MAX_SIZE + 1));
    ssize_t len = read_all(file, buf);
    Error *err = NULL;

    if (len < 0) {
        error_setg_errno(&err, errno, "cannot read the configuration file \"%s\"", file);
    } else if ((size_t)len > CONFIG_MAX_SIZE) {
        error_setg(&err, "the configuration file \"%s\" is larger than 4 MiB", file);
    }
    if (err) {
        config_errors_add(errors, err);
        return false;
    }
    config_text_parse(file, buf, (size_t)len, sections, errors);
    return true;
}

void config_text_free(ConfigSectionList *sections)
{
    ConfigSection *section;
    ConfigLine *line;

    while ((section = STAILQ_FIRST(sections))) {
        STAILQ_REMOVE_HEAD(sections, link);
        while ((line = STAILQ_FIRST(&section->lines))) {
            STAILQ_REMOVE_HEAD(&section->lines, link);
            free(line->key);
            free(line->value);
            free(line);
        }
        free(section->name);
        free(section->file);
        free(section);
    }
}
