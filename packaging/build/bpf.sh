# SPDX-License-Identifier: Apache-2.0
#
# Compiles BPF: bpf.mk has how. To be sourced by build.sh.

make_bpf() { # $@ what to make
	make --no-print-directory --no-builtin-rules --quiet --jobs="$(nproc)" --output-sync --file=packaging/build/bpf.mk DENO="$deno" "$@" ||
		fail 'Cannot compile BPF: see above'
}

# Sets `objects`.
objects_of() { # $@ sources of BPF
	objects=("${@##*/}")
	objects=("${objects[@]/#/build/}")
	objects=("${objects[@]/%.c/.o}")
}
