# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests.  Each is named once, in the list of its kind; HACKING.md says how to add one.
# tests/run runs them all; those of lib, protocol, server, tools and plugin run once with each event
# engine.

# The library from the inside (cmocka): linked with its objects, exported or not.
unit_tests = \
	tests/unit/test-accounting \
	tests/unit/test-aio \
	tests/unit/test-aio-context \
	tests/unit/test-all-backends \
	tests/unit/test-backend-life \
	tests/unit/test-backend-names \
	tests/unit/test-backend-root \
	tests/unit/test-backing \
	tests/unit/test-blkdebug \
	tests/unit/test-blockers \
	tests/unit/test-cancel \
	tests/unit/test-clock \
	tests/unit/test-colock \
	tests/unit/test-commit \
	tests/unit/test-compressed \
	tests/unit/test-copy-on-read \
	tests/unit/test-copy-range \
	tests/unit/test-coroutine \
	tests/unit/test-detect-zeroes \
	tests/unit/test-device-ops \
	tests/unit/test-dirty-bitmap \
	tests/unit/test-drain-load \
	tests/unit/test-driver-file \
	tests/unit/test-driver-host-device \
	tests/unit/test-driver-memory \
	tests/unit/test-driver-null \
	tests/unit/test-driver-raw \
	tests/unit/test-error \
	tests/unit/test-error-policy \
	tests/unit/test-file-flush \
	tests/unit/test-file-locks \
	tests/unit/test-graph-drain \
	tests/unit/test-graph-io \
	tests/unit/test-graph-open \
	tests/unit/test-histogram \
	tests/unit/test-invalidate \
	tests/unit/test-io-errors \
	tests/unit/test-io-status \
	tests/unit/test-ioctl \
	tests/unit/test-iov \
	tests/unit/test-live-chain \
	tests/unit/test-media \
	tests/unit/test-multiwrite \
	tests/unit/test-notify \
	tests/unit/test-op-blockers-blk \
	tests/unit/test-out-of-memory \
	tests/unit/test-properties \
	tests/unit/test-qcow2 \
	tests/unit/test-qcow2-bitmaps \
	tests/unit/test-qcow2-check \
	tests/unit/test-qcow2-data-file \
	tests/unit/test-qcow2-empty \
	tests/unit/test-qcow2-header \
	tests/unit/test-qcow2-snapshots \
	tests/unit/test-qdict \
	tests/unit/test-request-matrix \
	tests/unit/test-root-state \
	tests/unit/test-serialising \
	tests/unit/test-size \
	tests/unit/test-snapshot-overlay \
	tests/unit/test-thread-pool \
	tests/unit/test-throttle \
	tests/unit/test-throttle-group \
	tests/unit/test-throttle-members \
	tests/unit/test-throttle-threads \
	tests/unit/test-vmstate \
	tests/unit/test-write-cache

if HAVE_LIBNBD
unit_tests += tests/unit/test-nbd-names
endif
# It asks in one thread, thousands of times: nothing for ThreadSanitizer.
if !TSAN
unit_tests += tests/unit/test-qcow2-failures
endif

# The library as a stranger's program sees it: each links with libblkbackend.la alone.
lib_tests = \
	tests/lib/api-check \
	tests/lib/chain-changes-under-writes \
	tests/lib/storm \
	tests/lib/straight-path
tests_lib_api_check_LDADD = libblkbackend.la $(JANSSON_LIBS)
tests_lib_chain_changes_under_writes_LDADD = libblkbackend.la $(JANSSON_LIBS)
tests_lib_storm_LDADD = libblkbackend.la $(JANSSON_LIBS)
tests_lib_straight_path_LDADD = libblkbackend.la $(JANSSON_LIBS)

# What a power cut leaves of an image.
power_cut_tests = \
	tests/lib/qcow2-bitmaps-survive-power-cuts \
	tests/lib/qcow2-snapshots-survive-power-cuts \
	tests/lib/qcow2-survives-power-cuts
