/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes of the control socket's.
 *
 * A node that was added has one reference from the list here; exports and other nodes that use it
 * have theirs.
 */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-driver.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

typedef struct OwnNode {
    BlockDriverState *bs;          /* a reference */
    json_t *options;               /* as it was added */
    TAILQ_ENTRY(OwnNode) link;
} OwnNode;

static OwnNode *find_own(Server *server, const char *name)
{
    OwnNode *own;

    TAILQ_FOREACH(own, &server->nodes, link) {
        if (strcmp(bdrv_get_node_name(own->bs), name) == 0) {
            break;
        }
    }
    return own;
}

static BlockDriverState *find_node(const char *name, Error **errp)
{
    BlockDriverState *bs = name ? bdrv_find_node(name) : NULL;

    if (!name) {
        error_setg(errp, "Parameter 'node-name' is missing");
    } else if (!bs) {
        error_setg(errp, "Failed to find node with node-name='%s'", name);
        error_append_hint(errp, "query-named-block-nodes lists them.\n");
    }
    return bs;
}

/* ---- adding and removing ---- */

bool nodes_add(Server *server, const json_t *options, Error **errp)
{
    const char *name = qdict_get_try_str(options, "node-name");
    BlockDriverState *bs = NULL;
    OwnNode *own;

    if (!name || !qdict_get_try_str(options, "driver")) {
        error_setg(errp, "Parameter '%s' is missing", name ? "driver" : "node-name");
        return false;
    }
    if (bdrv_open(&bs, NULL, NULL, json_deep_copy(options),
                  BDRV_O_RDWR | BDRV_O_ALLOW_RDWR | BDRV_O_CACHE_WB, errp) < 0) {
        return false;
    }
    if (!nodes_check_children(server, bs, errp)) {
        bdrv_unref(bs);
        return false;
    }
    own = xcalloc(1, sizeof(*own));
    own->bs = bs;
    own->options = json_deep_copy(options);
    TAILQ_INSERT_TAIL(&server->nodes, own, link);
    return true;
}

static void drop(Server *server, OwnNode *own)
{
    TAILQ_REMOVE(&server->nodes, own, link);
    bdrv_unref(own->bs);
    json_decref(own->options);
    free(own);
}

bool nodes_remove(Server *server, const char *name, Error **errp)
{
    BlockDriverState *bs = find_node(name, errp);
    OwnNode *own = bs ? find_own(server, name) : NULL;
    auto_free char *users = own ? nodes_users(server, bs) : NULL;

    if (bs && !own) {
        error_setg(errp, "Node '%s' was not added by blockdev-add", name);
        error_append_hint(errp, "It goes with the export or the node that has opened it.\n");
    }
    if (users) {
        error_setg(errp, "Node '%s' is in use by %s", name, users);
    }
    if (!own || users || bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_DRIVE_DEL, errp)) {
        return false;
    }
    drop(server, own);
    return true;
}

bool nodes_resize(Server *server, BlockDriverState *bs, int64_t size, Error **errp)
{
    auto_free char *users = nodes_users(server, bs);
    int ret;

    if (users) {
        error_setg(errp, "Node '%s' is in use by %s", bdrv_get_node_name(bs), users);
        error_append_hint(errp, "Resize the node that is on top.\n");
        return false;
    }
    if (bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_RESIZE, errp)) {
        return false;
    }
    bdrv_drained_begin(bs);
    ret = bdrv_truncate(bs, size, PREALLOC_MODE_OFF, errp);
    bdrv_drained_end(bs);
    return ret == 0;
}

void nodes_close(Server *server)
{
    OwnNode *own;

    /* Who was added later may use those before. */
    while ((own = TAILQ_LAST(&server->nodes, OwnNodeList))) {
        drop(server, own);
    }
}

/* ---- changing ---- */

/* One of the nodes of a blockdev-reopen. */
typedef struct Change {
    BlockDriverState *bs;
    const json_t *options;
    int old_flags, new_flags;
} Change;

static bool take_bool(const json_t *options, const char *key, bool *value, Error **errp)
{
    const json_t *given = json_object_get(options, key);

    if (given && !json_is_boolean(given)) {
        error_setg(errp, "Parameter '%s' should be true or false", key);
        return false;
    }
    *value = json_is_true(given);
    return true;
}

static bool take_cache(const json_t *cache, int *flags, Error **errp)
{
    bool direct = false, no_flush = false;
    const char *key;
    json_t *value;

    if (!json_is_object(cache)) {
        error_setg(errp, "Parameter 'cache' should be an object");
        return false;
    }
    json_object_foreach((json_t *)cache, key, value) {
        if (strcmp(key, "direct") != 0 && strcmp(key, "no-flush") != 0) {
            error_setg(errp, "Parameter 'cache.%s' is unexpected", key);
            if (strcmp(key, "writeback") == 0) {
                error_append_hint(errp, "x-set-write-cache switches the write cache of an "
                                  "export.\n");
            }
            return false;
        }
    }
    if (!take_bool(cache, "direct", &direct, errp) ||
        !take_bool(cache, "no-flush", &no_flush, errp)) {
        return false;
    }
    *flags |= (direct ? BDRV_O_NOCACHE : 0) | (no_flush ? BDRV_O_NO_FLUSH : 0);
    return true;
}

