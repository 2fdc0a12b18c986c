/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The argument of -l: which internal snapshot of an image to read instead of its disk. */
#include "tools/img.h"

#include <errno.h>
#include <string.h>

#define PREFIX "snapshot."
#define ID_KEY PREFIX "id"
#define NAME_KEY PREFIX "name"

static bool has_prefix(const char *param)
{
    return strncmp(param, PREFIX, strlen(PREFIX)) == 0;
}

/* The two parts that there may be; NULL: reported. */
static QDict *parse(const char *param)
{
    QDict *options = qdict_new();
    const char *key;
    json_t *value;

    if (!tool_parse_options(options, param)) {
        QDECREF(options);
        return NULL;
    }
    json_object_foreach(options, key, value) {
        if (strcmp(key, ID_KEY) != 0 && strcmp(key, NAME_KEY) != 0) {
            error_report("Invalid parameter '%s'", key);
            QDECREF(options);
            return NULL;
        }
    }
    return options;
}

bool img_parse_snapshot(void *opaque, const char *arg)
{
    const char **param = opaque;
    QDict *options;

    *param = arg;
    if (!has_prefix(arg)) {
        return true;
    }
    options = parse(arg);
    if (!options) {
        error_report("Failed in parsing snapshot param '%s'", arg);
        return false;
    }
    QDECREF(options);
    return true;
}

static int load_by_parts(BlockDriverState *bs, const char *param, Error **errp)
{
    QDict *options = parse(param);
    int ret = bdrv_snapshot_load_tmp(bs, qdict_get_try_str(options, ID_KEY),
                                     qdict_get_try_str(options, NAME_KEY), errp);

    QDECREF(options);
    return ret;
}

/* An ID, else a name. */
static int load_by_word(BlockDriverState *bs, const char *word, Error **errp)
{
    QEMUSnapshotInfo sn;

    if (bdrv_snapshot_find(bs, &sn, word) == -ENOENT) {
        error_setg(errp, "Can't find snapshot");
        return -ENOENT;
    }
    return strcmp(sn.id_str, word) == 0 ? bdrv_snapshot_load_tmp(bs, word, NULL, errp)
                                        : bdrv_snapshot_load_tmp(bs, NULL, word, errp);
}

bool img_load_snapshot(BlockDriverState *bs, const char *param)
{
    Error *err = NULL;
    int ret = has_prefix(param) ? load_by_parts(bs, param, &err) : load_by_word(bs, param, &err);

    if (ret < 0) {
        error_reportf_err(err, "Failed to load snapshot: ");
    }
    return ret == 0;
}
