# SPDX-License-Identifier: LGPL-2.1-or-later
# The image tools.  They use what libblkbackend exports and nothing else of it.

# What they share.
tool_sources = \
	common/cleanup.h \
	common/xalloc.h \
	tools/tool.c \
	tools/tool.h
