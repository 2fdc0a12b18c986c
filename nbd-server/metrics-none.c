/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A build without libmicrohttpd: there are no metrics, and who asks for them is told so. */
#include "config.h"
#include "metrics.h"

bool metrics_start(Server *server, Error **errp)
{
    if (!server->config->metrics) {
        return true;
    }
    error_setg(errp, "--metrics: this nbd-export was built without metrics");
    error_append_hint(errp, "Build it with libmicrohttpd (on Debian: apt-get install "
                      "libmicrohttpd-dev), without --without-metrics.\n");
    return false;
}

void metrics_stop(void)
{
}
