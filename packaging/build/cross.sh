# SPDX-License-Identifier: Apache-2.0
#
# For another machine than the one that it runs on: gets what the binary is made of. To be sourced by targets.sh.

. packaging/build/debian.sh

# The oldest Debian with libbpf 1: what it is linked with needs no more than glibc 2.34.
debian_suite=bookworm
sysroot_packages=(libc6 libc6-dev libgcc-s1 libgcc-12-dev linux-libc-dev)
library_packages=(libbpf1 libelf1 zlib1g) # in the order of `carried` in libraries.sh

fetch_debian_packages() {
	local architecture=${target/#x86_64/amd64} lists=$PWD/$parts/apt library
	[[ -d $parts/sysroot ]] && return
	step "get libraries of Debian's $debian_suite for $target"
	rm -rf "$parts"/{packages,sysroot.part}
	debian_release "$lists" $debian_suite "$architecture"
	debian_unpack "$lists" "$parts/packages" "${library_packages[@]}"
	debian_unpack "$lists" "$parts/sysroot.part" "${sysroot_packages[@]}"
	for library in "${carried[@]}"; do
		cp -L "$parts"/packages/{,usr/}lib/*/"$library" "$parts/" 2>/dev/null ||
			[[ -e $parts/$library ]] || fail "Cannot find $library in ${library_packages[*]} of $debian_suite"
		base64 --wrap=0 "$parts/$library" >"$parts/$library.base64"
		tell_needs "$parts/$library"
	done
	note_origins
	rm -r "$lists" "$parts/packages"
	mv "$parts/sysroot.part" "$parts/sysroot"
}

# Which package each library is from, and under what licence: as libraries.sh notes it of those of the host.
note_origins() {
	local index package version
	for index in "${!carried[@]}"; do
		package=${library_packages[index]}
		version=$(apt-cache "${apt_options[@]}" show --no-all-versions "$package" | sed -n 's/^Version: //p')
		printf 'deb debian %s %s\n' "$package" "$version" >"$parts/${carried[index]}.origin"
		cp "$parts/packages/usr/share/doc/$package/copyright" "$parts/${carried[index]}.copyright"
	done
}

prepare_target() {
	command -v apt-get >/dev/null ||
		fail "Cannot build for $target here: its libraries are Debian's, and apt-get is missing (build on Debian, or on $target)"
	mkdir -p "$parts"
	install_packages cross
	install_deno "$target" "$parts"
	fetch_debian_packages
	sed 's|"\./build/"|"./"|' deno.json >"$parts/import_map.part"
	cmp -s "$parts/import_map.part" "$import_map" || cp "$parts/import_map.part" "$import_map"
	rm "$parts/import_map.part"
}
