# SPDX-License-Identifier: Apache-2.0
#
# Installs packages of this host's distribution: those of packages.txt. To be sourced from the root of the tree, after common.sh.

missing_packages() { # $1 debian or openeuler, $2... groups
	local group probe debian openeuler
	# shellcheck disable=SC2034 # one of the last two is ${!1}
	while read -r group probe debian openeuler; do
		[[ $group && $group != \#* && " ${*:2} " == *" $group "* && ${!1} != - ]] || continue
		[[ -e ${probe%:*} || -e ${probe#*:} ]] || command -v "$probe" >/dev/null || printf '%s\n' "${!1}"
	done <packaging/build/packages.txt | sort -u
}

# Debian starts a service when it installs one, unless policy-rc.d says no (invoke-rc.d(8)), and again at every boot.
install_debian() {
	local policy=/usr/sbin/policy-rc.d package made=
	export DEBIAN_FRONTEND=noninteractive
	if [[ ! -e $policy ]]; then
		made=$policy
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	local install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@")
	"${install[@]}" >build/packages.log 2>&1 || {
		quietly build/packages.log 'read the package lists' apt-get update
		quietly build/packages.log "install $*" "${install[@]}"
	}
	# A package's service has its name, but for sshd's.
	for package in "${@/#openssh-server/ssh}"; do
		[[ -e /lib/systemd/system/$package.service ]] && command -v systemctl >/dev/null || continue
		systemctl disable "$package" >>build/packages.log 2>&1 || true
	done
	if [[ $made ]]; then
		rm -f "$made"
		trap - EXIT
	fi
}

install_packages() { # $@ groups
	local ID= ID_LIKE= missing column
	# shellcheck source=/dev/null
	[[ -e /etc/os-release ]] && . /etc/os-release
	case " $ID $ID_LIKE " in
	*' debian '*) column=debian ;;
	*' openEuler '*) column=openeuler ;;
	*) column= ;;
	esac
	mapfile -t missing < <(missing_packages "${column:-debian}" "$@")
	((${#missing[@]})) || return 0
	[[ $column ]] || fail "Cannot install packages on '${ID:-unknown}': install the like of Debian's: ${missing[*]}"
	need_root "install ${missing[*]}"
	step "install ${missing[*]}"
	mkdir -p build
	case $column in
	debian) install_debian "${missing[@]}" ;;
	openeuler) quietly build/packages.log "install ${missing[*]}" dnf install -y "${missing[@]}" ;;
	esac
}
