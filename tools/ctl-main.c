/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbd-ctl: a person's front to a running nbd-export. */
#include "tools/ctl.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static int run(Ctl *ctl)
{
    const char *timeout = ctl_option(ctl, "timeout"), *kind = ctl_option(ctl, "list-names");
    int64_t seconds;

    if (ctl_option(ctl, "help")) {
        ctl_print_help(ctl->cmd);
        return CTL_OK;
    } else if (ctl_option(ctl, "version")) {
        printf("nbd-ctl (%s)\n", PACKAGE_STRING);
        return CTL_OK;
    } else if (ctl_option(ctl, "list-commands")) {
        ctl_print_commands();
        return CTL_OK;
    }
    if (timeout) {
        if (!ctl_parse_number(ctl, "--timeout", timeout, 1, 86400, &seconds)) {
            return CTL_USAGE;
        }
        ctl->timeout_ms = (int)seconds * 1000;
    }
    ctl->socket = ctl_option(ctl, "socket");
    if (kind) {
        return ctl_print_names(ctl, kind);
    } else if (!ctl->cmd) {
        return ctl_usage_error(ctl, NULL, "which command?");
    }
    return ctl->cmd->run(ctl);
}

int main(int argc, char **argv)
{
    Ctl ctl = { .timeout_ms = -1 };
    int status = CTL_USAGE;

    tool_init(argv[0]);
    /* How wide characters are is a matter of the locale: names are UTF-8 in any. */
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    if (ctl_parse(&ctl, argc, argv)) {
        status = run(&ctl);
    }
    ctl_qmp_close(ctl.qmp);
    free(ctl.only_export);
    free(ctl.all_words);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        error_report("cannot write the output");
        status = CTL_FAILED;
    }
    return status;
}
