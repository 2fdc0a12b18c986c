# SPDX-License-Identifier: LGPL-2.1-or-later
# The nbdkit plugin, on what libblkbackend exports and nothing else of it.

if HAVE_NBDKIT
plugin_LTLIBRARIES = plugins/nbdkit-blkbackend-plugin.la
plugins_nbdkit_blkbackend_plugin_la_SOURCES = \
	common/cleanup.h \
	common/option-list.c \
	common/option-list.h \
	common/xalloc.h \
	plugins/blkbackend.c \
	plugins/images.c \
	plugins/main-thread.c \
	plugins/main-thread.h \
	plugins/plugin.h \
	plugins/settings.c
plugins_nbdkit_blkbackend_plugin_la_CFLAGS = $(AM_CFLAGS)
plugins_nbdkit_blkbackend_plugin_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-export-symbols-regex '^plugin_init$$'
plugins_nbdkit_blkbackend_plugin_la_LIBADD = libblkbackend.la $(JANSSON_LIBS)
endif
