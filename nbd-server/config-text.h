/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files as text: sections of lines, which nobody has understood yet.
 */
#ifndef NBD_EXPORT_CONFIG_TEXT_H
#define NBD_EXPORT_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <blkbackend/error.h>

#define CONFIG_GENERIC "generic"         /* the section that is no export */
#define CONFIG_MAX_SIZE (4u << 20)       /* bytes of a file */

typedef struct ConfigLine {
    char *key, *value;
    unsigned number;
    STAILQ_ENTRY(ConfigLine) link;
} ConfigLine;

typedef struct ConfigSection {
    char *name;
    char *file;
    unsigned number;                     /* line of its header */
    bool repeated;                       /* there was one of that name before */
    STAILQ_HEAD(, ConfigLine) lines;
    STAILQ_ENTRY(ConfigSection) link;
} ConfigSection;

typedef STAILQ_HEAD(ConfigSectionList, ConfigSection) ConfigSectionList;

/* What is wrong, all of it; the first 100 in words. */
typedef struct ConfigErrors {
    STAILQ_HEAD(, ConfigError) list;
    unsigned n;
} ConfigErrors;

#define CONFIG_ERRORS_INIT(errors) { .list = STAILQ_HEAD_INITIALIZER((errors).list) }

void config_errors_add(ConfigErrors *errors, Error *err);             /* takes over err */
void config_errors_log(ConfigErrors *errors);                         /* and forgets them */
/* The messages and hints with spaces between them; the caller frees it. */
char *config_errors_text(const ConfigErrors *errors);
void config_errors_forget(ConfigErrors *errors);

/* Appends the sections of a file, or of `len` bytes that are called so in messages.  False: the
 * file cannot be read, which is among the errors. */
bool config_text_read(const char *file, ConfigSectionList *sections, ConfigErrors *errors);
void config_text_parse(const char *file, const char *text, size_t len,
                       ConfigSectionList *sections, ConfigErrors *errors);
void config_text_free(ConfigSectionList *sections);

#endif
