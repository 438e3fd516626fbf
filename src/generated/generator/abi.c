/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Never linked: its BTF tells generate.ts how the kernel's and libbpf's own structs are laid out. */
/* libbpf.h asks for stdio.h and uses nothing of it; glibc's from 2.41 on has types that the bpf target has not. */
#define _STDIO_H 1

#include <linux/bpf.h>
#include <linux/btf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

struct bpf_prog_info prog_info;
struct bpf_map_info map_info;
struct bpf_link_info link_info;
struct bpf_test_run_opts test_run_opts;
struct bpf_object_open_opts object_open_opts;
struct bpf_iter_attach_opts iter_attach_opts;
struct bpf_prog_load_opts prog_load_opts;
struct btf_type btf_type;
struct btf_var_secinfo btf_var_secinfo;

enum bpf_attach_type attach_type;
enum bpf_link_type link_type;
enum bpf_map_type map_type;
enum bpf_prog_type prog_type;
enum bpf_func_id func_id;
