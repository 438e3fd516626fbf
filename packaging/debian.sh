# SPDX-License-Identifier: Apache-2.0
#
# Packages of any Debian release and architecture, without a trace in the apt and dpkg of the host. To be sourced by a script
# that has `fail` and `quietly`.

# The archive that this machine's own packages come from.
debian_archive() { # $1 Debian or Debian-Security
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" | sed -n 1p
}

# Reads a release's package lists into a directory of their own, and sets `apt_options` to what makes apt go by them.
debian_release() { # $1 directory, to be removed afterwards; $2 release, $3 architecture
	local uri security keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	command -v apt-get >/dev/null || fail "Cannot get packages of Debian's $2: apt-get is missing (is this Debian?)"
	uri=$(debian_archive Debian)
	if [[ -z $uri ]]; then
		quietly "$1.log" 'read the package lists' apt-get update
		uri=$(debian_archive Debian)
	fi
	[[ $uri ]] || fail 'Cannot find a Debian archive among the sources of apt: is one configured?'
	security=$(debian_archive Debian-Security)
	rm -rf "$1"
	mkdir -p "$1"/{lists,archives}/partial
	printf 'deb [signed-by=%s] %s %s main\n' $keyring "$uri" "$2" >"$1/sources.list"
	[[ -z $security ]] ||
		printf 'deb [signed-by=%s] %s %s-security main\n' $keyring "$security" "$2" >>"$1/sources.list"
	apt_options=(
		-o APT::Architecture="$3" -o APT::Architectures="$3"
		-o Dir::Etc::SourceList="$1/sources.list" -o Dir::Etc::SourceParts=-
		-o Dir::State::Lists="$1/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$1"
		-o APT::Sandbox::User=root
	)
	quietly "$1.log" "read the package lists of $2" timeout 300 apt-get "${apt_options[@]}" update
}

# Unpacks packages of the release that was read last, without what they depend on.
debian_unpack() { # $1 the directory of its lists, $2 the directory to unpack to, $3... packages
	local deb
	mkdir -p "$2"
	(
		cd "$1"
		quietly "$1.log" "download ${*:3}" timeout 300 apt-get "${apt_options[@]}" download "${@:3}"
	)
	for deb in "$1"/*.deb; do
		dpkg -x "$deb" "$2"
		rm "$deb"
	done
}
