# SPDX-License-Identifier: Apache-2.0
#
# One file of all that is mda. To be sourced by build.sh.

# What browsers run: see src/web.
bundle_page() {
	stale build/page.js packaging/build/binary.sh src/web/page src/web/moment.ts src/text src/generated/reasons.ts deno.json deno.lock ||
		return 0
	step 'bundle src/web/page to build/page.js'
	quietly build/bundle.log 'bundle src/web/page' $deno bundle --quiet --frozen --platform browser --minify \
		--output build/page.part.js src/web/page/main.tsx
	mv build/page.part.js build/page.js
}

# The libraries are where deno.json says, `carried/`; an import map says it of another target.
bundle() {
	stale "$parts/mda.js" packaging/build/binary.sh packaging/bundle.ts main.ts src deno.json deno.lock build/*.bpf.o build/page.js "${carried[@]/#/$parts/}" \
		"$parts/licenses.txt" || return 0
	step "bundle main.ts to $parts/mda.js"
	quietly build/bundle.log 'bundle main.ts' $deno bundle --quiet --frozen --platform deno \
		${import_map:+--import-map "$import_map"} --output "$parts/mda.part.js" main.ts
	quietly build/bundle.log 'finish the bundle' \
		$deno run --quiet --allow-read --allow-write packaging/bundle.ts "$parts/mda.part.js"
	mv "$parts/mda.part.js" "$parts/mda.js"
}

# By `deno compile`, when it gets its base binary: from DENORT_BIN or within 20 s.
compile() { # $1 the executable to make
	if timeout 20 $deno compile --quiet --no-config --no-code-cache --allow-all \
		--target "${target/#arm64/aarch64}-unknown-linux-gnu" --output "$1" "$parts/mda.js" >build/compile.log 2>&1; then
		step "compile $output with deno compile"
	elif [[ ${DENORT_BIN-} ]]; then
		tail -n 5 build/compile.log >&2
		fail "Cannot compile $output with DENORT_BIN=$DENORT_BIN: see above, all of it is in build/compile.log"
	else
		return 1
	fi
}

# Without a C library, and so that the compiler does not ask for parts of one: see launcher.c.
link_launcher() { # $1 a bundled program, $2 the executable to make
	step "link $1 and Deno with the launcher"
	"${compiler[@]}" -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie -static -nostdlib \
		-DDENO="\"$deno_inside\"" -DPROGRAM="\"$1\"" \
		-o "$2" packaging/launcher/launcher.c packaging/launcher/payload.S
}

link_binary() {
	local part=$output.part
	stale "$output" packaging/build/binary.sh "$parts/mda.js" "$deno_inside" packaging/launcher || return 0
	mkdir -p "$(dirname "$output")"
	rm -f "$part"
	compile "$part" || link_launcher "$parts/mda.js" "$part"
	[[ $target != "$machine" || $("$part" --version 2>&1) == 'mda '* ]] ||
		fail "Cannot use $part: it is not mda${DENORT_BIN:+; is $DENORT_BIN denort, of the same version as $deno?}"
	mv "$part" "$output"
}
