#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes dist/mda-VERSION-RELEASE.x86_64.rpm or dist/mda_VERSION-RELEASE_amd64.deb of a built mda, or those of arm64.
#
#   packaging/package.sh rpm|deb [VERSION]
#
# Two builds of one commit are the same, byte by byte, if their binaries are.
#
# Environment:
#   OUTPUT             the binary, instead of dist/mda
#   MACHINE            the one that the binary is for, x86_64 or aarch64, instead of this one; then
#   NATIVE             is an mda that runs here
#   PACKAGES           where to put the package, instead of dist
#   COMPRESSION        none: a larger package in a second, for tests
#   SOURCE_DATE_EPOCH  the time of everything in it, instead of the last commit's
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
	printf 'package.sh: %s\n' "$*" >&2
	exit 1
}

kind=${1-}
version=${2:-$(sed -n 's/.*"version": "\(.*\)".*/\1/p' deno.json)}
release=$(sed -n 's/^Release: *//p' packaging/mda.spec)
binary=$(realpath "${OUTPUT:-dist/mda}")
packages=${PACKAGES:-dist}
machine=${MACHINE:-$(uname -m)}
declare -A debian_names=([x86_64]=amd64 [aarch64]=arm64)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct || true)}
[[ $SOURCE_DATE_EPOCH ]] || fail 'Cannot date the package: git names no commit, see above (set SOURCE_DATE_EPOCH)'
[[ -x $binary ]] || fail "Cannot package $binary: it is not there (run ./build.sh)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# xz of level 2 is openEuler's own choice, and every rpm since 4.7 and every dpkg reads it: 34 MB. zstd of level 19 makes
# 33 MB of it in four times the time, and only for an rpm that is built with zstd.
make_rpm() {
	local payload=w2.xzdio
	[[ ${COMPRESSION-} != none ]] || payload=w0.ufdio
	package=mda-$version-$release.$machine.rpm
	rpmbuild -bb --target "$machine" --define "_topdir $work" --define "_rpmdir $work" --define "_rpmfilename $package" \
		--define "mda_tree $PWD" --define "mda_binary $binary" --define "mda_version $version" \
		--define "_binary_payload $payload" --define 'dist %{nil}' --define '_buildhost localhost' \
		--define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
		packaging/mda.spec >"$work/log" 2>&1 || {
		tail -n 15 "$work/log" >&2
		fail "Cannot make $package: see above"
	}
}

make_deb() {
	local root=$work/root doc=$work/root/usr/share/doc/mda compression=(-Zxz -z2)
	[[ ${COMPRESSION-} != none ]] || compression=(-Znone)
	package=mda_$version-${release}_${debian_names[$machine]}.deb
	mkdir -p "$doc" "$root/DEBIAN" "$root/usr/share/lintian/overrides"
	packaging/install.sh "$binary" "$root" /usr/share/zsh/vendor-completions /usr/share/doc/mda
	install -m 644 packaging/debian/copyright "$doc"
	gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
	gzip -9n <packaging/debian/changelog >"$doc/changelog.Debian.gz"
	install -m 644 packaging/debian/lintian-overrides "$root/usr/share/lintian/overrides/mda"
	install -m 755 packaging/debian/{postinst,prerm,postrm} "$root/DEBIAN"
	install -m 644 packaging/debian/conffiles "$root/DEBIAN"
	(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | LC_ALL=C sort | xargs md5sum) \
		>"$work/md5sums"
	install -m 644 "$work/md5sums" "$root/DEBIAN"
	sed -e "s/@VERSION@/$version-$release/; s/@ARCHITECTURE@/${debian_names[$machine]}/" \
		-e "s/@INSTALLED_SIZE@/$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)/" \
		packaging/debian/control >"$root/DEBIAN/control"
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group --threads-max=1 "${compression[@]}" --build "$root" "$work/$package" >/dev/null
}

umask 022
case $kind in
rpm) make_rpm ;;
deb) make_deb ;;
*) fail "Cannot make '$kind': it is rpm or deb" ;;
esac
mkdir -p "$packages"
mv "$work/$package" "$packages/$package"
printf 'build.sh: %s is ready (%d MB)\n' "$packages/$package" $(($(stat -c %s "$packages/$package") / 1000000))
