# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests. To be sourced by build.sh.

passed=0 failed=0 report=build/tests.xml
# A check of files, counted as one test.
check() { # $1 its name
	if "${@:2}"; then
		passed=$((passed + 1))
	else
		printf 'FAILED: %s\n' "$1"
		failed=$((failed + 1))
	fi
}

# Format, lint and types of all that there is, or of these files.
check_files() { # $@ files
	step "check the format, lint and types${1:+ of $*}"
	check 'deno fmt' $deno fmt --check "$@"
	check 'deno lint' $deno lint --quiet "$@"
	check 'deno check' $deno check --quiet --frozen "$@"
}

count() { # an attribute of the JUnit report's first element
	sed -n "s/.*<testsuites .*\b$1=\"\([0-9]*\)\".*/\1/p" "$report"
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

# Counts what passed and failed.
deno_test() { # $@ arguments of deno test
	local left_out bad
	rm -f "$report"
	$deno test --no-check --frozen --allow-all --junit-path="$report" "${filter[@]}" "$@" || true
	if [[ ! -s $report ]]; then
		failed=$((failed + 1))
		return
	fi
	# A test that was skipped has shown nothing; but so does the report say it of what the filter leaves out.
	left_out=$(grep -c '<skipped' "$report" || true) bad=$(($(count failures) + $(count errors)))
	[[ ${filter[*]} ]] || bad=$((bad + left_out)) left_out=0
	passed=$((passed + $(count tests) - bad - left_out)) failed=$((failed + bad))
	if (($(count tests) == left_out)); then
		printf 'FAILED: there is no such test\n'
		failed=$((failed + 1))
	fi
}

# The end of a run. The line is one that programs read.
tell_count() {
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
	if ((${#tests[@]})); then
		# Who names them wants to see them run.
		deno_test "${tests[@]}"
		check_files "${tests[@]}"
	else
		check_files
		step 'run the tests'
		deno_test tests/
	fi
	tell_count
}

# What needs neither root nor a kernel that does as it is told: as anybody, with what is installed. Of what is tried at random, and
# of the verdict's table, one in ONE_IN.
run_unit() {
	local compiler
	take_tests "$@"
	((${#tests[@]})) || tests=(tests/unit/)
	mkdir -p build
	install_deno "$machine" build/tools
	compiler=$(command -v clang || command -v gcc || command -v cc) || {
		step "note: there is no C compiler here, so the verdict's table is not tried"
		tests+=(--ignore=tests/unit/verdict)
	}
	# What is in build may be root's.
	report=$(mktemp)
	trap 'rm -f "$report"' EXIT
	CC=$compiler ONE_IN=10 deno_test --parallel "${tests[@]}"
	tell_count
}

run_kernel_tests() {
	local failed=0
	need_root 'build the virtual machines'
	if [[ " $* " != *-arm64\ * ]]; then
		build
		tests/lab/kernels/run.sh "$@" || failed=1
	fi
	if [[ " $* " == *-arm64\ * || -z $*${OUTPUT-} ]]; then
		choose_target arm64
		build
		install_packages cross emulation
		(($#)) || set -- {5.10,6.1,6.12,7.3,newest}-arm64
		tests/lab/kernels/run.sh "$@" || failed=1
	fi
	return $failed
}

run_root_tests() {
	need_root 'make roots'
	build
	install_packages roots
	mkdir -p build/roots
	. tests/roots/make.sh
	make_root bookworm
	make_root trixie
	$deno test --no-check --frozen --allow-all tests/roots/bare.ts
}

run_suites() {
	local name names
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
	fetch_sources $(suite_sources "$@")
	$deno run --quiet --no-check --frozen --allow-all tests/suites/run.ts "$@"
}

run_service_tests() {
	need_root 'build the virtual machines'
	build
	install_packages deb
	tests/service/machine/run.sh "$@"
}

run_soak() {
	need_root 'load BPF programs'
	build
	install_packages demo rpm deb test
	$deno run --quiet --no-check --frozen --allow-all tests/lifecycle/soak.ts "$@"
}

run_torture() {
	need_root 'load BPF programs'
	build
	install_packages demo rpm deb test
	$deno run --quiet --no-check --frozen --allow-all tests/torture/torture.ts "$@"
}
