/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The settings of an export as JSON: each key of --export with its value, a limit as
 * "throttle.KEY" or "throttle-client.KEY".
 */
#ifndef NBD_EXPORT_QMP_SETTINGS_H
#define NBD_EXPORT_QMP_SETTINGS_H

#include <jansson.h>

#include "nbd-server/config.h"

/* Of an export that is to be added: the server's, without those of its one IMAGE. */
ExportConfig *settings_new(const Config *config);
/*
 * Sets one: a string as on the command line, or a boolean or number; a list of them for a key that
 * may be repeated, instead of what it was; an object of limits for "throttle" and the like; null:
 * what holds for an export that does not say.
 */
bool settings_set(const Config *config, ExportConfig *cfg, const char *name, const json_t *value,
                  Error **errp);
/* Those that a running export can take over, as they are. */
json_t *settings_live(const ExportConfig *cfg);

#endif
