# SPDX-License-Identifier: LGPL-2.1-or-later
# libblkbackend: the shared library, its public headers, its pkg-config file.

lib_LTLIBRARIES += libblkbackend.la

blkbackenddir = $(includedir)/blkbackend
blkbackend_HEADERS = \
	include/blkbackend/accounting.h \
	include/blkbackend/aio.h \
	include/blkbackend/block-backend.h \
	include/blkbackend/block-driver.h \
	include/blkbackend/coroutine.h \
	include/blkbackend/dirty-bitmap.h \
	include/blkbackend/error.h \
	include/blkbackend/image.h \
	include/blkbackend/job.h \
	include/blkbackend/iov.h \
	include/blkbackend/notify.h \
	include/blkbackend/qdict.h \
	include/blkbackend/throttle.h

libblkbackend_la_SOURCES = \
	lib/util/clock.c \
	lib/util/error.c \
	lib/util/iov.c \
	lib/util/memory.c \
	lib/util/notify.c \
	lib/util/options.c \
	lib/util/options.h \
	lib/util/qdict.c \
	lib/util/thread.c \
	lib/util/thread.h \
	lib/aio/aio-int.h \
	lib/aio/bh.c \
	lib/aio/colock.c \
	lib/aio/context-lock.c \
	lib/aio/context.c \
	lib/aio/coroutine-int.h \
	lib/aio/coroutine-switch.h \
	lib/aio/coroutine.c \
	lib/aio/engine-epoll.c \
	lib/aio/file-io.c \
	lib/aio/file-io.h \
	lib/aio/thread-pool.c \
	lib/aio/timer.c \
	lib/drivers/blkdebug-breaks.c \
	lib/drivers/blkdebug-log.c \
	lib/drivers/blkdebug-rules.c \
	lib/drivers/blkdebug.c \
	lib/drivers/blkdebug.h \
	lib/drivers/create-in-place.c \
	lib/drivers/create-in-place.h \
	lib/drivers/file-create.c \
	lib/drivers/file-limits.c \
	lib/drivers/file-lock.c \
	lib/drivers/file-map.c \
	lib/drivers/file-rw.c \
	lib/drivers/file-space.c \
	lib/drivers/file.c \
	lib/drivers/file.h \
	lib/drivers/foreign.c \
	lib/drivers/memory.c \
	lib/drivers/null.c \
	lib/drivers/qcow2/alloc.c \
	lib/drivers/qcow2/amend.c \
	lib/drivers/qcow2/bitmap-directory.c \
	lib/drivers/qcow2/bitmap.c \
	lib/drivers/qcow2/cache-clean.c \
	lib/drivers/qcow2/cache.c \
	lib/drivers/qcow2/check-bitmaps.c \
	lib/drivers/qcow2/check-copied.c \
	lib/drivers/qcow2/check-counts.c \
	lib/drivers/qcow2/check-rebuild.c \
	lib/drivers/qcow2/check-refcounts.c \
	lib/drivers/qcow2/check-snapshots.c \
	lib/drivers/qcow2/check-tables.c \
	lib/drivers/qcow2/check.c \
	lib/drivers/qcow2/check.h \
	lib/drivers/qcow2/cluster.c \
	lib/drivers/qcow2/compress.c \
	lib/drivers/qcow2/create-options.c \
	lib/drivers/qcow2/create.c \
	lib/drivers/qcow2/empty.c \
	lib/drivers/qcow2/expand-zero.c \
	lib/drivers/qcow2/header-write.c \
	lib/drivers/qcow2/header.c \
	lib/drivers/qcow2/info.c \
	lib/drivers/qcow2/io.c \
	lib/drivers/qcow2/layout.c \
	lib/drivers/qcow2/measure.c \
	lib/drivers/qcow2/options.c \
	lib/drivers/qcow2/overlap.c \
	lib/drivers/qcow2/preallocate.c \
	lib/drivers/qcow2/qcow2.c \
	lib/drivers/qcow2/qcow2.h \
	lib/drivers/qcow2/reclaim.c \
	lib/drivers/qcow2/refcount-width.c \
	lib/drivers/qcow2/refcount.c \
	lib/drivers/qcow2/resize.c \
	lib/drivers/qcow2/snapshot-create.c \
	lib/drivers/qcow2/snapshot-delete.c \
	lib/drivers/qcow2/snapshot-goto.c \
	lib/drivers/qcow2/snapshot.c \
	lib/drivers/qcow2/switch.c \
	lib/drivers/qcow2/tree.c \
	lib/drivers/qcow2/version.c \
	lib/drivers/qcow2/vmstate.c \
	lib/drivers/qcow2/write-back.c \
	lib/drivers/qcow2/write.c \
	lib/drivers/qcow2/zero.c \
	lib/drivers/raw.c \
	lib/graph/backing.c \
	lib/graph/block-status.c \
	lib/graph/blockers.c \
	lib/graph/commit.c \
	lib/graph/copy-on-read.c \
	lib/graph/copy-range.c \
	lib/graph/create.c \
	lib/graph/dirty-bitmap.c \
	lib/graph/dirty-bits.c \
	lib/graph/dirty-bits.h \
	lib/graph/drain.c \
	lib/graph/graph-int.h \
	lib/graph/graph.h \
	lib/graph/image.c \
	lib/graph/img-create.c \
	lib/graph/invalidate.c \
	lib/graph/io.c \
	lib/graph/node.c \
	lib/graph/open.c \
	lib/graph/options.c \
	lib/graph/registry.c \
	lib/graph/reopen.c \
	lib/graph/snapshot-overlay.c \
	lib/graph/stored-bitmaps.c \
	lib/graph/sync.c \
	lib/graph/tracker.c \
	lib/graph/transfer.c \
	lib/graph/vmstate.c \
	lib/graph/zero.c \
	lib/backend/accounting.c \
	lib/backend/aio.c \
	lib/backend/aio.h \
	lib/backend/backend.h \
	lib/backend/blk-throttle.c \
	lib/backend/block-backend.c \
	lib/backend/commit-job.c \
	lib/backend/context.c \
	lib/backend/debug.c \
	lib/backend/doors.c \
	lib/backend/drain.c \
	lib/backend/histogram.c \
	lib/backend/hooks.c \
	lib/backend/job-int.h \
	lib/backend/job.c \
	lib/backend/media.c \
	lib/backend/multiwrite.c \
	lib/backend/plug.c \
	lib/backend/policy.c \
	lib/backend/properties.c \
	lib/backend/request.c \
	lib/backend/request.h \
	lib/backend/root-state.c \
	lib/backend/snapshot.c \
	lib/backend/special.c \
	lib/backend/throttle-group.c \
	lib/backend/throttle.c \
	lib/backend/throttle.h
