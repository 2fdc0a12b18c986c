/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Settings of the server that must go together.
 */
#include "config.h"

#include "common/xalloc.h"

/* ---- TLS ---- */

static bool has_credentials(const Config *config)
{
    return config->tls_certs || config->tls_cert_file || config->tls_key_file || config->tls_psk;
}

/* A rule that can name nobody is a mistake. */
static bool check_rules(const Config *config, const ExportConfig *export, Error **errp)
{
    bool tls = config->tls != TLS_OFF;
    const char *kind = access_rules_unmet(&export->access, tls && config->tls_verify_peer,
                                          tls && config->tls_psk);

    if (kind) {
        error_setg(errp, "export \"%s\" has a rule %s:NAME, and clients show nothing of that kind",
                   export->name, kind);
        error_append_hint(errp, "For certificates give --tls-certs DIR and --tls-verify-peer, for "
                          "keys --tls-psk FILE.\n");
    }
    return !kind;
}

bool config_check_tls(const Config *config, const ExportConfig *export, Error **errp)
{
    if (!check_rules(config, export, errp)) {
        return false;
    }
    if (export->tls == TLS_REQUIRE && config->tls == TLS_OFF) {
        error_setg(errp, "export \"%s\" is for clients with TLS, and there is no TLS",
                   export->name);
        error_append_hint(errp, "Give --tls=on and --tls-certs DIR or --tls-psk FILE.\n");
        return false;
    }
    return true;
}

/* Who gives certificates or keys and says no more wants nobody to do without. */
bool config_resolve_tls(Config *config, Error **errp)
{
    const ExportConfig *export;

    if (config->tls == TLS_UNSAID) {
        config->tls = !has_credentials(config) ? TLS_OFF
                      : config->tls_is_optional ? TLS_ON : TLS_REQUIRE;
    }
    if (config->tls_is_optional && !config->tls_cert_file) {
        config->tls_cert_file = xstrdup(config->tls_key_file);
    }
    if (config->tls != TLS_OFF && !has_credentials(config)) {
        error_setg(errp, "TLS needs certificates or keys");
        error_append_hint(errp, "Give --tls-certs DIR or --tls-psk FILE; for a test, "
                          "'nbd-export --make-certs DIR' makes certificates.\n");
        return false;
    }
    if (config->tls_verify_peer && config->tls != TLS_OFF && !config->tls_certs &&
        !config->tls_ca_file) {
        error_setg(errp, "--tls-verify-peer needs the certificate of an authority");
        error_append_hint(errp, "Give --tls-certs DIR with a ca-cert.pem, or --tls-ca-file.\n");
        return false;
    }
    STAILQ_FOREACH(export, &config->exports, link) {
        if (!config_check_tls(config, export, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- the process ---- */

/* Ways to start that exclude each other. */
bool config_check_process(const Config *config, Error **errp)
{
    const char *way = config->inetd ? "--inetd" : config->run ? "--run" : NULL;

    if (config->inetd && (config->run || !STAILQ_EMPTY(&config->addresses))) {
        error_setg(errp, "--inetd serves one client and listens nowhere: it goes without %s",
                   config->run ? "--run" : "--socket, --bind and --port");
        return false;
    }
    if (config->inetd && config->qmp) {
        error_setg(errp, "--inetd serves one client and listens nowhere: it goes without --qmp");
        return false;
    }
    if (config->qmp_allow.n && !config->qmp) {
        error_setg(errp, "--qmp-allow says who may use the control socket: it goes with --qmp");
        return false;
    }
    if (config->run && (config->user || config->group)) {
        error_setg(errp, "--run goes without --user and --group");
        error_append_hint(errp, "Start nbd-export as the user who is to run the command.\n");
        return false;
    }
    if (way && config->fork) {
        error_setg(errp, "%s and --fork do not go together", way);
        return false;
    }
    return true;
}
