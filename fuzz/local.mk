# SPDX-License-Identifier: LGPL-2.1-or-later
# Fuzz targets.  In every build they are programs that replay files; with --enable-fuzzers they are
# libFuzzer's.  `make fuzz` makes such a build and runs each for FUZZ_SECONDS.

fuzz_targets = \
	fuzz/fuzz-qcow2
check_PROGRAMS += $(fuzz_targets)

fuzz_fuzz_qcow2_SOURCES = fuzz/fuzz-qcow2.c fuzz/fuzz.h fuzz/qcow2-target.h fuzz/qcow2-upkeep.c \
	tests/ram-file.c tests/ram-file.h
fuzz_fuzz_qcow2_LDADD = $(libblkbackend_la_OBJECTS) $(libblkbackend_la_LIBADD)
if FUZZERS
fuzz_fuzz_qcow2_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
fuzz_fuzz_qcow2_SOURCES += fuzz/replay.c
endif

EXTRA_DIST += fuzz/corpus fuzz/qcow2.dict fuzz/make-qcow2-corpus.sh fuzz/run.sh

# New inputs are kept in fuzz-build/corpus; what crashed, in fuzz-build/found.
.PHONY: fuzz
fuzz:
	$(BASH) $(top_srcdir)/fuzz/run.sh '$(abs_top_srcdir)' $(fuzz_targets)
