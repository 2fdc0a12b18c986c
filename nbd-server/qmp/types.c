/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of arguments, results and events, by name (qmp.h says how they are written).
 */
#include "commands.h"

const QmpType qmp_types[] = {
    /* The server. */
    { "QMPCapability", "oob" },
    { "VersionTriple", "major int, minor int, micro int" },
    { "VersionInfo", "qemu VersionTriple, package str" },
    { "CommandInfo", "name str" },
    { "SchemaInfo", "name str, meta-type str, ..." },

    /* Limits. */
    { "XThrottleClient", "peers [str], waiting int, waits int, wait-ns int" },
    { "XThrottleInfo", "id str, *group str, members [str], limits XThrottleLimits, "
      "client-limits XThrottleLimits, waits int, wait-ns int, clients [XThrottleClient]" },
    { "XThrottleLimits", THROTTLE_SETTINGS },
    { "XThrottleScope", "export | client" },
};
const size_t n_qmp_types = sizeof(qmp_types) / sizeof(qmp_types[0]);
