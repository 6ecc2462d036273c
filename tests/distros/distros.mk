# SPDX-License-Identifier: MIT
# The README's commands in new roots of the distributions that it names.

.PHONY: distros
distros: ## Both commands in new roots of Debian 12, 13 and Ubuntu 24.04 (DISTRO=bookworm|trixie|noble: one)
	@tests/distros/run $(DISTRO)
