#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds dist/mda, and runs what needs it. Debian 12 or openEuler on x86_64 or arm64, with Node.js; as root when packages
# are missing, and for everything but the build.
#
#   ./build.sh                 install what is missing, build dist/mda
#   ./build.sh --target arm64  build dist/mda-arm64 for other machines; on Debian
#   ./build.sh run             see it at work: redis in a cgroup of its own, before and after
#   ./build.sh test [FILE...]  all tests (or these), against the real kernel and real servers
#   ./build.sh test-kernels [KERNEL...]
#                              mda on Debian's kernels from 5.10 to the newest there is, with PREEMPT_RT, locked down, with
#                              IPVS, and on those of arm64, under qemu: every case of tests/differential, and checked streams;
#                              seven minutes a kernel. tests/lab/kernels/run.sh has the names
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

# A machine's name, for each of those it is known by.
machine_named() {
	case $1 in
	x86_64 | x86-64 | amd64 | x64) echo x86_64 ;;
	arm64 | aarch64) echo arm64 ;;
	*) return 1 ;;
	esac
}

machine=$(machine_named "$(uname -m)") || machine=unknown
deno_package() { [[ $1 == arm64 ]] && echo @deno/linux-arm64-glibc || echo @deno/linux-x64-glibc; }
deno=build/tools/node_modules/$(deno_package "$machine")/deno
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
cross_packages='
ld.lld                     lld             lld
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring -
'
emulation_packages="$cross_packages"'
qemu-system-aarch64        qemu-system-arm qemu-system-aarch64
cpio                       cpio            cpio
'
demo_packages='
redis-server               redis-server    redis
redis-benchmark            redis-tools     redis
'
rpm_packages='
rpmbuild                   rpm             rpm-build
'
deb_packages='
dpkg-deb                   dpkg            dpkg
'
test_packages="$demo_packages$rpm_packages$deb_packages"'
rpm                        rpm             rpm
rpmlint                    rpmlint         rpmlint
lintian                    lintian
systemctl                  systemd         systemd
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
gdb                        gdb             gdb
systemd-socket-activate    systemd         systemd
curl                       curl            curl
ssh                        openssh-client  openssh-clients
sshd                       openssh-server  openssh-server
rsync                      rsync           rsync
go                         golang-go       golang
psql                       postgresql      postgresql
pgbench                    postgresql      postgresql-contrib
/lib/systemd/system/postgresql.service postgresql postgresql-server
runc                       runc            runc
qemu-aarch64               qemu-user       qemu-user
fish                       fish            fish
zsh                        zsh             zsh
groff                      groff-base      groff-base
'

bench_packages="$test_packages"'
h2load                     nghttp2-client  nghttp2
'

# What builds and runs other projects' tests.
suite_packages='
dpkg-source                dpkg-dev        -
cmake                      cmake           -
make                       make            -
g++                        g++             -
go                         golang-go       -
/usr/lib/go-1.19/src/net/net_test.go golang-1.19-src -
tclsh                      tcl             -
perl                       perl            -
/usr/lib/python3.11/test/test_asyncio/test_streams.py libpython3.11-testsuite -
/usr/include/event2/event.h libevent-dev   -
/usr/include/openssl/ssl.h libssl-dev      -
ps                         procps          -
ip                         iproute2        -
'

root_packages='
debootstrap                debootstrap     -
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring -
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

locked() { # $1 package, $2 what packaging/tools/package-lock.json says of it
	sed -n "\|\"node_modules/$1\"|,/}/s/^ *\"$2\": \"\(.*\)\".*/\1/p" packaging/tools/package-lock.json
}

