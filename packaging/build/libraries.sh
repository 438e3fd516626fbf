# SPDX-License-Identifier: Apache-2.0
#
# The libraries that mda carries. To be sourced by build.sh.

carried=(libbpf.so.1 libelf.so.1 libz.so.1)

# For hosts without libbpf 1.0: this one's, and what it needs.
copy_libraries() {
	local library found
	for library in "${carried[@]}"; do
		[[ -e build/$library.origin ]] && continue
		found=$(ldconfig -p | awk -v name="$library" -v machine="$(uname -m | tr _ -)" \
			'$1 == name && tolower($0) ~ machine && !found { found = $NF } END { print found }')
		[[ $found ]] || fail "Cannot find $library: is libbpf installed?"
		step "copy $found"
		cp -L "$found" "build/$library"
		base64 --wrap=0 "$found" >"build/$library.base64"
		tell_needs "build/$library"
		note_origin "$library" "$found"
	done
}

# Which package of this host a library is from, and under what licence.
note_origin() { # $1 library, $2 where it was found
	local ID= package
	# shellcheck source=/dev/null
	. /etc/os-release
	if command -v dpkg-query >/dev/null; then
		package=$(dpkg-query --search "*/$1" | sed -n '1s/:.*//p')
		cp "/usr/share/doc/$package/copyright" "build/$1.copyright"
		dpkg-query --show --showformat="deb $ID \${Package} \${Version}\n" "$package" >"build/$1.origin"
	else
		package=$(rpm --query --file "$2")
		rpm --query --licensefiles "$package" | xargs -d '\n' cat >"build/$1.copyright"
		rpm --query --queryformat "rpm ${ID,,} %{NAME} %{EVR}\n" "$package" >"build/$1.origin"
	fi
}

tell_needs() { # $1 a library that is carried
	local needed
	needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' |
		grep -vx -e 'libc\.so\.6' -e 'ld-linux-.*' "${carried[@]/#/-e}" || true)
	[[ -z $needed ]] || step "note: ${1##*/} needs ${needed//$'\n'/ }, which mda does not carry"
}
