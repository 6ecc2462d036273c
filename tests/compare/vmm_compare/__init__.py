# SPDX-License-Identifier: MIT
"""Compares the strategies of the guest, see tests/compare/SCHEMA.md."""