check_PROGRAMS += $(power_cut_tests)
tests_lib_qcow2_bitmaps_survive_power_cuts_SOURCES = \
	tests/choose-engine.c \
	tests/cut-log.c \
	tests/cut-log.h \
	tests/cut-states.c \
	tests/cut-states.h \
	tests/lib/qcow2-bitmaps-survive-power-cuts.c \
	tests/ram-file.c \
	tests/ram-file.h
tests_lib_qcow2_bitmaps_survive_power_cuts_LDADD = libblkbackend.la $(JANSSON_LIBS)
tests_lib_qcow2_snapshots_survive_power_cuts_SOURCES = \
	tests/choose-engine.c \
	tests/cut-log.c \
	tests/cut-log.h \
	tests/cut-states.c \
	tests/cut-states.h \
	tests/lib/qcow2-snapshots-survive-power-cuts.c \
	tests/qcow2-walk.c \
	tests/qcow2-walk.h \
	tests/ram-file.c \
	tests/ram-file.h
tests_lib_qcow2_snapshots_survive_power_cuts_LDADD = libblkbackend.la $(JANSSON_LIBS)
tests_lib_qcow2_survives_power_cuts_SOURCES = \
	tests/choose-engine.c \
	tests/cut-log.c \
	tests/cut-log.h \
	tests/guest-shadow.c \
	tests/guest-shadow.h \
	tests/lib/qcow2-survives-power-cuts.c \
	tests/power-cut-upkeep.c \
	tests/power-cut.h \
	tests/qcow2-walk.c \
	tests/qcow2-walk.h \
	tests/ram-file.c \
	tests/ram-file.h
tests_lib_qcow2_survives_power_cuts_LDADD = libblkbackend.la $(JANSSON_LIBS)

# Whole images, compared with what qemu-img makes of the same arguments.
image_tests = \
	tests/lib/amend-as-qemu-img-does.py \
	tests/lib/create-as-qemu-img-does.py \
	tests/lib/measure-as-qemu-img-does.py \
	tests/lib/resize-preallocates.py
check_PROGRAMS += tests/lib/image-tool
tests_lib_image_tool_LDADD = libblkbackend.la $(JANSSON_LIBS)
tests_lib_image_tool_LDFLAGS = $(AM_LDFLAGS) -no-install

# The examples do what they say.
example_tests = \
	tests/lib/example-copy-image.sh \
	tests/lib/example-event-loop.sh \
	tests/lib/example-hot-swap.sh \
	tests/lib/example-own-driver.sh \
	tests/lib/example-throttle.sh

# The fuzz targets' corpus; `make fuzz` finds more.
fuzz_tests = \
	tests/lib/fuzz-corpus-does-no-harm.sh

