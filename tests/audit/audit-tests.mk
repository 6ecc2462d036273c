# SPDX-License-Identifier: MIT
# alias-audit, with sanitizers, on machines that never ran.

UNIT_TESTS += tests/audit/test-audit
tests/audit/test-audit: $(B)/tests/alias-audit-san
