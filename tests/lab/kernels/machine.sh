# SPDX-License-Identifier: Apache-2.0
#
# What run.sh and tests/service/machine/run.sh share: Debian's cloud kernels, and a virtual machine that runs one of them.
# Sourced from the root of the tree, where the kernels are kept in build/kernels.
#
#   VM_SECONDS    how long a machine may run, instead of 400
#   VM_MEGABYTES  its memory, instead of 2048
#   append        more of the kernel's command line

declare -A releases=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie)
kernels=$PWD/build/kernels
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs a command with its output in a log, which is shown only when it fails.
quietly() { # $1 log, $2 what it is for
	"${@:3}" >"$1" 2>&1 || {
		tail -n 15 "$1" >&2
		fail "Cannot $2: see above, all of it is in $1"
	}
}

# What a machine needs, and what the caller needs besides.
install_packages() { # $1 lines of a program or file that tells whether it is there, and its package
	local probe package missing=()
	while read -r probe package; do
		[[ -z $probe || -e $probe ]] || command -v "$probe" >/dev/null || missing+=("$package")
	done <<-TABLE
		qemu-system-x86_64 qemu-system-x86
		$keyring debian-archive-keyring
		$1
	TABLE
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null || fail "Cannot install ${missing[*]}: not Debian"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "${missing[@]}" >"$kernels/packages.log" 2>&1 || {
		quietly "$kernels/packages.log" 'read the package lists' apt-get update
		quietly "$kernels/packages.log" "install ${missing[*]}" \
			apt-get install -y --no-install-recommends "${missing[@]}"
	}
}

# The archive that this machine's own packages come from.
mirror() {
	local list=(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian') uri
	uri=$("${list[@]}" | sed -n 1p)
	if [[ -z $uri ]]; then
		quietly "$kernels/packages.log" 'read the package lists' apt-get update
		uri=$("${list[@]}" | sed -n 1p)
	fi
	[[ $uri ]] || fail 'Cannot find a Debian archive among the sources of apt: is one configured?'
	printf '%s\n' "$uri"
}

# Leaves vmlinuz, and its name in `release`, in $kernels/VERSION.
fetch_kernel() { # $1 version
	local directory=$kernels/$1 release=${releases[$1]} uri package options
	[[ -e $directory/vmlinuz ]] && return
	uri=$(mirror)
	rm -rf "$directory"
	mkdir -p "$directory"/apt/{lists,archives}/partial
	printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' $keyring "$uri" "$release" >"$directory/apt/sources.list"
	options=(
		-o Dir::Etc::SourceList="$directory/apt/sources.list" -o Dir::Etc::SourceParts=-
		-o Dir::State::Lists="$directory/apt/lists" -o Dir::Cache="$directory/apt"
		-o APT::Sandbox::User=root
	)
	quietly "$directory/apt.log" "read the package lists of $release" timeout 300 apt-get "${options[@]}" update
	package=$(apt-cache "${options[@]}" show linux-image-cloud-amd64 |
		sed -n "s/^Depends: \(linux-image-${1/./\\.}[.-][^ ,]*\).*/\1/p" | sed -n 1p)
	[[ $package ]] || fail "Cannot find a cloud kernel $1 in $release of $uri"
	(
		cd "$directory/apt"
		quietly "$directory/apt.log" "download $package" timeout 300 apt-get "${options[@]}" download "$package"
		dpkg -x "$package"_*.deb root
	)
	printf '%s\n' "${package#linux-image-}" >"$directory/release"
	mv "$directory"/apt/root/boot/vmlinuz-* "$directory/vmlinuz"
	rm -rf "$directory/apt"
}

# Multi-threaded TCG breaks 6.12's atomics, and so does now and then QEMU 7.2's cmpxchg16b: without cx16 the kernel
# uses its own (this_cpu_cmpxchg16b_emu).
boot() { # $1 version, $2 initramfs, $3 file for what the machine reports, $4... options of QEMU for its console
	timeout --foreground --kill-after=5 "${VM_SECONDS:-400}" qemu-system-x86_64 \
		-accel tcg,thread=single -cpu Nehalem,-cx16 -smp 2 -m "${VM_MEGABYTES:-2048}" \
		-nodefaults -display none -no-reboot -kernel "$kernels/$1/vmlinuz" -initrd "$2" \
		-append "console=ttyS0 quiet oops=panic panic=-1 ${append-}" "${@:4}" -serial file:"$3"
}

# Prints one line; false if a test failed. The machine reports at its second serial port: `report TEXT` for the line,
# `failed TEXT`, `exit CODE` at its end.
test_machine() { # $1 its name, $2 version of the kernel, $3 initramfs, $4 directory for its logs
	local directory=$4 started=$SECONDS status=0 seconds reports failure
	: >"$directory/reports"
	: >"$directory/console.log"
	boot "$2" "$3" "$directory/reports" -serial file:"$directory/console.log" || status=$?
	seconds=$((SECONDS - started))
	reports=$(sed -n 's/^report /; /p' "$directory/reports" | tr -d '\n')
	failure=$(sed -n 's/^failed /FAILED: /p' "$directory/reports")
	if ((status == 124)); then
		failure="FAILED: still running after ${VM_SECONDS:-400} s"
	elif ((status)); then
		failure="FAILED: qemu: exit code $status"
	elif [[ -z $failure ]] && ! grep -qx 'exit 0' "$directory/reports"; then
		failure='FAILED: the machine ended before its test'
	fi
	printf '%s: %s (%d s)%s\n' "$1" "${failure:-ok}" $seconds "$reports"
	[[ -z $failure ]] || printf '%s:\n%s\n' "$directory/console.log" "$(tail -n 30 "$directory/console.log")" >&2
	[[ -z $failure ]]
}
