# SPDX-License-Identifier: Apache-2.0
#
# BPF objects, each compiled again when a file changes that it includes, and what is generated of them. Run by build.sh in the
# root of the tree, with DENO and the objects to make: build/NAME.bpf.o of bpf/NAME.bpf.c or bench/NAME.bpf.c.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
vpath %.bpf.c bpf bench

# v3 is what 5.10 understands of BPF's instructions.
flags := -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -ffile-prefix-map="$(CURDIR)=." \
	-Ibpf -I/usr/include/$(shell uname -m)-linux-gnu

# bpftool's linker leaves BTF in and DWARF out.
build/%.bpf.o: %.bpf.c packaging/build/bpf.mk
	@echo 'build.sh: compile $<'
	@clang $(flags) -MMD -MP -MT $@ -MF $@.d -c $< -o $@.part
	@bpftool gen object $@.linked $@.part
	@sha256sum <$@.linked >$@.sha256
	@rm $@.part
	@mv $@.linked $@

build/layouts.stamp: build/mda.bpf.o src/generated/generate.ts $(wildcard src/generated/generator/*)
	@echo 'build.sh: generate src/generated/layouts.ts, abi.ts and reasons.ts'
	@$(DENO) run --quiet --allow-read --allow-write --allow-run src/generated/generate.ts
	@touch $@

-include $(wildcard build/*.bpf.o.d)
