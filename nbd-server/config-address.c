/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where to listen: from --socket, --bind and --port to addresses.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/nbd-protocol.h"
#include "common/xalloc.h"

static void add_address(Config *config, const ListenAddress *from, unsigned port)
{
    ListenAddress *address = xcalloc(1, sizeof(*address));

    address->path = xstrdup(from->path);
    address->host = xstrdup(from->host);
    address->port = port;
    STAILQ_INSERT_TAIL(&config->addresses, address, link);
}

/* A --bind without a port goes with every --port; each has its default. */
void config_resolve_addresses(Config *config)
{
    static const ListenAddress everywhere;
    ListenAddress *bind, *port, *socket;

    STAILQ_FOREACH(socket, &config->sockets, link) {
        add_address(config, socket, 0);
    }
    if (config->unix_only && !config->dual_listen) {
        return;
    }
    STAILQ_FOREACH(bind, &config->binds, link) {
        if (bind->has_port) {
            add_address(config, bind, bind->port);
            continue;
        }
        STAILQ_FOREACH(port, &config->ports, link) {
            add_address(config, bind, port->port);
        }
        if (STAILQ_EMPTY(&config->ports)) {
            add_address(config, bind, NBD_DEFAULT_PORT);
        }
    }
    if (!STAILQ_EMPTY(&config->binds)) {
        return;
    }
    STAILQ_FOREACH(port, &config->ports, link) {
        add_address(config, &everywhere, port->port);
    }
}

void config_free_address(ListenAddress *address)
{
    if (address) {
        free(address->path);
        free(address->host);
        free(address);
    }
}

static void free_list(ListenAddressList *list)
{
    ListenAddress *address;

    while ((address = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, link);
        config_free_address(address);
    }
}

void config_free_addresses(Config *config)
{
    free_list(&config->addresses);
    free_list(&config->sockets);
    free_list(&config->binds);
    free_list(&config->ports);
}

void config_override_addresses(Config *config, const Config *command_line)
{
    if (!STAILQ_EMPTY(&command_line->sockets) || !STAILQ_EMPTY(&command_line->binds) ||
        !STAILQ_EMPTY(&command_line->ports)) {
        config_free_addresses(config);
        config->unix_only = false;
    }
}
