#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds dist/mda, and runs what needs it. Debian 12 or openEuler on x86_64 or arm64, with Node.js; as root when packages
# are missing, and for everything but the build.
#
#   ./build.sh                 install what is missing, build dist/mda
#   ./build.sh --target arm64  build dist/mda-arm64 for other machines; on Debian
#   ./build.sh run             see it at work: redis in a cgroup of its own, before and after
#   ./build.sh test [--filter PATTERN] [FILE...]
#                              all tests (or these, or those with PATTERN in their names; /PATTERN/ is a regular expression),
#                              against the real kernel and real servers
#   ./build.sh unit [--filter PATTERN] [FILE...]
#                              those of tests/unit (or these), as anybody and without building anything, in seconds: of what is
#                              tried at random a tenth, and a part of the verdict's table
#   ./build.sh fmt [FILE...]   formats all files (or these) as `test` wants them: TypeScript, C and shell scripts
#   ./build.sh test-kernels [KERNEL...]
#                              mda on Debian's kernels from 5.10 to the newest there is, with PREEMPT_RT, locked down, with
#                              IPVS, and on those of arm64, under qemu: every case of tests/differential, and checked streams;
#                              seven minutes a kernel. tests/vm/kernels/run.sh has the names
#   ./build.sh test-roots      dist/mda in a bare Debian 12 and 13, made with debootstrap: two minutes the first time
#   ./build.sh test-suites [NAME...]
#                              other projects' network tests (libuv, libevent, memcached, redis, Python, Go) from Debian's
#                              source packages, each on plain TCP and under mda, one line each; three quarters of an hour.
#                              tests/suites/sources.sh has the names
#   ./build.sh test-service    mda as a service of systemd, on Debian 12 and 13 under qemu: installed, started, reloaded,
#                              killed, stuck, stopped, upgraded and erased under connections; ten minutes each
#   ./build.sh soak [SECONDS]  restarts, reloads and SIGKILLs under mixed load, 600 seconds if not told
#   ./build.sh torture [SECONDS] [SEED] [FAMILY...]
#                              streams of every kind, each byte checked, while mda is switched at random, 300 seconds
#                              if not told
#   ./build.sh bench [ARG...]  plain TCP, a textbook sockmap data plane and mda, measured side by side; with --before
#                              BINARY also another build of mda
#   ./build.sh manual          docs/commands.md and docs/mda.8 again, from what the commands say of themselves, and
#                              docs/reasons.md from bpf/reasons.h
#   ./build.sh pictures [DIRECTORY]
#                              docs/*.svg of commands again, from what they print of a small shop in a cgroup of its own
#   ./build.sh rpm             dist/mda-VERSION-RELEASE.x86_64.rpm, for openEuler
#   ./build.sh deb             dist/mda_VERSION-RELEASE_amd64.deb, for Debian; with --target arm64, those of arm64
#   ./build.sh link PROGRAM EXECUTABLE
#                              any bundled program without imports and Deno in one file, as dist/mda is made without
#                              denort
#   ./build.sh help            this text
#
# Environment:
#   DENORT_BIN  the base binary of `deno compile`, where Deno's own site is out of reach. Without either, the binary is
#               made with packaging/launcher
#   OUTPUT      where to put the binary, instead of dist/mda
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. packaging/build/common.sh
. packaging/build/targets.sh
. packaging/build/packages.sh
. packaging/build/deno.sh
. packaging/build/bpf.sh
. packaging/build/libraries.sh
. packaging/build/licenses.sh
. packaging/build/binary.sh
. packaging/build/checks.sh
. packaging/build/tests.sh
export PATH=$PATH:/usr/sbin:/sbin

build() {
	[[ $(uname -s) == Linux && $machine != unknown ]] ||
		fail "Cannot build on $(uname -sm): mda is for Linux on x86_64 and arm64"
	mkdir -p build
	# One build at a time in one tree.
	exec 9>build/lock
	flock 9
	install_packages build
	install_deno "$machine" build/tools
	objects_of bpf/*.bpf.c
	make_bpf "${objects[@]}" build/layouts.stamp
	if [[ $target == "$machine" ]]; then
		copy_libraries
	else
		prepare_target
	fi
	bundle_page
	collect_licenses
	bundle
	link_binary
	describe_binary
	exec 9>&-
	step "$output is ready ($(du -m "$output" | cut -f1) MB)"
}

run_fmt() {
	mkdir -p build
	install_deno "$machine" build/tools
	write_format "$@"
}

run_demo() {
	need_root 'load BPF programs'
	build
	install_packages demo
	$deno run --quiet --allow-all packaging/demo/demo.ts "$output"
}

# On standard output is what was measured alone: it may be JSON.
run_bench() {
	need_root 'load BPF programs'
	{
		build
		install_packages demo rpm deb test bench
		objects_of bench/*.bpf.c
		make_bpf "${objects[@]}"
	} >&2
	$deno run --quiet --allow-all bench/bench.ts "$@"
}

make_manual() {
	build
	local page
	for page in markdown:commands.md man:mda.8 reasons:reasons.md; do
		env -u MDA_PIN_DIR -u MDA_CGROUP -u MDA_UNKNOWN \
			$deno run --quiet --frozen --allow-env "packaging/manual/${page%:*}.ts" >"docs/${page#*:}.part"
		mv "docs/${page#*:}.part" "docs/${page#*:}"
	done
}

make_pictures() {
	need_root 'load BPF programs'
	build
	install_packages demo pictures
	OUTPUT=$output $deno run --quiet --no-check --frozen --allow-all packaging/demo/pictures.ts "$@"
}

make_package() { # $1 rpm or deb, then maybe --target
	local native
	build
	native=$output
	take_target "${@:2}"
	[[ $target == "$machine" ]] || build
	install_packages "$1"
	MACHINE=${target/#arm64/aarch64} NATIVE=$PWD/$native OUTPUT=$output packaging/package.sh "$1"
	write_digests
}

help() { sed -n '/^# Builds/,/^[^#]/s/^# \{0,1\}//p' build.sh; }

[[ ${1-} != --target* ]] || set -- build "$@"
command=${1:-build}
case $command in
build)
	take_target "${@:2}"
	build
	;;
run) run_demo ;;
test) run_tests "${@:2}" ;;
fmt) run_fmt "${@:2}" ;;
unit) run_unit "${@:2}" ;;
test-kernels) run_kernel_tests "${@:2}" ;;
test-roots) run_root_tests ;;
test-suites) run_suites "${@:2}" ;;
test-service) run_service_tests "${@:2}" ;;
soak) run_soak "${@:2}" ;;
torture) run_torture "${@:2}" ;;
bench) run_bench "${@:2}" ;;
manual) make_manual ;;
pictures) make_pictures "${@:2}" ;;
rpm | deb) make_package "$@" ;;
link) (($# == 3)) && link_launcher "$2" "$3" ;;
help | -h | --help) help ;;
*)
	help >&2
	exit 2
	;;
esac
