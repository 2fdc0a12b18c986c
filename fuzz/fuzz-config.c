/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: any bytes as a configuration file, and each export that comes of it compared with
 * the next, as a reload would do.  Nothing is opened.
 */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "nbd-server/config.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static void compare_exports(const Config *config)
{
    const ExportConfig *a, *b;

    STAILQ_FOREACH(a, &config->exports, link) {
        b = STAILQ_NEXT(a, link);
        if (b) {
            free(config_export_changes(a, b, CHANGES_LIVE | CHANGES_REOPEN));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ConfigErrors errors = CONFIG_ERRORS_INIT(errors);
    Config *config = config_new(false), *other = config_new(false);
    Error *err = NULL;

    config_text_parse("file", (const char *)data, size, &config->sections, &errors);
    config_set_generic(config, &errors);
    config_check_names(config, &errors);
    config_add_sections(config, &errors);
    config_resolve_addresses(config);
    config_resolve_tls(config, &err);
    error_free(err);
    compare_exports(config);
    free(config_server_changes(other, config));
    config_errors_forget(&errors);
    config_free(config);
    config_free(other);
    return 0;
}
