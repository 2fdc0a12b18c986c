# SPDX-License-Identifier: LGPL-2.1-or-later
# make bench: nbd-export beside its peers.  BENCHFLAGS="--rounds=9 --format=qcow2" and the like.

noinst_PROGRAMS += bench/nbdload

bench_nbdload_SOURCES = \
	bench/load-connect.c \
	bench/load-hist.c \
	bench/load-hist.h \
	bench/load-modes.c \
	bench/load-proc.c \
	bench/load-proc.h \
	bench/load-reply.c \
	bench/load-request.c \
	bench/load-verify.c \
	bench/load.h \
	bench/nbdload.c
bench_nbdload_LDADD =

EXTRA_DIST += bench/run bench/throttle-accuracy

.PHONY: bench
bench: bench/nbdload nbd-export $(plugin_LTLIBRARIES)
	NBD_EXPORT='$(abs_top_builddir)/nbd-export' NBDLOAD='$(abs_top_builddir)/bench/nbdload' \
	    $(PYTHON3) $(top_srcdir)/bench/run $(BENCHFLAGS)

# Do limits hold to the percent?  THROTTLEFLAGS="--secs=3 --rows=iops" and the like.
.PHONY: bench-throttle
bench-throttle: bench/nbdload nbd-export
	NBD_EXPORT='$(abs_top_builddir)/nbd-export' NBDLOAD='$(abs_top_builddir)/bench/nbdload' \
	    $(PYTHON3) $(top_srcdir)/bench/throttle-accuracy $(THROTTLEFLAGS)
