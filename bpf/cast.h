/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading the kernel's memory. */
#pragma once

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "kernel.h"

/* Linux 6.2 and later. Where the kernel does not have it, libbpf looks for it in the BTF of every module, which takes
 * CAP_SYS_ADMIN (BPF_BTF_GET_NEXT_ID): there an object is loaded that does not ask for it. */
#ifndef WITHOUT_CASTS
extern void *bpf_rdonly_cast(const void *address, __u32 btf_id) __ksym;
#else
/* Not another function of that name: libbpf's headers have it from 1.5 on. */
#define bpf_rdonly_cast(address, btf_id) ((void)(btf_id), (void *)(address))
#endif

/* A kernel address then reads with one load; without it with a call of bpf_probe_read_kernel(), and a handshake needs a hundred of them.
 * User space tries which of the two objects loads. Known when this is compiled: a constant that user space sets is loaded each time. */
#ifndef WITHOUT_CASTS
#define casts_addresses true
#else
#define casts_addresses false
#endif

#define cast_to(type, address) \
	((type *)(casts_addresses ? bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)) : (void *)(address)))

/* A field of what cast_to() gave, or of what bpf_skc_to_tcp_sock() gave. */
#define field(pointer, path) (casts_addresses ? (pointer)->path : BPF_CORE_READ(pointer, path))

#define ARROW_1(a) a
#define ARROW_2(a, b) a->b
#define ARROW_3(a, b, c) a->b->c
#define ARROW_4(a, b, c, d) a->b->c->d
#define ARROW_PICK(_1, _2, _3, _4, NAME, ...) NAME
#define ARROWS(...) ARROW_PICK(__VA_ARGS__, ARROW_4, ARROW_3, ARROW_2, ARROW_1)(__VA_ARGS__)

/* READ(pointer, a, b) is pointer->a->b, with a pointer that may be anything. */
#define READ(pointer, ...) \
	(casts_addresses ? cast_to(typeof(*(pointer)), pointer)->ARROWS(__VA_ARGS__) : \
			   BPF_CORE_READ(pointer, __VA_ARGS__))

/* A kernel pointer, or another number of 64 bits, at an address: struct timespec64 begins with a 64-bit number, and bpf_rdonly_cast()
 * knows kernel types only. */
static __always_inline void *pointer_at(void *address)
{
	void *pointer = NULL;

	if (casts_addresses)
		return (void *)cast_to(struct timespec64, address)->tv_sec;
	bpf_probe_read_kernel(&pointer, sizeof(pointer), address);
	return pointer;
}
