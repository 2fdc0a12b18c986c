# SPDX-License-Identifier: LGPL-2.1-or-later
# The image tools.  They use what libblkbackend exports and nothing else of it.

# What they share.
tool_sources = \
	common/cleanup.h \
	common/xalloc.h \
	tools/tool-nested.c \
	tools/tool-size.c \
	tools/tool.c \
	tools/tool.h

bin_PROGRAMS += tools/blk-img
tools_blk_img_SOURCES = \
	$(tool_sources) \
	common/image-info.c \
	common/image-info.h \
	tools/img-amend.c \
	tools/img-bench.c \
	tools/img-bitmap.c \
	tools/img-check.c \
	tools/img-commit.c \
	tools/img-compare.c \
	tools/img-convert.c \
	tools/img-copy-bitmaps.c \
	tools/img-copy.c \
	tools/img-copy.h \
	tools/img-create.c \
	tools/img-dd.c \
	tools/img-info.c \
	tools/img-json.c \
	tools/img-main.c \
	tools/img-map.c \
	tools/img-measure.c \
	tools/img-new.c \
	tools/img-open.c \
	tools/img-options.c \
	tools/img-progress.c \
	tools/img-rebase.c \
	tools/img-resize.c \
	tools/img-show-snapshot.c \
	tools/img-snapshot.c \
	tools/img-table.c \
	tools/img.h
tools_blk_img_LDADD = libblkbackend.la $(JANSSON_LIBS) -lm

# To run from the build folder, as nbd-export.
noinst_PROGRAMS += blk-img
blk_img_SOURCES = $(tools_blk_img_SOURCES)
blk_img_LDADD = $(tools_blk_img_LDADD)
blk_img_LDFLAGS = $(AM_LDFLAGS) -no-install

bin_PROGRAMS += tools/blk-io
tools_blk_io_SOURCES = $(tool_sources) \
	tools/io-aio.c \
	tools/io-commands.c \
	tools/io-data.c \
	tools/io-debug.c \
	tools/io-image.c \
	tools/io-main.c \
	tools/io-options.c \
	tools/io-prompt.c \
	tools/io-range.c \
	tools/io-report.c \
	tools/io-rw.c \
	tools/io.h
tools_blk_io_LDADD = libblkbackend.la $(JANSSON_LIBS)

# To run from the build folder, as nbd-export.
noinst_PROGRAMS += blk-io
blk_io_SOURCES = $(tools_blk_io_SOURCES)
blk_io_LDADD = $(tools_blk_io_LDADD)
blk_io_LDFLAGS = $(AM_LDFLAGS) -no-install

bin_PROGRAMS += tools/nbd-ctl
tools_nbd_ctl_SOURCES = $(tool_sources) \
	common/edit-distance.c \
	common/edit-distance.h \
	common/utf8.h \
	tools/ctl-args.c \
	tools/ctl-call.c \
	tools/ctl-clients.c \
	tools/ctl-commit.c \
	tools/ctl-events.c \
	tools/ctl-export.c \
	tools/ctl-jobs.c \
	tools/ctl-main.c \
	tools/ctl-media.c \
	tools/ctl-oob.c \
	tools/ctl-progress.c \
	tools/ctl-qmp.c \
	tools/ctl-rates.c \
	tools/ctl-report.c \
	tools/ctl-screen.c \
	tools/ctl-server.c \
	tools/ctl-snapshot.c \
	tools/ctl-status.c \
	tools/ctl-table.c \
	tools/ctl-text.c \
	tools/ctl-throttle.c \
	tools/ctl-top.c \
	tools/ctl.h
tools_nbd_ctl_LDADD = libblkbackend.la $(JANSSON_LIBS)

# To run from the build folder, as nbd-export.
noinst_PROGRAMS += nbd-ctl
nbd_ctl_SOURCES = $(tools_nbd_ctl_SOURCES)
nbd_ctl_LDADD = $(tools_nbd_ctl_LDADD)
nbd_ctl_LDFLAGS = $(AM_LDFLAGS) -no-install
