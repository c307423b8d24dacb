#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a hostile host over verbs: private data, capsules and descriptors that lie, keys that are
# not its own, more commands than fit, sudden ends; another host goes on meanwhile
# kernels: all
# variants: rdma-mr
# nightly: 6.1 rdma-mr
# timeout: 600

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_target
modprobe rdma_ucm
modprobe ib_uverbs
log_mark
witness_starts
# what comes of a timer is not taken for an answer
module_param nvtgt_rdma setup_timeout_ms 3600000
module_param nvtgt_rdma data_timeout_ms 3600000
peer=$TESTS/../.tools/usr/lib/nvtgt-tests/rdmapeer
# shellcheck disable=SC2086
"$peer" ${CASES:-private-data connects-that-differ order lengths inline-data descriptors keys too-many responses-not-taken burst aborted sudden-ends silence} ||
	fail "cases went wrong"
module_param nvtgt_rdma max_half_open 8
"$peer" half-open || fail "half-open connections"
log_has 'parameter max_half_open of nvtgt-rdma.*oldest' || fail "the log does not say why a connection ended"
module_param nvtgt_rdma max_half_open 1024
module_param nvtgt_rdma setup_timeout_ms 3000
module_param nvtgt_rdma data_timeout_ms 3000
"$peer" half-made || fail "half-made connections"
log_has 'no Connect within' || fail "the log does not say why a connection was closed"
log_has 'connection from .* refused: invalid host SQ size' || fail "the log does not say why one was refused"
witness_goes_on

only() { [ "$(grep -c . "$queues")" -le "$1" ]; }
queues=/sys/kernel/debug/nvtgt/connections
wait_for 30 only 0 || fail "connections are left: $(cat $queues)"
peers=/sys/kernel/debug/nvtgt/peers
nobody() { ! grep -q nvtgt-rdma $peers; }
wait_for 30 nobody || fail "connections are counted that are gone: $(cat $peers)"
