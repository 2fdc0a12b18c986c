/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of arguments, results and events, by name (qmp.h says how they are written).
 */
#include "qmp.h"

const QmpType qmp_types[] = {
    /* The server. */
    { "QMPCapability", "oob" },
    { "ShutdownCause", "host-qmp-quit | host-signal | guest-shutdown" },
    { "VersionTriple", "major int, minor int, micro int" },
    { "VersionInfo", "qemu VersionTriple, package str" },
    { "CommandInfo", "name str" },
    { "SchemaInfo", "name str, meta-type str, ..." },
    { "XHandshakeStats", "ok int, failed int, left int" },
    { "XLogLevel", "error | warning | notice | info | debug" },
    { "XLogLevelInfo", "level XLogLevel" },
    { "XReloadChange", "export str, settings [str]" },
    { "XReloadInfo", "added [str], changed [XReloadChange], removed [str], restart [str]" },
    { "XServerInfo", "version str, pid int, uptime number, uris [str], exports int, clients int, "
                     "max-clients int, memory int, max-memory int, threads int, "
                     "handshakes XHandshakeStats, tls-handshakes XHandshakeStats" },
};
const size_t n_qmp_types = sizeof(qmp_types) / sizeof(qmp_types[0]);
