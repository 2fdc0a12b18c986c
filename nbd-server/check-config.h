/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --check-config. */
#ifndef NBD_EXPORT_CHECK_CONFIG_H
#define NBD_EXPORT_CHECK_CONFIG_H

#include "config.h"

/* Tries what the settings name, and prints what is wrong with it, and what was wrong before; the
 * exit status.  Changes config so that nothing can be written. */
int check_config(Config *config, ConfigErrors *errors);

#endif
