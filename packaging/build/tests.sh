# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests. To be sourced by build.sh.

passed=0 failed=0 failures=()
count() { # $1 a JUnit report, $2 an attribute of its first element
	sed -n "s/.*<testsuites .*\b$2=\"\([0-9]*\)\".*/\1/p" "$1"
}

# Sets `tests`, the files that are named, and `filter`.
take_tests() { # $@ what follows the command
	tests=() filter=()
	while (($#)); do
		case $1 in
		--filter) filter=("--filter=${2?--filter: no pattern}") && shift ;;
		--filter=*) filter=("$1") ;;
		-*) help >&2 && exit 2 ;;
		*) tests+=("$1") ;;
		esac
		shift
	done
}

deno_test=("$deno" test --no-check --frozen --allow-all)

# Adds what passed and failed.
add_report() { # $1 a JUnit report
	local left_out bad
	if [[ ! -s $1 ]]; then
		failures+=("FAILED: $1: the tests have not come to their end")
		failed=$((failed + 1))
		return
	fi
	# A test that was skipped has shown nothing; but the report says the same of what the filter leaves out.
	left_out=$(grep -c '<skipped' "$1" || true) bad=$(($(count "$1" failures) + $(count "$1" errors)))
	[[ ${filter[*]} ]] || bad=$((bad + left_out)) left_out=0
	passed=$((passed + $(count "$1" tests) - bad - left_out)) failed=$((failed + bad))
	((bad == 0)) || failures+=("$(name_failures "$1")")
}