# By npm pack, which fetches for any machine.
install_deno() { # $1 the machine it is for, $2 where to
	local package directory wanted integrity
	package=$(deno_package "$1")
	wanted=$(locked "$package" version)
	directory=$2/node_modules/$package
	[[ -x $directory/deno ]] && grep -q "\"version\": \"$wanted\"" "$directory/package.json" && return
	command -v npm >/dev/null || fail 'Cannot install Deno: npm is missing (install Node.js 18 or later)'
	step "install Deno $wanted for $1 from npm"
	rm -rf "$directory" "$2/download"
	mkdir -p "$directory" "$2/download"
	quietly build/npm.log "install Deno $wanted (is the npm registry reachable?)" \
		npm pack --pack-destination "$2/download" "$package@$wanted"
	integrity=sha512-$(node -e 'const { createHash } = require("crypto"), { readFileSync } = require("fs");
		console.log(createHash("sha512").update(readFileSync(process.argv[1])).digest("base64"))' "$2"/download/*.tgz)
	[[ $integrity == "$(locked "$package" integrity)" ]] ||
		fail "Cannot install Deno $wanted: what npm gave for $package is $integrity, packaging/tools/package-lock.json has another"
	tar --extract --gzip --touch --no-same-owner --strip-components 1 --directory "$directory" --file "$2"/download/*.tgz
	rm -r "$2/download"
}

# Packages that only tests use: build/test_tools/node_modules.
install_test_tools() {
	local tools=build/test_tools
	stale $tools/installed tests/tools || return 0
	step 'install the packages of tests/tools from npm'
	mkdir -p $tools
	cp tests/tools/package.json tests/tools/package-lock.json $tools/
	quietly build/npm.log 'install the packages of tests/tools (is the npm registry reachable?)' \
		npm ci --prefix $tools --no-audit --no-fund
	touch $tools/installed
}

# v3 is what 5.10 understands of BPF's instructions. bpftool's linker leaves BTF in and DWARF out.
compile_bpf() { # $@: sources, each becomes build/NAME.bpf.o
	local source object
	for source in "$@"; do
		object=build/$(basename "$source" .c).o
		stale "$object" build.sh bpf "$source" || continue
		step "compile $source"
		clang -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -ffile-prefix-map="$PWD=." \
			-Ibpf -I"/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$object.part"
		quietly build/bpftool.log "link $object" bpftool gen object "$object.linked" "$object.part"
		sha256sum <"$object.linked" >"$object.sha256"
		mv "$object.linked" "$object"
		rm "$object.part"
	done
}

generate_layouts() {
	stale build/layouts.stamp build/mda.bpf.o src/generated/generate.ts src/generated/generator || return 0
	step 'generate src/generated/layouts.ts, abi.ts and reasons.ts'
	$deno run --quiet --allow-read --allow-write --allow-run src/generated/generate.ts
	touch build/layouts.stamp
}

# For hosts without libbpf 1.0: this one's, and what it needs.
copy_libraries() {
	local library found
	for library in "${carried[@]}"; do
		[[ -e build/$library.origin ]] && continue
		found=$(ldconfig -p | awk -v name="$library" -v machine="$(uname -m | tr _ -)" \
			'$1 == name && tolower($0) ~ machine && !found { found = $NF } END { print found }')
		[[ $found ]] || fail "Cannot find $library: is libbpf installed?"
		step "copy $found"
		cp -L "$found" "build/$library"
		base64 --wrap=0 "$found" >"build/$library.base64"
		tell_needs "build/$library"
		note_origin "$library" "$found"
	done
}

# Which package of this host a library is from, and under what licence.
note_origin() { # $1 library, $2 where it was found
	local ID= package
	. /etc/os-release
	if command -v dpkg-query >/dev/null; then
		package=$(dpkg-query --search "*/$1" | sed -n '1s/:.*//p')
		cp "/usr/share/doc/$package/copyright" "build/$1.copyright"
		dpkg-query --show --showformat="deb $ID \${Package} \${Version}\n" "$package" >"build/$1.origin"
	else
		package=$(rpm --query --file "$2")
		rpm --query --licensefiles "$package" | xargs -d '\n' cat >"build/$1.copyright"
		rpm --query --queryformat "rpm ${ID,,} %{NAME} %{EVR}\n" "$package" >"build/$1.origin"
	fi
}

tell_needs() { # $1 a library that is carried
	local needed
	needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' |
		grep -vx -e 'libc\.so\.6' -e 'ld-linux-.*' "${carried[@]/#/-e}" || true)
	[[ -z $needed ]] || step "note: ${1##*/} needs ${needed//$'\n'/ }, which mda does not carry"
}

# What is inside, and under which licences: for `mda --licenses`.
collect_licenses() {
	stale "$parts/licenses.txt" build.sh packaging/sbom packaging/tools deno.json deno.lock LICENSE build/mda.bpf.o \
		"${carried[@]/#/$parts/}" || return 0
	step "collect licences in $parts/licenses.txt"
	describe licenses "$parts/licenses.txt"
}

describe() { # $1 a program of packaging/sbom, $2 the file to write, $3... its arguments
	$deno run --quiet --frozen --allow-read --allow-run --allow-env "packaging/sbom/$1.ts" "$target" "$parts" "${@:3}" >"$2.part"
	mv "$2.part" "$2"
}

# Beside the executable: its bill of materials, and the digests of all that is there.
describe_binary() {
	stale "$output.cdx.json" "$output" packaging/sbom || return 0
	describe bom "$output.cdx.json" "$output"
	write_digests
}

write_digests() {
	(cd "$(dirname "$output")" && find . -maxdepth 1 -type f ! -name SHA256SUMS ! -name '*.part' -printf '%P\0' |
		sort -z | xargs -0 sha256sum >SHA256SUMS.part && mv SHA256SUMS.part SHA256SUMS)
}