/* What is not given gets its default, as in a new node. */
static bool set_flags(Change *change, Error **errp)
{
    const json_t *cache = json_object_get(change->options, "cache");
    int flags = change->old_flags & ~(BDRV_O_RDWR | BDRV_O_NOCACHE | BDRV_O_NO_FLUSH);
    bool read_only;

    if (!take_bool(change->options, "read-only", &read_only, errp) ||
        (cache && !take_cache(cache, &flags, errp))) {
        return false;
    }
    change->new_flags = flags | (read_only ? 0 : BDRV_O_RDWR);
    return true;
}

static bool is_live(const char *key)
{
    static const char *const live[] = { "node-name", "read-only", "cache" };

    for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
        if (strcmp(key, live[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the option says what is so anyway. */
static bool is_as_before(BlockDriverState *bs, const json_t *before, const char *key,
                         const json_t *value)
{
    BlockDriverState *child = strcmp(key, "file") == 0 ? bdrv_file(bs)
                              : strcmp(key, "backing") == 0 ? bdrv_backing(bs) : NULL;
    const char *text = json_string_value(value);

    if (text && ((child && strcmp(text, bdrv_get_node_name(child)) == 0) ||
                 (strcmp(key, "driver") == 0 && strcmp(text, bdrv_get_format_name(bs)) == 0))) {
        return true;
    }
    return before && json_equal(json_object_get(before, key), value);
}

/* What to do instead. */
static const char *other_way(const char *key)
{
    static const struct {
        const char *key, *way;
    } ways[] = {
        { "backing", "blockdev-snapshot puts a node on top of an image, block-commit takes some "
                     "out of the chain" },
        { "size", "block_resize changes the size of an image" },
    };

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (strcmp(key, ways[i].key) == 0) {
            return ways[i].way;
        }
    }
    return "Add a node that has it (blockdev-add) and put it into the export (eject, "
           "blockdev-insert-medium, blockdev-close-tray)";
}

static bool check_options(Server *server, const Change *change, Error **errp)
{
    const char *name = bdrv_get_node_name(change->bs), *key;
    OwnNode *own = find_own(server, name);
    json_t *value;

    json_object_foreach((json_t *)change->options, key, value) {
        if (!is_live(key) && !is_as_before(change->bs, own ? own->options : NULL, key, value)) {
            error_setg(errp, "Option '%s' of node '%s' cannot be changed, only read-only and "
                       "cache can", key, name);
            error_append_hint(errp, "%s.\n", other_way(key));
            return false;
        }
    }
    return true;
}

/* The node must suit those who use it. */
static bool check_users(Server *server, const Change *change, Error **errp)
{
    auto_free char *writers = nodes_writers(server, change->bs);

    if (!nodes_check_jobs(change->bs, errp)) {
        return false;
    }
    if (writers && !(change->new_flags & BDRV_O_RDWR)) {
        error_setg(errp, "Node '%s' cannot become read-only: it is written to by %s",
                   bdrv_get_node_name(change->bs), writers);
        return false;
    }
    return true;
}

static bool plan_change(Server *server, Change *change, const json_t *options, Error **errp)
{
    change->options = options;
    change->bs = find_node(qdict_get_try_str(options, "node-name"), errp);
    if (!change->bs) {
        return false;
    }
    change->old_flags = bdrv_get_flags(change->bs);
    return check_options(server, change, errp) && set_flags(change, errp) &&
           check_users(server, change, errp);
}

static void tell_exports(Server *server, BlockDriverState *bs)
{
    Export *export;

    TAILQ_FOREACH(export, &server->exports, link) {
        if (blk_bs(export->blk) == bs) {
            export_medium_changed(export);
        }
    }
}

bool nodes_reopen(Server *server, const json_t *list, Error **errp)
{
    size_t n = json_array_size(list), done = 0;
    auto_free Change *changes = xcalloc(n + 1, sizeof(*changes));
    bool ok = true;

    for (size_t i = 0; i < n && ok; i++) {
        ok = plan_change(server, &changes[i], json_array_get(list, i), errp);
    }
    while (ok && done < n) {
        ok = bdrv_reopen(changes[done].bs, changes[done].new_flags, errp) == 0;
        done += ok;
    }
    for (size_t i = 0; i < done; i++) {
        if (ok) {
            tell_exports(server, changes[i].bs);
        } else {
            bdrv_reopen(changes[i].bs, changes[i].old_flags, NULL);
        }
    }
    return ok;
}
