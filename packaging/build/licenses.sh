# SPDX-License-Identifier: Apache-2.0
#
# What is inside of the binary, under which licences. To be sourced by build.sh.

# What is inside, and under which licences: for `mda --licenses`.
collect_licenses() {
	stale "$parts/licenses.txt" packaging/build/licenses.sh packaging/sbom packaging/tools deno.json deno.lock LICENSE build/mda.bpf.o \
		"${carried[@]/#/$parts/}" || return 0
	step "collect licences in $parts/licenses.txt"
	describe licenses "$parts/licenses.txt"
}

describe() { # $1 a program of packaging/sbom, $2 the file to write, $3... its arguments
	$deno run --quiet --frozen --allow-read --allow-run --allow-env "packaging/sbom/$1.ts" "$target" "$parts" "${@:3}" >"$2.part"
	mv "$2.part" "$2"
}

# Beside the executable: its bill of materials, and the digests of all that is there.
describe_binary() {
	stale "$output.cdx.json" "$output" packaging/sbom || return 0
	describe bom "$output.cdx.json" "$output"
	write_digests
}

write_digests() {
	(cd "$(dirname "$output")" && find . -maxdepth 1 -type f ! -name SHA256SUMS ! -name '*.part' -printf '%P\0' |
		sort -z | xargs -0 sha256sum >SHA256SUMS.part && mv SHA256SUMS.part SHA256SUMS)
}
