/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Backing files: which one a node gets, and what that means for the backing
 * node.
 *
 * The options `backing` (a node's name; "": none) and `backing.*` come before
 * what the image's header says.  A backing file is opened read-only; it may
 * become writable for a commit if the overlay is writable.
 */
#include "graph/graph-int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/image.h>

void bdrv_set_backing_file(BlockDriverState *bs, const char *filename, const char *format)
{
    free(bs->backing_file);
    free(bs->backing_format);
    bs->backing_file = filename && *filename ? bdrv_strdup(filename) : NULL;
    bs->backing_format = format && *format ? bdrv_strdup(format) : NULL;
}

/* As unnamed_option: bs is backed by something else than its header says. */
static const char other_backing[] = "backing";

/* Whether bs is backed by what its header says. */
static void follow_header(BlockDriverState *bs, bool follows)
{
    if (!follows) {
        bs->unnamed_option = other_backing;
    } else if (bs->unnamed_option == other_backing) {
        bs->unnamed_option = NULL;
    }
}

/* ---- attaching ---- */

/* Takes over the reference to backing. */
static void attach(BlockDriverState *bs, BlockDriverState *backing)
{
    bs->backing = backing;
    bs->backing_link.ops = &bdrv_node_parent_ops;
    bs->backing_link.opaque = bs;
    bdrv_add_parent(backing, &bs->backing_link);
    error_setg(&bs->backing_blocker, "node is used as backing hd of '%s'",
               bdrv_get_node_name(bs));
    bdrv_op_block_all(backing, bs->backing_blocker);
    bdrv_op_unblock(backing, BLOCK_OP_TYPE_COMMIT_TARGET, bs->backing_blocker);
}

/* bs does not refer to it any more. */
static void detach(BlockDriverState *bs, BlockDriverState *backing)
{
    bdrv_op_unblock_all(backing, bs->backing_blocker);
    error_free(bs->backing_blocker);
    bs->backing_blocker = NULL;
    bdrv_remove_parent(backing, &bs->backing_link);
    bdrv_unref(backing);
}

void bdrv_detach_backing(BlockDriverState *bs)
{
    BlockDriverState *backing = bs->backing;

    bdrv_set_backing_file(bs, NULL, NULL);
    bs->backing = NULL;
    if (backing) {
        detach(bs, backing);
    }
}

void bdrv_set_backing(BlockDriverState *bs, BlockDriverState *backing)
{
    BlockDriverState *old = bs->backing;

    bdrv_drained_begin(bs);
    if (backing) {
        bdrv_ref(backing);              /* it may be below the old one, and go with it */
    }
    bs->backing = backing;
    /* Those who look at properties do not stop at a gate, but they are counted: who may have seen
     * the old one is gone when the node has been drained once more. */
    bdrv_drained_begin(bs);
    if (old) {
        detach(bs, old);
    }
    if (backing) {
        attach(bs, backing);
        atomic_fetch_and(&bs->open_flags, ~BDRV_O_NO_BACKING);
    }
    follow_header(bs, (backing != NULL) == (bs->backing_file != NULL));
    bdrv_drained_end(bs);
    bdrv_drained_end(bs);
}

/* ---- the name in the header ---- */

/* Characters of "proto:" at the start of name. */
static size_t protocol_prefix(const char *name)
{
    size_t len = strcspn(name, ":/");

    return name[len] == ':' ? len + 1 : 0;
}

/* A relative name starts where the image lies. */
char *bdrv_resolve_backing_filename(const char *image, const char *name)
{
    const char *slash = strrchr(image, '/');
    size_t dir = slash ? (size_t)(slash - image) + 1 : protocol_prefix(image);
    char *full;

    if (name[0] == '/' || protocol_prefix(name)) {
        return bdrv_strdup(name);
    }
    full = bdrv_alloc(dir + strlen(name) + 1);
    memcpy(full, image, dir);
    strcpy(full + dir, name);
    return full;
}

static const char *image_name(BlockDriverState *bs)
{
    const char *name = bdrv_filename(bs);

    return *name || !bs->file ? name : bdrv_filename(bs->file);
}

const char *bdrv_get_backing_filename(BlockDriverState *bs)
{
    return bs->backing_file;
}

const char *bdrv_get_backing_format(BlockDriverState *bs)
{
    return bs->backing_format;
}

char *bdrv_get_full_backing_filename(BlockDriverState *bs)
{
    return bs->backing_file ? bdrv_resolve_backing_filename(image_name(bs), bs->backing_file)
                            : NULL;
}

/* Whether both name the same file, however they do it. */
static bool same_file(const char *a, const char *b)
{
    char *real_a, *real_b;
    bool same;

    if (strcmp(a, b) == 0) {
        return true;
    }
    if (protocol_prefix(a) || protocol_prefix(b)) {
        return false;
    }
    real_a = realpath(a, NULL);
    real_b = realpath(b, NULL);
    same = real_a && real_b && strcmp(real_a, real_b) == 0;
    free(real_a);
    free(real_b);
    return same;
}

BlockDriverState *bdrv_find_backing_image(BlockDriverState *bs, const char *filename)
{
    for (; bs->backing; bs = bs->backing) {
        char *full = bdrv_resolve_backing_filename(image_name(bs), filename);
        bool found = same_file(full, image_name(bs->backing)) ||
                     strcmp(filename, bdrv_filename(bs->backing)) == 0;

        free(full);
        if (found) {
            return bs->backing;
        }
    }
    return NULL;
}

static bool is_json(const char *name)
{
    return strncmp(name, "json:", 5) == 0;
}

static void no_name_for_option(BlockDriverState *bs, Error **errp)
{
    error_setg(errp, "Node '%s' was opened with the option '%s': no file name says so",
               bs->node_name, bs->unnamed_option);
    error_append_hint(errp, "Make an overlay whose header says it (\"json:{...}\" as name of the "
                      "backing file), open it with \"backing\": null, and use that one.\n");
}

/* Whether all that backs bs does so by the headers. */
static bool chain_is_named(BlockDriverState *bs, Error **errp)
{
    for (; bs; bs = bs->backing) {
        if (bs->unnamed_option == other_backing) {
            no_name_for_option(bs, errp);
            return false;
        }
    }
    return true;
}

/* Whether bs shows what its driver shows of the file that its name names: between the two there may
 * be nodes that have the same name and other content. */
static bool shows_named_file(BlockDriverState *bs, Error **errp)
{
    BlockDriverState *file = bs->file;

    if (bs->unnamed_option) {
        no_name_for_option(bs, errp);
        return false;
    }
    for (; file && file->drv->has_file_child; file = file->file) {
        if (file->unnamed_option) {
            no_name_for_option(file, errp);
            return false;
        }
        if (!file->drv->is_filter) {
            error_setg(errp, "Node '%s' shows what node '%s' (%s) makes of '%s': no file name says "
                       "so", bs->node_name, file->node_name, file->drv->format_name,
                       image_name(bs));
            error_append_hint(errp, "Use node '%s' instead.\n", file->node_name);
            return false;
        }
    }
    return true;
}

/* A name of this host's file system would mean another file where the header lies. */
char *bdrv_name_for_header(BlockDriverState *bs, Error **errp)
{
    const char *name = image_name(bs);
    char *full = NULL;

    if (!shows_named_file(bs, errp) || !chain_is_named(bs->backing, errp)) {
        return NULL;
    }
    if (strncmp(name, "file:", 5) == 0) {
        name += 5;
    }
    if (*name && !is_json(name)) {
        full = protocol_prefix(name) ? bdrv_strdup(name) : realpath(name, NULL);
    }
    if (!full) {
        error_setg(errp, "Node '%s' ('%s') has no name that the header of an overlay could hold",
                   bs->node_name, name);
        error_append_hint(errp, "Make the overlay by yourself, and use that one.\n");
    }
    return full;
}

/* Whether the header of above, read where image lies, names this file. */
static bool header_names(BlockDriverState *above, BlockDriverState *image, const char *name)
{
    char *full = above->backing_file
                 ? bdrv_resolve_backing_filename(image_name(image), above->backing_file) : NULL;
    bool same = full && same_file(strncmp(full, "file:", 5) == 0 ? full + 5 : full, name);

    free(full);
    return same;
}

char *bdrv_backing_name_from(BlockDriverState *overlay, BlockDriverState *base, Error **errp)
{
    BlockDriverState *above = overlay;
    char *name;

    while (above->backing && above->backing != base) {
        above = above->backing;
    }
    if (above->backing_file && is_json(above->backing_file) &&
        above->unnamed_option != other_backing) {
        return chain_is_named(base, errp) ? bdrv_strdup(above->backing_file) : NULL;
    }
    name = bdrv_name_for_header(base, errp);
    if (name && header_names(above, overlay, name)) {
        free(name);
        name = bdrv_strdup(above->backing_file);
    }
    return name;
}

/* ---- opening ---- */

static int backing_flags(int flags)
{
    return flags & ~(BDRV_O_RDWR | BDRV_O_COPY_ON_READ | BDRV_O_SNAPSHOT | BDRV_O_TEMPORARY |
                     BDRV_O_PROTOCOL);
}

static bool names_a_file(const QDict *options)
{
    return qdict_haskey(options, "filename") || qdict_haskey(options, "file") ||
           qdict_haskey(options, "file.filename") || qdict_haskey(options, "file.driver");
}

/* By its name in the header, as far as the options (ours to change) name no other file. */
static int open_by_options(BlockDriverState *bs, BlockDriverState **backing, QDict *options,
                           int flags, Error **errp)
{
    char *name = NULL;
    int ret;

    if (bs->backing_file && !names_a_file(options)) {
        name = bdrv_get_full_backing_filename(bs);
        if (bs->backing_format && !qdict_haskey(options, "driver")) {
            qdict_put(options, "driver", qstring_from_str(bs->backing_format));
        }
    }
    ret = bdrv_open(backing, name, NULL, json_incref(options), backing_flags(flags), errp);
    free(name);
    return ret;
}

/* Whether what the options gave is what the header says. */
static bool is_backed_as_named(BlockDriverState *bs, BlockDriverState *backing)
{
    char *name = backing ? bdrv_name_for_header(backing, NULL) : NULL;
    bool same = name && header_names(bs, bs, name) &&
                (!bs->backing_format ||
                 strcmp(bs->backing_format, bdrv_get_format_name(backing)) == 0);

    free(name);
    return backing ? same : !bs->backing_file;
}

static int open_backing(BlockDriverState *bs, const char *reference, QDict *options, int flags,
                        Error **errp)
{
    bool by_options = reference || qdict_size(options) > 0;
    BlockDriverState *backing = NULL;
    int ret = 0;

    if (reference && (*reference || qdict_size(options) > 0)) {
        ret = bdrv_open(&backing, NULL, reference, json_incref(options), 0, errp);
    } else if (!reference && (bs->backing_file || qdict_size(options) > 0)) {
        ret = open_by_options(bs, &backing, options, flags, errp);
    }
    if (ret < 0) {
        error_prepend(errp, "Could not open backing file: ");
        return ret;
    }
    if (backing) {
        attach(bs, backing);
    }
    follow_header(bs, !by_options || is_backed_as_named(bs, backing));
    return 0;
}

int bdrv_open_backing(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    char *reference = NULL;
    QDict *own;
    int ret;

    if (!bs->drv->supports_backing || (flags & BDRV_O_NO_BACKING)) {
        follow_header(bs, !bs->backing_file);
        return 0;
    }
    if (json_is_null(json_object_get(options, "backing"))) {
        qdict_del(options, "backing");     /* whatever the image says: none */
        follow_header(bs, !bs->backing_file);
        return 0;
    }
    own = bdrv_options_extract(options, "backing");
    ret = bdrv_options_take_str(options, "backing", &reference, errp);
    if (ret == 0) {
        ret = open_backing(bs, reference, own, flags, errp);
    }
    QDECREF(own);
    free(reference);
    return ret;
}
