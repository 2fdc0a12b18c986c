/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGHUP and x-reload: reads the settings anew and makes the exports fit them.
 *
 * First everything that can fail: the files are read and the images of new exports opened.  Then
 * the exports change, or, if anything was wrong, nothing does.
 *
 * What was added over the control socket is no business of the files, unless they name it.
 *
 * An image may be locked by an export that is about to go.  Exports that nobody uses are closed
 * for its sake before the image is opened, and opened again if that was in vain.
 */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "common/cleanup.h"
#include "common/xalloc.h"
#include "systemd.h"
#include "tls.h"

/* What becomes of one export. */
typedef struct Step {
    ExportConfig *cfg;         /* what it is to be, by the new Config; a reference */
    ExportConfig *configured;  /* the same to the letter, if that means another image now; so too */
    ExportConfig *was;         /* how it is now, a reference; NULL: there is none */
    Export *old;               /* has the name now, a reference; NULL: none that is open */
    Export *opened;            /* takes its place; NULL: old stays, with other settings */
    bool paused;               /* as one that was closed already */
} Step;

/* An export that was closed already. */
typedef struct Retired {
    ExportConfig *cfg, *configured;    /* references, the latter may be NULL */
    bool paused;
    STAILQ_ENTRY(Retired) link;
} Retired;

typedef struct Plan {
    Server *server;
    Config *config;            /* the new one */
    Step *steps;
    unsigned n;
    STAILQ_HEAD(, Retired) retired;
    TlsCreds *tls;             /* new sessions get these */
    ConfigErrors errors;
    ReloadReport *report;
    bool limits_changed;
} Plan;

/* ---- before anything changes ---- */

static bool stays(const Step *step)
{
    return step->old && export_can_take(step->old, step->cfg);
}

static bool is_open(const Step *step)
{
    return step->opened || stays(step);
}

static void look_up(Plan *plan)
{
    ExportConfig *cfg;
    unsigned n = 0;

    STAILQ_FOREACH(cfg, &plan->config->exports, link) {
        n++;
    }
    plan->steps = xcalloc(n, sizeof(plan->steps[0]));
    STAILQ_FOREACH(cfg, &plan->config->exports, link) {
        Step *step = &plan->steps[plan->n++];

        step->old = exports_find_any(plan->server, cfg->name);
        step->cfg = step->old ? chain_follow(step->old, cfg) : export_config_ref(cfg);
        step->configured = step->cfg != cfg ? export_config_ref(cfg) : NULL;
        step->was = step->old && !step->old->removed ? export_settings(step->old) : NULL;
    }
}

/* Takes over export.  paused: it replaces one that was. */
static void add_export(Plan *plan, Export *export, bool paused)
{
    exports_add(plan->server, export);
    if (paused) {
        export_gate(export, GATE_PAUSED);
    }
}

/* configured: NULL, or as Export has it. */
static Export *open_export(ExportConfig *cfg, ExportConfig *configured, Error **errp)
{
    Export *export = export_new(cfg, errp);

    if (export && configured) {
        export->configured = export_config_ref(configured);
    }
    return export;
}

static Export *open_step(Step *step, Error **errp)
{
    Export *export;

    if (step->old && step->configured && !chain_can_open_anew(step->old, errp)) {
        return NULL;
    }
    export = open_export(step->cfg, step->configured, errp);
    if (!export && step->old) {
        error_append_hint(errp, "Clients still use the export as it was. If that keeps the "
                          "image: take the export out of the file, reload, and put it back "
                          "when they have left.\n");
    }
    return export;
}

/* False if an image that is needed cannot be opened. */
static bool open_images(Plan *plan, ConfigErrors *errors)
{
    bool ok = true;

    for (unsigned i = 0; i < plan->n; i++) {
        Step *step = &plan->steps[i];
        Error *err = NULL;

        if (is_open(step)) {
            continue;
        }
        step->opened = open_step(step, &err);
        ok &= step->opened != NULL;
        if (err && errors) {
            config_errors_add(errors, err);
        } else {
            error_free(err);
        }
    }
    return ok;
}

/* ---- closing what stands in the way ---- */

static Step *find_step(const Plan *plan, const char *name)
{
    for (unsigned i = 0; i < plan->n; i++) {
        if (strcmp(plan->steps[i].cfg->name, name) == 0) {
            return &plan->steps[i];
        }
    }
    return NULL;
}

