# SPDX-License-Identifier: Apache-2.0
#
# Programs of the tests, each compiled again when a file changes that it includes. Run in the root of the tree, with those to make:
#
#   build/programs/NAME         of tests/NAME.c, or of tests/NAME.go; of DIRECTORY/main.c with all of its directory
#   build/programs/NAME.static  the same without shared libraries, for where there are none
#   build/programs/NAME.so       a shared library of tests/NAME.c
#   build/programs/NAME.bpf.o   of tests/NAME.bpf.c
#
# and maybe with `out` instead of build/programs, where all of these have `with` besides among their flags.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
out := build/programs
CC := gcc
warnings := -Wall -Wextra -Werror
with :=
depend = -MMD -MP -MT $@ -MF $@.d
compile = $(CC) -std=gnu11 -O2 $(warnings) -pthread $(with)

directories := $(patsubst tests/%/main.c,%,$(wildcard tests/*/main.c tests/*/*/main.c tests/*/*/*/main.c))
objects_in = $(patsubst tests/%.c,$(out)/%.o,$(sort $(wildcard tests/$1/*.c)))

# A program that runs cannot be written to, and stays the one it was.
define directory_program
$(out)/$1/main: $(call objects_in,$1)
	@$$(compile) -o $$@.part $$^ && mv $$@.part $$@
$(out)/$1/main.static: $(call objects_in,$1)
	@$$(compile) -static -s -o $$@.part $$^ && mv $$@.part $$@
endef
$(foreach directory,$(directories),$(eval $(call directory_program,$(directory))))

$(out)/%.bpf.o: tests/%.bpf.c packaging/build/programs.mk
	@mkdir -p $(@D)
	@clang -g -O2 -target bpf -I/usr/include/$(shell uname -m)-linux-gnu $(depend) -c -o $@ $<

$(out)/%.o: tests/%.c packaging/build/programs.mk
	@mkdir -p $(@D)
	@$(compile) $(depend) -c -o $@ $<

$(out)/%.static: tests/%.c packaging/build/programs.mk
	@mkdir -p $(@D)
	@$(compile) $(depend) -static -s -o $@.part $< && mv $@.part $@

$(out)/%: tests/%.c packaging/build/programs.mk
	@mkdir -p $(@D)
	@$(compile) $(depend) -o $@.part $< && mv $@.part $@

$(out)/%.so: tests/%.c packaging/build/programs.mk
	@mkdir -p $(@D)
	@$(compile) $(depend) -shared -fPIC -o $@.part $< && mv $@.part $@

$(out)/%: tests/%.go packaging/build/programs.mk
	@mkdir -p $(@D)
	@GO111MODULE=off GOPATH="$(CURDIR)/$(out)/go" GOCACHE="$(CURDIR)/$(out)/go/cache" go build -o $@.part $< && mv $@.part $@

-include $(shell find $(out) -name '*.d' 2>/dev/null)
