/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is nested, as lines.  The pairs of an object come in the order of QEMU's
 * hash table: by bucket, and in one bucket the newest first.
 */
#include "tools/tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define BUCKETS 512

/* The hash of tdb (Bob Jenkins's seed, and a linear congruence at the end). */
static unsigned bucket_of(const char *key)
{
    size_t len = strlen(key);
    uint32_t hash = 0x238f13af * (uint32_t)len;

    for (size_t i = 0; i < len; i++) {
        hash += (uint32_t)(unsigned char)key[i] << (i * 5 % 24);
    }
    return (1103515243 * hash + 12345) % BUCKETS;
}

static int compare_pairs(const void *a, const void *b)
{
    const ToolPair *x = a, *y = b;

    if (x->bucket != y->bucket) {
        return x->bucket < y->bucket ? -1 : 1;
    }
    return x->index > y->index ? -1 : 1;
}

ToolPair *tool_pairs(const json_t *object)
{
    ToolPair *pairs = xcalloc(json_object_size(object) + 1, sizeof(*pairs));
    const char *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach((json_t *)object, key, value) {
        pairs[n] = (ToolPair){ .key = key, .value = value, .bucket = bucket_of(key), .index = n };
        n++;
    }
    qsort(pairs, n, sizeof(*pairs), compare_pairs);
    return pairs;
}

static bool is_nested(const QObject *value)
{
    return json_is_object(value) || json_is_array(value);
}

static void print_key(const char *key, int level)
{
    printf("%*s", 4 * level, "");
    for (; *key; key++) {
        putchar(*key == '-' ? ' ' : *key);
    }
}

static void print_value(const QObject *value, int level)
{
    putchar(is_nested(value) ? '\n' : ' ');
    tool_print_nested(value, level + 1);
    if (!is_nested(value)) {
        putchar('\n');
    }
}

void tool_print_nested(const QObject *value, int level)
{
    QObject *member;
    size_t i;

    if (json_is_object(value)) {
        auto_free ToolPair *pairs = tool_pairs(value);

        for (i = 0; i < json_object_size(value); i++) {
            print_key(pairs[i].key, level);
            putchar(':');
            print_value(pairs[i].value, level);
        }
    } else if (json_is_array(value)) {
        json_array_foreach((QObject *)value, i, member) {
            printf("%*s[%zu]:", 4 * level, "", i);
            print_value(member, level);
        }
    } else if (json_is_string(value)) {
        fputs(json_string_value(value), stdout);
    } else if (json_is_integer(value)) {
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else {
        fputs(json_is_true(value) ? "true" : "false", stdout);
    }
}