# Bytes on a socket, and libnbd's Python.
protocol_tests = \
	tests/protocol/abort-is-acked.py \
	tests/protocol/access-rules.py \
	tests/protocol/bad-magic-after-good-requests.py \
	tests/protocol/client-that-reads-late.py \
	tests/protocol/client-that-reads-no-replies.py \
	tests/protocol/client-vanishes.py \
	tests/protocol/clients-are-listed-and-kicked.py \
	tests/protocol/connections-leave-nothing-behind.py \
	tests/protocol/costly-requests-leave-others-their-turn.py \
	tests/protocol/disc-answers-what-is-in-flight.py \
	tests/protocol/eshutdown-has-a-text.py \
	tests/protocol/export-dir-serves-its-files-only.py \
	tests/protocol/exports-come-and-go-under-load.py \
	tests/protocol/failed-flush-stays-failed.py \
	tests/protocol/failed-requests-are-dealt-with-by-policy.py \
	tests/protocol/half-closed-client-gets-its-replies.py \
	tests/protocol/half-sent-writes-do-not-starve-others.py \
	tests/protocol/handshake-left-anywhere.py \
	tests/protocol/handshake-timeout.py \
	tests/protocol/hidden-and-default-exports.py \
	tests/protocol/hoarders-are-cut-off.py \
	tests/protocol/hoarders-do-not-starve-others.py \
	tests/protocol/hostile-clients.py \
	tests/protocol/image-cut-while-replies-wait.py \
	tests/protocol/image-that-grew-is-usable.py \
	tests/protocol/image-that-was-cut-fails-cleanly.py \
	tests/protocol/log-of-strangers-is-bounded.py \
	tests/protocol/log-tells-who-came-and-went.py \
	tests/protocol/many-connections.py \
	tests/protocol/meta-contexts-at-once.py \
	tests/protocol/multi-conn-is-coherent.py \
	tests/protocol/newcomer-waits-for-writes-of-its-siblings.py \
	tests/protocol/old-writes-do-not-come-back.py \
	tests/protocol/paused-export-keeps-requests.py \
	tests/protocol/payload-timeout.py \
	tests/protocol/pipelining.py \
	tests/protocol/qmp-access.py \
	tests/protocol/qmp-audit-log.py \
	tests/protocol/qmp-blockstats-count-requests.py \
	tests/protocol/qmp-commit-survives-a-kill.py \
	tests/protocol/qmp-commit.py \
	tests/protocol/qmp-conversation.py \
	tests/protocol/qmp-events-of-slow-readers.py \
	tests/protocol/qmp-export-state-says-why.py \
	tests/protocol/qmp-hostile-clients.py \
	tests/protocol/qmp-media-change-under-clients.py \
	tests/protocol/qmp-medium-change-while-replies-wait.py \
	tests/protocol/qmp-out-of-band.py \
	tests/protocol/qmp-resize-that-qemu-storage-daemon-refuses.py \
	tests/protocol/qmp-resize-under-clients.py \
	tests/protocol/qmp-throttle.py \
	tests/protocol/qmp-write-cache-is-switched.py \
	tests/protocol/reload-can-disconnect-clients.py \
	tests/protocol/reload-keeps-images-that-no-name-says.py \
	tests/protocol/reload-leaves-other-clients-alone.py \
	tests/protocol/reload-names-what-needs-a-restart.py \
	tests/protocol/reload-of-a-wrong-file-changes-nothing.py \
	tests/protocol/reload-while-clients-come-and-go.py \
	tests/protocol/request-bad-magic-closes-alone.py \
	tests/protocol/request-cut-off.py \
	tests/protocol/requests-cut-anywhere.py \
	tests/protocol/requests-run-side-by-side.py \
	tests/protocol/settings-change-while-clients-are-connected.py \
	tests/protocol/sigterm-accepts-nothing-new.py \
	tests/protocol/sigterm-answers-everything-in-flight.py \
	tests/protocol/sigterm-does-not-wait-for-idle-clients.py \
	tests/protocol/sigterm-drain-timeout.py \
	tests/protocol/sigterm-ends-a-busy-client.py \
	tests/protocol/sigterm-twice-ends-at-once.py \
	tests/protocol/thousand-clients.py \
	tests/protocol/throttle-client-is-each-ones-own.py \
	tests/protocol/throttle-does-not-delay-the-end.py \
	tests/protocol/throttle-forgets-who-has-gone.py \
	tests/protocol/throttle-lets-nothing-large-pass.py \
	tests/protocol/throttle-lets-trim-and-flush-pass.py \
	tests/protocol/throttle-shares-are-fair.py \
	tests/protocol/throttled-writes-leave-others-their-memory.py \
	tests/protocol/tls-bytes-ahead-of-the-handshake.py \
	tests/protocol/tls-client-that-refuses-us.py \
	tests/protocol/tls-client-vanishes-in-the-handshake.py \
	tests/protocol/tls-cut-off-is-no-end.py \
	tests/protocol/tls-forgets-what-was-negotiated.py \
	tests/protocol/tls-handshake-timeout.py \
	tests/protocol/tls-of-one-export.py \
	tests/protocol/tls-records-of-any-size.py \
	tests/protocol/tls-reload-drops-no-one.py \
	tests/protocol/tls-required-tells-nothing-before-it.py \
	tests/protocol/tls-sigterm-answers-what-is-in-flight.py

