#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the virtual machine: sockets that are the kernel's, or are given to it, stay outside or leave. It needs modules of
# that kernel, which its package has, unpacked: kcm may be missing (Debian's 5.10 has none).
#
#   run.sh 6.1 --with nbd.ko --with ib_core.ko --with smc.ko --with kcm.ko -- /lab/given.sh

# shellcheck source=SCRIPTDIR/lab.sh
. /lab/lab.sh

number() { tr -d ' \n' <status.json | sed -n "s/.*\"$1\":{[^{}]*\"$2\":\([0-9]*\).*/\1/p"; }

count() {
	timeout 60 mda status -o json >status.json || fail "mda status: exit code $?"
	paired=$(number connections paired)
	adopted=$(number connections adopted)
	messages=$(number redirected messages)
	refused=$(number refused kernel_socket)
	left=$(($(number left by_habit) + $(number left with_peer)))
	found="$1: $paired paired, $adopted adopted, $messages messages redirected, kernel_socket $refused, $left sockets left"
}

is_ready_or_gone() { grep -q ready mda.log || ! kill -0 $mda 2>/dev/null; }
has_done() { [ "$(grep -c 'done' $1.log)" -ge "$2" ]; }

# A program that is told to go on by a line in the pipe NAME.
begin() { # $1 name, $2 what, $3 the pipe's descriptor
	mkfifo "$1"
	given "$2" <"$1" >"$1.log" 2>&1 &
	eval "$1=\$!"
	eval "exec $3>$1" # opens once `given` has it open
	within 20 has_done "$1" 1 || fail "given $2: $(cat "$1.log")"
}

dmesg -c >/dev/null
for module in nbd ib_core smc; do
	insmod /lab/$module.ko || fail "Cannot load $module"
done
if [ -e /lab/kcm.ko ]; then
	insmod /lab/kcm.ko || fail 'Cannot load kcm'
	begin kcm kcm 3
else
	report 'without kcm'
fi
begin older_smc smc 4
MDA_UNKNOWN=fast mda run --sockets all --config /etc/oncn-mda/oncn-mda.conf --cgroup /sys/fs/cgroup >mda.log 2>&1 &
mda=$!
within 60 is_ready_or_gone || fail 'mda run: not ready within 60 s'
sleep 5
echo >&4
if [ -e /lab/kcm.ko ]; then
	echo >&3
	within 20 has_done kcm 2 || fail "kcm: $(cat kcm.log)"
fi
within 20 has_done older_smc 2 || fail "smc: $(cat older_smc.log)"
count 'kcm and smc, older'
report "$found"
[ $paired -eq 0 ] && [ $adopted -eq 0 ] && [ $messages -eq 0 ] || fail "$found"
grep -q counts status.json && fail 'a socket of KCM is taken for one in a sockmap'

begin smc smc 5
sleep 3
echo >&5
within 20 has_done smc 2 || fail "smc: $(cat smc.log)"
count smc
report "$found"
[ $paired -eq 0 ] && [ $adopted -eq 0 ] && [ $messages -eq 0 ] && [ $refused -gt 0 ] || fail "$found"

begin nbd nbd 6
sleep 3
count nbd
report "$found"
[ $paired -eq 1 ] && [ $messages -gt 20 ] && [ $left -eq 2 ] || fail "$found"
echo >&6
# shellcheck disable=SC2154 # set by begin
wait $nbd || fail "nbd: $(cat nbd.log)"
exec 3>&- 4>&- 5>&-
kill -TERM $mda
wait $mda || fail "mda run: exit code $? after SIGTERM"
warnings=$(dmesg | grep -E 'WARNING: |BUG: ' | grep -v 'soft lockup')
[ -z "$warnings" ] || fail "the kernel warns: $warnings"
