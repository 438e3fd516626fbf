# SPDX-License-Identifier: Apache-2.0
#
# The cases of tests/differential in the virtual machine: all of them on plain TCP, then all under mda. mda knows programs by
# their files, so each case has a copy of its own.
cases=/tmp/cases

# The parameters are those that run.sh found in the layouts.
# shellcheck disable=SC2046
redirected() { /lab/redirected /sys/fs/bpf/mda/counters $(cat /lab/counters); }

run_cases_on_tcp() {
	mkdir -p $cases
	differential list >$cases/list
	while IFS='	' read -r name redirection difference _; do
		timeout 60 differential run "$name" >"$cases/$name.tcp" 2>&1 </dev/null
		grep -q ': hangs$' "$cases/$name.tcp" || continue
		timeout 60 differential run "$name" >"$cases/$name.tcp" 2>&1 </dev/null
		grep -q ': hangs$' "$cases/$name.tcp" && fail "$name hangs on plain TCP: $(cat "$cases/$name.tcp")"
	done <$cases/list
}

# Runs the case $1 of the program $2 and sets `messages`: what was redirected of the case's own connection.
run_case() {
	"$2" run "$1" --pause <&4 2>&3 >"$2.mda" &
	# shellcheck disable=SC3045 # busybox's shell has it
	read -r -t 60 said <&3
	[ "$said" = ready ] || fail "$1 under mda: said '$said'"
	before=$(redirected)
	echo go >&4
	wait $!
	messages=$(($(redirected) - before))
}

is_equal() { cmp -s "$cases/$1.tcp" "$2.mda"; }

# Runs the case with a new copy and sets `verdict` to what came of it: equal, later (equal from the second time on), documented,
# or the word for what is wrong.
try_case() { # $1 name, $2 must|never|may, $3 never|first|tries|always, $4 the copy
	cp /lab/differential "$4"
	run_case "$1" "$4"
	verdict=equal
	if [ "$3" = first ] || [ "$3" = tries ]; then
		is_equal "$1" "$4" || verdict=later
		cp "$4.mda" "$4.first"
		grep -q ': hangs$' "$4.mda" && verdict=hangs && return
		[ "$3" != tries ] || [ $verdict = equal ] || { verdict=different && return; }
		run_case "$1" "$4"
	fi
	if [ "$3" = always ]; then
		is_equal "$1" "$4" || verdict=documented
	elif ! is_equal "$1" "$4"; then
		verdict=different
	elif [ "$2" = must ] && [ $messages -eq 0 ]; then
		verdict=passed
	elif [ "$2" = never ] && [ $messages -ne 0 ]; then
		verdict=redirected
	fi
}

# Reports what came of them. A case that fails is tried once more, by another copy: the cases' time limits are short for an
# emulated machine.
run_cases_under_mda() {
	mkfifo $cases/ready $cases/go
	exec 3<>$cases/ready 4<>$cases/go
	equal=0 later='' documented='' again='' wrong='' accelerated=0 all=0
	while IFS='	' read -r name redirection difference _; do
		all=$((all + 1))
		try_case "$name" "$redirection" "$difference" "$cases/$name"
		case $verdict in
		equal | later | documented) ;;
		*)
			again="$again $name ($verdict)"
			try_case "$name" "$redirection" "$difference" "$cases/$name.again"
			;;
		esac
		[ $messages -eq 0 ] || accelerated=$((accelerated + 1))
		case $verdict in
		equal) equal=$((equal + 1)) ;;
		later) later="$later $name" ;;
		documented) documented="$documented $name" ;;
		*)
			wrong="$wrong $name ($verdict)"
			echo "$name on plain TCP:" && cat "$cases/$name.tcp"
			for transcript in "$cases/$name.again.first" "$cases/$name.again.mda"; do
				[ -e "$transcript" ] && echo "$transcript:" && cat "$transcript"
			done
			;;
		esac
	done <$cases/list
	exec 3>&- 4>&-
	report "cases: $equal of $all equal; equal from the second time on:${later:- none}; documented differences:${documented:- none}; redirected: $accelerated${again:+; tried again:$again}"
	[ -z "$wrong" ] || fail "cases:$wrong"
	[ $accelerated -gt $((all / 3)) ] || fail "only $accelerated of $all cases were redirected"
}