# One client says one thing after the other, or there is not even one: nothing for ThreadSanitizer.
conversation_tests = \
	tests/protocol/block-size-constraint-is-kept.py \
	tests/protocol/block-status-any-range.py \
	tests/protocol/block-status-by-export-name.py \
	tests/protocol/block-status-of-a-huge-hole.py \
	tests/protocol/block-status-of-some-contexts.py \
	tests/protocol/block-status-req-one.py \
	tests/protocol/block-status-tells-the-holes.py \
	tests/protocol/block-status-without-context-is-einval.py \
	tests/protocol/cache-changes-nothing.py \
	tests/protocol/cookie-comes-back.py \
	tests/protocol/df-without-structured-is-einval.py \
	tests/protocol/export-name-124-zeroes.py \
	tests/protocol/export-name-unknown-closes.py \
	tests/protocol/extended-headers-are-negotiated.py \
	tests/protocol/extended-payload-is-told-by-its-flag.py \
	tests/protocol/extended-requests-of-any-length.py \
	tests/protocol/flush-answers.py \
	tests/protocol/flush-with-a-range-is-einval.py \
	tests/protocol/fua-on-every-command.py \
	tests/protocol/go-answers-every-info.py \
	tests/protocol/go-block-sizes-are-sane.py \
	tests/protocol/go-ignores-unknown-info.py \
	tests/protocol/go-malformed-is-invalid.py \
	tests/protocol/go-unknown-export.py \
	tests/protocol/go-without-no-zeroes-has-no-padding.py \
	tests/protocol/handshake-client-flags-unknown.py \
	tests/protocol/handshake-client-without-fixed-newstyle.py \
	tests/protocol/handshake-greeting.py \
	tests/protocol/handshake-in-one-packet.py \
	tests/protocol/handshake-one-byte-at-a-time.py \
	tests/protocol/info-and-go-agree.py \
	tests/protocol/info-stays-in-haggling.py \
	tests/protocol/list-names-every-export.py \
	tests/protocol/list-with-data-is-invalid.py \
	tests/protocol/log-json-is-json.py \
	tests/protocol/meta-context-list.py \
	tests/protocol/meta-context-long-query.py \
	tests/protocol/meta-context-malformed-is-invalid.py \
	tests/protocol/meta-context-needs-structured-replies.py \
	tests/protocol/meta-context-of-another-export.py \
	tests/protocol/meta-context-set-replaces.py \
	tests/protocol/meta-context-set.py \
	tests/protocol/meta-context-unknown-export.py \
	tests/protocol/option-bad-magic-closes-alone.py \
	tests/protocol/option-flood-is-bounded.py \
	tests/protocol/option-huge-length.py \
	tests/protocol/option-name-too-long.py \
	tests/protocol/option-unknown-is-unsup.py \
	tests/protocol/past-end-gets-the-named-error.py \
	tests/protocol/probed-raw-refuses-a-format-header.py \
	tests/protocol/qmp-bitmaps-are-kept.py \
	tests/protocol/qmp-commands-fit-those-of-qemu.py \
	tests/protocol/qmp-nodes-as-qemu-storage-daemon.py \
	tests/protocol/qmp-split-anywhere.py \
	tests/protocol/read-beyond-maximum.py \
	tests/protocol/read-only-is-eperm.py \
	tests/protocol/request-of-32-mib.py \
	tests/protocol/rotational-is-told.py \
	tests/protocol/single-bytes.py \
	tests/protocol/starttls-is-refused.py \
	tests/protocol/storage-errors-are-named.py \
	tests/protocol/structured-error-has-a-text.py \
	tests/protocol/structured-read-covers-once.py \
	tests/protocol/structured-read-df.py \
	tests/protocol/structured-read-error-is-a-chunk.py \
	tests/protocol/structured-read-sends-holes.py \
	tests/protocol/structured-reply-twice.py \
	tests/protocol/structured-reply-with-data-is-invalid.py \
	tests/protocol/transmission-flags.py \
	tests/protocol/trim-punches-with-discard-unmap.py \
	tests/protocol/unaligned-end-of-image.py \
	tests/protocol/unknown-command-is-einval.py \
	tests/protocol/unknown-flag-is-einval.py \
	tests/protocol/write-beyond-maximum.py \
	tests/protocol/write-zeroes-fast.py \
	tests/protocol/write-zeroes-larger-than-a-payload.py \
	tests/protocol/write-zeroes-no-hole.py \
	tests/protocol/write-zeroes-reads-zero.py \
	tests/protocol/zero-length-does-no-harm.py \
	tests/server/completion-knows-the-settings.sh \
	tests/server/config-errors-name-file-and-line.sh \
	tests/server/export-key-errors.sh \
	tests/server/exports-by-name.sh \
	tests/server/fork-and-pid-file.sh \
	tests/server/fork-reports-errors.sh \
	tests/server/help-and-version.sh \
	tests/server/make-certs.sh \
	tests/server/nbd-client-list.sh \
	tests/server/nbd-driver-errors.sh \
	tests/server/nbdinfo-map.sh \
	tests/server/nbdinfo.sh \
	tests/server/network-without-protection-warns.sh \
	tests/server/option-errors.sh \
	tests/server/throttle-options.sh \
	tests/server/tls-option-errors.sh \
	tests/server/view-partition.sh \
	tests/server/view-snapshots.sh \
	tests/server/view-window.sh

