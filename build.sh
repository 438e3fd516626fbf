#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds dist/mda, and runs what needs it. Debian 12 or openEuler on x86_64, with Node.js; as root when packages are
# missing, and for everything but the build.
#
#   ./build.sh                 install what is missing, build dist/mda
#   ./build.sh run             see it at work: redis in a cgroup of its own, before and after
#   ./build.sh test [FILE...]  all tests (or these), against the real kernel and real servers
#   ./build.sh test-kernels    mda on Debian's 5.10, 6.1 and 6.12 kernels, and locked down, under qemu: every case of
#                              tests/differential, and checked streams; six minutes a kernel at most
#   ./build.sh soak [SECONDS]  restarts, reloads and SIGKILLs under mixed load, 600 seconds if not told
#   ./build.sh torture [SECONDS] [SEED] [FAMILY...]
#                              streams of every kind, each byte checked, while mda is switched at random, 300 seconds
#                              if not told
#   ./build.sh bench [ARG...]  plain TCP, a textbook sockmap data plane and mda, measured side by side
#   ./build.sh link PROGRAM EXECUTABLE
#                              any bundled program and Deno in one file, as dist/mda is made without denort
#   ./build.sh help            this text
#
# Environment:
#   DENORT_BIN  the base binary of `deno compile`, where Deno's own site is out of reach. Without either, the binary is
#               made with packaging/launcher
#   OUTPUT      where to put the binary, instead of dist/mda
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

deno=build/tools/node_modules/@deno/linux-x64-glibc/deno
output=${OUTPUT:-dist/mda}
carried=(libbpf.so.1 libelf.so.1 libz.so.1)
export DENO_DIR=$PWD/build/deno DENO_NO_UPDATE_CHECK=1 PATH=$PATH:/usr/sbin:/sbin

# A program or file that tells whether it is there (or two files, DEBIAN:OPENEULER), the package on Debian, the package on
# openEuler.
build_packages='
clang                      clang           clang
bpftool                    bpftool         bpftool
gcc                        gcc             gcc
/usr/include/stdio.h       libc6-dev       glibc-devel
/usr/include/bpf/libbpf.h  libbpf-dev      libbpf-devel
'
demo_packages='
redis-server               redis-server    redis
redis-benchmark            redis-tools     redis
'
test_packages="$demo_packages"'
/usr/lib/x86_64-linux-gnu/libc.a:/usr/lib64/libc.a  libc6-dev  glibc-static
memcached                  memcached       memcached
nginx                      nginx-light     nginx
haproxy                    haproxy         haproxy
wrk                        wrk             wrk
iperf3                     iperf3          iperf3
socat                      socat           socat
python3                    python3         python3
ip                         iproute2        iproute
iptables                   iptables        iptables
ps                         procps          procps-ng
strace                     strace          strace
curl                       curl            curl
ssh                        openssh-client  openssh-clients
sshd                       openssh-server  openssh-server
rsync                      rsync           rsync
go                         golang-go       golang
psql                       postgresql      postgresql
pgbench                    postgresql      postgresql-contrib
/lib/systemd/system/postgresql.service postgresql postgresql-server
fish                       fish            fish
zsh                        zsh             zsh
'

