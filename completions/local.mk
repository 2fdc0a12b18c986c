# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion for bash.

bashcompdir = $(datadir)/bash-completion/completions
dist_bashcomp_DATA = completions/nbd-ctl completions/nbd-export
