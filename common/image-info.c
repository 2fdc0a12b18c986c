/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be told of an image.
 */
#include "image-info.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/image.h>

#include "cleanup.h"

const char *image_filename(BlockDriverState *bs)
{
    static const char *const prefixes[] = { "file:", "host_device:" };
    const char *name = bdrv_filename(bs);

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return name + strlen(prefixes[i]);
        }
    }
    return name;
}

QDict *image_snapshot_info(const QEMUSnapshotInfo *sn)
{
    QDict *dict = qdict_new();

    qdict_put(dict, "id", qstring_from_str(sn->id_str));
    qdict_put(dict, "name", qstring_from_str(sn->name));
    qdict_put(dict, "vm-state-size", qint_from_int((int64_t)sn->vm_state_size));
    qdict_put(dict, "date-sec", qint_from_int(sn->date_sec));
    qdict_put(dict, "date-nsec", qint_from_int(sn->date_nsec));
    qdict_put(dict, "vm-clock-sec", qint_from_int((int64_t)(sn->vm_clock_nsec / 1000000000)));
    qdict_put(dict, "vm-clock-nsec", qint_from_int((int64_t)(sn->vm_clock_nsec % 1000000000)));
    if (sn->icount != UINT64_MAX) {
        qdict_put(dict, "icount", qint_from_int((int64_t)sn->icount));
    }
    return dict;
}

/* A format without snapshots has none. */
static int add_snapshots(QDict *info, BlockDriverState *bs, Error **errp)
{
    QEMUSnapshotInfo *list;
    int n = bdrv_snapshot_list(bs, &list);
    json_t *array;

    if (n == -ENOTSUP || n == -ENOMEDIUM) {
        return 0;
    }
    if (n < 0) {
        error_setg_errno(errp, -n, "Can't list snapshots of device ''");
        return n;
    }
    if (n > 0) {
        array = json_array();
        for (int i = 0; i < n; i++) {
            json_array_append_new(array, image_snapshot_info(&list[i]));
        }
        qdict_put(info, "snapshots", array);
    }
    free(list);
    return 0;
}

static void add_backing_file(QDict *info, BlockDriverState *bs)
{
    const char *name = bdrv_get_backing_filename(bs), *format = bdrv_get_backing_format(bs);
    auto_free char *full = NULL;

    if (!name) {
        return;
    }
    full = bdrv_get_full_backing_filename(bs);
    qdict_put(info, "backing-filename", qstring_from_str(name));
    qdict_put(info, "full-backing-filename", qstring_from_str(full));
    qdict_put(info, "backing-filename-format", qstring_from_str(format));
}

static int add_details(QDict *info, BlockDriverState *bs, Error **errp)
{
    int64_t allocated = bdrv_get_allocated_file_size(bs);
    BlockDriverInfo bdi;
    Error *err = NULL;
    QDict *specific;

    if (allocated >= 0) {
        qdict_put(info, "actual-size", qint_from_int(allocated));
    }
    if (bdrv_get_info(bs, &bdi) >= 0) {
        if (bdi.cluster_size) {
            qdict_put(info, "cluster-size", qint_from_int(bdi.cluster_size));
        }
        qdict_put(info, "dirty-flag", qbool_from_bool(bdi.is_dirty));
    }
    specific = bdrv_get_specific_info(bs, &err);
    if (err) {
        error_propagate(errp, err);
        return -EINVAL;
    }
    qdict_put(info, "format-specific", specific);
    add_backing_file(info, bs);
    return add_snapshots(info, bs, errp);
}

QDict *image_info(BlockDriverState *bs, Error **errp)
{
    int64_t size = bdrv_getlength(bs);
    QDict *info;

    if (size < 0) {
        error_setg_errno(errp, (int)-size, "Can't get image size '%s'", bdrv_filename(bs));
        return NULL;
    }
    info = qdict_new();
    qdict_put(info, "filename", qstring_from_str(image_filename(bs)));
    qdict_put(info, "format", qstring_from_str(bdrv_get_format_name(bs)));
    qdict_put(info, "virtual-size", qint_from_int(size));
    if (add_details(info, bs, errp) < 0) {
        QDECREF(info);
        return NULL;
    }
    return info;
}
