#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs ipvs_inside.sh in a virtual machine with Debian 12's cloud kernel, whose modules have IPVS: what Services are in
# kube-proxy's mode of that name. On Debian, as root, after ./build.sh. Prints one line; exit 1 if it fails.
#
# Environment:
#   OUTPUT      the binary to run, instead of dist/mda
set -euo pipefail
here=tests/vm/kernels
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
. $here/machine.sh

mda=${OUTPUT:-dist/mda}
deno=build/tools/node_modules/@deno/linux-x64-glibc/deno
work=$kernels/ipvs    # where boot finds a kernel
append=no_timer_check # on a busy host the emulated timer may seem not to work
tools=(ipvsadm libnl-3-200 libnl-genl-3-200 libpopt0 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libexpat1 zlib1g)

fetch() {
	local package
	[[ -e $work/vmlinuz ]] && return
	rm -rf "$work"/{packages,apt}
	debian_release "$work/apt" bookworm amd64
	package=$(apt-cache "${apt_options[@]}" show linux-image-cloud-amd64 |
		sed -n 's/^Depends: \(linux-image-6[^ ,]*\).*/\1/p' | sed -n 1p)
	[[ $package ]] || fail "Cannot find bookworm's cloud kernel"
	debian_unpack "$work/apt" "$work/packages" "$package" "${tools[@]}"
	printf '%s\n' "${package#linux-image-}" >"$work/release"
	rm -rf "$work/apt"
	mv "$work"/packages/boot/vmlinuz-* "$work/vmlinuz"
}

libraries_of() { ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true; } # a static program has none

build_initramfs() { # $1 its file
	local root modules=lib/modules/$release/kernel file
	root=$(mktemp -d "$work/root.XXXXXX")
	chmod 755 "$root"
	mkdir -p "$root"/{bin,dev,lab,lib64,proc,root,sys,tmp,$modules}
	for file in "$(command -v busybox)" "$mda" $deno; do
		libraries_of "$file"
	done | sort -u | while read -r file; do install -D "$file" "$root$file"; done
	cp -a "$work"/packages/{lib,usr} "$root/" 2>/dev/null
	find "$root/lib/modules" -name '*.ko' ! -path '*/net/netfilter/*' ! -name '*crc32c*' ! -name 'nf_defrag*' -delete
	busybox depmod -b "$root" "$release"
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$work/packages/sbin/ipvsadm" "$root/bin/"
	cp "$work/packages/usr/bin/python3.11" "$root/bin/python3"
	install -m 755 $here/init.sh "$root/init"
	install -m 755 "$mda" "$root/lab/mda"
	install -m 755 $here/{lab,ipvs_inside}.sh tests/plane/network/nat_state.py "$root/lab/"
	echo "timeout $((VM_SECONDS - 10)) /lab/ipvs_inside.sh" >"$root/command"
	(cd "$root" && find . | cpio --quiet --create --format=newc --owner=0:0) >"$1"
	rm -rf "$root"
}

((EUID == 0)) || fail 'Cannot build the machine: not root'
[[ -x $mda && -x $deno ]] || fail "Cannot run $mda: not there (./build.sh makes it)"
mkdir -p "$work"
exec 9>"$work/lock"
flock 9
install_packages machines kernels
fetch
release=$(<"$work/release")
build_initramfs "$work/initramfs"
test_machine "$release with IPVS" ipvs "$work/initramfs" "$work"
