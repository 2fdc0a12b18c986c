/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who uses a node: exports, whose medium it is, and other nodes, which are above it.
 *
 * One user may write to a node if there is no other one: two views of the same image would not know
 * of each other's changes.
 */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>

#include <blkbackend/block-driver.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

typedef struct Users {
    FILE *out;                     /* their names; NULL: only counted */
    bool writers_only;
    unsigned n, writers;
} Users;

static void add_user(Users *users, const char *kind, const char *name, bool writes)
{
    users->writers += writes;
    if (!writes && users->writers_only) {
        return;
    }
    if (users->out) {
        fprintf(users->out, "%s%s \"%s\"", users->n ? ", " : "", kind, name);
    }
    users->n++;
}

static void find_users_above(BlockDriverState *bs, Users *users)
{
    BlockDriverState *node = NULL, *child;

    while ((node = bdrv_next_node(node))) {
        for (unsigned i = 0; (child = bdrv_child(node, i)); i++) {
            if (child == bs) {
                add_user(users, "node", bdrv_get_node_name(node),
                         bs != bdrv_backing(node) && !bdrv_is_read_only(node));
            }
        }
    }
}

static void find_users(Server *server, BlockDriverState *bs, Users *users)
{
    Export *export;

    TAILQ_FOREACH(export, &server->exports, link) {
        if (blk_bs(export->blk) == bs) {
            add_user(users, "export", export->name,
                     !export->cfg->read_only && !bdrv_is_read_only(bs));
        }
    }
    find_users_above(bs, users);
}

/* Their names; the caller frees them. */
static char *count_users(Server *server, BlockDriverState *bs, bool writers_only, Users *users)
{
    char *text;
    size_t size;

    *users = (Users){ .out = xalloc_check(open_memstream(&text, &size)),
                      .writers_only = writers_only };
    find_users(server, bs, users);
    fclose(users->out);
    return text;
}

static char *list_users(Server *server, BlockDriverState *bs, bool writers_only)
{
    Users users;
    char *text = count_users(server, bs, writers_only, &users);

    if (users.n == 0) {
        free(text);
        text = NULL;
    }
    return text;
}

char *nodes_users(Server *server, BlockDriverState *bs)
{
    return list_users(server, bs, false);
}

char *nodes_writers(Server *server, BlockDriverState *bs)
{
    return list_users(server, bs, true);
}

Export *nodes_find_export(Server *server, BlockDriverState *bs)
{
    Export *export;

    TAILQ_FOREACH(export, &server->exports, link) {
        if (blk_bs(export->blk) == bs && !export->removed) {
            return export_ref(export);
        }
    }
    return NULL;
}

bool nodes_check_jobs(BlockDriverState *bs, Error **errp)
{
    /* Who is merely above a node blocks all operations but this one. */
    if (bdrv_op_is_blocked(bs, BLOCK_OP_TYPE_COMMIT_TARGET, errp)) {
        error_append_hint(errp, "Wait for the job, or cancel it.\n");
        return false;
    }
    return true;
}

bool nodes_has_other_writers(Export *export, Error **errp)
{
    BlockDriverState *bs = blk_bs(export->blk);
    bool own = bs && !export->cfg->read_only && !bdrv_is_read_only(bs);
    Users users = { .n = 0 };
    auto_free char *text = bs ? count_users(export->server, bs, true, &users) : NULL;

    if (users.writers > own) {
        error_setg(errp, "Node '%s' is written to by %s", bdrv_get_node_name(bs), text);
        error_append_hint(errp, "Others than '%s' would go on writing to it.\n", export->id);
        return true;
    }
    return false;
}

bool nodes_may_use(Server *server, BlockDriverState *bs, bool writes, Error **errp)
{
    Users users;
    auto_free char *text = count_users(server, bs, false, &users);

    if (!nodes_check_jobs(bs, errp)) {
        return false;
    }
    if (users.n > 0 && (writes || users.writers > 0)) {
        error_setg(errp, "Node '%s' is in use by %s", bdrv_get_node_name(bs), text);
        error_append_hint(errp, "Only one may use a node that is written to.\n");
        return false;
    }
    return true;
}

/* The exports that serve it all go through it, so each sees what the others write; one that came
 * later has a node of its own on top. */
bool nodes_may_serve(Server *server, BlockDriverState *bs, bool writes, Error **errp)
{
    Users users = { .out = NULL };
    auto_free char *text = NULL;
    Export *export;

    if (!nodes_check_jobs(bs, errp)) {
        return false;
    }
    find_users_above(bs, &users);
    TAILQ_FOREACH(export, &server->exports, link) {
        BlockDriverState *top = blk_bs(export->blk);

        if (export->cfg->node_name && top && top != bs && bdrv_file(top) == bs) {
            users.n--;
            users.writers -= !bdrv_is_read_only(top);
        }
    }
    if (users.n > 0 && (writes || users.writers > 0)) {
        text = nodes_users(server, bs);
        error_setg(errp, "Node '%s' is in use by %s", bdrv_get_node_name(bs), text);
        error_append_hint(errp, "A node that is written to can be served only where it is on "
                          "top.\n");
        return false;
    }
    return true;
}

bool nodes_check_children(Server *server, BlockDriverState *bs, Error **errp)
{
    BlockDriverState *child;

    for (unsigned i = 0; (child = bdrv_child(bs, i)); i++) {
        Users users;
        auto_free char *text = count_users(server, child, false, &users);

        if (!nodes_check_jobs(child, errp)) {
            return false;
        }
        if (users.n > 1 && users.writers > 0) {
            error_setg(errp, "Node '%s' would be in use by %s", bdrv_get_node_name(child), text);
            error_append_hint(errp, "Only one may use a node that is written to.\n");
            return false;
        }
        if (!nodes_check_children(server, child, errp)) {
            return false;
        }
    }
    return true;
}