# ThreadSanitizer needs too much memory for each coroutine.
coroutine_tests = \
	tests/protocol/thousands-of-requests-in-flight.py

# nbd-export and real clients.
server_tests = \
	tests/server/announces-uris.py \
	tests/server/bitmap-must-not-change.sh \
	tests/server/cache-modes.sh \
	tests/server/cache-none-copies-exactly.sh \
	tests/server/closed-output-spares-the-image.sh \
	tests/server/config-file-with-nbd-server-keys.sh \
	tests/server/exit-with-last-client.sh \
	tests/server/fault-errors-reach-the-client.sh \
	tests/server/fault-failing-flush.sh \
	tests/server/fault-log-shows-what-clients-ask.sh \
	tests/server/fault-slow-request-holds-up-no-other.sh \
	tests/server/file-size-limit-is-an-error.sh \
	tests/server/fio-verify.sh \
	tests/server/flush-reaches-the-disk.sh \
	tests/server/inetd.py \
	tests/server/keepalive.sh \
	tests/server/late-writes-are-dropped.py \
	tests/server/libnbd-async.sh \
	tests/server/live-socket-is-refused.sh \
	tests/server/locked-folder.sh \
	tests/server/locks-against-qemu.sh \
	tests/server/log-to-syslog-and-journal.sh \
	tests/server/max-clients.sh \
	tests/server/meta-contexts-as-qemu-nbd.sh \
	tests/server/nbd-driver-reconnects.sh \
	tests/server/nbd-driver-speaks-tls.sh \
	tests/server/nbd-driver-works-with-every-server.sh \
	tests/server/nbdcopy-ext4-image.sh \
	tests/server/out-of-descriptors.sh \
	tests/server/pid-file-and-socket-removed.sh \
	tests/server/qcow2-chain-of-three.sh \
	tests/server/qcow2-fio-verify.sh \
	tests/server/qemu-img.sh \
	tests/server/qemu-io-patterns.sh \
	tests/server/read-only.sh \
	tests/server/run-command.sh \
	tests/server/shared-limit-is-given-back.sh \
	tests/server/socket-activation.py \
	tests/server/stale-socket-is-replaced.sh \
	tests/server/tcp-nodelay.sh \
	tests/server/tcp-v4-v6-and-unix-at-once.sh \
	tests/server/tells-systemd.py \
	tests/server/threads.sh \
	tests/server/throttle-group-is-shared.sh \
	tests/server/throttle-holds-its-limits.sh \
	tests/server/tls-clients.sh \
	tests/server/tls-copies-exactly.sh \
	tests/server/tls-fio-verify.sh \
	tests/server/tls-refuses-wrong-credentials.sh \
	tests/server/two-hosts.py \
	tests/server/two-servers-one-image.sh \
	tests/server/user-and-group.sh \
	tests/server/vanished-client-is-found-out.py

