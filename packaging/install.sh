#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Puts what is the same in every package of mda below a directory.
#
#   packaging/install.sh BINARY DIRECTORY ZSH_COMPLETIONS LICENCES
#
# Environment:
#   NATIVE  an mda that runs here, when BINARY is for another architecture: it prints the completions
set -euo pipefail

binary=$1 directory=$2 zsh_completions=$3 licences=$4
native=${NATIVE:-$binary}
tree=$(dirname "${BASH_SOURCE[0]}")/..

put() { install -D -m "$1" "$2" "$directory$3"; }
completions() { # $1 a shell, $2 its file
	mkdir -p "$directory${2%/*}"
	"$native" completions "$1" >"$directory$2"
	chmod 644 "$directory$2"
}

umask 022
put 755 "$binary" /usr/bin/mda
ln -s mda "$directory/usr/bin/mdacore"
put 600 "$tree/packaging/oncn-mda.conf" /etc/oncn-mda/oncn-mda.conf
put 644 "$tree/packaging/mda.service" /usr/lib/systemd/system/mda.service
put 644 "$tree/docs/mda.8" /usr/share/man/man8/mda.8
gzip -9n "$directory/usr/share/man/man8/mda.8"
ln -s mda.8.gz "$directory/usr/share/man/man8/mdacore.8.gz"
mkdir -p "$directory$licences"
"$native" --licenses >"$directory$licences/LICENSES"
chmod 644 "$directory$licences/LICENSES"
completions bash /usr/share/bash-completion/completions/mda
completions fish /usr/share/fish/vendor_completions.d/mda.fish
completions zsh "$zsh_completions/_mda"
