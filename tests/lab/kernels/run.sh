#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs mda on Debian's cloud kernels, each in a virtual machine. On Debian, as root, after ./build.sh.
#
#   tests/lab/kernels/run.sh                    test.sh on 5.10, 6.1 and 6.12, lockdown.sh on 6.1 locked down; one line a
#                                               kernel, exit 1 if one fails
#   tests/lab/kernels/run.sh 5.10 lockdown      on these
#   tests/lab/kernels/run.sh 5.10 -- COMMAND    COMMAND instead of test.sh, its output here (no COMMAND: a shell)
#
# Options:
#   --with FILE          put FILE into /lab of the machine, with the shared libraries it needs; may be repeated
#   --append PARAMETERS  more of the kernel's command line
#
# Environment:
#   OUTPUT      the binary to run, instead of dist/mda
#   VM_SECONDS  how long a machine may run, instead of 400
set -euo pipefail
here=tests/lab/kernels
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

declare -A releases=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
workloads=(nonblocking blocking hold bpf_objects redirected)
threaded=(-std=gnu11 -O2 -Wall -Wextra -Werror -pthread -static -s)
mda=${OUTPUT:-dist/mda}
deno=build/tools/node_modules/@deno/linux-x64-glibc/deno
work=$PWD/build/kernels
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
	printf 'run.sh: %s\n' "$*" >&2
	exit 1
}

# Runs a command with its output in a log, which is shown only when it fails.
quietly() { # $1 log, $2 what it is for
	"${@:3}" >"$1" 2>&1 || {
		tail -n 15 "$1" >&2
		fail "Cannot $2: see above, all of it is in $1"
	}
}

install_packages() {
	local probe package missing=()
	while read -r probe package; do
		[[ -e $probe ]] || command -v "$probe" >/dev/null || missing+=("$package")
	done <<-TABLE
		qemu-system-x86_64               qemu-system-x86
		busybox                          busybox-static
		cpio                             cpio
		gcc                              gcc
		/usr/lib/x86_64-linux-gnu/libc.a libc6-dev
		$keyring                         debian-archive-keyring
	TABLE
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null || fail "Cannot install ${missing[*]}: not Debian"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "${missing[@]}" >"$work/packages.log" 2>&1 || {
		quietly "$work/packages.log" 'read the package lists' apt-get update
		quietly "$work/packages.log" "install ${missing[*]}" \
			apt-get install -y --no-install-recommends "${missing[@]}"
	}
}

# The archive that this machine's own packages come from.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p
}

# `lockdown` is a kernel like any other, but for its command line.
declare -A boots=([lockdown]=6.1)
kernel_of() { echo "${boots[$1]-$1}"; }

# Leaves $work/VERSION/vmlinuz and $work/VERSION/release, its name.
fetch_kernel() { # $1 version
	local directory=$work/$1 release=${releases[$1]} uri package options
	[[ -e $directory/vmlinuz ]] && return
	uri=$(mirror)
	if [[ -z $uri ]]; then
		quietly "$work/packages.log" 'read the package lists' apt-get update
		uri=$(mirror)
	fi
	[[ $uri ]] || fail 'Cannot find a Debian archive among the sources of apt: is one configured?'
	rm -rf "$directory"
	mkdir -p "$directory"/apt/{lists,archives}/partial
	printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' $keyring "$uri" "$release" >"$directory/apt/sources.list"
	options=(
		-o Dir::Etc::SourceList="$directory/apt/sources.list" -o Dir::Etc::SourceParts=-
		-o Dir::State::Lists="$directory/apt/lists" -o Dir::Cache="$directory/apt"
		-o APT::Sandbox::User=root
	)
	quietly "$directory/apt.log" "read the package lists of $release" timeout 300 apt-get "${options[@]}" update
	package=$(apt-cache "${options[@]}" show linux-image-cloud-amd64 |
		sed -n "s/^Depends: \(linux-image-${1/./\\.}[.-][^ ,]*\).*/\1/p" | sed -n 1p)
	[[ $package ]] || fail "Cannot find a cloud kernel $1 in $release of $uri"
	(
		cd "$directory/apt"
		quietly "$directory/apt.log" "download $package" timeout 300 apt-get "${options[@]}" download "$package"
		dpkg -x "$package"_*.deb root
	)
	printf '%s\n' "${package#linux-image-}" >"$directory/release"
	mv "$directory"/apt/root/boot/vmlinuz-* "$directory/vmlinuz"
	rm -rf "$directory/apt"
}

compile_workloads() {
	local name
	for name in "${workloads[@]}"; do
		quietly "$work/gcc.log" "compile $here/$name.c" \
			gcc -O2 -Wall -Wextra -Werror -static -o "$work/$name" $here/$name.c
	done
	quietly "$work/gcc.log" 'compile the cases' gcc "${threaded[@]}" -o "$work/differential" tests/differential/cases/*.c
	quietly "$work/gcc.log" 'compile the torture' gcc "${threaded[@]}" -o "$work/torture" tests/torture/torture.c
}

# Where `redirected` finds its number: the size of mda's counters, and the offset.
counters() {
	sed -n '/^  "counters": {/,/^  }/{s/^    "size": \([0-9]*\),/\1/p; s/.*"redirected_messages": { "offset": \([0-9]*\).*/\1/p}' \
		src/bpf/layouts.ts
}

# The libraries go where the host has them, which is where the loader looks for them.
copy_libraries() { # $1 root, $2 program
	local library
	ldd "$2" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
		install -D "$library" "$1$library"
	done || true # a static program has none
}

