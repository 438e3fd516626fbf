#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# The first process of the virtual machine: mounts what a host has mounted, runs /command in /lab, writes its exit
# code to the second serial port ($reports, if the kernel's command line has it) and ends the machine.
export PATH=/lab:/bin HOME=/root TERM=${TERM:-linux}
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t securityfs securityfs /sys/kernel/security
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
ip link set lo up
stty -F "${reports:-/dev/ttyS1}" raw
cd /lab || exit
setsid cttyhack sh /command
echo "exit $?" >"${reports:-/dev/ttyS1}"
poweroff -f