# A sanitizer wants to be loaded first, and so does what this puts in the kernel's place.
preload_tests = \
	tests/server/old-kernels.sh

# Images of QEMU's and ours, one request after the other.
image_tests += \
	tests/server/qcow2-check-agrees-with-qemu.py \
	tests/server/qcow2-check-random-damage.py \
	tests/server/qcow2-differential.py \
	tests/server/qcow2-reads-what-qemu-wrote.sh \
	tests/server/qcow2-writes-what-qemu-reads.sh

# The tools, held against QEMU's.
tools_tests = \
	tests/tools/ctl-and-odd-servers.py \
	tests/tools/ctl-changes-a-running-server.py \
	tests/tools/ctl-completion-asks-the-server.sh \
	tests/tools/ctl-reload-and-tls-reload.py \
	tests/tools/ctl-snapshot-and-commit.py \
	tests/tools/ctl-top-on-a-terminal.py \
	tests/tools/ctl-while-another-command-waits.py \
	tests/tools/img-amend-as-qemu-img.sh \
	tests/tools/img-bench-as-qemu-img.sh \
	tests/tools/img-bitmap-as-qemu-img.sh \
	tests/tools/img-check-as-qemu-img.sh \
	tests/tools/img-command-lines-as-qemu-img.sh \
	tests/tools/img-commit-as-qemu-img.sh \
	tests/tools/img-compare-as-qemu-img.sh \
	tests/tools/img-convert-as-qemu-img.sh \
	tests/tools/img-convert-compresses-as-qemu-img.sh \
	tests/tools/img-convert-copies-bitmaps.sh \
	tests/tools/img-convert-fails-safely.sh \
	tests/tools/img-convert-salvages.sh \
	tests/tools/img-create-as-qemu-img.sh \
	tests/tools/img-dd-as-qemu-img.sh \
	tests/tools/img-info-as-qemu-img.sh \
	tests/tools/img-map-as-qemu-img.sh \
	tests/tools/img-measure-as-qemu-img.sh \
	tests/tools/img-rebase-as-qemu-img.sh \
	tests/tools/img-resize-as-qemu-img.sh \
	tests/tools/img-snapshot-as-qemu-img.sh \
	tests/tools/io-alloc-and-map-as-qemu-io.sh \
	tests/tools/io-help-and-reports-as-qemu-io.sh \
	tests/tools/io-opens-and-reopens-as-qemu-io.sh \
	tests/tools/io-options-as-qemu-io.sh \
	tests/tools/io-prompt-as-qemu-io.sh \
	tests/tools/io-reads-and-writes-as-qemu-io.sh \
	tests/tools/io-refuses-what-qemu-io-refuses.sh \
	tests/tools/io-requests-run-side-by-side.sh \
	tests/tools/io-sizes-as-qemu-io.sh \
	tests/tools/qcow2-in-turns-with-qemu.py

# nbdkit with our plugin, by itself and under nbdkit's filters.
plugin_tests = \
	tests/plugin/dir-exports.sh \
	tests/plugin/dump-plugin.sh \
	tests/plugin/errors-have-errno-and-text.sh \
	tests/plugin/extents-as-nbd-export-tells-them.sh \
	tests/plugin/filter-blocksize.sh \
	tests/plugin/filter-cache.sh \
	tests/plugin/filter-cow.sh \
	tests/plugin/filter-delay.sh \
	tests/plugin/filter-error.sh \
	tests/plugin/filter-exitlast.sh \
	tests/plugin/filter-fua.sh \
	tests/plugin/filter-log.sh \
	tests/plugin/filter-noextents.sh \
	tests/plugin/filter-offset.sh \
	tests/plugin/filter-partition.sh \
	tests/plugin/filter-rate.sh \
	tests/plugin/filter-readahead.sh \
	tests/plugin/filter-retry.sh \
	tests/plugin/filter-stats.sh \
	tests/plugin/filter-truncate.sh \
	tests/plugin/fio-verify.sh \
	tests/plugin/fua-is-native.sh \
	tests/plugin/install.sh \
	tests/plugin/key-errors.sh \
	tests/plugin/keys.sh \
	tests/plugin/locked-image.sh \
	tests/plugin/magic-key-and-relative-names.sh \
	tests/plugin/multi-conn-is-honest.sh \
	tests/plugin/read-only.sh \
	tests/plugin/socket-activation.sh \
	tests/plugin/throttle-limits-hold.sh \
	tests/plugin/tls.sh \
	tests/plugin/unload-leaves-threads-their-code.sh \
	tests/plugin/ways-to-run.sh \
	tests/plugin/zero-is-fast-and-may-trim.sh

