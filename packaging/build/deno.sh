# SPDX-License-Identifier: Apache-2.0
#
# Gets Deno, and the packages that only tests use, from npm. To be sourced by build.sh.

deno_package() { [[ $1 == arm64 ]] && echo @deno/linux-arm64-glibc || echo @deno/linux-x64-glibc; }

deno=build/tools/node_modules/$(deno_package "$machine")/deno
deno_inside=$deno # the one that is put into the binary
export DENO_DIR=$PWD/build/deno DENO_NO_UPDATE_CHECK=1

locked() { # $1 package, $2 what packaging/tools/package-lock.json says of it
	sed -n "\|\"node_modules/$1\"|,/}/s/^ *\"$2\": \"\(.*\)\".*/\1/p" packaging/tools/package-lock.json
}

# By npm pack, which fetches for any machine.
install_deno() { # $1 the machine it is for, $2 where to
	local package directory wanted integrity
	package=$(deno_package "$1")
	wanted=$(locked "$package" version)
	directory=$2/node_modules/$package
	[[ -x $directory/deno ]] && grep -q "\"version\": \"$wanted\"" "$directory/package.json" && return
	command -v npm >/dev/null || fail 'Cannot install Deno: npm is missing (install Node.js 18 or later)'
	step "install Deno $wanted for $1 from npm"
	rm -rf "$directory" "$2/download"
	mkdir -p "$directory" "$2/download"
	quietly build/npm.log "install Deno $wanted (is the npm registry reachable?)" \
		npm pack --pack-destination "$2/download" "$package@$wanted"
	integrity=sha512-$(node -e 'const { createHash } = require("crypto"), { readFileSync } = require("fs");
		console.log(createHash("sha512").update(readFileSync(process.argv[1])).digest("base64"))' "$2"/download/*.tgz)
	[[ $integrity == "$(locked "$package" integrity)" ]] ||
		fail "Cannot install Deno $wanted: what npm gave for $package is $integrity, packaging/tools/package-lock.json has another"
	tar --extract --gzip --touch --no-same-owner --strip-components 1 --directory "$directory" --file "$2"/download/*.tgz
	rm -r "$2/download"
}

# Packages that only tests use: build/test_tools/node_modules.
install_test_tools() {
	local tools=build/test_tools
	stale $tools/installed tests/tools || return 0
	step 'install the packages of tests/tools from npm'
	mkdir -p $tools
	cp tests/tools/package.json tests/tools/package-lock.json $tools/
	quietly build/npm.log 'install the packages of tests/tools (is the npm registry reachable?)' \
		npm ci --prefix $tools --no-audit --no-fund
	touch $tools/installed
}
