#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the virtual machine: mda on the root cgroup, and the workloads before, under and after it; the cases of
# tests/differential and the torture's checker under it.

# shellcheck source=SCRIPTDIR/lab.sh
. /lab/lab.sh
# shellcheck source=SCRIPTDIR/cases.sh
. /lab/cases.sh

# A number of `mda status -o json`, in the object $1 under the name $2.
number() { tr -d ' \n' <status.json | sed -n "s/.*\"$1\":{[^{}]*\"$2\":\([0-9]*\).*/\1/p"; }

# Sets `paired`, `adopted` and `messages` to what mda has counted since the last call, or since a start by `begin`. mda
# takes seconds of emulated CPU to start: seldom is better.
count() {
	timeout 60 mda status -o json >status.json || fail "mda status: exit code $?"
	paired_now=$(number connections paired)
	adopted_now=$(number connections adopted)
	messages_now=$(number redirected messages)
	[ "$paired_now" ] && [ "$adopted_now" ] && [ "$messages_now" ] ||
		fail "mda status: no counters in $(cat status.json)"
	paired=$((paired_now - paired_before))
	adopted=$((adopted_now - adopted_before))
	messages=$((messages_now - messages_before))
	paired_before=$paired_now
	adopted_before=$adopted_now
	messages_before=$messages_now
}

begin() {
	paired_before=0
	adopted_before=0
	messages_before=0
}

queued() { # what `hold` of these arguments queues, bytes
	timeout 300 hold "$@" >hold.log || fail "hold $*: exit code $?"
	cat hold.log >&2
	sed -n 's/queued \([0-9]*\) bytes.*/\1/p' hold.log
}

held() { # $1 its name in the report, $2 what TCP queued, $3... arguments of `hold`
	name=$1
	tcp=$2
	shift 2
	before=$(redirected)
	bytes=$(queued "$@") || exit 1
	[ "$(redirected)" -gt "$before" ] || fail "$name: none was redirected"
	# Less than TCP is fine to a degree: redirected bytes do not grow the congestion window, and by it the send buffer
	# (tcp_sndbuf_expand).
	[ "$bytes" -le $((tcp * 2)) ] && [ "$bytes" -ge $((tcp / 4)) ] || fail "$name: $bytes bytes queued, on TCP $tcp"
	report "$name held at $((bytes * 100 / tcp))% of TCP"
}

is_ready_or_gone() { grep -q ready mda.log || ! kill -0 $mda 2>/dev/null; }

objects_are_gone() { bpf_objects | cmp -s - objects.before; }

# In as many scans as it took.
has_adopted() { [ "$(sed -n 's/.*adopted \([0-9]*\) connections*$/\1/p' mda.log | awk '{ all += $1 } END { print all + 0 }')" -eq "$1" ]; }

# Uses up the memory of the cgroup that reads. Nobody is killed for it (pressed.c), as TCP's readers otherwise are: so whatever TCP
# throws away must arrive in the end, and a send say nothing but EAGAIN.
use_up_cgroup() { # $1 under what
	reached=$(memory_max_events)
	timeout 100 pressed /sys/fs/cgroup/pressed 60 60 8192 >pressed.log 2>&1 ||
		fail "memory.max reached $1: $(cat pressed.log)"
	reached=$(($(memory_max_events) - reached))
}

memory_max_events() { sed -n 's/^max //p' /sys/fs/cgroup/pressed/memory.events; }

# It is known after some messages, and on a slow machine not at once.
is_redirected_to() {
	before=$(redirected)
	run pressed - 1 10 100
	[ "$(redirected)" -gt "$before" ]
}

has_memory() { [ "$(grep -c 'used up its memory' mda.log)" -eq "$(grep -c 'has memory again' mda.log)" ]; }

# Traffic in the background, until `end_traffic`: connections that are older than the mda that starts next.
begin_traffic() { # $1 IP version
	nonblocking "$1" 0 $connections 0 2000 levels >traffic.log 2>&1 &
	traffic=$!
	usleep 500000
}

# The CPUs are mda's while it starts.
hold_traffic() { killall -STOP nonblocking; }
let_traffic_go() { killall -CONT nonblocking; }

end_traffic() { # $1 what it was to survive
	kill -TERM $traffic || fail "connections did not outlive $1: $(cat traffic.log)"
	wait $traffic || fail "connections broke with $1: $(cat traffic.log)"
}

nothing_is_left() { # $1 after what
	within 20 objects_are_gone || fail "left in the kernel by $1: $(bpf_objects | grep -vxFf objects.before | tr '\n' ',')"
	find /sys/fs/bpf | cmp -s - pins.before || fail "left on bpffs by $1: $(find /sys/fs/bpf | tr '\n' ' ')"
}