/* Closes an export if nobody uses it; gives back the caller's reference. */
static void retire(Plan *plan, Export *export)
{
    Step *step = find_step(plan, export->name);
    unsigned ours = 2 + (step && step->old == export);    /* the server's list, the caller's */
    Retired *retired;

    if ((step && is_open(step)) || export->refs > ours || export->cfg->dynamic ||
        export->unnamed) {
        export_unref(export);
        return;
    }
    retired = xcalloc(1, sizeof(*retired));
    retired->cfg = export_settings(export);
    retired->configured = export->configured ? export_config_ref(export->configured) : NULL;
    retired->paused = export->gate & GATE_PAUSED;
    STAILQ_INSERT_TAIL(&plan->retired, retired, link);
    if (step) {
        step->paused |= retired->paused;
    }
    if (step && step->old == export) {
        export_unref(take_ptr(step->old));
    }
    exports_remove(export, REMOVE_HIDE);
    export_unref(export);
}

static void retire_unused(Plan *plan)
{
    Export **all = exports_snapshot(plan->server);

    for (Export **next = all; next && *next; next++) {
        retire(plan, *next);
    }
    free(all);
    exports_close_unused(plan->server);
}

static void bring_back(Plan *plan)
{
    Retired *retired;

    STAILQ_FOREACH(retired, &plan->retired, link) {
        Export *export = exports_find_any(plan->server, retired->cfg->name);
        Error *err = NULL;

        if (export) {        /* somebody entered just before it went */
            exports_revive(export);
            export_unref(export);
        } else if ((export = open_export(retired->cfg, retired->configured, &err))) {
            add_export(plan, export, retired->paused);
        } else {
            config_errors_add(&plan->errors, err);
        }
    }
}

/* All that can fail, and is undone if it does. */
static bool prepare(Plan *plan)
{
    Error *err = NULL;
    bool ok;

    look_up(plan);
    ok = open_images(plan, NULL);
    if (!ok) {
        retire_unused(plan);
        ok = open_images(plan, &plan->errors);
    }
    if (ok && !tls_load(plan->config, &plan->tls, &err)) {
        config_errors_add(&plan->errors, err);
        ok = false;
    }
    for (unsigned i = 0; i < plan->n && !ok; i++) {
        export_free(take_ptr(plan->steps[i].opened));
    }
    if (!ok) {
        bring_back(plan);
    }
    return ok;
}

static void drop_plan(Plan *plan)
{
    Retired *retired;

    for (unsigned i = 0; i < plan->n; i++) {
        export_config_unref(plan->steps[i].cfg);
        export_config_unref(plan->steps[i].configured);
        export_config_unref(plan->steps[i].was);
        export_unref(plan->steps[i].old);
    }
    free(plan->steps);
    tls_creds_unref(plan->tls);
    while ((retired = STAILQ_FIRST(&plan->retired))) {
        STAILQ_REMOVE_HEAD(&plan->retired, link);
        export_config_unref(retired->cfg);
        export_config_unref(retired->configured);
        free(retired);
    }
}

/* ---- changing ---- */

static void log_change(Plan *plan, const Export *export, const char *when, const char *changes)
{
    log_msg(LOG_LEVEL_NOTICE, export, NULL, "changed%s: %s", when, changes);
    name_list_add(&plan->report->changed, export->name);
    name_list_add(&plan->report->changes, changes);
}

static void log_added(Plan *plan, const Export *export)
{
    log_msg(LOG_LEVEL_NOTICE, export, NULL, "added");
    name_list_add(&plan->report->added, export->name);
}

static void replace(Plan *plan, Step *step)
{
    if (step->was) {
        auto_free char *changes = config_export_changes(step->was, step->cfg,
                                                        CHANGES_LIVE | CHANGES_REOPEN);

        log_change(plan, step->opened, ", for new clients", changes ? changes : "nothing");
    } else {
        log_added(plan, step->opened);
    }
    if (step->old && !step->old->removed) {
        exports_remove(step->old, REMOVE_HIDE);
    }
}

static void change(Plan *plan, Export *export, ExportConfig *cfg)
{
    auto_free char *changes = config_export_changes(export->cfg, cfg, CHANGES_LIVE);

    if (changes) {
        Error *err = NULL;

        if (!export_apply(export, cfg, &err)) {
            config_errors_add(&plan->errors, err);
        }
        plan->limits_changed |= strstr(changes, "throttle.") != NULL;
        log_change(plan, export, "", changes);
    }
}

static void take_step(Plan *plan, Step *step)
{
    if (step->opened) {
        replace(plan, step);
        add_export(plan, take_ptr(step->opened), step->paused);
        return;
    }
    if (step->old->removed) {
        exports_revive(step->old);
        log_added(plan, step->old);
    }
    change(plan, step->old, step->cfg);
}

