# SPDX-License-Identifier: Apache-2.0
#
# What the parts of build.sh and other scripts of this tree share. To be sourced.

step() { printf '%s: %s\n' "${0##*/}" "$*"; }

fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs a command with its output in a log, which is shown only when it fails.
quietly() { # $1 log, $2 what it is for
	"${@:3}" >"$1" 2>&1 || {
		tail -n 15 "$1" >&2
		fail "Cannot $2: see above, all of it is in $1"
	}
}

# Whether a file is missing or older than its sources; of a directory, anything in it counts.
stale() {
	[[ ! -e $1 ]] || [[ -n $(find "${@:2}" -newer "$1" -print -quit) ]]
}

need_root() { # $1 what for
	((EUID == 0)) || fail "Cannot $1: not root (try: sudo ./build.sh ${command-})"
}
