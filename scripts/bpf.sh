# SPDX-License-Identifier: Apache-2.0
#
# Compiles BPF: bpf.mk has how. To be sourced by build.sh.

make_bpf() { # $@ what to make
	make --no-print-directory --no-builtin-rules --quiet --jobs="$(nproc)" --output-sync --file=scripts/bpf.mk DENO="$deno" "$@" ||
		fail 'Cannot compile BPF: see above'
}

objects_of() { # $@ sources of BPF
	local source
	for source in "$@"; do
		printf 'build/%s.o\n' "$(basename "$source" .c)"
	done
}