# A real kernel mounts what we serve, in a guest.  Once is enough: in no sanitizer's build.
guest_tests = \
	tests/guest/far-server-restarts-under-a-mount.sh \
	tests/guest/image-grows.sh \
	tests/guest/mount-four-connections.sh \
	tests/guest/mount-nbdkit-plugin.sh \
	tests/guest/mount-netlink.sh \
	tests/guest/mount-read-only-and-write-through.sh \
	tests/guest/mount-tls.sh \
	tests/guest/nbdtab.sh \
	tests/guest/qemu-disk.sh \
	tests/guest/root-on-nbd.sh \
	tests/guest/server-restarts-under-a-mount.sh
if !SANITIZED
TESTS += $(guest_tests)
check_PROGRAMS += tests/guest/reconnect
endif
# It runs in the guest, which has the C library and none of ours.
tests_guest_reconnect_LDADD =
tests_guest_reconnect_LDFLAGS = -no-install

# What the guest is made of: downloads its kernel.  The tests do that too, where need be.
guest:
	$(BASH) $(top_srcdir)/tests/guest/make-guest.sh tests/guest/made
clean-guest:
	rm -rf tests/guest/made
distclean-local: clean-guest
.PHONY: guest clean-guest

# The source itself, and what `make install` makes of it.
code_tests = \
	tests/code/arrows.sh \
	tests/code/compared-commands-work.py \
	tests/code/examples-installed.sh \
	tests/code/exported-symbols.sh \
	tests/code/headers.sh \
	tests/code/includes.sh \
	tests/code/install.sh \
	tests/code/listed.sh \
	tests/code/manual-lists-every-ctl-command.sh \
	tests/code/manual-lists-every-img-command.sh \
	tests/code/manual-lists-every-io-command.sh \
	tests/code/manual-lists-every-option.sh \
	tests/code/manual-lists-every-plugin-key.sh \
	tests/code/manual-lists-every-qmp-command.py \
	tests/code/manual-names-every-function.sh \
	tests/code/shell.sh \
	tests/code/spelling.sh \
	tests/code/style.sh \
	tests/code/systemd-units.sh

# What --metrics tells.
metrics_tests = \
	tests/server/metrics-count-what-clients-do.py \
	tests/server/metrics-over-http.py
metrics_code_tests = \
	tests/code/metrics-are-documented.py
# Everything at once, which reads metrics, too.
soak_tests = \
	tests/server/live-control-soak.sh
if HAVE_MICROHTTPD
server_tests += $(metrics_tests)
code_tests += $(metrics_code_tests)
if !SANITIZED
server_tests += $(soak_tests)
endif
endif

TESTS += $(lib_tests) $(example_tests) $(protocol_tests) $(server_tests) $(plugin_tests)
# The source is the same in every build; and where one thread works, no other gets in its way.
if !SANITIZED
TESTS += $(code_tests) $(preload_tests)
endif
if !TSAN
TESTS += $(image_tests) $(power_cut_tests) $(fuzz_tests) $(tools_tests) $(coroutine_tests) \
	$(conversation_tests)
endif
check_PROGRAMS += $(lib_tests)

# tests/run asks it what this machine can do.
check_PROGRAMS += tests/has-engine
tests_has_engine_LDADD = libblkbackend.la
tests_has_engine_LDFLAGS = $(AM_LDFLAGS) -no-install

# Tests ask it to check an image.
check_PROGRAMS += tests/check-image
tests_check_image_LDADD = libblkbackend.la $(JANSSON_LIBS)
tests_check_image_LDFLAGS = $(AM_LDFLAGS) -no-install

