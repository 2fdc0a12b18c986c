/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The block drivers there are, and which one fits a file name or an image.
 */
#include "graph/graph-int.h"

#include <string.h>

/* In order of their names, so that lists of them always look the same. */
static const BlockDriver *drivers;

void bdrv_register(BlockDriver *drv)
{
    const BlockDriver **link = &drivers;

    while (*link && strcmp((*link)->format_name, drv->format_name) < 0) {
        link = (const BlockDriver **)&(*link)->next;
    }
    drv->next = *link;
    *link = drv;
}

const BlockDriver *bdrv_next_driver(const BlockDriver *drv)
{
    return drv ? drv->next : drivers;
}

BlockDriver *bdrv_find_format(const char *format_name)
{
    const BlockDriver *drv = NULL;

    while ((drv = bdrv_next_driver(drv))) {
        if (strcmp(drv->format_name, format_name) == 0) {
            return (BlockDriver *)drv;
        }
    }
    return NULL;
}

/* ---- by file name ---- */

const char *bdrv_strip_protocol(const char *filename, const char *protocol_name)
{
    size_t len = strlen(protocol_name);

    return strncmp(filename, protocol_name, len) == 0 && filename[len] == ':'
           ? filename + len + 1 : NULL;
}

static bool is_name(const char *candidate, const char *name, size_t len)
{
    return candidate && strlen(candidate) == len && memcmp(candidate, name, len) == 0;
}

static bool has_other_name(const BlockDriver *drv, const char *name, size_t len)
{
    const char *const *other = drv->other_protocol_names;

    while (other && *other && !is_name(*other, name, len)) {
        other++;
    }
    return other && *other;
}

static const BlockDriver *find_by_protocol_name(const char *name, size_t len)
{
    const BlockDriver *drv = NULL;

    while ((drv = bdrv_next_driver(drv))) {
        if (is_name(drv->protocol_name, name, len) || has_other_name(drv, name, len)) {
            return drv;
        }
    }
    return NULL;
}

static const BlockDriver *probe_devices(const char *filename)
{
    const BlockDriver *drv = NULL, *best = NULL;
    int best_score = 0;

    while ((drv = bdrv_next_driver(drv))) {
        int score = drv->bdrv_probe_device ? drv->bdrv_probe_device(filename) : 0;

        if (score > best_score) {
            best = drv;
            best_score = score;
        }
    }
    return best;
}

const BlockDriver *bdrv_find_protocol(const char *filename, bool allow_prefix, Error **errp)
{
    /* Names of devices may contain colons, so devices come first. */
    const BlockDriver *drv = probe_devices(filename);
    size_t len = strcspn(filename, ":/");

    if (drv) {
        return drv;
    }
    if (!allow_prefix || filename[len] != ':') {
        drv = find_by_protocol_name("file", 4);
        if (!drv) {
            error_setg(errp, "No driver for plain files, needed for '%s'", filename);
        }
        return drv;
    }
    drv = find_by_protocol_name(filename, len);
    if (!drv) {
        error_setg(errp, "Unknown protocol '%.*s' in '%s'", (int)len, filename, filename);
        error_append_hint(errp, "For a file with a ':' in its name write './%s'.\n", filename);
    }
    return drv;
}

/* ---- by content ---- */

const BlockDriver *bdrv_guess_format(const uint8_t *buf, int size, const char *filename)
{
    const BlockDriver *drv = NULL, *best = NULL;
    int best_score = 0;

    while ((drv = bdrv_next_driver(drv))) {
        int score = drv->bdrv_probe ? drv->bdrv_probe(buf, size, filename) : 0;

        if (score > best_score) {
            best = drv;
            best_score = score;
        }
    }
    return best ? best : bdrv_find_format("raw");
}