# What failed and why, each in 20 lines at the most: the whole of it is above, among what passed.
name_failures() { # $1 a JUnit report
	awk '
		function attribute(name, text) {
			if (!match(text, " " name "=\"")) return ""
			text = substr(text, RSTART + RLENGTH)
			sub(/".*/, "", text)
			return text
		}
		function say(text) {
			gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text); gsub(/&apos;/, "\047", text)
			gsub(/&amp;/, "\\&", text)
			if (++lines <= 20) print text
		}
		/<testcase /    { test = attribute("classname", $0) ": " attribute("name", $0) }
		/<skipped/      { lines = 0; say("SKIPPED: " test) }
		/<(failure|error) / {
			lines = 0; say("FAILED: " test)
			told = 1; sub(/.*message="/, "")
		}
		told            { text = $0; told = !sub(/".*/, "", text); if (text != "") say("  " text) }
	' "$1"
}

# The end of a run. The line is one that programs read.
tell_count() {
	if ((passed + failed == 0)); then
		failures+=('FAILED: there is no such test')
		failed=1
	fi
	((${#failures[@]} == 0)) || printf '%s\n' "${failures[@]}"
	printf '%d passed, %d failed\n' $passed $failed
	((failed == 0))
}

run_tests() {
	take_tests "$@"
	need_root 'load BPF programs'
	build
	install_packages demo rpm deb test
	install_test_tools
	bpftool prog show >/dev/null || fail 'Cannot test: the kernel refuses BPF to root here (see above)'
	if ((${#tests[@]} + ${#filter[@]})); then
		run_some_tests
	else
		run_all_tests
	fi
	tell_count
}

# Who names tests wants to see them run: what is to be said of the files comes after that.
run_some_tests() {
	rm -f build/tests.xml
	"${deno_test[@]}" --junit-path=build/tests.xml "${filter[@]}" "${tests[@]:-tests/}" || true
	add_report build/tests.xml
	[[ ! ${tests[*]} ]] || check_files "${tests[@]}"
}

# What runs beside the other tests, a line after the other: it has no port in common with them, and measures no time. A test that looks for
# what is left on the host allows a minute for what comes and goes; the first line has what lives longer, and is over before any such test.
beside=(
	tests/plane/network/nat_state.test.ts
	'tests/plane/lifecycle/kill_points.test.ts tests/plane/lifecycle/versions.test.ts'
	'tests/plane/views tests/plane/web tests/plane/metrics tests/plane/cli tests/host/build tests/host/kubernetes tests/host/service tests/model tests/host/packages tests/unit'
	'tests/plane/lifecycle/crash.test.ts tests/plane/lifecycle/enable.test.ts tests/plane/bpf tests/plane/streams/rested.test.ts'
	'tests/plane/rules/options.test.ts tests/plane/rules/nat.test.ts tests/plane/rules/owners.test.ts tests/plane/network/nat.test.ts'
)

run_beside() {
	local index child
	trap 'kill $child; exit' TERM
	for index in "${!beside[@]}"; do
		"${deno_test[@]}" --junit-path="build/beside.$index.xml" ${beside[index]} &
		child=$!
		wait $child || true
	done
}

run_all_tests() {
	local pid index ignored=${beside[*]}
	check_files
	step 'run the tests'
	rm -f build/{tests,beside.*}.xml
	run_beside >build/beside.log 2>&1 &
	pid=$!
	trap 'kill $pid' EXIT
	"${deno_test[@]}" --junit-path=build/tests.xml --ignore="${ignored// /,}" tests/ || true
	step 'wait for the tests that ran beside them'
	wait $pid || true
	trap - EXIT
	cat build/beside.log
	add_report build/tests.xml
	for index in "${!beside[@]}"; do
		add_report "build/beside.$index.xml"
	done
}

# What needs neither root nor a kernel that does as it is told: as anybody, with what is installed. Of what is tried at random, and
# of the verdict's table, one in ONE_IN.
run_unit() {
	local compiler report
	take_tests "$@"
	mkdir -p build
	install_deno "$machine" build/tools
	compiler=$(command -v clang || command -v gcc || command -v cc) ||
		step "note: there is no C compiler here, so the verdict's table is not tried"
	((${#tests[@]})) || tests=(tests/unit/all.ts ${compiler:+tests/unit/verdict})
	[[ $compiler ]] || tests+=(--ignore=tests/unit/verdict)
	# What is in build may be root's.
	report=$(mktemp)
	CC=$compiler ONE_IN=10 "${deno_test[@]}" --parallel --junit-path="$report" "${filter[@]}" "${tests[@]}" || true
	add_report "$report"
	rm "$report"
	tell_count
}

run_kernel_tests() {
	local failed=0
	need_root 'build the virtual machines'
	if [[ " $* " != *-arm64\ * ]]; then
		build
		tests/vm/kernels/run.sh "$@" || failed=1
	fi
	if [[ " $* " == *-arm64\ * || -z $*${OUTPUT-} ]]; then
		choose_target arm64
		build
		install_packages cross emulation
		(($#)) || set -- {5.10,6.1,6.12,7.3,newest}-arm64
		tests/vm/kernels/run.sh "$@" || failed=1
	fi
	return $failed
}

run_root_tests() {
	need_root 'make roots'
	build
	install_packages roots
	mkdir -p build/roots
	. tests/vm/roots/make.sh
	make_root bookworm
	make_root trixie
	$deno test --no-check --frozen --allow-all tests/vm/roots/bare.ts
}

run_suites() {
	local name names sources
	. tests/suites/sources.sh
	mapfile -t names < <(suite_names)
	for name in "$@"; do
		[[ " ${names[*]} " == *" $name "* ]] || {
			printf "build.sh: There is no suite '%s': there are %s\n" "$name" "${names[*]}" >&2
			exit 2
		}
	done
	need_root 'load BPF programs'
	build
	install_packages suites
	mapfile -t sources < <(suite_sources "$@")
	fetch_sources "${sources[@]}"
	$deno run --quiet --no-check --frozen --allow-all tests/suites/run.ts "$@"
}

run_service_tests() {
	need_root 'build the virtual machines'
	build
	install_packages deb
	tests/vm/service/run.sh "$@"
}

run_soak() {
	need_root 'load BPF programs'
	build
	install_packages demo rpm deb test
	$deno run --quiet --no-check --frozen --allow-all tests/plane/lifecycle/soak.ts "$@"
}

run_torture() {
	need_root 'load BPF programs'
	build
	install_packages demo rpm deb test
	$deno run --quiet --no-check --frozen --allow-all tests/torture/torture.ts "$@"
}
