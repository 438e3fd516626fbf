#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs mda on Debian's kernels, each in a virtual machine. On Debian, as root, after ./build.sh.
#
#   tests/vm/kernels/run.sh                    test.sh on all that `versions` has below, lockdown.sh on 6.1 locked down, and
#                                               ipvs.sh; one line a kernel, exit 1 if one fails
#   tests/vm/kernels/run.sh 5.10 lockdown ipvs on these
#   tests/vm/kernels/run.sh 6.1-arm64          on those of arm64, after ./build.sh --target arm64
#   tests/vm/kernels/run.sh 5.10 -- COMMAND    COMMAND instead of test.sh, its output here (no COMMAND: a shell)
#
# A kernel's name is a version, or `newest`: the newest patch release of it in the archive today, Debian's cloud kernel. 6.12-rt
# is the one with PREEMPT_RT, 6.12-arm64 that of arm64, 6.12-rt-arm64 both.
#
# Options:
#   --with FILE          put FILE into /lab of the machine, with the shared libraries it needs; may be repeated
#   --append PARAMETERS  more of the kernel's command line
#
# Environment:
#   OUTPUT      the binary to run, instead of dist/mda
#   VM_SECONDS  how long a machine may run, instead of 1200
set -euo pipefail
here=tests/vm/kernels
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

# Programs for the machine, and their sources in tests/.
declare -A workloads=([differential]=differential/cases/main [pressed]=lab/streams/pressed [torture]=torture/torture)
for name in nonblocking blocking hold bpf_objects redirected given without_resource; do
	workloads[$name]=vm/kernels/$name
done
compiler=gcc
warnings='-Wall -Wextra -Werror'
busybox=busybox
mda=${OUTPUT:-dist/mda}
deno=build/tools/node_modules/@deno/linux-x64-glibc/deno
architecture=amd64
work=$PWD/build/kernels
. $here/machine.sh

# `lockdown` is a kernel like any other, but for its command line.
declare -A boots=([lockdown]=6.1)

compile_workloads() {
	local out=${work#"$PWD/"}/programs name
	local targets=("${workloads[@]/#/$out/}")
	quietly "$work/make.log" 'compile the workloads' make --no-builtin-rules --quiet --jobs="$(nproc)" --file=packaging/build/programs.mk \
		out="$out" CC="$compiler" warnings="$warnings" "${targets[@]/%/.static}"
	for name in "${!workloads[@]}"; do
		cp "$out/${workloads[$name]}.static" "$work/$name"
	done
}

# Where `redirected` finds its number: the size of mda's counters, and the offset.
counters() {
	sed -n '/^  "counters": {/,/^  }/{s/^    "size": \([0-9]*\),/\1/p; s/.*"redirected_messages": { "offset": \([0-9]*\).*/\1/p}' \
		src/generated/layouts.ts
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
	local root file programs=("${!workloads[@]}")
	root=$(mktemp -d "$work/root.XXXXXX")
	chmod 755 "$root"
	mkdir -p "$root"/{bin,dev,etc/oncn-mda,lab,proc,root,sys,tmp}
	cp "$(command -v "$busybox")" "$root/bin/busybox"
	copy_libraries "$root" "$root/bin/busybox"
	install -m 755 $here/init.sh "$root/init"
	install -m 755 "$mda" "$root/lab/mda"
	copy_libraries "$root" "$mda"
	copy_libraries "$root" $deno # inside of mda, where ldd does not see it
	install -m 644 $here/oncn-mda.conf "$root/etc/oncn-mda/oncn-mda.conf"
	install -m 755 $here/{test,lockdown,lab,cases,given}.sh "${programs[@]/#/$work/}" "$root/lab/"
	counters >"$root/lab/counters"
	for file in "${with[@]}"; do
		cp -L "$file" "$root/lab/"
		copy_libraries "$root" "$file"
	done
	printf '%s\n' "$2" >"$root/command"
	(cd "$root" && find . | cpio --quiet --create --format=newc --owner=0:0) >"$1"
	rm -rf "$root"
}

# Prints the kernel's line; false if a test failed.
test_kernel() { # $1 title: its release, and lockdown if it is
	local directory=$work/${name_of[$1]} append=$append
	# The kernel hands on to init, in its environment, what it does not know itself.
	[[ $1 != *lockdown ]] || append+=' lockdown=integrity lab=lockdown.sh'
	mkdir -p "$directory"
	test_machine "$1" "${1%% *}" "$work/initramfs" "$directory"
}

versions=() with=() command= append= ipvs=
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
	ipvs) ipvs=1 ;;
	*)
		[[ ${boots[$1]-$1} =~ ^([0-9]+\.[0-9]+|newest)(-rt)?(-arm64)?$ ]] ||
			fail "Cannot boot kernel '$1': not a VERSION, newest or ${!boots[*]}, nor one of the first with -rt, -arm64 or both, nor ipvs"
		versions+=("$1")
		;;
	esac
	shift
done

((EUID == 0)) || fail 'Cannot build the machines: not root'
case " ${versions[*]} " in
*-arm64\ *) . $here/arm64.sh ;;
esac
for file in "$mda" $deno; do
	[[ -x $file ]] || fail "Cannot run $file: not there (./build.sh makes it)"
done
# The named ones stay when there are newer ones: each has been the first with something that mda goes by.
((${#versions[@]})) || [[ $ipvs ]] || {
	ipvs=1
	versions=(5.10 6.1 6.12 6.16 6.19 7.0 7.2 7.3 newest 6.12-rt 7.3-rt newest-rt lockdown)
}
failed=0
[[ ! $ipvs ]] || $here/ipvs.sh || failed=1
((${#versions[@]})) || exit $failed
mkdir -p "$work"
exec 9>"$work/lock"
flock 9
install_packages machines kernels
read_packages $architecture
titles=()
declare -A name_of=()
for name in "${versions[@]}"; do
	title=$(fetch_kernel "${boots[$name]-$name}") || { failed=1 && continue; }
	title+=${boots[$name]+ $name}
	[[ ! ${name_of[$title]-} ]] || continue # the newest, which has its name as well
	name_of[$title]=$name
	titles+=("$title")
done
((${#titles[@]})) || exit 1
[[ $architecture != arm64 ]] || fetch_busybox
compile_workloads

if [[ $command ]]; then
	((${#titles[@]} == 1)) || fail "Cannot run '$command': name one kernel, not ${#titles[@]}"
	build_initramfs "$work/initramfs.command" "$command"
	boot "${titles[0]%% *}" "$work/initramfs.command" "$work/reports" -chardev stdio,id=console,signal=off \
		-serial chardev:console || fail "qemu: exit code $?"
	exit "$(sed -n 's/^exit //p' "$work/reports" | grep . || echo 1)"
fi

build_initramfs "$work/initramfs" "timeout $((VM_SECONDS - 10)) \"/lab/\${lab:-test.sh}\""
for title in "${titles[@]}"; do
	test_kernel "$title" || failed=1
done
exit $failed
