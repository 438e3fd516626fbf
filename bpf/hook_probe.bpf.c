/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where what programs do with their sockets can be seen on the running kernel (hooks.h), tried before the data plane is loaded. Each program
 * is loaded by itself. Nothing here is to be found by CO-RE: so libbpf need not read the kernel's BTF for those that have no use for it,
 * which takes longer than the rest. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* Loads and attaches where functions of the kernel can be hooked. */
SEC("fentry/tcp_splice_read")
int hook_function(__u64 *arguments)
{
	return arguments[0] ? 0 : 0;
}

/* Loads and attaches where a socket in a sockmap has an ioctl(2) of its own. */
SEC("fentry/tcp_bpf_ioctl")
int hook_inq(__u64 *arguments)
{
	return arguments[0] ? 0 : 0;
}

/* Loads, and attaches where functions have breakpoints. */
SEC("kprobe")
int hook_breakpoint(__u64 *registers)
{
	return registers[0] ? 0 : 0;
}

/* Loads and attaches where all system calls can be. */
SEC("tp_btf/sys_enter")
int hook_system_calls(__u64 *arguments)
{
	return arguments[1] ? 0 : 0;
}

/* Loads where one system call can be hooked, if user space finds its number. */
SEC("tracepoint")
int hook_system_call(__u64 *arguments)
{
	return arguments[1] ? 0 : 0;
}
