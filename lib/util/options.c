/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a driver's own options: strings from a command line, typed values from JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/options.h"

/* Powers of 1024 for a suffix, -1 if it is none. */
static int suffix_power(const char *suffix)
{
    static const char letters[] = "bkmgtpe";
    const char *letter;

    if (suffix[0] == '\0') {
        return 0;
    }
    if (suffix[1] != '\0') {
        return -1;
    }
    letter = strchr(letters, suffix[0] | 0x20);
    return letter && *letter ? (int)(letter - letters) : -1;
}

/* Digits behind the point, in units of 2^-53: as exact as a size with a fraction needs to be. */
static int64_t parse_fraction(char **end)
{
    double fraction = 0, unit = 1;

    for ((*end)++; **end >= '0' && **end <= '9'; (*end)++) {
        unit /= 10;
        fraction += unit * (**end - '0');
    }
    return (int64_t)(fraction * 0x1p53);
}

int options_parse_size(const char *text, int64_t *value)
{
    bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
    unsigned long long number;
    int64_t fraction = 0;
    unsigned __int128 bytes;
    char *end;
    int power;

    if (text[0] < '0' || text[0] > '9') {
        return -EINVAL;
    }
    errno = 0;
    number = strtoull(text, &end, hex ? 16 : 10);
    if (*end == '.' && !hex) {
        fraction = parse_fraction(&end);
    }
    power = suffix_power(end);
    if (power < 0 || (fraction && power == 0)) {
        return -EINVAL;
    }
    bytes = ((unsigned __int128)number << (10 * power)) +
            ((((unsigned __int128)fraction << (10 * power)) + (UINT64_C(1) << 52)) >> 53);
    if (errno || bytes > INT64_MAX) {
        return -ERANGE;
    }
    *value = (int64_t)bytes;
    return 0;
}

int options_take_size(QDict *options, const char *key, int64_t *value, Error **errp)
{
    json_t *option = json_object_get(options, key);
    bool good = true;

    if (!option) {
        return 0;
    }
    if (json_is_integer(option) && json_integer_value(option) >= 0) {
        *value = json_integer_value(option);
    } else if (json_is_string(option)) {
        good = options_parse_size(json_string_value(option), value) == 0;
    } else {
        good = false;
    }
    if (!good) {
        error_setg(errp, "Parameter '%s' expects a number of bytes, at most 8 EiB", key);
        error_append_hint(errp, "You may use a suffix: k, M, G, T, P or E.\n");
        return -EINVAL;
    }
    qdict_del(options, key);
    return 0;
}

int options_take_bool(QDict *options, const char *key, bool *value, Error **errp)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes", NULL};
    int index = *value;
    int ret = options_take_word(options, key, words, &index, errp);

    *value = index & 1;
    return ret;
}

static void word_error(Error **errp, const char *key, const char *const words[])
{
    char list[200] = "";
    size_t used = 0;

    for (int i = 0; words[i] && used < sizeof(list); i++) {
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", words[i]);
    }
    error_setg(errp, "Parameter '%s' expects one of: %s", key, list);
}

int options_take_word(QDict *options, const char *key, const char *const words[], int *value,
                     Error **errp)
{
    json_t *option = json_object_get(options, key);
    const char *word = json_string_value(option);

    if (!option) {
        return 0;
    }
    if (json_is_boolean(option)) {
        word = json_is_true(option) ? "on" : "off";
    }
    for (int i = 0; word && words[i]; i++) {
        if (strcmp(word, words[i]) == 0) {
            *value = i;
            qdict_del(options, key);
            return 0;
        }
    }
    word_error(errp, key, words);
    return -EINVAL;
}
