# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual: POD pages, made into man pages; the tarball carries both.

dist_man1_MANS += docs/blk-img.1 docs/blk-io.1 docs/nbd-ctl.1 docs/nbd-export.1 \
	docs/nbdkit-blkbackend-plugin.1
# The library: a page a group of functions.
dist_man3_MANS = \
	docs/blk_aio.3 \
	docs/blk_bitmap.3 \
	docs/blk_co.3 \
	docs/blk_context.3 \
	docs/blk_driver.3 \
	docs/blk_errors.3 \
	docs/blk_helpers.3 \
	docs/blk_image.3 \
	docs/blk_job.3 \
	docs/blk_media.3 \
	docs/blk_new.3 \
	docs/blk_read.3 \
	docs/blk_stats.3 \
	docs/blk_throttle.3 \
	docs/libblkbackend.3
dist_man5_MANS = docs/nbd-export.conf.5
dist_man7_MANS = docs/nbd-export-qmp.7
EXTRA_DIST += docs/blkdebug.md docs/compared.md docs/contract.md docs/mounting.md docs/nbd.md \
	docs/qcow2.md \
	$(dist_man1_MANS:.1=.pod) $(dist_man3_MANS:.3=.pod) $(dist_man5_MANS:.5=.pod) \
	$(dist_man7_MANS:.7=.pod)

make_page = $(MKDIR_P) $(@D) && page=$$(basename $@) && \
	$(POD2MAN) --utf8 --errors=die --name="$${page%.*}" --section="$${page\#\#*.}" \
	    --center='blkbackend' --release='$(PACKAGE_STRING)' $< $@.new && \
	mv $@.new $@

SUFFIXES = .pod .1 .3 .5 .7
.pod.1:
	$(AM_V_GEN)$(make_page)
.pod.3:
	$(AM_V_GEN)$(make_page)
.pod.5:
	$(AM_V_GEN)$(make_page)
.pod.7:
	$(AM_V_GEN)$(make_page)
MAINTAINERCLEANFILES = $(dist_man1_MANS) $(dist_man3_MANS) $(dist_man5_MANS) $(dist_man7_MANS)