/* An export that has lost its limits has taken them from its group, whose others may have some. */
static void renew_group_limits(Plan *plan)
{
    for (unsigned i = 0; i < plan->n && plan->limits_changed; i++) {
        Step *step = &plan->steps[i];

        if (step->old && !step->old->removed && step->cfg->throttle_group &&
            throttle_enabled(&step->cfg->limits)) {
            export_apply(step->old, step->cfg, &error_abort);
        }
    }
}

static void log_removed(Plan *plan, const char *name)
{
    name_list_add(&plan->report->removed, name);
    log_msg(LOG_LEVEL_NOTICE, NULL, NULL, "export \"%s\": removed", name);
}

static void remove_others(Plan *plan)
{
    Export **all = exports_snapshot(plan->server);
    Retired *retired;

    for (Export **next = all; next && *next; next++) {
        if (!find_step(plan, (*next)->name) && !(*next)->cfg->dynamic) {
            log_removed(plan, (*next)->name);
            exports_remove(*next, plan->config->removed_clients == REMOVED_DISCONNECT
                                  ? REMOVE_SOFT : REMOVE_HIDE);
        }
    }
    exports_snapshot_free(all);
    STAILQ_FOREACH(retired, &plan->retired, link) {
        if (!find_step(plan, retired->cfg->name)) {
            log_removed(plan, retired->cfg->name);
        }
    }
}

/* What the server goes on without. */
static void warn_of_restart(Plan *plan)
{
    const Config *from = plan->server->config, *to = plan->config;
    auto_free char *server = config_server_changes(from, to);
    auto_free char *defaults = config_export_changes(&from->defaults, &to->defaults,
                                                     CHANGES_LIVE | CHANGES_REOPEN);

    if (server) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "changed, and will hold after a restart: %s",
                server);
        name_list_add(&plan->report->restart, server);
    }
    if (from->export_dir && defaults) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "changed, and will hold for --export-dir after a "
                "restart: %s", defaults);
        name_list_add(&plan->report->restart, defaults);
    }
}

static void carry_out(Plan *plan)
{
    tls_adopt(plan->server, take_ptr(plan->tls));
    remove_others(plan);
    for (unsigned i = 0; i < plan->n; i++) {
        take_step(plan, &plan->steps[i]);
    }
    renew_group_limits(plan);
    exports_set_default(plan->server, plan->config->default_export);
    warn_of_restart(plan);
    log_msg(LOG_LEVEL_NOTICE, NULL, NULL, "reloaded \"%s\"", plan->config->file);
}

static void reload_exports(Server *server, ReloadReport *report)
{
    Plan plan = { .server = server, .errors = CONFIG_ERRORS_INIT(plan.errors), .report = report };

    STAILQ_INIT(&plan.retired);
    plan.config = config_parse(server->argc, server->argv, true, &plan.errors);
    if (plan.config && prepare(&plan)) {
        carry_out(&plan);
        report->changed_all = true;
    }
    if (plan.errors.n > 0) {
        report->errors = config_errors_text(&plan.errors);
        config_errors_log(&plan.errors);
    }
    if (report->errors && !report->changed_all) {
        log_msg(LOG_LEVEL_ERROR, NULL, NULL, "reloading \"%s\" failed: nothing is changed",
                server->config->file);
    }
    drop_plan(&plan);
    config_free(plan.config);
}

/* Certificates may be new ones where there is no file of settings. */
static void reload_tls(Server *server, ReloadReport *report)
{
    Error *err = NULL;

    if (server->config->tls == TLS_OFF) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "SIGHUP: without --config there is nothing to "
                "reload");
    } else if (tls_reload(server, &err)) {
        log_msg(LOG_LEVEL_NOTICE, NULL, NULL, "reloaded the credentials of TLS");
    } else {
        report->errors = xstrdup(error_get_pretty(err));
        log_error_free(err);
        log_msg(LOG_LEVEL_ERROR, NULL, NULL, "reloading the credentials of TLS failed: the old "
                "ones stay");
    }
}

void reload(Server *server, ReloadReport *report)
{
    systemd_notify_reloading();
    if (server->config->file) {
        reload_exports(server, report);
    } else {
        reload_tls(server, report);
    }
    systemd_notify_ready();
}

void reload_report_clear(ReloadReport *report)
{
    name_list_clear(&report->added);
    name_list_clear(&report->removed);
    name_list_clear(&report->changed);
    name_list_clear(&report->changes);
    name_list_clear(&report->restart);
    free(report->errors);
    *report = (ReloadReport){ .errors = NULL };
}
