# SPDX-License-Identifier: Apache-2.0
#
# Checks files without running them: format, lint, types. To be sourced by build.sh.

# Sets `typescript`, `scripts`, what of these is run and not sourced, and `c`: of these files, or of all.
sort_files() { # $@ files and directories
	local file
	typescript=() scripts=() run=() c=()
	while IFS= read -rd '' file; do
		case $file in
		*.ts | *.tsx | *.mjs) typescript+=("$file") ;;
		*.c | *.h) c+=("$file") ;;
		*.sh | .ci/run | packaging/debian/p*)
			scripts+=("$file")
			[[ $(head -c 2 "$file") != '#!' ]] || run+=("$file")
			;;
		esac
	done < <(find "${@:-.}" \( -path ./build -o -path ./dist -o -path ./.git \) -prune -o -type f -printf '%p\0' | sed -z 's|^\./||' | sort -z)
}

# A check, counted as one test; of no files it is none.
check() { # $1 its name, $2 how many files, $3... the command
	if (($2 == 0)); then
		return
	elif "${@:3}"; then
		passed=$((passed + 1))
	else
		printf 'FAILED: %s\n' "$1"
		failed=$((failed + 1))
	fi
}

format() { # $1 --check or --write, $2... files of C and of the shell
	$deno run --quiet --no-check --frozen --allow-read --allow-write --allow-env packaging/build/format.ts "$@"
}

check_files() { # $@ files and directories; all if none
	local typescript scripts run c
	sort_files "$@"
	step "check format, lint and types${1:+ of $*}"
	(($# == 0)) || set -- "${typescript[@]}"
	check 'deno fmt' ${#typescript[@]} $deno fmt --check "$@"
	check 'deno lint' ${#typescript[@]} $deno lint --quiet "$@"
	check 'deno check' ${#typescript[@]} $deno check --quiet --frozen "$@"
	check 'clang-format, shfmt' $((${#c[@]} + ${#scripts[@]})) format --check "${c[@]}" "${scripts[@]}"
	# Files that are sourced are checked where they are.
	check 'shellcheck' ${#run[@]} shellcheck --check-sourced --severity=warning "${run[@]}"
}

write_format() { # $@ files and directories; all if none
	local typescript scripts run c
	sort_files "$@"
	(($# == 0)) || set -- "${typescript[@]}"
	((${#typescript[@]} == 0)) || $deno fmt --quiet "$@"
	format --write "${c[@]}" "${scripts[@]}"
}