# A root file system of busybox, mda and the workloads. mda finds glibc in it but no libbpf: it must bring its own.
build_initramfs() { # $1 its file, $2 what the machine runs
	local root file
	root=$(mktemp -d "$work/root.XXXXXX")
	chmod 755 "$root"
	mkdir -p "$root"/{bin,dev,etc/oncn-mda,lab,proc,root,sys,tmp}
	cp "$(command -v busybox)" "$root/bin/busybox"
	copy_libraries "$root" "$(command -v busybox)"
	install -m 755 $here/init.sh "$root/init"
	install -m 755 "$mda" "$root/lab/mda"
	copy_libraries "$root" "$mda"
	copy_libraries "$root" $deno # inside of mda, where ldd does not see it
	install -m 644 $here/oncn-mda.conf "$root/etc/oncn-mda/oncn-mda.conf"
	install -m 755 $here/{test,lockdown,lab,cases}.sh "${workloads[@]/#/$work/}" "$work"/{differential,torture} "$root/lab/"
	counters >"$root/lab/counters"
	for file in "$(command -v setpriv)" "${with[@]}"; do
		cp -L "$file" "$root/lab/"
		copy_libraries "$root" "$file"
	done
	printf '%s\n' "$2" >"$root/command"
	(cd "$root" && find . | cpio --quiet --create --format=newc --owner=0:0) >"$1"
	rm -rf "$root"
}

# Multi-threaded TCG breaks 6.12's atomics, and so does now and then QEMU 7.2's cmpxchg16b: without cx16 the kernel
# uses its own (this_cpu_cmpxchg16b_emu).
boot() { # $1 version, $2 initramfs, $3 file for what the machine reports, $4... options of QEMU for its console
	timeout --foreground --kill-after=5 "${VM_SECONDS:-400}" qemu-system-x86_64 \
		-accel tcg,thread=single -cpu Nehalem,-cx16 -smp 2 -m 2048 \
		-nodefaults -display none -no-reboot -kernel "$work/$1/vmlinuz" -initrd "$2" \
		-append "console=ttyS0 quiet oops=panic panic=-1 $append" "${@:4}" -serial file:"$3"
}

# Prints the kernel's line; false if a test failed.
test_kernel() { # $1 version, or lockdown
	local name=$1 version directory append=$append started=$SECONDS status=0 seconds reports failure
	version=$(kernel_of "$name")
	directory=$work/$name
	mkdir -p "$directory"
	# The kernel hands on to init, in its environment, what it does not know itself.
	[[ $name != lockdown ]] || append+=' lockdown=integrity lab=lockdown.sh'
	: >"$directory/reports"
	: >"$directory/console.log"
	boot "$version" "$work/initramfs" "$directory/reports" -serial file:"$directory/console.log" || status=$?
	seconds=$((SECONDS - started))
	reports=$(sed -n 's/^report /; /p' "$directory/reports" | tr -d '\n')
	failure=$(sed -n 's/^failed /FAILED: /p' "$directory/reports")
	if ((status == 124)); then
		failure="FAILED: still running after ${VM_SECONDS:-400} s"
	elif ((status)); then
		failure="FAILED: qemu: exit code $status"
	elif [[ -z $failure ]] && ! grep -qx 'exit 0' "$directory/reports"; then
		failure='FAILED: the machine ended before its test'
	fi
	[[ $name == "$version" ]] && name=$(<"$directory/release") || name="$(<"$work/$version/release") $name"
	printf '%s: %s (%d s)%s\n' "$name" "${failure:-ok}" $seconds "$reports"
	[[ -z $failure ]] || printf '%s:\n%s\n' "$directory/console.log" "$(tail -n 30 "$directory/console.log")" >&2
	[[ -z $failure ]]
}

versions=() with=() command= append=
while (($#)); do
	case $1 in
	--with)
		[[ -e ${2-} ]] || fail "Cannot read '${2-}' (--with): no such file"
		with+=("$2")
		shift
		;;
	--append)
		append=${2?--append: no parameters}
		shift
		;;
	--)
		shift
		command=${*:-sh}
		break
		;;
	*)
		[[ ${releases[$(kernel_of "$1")]-} ]] || fail "Cannot boot kernel '$1': not one of ${!releases[*]} ${!boots[*]}"
		versions+=("$1")
		;;
	esac
	shift
done

((EUID == 0)) || fail 'Cannot build the machines: not root'
for file in "$mda" $deno; do
	[[ -x $file ]] || fail "Cannot run $file: not there (./build.sh makes it)"
done
mkdir -p "$work"
exec 9>"$work/lock"
flock 9
install_packages
((${#versions[@]})) || versions=(5.10 6.1 6.12 lockdown)
for version in "${versions[@]}"; do
	fetch_kernel "$(kernel_of "$version")"
done
compile_workloads

if [[ $command ]]; then
	((${#versions[@]} == 1)) || fail "Cannot run '$command': name one kernel, not ${#versions[@]}"
	build_initramfs "$work/initramfs.command" "$command"
	boot "${versions[0]}" "$work/initramfs.command" "$work/reports" -chardev stdio,id=console,signal=off \
		-serial chardev:console || fail "qemu: exit code $?"
	exit "$(sed -n 's/^exit //p' "$work/reports" | grep . || echo 1)"
fi

build_initramfs "$work/initramfs" 'timeout 390 "/lab/${lab:-test.sh}"'
failed=0
for version in "${versions[@]}"; do
	test_kernel "$version" || failed=1
done
exit $failed
