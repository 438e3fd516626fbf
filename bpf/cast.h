/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Linux 6.2 and later. Where the kernel does not have it, libbpf looks for it in the BTF of every module, which takes
 * CAP_SYS_ADMIN (BPF_BTF_GET_NEXT_ID): there an object is loaded that does not ask for it. */
#ifndef WITHOUT_CASTS
extern void *bpf_rdonly_cast(const void *address, __u32 btf_id) __ksym;
#else
/* Not another function of that name: libbpf's headers have it from 1.5 on. */
#define bpf_rdonly_cast(address, btf_id) ((void)(btf_id), (void *)(address))
#endif
