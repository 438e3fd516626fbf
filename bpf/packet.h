/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that user space runs programs on, with BPF_PROG_TEST_RUN: no kernel refuses that to who may load programs, while some refuse
 * iterators over maps. A packet is a struct that begins with 16 bytes which the kernel takes for Ethernet's header; the program leaves its
 * answer there. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The struct, or NULL when the packet is shorter. */
#define packet_of(type, packet) \
	({ \
		struct type *whole = (void *)(long)(packet)->data; \
		(void *)(whole + 1) <= (void *)(long)(packet)->data_end ? whole : NULL; \
	})
