#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs in a virtual machine whose kernel is booted with lockdown=integrity: mda works, and says why it does not once the
# kernel is locked down for confidentiality as well.
# shellcheck source=SCRIPTDIR/lab.sh
. /lab/lab.sh

lockdown=/sys/kernel/security/lockdown
enable() { run mda enable --unknown fast --config /etc/oncn-mda/oncn-mda.conf --cgroup /sys/fs/cgroup; }

grep -q '\[integrity\]' $lockdown || fail "not locked down for integrity: $(cat $lockdown)"
nonblocking 4 0 8 0 2000 levels >traffic.log 2>&1 &
traffic=$!
usleep 500000
# shellcheck disable=SC3044 # the function
enable >mda.log 2>&1
grep -q '8 open connections adopted' mda.log || fail "mda enable: said $(cat mda.log)"
sleep 1
run mda status >status
messages=$(sed -n 's/^redirected: messages *//p' status | tr -d ,)
[ "$messages" -gt 100 ] || fail "lockdown=integrity: $(cat status)"
run mda disable
kill -TERM $traffic && wait $traffic || fail "connections broke: $(cat traffic.log)"
report "lockdown=integrity: $messages messages redirected"

# The level can only rise, which a boot with lockdown=confidentiality does as well.
echo confidentiality >$lockdown
refuses 'the kernel is locked down for confidentiality .*; boot with lockdown=integrity or none' \
	mda enable --cgroup /sys/fs/cgroup
# A container has no securityfs.
umount /sys/kernel/security
refuses 'no bpf_probe_read_kernel in sockops, sk_msg and tc programs \(.*locked down for confidentiality refuses it: boot with lockdown=integrity or none\)' \
	mda enable --cgroup /sys/fs/cgroup
[ -z "$(ls /sys/fs/bpf)" ] || fail "left on bpffs: $(find /sys/fs/bpf)"
report 'lockdown=confidentiality: refused, with the reason'
