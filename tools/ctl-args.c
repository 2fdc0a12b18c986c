/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: a subcommand, its words and its options in any order, by the table. */
#include "tools/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/edit-distance.h"
#include "common/utf8.h"
#include "common/xalloc.h"

/* ---- names, and the one that was meant ---- */

typedef struct Nearest {
    const char *wanted, *found;
    size_t best;
} Nearest;

static Nearest nearest_to(const char *wanted)
{
    return (Nearest){ .wanted = wanted, .best = strlen(wanted) / 2 + 1 };
}

static void consider(Nearest *nearest, const char *name)
{
    size_t distance = edit_distance(name, nearest->wanted);

    if (distance < nearest->best) {
        nearest->best = distance;
        nearest->found = name;
    }
}

/* A hint, or NULL; free() it. */
static char *did_you_mean(const Nearest *nearest, const char *prefix)
{
    char *hint = NULL;

    if (nearest->found &&
        asprintf(&hint, "Did you mean \"%s%s\"?", prefix, nearest->found) < 0) {
        xalloc_check(NULL);
    }
    return hint;
}

/* ---- options ---- */

static const CtlOption *look_up(const CtlOption *list, const char *name, char letter,
                                Nearest *nearest)
{
    for (; list && list->name; list++) {
        if (name ? strcmp(list->name, name) == 0 : list->letter == letter) {
            return list;
        }
        if (name) {
            consider(nearest, list->name);
        }
    }
    return NULL;
}

/* By its name or else its letter; NULL: reported. */
static const CtlOption *find_option(const Ctl *ctl, const char *name, char letter)
{
    const char text[] = { letter, '\0' };
    Nearest nearest = nearest_to(name ? name : text);
    const CtlOption *option = look_up(ctl->cmd ? ctl->cmd->options : NULL, name, letter, &nearest);
    auto_free char *hint = NULL;

    if (!option) {
        option = look_up(ctl_global_options, name, letter, &nearest);
    }
    if (!option) {
        hint = did_you_mean(&nearest, "--");
        ctl_usage_error(ctl, hint, "unknown option \"%s%s\"%s%s", name ? "--" : "-",
                        name ? name : text, ctl->cmd ? " of " : "", ctl->cmd ? ctl->cmd->name : "");
    }
    return option;
}

static bool give(Ctl *ctl, const CtlOption *option, const char *value)
{
    if (ctl->n_given == CTL_MAX_GIVEN) {
        ctl_usage_error(ctl, NULL, "more than %d options", CTL_MAX_GIVEN);
        return false;
    }
    ctl->given[ctl->n_given++] = (CtlGiven){ option, value };
    return true;
}

/* The option at argv[*i], and its value, which may be the word behind it. */
static bool parse_option(Ctl *ctl, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *value = NULL;
    auto_free char *name = NULL;
    const CtlOption *option;

    if (arg[1] == '-') {
        size_t len = strcspn(arg, "=");

        name = xstrndup(arg + 2, len - 2);
        value = arg[len] ? arg + len + 1 : NULL;
    } else if (arg[2]) {
        value = arg + 2;
    }
    option = find_option(ctl, name, arg[1]);
    if (!option) {
        return false;
    }
    if (!option->value) {
        if (value) {
            ctl_usage_error(ctl, NULL, "option --%s takes no value", option->name);
            return false;
        }
        value = "";
    } else if (!value) {
        if (*i + 1 == argc) {
            ctl_usage_error(ctl, NULL, "option --%s needs a value: %s", option->name,
                            option->value);
            return false;
        }
        value = argv[++*i];
    }
    return give(ctl, option, value);
}

const char *ctl_option(const Ctl *ctl, const char *name)
{
    const char *value = NULL;

    for (unsigned i = 0; i < ctl->n_given; i++) {
        if (strcmp(ctl->given[i].option->name, name) == 0) {
            value = ctl->given[i].value;
        }
    }
    return value;
}

/* ---- the subcommand ---- */

/* How many of the words the command's name is; 0: it is another. */
static unsigned matches(const CtlCommand *cmd, char **words, unsigned n)
{
    const char *blank = strchr(cmd->name, ' ');
    size_t len = blank ? (size_t)(blank - cmd->name) : strlen(cmd->name);

    if (n == 0 || strlen(words[0]) != len || memcmp(words[0], cmd->name, len) != 0) {
        return 0;
    } else if (!blank) {
        return 1;
    }
    return n > 1 && strcmp(words[1], blank + 1) == 0 ? 2 : 0;
}

/* Of two names that match, the one of two words; NULL: none does. */
static const CtlCommand *find_command(char **words, unsigned n, unsigned *n_used)
{
    const CtlCommand *found = NULL;

    *n_used = 0;
    for (size_t i = 0; i < n_ctl_commands; i++) {
        unsigned used = matches(&ctl_commands[i], words, n);

        if (used > *n_used) {
            *n_used = used;
            found = &ctl_commands[i];
        }
    }
    return found;
}

