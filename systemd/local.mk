# SPDX-License-Identifier: LGPL-2.1-or-later
# Units, installed where configure was told to: --with-systemdsystemunitdir.

unit_templates = systemd/nbd-export.service.in systemd/nbd-export@.service.in
unit_sockets = systemd/nbd-export.socket systemd/nbd-export@.socket
EXTRA_DIST += $(unit_templates) $(unit_sockets) systemd/hardening.conf

if INSTALL_UNITS
systemdsystemunit_DATA = $(unit_templates:.in=) $(unit_sockets)
CLEANFILES += $(unit_templates:.in=)

$(unit_templates:.in=): %.service: %.service.in systemd/hardening.conf
	$(AM_V_GEN)$(MKDIR_P) systemd && sed -e 's|@bindir[@]|$(bindir)|' \
		-e 's|@sysconfdir[@]|$(sysconfdir)|' -e '/^@hardening[@]/{' \
		-e 'r $(srcdir)/systemd/hardening.conf' -e 'd' -e '}' $< >$@.tmp && mv $@.tmp $@
endif
