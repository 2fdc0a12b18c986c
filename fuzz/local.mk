# SPDX-License-Identifier: LGPL-2.1-or-later
# Fuzz targets.  In every build they are programs that replay files; with --enable-fuzzers they are
# libFuzzer's.  `make fuzz` makes such a build and runs each for FUZZ_SECONDS.

fuzz_targets = \
	fuzz/fuzz-config \
	fuzz/fuzz-handshake \
	fuzz/fuzz-qcow2 \
	fuzz/fuzz-qmp \
	fuzz/fuzz-transmission
check_PROGRAMS += $(fuzz_targets)

fuzz_fuzz_qcow2_SOURCES = fuzz/fuzz-qcow2.c fuzz/fuzz.h fuzz/qcow2-target.h fuzz/qcow2-upkeep.c \
	tests/ram-file.c tests/ram-file.h
fuzz_fuzz_qcow2_LDADD = $(libblkbackend_la_OBJECTS) $(libblkbackend_la_LIBADD)

fuzz_server_sources = fuzz/fuzz.h fuzz/server-target.c fuzz/server-target.h $(nbd_core_sources)
fuzz_server_libs = $(libblkbackend_la_OBJECTS) $(libblkbackend_la_LIBADD) $(nbd_core_libs)

fuzz_fuzz_config_SOURCES = fuzz/fuzz-config.c $(fuzz_server_sources)
fuzz_fuzz_config_LDADD = $(fuzz_server_libs)

fuzz_fuzz_handshake_SOURCES = fuzz/fuzz-handshake.c $(fuzz_server_sources)
fuzz_fuzz_handshake_LDADD = $(fuzz_server_libs)

fuzz_fuzz_qmp_SOURCES = fuzz/fuzz-qmp.c $(fuzz_server_sources)
fuzz_fuzz_qmp_LDADD = $(fuzz_server_libs)

fuzz_fuzz_transmission_SOURCES = fuzz/fuzz-transmission.c $(fuzz_server_sources)
fuzz_fuzz_transmission_LDADD = $(fuzz_server_libs)

if FUZZERS
fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
fuzz_fuzz_handshake_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
fuzz_fuzz_qcow2_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
fuzz_fuzz_qmp_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
fuzz_fuzz_transmission_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
fuzz_fuzz_config_SOURCES += fuzz/replay.c
fuzz_fuzz_handshake_SOURCES += fuzz/replay.c
fuzz_fuzz_qcow2_SOURCES += fuzz/replay.c
fuzz_fuzz_qmp_SOURCES += fuzz/replay.c
fuzz_fuzz_transmission_SOURCES += fuzz/replay.c
endif

EXTRA_DIST += fuzz/config.dict fuzz/corpus fuzz/handshake.dict fuzz/make-nbd-corpus.py \
	fuzz/make-qcow2-corpus.sh fuzz/make-qmp-corpus.py fuzz/qcow2.dict fuzz/qmp.dict fuzz/run.sh fuzz/transmission.dict

# New inputs are kept in fuzz-build/corpus; what crashed, in fuzz-build/found.
.PHONY: fuzz
fuzz:
	$(BASH) $(top_srcdir)/fuzz/run.sh '$(abs_top_srcdir)' $(fuzz_targets)
