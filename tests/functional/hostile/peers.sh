#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: who holds half-open connections, connections or discovery controllers without end shuts out nobody,
# from one address or from many; all counts come back to nothing
# kernels: 6.12
# timeout: 400

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
target_is_nvtgt || skip "nvmet has no bounds for a peer"
hostile_target
make_port 2 "$TGT_IP6"
link_port 2 "$OTHER"
# the other addresses of the peer; the stock host has HOST_IP
for n in $(seq 1 40); do
	ip addr add "192.0.2.$((100 + n))/32" dev host0
	ip addr add "2001:db8::100:$n/128" dev host0 nodad
done
export PEER_ADDR4=192.0.2.101 PEER_ADDR6=2001:db8::100:1 TGT_IP6
# a port that hosts reach over two links by link-local addresses
link_nets - host1 tgt1 "$HOST_IP_2" "$HOST_IP6_2" "$TGT_IP_2" "$TGT_IP6_2"
make_port 3 :: addr_trsvcid=4423
link_port 3 "$OTHER"
LINK_LOCAL=
for n in 0 1; do
	wait_for 20 in_tgt sh -c "ip -6 -o addr show dev tgt$n scope link -tentative | grep -q fe80"
	LINK_LOCAL+=" $(in_tgt ip -6 -o addr show dev tgt$n scope link | awk '{ sub("/.*", "", $4); print $4 }')%host$n"
done
export LINK_LOCAL
export PEERS=/sys/kernel/debug/$TARGET_ROOT/peers CORE_PARAMETERS=/sys/module/$TARGET_ROOT/parameters
log_mark
witness_starts
# shellcheck disable=SC2086
python3 "$TESTS/functional/hostile/peers.py" ${CASES-} || fail "peers.py: cases went wrong"
log_has 'parameter max_peer_half_open of nvtgt-tcp' || fail "the log does not say why connections ended"
witness_goes_on
nobody() { [ "$(grep -c . "$PEERS")" = 1 ]; }
wait_for 30 nobody || fail "connections are counted that are gone: $(cat "$PEERS")"
