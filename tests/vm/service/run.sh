#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs mda as a service of systemd, installed from its package, in virtual machines. On Debian, as root, after ./build.sh.
#
#   tests/vm/service/run.sh             exercise.sh on Debian 12 (systemd 252, Linux 6.1) and 13 (257, 6.12); one line
#                                            each, exit 1 if one fails
#   tests/vm/service/run.sh bookworm    on this one
#
# Environment:
#   VM_SECONDS  how long a machine may run, instead of 1200
set -euo pipefail
here=tests/vm/service
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
. tests/vm/kernels/machine.sh

declare -A versions=([bookworm]=6.1 [trixie]=6.12)
declare -A kernel_of=()
declare -A titles=([bookworm]='Debian 12' [trixie]='Debian 13')
declare -A upgrades=([upgrade]=1000.0.0)
inside=systemd-sysv,dbus,redis-server,redis-tools,procps
work=$PWD/build/service
append='systemd.show_status=no systemd.unit=multi-user.target'

# Leaves $work/RELEASE/root.cpio, an installed Debian.
make_root() { # $1 its release
	local directory=$work/$1 uri
	[[ -e $directory/root.cpio ]] && return
	uri=$(debian_mirror "$work/packages.log")
	rm -rf "$directory"
	mkdir -p "$directory"
	quietly "$directory/debootstrap.log" "install $1" timeout 1200 debootstrap --variant=minbase --include=$inside \
		"$1" "$directory/root" "$uri"
	rm -rf "$directory"/root/var/{cache/apt/archives,lib/apt/lists}/* "$directory"/root/usr/share/{doc,locale,man}/*
	(cd "$directory/root" && find . | cpio --quiet --create --format=newc) >"$directory/root.cpio.part"
	rm -rf "$directory/root"
	mv "$directory/root.cpio.part" "$directory/root.cpio"
}

# The package, and the same one under a higher version.
make_packages() {
	local package
	for package in mda upgrade; do
		rm -f "$work"/mda_*.deb
		PACKAGES=$work COMPRESSION=none quietly "$work/package.log" 'make the package' packaging/package.sh deb \
			${upgrades[$package]-}
		mv "$work"/mda_*.deb "$work/$package.deb"
	done
}

# What the machine has besides Debian; the kernel unpacks one archive over the other.
make_overlay() { # $1 its file
	local root
	root=$(mktemp -d "$work/overlay.XXXXXX")
	mkdir -p "$root"/{lab,etc/systemd/system/multi-user.target.wants}
	chmod 755 "$root"
	ln -s usr/lib/systemd/systemd "$root/init"
	install -m 755 $here/exercise.sh "$work/nonblocking" "$root/lab/"
	cp "$work/mda.deb" "$work/upgrade.deb" "$root/lab/"
	install -m 644 $here/exercise.service "$root/etc/systemd/system/"
	ln -s ../exercise.service "$root/etc/systemd/system/multi-user.target.wants/"
	(cd "$root" && find . | cpio --quiet --create --format=newc --owner=0:0) >"$1"
	rm -rf "$root"
}

test_release() { # $1 release
	cat "$work/$1/root.cpio" "$work/overlay.cpio" >"$work/$1/initramfs"
	test_machine "${titles[$1]}, Linux ${kernel_of[$1]}" "${kernel_of[$1]}" "$work/$1/initramfs" "$work/$1"
}

((EUID == 0)) || fail 'Cannot build the machines: not root'
(($#)) || set -- bookworm trixie
for release in "$@"; do
	[[ ${versions[$release]-} ]] || fail "Cannot boot '$release': not one of ${!versions[*]}"
done
mkdir -p "$work" "$kernels"
# The lock of tests/vm/kernels/run.sh.
exec 9>"$kernels/lock"
flock 9
install_packages machines service
read_packages amd64
for release in "$@"; do
	kernel_of[$release]=$(fetch_kernel "${versions[$release]}")
	make_root "$release"
done
quietly "$work/make.log" 'compile the streams' \
	make --no-builtin-rules --quiet --file=packaging/build/programs.mk build/programs/vm/kernels/nonblocking.static
cp build/programs/vm/kernels/nonblocking.static "$work/nonblocking"
make_packages
make_overlay "$work/overlay.cpio"
VM_MEGABYTES=3072
failed=0
for release in "$@"; do
	test_release "$release" || failed=1
done
exit $failed
