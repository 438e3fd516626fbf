#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the virtual machine: mda on the root cgroup, and the workloads before, under and after it. What it finds goes
# to the second serial port as `report` lines, its first failure as a `failed` line; everything else to the console.
set -u

report() {
	echo "report $*" >/dev/ttyS1
	echo "== $*"
}

fail() {
	echo "failed $*" >/dev/ttyS1
	{
		echo "== FAILED: $*"
		cat mda.log
		dmesg
	} >&2
	exit 1
}

run() { timeout 60 "$@" || fail "$*: exit code $?"; }

# Polls a condition every 0.2 s.
within() { # $1 seconds, $2... the condition
	local tries=$(($1 * 5))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		usleep 200000
	done
}

# A number of `mda status -o json`, in the object $1 under the name $2.
number() { sed -n "s/.*\"$1\":{[^{}]*\"$2\":\([0-9]*\).*/\1/p" status.json; }

read_status() {
	timeout 30 mda status -o json >status.text || fail "mda status: exit code $?"
	tr -d ' \n' <status.text >status.json
	paired_now=$(number connections paired)
	messages_now=$(number redirected messages)
	[ "$paired_now" ] && [ "$messages_now" ] || fail "mda status: no counters in $(cat status.json)"
}

# Runs a workload; sets `paired` and `messages` to what it added to mda's counters.
counted() {
	paired=$paired_now
	messages=$messages_now
	run "$@"
	read_status
	paired=$((paired_now - paired))
	messages=$((messages_now - messages))
}

connections=8
trips=1000

accelerated() { # $1 its name in the report, $2 IP version
	counted nonblocking "$2" 0 $connections $trips 2000
	[ $paired -eq $connections ] || fail "$1: $paired of $connections connections paired"
	[ $messages -ge $((connections * trips * 2 * 95 / 100)) ] ||
		fail "$1: $messages of $((connections * trips * 2)) messages redirected"
	report "$1: $paired of $connections paired, $messages of $((connections * trips * 2)) messages redirected"
}

left_alone() { # $1 its name in the report, $2... the workload
	name=$1
	shift
	counted "$@"
	[ $paired -eq 0 ] && [ $messages -eq 0 ] || fail "$name: $paired paired, $messages messages redirected"
}

queued() { # what `hold` of these arguments queues, bytes
	timeout 100 hold "$@" >hold.log || fail "hold $*: exit code $?"
	sed -n 's/queued \([0-9]*\) bytes.*/\1/p' hold.log
	cat hold.log >&2
}

held() { # $1 its name in the report, $2 what TCP queued, $3... arguments of `hold`
	name=$1
	tcp=$2
	shift 2
	bytes=$(queued "$@") || exit 1
	[ "$bytes" -le $((tcp * 2)) ] && [ "$bytes" -ge $((tcp / 2)) ] || fail "$name: $bytes bytes queued, on TCP $tcp"
	report "$name held at $((bytes * 100 / tcp))% of TCP"
}

is_ready_or_gone() { grep -q ready mda.log || ! kill -0 $mda 2>/dev/null; }

objects_are_gone() { bpf_objects | cmp -s - objects.before; }

echo 'sidecar:x:1337:1337::/:/bin/sh' >/etc/passwd # the owner of a rule in oncn-mda.conf
sysctl -q net.ipv4.tcp_no_metrics_save=1 # or each run would size its queues by those before it
dmesg -c >/dev/null # what it says from here on counts
run bpf_objects >objects.before
find /sys/fs/bpf >pins.before
small_on_tcp=$(queued 4 8 512) || exit 1
large_on_tcp=$(queued 6 8 8192) || exit 1

mda run --config /etc/oncn-mda/oncn-mda.conf --cgroup /sys/fs/cgroup >mda.log 2>&1 &
mda=$!
within 60 is_ready_or_gone || fail 'mda run: not ready within 60 s'
kill -0 $mda 2>/dev/null || fail 'mda run: gone before it was ready'
report "$(grep ready mda.log)"
read_status

accelerated IPv4 4
accelerated IPv6 6
held 'small messages' "$small_on_tcp" 4 8 512
held 'large messages' "$large_on_tcp" 6 8 8192
read_status

sysctl -q net.ipv4.tcp_syncookies=2
accelerated 'SYN cookies, IPv4' 4
accelerated 'SYN cookies, IPv6' 6
sysctl -q net.ipv4.tcp_syncookies=1

left_alone 'blocking sockets' blocking 4 2 100 1000
left_alone 'a port with a RETURN rule' nonblocking 4 4001 $connections 10 100
left_alone 'an owner with a RETURN rule' \
	su sidecar -c "/lab/nonblocking 6 0 $connections 10 100"
report 'blocking sockets and RETURN rules left to TCP'

# A stop amid traffic: the connections live on, and nothing of mda holds on to them.
nonblocking 4 0 $connections 0 2000 >traffic.log 2>&1 &
traffic=$!
usleep 500000
kill -TERM $mda
wait $mda || fail "mda run: exit code $? after SIGTERM"
within 20 objects_are_gone || fail "left in the kernel: $(bpf_objects | grep -vxFf objects.before | tr '\n' ',')"
find /sys/fs/bpf | cmp -s - pins.before || fail "left on bpffs: $(find /sys/fs/bpf | tr '\n' ' ')"
kill -TERM $traffic || fail "connections did not outlive mda: $(cat traffic.log)"
wait $traffic || fail "connections broke when mda stopped: $(cat traffic.log)"
timeout 30 mda status >status.text && fail "mda status after the stop: exit code 0"
report "stopped clean ($(cat traffic.log))"

warnings=$(dmesg | grep -E 'WARNING: |BUG: ' | grep -v 'soft lockup') # QEMU on a busy host is slow, not locked up
[ -z "$warnings" ] || fail "the kernel warns: $warnings"
