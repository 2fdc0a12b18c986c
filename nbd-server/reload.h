/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing what the server serves while it runs. */
#ifndef NBD_EXPORT_RELOAD_H
#define NBD_EXPORT_RELOAD_H

#include "config.h"

/* What it has come to: names of exports, and of settings as "a, b". */
typedef struct ReloadReport {
    NameList added, removed;
    NameList changed;          /* exports, and ... */
    NameList changes;          /* ... what of each, in the same order */
    NameList restart;          /* settings that will hold after a restart */
    char *errors;              /* messages; NULL: there were none */
    bool changed_all;          /* although there were errors: of what was written before */
} ReloadReport;

/* Reads the configuration file again, with the command line of the start, and adds, changes and
 * removes exports; or, if anything is wrong, does nothing (unless changed_all).  Without a file:
 * reads the credentials of TLS again.  Logs it all; fills report.  [main, in a job] */
void reload(Server *server, ReloadReport *report);
void reload_report_clear(ReloadReport *report);

#endif
