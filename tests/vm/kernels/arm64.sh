# SPDX-License-Identifier: Apache-2.0
#
# What run.sh does otherwise for kernels of arm64, which QEMU emulates with all that runs on them. It needs what
# `./build.sh --target arm64` leaves. Sourced by run.sh.
parts=$PWD/build/arm64
mda=${OUTPUT:-dist/mda-arm64}
deno=$parts/node_modules/@deno/linux-arm64-glibc/deno
architecture=arm64
work=$work/arm64
compiler="clang --target=aarch64-linux-gnu --sysroot=build/arm64/sysroot -fuse-ld=lld"
warnings= # are gcc's; clang has others
busybox=$work/busybox

for version in "${versions[@]}"; do
	[[ $version == *-arm64 ]] || fail "Cannot boot kernel '$version' with those of arm64: run it by itself"
done

install_packages() { :; } # build.sh has

fetch_busybox() {
	[[ -e $busybox ]] && return
	debian_unpack "$kernels/apt-arm64" "$work/busybox.root" busybox-static
	find "$work/busybox.root" -path '*/bin/busybox' -exec mv {} "$busybox" \;
	rm -rf "$work/busybox.root"
}

# What ldd would tell on arm64: glibc has all of it.
copy_libraries() { # $1 root, $2 program
	local library
	readelf -d "$2" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | while read -r library; do
		case $library in
		ld-*) install -D "$parts/sysroot/lib/$library" "$1/lib/$library" ;;
		*) install -D "$parts/sysroot/lib/aarch64-linux-gnu/$library" "$1/lib/aarch64-linux-gnu/$library" ;;
		esac
	done
}

# Armv8.2, as Kunpeng 920 is. The board has one serial port; the second one is a PCI device.
boot() { # $1 release of a kernel, $2 initramfs, $3 file for what the machine reports, $4... options of QEMU for its console
	timeout --foreground --kill-after=5 "$VM_SECONDS" qemu-system-aarch64 \
		-M virt -accel tcg -cpu neoverse-n1 -smp 2 -m 2048 \
		-nodefaults -display none -no-reboot -kernel "$kernels/$1/vmlinuz" -initrd "$2" \
		-append "console=ttyAMA0 quiet oops=panic panic=-1 reports=/dev/ttyS0 $append" "${@:4}" \
		-chardev file,id=reports,path="$3" -device pci-serial,chardev=reports
}
