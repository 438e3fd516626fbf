#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the virtual machine as a service: installs mda, and takes mda.service through what can happen to it while
# connections that are older than it go on. Reports to the second serial port, as tests/vm/kernels/machine.sh has it.
set -u
# shellcheck disable=SC2164 # it is there
cd /lab
export LANG=C
configuration=/etc/oncn-mda/oncn-mda.conf

report() {
	echo "report $*" >/dev/ttyS1
	echo "== $(cut -d ' ' -f 1 /proc/uptime) $*"
}

fail() {
	echo "failed $*" >/dev/ttyS1
	echo "== FAILED: $*"
	systemctl status --no-pager --full mda
	journalctl --no-pager --boot -n 60 -o short-monotonic
	journalctl --no-pager --boot --unit streams --unit benchmark --output cat | tail -c 1000
	exit 1
}

within() { # $1 seconds, $2... the condition
	local end=$((SECONDS + $1))
	until "${@:2}"; do
		((SECONDS < end)) || return 1
		sleep 0.5
	done
}

of_mda() { systemctl show mda --property "$1" --value; }

# A number of `mda status -o json`, in the object $1 under the name $2.
number() { tr -d ' \n' <status.json | sed -n "s/.*\"$1\":{[^{}]*\"$2\":\([0-9]*\).*/\1/p"; }

redirected() {
	mda status -o json >status.json || fail "mda status: exit code $?"
	number redirected messages
}

# mda runs, and redirects what the streams and redis have to say.
accelerates() { # $1 when
	local before after
	[[ $(of_mda ActiveState) == active ]] || fail "$1: mda is $(of_mda ActiveState)"
	before=$(redirected)
	sleep 1
	after=$(redirected)
	((after > before)) || fail "$1: nothing is redirected, $(<status.json)"
	connections_go_on "$1"
}

# Three kinds of connections, all older than mda: streams of which every byte is checked, redis under load, and one of a
# client that says a word now and then. The CPU is mda's when it wants it.
begin_connections() {
	local seldom=(systemd-run --quiet --property CPUWeight=1 --property KillMode=mixed)
	"${seldom[@]}" --unit streams /lab/nonblocking 4 0 4 0 2000 levels
	"${seldom[@]}" --unit benchmark redis-benchmark -q -c 4 -n 2000000000 -t ping_mbulk
	exec 5<>/dev/tcp/127.0.0.1/6379
}

connections_go_on() { # $1 when
	local answer=
	systemctl is-active --quiet streams || fail "$1: the streams broke"
	systemctl is-active --quiet benchmark || fail "$1: redis-benchmark's connections broke"
	printf 'PING\r\n' >&5
	read -r -t 20 answer <&5
	[[ $answer == +PONG* ]] || fail "$1: redis said '$answer' to PING"
}

end_connections() {
	connections_go_on 'at the end'
	systemctl stop streams benchmark
	systemctl is-failed --quiet streams && fail 'the streams ended with an error'
	exec 5>&-
}

is_restarted() { [[ $(of_mda NRestarts) == "$1" && $(of_mda ActiveState) == active ]]; }
has_rules() { [[ $(of_mda StatusText) == *", $1 rule"* ]]; }
logged() { journalctl --boot --unit mda --output cat | grep -q "$1"; }

nothing_is_left() { # $1 after what
	[[ -z $(find /sys/fs/bpf -mindepth 1 -name '*mda*') ]] || fail "$1 left $(find /sys/fs/bpf | tr '\n' ' ')"
}

within 60 systemctl is-active --quiet redis-server || fail 'redis-server does not start'
begin_connections

dpkg --install mda.deb || fail 'dpkg --install'
systemctl stop mda
nothing_is_left 'the installation and a stop'
printf 'chain --ip 127.0.0.0/8\n' >$configuration
SECONDS=0
systemctl start mda || fail 'systemctl start mda'
report "started in $SECONDS s"
logged 'adopted [0-9]* connection' || fail 'nothing was adopted'
accelerates 'after the start'
report "redirected $(number redirected messages) messages"
warnings=$(journalctl --boot --unit mda --priority warning --output cat)
[[ -z $warnings ]] || fail "warned: $warnings"
report "hooks: $(sed -n 's/.*"hooks": "\(.*\)".*/\1/p' status.json)"
exposure=$(systemd-analyze security --no-pager mda | tail -n 1)
[[ $exposure =~ level\ for\ mda.service:\ ([0-4]\.[0-9])\ OK ]] || fail "systemd-analyze security: $exposure"
report "exposure ${BASH_REMATCH[1]}"

printf 'chain --port 22 -j RETURN\n' >>$configuration
systemctl reload mda || fail 'systemctl reload mda'
within 20 has_rules 2 || fail "systemctl reload mda: $(of_mda StatusText)"
printf 'chian\n' >>$configuration
systemctl reload mda
within 20 logged 'chian' || fail 'a mistake in the configuration was not logged'
accelerates 'after a reload with a mistake'
printf 'chain --ip 127.0.0.0/8\nchain --port 22 -j RETURN\n' >$configuration
has_rules 2 || fail "a reload with a mistake: $(of_mda StatusText)"
report 'reloaded; a mistake changes nothing'

kill -KILL "$(of_mda MainPID)"
within 60 is_restarted 1 || fail 'mda was not started again after SIGKILL'
logged 'took over' || fail 'nothing was taken over after SIGKILL'
accelerates 'after SIGKILL'
report 'started again after SIGKILL, and took over'

SECONDS=0
kill -STOP "$(of_mda MainPID)"
within 120 is_restarted 2 || fail 'the watchdog did not start another mda'
accelerates 'after the watchdog'
report "started again by the watchdog after $SECONDS s"

systemctl stop mda || fail 'systemctl stop mda'
nothing_is_left 'systemctl stop mda'
[[ $(of_mda Result) == success ]] || fail "systemctl stop mda: $(of_mda Result)"
connections_go_on 'after the stop'
report 'stopped'

# With a mistake in the configuration it neither starts nor is tried again.
printf 'chian\n' >$configuration
systemctl start mda && fail 'systemctl start mda: succeeded with a mistake in the configuration'
[[ $(of_mda ExecMainStatus) == 2 && $(of_mda NRestarts) == 0 && $(of_mda ActiveState) == failed ]] ||
	fail "with a mistake: exit status $(of_mda ExecMainStatus), $(of_mda NRestarts) restarts, $(of_mda ActiveState)"
printf 'chain --ip 127.0.0.0/8\n' >$configuration
systemctl start mda || fail 'systemctl start mda, with the mistake removed'
accelerates 'after the second start'

pid=$(of_mda MainPID)
dpkg --install upgrade.deb || fail 'dpkg --install, of a higher version'
[[ $(of_mda MainPID) != "$pid" ]] || fail 'the upgrade did not start the new mda'
[[ $(<$configuration) == 'chain --ip 127.0.0.0/8' ]] || fail "the upgrade changed $configuration"
accelerates 'after the upgrade'
report 'upgraded'

dpkg --remove mda || fail 'dpkg --remove'
nothing_is_left 'dpkg --remove'
[[ ! -e /usr/bin/mda && -e $configuration ]] || fail "dpkg --remove left /usr/bin/mda, or not $configuration"
systemctl is-active --quiet mda && fail 'mda runs after dpkg --remove'
report 'erased'
end_connections
