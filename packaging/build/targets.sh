# SPDX-License-Identifier: Apache-2.0
#
# The machine that is built for. To be sourced by build.sh.

# A machine's name, for each of those it is known by.
machine_named() {
	case $1 in
	x86_64 | x86-64 | amd64 | x64) echo x86_64 ;;
	arm64 | aarch64) echo arm64 ;;
	*) return 1 ;;
	esac
}

machine=$(machine_named "$(uname -m)") || machine=unknown

# What is built, of which parts. Those of another machine are put into $parts by cross.sh.
target=$machine parts=build import_map= output=${OUTPUT:-dist/mda}
compiler=(gcc -fno-tree-loop-distribute-patterns)

choose_target() { # $1 a machine
	target=$(machine_named "$1") || fail "Cannot build for '$1': --target takes x86_64 or arm64"
	[[ $target != "$machine" ]] || return 0
	. packaging/build/cross.sh
	parts=build/$target
	deno_inside=$parts/node_modules/$(deno_package "$target")/deno
	import_map=$parts/import_map.json
	output=${OUTPUT:-dist/mda-$target}
	compiler=(clang --target="${target/#arm64/aarch64}-linux-gnu" --sysroot="$parts/sysroot" -fuse-ld=lld)
}

take_target() { # $@: what follows the command
	case ${1-} in
	'') ;;
	--target) choose_target "${2-}" ;;
	--target=*) choose_target "${1#*=}" ;;
	*) help >&2 && exit 2 ;;
	esac
}