step() { printf 'build.sh: %s\n' "$*"; }
fail() {
	printf 'build.sh: %s\n' "$*" >&2
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

need_root() {
	((EUID == 0)) || fail "Cannot $1: not root (try: sudo ./build.sh ${command-})"
}

missing_packages() { # $1 a table as above, $2 its column
	local probe debian openeuler
	while read -r probe debian openeuler; do
		[[ -z $probe || -e ${probe%:*} || -e ${probe#*:} ]] || command -v "$probe" >/dev/null || printf '%s\n' "${!2}"
	done <<<"$1" | sort -u
}

# Debian starts a service when it installs one, unless policy-rc.d says no (invoke-rc.d(8)), and again at every boot.
install_debian() {
	local policy=/usr/sbin/policy-rc.d package made=
	export DEBIAN_FRONTEND=noninteractive
	if [[ ! -e $policy ]]; then
		made=$policy
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	local install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@")
	"${install[@]}" >build/packages.log 2>&1 || {
		quietly build/packages.log 'read the package lists' apt-get update
		quietly build/packages.log "install $*" "${install[@]}"
	}
	# A package's service has its name, but for sshd's.
	for package in "${@/#openssh-server/ssh}"; do
		[[ -e /lib/systemd/system/$package.service ]] && command -v systemctl >/dev/null || continue
		systemctl disable "$package" >>build/packages.log 2>&1 || true
	done
	if [[ $made ]]; then
		rm -f "$made"
		trap - EXIT
	fi
}

install_packages() { # $1 a table as above
	local ID= ID_LIKE= missing column
	[[ -e /etc/os-release ]] && . /etc/os-release
	case " $ID $ID_LIKE " in
	*' debian '*) column=debian ;;
	*' openEuler '*) column=openeuler ;;
	*) column= ;;
	esac
	missing=$(missing_packages "$1" "${column:-debian}")
	missing=${missing//$'\n'/ }
	[[ $missing ]] || return 0
	[[ $column ]] || fail "Cannot install packages on '${ID:-unknown}': install the like of Debian's: $missing"
	need_root "install $missing"
	step "install $missing"
	case $column in
	debian) install_debian $missing ;;
	openeuler) quietly build/packages.log "install $missing" dnf install -y $missing ;;
	esac
}

install_deno() {
	local wanted
	wanted=$(sed -n 's|.*"@deno/linux-x64-glibc": "\(.*\)".*|\1|p' packaging/tools/package.json)
	[[ -x $deno && $(NO_COLOR=1 $deno --version) == "deno $wanted "* ]] && return
	command -v npm >/dev/null || fail 'Cannot install Deno: npm is missing (install Node.js 18 or later)'
	step "install Deno $wanted from npm"
	mkdir -p build/tools
	cp packaging/tools/package.json packaging/tools/package-lock.json build/tools/
	quietly build/npm.log "install Deno $wanted (is the npm registry reachable?)" \
		npm ci --prefix build/tools --no-audit --no-fund
}

# v3 is what 5.10 understands of BPF's instructions. bpftool's linker leaves BTF in and DWARF out.
compile_bpf() { # $@: sources, each becomes build/NAME.bpf.o
	local source object
	for source in "$@"; do
		object=build/$(basename "$source" .c).o
		stale "$object" build.sh bpf "$source" || continue
		step "compile $source"
		clang -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -D__TARGET_ARCH_x86 \
			-Ibpf -I"/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$object.part"
		quietly build/bpftool.log "link $object" bpftool gen object "$object.linked" "$object.part"
		mv "$object.linked" "$object"
		rm "$object.part"
	done
}

generate_layouts() {
	stale build/layouts.stamp build/mda.bpf.o src/bpf/generate_layouts.ts src/bpf/abi.c || return 0
	step 'generate src/bpf/layouts.ts and abi.ts from BTF'
	$deno run --quiet --allow-read --allow-write --allow-run src/bpf/generate_layouts.ts
	touch build/layouts.stamp
}

# For hosts without libbpf 1.0: this one's, and what it needs.
copy_libraries() {
	local library found needed
	for library in "${carried[@]}"; do
		[[ -e build/$library ]] && continue
		found=$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64/ && !found { found = $NF } END { print found }')
		[[ $found ]] || fail "Cannot find $library: is libbpf installed?"
		step "copy $found"
		needed=$(readelf -d "$found" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' |
			grep -vxF -e libc.so.6 -e ld-linux-x86-64.so.2 "${carried[@]/#/-e}" || true)
		[[ -z $needed ]] || step "note: $library needs ${needed//$'\n'/ }, which mda does not carry"
		cp -L "$found" "build/$library"
	done
}

