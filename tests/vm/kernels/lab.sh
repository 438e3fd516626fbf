# SPDX-License-Identifier: Apache-2.0
#
# What the tests in the virtual machine share. What they find goes to the second serial port as `report` lines, their
# first failure as a `failed` line; everything else to the console.
set -u

report() {
	echo "report $*" >"${reports:-/dev/ttyS1}"
	echo "== $(cut -d ' ' -f 1 /proc/uptime) $*"
}

fail() {
	echo "failed $*" >"${reports:-/dev/ttyS1}"
	{
		echo "== FAILED: $*"
		cat status.json mda.log 2>/dev/null
		dmesg
	} >&2
	exit 1
}

run() { timeout 60 "$@" || fail "$*: exit code $?"; }

# Polls a condition every 0.2 s.
within() { # $1 seconds, $2... the condition
	# shellcheck disable=SC3043 # busybox's shell has it
	local tries=$(($1 * 5))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		usleep 200000
	done
}

# A command that must fail, and say so.
refuses() { # $1 a pattern of what it says, $2... the command
	pattern=$1
	shift
	timeout 60 "$@" >mda.log 2>&1 && fail "$*: succeeded"
	grep -qE "^mda: Cannot .*$pattern" mda.log || fail "$*: said $(cat mda.log)"
}