echo 'sidecar:x:1337:1337::/:/bin/sh' >/etc/passwd # the owner of a rule in oncn-mda.conf
sysctl -q net.ipv4.tcp_no_metrics_save=1           # or each run would size its queues by those before it
dmesg -c >/dev/null                                # what it says from here on counts
run bpf_objects >objects.before
find /sys/fs/bpf >pins.before
small_on_tcp=$(queued 4 4 512) || exit 1
large_on_tcp=$(queued 6 4 8192) || exit 1
run_cases_on_tcp
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/pressed
echo 3M >/sys/fs/cgroup/pressed/memory.max
use_up_cgroup 'on plain TCP'
[ $reached -gt 0 ] || fail 'memory.max is not reached on plain TCP'

connections=8
trips=250
seed=20 habits=all,-splice,-blocking # bytes that are spliced and received by turns: docs/limits.md

# Before 5.11 maps count as locked memory, and libbpf may raise its limit with CAP_SYS_RESOURCE only.
case $(uname -r) in
5.10.*)
	(
		# shellcheck disable=SC3045 # busybox's shell has it
		ulimit -l 64
		refuses 'EPERM .*ulimit -l unlimited, LimitMEMLOCK=infinity' \
			/lab/without_resource /lab/mda enable --cgroup /sys/fs/cgroup
	) || exit 1
	find /sys/fs/bpf | cmp -s - pins.before || fail "left on bpffs: $(find /sys/fs/bpf | tr '\n' ' ')"
	report 'too little memory to lock is told'
	;;
esac

# Every step of its trial is to work on every kernel; what one lacks is a WARN.
timeout 180 mda doctor --config /etc/oncn-mda/oncn-mda.conf >mda.log 2>&1 || fail "mda doctor: exit code $?"
nothing_is_left 'mda doctor'
warned=$(sed -n 's/ *WARN .*//p' mda.log | tr '\n' ' ')
report "mda doctor: $(sed -n '$s/;.*//p' mda.log)${warned:+: $warned}"

# Without a process: what is open is adopted, and accelerated until mda disable. Traffic that is held shows nothing of its
# program, so do without.
begin
begin_traffic 6
hold_traffic
timeout 60 mda enable --unknown fast --config /etc/oncn-mda/oncn-mda.conf --cgroup /sys/fs/cgroup >mda.log 2>&1 ||
	fail "mda enable: exit code $?"
let_traffic_go
sleep 1
hold_traffic
count
found="mda enable: $adopted of $connections connections adopted, $messages messages redirected"
[ $adopted -eq $connections ] && [ $messages -ge $((connections * 20)) ] || fail "$found"
let_traffic_go
timeout 60 mda disable >mda.log 2>&1 || fail "mda disable: exit code $?"
nothing_is_left 'mda disable'
report "$found, none left after mda disable"
hold_traffic

begin
mda run --config /etc/oncn-mda/oncn-mda.conf --cgroup /sys/fs/cgroup >mda.log 2>&1 &
mda=$!
within 60 is_ready_or_gone || fail 'mda run: not ready within 60 s'
kill -0 $mda 2>/dev/null || fail 'mda run: gone before it was ready'
report "$(sed -n 's/.*ready: //p' mda.log)"

# Their program is known once it has received something.
let_traffic_go
# A scan takes long in a slow machine, and fifty times as long passes until the next.
within 300 has_adopted $connections || fail 'mda run: not all older connections are adopted within 300 s'
sleep 2
end_traffic adoption

for cookies in 1 2; do # SYN cookies when the queue is full, and always
	sysctl -q net.ipv4.tcp_syncookies=$cookies
	run nonblocking 4 0 $connections $trips 2000
	run nonblocking 6 0 $connections $trips 2000
done
count
found="$adopted of $connections older connections adopted ($(cat traffic.log)), $paired of $((4 * connections)) new ones paired, $messages messages redirected"
# More than the new ones have sent, so of the older ones as well.
[ $adopted -eq $connections ] && [ $paired -eq $((4 * connections)) ] && [ $messages -gt $((8 * connections * trips)) ] ||
	fail "$found"
report "$found"

