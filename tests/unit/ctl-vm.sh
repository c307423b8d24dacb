#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl and ports of type vfio-user: one subsystem, a socket's path, what means nothing for them

. "$(dirname "$0")/lib/ctl.sh"

sock=$tmp/sock
id=12345678-9abc-def0-1234-56789abcdef0

# listen PATH : a socket, as the daemon makes it
# err TEXT : on stderr
err() {
	checks=$((checks + 1))
	grep -qF -- "$1" "$tmp/err" || bad "no \"$1\" on stderr"
}

# silent : nothing on stderr
# path NQN SOCKET : what export chooses for it; PORT is the port's number
ports() {
	fresh
	ok "" subsystem create "${A}1" --allow-any-host
	ok "" subsystem create "${A}2" --allow-any-host
	ok "create" port create 1 --trtype vfio-user --traddr "$sock/p.sock" --hostnqn "${H}1" --hostid "$id" \
		--cpus 0 --subsystem "${A}1"
	is ports/1/addr_trtype vfio-user
	is ports/1/addr_adrfam ""
	is ports/1/addr_trsvcid ""
	is ports/1/param_hostnqn "${H}1"
	is ports/1/param_hostid "$id"
	is ports/1/param_cpus 0
	has "ports/1/subsystems/${A}1"
	no 1 "one of type vfio-user has one subsystem" port link 1 "${A}2"
	hasnt "ports/1/subsystems/${A}2"
	ok "the same again" port link 1 "${A}1"
	no 1 "one of type vfio-user has one subsystem" port create 2 --trtype vfio-user --traddr "$sock/q.sock" \
		--subsystem "${A}1" --subsystem "${A}2"
	hasnt ports/2
	no 1 "unlink all subsystems" port set 1 hostnqn="${H}2"
	for o in "--adrfam ipv4" "--trsvcid 4420" "--treq required" "--tsas none" "--inline-data-size 0"; do
		# shellcheck disable=SC2086 # an option and its argument
		no 2 "${o% *} means nothing for vfio-user" port create 2 --trtype vfio-user --traddr /run/q $o
	done
	no 2 "where shall its socket be" port create 2 --trtype vfio-user
	no 2 "the absolute path of a socket" port create 2 --trtype vfio-user --traddr q.sock
	no 2 "the absolute path of a socket" port create 2 trtype=vfio-user --traddr 0.0.0.0
	no 2 "a UUID is needed" port create 2 --trtype vfio-user --traddr /run/q --hostid 1
	no 2 "--hostid is for --trtype vfio-user" port create 2 --traddr 0.0.0.0 --hostid "$id"
	no 2 "no discovery service is behind a socket" referral create 1 r --trtype vfio-user --traddr /run/q
	hasnt ports/2
	ok "by pairs" port create 2 trtype=vfio-user --traddr "$sock/q.sock"
	is ports/2/addr_adrfam ""
	is ports/2/addr_trsvcid ""
	no 1 "addr_traddr=q.sock: the absolute path" port set 2 traddr=q.sock
	no 1 "no blanks" port set 2 traddr="/run/a b"
	is ports/2/addr_traddr "$sock/q.sock"
	ok "upper case is another file" port set 2 traddr="$sock/Q.sock"
	is ports/2/addr_traddr "$sock/Q.sock"
	# from one type to the other
	ok "to tcp" port set 2 trtype=tcp traddr=0.0.0.0 adrfam=ipv4 trsvcid=4420
	no 1 "addr_traddr=0.0.0.0: the absolute path" port set 2 trtype=vfio-user
	err "can be set by one command"
	is ports/2/addr_trtype tcp
	ok "and back" port set 2 traddr="$sock/q.sock" trtype=vfio-user
	# what is left of it is not shown
	ok "" port show 2
	checks=$((checks + 1))
	! grep -qE 'adrfam|trsvcid|tsas|netns' "$tmp/out" || bad "attributes that mean nothing are shown"
	NVTGT_FAKE_LINK=19 no 1 "try modprobe nvtgt-vfu" port link 2 "${A}1"
	NVTGT_FAKE_LINK=98 no 1 "another port has this socket" port link 2 "${A}1"
	ok "completion" completion -- port create --trtype
	out vfio-user
	ok "completion" completion -- export --trtype
	out vfio-user
	ok "completion" completion -- referral create --trtype
	out rdma
	checks=$((checks + 1))
	! grep -q vfio-user "$tmp/out" || bad "a referral of type vfio-user"
	ok "" port create 3 --traddr ::
	NVTGT_FAKE_LINK=19 no 1 "try modprobe nvtgt-tcp" port link 3 "${A}1"
}

# the daemon makes the socket of a port that is linked
# Killed before each change in turn; the same command afterwards finishes.
run_parts ports
