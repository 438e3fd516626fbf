# SPDX-License-Identifier: Apache-2.0
#
# Packages of any Debian release and architecture, without a trace in the apt and dpkg of the host. To be sourced by a script
# that has `fail` and `quietly`.

# The archive that this machine's own packages come from.
debian_archive() { # $1 Debian or Debian-Security
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" | sed -n 1p
}

# That of Debian, after having apt look whether need be.
debian_mirror() { # $1 log
	local uri
	command -v apt-get >/dev/null || fail 'Cannot get packages of Debian: apt-get is missing (is this Debian?)'
	uri=$(debian_archive Debian)
	if [[ -z $uri ]]; then
		quietly "$1" 'read the package lists' apt-get update
		uri=$(debian_archive Debian)
	fi
	[[ $uri ]] || fail 'Cannot find a Debian archive among the sources of apt: is one configured?'
	printf '%s\n' "$uri"
}

# Has apt read the package lists of releases into a directory of their own: sets `apt_options` to what makes apt go by them.
debian_sources() { # $1 directory; $2 architecture, $3... releases
	local directory=$1 architecture=$2 release uri security keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	uri=$(debian_mirror "$directory.log")
	security=$(debian_archive Debian-Security)
	mkdir -p "$directory"/{lists,archives}/partial
	for release in "${@:3}"; do
		printf 'deb [signed-by=%s] %s %s main\n' $keyring "$uri" "$release"
		[[ -z $security || $release == *-backports || $release == sid ]] ||
			printf 'deb [signed-by=%s] %s %s-security main\n' $keyring "$security" "$release"
	done >"$directory/sources.list"
	apt_options=(
		-o APT::Architecture="$architecture" -o APT::Architectures="$architecture"
		-o Dir::Etc::SourceList="$directory/sources.list" -o Dir::Etc::SourceParts=-
		-o Dir::State::Lists="$directory/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$directory"
		-o APT::Sandbox::User=root
	)
}

# Reads a release's package lists as debian_sources has it.
debian_release() { # $1 directory, to be removed afterwards; $2 release, $3 architecture
	rm -rf "$1"
	debian_sources "$1" "$3" "$2"
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
