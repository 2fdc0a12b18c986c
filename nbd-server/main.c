/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd-export: from start to orderly end.
 *
 *   settings - background - images - I/O threads - listening - [main loop]
 *   - nothing new - requests in flight answered - flushed - closed
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "block-jobs.h"
#include "budget.h"
#include "check-config.h"
#include "common/cleanup.h"
#include "daemon.h"
#include "export-dir.h"
#include "metrics.h"
#include "nbd-server/qmp/qmp.h"
#include "nodes.h"
#include "reload.h"
#include "systemd.h"
#include "tls.h"

/* A client that is cut off at the drain timeout still gets this long for its requests to the
 * images; then the storage hangs, and waiting for it would never end. */
#define ABORT_GRACE_NS INT64_C(5000000000)

/* How often we look who keeps memory that others wait for. */
#define PRESS_NS INT64_C(1000000000)

static Server server;
static bool reload_wanted;    /* SIGHUP was seen */
static bool told_to_end;
static const char *end_cause;  /* QEMU's word for why it ends */
static int signal_fd = -1;    /* watched to the very end: a second signal must always work */

/* ---- signals ---- */

/* The second request to end: whatever is in flight is lost. */
static void end_at_once(const char *why)
{
    log_msg(LOG_LEVEL_ERROR, NULL, NULL, "%s: ends without flushing the exports", why);
    qmp_stop(&server);
    listen_stop(&server);
    daemon_remove_pid_file(server.config);
    run_remove_folder(&server);
    _exit(EXIT_FAILURE);
}

static void stop(const char *why, const char *cause)
{
    if (!atomic_exchange(&server.stopping, true)) {
        end_cause = cause;
        log_msg(LOG_LEVEL_INFO, NULL, NULL, "ending: %s", why);
    }
}

void server_end(Server *s, const char *why)
{
    (void)s;
    stop(why, "host-qmp-quit");
}

static void end_signal(int signum)
{
    if (told_to_end) {
        end_at_once("told to end a second time");
    }
    told_to_end = true;
    run_kill(signum);
    stop(strsignal(signum), "host-signal");
}

static void signal_ready(void *opaque)
{
    struct signalfd_siginfo info;

    (void)opaque;
    while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload_wanted = true;
            continue;
        }
        if (info.ssi_signo != SIGCHLD) {
            end_signal((int)info.ssi_signo);
        } else if (run_has_ended()) {
            stop("the command of --run has ended", "guest-shutdown");
        }
    }
}

/* Before any thread starts: all inherit the mask, so only signal_fd receives. */
static bool catch_signals(Error **errp)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);     /* a write past RLIMIT_FSIZE fails, and is the client's error */
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signal_fd < 0) {
        error_setg_errno(errp, errno, "cannot watch signals");
        return false;
    }
    aio_set_fd_handler(qemu_get_aio_context(), signal_fd, false, signal_ready, NULL, NULL);
    return true;
}

/* ---- memory that is short ---- */

static void press(void *opaque)
{
    (void)opaque;
    if (budget_is_short()) {
        iothreads_press_conns(&server);
        timer_mod_ns(server.press_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + PRESS_NS);
    }
}

void server_memory_short(void *s)
{
    (void)s;
    if (server.press_timer && !timer_pending(server.press_timer)) {
        iothreads_watch_conns(&server);
        timer_mod_ns(server.press_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + PRESS_NS);
    }
}

/* ---- exports ---- */

static bool open_exports(const Config *config, Error **errp)
{
    ExportConfig *cfg;

    STAILQ_FOREACH(cfg, &config->exports, link) {
        Export *export = export_new(cfg, errp);

        if (!export) {
            return false;
        }
        exports_add(&server, export);
    }
    exports_set_default(&server, config->default_export);
    return true;
}

/* ---- the end ---- */

void server_client_left(Server *s)
{
    listen_client_left(s);
    if (iothreads_connections(s) == 0 &&
        (s->config->inetd || (s->config->exit_with_last_client && s->served))) {
        stop("the last client has left", "guest-shutdown");
    }
}

static void set_flag(void *opaque)
{
    *(bool *)opaque = true;
}

/* True once no client is left; false when the time is over. */
static bool wait_for_clients(int64_t timeout_ns)
{
    AioContext *ctx = qemu_get_aio_context();
    bool expired = false;
    QEMUTimer *timer = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_NS, set_flag, &expired);

    timer_mod_ns(timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + timeout_ns);
    while (iothreads_connections(&server) && !expired) {
        main_loop_wait(false);
    }
    timer_free(timer);
    return iothreads_connections(&server) == 0;
}

static void tell_shutdown(void)
{
    qmp_event(&server, "SHUTDOWN", json_pack("{s:b,s:s}", "guest",
                                             strcmp(end_cause, "guest-shutdown") == 0, "reason",
                                             end_cause));
}

