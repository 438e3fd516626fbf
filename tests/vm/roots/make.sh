# SPDX-License-Identifier: Apache-2.0
#
# Roots with nothing in them but what Debian calls required: build/roots/RELEASE. To be sourced by build.sh.

. packaging/build/debian.sh

make_root() { # $1 a release of Debian
	local root=build/roots/$1 archive
	[[ -d $root ]] && return
	archive=$(debian_mirror build/roots.log)
	step "make $root"
	rm -rf "$root.part"
	quietly build/roots.log "make a root of Debian's $1" timeout 900 \
		debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		"$1" "$root.part" "$archive"
	rm -rf "$root.part"/var/{cache/apt/archives/*.deb,lib/apt/lists/*}
	mv "$root.part" "$root"
}