static void report_unknown_command(const Ctl *ctl, char **words, unsigned n)
{
    auto_free char *hint = NULL, *list = NULL, *both = NULL;
    Nearest nearest;
    size_t len = strlen(words[0]), size;
    FILE *out = xalloc_check(open_memstream(&list, &size));

    if (asprintf(&both, "%s %s", words[0], n > 1 ? words[1] : "") < 0) {
        xalloc_check(NULL);
    }
    nearest = nearest_to(words[0]);
    for (size_t i = 0; i < n_ctl_commands; i++) {
        const char *name = ctl_commands[i].name;

        if (strncmp(name, words[0], len) == 0 && name[len] == ' ') {
            fprintf(out, "%s%s", ftell(out) ? ", " : "", name + len + 1);
            nearest.best = 0;
        }
        consider(&nearest, name);
    }
    fclose(out);
    if (*list) {
        ctl_usage_error(ctl, NULL, "%s needs one of: %s", words[0], list);
        return;
    }
    hint = did_you_mean(&nearest, "");
    ctl_usage_error(ctl, hint, "unknown command \"%s\"", words[0]);
}

/* ---- words ---- */

/* Whether the synopsis' word at *cursor may be left out; moves behind it.  False at the end. */
static bool next_word(const char **cursor, bool *optional, bool *repeats)
{
    size_t len = strcspn(*cursor, " ");
    const char *word = *cursor;

    if (!len) {
        return false;
    }
    *repeats = len > 3 && memcmp(word + len - 3, "...", 3) == 0;
    *optional = word[0] == '[' && word[len - (*repeats ? 4 : 1)] == ']';
    *cursor += len + (word[len] == ' ');
    return true;
}

static bool check_words(Ctl *ctl)
{
    const char *cursor = ctl->cmd->words;
    unsigned least = 0, most = 0;
    bool optional, repeats;

    while (next_word(&cursor, &optional, &repeats)) {
        least += !optional;
        most = repeats ? UINT32_MAX : most + 1;
    }
    if (ctl->n_words < least) {
        ctl_usage_error(ctl, NULL, "%s needs %s", ctl->cmd->name, ctl->cmd->words);
        return false;
    }
    if (ctl->n_words > most) {
        ctl_usage_error(ctl, NULL, "%s: \"%s\" is one word too many", ctl->cmd->name,
                        ctl->words[most]);
        return false;
    }
    return true;
}

/* Names that are not UTF-8 cannot be told to the server: JSON is. */
static bool check_utf8(Ctl *ctl, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *p = argv[i];
        size_t len;

        while (*p) {
            len = utf8_length(p);
            if (!len) {
                ctl_usage_error(ctl, NULL, "argument %d is not UTF-8", i);
                return false;
            }
            p += len;
        }
    }
    return true;
}

/* The subcommand's name at argv[*i], of one word or two. */
static bool take_command(Ctl *ctl, int argc, char **argv, int *i)
{
    unsigned used;

    ctl->cmd = find_command(argv + *i, (unsigned)(argc - *i), &used);
    if (!ctl->cmd) {
        report_unknown_command(ctl, argv + *i, (unsigned)(argc - *i));
        return false;
    }
    *i += (int)used - 1;
    return true;
}

bool ctl_parse(Ctl *ctl, int argc, char **argv)
{
    bool options_end = false;

    for (int i = 1; i < argc; i++) {
        /* Even errors of the command line are told in the form that was asked for. */
        ctl->json = ctl->json || strcmp(argv[i], "--json") == 0;
    }
    if (!check_utf8(ctl, argc, argv)) {
        return false;
    }
    ctl->words = ctl->all_words = xcalloc((size_t)argc, sizeof(*ctl->words));
    for (int i = 1; i < argc; i++) {
        bool good = true;

        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            good = parse_option(ctl, argc, argv, &i);
        } else if (!ctl->cmd) {
            good = take_command(ctl, argc, argv, &i);
        } else {
            ctl->words[ctl->n_words++] = argv[i];
        }
        if (!good) {
            return false;
        }
    }
    return !ctl->cmd || ctl_option(ctl, "help") || check_words(ctl);
}

/* ---- values ---- */

bool ctl_parse_number(Ctl *ctl, const char *what, const char *text, int64_t min, int64_t max,
                      int64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    if (errno || end == text || *end || *value < min || *value > max) {
        ctl_usage_error(ctl, NULL, "%s: \"%s\" is not a whole number from %jd to %jd", what, text,
                        (intmax_t)min, (intmax_t)max);
        return false;
    }
    return true;
}

bool ctl_parse_size(Ctl *ctl, const char *what, const char *text, int64_t *bytes)
{
    *bytes = cvtnum(text);
    if (*bytes < 0) {
        ctl_usage_error(ctl, "A size is a number of bytes, or one with k, M, G, T, P or E: 10M, "
                        "1.5G.", "%s: \"%s\" is %s", what, text,
                        *bytes == -ERANGE ? "too large" : "not a size");
        return false;
    }
    return true;
}