static void drain_clients(void)
{
    systemd_notify_stopping();
    exports_ungate(&server);
    tell_shutdown();
    qmp_stop(&server);
    /* In this order: who finds nobody listening any more gets ESHUTDOWN where he is connected. */
    iothreads_shutdown_conns(&server);
    while (!iothreads_winding_down(&server)) {
        main_loop_wait(false);
    }
    listen_stop(&server);
    /* No new requests are taken: limits would only make the last ones late. */
    exports_unthrottle(&server);
    if (wait_for_clients((int64_t)server.config->drain_timeout * 1000000000)) {
        return;
    }
    log_msg(LOG_LEVEL_WARNING, NULL, NULL, "clients cut off because --drain-timeout is over: %u",
            iothreads_connections(&server));
    iothreads_abort_conns(&server);
    if (!wait_for_clients(ABORT_GRACE_NS)) {
        end_at_once("requests to the images do not come to an end");
    }
}

/* ---- the beginning ---- */

/* Each client takes a descriptor; the usual limit is there for programs that use select(). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool start(const Config *config, Error **errp)
{
    static const char *const engines[] = {
        [AIO_AUTO] = "auto", [AIO_NATIVE] = "auto",
        [AIO_THREADS] = "threads", [AIO_IO_URING] = "io_uring",
    };

    raise_descriptor_limit();
    if (aio_set_engine(engines[config->aio], errp) < 0) {
        error_prepend(errp, "--aio=%s: ", engines[config->aio]);
        error_append_hint(errp, "Use --aio=auto or --aio=threads.\n");
        return false;
    }
    if (qemu_init_main_loop(errp) < 0 || !catch_signals(errp)) {
        return false;
    }
    server.press_timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                       press, NULL);
    if (!tls_reload(&server, errp) || !export_dir_open(&server, errp) ||
        !open_exports(config, errp) || !iothreads_start(&server, errp) ||
        !metrics_start(&server, errp)) {
        return false;
    }
    if (config->inetd) {
        return daemon_ready(config, errp) && inetd_start(&server, errp);
    }
    if ((config->run && !run_prepare(&server, errp)) || !listen_start(&server, errp)) {
        return false;
    }
    if (!qmp_start(&server, errp)) {
        return false;
    }
    announce(&server);
    return daemon_ready(config, errp) && (!config->run || run_start(&server, errp));
}

static void run_reload(void *opaque)
{
    ReloadReport report = { .errors = NULL };

    (void)opaque;
    if (!server.stopping) {
        reload(&server, &report);
        reload_report_clear(&report);
    }
}

static void main_loop(void)
{
    static Job job = { .func = run_reload };

    while (!server.stopping) {
        main_loop_wait(false);
        if (reload_wanted && !server.stopping) {
            reload_wanted = false;
            jobs_run(&server.jobs, &job);
        }
    }
}

static int serve(const Config *config, int argc, char **argv)
{
    Error *err = NULL;
    bool ok;

    server.config = config;
    server.argc = argc;
    server.argv = argv;
    server.since_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    server.started_ns = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    server.max_memory = config->max_memory;
    exports_init(&server);
    TAILQ_INIT(&server.nodes);
    server.export_dir = -1;
    STAILQ_INIT(&server.listeners);

    ok = start(config, &err);
    if (ok) {
        main_loop();
        drain_clients();
        inetd_end();
    } else {
        log_error_free(err);
        qmp_stop(&server);
        listen_stop(&server);
    }
    metrics_stop();
    ok &= exports_close(&server);
    export_jobs_free();
    nodes_close(&server);
    export_dir_close(&server);
    iothreads_stop(&server);
    qmp_free(&server);
    timer_free(server.press_timer);
    server.press_timer = NULL;
    tls_adopt(&server, NULL);
    daemon_remove_pid_file(config);
    run_remove_folder(&server);
    log_close();
    return !ok ? EXIT_FAILURE : config->run ? run_status() : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    ConfigErrors errors = CONFIG_ERRORS_INIT(errors);
    Error *err = NULL;
    Config *config;
    int status = EXIT_SUCCESS;

    daemon_fill_standard_fds();
    server.passed_fds = systemd_listen_fds(&err);
    if (err) {
        config_errors_add(&errors, err);
        err = NULL;
    }
    config = config_parse(argc, argv, false, &errors);
    if (!config) {
        config_errors_log(&errors);
        return EXIT_FAILURE;
    }
    blkbackend_set_log_fn(log_library_message, NULL);
    if (config->action == CONFIG_HELP) {
        config_print_help();
    } else if (config->action == CONFIG_SETTINGS) {
        config_print_settings();
    } else if (config->action == CONFIG_MAKE_CERTS) {
        if (!tls_make_certs(config->make_certs, &err)) {
            log_error_free(err);
            status = EXIT_FAILURE;
        }
    } else if (config->action == CONFIG_VERSION) {
        printf("nbd-export %s\n", PACKAGE_VERSION);
    } else if (!log_open((enum log_target)config->log,
                         config->verbose > 1 ? LOG_LEVEL_DEBUG
                         : config->verbose ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE, &err) ||
               (config->fork && !config->check && !daemon_fork(&err))) {
        log_error_free(err);
        status = EXIT_FAILURE;
    } else if (config->check) {
        status = check_config(config, &errors);
    } else {
        status = serve(config, argc, argv);
    }
    config_free(config);
    return status;
}
