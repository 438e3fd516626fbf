# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests. To be sourced by build.sh.

# A check of the whole tree, counted as one test.
check() { # $1 its name
	if "${@:2}"; then
		passed=$((passed + 1))
	else
		printf 'FAILED: %s\n' "$1"
		failed=$((failed + 1))
	fi
}

count() { # an attribute of the JUnit report's first element
	sed -n "s/.*<testsuites .*\b$1=\"\([0-9]*\)\".*/\1/p" build/tests.xml
}

run_tests() {
	need_root 'load BPF programs'
	build
	install_packages demo rpm deb test
	install_test_tools
	bpftool prog show >/dev/null || fail 'Cannot test: the kernel refuses BPF to root here (see above)'
	step 'check the format, lint and types'
	check 'deno fmt' $deno fmt --check
	check 'deno lint' $deno lint --quiet
	check 'deno check' $deno check --quiet --frozen
	step 'run the tests'
	rm -f build/tests.xml
	$deno test --no-check --frozen --allow-all --junit-path=build/tests.xml "${@:-tests/}" || true
	if [[ -s build/tests.xml ]]; then
		# A test that was skipped has shown nothing.
		local bad=$(($(count failures) + $(count errors) + $(grep -c '<skipped' build/tests.xml || true)))
		passed=$((passed + $(count tests) - bad)) failed=$((failed + bad))
	else
		failed=$((failed + 1))
	fi
	printf '%d passed, %d failed\n' $passed $failed
	((failed == 0))
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