bundle() {
	stale build/mda.js build.sh main.ts src deno.json deno.lock build/*.bpf.o "${carried[@]/#/build/}" || return 0
	step 'bundle main.ts to build/mda.js'
	quietly build/bundle.log 'bundle main.ts' \
		$deno bundle --quiet --frozen --platform deno --output build/mda.part.js main.ts
	mv build/mda.part.js build/mda.js
}

# By `deno compile`, when it gets its base binary: from DENORT_BIN or within 20 s.
compile() { # $1 the executable to make
	if timeout 20 $deno compile --quiet --no-config --no-code-cache --allow-all --output "$1" build/mda.js \
		>build/compile.log 2>&1; then
		step "compile $output with deno compile"
	elif [[ ${DENORT_BIN-} ]]; then
		tail -n 5 build/compile.log >&2
		fail "Cannot compile $output with DENORT_BIN=$DENORT_BIN: see above, all of it is in build/compile.log"
	else
		return 1
	fi
}

# Without a C library, and so that GCC does not ask for parts of one: see launcher.c.
link_launcher() { # $1 a bundled program, $2 the executable to make
	step "link $1 and Deno with the launcher"
	gcc -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-tree-loop-distribute-patterns \
		-fno-pie -no-pie -static -nostdlib -DDENO="\"$deno\"" -DPROGRAM="\"$1\"" \
		-o "$2" packaging/launcher/launcher.c packaging/launcher/payload.S
}

link_binary() {
	local part=$output.part
	stale "$output" build.sh build/mda.js "$deno" packaging/launcher || return 0
	mkdir -p "$(dirname "$output")"
	rm -f "$part"
	compile "$part" || link_launcher build/mda.js "$part"
	[[ $("$part" --version 2>&1) == 'mda '* ]] ||
		fail "Cannot use $part: it is not mda${DENORT_BIN:+; is $DENORT_BIN denort, of the same version as $deno?}"
	mv "$part" "$output"
}

build() {
	[[ $(uname -sm) == 'Linux x86_64' ]] || fail "Cannot build on $(uname -sm): mda is for Linux on x86_64"
	mkdir -p build
	# One build at a time in one tree.
	exec 9>build/lock
	flock 9
	install_packages "$build_packages"
	install_deno
	compile_bpf bpf/*.bpf.c
	generate_layouts
	copy_libraries
	bundle
	link_binary
	exec 9>&-
	step "$output is ready ($(du -m "$output" | cut -f1) MB)"
}

run_demo() {
	need_root 'load BPF programs'
	build
	install_packages "$demo_packages"
	$deno run --quiet --allow-all packaging/demo/demo.ts "$output"
}

passed=0 failed=0
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
	install_packages "$test_packages"
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
	need_root 'build the virtual machines'
	build
	tests/lab/kernels/run.sh "$@"
}

run_soak() {
	need_root 'load BPF programs'
	build
	install_packages "$test_packages"
	$deno run --quiet --no-check --frozen --allow-all tests/lifecycle/soak.ts "$@"
}

run_torture() {
	need_root 'load BPF programs'
	build
	install_packages "$test_packages"
	$deno run --quiet --no-check --frozen --allow-all tests/torture/torture.ts "$@"
}

run_bench() {
	need_root 'load BPF programs'
	build
	install_packages "$test_packages"
	compile_bpf bench/*.bpf.c
	$deno run --quiet --allow-all bench/bench.ts "$@"
}

help() { sed -n '/^# Builds/,/^[^#]/s/^# \{0,1\}//p' build.sh; }

command=${1:-build}
case $command in
build) build ;;
run) run_demo ;;
test) run_tests "${@:2}" ;;
test-kernels) run_kernel_tests "${@:2}" ;;
soak) run_soak "${@:2}" ;;
torture) run_torture "${@:2}" ;;
bench) run_bench "${@:2}" ;;
link) (($# == 3)) && link_launcher "$2" "$3" ;;
help | -h | --help) help ;;
*)
	help >&2
	exit 2
	;;
esac
