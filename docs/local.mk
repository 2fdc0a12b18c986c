# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual: POD pages, made into man pages; the tarball carries both.

dist_man1_MANS += docs/nbd-export.1
EXTRA_DIST += docs/nbd-export.pod

SUFFIXES = .pod .1
.pod.1:
	$(AM_V_GEN)$(MKDIR_P) $(@D)
	$(AM_V_at)$(POD2MAN) --utf8 --errors=die --section=1 --name="$$(basename $@ .1)" --center='blkbackend' \
	    --release='$(PACKAGE_STRING)' $< $@.new
	$(AM_V_at)mv $@.new $@
MAINTAINERCLEANFILES = docs/nbd-export.1
