# SPDX-License-Identifier: GPL-2.0
"""A raw NVMe/TCP initiator for tests: every field of every PDU is the caller's."""
