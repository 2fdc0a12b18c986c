/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines of blk-img: tables of options, and what an option's argument may be. */
#include "tools/img.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

void img_error_exit(const char *fmt, ...)
{
    char message[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    error_report("%s", message);
    error_printf("Try '%s --help' for more information\n", tool_name());
    exit(EXIT_FAILURE);
}

/* ---- tables ---- */

/* getopt_long() answers this much more than the row of the table. */
#define FIRST_ID 256
#define HELP_ID (FIRST_ID - 1)

/* The table as getopt_long() wants it. */
typedef struct GetoptTable {
    char letters[128];
    struct option *names;
} GetoptTable;

static void make_table(GetoptTable *table, const ImgOption *options)
{
    size_t rows = 0, names = 0;
    char *letter = table->letters;

    while (options[rows].letter || options[rows].name) {
        rows++;
    }
    table->names = xcalloc(rows + 2, sizeof(*table->names));
    letter = stpcpy(letter, ":h");
    table->names[names++] = (struct option){ .name = "help", .val = HELP_ID };
    for (size_t i = 0; i < rows; i++) {
        bool has_argument = !options[i].flag && !options[i].bare;

        if (options[i].letter) {
            *letter++ = options[i].letter;
            *letter = '\0';
            letter = stpcpy(letter, has_argument ? ":" : "");
        }
        if (options[i].name) {
            table->names[names++] = (struct option){
                .name = options[i].name,
                .has_arg = has_argument ? required_argument : no_argument,
                .val = (int)(FIRST_ID + i),
            };
        }
    }
}

static const ImgOption *find_option(const ImgOption *options, int id)
{
    if (id >= FIRST_ID) {
        return &options[id - FIRST_ID];
    }
    while (options->letter != id) {
        options++;
    }
    return options;
}

static bool take_option(const ImgOption *option, const char *arg)
{
    if (option->fn) {
        return option->fn(option->opaque, arg);
    }
    if (option->flag) {
        *option->flag = true;
    } else {
        *option->string = arg;
    }
    return true;
}

/* Options may have chosen the event engine, so the loop is made after them. */
static bool start_main_loop(void)
{
    Error *err = NULL;

    if (qemu_init_main_loop(&err) < 0) {
        error_reportf_err(err, "%s", "");
        return false;
    }
    return true;
}

bool img_parse_options(int argc, char **argv, const ImgOption *options, int *first)
{
    GetoptTable table;
    bool good = true;
    int id;

    make_table(&table, options);
    optind = 0;
    opterr = 0;
    while (good && (id = getopt_long(argc, argv, table.letters, table.names, NULL)) != -1) {
        if (id == ':') {
            img_error_exit("missing argument for option '%s'", argv[optind - 1]);
        } else if (id == '?') {
            img_error_exit("unrecognized option '%s'", argv[optind - 1]);
        } else if (id == 'h' || id == HELP_ID) {
            img_help();
            exit(EXIT_SUCCESS);
        }
        good = take_option(find_option(options, id), optarg);
    }
    free(table.names);
    *first = optind;
    return good && start_main_loop();
}

/* ---- arguments ---- */

bool img_parse_object(void *opaque, const char *arg)
{
    static const char type_key[] = "qom-type=";
    auto_free char *text = xcalloc(1, sizeof(type_key) + strlen(arg));
    bool implied = arg[strcspn(arg, "=,")] != '=';
    QDict *object = qdict_new();
    const char *type;
    bool good;

    (void)opaque;
    stpcpy(stpcpy(text, implied ? type_key : ""), arg);
    good = tool_parse_options(object, text);
    type = qdict_get_try_str(object, "qom-type");
    if (good && !type) {
        error_report("Parameter 'qom-type' is missing");
        good = false;
    } else if (good && strcmp(type, "secret") != 0) {
        error_report("Parameter 'qom-type' does not accept value '%s'", type);
        good = false;
    } else if (good && !qdict_haskey(object, "id")) {
        error_report("Parameter 'id' is missing");
        good = false;
    }
    QDECREF(object);
    return good;
}

/* Lists can be joined with a comma if none begins or ends with a single one. */
static bool is_option_list(const char *list)
{
    size_t len = strlen(list), commas = 0;

    while (commas < len && list[len - 1 - commas] == ',') {
        commas++;
    }
    return *list && *list != ',' && commas % 2 == 0;
}

bool img_parse_o(void *opaque, const char *arg)
{
    char **list = opaque, *joined;

    if (!is_option_list(arg)) {
        error_report("Invalid option list: %s", arg);
        return false;
    }
    if (!*list) {
        *list = xstrdup(arg);
        return true;
    }
    joined = xcalloc(1, strlen(*list) + strlen(arg) + sizeof(","));
    stpcpy(stpcpy(stpcpy(joined, *list), ","), arg);
    free(*list);
    *list = joined;
    return true;
}

bool img_wants_help(const char *list)
{
    while (list && *list) {
        size_t len = strcspn(list, "=,");

        if (list[len] != '=' && ((len == 4 && strncmp(list, "help", 4) == 0) ||
                                 (len == 1 && *list == '?'))) {
            return true;
        }
        /* A value goes to the first comma that is not doubled. */
        for (list += len; *list; list++) {
            if (*list == ',' && *++list != ',') {
                break;
            }
        }
    }
    return false;
}

int64_t img_cvtnum_full(const char *name, const char *value, int64_t min, int64_t max)
{
    int64_t number = cvtnum(value);

    if (number == -EINVAL) {
        error_report("Invalid %s specified. You may use k, M, G, T, P or E suffixes for", name);
        error_report("kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.");
        return number;
    }
    if (number < 0 || number < min || number > max) {
        error_report("Invalid %s specified. Must be between %" PRId64 " and %" PRId64 ".", name,
                     min, max);
        return -ERANGE;
    }
    return number;
}

int64_t img_cvtnum(const char *name, const char *value)
{
    return img_cvtnum_full(name, value, 0, INT64_MAX);
}

bool img_parse_output(const char *word, bool *json)
{
    *json = word && strcmp(word, "json") == 0;
    if (word && !*json && strcmp(word, "human") != 0) {
        error_report("--output must be used with human or json as argument.");
        return false;
    }
    return true;
}

bool img_parse_cache(const char *what, const char *mode, int *flags)
{
    if (bdrv_parse_cache_mode(mode, flags) < 0) {
        error_report("Invalid %s option: %s", what, mode);
        return false;
    }
    return true;
}

void img_qprintf(bool quiet, const char *fmt, ...)
{
    va_list args;

    if (!quiet) {
        va_start(args, fmt);
        vprintf(fmt, args);
        va_end(args);
    }
}
