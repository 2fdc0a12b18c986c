# SPDX-License-Identifier: LGPL-2.1-or-later
# Small programs, each the work of an afternoon.  The tests build and run them, here and against
# what `make install` installs.

example_programs = \
	examples/copy-image \
	examples/event-loop \
	examples/hot-swap \
	examples/own-driver \
	examples/throttle
check_PROGRAMS += $(example_programs)

# The tests say which event engine; a program of one's own need not.
examples_copy_image_SOURCES = examples/copy-image.c tests/choose-engine.c
examples_event_loop_SOURCES = examples/event-loop.c tests/choose-engine.c
examples_hot_swap_SOURCES = examples/hot-swap.c tests/choose-engine.c
examples_own_driver_SOURCES = examples/own-driver.c tests/choose-engine.c
examples_throttle_SOURCES = examples/throttle.c tests/choose-engine.c

examples_copy_image_LDADD = libblkbackend.la $(JANSSON_LIBS)
examples_event_loop_LDADD = libblkbackend.la $(JANSSON_LIBS)
examples_hot_swap_LDADD = libblkbackend.la $(JANSSON_LIBS)
examples_own_driver_LDADD = libblkbackend.la $(JANSSON_LIBS)
examples_throttle_LDADD = libblkbackend.la $(JANSSON_LIBS)

EXTRA_DIST += \
	examples/README.md \
	examples/prometheus/grafana-dashboard.json \
	examples/prometheus/nbd-export.rules.yml \
	examples/prometheus/prometheus.yml
