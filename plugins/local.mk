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

# The same to try in the build folder, .libs/nbdkit-blkbackend-plugin.so: while `make install` runs,
# libtool links the other one again, and it is gone for a moment.
noinst_LTLIBRARIES += nbdkit-blkbackend-plugin.la
nbdkit_blkbackend_plugin_la_SOURCES = $(plugins_nbdkit_blkbackend_plugin_la_SOURCES)
nbdkit_blkbackend_plugin_la_CFLAGS = $(plugins_nbdkit_blkbackend_plugin_la_CFLAGS)
nbdkit_blkbackend_plugin_la_LDFLAGS = $(plugins_nbdkit_blkbackend_plugin_la_LDFLAGS) \
	-rpath /nowhere
nbdkit_blkbackend_plugin_la_LIBADD = $(plugins_nbdkit_blkbackend_plugin_la_LIBADD)
endif
