# SPDX-License-Identifier: MIT
# The pin protocol in Promela: `make check` searches what takes a minute.

UNIT_TESTS += tests/model/check
tests/model/check: ;

.PHONY: model
model: ## Check the model of the pin protocol, deeper than make check does (minutes)
	@tests/model/check --deep