if HAVE_LIBNBD
libblkbackend_la_SOURCES += \
	lib/drivers/nbd-connect.c \
	lib/drivers/nbd-link.c \
	lib/drivers/nbd-options.c \
	lib/drivers/nbd-request.c \
	lib/drivers/nbd.c \
	lib/drivers/nbd.h
endif
if HAVE_LIBURING
libblkbackend_la_SOURCES += lib/aio/engine-uring.c
endif

# Without this, objects of the library and of programs would share their names.
libblkbackend_la_CFLAGS = $(AM_CFLAGS)
# Never unloaded: threads that have used it, which nobody can list, come back to it when they end.
libblkbackend_la_LDFLAGS = $(AM_LDFLAGS) $(STRICT_LDFLAGS) -no-undefined -Wl,-z,nodelete \
	-version-info $(LIBRARY_VERSION) \
	-Wl,--version-script=$(top_srcdir)/lib/libblkbackend.syms
libblkbackend_la_LIBADD = $(JANSSON_LIBS) $(LIBNBD_LIBS) $(LIBURING_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)
EXTRA_libblkbackend_la_DEPENDENCIES = lib/libblkbackend.syms
EXTRA_DIST += lib/libblkbackend.syms

pkgconfig_DATA = lib/blkbackend.pc

# Writes the list of exported symbols anew from what the public headers declare.
update-syms:
	$(AM_V_GEN)CC='$(CC)' $(SHELL) $(top_srcdir)/tests/code/header-symbols $(top_srcdir)/include \
	    | awk 'BEGIN { print "{\nglobal:" } { print "    " $$1 ";" } END { print "local:\n    *;\n};" }' \
	    >lib/libblkbackend.syms.new
	$(AM_V_at)mv lib/libblkbackend.syms.new $(top_srcdir)/lib/libblkbackend.syms
.PHONY: update-syms