# What an operator sees: connections as they come and go, and what they send where the kernel lets mda copy it.
timeout 100 mda trace -n 4 -o json >trace.log 2>trace.err &
trace=$!
within 30 grep -q tracing trace.err || fail "mda trace: $(cat trace.err)"
timeout 100 mda dump -c 4 -q >dump.log 2>dump.err &
dump=$!
within 30 grep -qE 'dumping|Cannot' dump.err || fail "mda dump: $(cat dump.err)"
run nonblocking 4 0 $connections 10 100
wait $trace || fail "mda trace: $(cat trace.err)"
[ "$(grep -c '"event":"paired"' trace.log)" -ge 1 ] || fail "mda trace: $(cat trace.log)"
if grep -q dumping dump.err; then
	wait $dump || fail "mda dump: $(cat dump.err)"
	[ "$(grep -c ' > ' dump.log)" -eq 4 ] || fail "mda dump: $(cat dump.log)"
	report 'mda trace, mda dump'
else
	grep -q '^mda: Cannot dump: Linux .* does not let the data plane copy messages$' dump.err || fail "mda dump: $(cat dump.err)"
	report 'mda trace; mda dump says that this kernel does not let it'
fi
count

run blocking 4 2 25 1000 # is known from then on
run blocking 4 2 25 1000
run nonblocking 4 4001 $connections 10 100
run su sidecar -c "/lab/nonblocking 6 0 $connections 10 100"
mptcp=none
[ ! -e /proc/sys/net/mptcp/enabled ] || mptcp='1 2' # Debian's 5.10 has no MPTCP
for cookies in ${mptcp#none}; do                    # were an accepted socket in a sockmap, the kernel would warn: see the end
	sysctl -q net.ipv4.tcp_syncookies=$cookies
	run nonblocking 4 0 $connections 10 100 mptcp
	run nonblocking 6 0 $connections 10 100 mptcp
done
count
found="blocking sockets, RETURN rules, MPTCP listeners (SYN cookies: $mptcp): $paired connections paired, $adopted adopted, $messages messages redirected"
[ $paired -eq 0 ] && [ $adopted -eq 0 ] && [ $messages -eq 0 ] || fail "$found"
report "$found"

queued 4 1 512 >/dev/null # is known from then on
held 'small messages' "$small_on_tcp" 4 4 512
held 'large messages' "$large_on_tcp" 6 4 8192

# No memory for sockets: TCP's all, then that of the cgroup that reads.
tcp_mem=$(cat /proc/sys/net/ipv4/tcp_mem)
within 60 is_redirected_to || fail 'pressed is not redirected to'
while read -r bytes limits; do # with the last ones TCP is under pressure, and has memory left
	within 60 has_memory || fail 'tcp_mem: mda does not see that there is memory again'
	before=$(redirected)
	timeout 100 pressed - 60 100 "$bytes" /proc/sys/net/ipv4/tcp_mem "$limits" "$tcp_mem" >pressed.log 2>&1 </dev/null ||
		fail "tcp_mem used up ($limits), messages of $bytes bytes: $(cat pressed.log)"
	[ "$(redirected)" -gt "$before" ] || fail "tcp_mem used up: none was redirected"
done <<-'END'
	200 96 128 192
	8192 96 128 192
	8192 1 100 400
END
within 60 has_memory || fail 'tcp_mem: mda does not see that there is memory again'
report "tcp_mem used up: $(cat pressed.log), no error"
count
short=$(number passed memory)
use_up_cgroup 'under mda'
count
short=$(($(number passed memory) - short))
found="memory.max reached: $(cat pressed.log), $messages messages redirected, $short passed for want of memory"
[ $messages -gt 0 ] && [ $short -gt 0 ] || fail "$found"
report "$found, no error"

sysctl -q net.ipv4.tcp_syncookies=1 # as it was for the cases on plain TCP
run_cases_under_mda

# Streams of every kind, each byte checked.
before=$(redirected)
timeout 100 torture --seconds 20 --connections 40 --threads 2 --seed $seed --habits $habits --stall-ms 10000 \
	--edges-late-ms 2000 >torture.log 2>&1 || fail "torture: exit code $?: $(cat torture.log)"
messages=$(($(redirected) - before))
[ $messages -gt 200 ] || fail "torture: $messages messages redirected: $(cat torture.log)"
report "torture: $(tail -n 1 torture.log), $messages messages redirected"

# A stop amid traffic: the connections live on, and nothing of mda holds on to them.
begin_traffic 4
kill -TERM $mda
wait $mda || fail "mda run: exit code $? after SIGTERM"
nothing_is_left 'mda run'
end_traffic 'the end of mda run'
report "stopped clean ($(cat traffic.log))"

warnings=$(dmesg | grep -E 'WARNING: |BUG: ' | grep -v 'soft lockup') # QEMU on a busy host is slow, not locked up
[ -z "$warnings" ] || fail "the kernel warns: $warnings"
