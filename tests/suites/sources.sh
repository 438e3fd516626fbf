# SPDX-License-Identifier: Apache-2.0
#
# Debian's source packages that the suites are in, unpacked: build/suites/sources/PACKAGE. To be sourced by build.sh.

. packaging/build/debian.sh

# The names of suites, and the source package of each; those of Python's and Go's are installed.
suites='
libuv         libuv1
libevent      libevent
libevent-recv libevent
memcached     memcached
redis         redis
python        -
go-net        -
go-http       -
go-tls        -
go-httputil   -
go-rpc        -
'

suite_names() { awk 'NF { print $1 }' <<<"$suites"; }

# The source packages of suites, of all if none is named.
suite_sources() { # $@ names
	local name
	for name in "${@:-.*}"; do
		sed -n "s/^$name  *//p" <<<"$suites"
	done | grep -vx -e - | sort -u
}

# Gets the packages of Debian 12 that are not there, of the version that the archive has; what is there stays until it is removed.
fetch_sources() { # $@ source packages
	local work=$PWD/build/suites package missing=()
	mkdir -p "$work/sources"
	for package in "$@"; do
		[[ -d $work/sources/$package ]] || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	step "get the sources of ${missing[*]} from Debian"
	debian_sources "$work/apt" "$(dpkg --print-architecture)" bookworm
	sed -i 's/^deb /deb-src /' "$work/apt/sources.list"
	quietly "$work/apt.log" 'read the lists of source packages' timeout 300 apt-get "${apt_options[@]}" update
	for package in "${missing[@]}"; do
		rm -rf "$work/download"
		mkdir "$work/download"
		(
			cd "$work/download"
			quietly "$work/apt.log" "download the sources of $package" \
				timeout 300 apt-get "${apt_options[@]}" source --only-source --download-only "$package"
			quietly "$work/apt.log" "unpack $package" dpkg-source --extract ./*.dsc source
			sed -n 's/^Version: //p' ./*.dsc | head -n 1 >"../sources/$package.version"
			mv source "../sources/$package"
		)
		rm -r "$work/download"
	done
}