# The libraries are where deno.json says, `carried/`; an import map says it of another target.
bundle() {
	stale "$parts/mda.js" build.sh packaging/bundle.ts main.ts src deno.json deno.lock build/*.bpf.o "${carried[@]/#/$parts/}" \
		"$parts/licenses.txt" || return 0
	step "bundle main.ts to $parts/mda.js"
	quietly build/bundle.log 'bundle main.ts' $deno bundle --quiet --frozen --platform deno \
		${import_map:+--import-map "$import_map"} --output "$parts/mda.part.js" main.ts
	quietly build/bundle.log 'finish the bundle' \
		$deno run --quiet --allow-read --allow-write packaging/bundle.ts "$parts/mda.part.js"
	mv "$parts/mda.part.js" "$parts/mda.js"
}

# By `deno compile`, when it gets its base binary: from DENORT_BIN or within 20 s.
compile() { # $1 the executable to make
	if timeout 20 $deno compile --quiet --no-config --no-code-cache --allow-all \
		--target "${target/#arm64/aarch64}-unknown-linux-gnu" --output "$1" "$parts/mda.js" >build/compile.log 2>&1; then
		step "compile $output with deno compile"
	elif [[ ${DENORT_BIN-} ]]; then
		tail -n 5 build/compile.log >&2
		fail "Cannot compile $output with DENORT_BIN=$DENORT_BIN: see above, all of it is in build/compile.log"
	else
		return 1
	fi
}

# Without a C library, and so that the compiler does not ask for parts of one: see launcher.c.
link_launcher() { # $1 a bundled program, $2 the executable to make
	step "link $1 and Deno with the launcher"
	"${compiler[@]}" -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie -static -nostdlib \
		-DDENO="\"$deno_inside\"" -DPROGRAM="\"$1\"" \
		-o "$2" packaging/launcher/launcher.c packaging/launcher/payload.S
}

link_binary() {
	local part=$output.part
	stale "$output" build.sh "$parts/mda.js" "$deno_inside" packaging/launcher || return 0
	mkdir -p "$(dirname "$output")"
	rm -f "$part"
	compile "$part" || link_launcher "$parts/mda.js" "$part"
	[[ $target != "$machine" || $("$part" --version 2>&1) == 'mda '* ]] ||
		fail "Cannot use $part: it is not mda${DENORT_BIN:+; is $DENORT_BIN denort, of the same version as $deno?}"
	mv "$part" "$output"
}

# What is built, of which parts. Those of another machine are put into $parts by packaging/cross.sh.
target=$machine parts=build deno_inside=$deno import_map= output=${OUTPUT:-dist/mda}
compiler=(gcc -fno-tree-loop-distribute-patterns)
choose_target() { # $1 a machine
	target=$(machine_named "$1") || fail "Cannot build for '$1': --target takes x86_64 or arm64"
	[[ $target != "$machine" ]] || return 0
	parts=build/$target
	deno_inside=$parts/node_modules/$(deno_package "$target")/deno
	import_map=$parts/import_map.json
	output=${OUTPUT:-dist/mda-$target}
	compiler=(clang --target="${target/#arm64/aarch64}-linux-gnu" --sysroot="$parts/sysroot" -fuse-ld=lld)
}

take_target() { # $@: what follows the command
	case ${1-} in
	'') ;;
	--target) choose_target "${2-}" ;;
	--target=*) choose_target "${1#*=}" ;;
	*) help >&2 && exit 2 ;;
	esac
}

build() {
	[[ $(uname -s) == Linux && $machine != unknown ]] ||
		fail "Cannot build on $(uname -sm): mda is for Linux on x86_64 and arm64"
	mkdir -p build
	# One build at a time in one tree.
	exec 9>build/lock
	flock 9
	install_packages "$build_packages"
	install_deno "$machine" build/tools
	compile_bpf bpf/*.bpf.c
	generate_layouts
	if [[ $target == "$machine" ]]; then
		copy_libraries
	else
		. packaging/cross.sh
		prepare_target
	fi
	collect_licenses
	bundle
	link_binary
	describe_binary
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
		install_packages "$emulation_packages"
		(($#)) || set -- {5.10,6.1,6.12,7.3,newest}-arm64
		tests/lab/kernels/run.sh "$@" || failed=1
	fi
	return $failed
}

run_root_tests() {
	need_root 'make roots'
	build
	install_packages "$root_packages"
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
	install_packages "$suite_packages"
	fetch_sources $(suite_sources "$@")
	$deno run --quiet --no-check --frozen --allow-all tests/suites/run.ts "$@"
}

run_service_tests() {
	need_root 'build the virtual machines'
	build
	install_packages "$deb_packages"
	tests/service/machine/run.sh "$@"
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
	install_packages "$bench_packages"
	compile_bpf bench/*.bpf.c
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

make_package() { # $1 rpm or deb, then maybe --target
	local table=${1}_packages native
	build
	native=$output
	take_target "${@:2}"
	[[ $target == "$machine" ]] || build
	install_packages "${!table}"
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
test-kernels) run_kernel_tests "${@:2}" ;;
test-roots) run_root_tests ;;
test-suites) run_suites "${@:2}" ;;
test-service) run_service_tests "${@:2}" ;;
soak) run_soak "${@:2}" ;;
torture) run_torture "${@:2}" ;;
bench) run_bench "${@:2}" ;;
manual) make_manual ;;
rpm | deb) make_package "$@" ;;
link) (($# == 3)) && link_launcher "$2" "$3" ;;
help | -h | --help) help ;;
*)
	help >&2
	exit 2
	;;
esac
