/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --check-config: whether the server would start, found out without touching anything.
 *
 * Images are opened to read, next to whoever has them open for writing: a running server does
 * not notice.
 */
#include "check-config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "export-dir.h"
#include "tls.h"

/* What the server would do with the image and we do not. */
static void check_writable(const ExportConfig *cfg, Error **errp)
{
    if (!cfg->image_opts && !cfg->read_only && access(cfg->image, W_OK) < 0 && errno != ENOENT) {
        error_setg_errno(errp, errno, "Export '%s': image '%s': cannot be written", cfg->name,
                         cfg->image);
        error_append_hint(errp, "Export it with --read-only.\n");
    }
}

static void check_export(ExportConfig *cfg, ConfigErrors *errors)
{
    Error *err = NULL;
    Export *export;

    check_writable(cfg, &err);
    if (!err) {
        cfg->read_only = true;
        cfg->open_flags &= ~BDRV_O_RDWR;
        cfg->open_flags |= BDRV_O_FORCE_SHARE;
        export = export_new(cfg, &err);
        export_free(export);
    }
    if (err) {
        config_errors_add(errors, err);
    }
}

/* Certificates and keys, and the folder of images. */
static void check_server(const Config *config, ConfigErrors *errors)
{
    Server server = { .config = config };
    TlsCreds *creds;
    Error *err = NULL;

    if (tls_load(config, &creds, &err)) {
        tls_creds_unref(creds);
    } else {
        config_errors_add(errors, err);
        err = NULL;
    }
    if (export_dir_open(&server, &err)) {
        export_dir_close(&server);
    } else {
        config_errors_add(errors, err);
    }
}

int check_config(Config *config, ConfigErrors *errors)
{
    ExportConfig *cfg;
    Error *err = NULL;
    unsigned n = 0;

    if (qemu_init_main_loop(&err) < 0) {
        config_errors_add(errors, err);
    } else {
        check_server(config, errors);
        STAILQ_FOREACH(cfg, &config->exports, link) {
            check_export(cfg, errors);
            n++;
        }
    }
    if (errors->n > 0) {
        config_errors_log(errors);
        return EXIT_FAILURE;
    }
    printf("%s: no errors found; exports: %u\n", config->file ? config->file : "command line", n);
    return EXIT_SUCCESS;
}
