# SPDX-License-Identifier: LGPL-2.1-or-later
# nbd-export: the server.  It uses what libblkbackend exports and nothing else of it.

bin_PROGRAMS += nbd-server/nbd-export

# What serves a client, once it has a socket: the fuzz targets are made of it, too.
nbd_core_sources = \
	common/byte-order.h \
	common/cleanup.h \
	common/edit-distance.c \
	common/edit-distance.h \
	common/human-size.c \
	common/human-size.h \
	common/image-info.c \
	common/image-info.h \
	common/nbd-protocol.h \
	common/option-list.c \
	common/option-list.h \
	common/utf8.h \
	common/xalloc.h \
	nbd-server/access.c \
	nbd-server/access.h \
	nbd-server/block-jobs.c \
	nbd-server/block-jobs.h \
	nbd-server/block-status.c \
	nbd-server/budget.c \
	nbd-server/budget.h \
	nbd-server/channel.c \
	nbd-server/channel.h \
	nbd-server/chain.c \
	nbd-server/chain.h \
	nbd-server/check-config.c \
	nbd-server/check-config.h \
	nbd-server/config-address.c \
	nbd-server/config-authfile.c \
	nbd-server/config-check.c \
	nbd-server/config-diff.c \
	nbd-server/config-export.c \
	nbd-server/config-find.c \
	nbd-server/config-help.c \
	nbd-server/config-keys.c \
	nbd-server/config-sections.c \
	nbd-server/config-set.c \
	nbd-server/config-text.c \
	nbd-server/config-text.h \
	nbd-server/config.c \
	nbd-server/config.h \
	nbd-server/conn-int.h \
	nbd-server/conn.c \
	nbd-server/data-pool.c \
	nbd-server/data-pool.h \
	nbd-server/error-policy.c \
	nbd-server/events.c \
	nbd-server/events.h \
	nbd-server/export-dir.c \
	nbd-server/export-dir.h \
	nbd-server/export.c \
	nbd-server/exports.c \
	nbd-server/gate.c \
	nbd-server/handshake-export-name.c \
	nbd-server/handshake-go.c \
	nbd-server/handshake-list.c \
	nbd-server/handshake-meta.c \
	nbd-server/handshake.c \
	nbd-server/handshake-tls.c \
	nbd-server/handshake.h \
	nbd-server/hold.c \
	nbd-server/hold.h \
	nbd-server/jobs.c \
	nbd-server/jobs.h \
	nbd-server/liveness.c \
	nbd-server/liveness.h \
	nbd-server/log-int.h \
	nbd-server/log-output.c \
	nbd-server/log.c \
	nbd-server/node-users.c \
	nbd-server/nodes.c \
	nbd-server/nodes.h \
	nbd-server/partition.c \
	nbd-server/peer.c \
	nbd-server/peer.h \
	nbd-server/medium.c \
	nbd-server/meta-context.c \
	nbd-server/meta-context.h \
	nbd-server/probation.c \
	nbd-server/probation.h \
	nbd-server/qmp/args.c \
	nbd-server/qmp/audit.c \
	nbd-server/qmp/check.c \
	nbd-server/qmp/cmd-bitmap.c \
	nbd-server/qmp/cmd-blockstats.c \
	nbd-server/qmp/cmd-clients.c \
	nbd-server/qmp/cmd-export-control.c \
	nbd-server/qmp/cmd-exports.c \
	nbd-server/qmp/cmd-job.c \
	nbd-server/qmp/cmd-media.c \
	nbd-server/qmp/cmd-nodes.c \
	nbd-server/qmp/cmd-process.c \
	nbd-server/qmp/cmd-query-block.c \
	nbd-server/qmp/cmd-server.c \
	nbd-server/qmp/cmd-snapshot.c \
	nbd-server/qmp/cmd-throttle.c \
	nbd-server/qmp/commands.c \
	nbd-server/qmp/commands.h \
	nbd-server/qmp/events.c \
	nbd-server/qmp/find.c \
	nbd-server/qmp/input.c \
	nbd-server/qmp/input.h \
	nbd-server/qmp/introspect.c \
	nbd-server/qmp/json-scan.c \
	nbd-server/qmp/json-scan.h \
	nbd-server/qmp/output.c \
	nbd-server/qmp/output.h \
	nbd-server/qmp/qmp-int.h \
	nbd-server/qmp/qmp.h \
	nbd-server/qmp/request.c \
	nbd-server/qmp/schema.c \
	nbd-server/qmp/schema.h \
	nbd-server/qmp/secrets.c \
	nbd-server/qmp/secrets.h \
	nbd-server/qmp/server.c \
	nbd-server/qmp/session.c \
	nbd-server/qmp/settings.c \
	nbd-server/qmp/settings.h \
	nbd-server/qmp/text.c \
	nbd-server/qmp/types.c \
	nbd-server/receive.c \
	nbd-server/reload.c \
	nbd-server/reload.h \
	nbd-server/reply.c \
	nbd-server/request.c \
	nbd-server/rotational.c \
	nbd-server/rx-buffer.c \
	nbd-server/rx-buffer.h \
	nbd-server/server.h \
	nbd-server/stats.c \
	nbd-server/stats.h \
	nbd-server/succession.c \
	nbd-server/succession.h \
	nbd-server/systemd.c \
	nbd-server/systemd.h \
	nbd-server/throttle.c \
	nbd-server/throttle.h \
	nbd-server/tls.h \
	nbd-server/unix-socket.c \
	nbd-server/unix-socket.h \
	nbd-server/uri.c \
	nbd-server/uri.h \
	nbd-server/user.c \
	nbd-server/view.c \
	nbd-server/view.h
nbd_core_libs = $(JANSSON_LIBS) $(BLKID_LIBS)

if HAVE_GNUTLS
nbd_core_sources += \
	nbd-server/tls-certs.c \
	nbd-server/tls-creds.c \
	nbd-server/tls-int.h \
	nbd-server/tls-psk.c \
	nbd-server/tls-session.c
nbd_core_libs += $(GNUTLS_LIBS)
else
nbd_core_sources += nbd-server/tls-none.c
endif

nbd_metrics_sources = \
	nbd-server/metrics.h
if HAVE_MICROHTTPD
nbd_metrics_sources += \
	nbd-server/metrics-http.c \
	nbd-server/metrics-text.c \
	nbd-server/metrics.c
else
nbd_metrics_sources += nbd-server/metrics-none.c
endif

nbd_server_nbd_export_SOURCES = $(nbd_core_sources) \
	nbd-server/announce.c \
	nbd-server/daemon.c \
	nbd-server/daemon.h \
	nbd-server/inetd.c \
	nbd-server/iothread.c \
	nbd-server/listen.c \
	nbd-server/main.c \
	nbd-server/run.c \
	$(nbd_metrics_sources)
nbd_server_nbd_export_LDADD = libblkbackend.la $(nbd_core_libs) $(MICROHTTPD_LIBS)

# The same program to run from the build folder: a plain executable that finds the library there,
# where libtool puts a shell script in front of the one that is to be installed.
noinst_PROGRAMS += nbd-export
nbd_export_SOURCES = $(nbd_server_nbd_export_SOURCES)
nbd_export_LDADD = $(nbd_server_nbd_export_LDADD)
nbd_export_LDFLAGS = $(AM_LDFLAGS) -no-install
