# SPDX-License-Identifier: LGPL-2.1-or-later
# The image tools.  They use what libblkbackend exports and nothing else of it.

# What they share.
tool_sources = \
	common/cleanup.h \
	common/xalloc.h \
	tools/tool.c \
	tools/tool.h

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

# To run from the build folder: plain executables, see nbd-server/local.mk.
noinst_PROGRAMS += blk-io
blk_io_SOURCES = $(tools_blk_io_SOURCES)
blk_io_LDADD = $(tools_blk_io_LDADD)
blk_io_LDFLAGS = $(AM_LDFLAGS) -no-install
