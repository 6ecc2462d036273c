# SPDX-License-Identifier: MIT
# $(B)/vmm-compare: runs the strategies against each other; `make compare` shows what each costs.

COMPARE_SRC := $(wildcard tests/compare/vmm_compare/*.py)

# One file that Python runs, made of all of them.
$(B)/vmm-compare: $(COMPARE_SRC)
	@mkdir -p $(@D)
	@rm -rf $(B)/compare.app
	@mkdir -p $(B)/compare.app/vmm_compare
	@cp $(COMPARE_SRC) $(B)/compare.app/vmm_compare/
	@printf 'import sys\nfrom vmm_compare.__main__ import main\nsys.exit(main())\n' \
		>$(B)/compare.app/__main__.py
	python3 -m zipapp -p '/usr/bin/env python3' -o $@ $(B)/compare.app
	@rm -rf $(B)/compare.app

.PHONY: compare compare-deps
compare: compare-deps ## Compare all strategies: costs, pictures, a page to read (COMPARE='options')
	@$(MAKE) --no-print-directory all kvm-machine $(B)/vmm-compare
	@$(B)/vmm-compare $(COMPARE)

compare-deps:
	@$(MAKE) --no-print-directory deps PACKAGES="$(PACKAGES) gnuplot-nox fonts-dejavu-core"
