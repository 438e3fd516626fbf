#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs in a virtual machine: connections to a virtual service of IPVS that forgets them after ten seconds of silence, over TCP and
# then under mda. Each end must receive the same, and end in the same way.
# shellcheck source=SCRIPTDIR/lab.sh
. /lab/lab.sh

modprobe crc32c_generic
for module in nf_conntrack ip_vs ip_vs_rr; do
	modprobe $module || fail "no module $module"
done
ip addr add 10.9.9.1/32 dev lo
ip addr add 10.9.9.2/32 dev lo
ip addr add 10.9.9.3/32 dev lo
run ipvsadm --set 10 5 5
for port in 8080 8081; do
	run ipvsadm -A -t 10.9.9.1:$((port + 1000)) -s rr
	run ipvsadm -a -t 10.9.9.1:$((port + 1000)) -r 10.9.9.2:$port -m
	run ipvsadm -a -t 10.9.9.1:$((port + 1000)) -r 10.9.9.3:$port -m
done

plans() { # $1 port
	separator='['
	for plan in 'requests server_closes' 'requests client_closes' 'requests half_close' 'requests bulk' 'up client_closes' \
		'up half_close' 'down server_closes' 'down half_close' 'bursts server_closes'; do
		printf '%s{"name": "%s", "address": "10.9.9.1", "port": %d, "pattern": "%s", "ending": "%s"}' \
			"$separator" "$plan" "$1" "${plan% *}" "${plan#* }"
		separator=', '
	done
	echo ']'
}

converse() { # $1 its name, $2 port of the servers, $3... what starts a program
	name=$1
	port=$2
	shift 2
	"$@" python3 nat_state.py serve $port 9 >"$name.server" 2>&1 &
	within 60 grep -q listening "$name.server" || return
	"$@" python3 nat_state.py connect 30 "$(plans $((port + 1000)))" >"$name.client" 2>&1
}

inside() { (echo 0 >/sys/fs/cgroup/fast/cgroup.procs && exec "$@"); }

transcript() { sort "$1.server" "$1.client" | grep -v -e ^tcp_info -e ^listening -e ^connected; }

mkdir /sys/fs/cgroup/fast
: >mda.conf
MDA_UNKNOWN=fast mda run --config mda.conf --cgroup /sys/fs/cgroup/fast >mda.log 2>&1 &
mda=$!
within 60 grep -q ready mda.log || fail 'mda run: not ready within 60 s'
converse tcp 8080 env
converse mda 8081 inside
sleep 3
left=$(netstat -tn | grep -E ':(80|90)8[01] ' | grep -v TIME_WAIT)
run mda status >status
transcript tcp >tcp.transcript
transcript mda >mda.transcript
messages=$(sed -n 's/^redirected: messages *//p' status | tr -d ,)
refresh=$(sed -n 's/^passed: refresh *//p' status | tr -d ,)
cat status mda.transcript
ipvsadm -Ln --stats
[ "$(wc -l <tcp.transcript)" -eq 18 ] || fail "over TCP: $(cat tcp.transcript)"
diff tcp.transcript mda.transcript || fail "under mda: $(diff tcp.transcript mda.transcript)"
[ -z "$left" ] || fail "half-open: $left"
[ "${messages:-0}" -gt 5000 ] && [ "${refresh:-0}" -gt 0 ] || fail "not redirected: $(cat status)"
kill -TERM $mda
wait $mda || fail "mda run: exit code $? after SIGTERM"
report "IPVS: 9 connections of 30 s end as over TCP, $messages messages redirected, $refresh for the table"
