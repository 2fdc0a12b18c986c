/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the sections of configuration files to settings.
 *
 * [generic] is read before the command line, which overrides it; the other sections, one an
 * export, after it: what holds for every export is known by then.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define GENERIC_SCOPES (KEY_SERVER | KEY_EXPORT | KEY_GENERIC)
#define SECTION_SCOPES (KEY_EXPORT | KEY_IN_LIST | KEY_SECTION)
#define MAX_SECTIONS 10000
#define INCLUDED ".conf"

/* A section that is being understood. */
typedef struct {
    Config *config;
    ExportConfig *export;             /* that the section describes, or defaults of all */
    const ConfigSection *section;
    unsigned scopes;
    unsigned *seen;                   /* line of each key of the table; 0: not yet */
    ConfigErrors *errors;
} Work;

static bool is_generic(const ConfigSection *section)
{
    return strcmp(section->name, CONFIG_GENERIC) == 0;
}

/* ---- errors ---- */

/* With the place; takes over err. */
static void complain_at(Work *work, unsigned line, Error *err)
{
    error_prepend(&err, "%s:%u: ", work->section->file, line);
    config_errors_add(work->errors, err);
}

static void misplaced(const ConfigKey *key, bool in_generic, Error **errp)
{
    if (!(key->scope & (GENERIC_SCOPES | SECTION_SCOPES))) {
        error_setg(errp, "\"%s\" has its place on the command line", key->name);
    } else if (in_generic) {
        error_setg(errp, "\"%s\" belongs into the section of an export", key->name);
    } else {
        error_setg(errp, "\"%s\" belongs into [" CONFIG_GENERIC "]", key->name);
    }
}

/* ---- lines ---- */

static const ConfigKey *find_key(Work *work, const char *name, Error **errp)
{
    const unsigned everywhere = ~(unsigned)(KEY_LIMIT | KEY_ONLY_IN_LIST);
    const ConfigKey *key = config_export_key_find(name, work->scopes, NULL);

    if (!key && (key = config_key_find(name, everywhere, "", NULL))) {
        misplaced(key, work->scopes == GENERIC_SCOPES, errp);
        return NULL;
    }
    return key ? key : config_export_key_find(name, work->scopes, errp);
}

static bool set_line(Work *work, const ConfigLine *line, Error **errp)
{
    const ConfigKey *key = find_key(work, line->key, errp);
    unsigned *seen;

    if (!key) {
        return false;
    }
    seen = &work->seen[key - config_keys];
    if (*seen && !key->repeats) {
        error_setg(errp, "\"%s\" is given a second time, after line %u", line->key, *seen);
        return false;
    }
    *seen = line->number;
    return config_key_set_named(key, work->config, config_key_base(key, work->config, work->export),
                                line->key, line->value, errp);
}

static void set_lines(Work *work)
{
    const ConfigLine *line;

    work->seen = xcalloc(n_config_keys, sizeof(work->seen[0]));
    STAILQ_FOREACH(line, &work->section->lines, link) {
        Error *err = NULL;

        if (!set_line(work, line, &err)) {
            complain_at(work, line->number, err);
        }
    }
    free(work->seen);
}

/* ---- exports ---- */

static void add_section(Work *work)
{
    const ConfigSection *section = work->section;
    Error *err = NULL;
    bool named;

    work->export = config_new_export(work->config);
    work->scopes = SECTION_SCOPES;
    named = config_set_export_name(work->export, section->name, &err);
    if (!named) {
        complain_at(work, section->number, err);
        err = NULL;
    }
    set_lines(work);
    if (!named || section->repeated) {
        export_config_unref(work->export);
    } else if (!work->export->image) {
        error_setg(&err, "section [%s] names no image", section->name);
        error_append_hint(&err, "Add a line: image = PATH\n");
        export_config_unref(work->export);
    } else {
        config_add_export(work->config, work->export, &err);
    }
    if (err) {
        complain_at(work, section->number, err);
    }
}

void config_add_sections(Config *config, ConfigErrors *errors)
{
    const ConfigSection *section;

    STAILQ_FOREACH(section, &config->sections, link) {
        if (!is_generic(section)) {
            Work work = { .config = config, .section = section, .errors = errors };

            add_section(&work);
        }
    }
}

/* ---- files ---- */

void config_check_names(Config *config, ConfigErrors *errors)
{
    const ConfigSection *before;
    ConfigSection *section;
    unsigned n = 0;

    STAILQ_FOREACH(section, &config->sections, link) {
        Work work = { .config = config, .section = section, .errors = errors };
        Error *err = NULL;

        if (++n > MAX_SECTIONS) {
            error_setg(&err, "more than %d sections", MAX_SECTIONS);
            complain_at(&work, section->number, err);
            return;
        }
        for (before = STAILQ_FIRST(&config->sections);
             before != section && strcmp(before->name, section->name) != 0;
             before = STAILQ_NEXT(before, link)) {
        }
        section->repeated = before != section;
        if (section->repeated) {
            error_setg(&err, "section [%s] stands twice, also at %s:%u", section->name,
                       before->file, before->number);
            complain_at(&work, section->number, err);
        }
    }
}

static int is_included(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > strlen(INCLUDED) && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + len - strlen(INCLUDED), INCLUDED) == 0;
}

static void read_included(Config *config, const char *name, ConfigErrors *errors)
{
    ConfigSectionList sections = STAILQ_HEAD_INITIALIZER(sections);
    const ConfigSection *section;
    auto_free char *path = NULL;

    if (asprintf(&path, "%s/%s", config->include_dir, name) < 0) {
        path = xalloc_check(NULL);
    }
    config_text_read(path, &sections, errors);
    STAILQ_FOREACH(section, &sections, link) {
        if (is_generic(section)) {
            Work work = { .section = section, .errors = errors };
            Error *err = NULL;

            error_setg(&err, "[" CONFIG_GENERIC "] belongs into the main file");
            complain_at(&work, section->number, err);
            break;
        }
    }
    STAILQ_CONCAT(&config->sections, &sections);
}

/* In the order of their names. */
static void read_include_dir(Config *config, ConfigErrors *errors)
{
    struct dirent **entries;
    int n = scandir(config->include_dir, &entries, is_included, alphasort);

    if (n < 0) {
        Error *err = NULL;

        error_setg_errno(&err, errno, "includedir \"%s\"", config->include_dir);
        config_errors_add(errors, err);
        return;
    }
    for (int i = 0; i < n; i++) {
        read_included(config, entries[i]->d_name, errors);
        free(entries[i]);
    }
    free(entries);
}

void config_set_generic(Config *config, ConfigErrors *errors)
{
    const ConfigSection *section;

    STAILQ_FOREACH(section, &config->sections, link) {
        if (is_generic(section)) {
            Work work = {
                .config = config, .export = &config->defaults, .section = section,
                .scopes = GENERIC_SCOPES, .errors = errors,
            };

            set_lines(&work);
        }
    }
}

void config_read_files(Config *config, const char *file, ConfigErrors *errors)
{
    if (!config_text_read(file, &config->sections, errors)) {
        return;
    }
    config_set_generic(config, errors);
    if (config->include_dir) {
        read_include_dir(config, errors);
    }
    config_check_names(config, errors);
}
