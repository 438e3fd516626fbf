# SPDX-License-Identifier: Apache-2.0
#
# What run.sh and tests/vm/service/run.sh share: Debian's kernels, and a virtual machine that runs one of them.
# Sourced from the root of the tree, where the kernels are kept in build/kernels.
#
#   VM_SECONDS    how long a machine may run, instead of 1200
#   VM_MEGABYTES  its memory, instead of 2048
#   append        more of the kernel's command line

# Where Debian's kernels are: backports and sid have the newest.
releases=(bullseye bookworm trixie trixie-backports sid)
kernels=$PWD/build/kernels
VM_SECONDS=${VM_SECONDS:-1200}

. packaging/build/common.sh
. packaging/build/packages.sh
. packaging/build/debian.sh

# Reads the package lists, unless that was today, and sets `apt_options` for them. A release that the archive no longer has
# leaves those of the others.
read_packages() { # $1 architecture
	local directory=$kernels/apt-$1
	debian_sources "$directory" "$1" "${releases[@]}"
	[[ $(find "$directory/packages" -mtime -1 2>/dev/null) ]] && return
	timeout 300 apt-get "${apt_options[@]}" update >"$directory.log" 2>&1 || grep '^E:' "$directory.log" >&2 || true
	apt-cache "${apt_options[@]}" pkgnames >"$directory/packages.part"
	[[ -s $directory/packages.part ]] || fail "Cannot read the package lists of ${releases[*]}: see $directory.log"
	mv "$directory/packages.part" "$directory/packages"
}

# Leaves vmlinuz in $kernels/RELEASE and prints that RELEASE, after read_packages: the newest kernel by a name, which is 6.1 or
# `newest` for Debian's cloud kernels, 6.1-rt for those with PREEMPT_RT, 6.1-arm64 for those of arm64.
fetch_kernel() { # $1 name
	local version=$1 flavour=cloud architecture=amd64 there found release
	[[ $version != *-arm64 ]] || architecture=arm64
	version=${version%-arm64}
	[[ $version != *-rt ]] || flavour=rt
	version=${version%-rt}
	there=$(sed -n "s/^linux-image-\([0-9].*-$flavour-$architecture\)$/\1/p" "$kernels/apt-$architecture/packages" | sort -Vr)
	[[ $version == newest ]] && found=$there || found=$(grep "^${version/./\\.}[.+-]" <<<"$there") || true
	[[ $found ]] || fail "Cannot find a $flavour kernel $version for $architecture in Debian's ${releases[*]}: there are" \
		"$(sed 's/^\([0-9]*\.[0-9]*\).*/\1/' <<<"$there" | uniq | tac | xargs)"
	# The lists of an old release can have what the archive no longer has.
	for release in $found; do
		if [[ -e $kernels/$release/vmlinuz ]] || download_kernel "$release" "$kernels/apt-$architecture"; then
			printf '%s\n' "$release"
			return
		fi
	done
	fail "Cannot download a $flavour kernel $version for $architecture: see $kernels/apt-$architecture.log"
}

download_kernel() { # $1 release, $2 directory of the package lists
	local directory=$kernels/$1 package
	# From 6.19 on linux-image only depends on the one that has the kernel.
	package=$(grep -Fx -e "linux-binary-$1" -e "linux-image-$1" "$2/packages" | sort | sed -n 1p)
	rm -rf "$directory"
	mkdir -p "$directory"
	(cd "$directory" && timeout 300 apt-get "${apt_options[@]}" download "$package") >>"$2.log" 2>&1 || {
		rmdir "$directory"
		return 1
	}
	dpkg -x "$directory"/*.deb "$directory/root"
	mv "$(find "$directory/root" -name 'vmlinuz*' -type f)" "$directory/vmlinuz" || fail "Cannot find vmlinuz in $package"
	rm -r "$directory"/{root,*.deb}
}

# Multi-threaded TCG breaks 6.12's atomics, and so does now and then QEMU 7.2's cmpxchg16b: without cx16 the kernel
# uses its own (this_cpu_cmpxchg16b_emu). From 7.2 on a socket's storage comes from kmalloc_nolock(), which without cx16 has
# memory only in slabs that are debugged; checks (F) make no object larger.
boot() { # $1 release of a kernel, $2 initramfs, $3 file for what the machine reports, $4... options of QEMU for its console
	local append=${append-}
	! printf '%s\n' 7.2 "$1" | sort -V -C || append+=' slab_debug=F,kmalloc-*'
	timeout --foreground --kill-after=5 "$VM_SECONDS" qemu-system-x86_64 \
		-accel tcg,thread=single -cpu Nehalem,-cx16 -smp 2 -m "${VM_MEGABYTES:-2048}" \
		-nodefaults -display none -no-reboot -kernel "$kernels/$1/vmlinuz" -initrd "$2" \
		-append "console=ttyS0 quiet oops=panic panic=-1 $append" "${@:4}" -serial file:"$3"
}

# Prints one line; false if a test failed. The machine reports at its second serial port: `report TEXT` for the line,
# `failed TEXT`, `exit CODE` at its end.
test_machine() { # $1 its name, $2 release of its kernel, $3 initramfs, $4 directory for its logs
	local directory=$4 started=$SECONDS status=0 seconds reports failure
	: >"$directory/reports"
	: >"$directory/console.log"
	boot "$2" "$3" "$directory/reports" -serial file:"$directory/console.log" || status=$?
	seconds=$((SECONDS - started))
	reports=$(sed -n 's/^report /; /p' "$directory/reports" | tr -d '\n')
	failure=$(sed -n 's/^failed /FAILED: /p' "$directory/reports")
	if ((status == 124)); then
		failure="FAILED: still running after $VM_SECONDS s"
	elif ((status)); then
		failure="FAILED: qemu: exit code $status"
	elif [[ -z $failure ]] && ! grep -qx 'exit 0' "$directory/reports"; then
		failure='FAILED: the machine ended before its test'
	fi
	printf '%s: %s (%d s)%s\n' "$1" "${failure:-ok}" $seconds "$reports"
	[[ -z $failure ]] || printf '%s:\n%s\n' "$directory/console.log" "$(tail -n 30 "$directory/console.log")" >&2
	[[ -z $failure ]]
}