# docs/contract.md names the test that proves each item; this one looks whether they ran.
contract_test = tests/code/contract-is-proven.py

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests) $(contract_test)
tests/code/contract-is-proven.log: $(unit_tests:=.log) $(lib_tests:=.log) \
	$(server_tests:.sh=.log)
endif

# Hundreds of thousands of states.
power-cut: tests/lib/qcow2-survives-power-cuts
	POWER_CUT_STATES=$${POWER_CUT_STATES:-300000} tests/lib/qcow2-survives-power-cuts
.PHONY: power-cut

# A minute of it with each event engine.
soak:
	STORM_SECONDS=60 $(MAKE) check TESTS=tests/lib/storm
.PHONY: soak

# An hour of a server's life under control, or SOAK_SECONDS; SEED=... does the same again.
soak-control: nbd-export
	SOAK_SECONDS=$${SOAK_SECONDS:-3600} NBD_EXPORT='$(abs_top_builddir)/nbd-export' \
		$(PYTHON3) -B $(top_srcdir)/tests/soak/live-control.py
.PHONY: soak-control

EXTRA_DIST += $(image_tests) tests/lib/imagetest.py $(example_tests) $(fuzz_tests) \
	$(protocol_tests) $(conversation_tests) $(coroutine_tests) $(server_tests) $(preload_tests) $(tools_tests) $(plugin_tests) $(guest_tests) \
	$(code_tests) $(contract_test) $(metrics_tests) $(metrics_code_tests) $(soak_tests) tests/code/header-symbols tests/functions.sh \
	tests/guest/guest.sh \
	tests/guest/in-guest.sh \
	tests/guest/init \
	tests/guest/make-guest.sh \
	tests/guest/serve-nbdkit.py \
	tests/metricstest.py tests/nbdtest.py tests/plugin/common.sh tests/protocol/rawnbd.py \
	tests/qmptest.py \
	tests/protocol/controlled.py \
	tests/protocol/qsd.py \
	tests/protocol/rawtls.py \
	tests/protocol/reloading.py \
	tests/server/common.sh \
	tests/server/nbd-common.sh \
	tests/server/qcow2-common.sh \
	tests/server/qcow2damage.py \
	tests/server/tls-common.sh \
	tests/server/twohosts.py \
	tests/soak/live-control.py \
	tests/soak/soakactions.py \
	tests/soak/soakclients.py \
	tests/soak/tolerant-client.py \
	tests/tools/common.sh \
	tests/tools/ctltest.py \
	tests/tools/imageactions.py \
	tests/tools/img-side-by-side.sh \
	tests/tools/shadowedimage.py \
	tests/tools/twotools.py \
	tests/run tests/tsan.supp tests/unit/blk-test.h tests/unit/blkdebug-test.h tests/unit/driver-test.h \
	tests/unit/graph-test.h tests/unit/qcow2-test.h tests/unit/stepped-clock.h tests/unit/testfmt.h \
	tests/unit/unit.h

# For every program that says nothing else: the unit tests.
LDADD = $(libblkbackend_la_OBJECTS) $(libblkbackend_la_LIBADD) $(CMOCKA_LIBS)

TEST_EXTENSIONS = .sh .py
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
PY_LOG_DRIVER = $(LOG_DRIVER)
LOG_COMPILER = $(BASH) $(top_srcdir)/tests/run
SH_LOG_COMPILER = $(LOG_COMPILER)
PY_LOG_COMPILER = $(LOG_COMPILER)
AM_TESTS_ENVIRONMENT = \
	NBD_EXPORT='$(abs_top_builddir)/nbd-export'; export NBD_EXPORT; \
	abs_top_srcdir='$(abs_top_srcdir)'; export abs_top_srcdir; \
	abs_top_builddir='$(abs_top_builddir)'; export abs_top_builddir; \
	CC='$(CC)'; export CC; \
	PYTHON3='$(PYTHON3)'; export PYTHON3; \
	SANITIZERS='$(SANITIZERS)'; export SANITIZERS; \
	unset ENGINE;
