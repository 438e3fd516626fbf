# SPDX-License-Identifier: Apache-2.0
#
# Compiles BPF. To be sourced by build.sh.

# v3 is what 5.10 understands of BPF's instructions. bpftool's linker leaves BTF in and DWARF out.
compile_bpf() { # $@: sources, each becomes build/NAME.bpf.o
	local source object
	for source in "$@"; do
		object=build/$(basename "$source" .c).o
		stale "$object" scripts/bpf.sh bpf "$source" || continue
		step "compile $source"
		clang -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -ffile-prefix-map="$PWD=." \
			-Ibpf -I"/usr/include/$(uname -m)-linux-gnu" -c "$source" -o "$object.part"
		quietly build/bpftool.log "link $object" bpftool gen object "$object.linked" "$object.part"
		sha256sum <"$object.linked" >"$object.sha256"
		base64 --wrap=0 "$object.linked" >"$object.base64"
		mv "$object.linked" "$object"
		rm "$object.part"
	done
}

generate_layouts() {
	stale build/layouts.stamp build/mda.bpf.o src/bpf/generate_layouts.ts src/bpf/abi.c src/bpf/reasons.c || return 0
	step 'generate src/bpf/layouts.ts, abi.ts and reasons.ts'
	$deno run --quiet --allow-read --allow-write --allow-run src/bpf/generate_layouts.ts
	touch build/layouts.stamp
}
