/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The probe for kernels without bpf_rdonly_cast(). */
#define WITHOUT_CASTS
#include "probe.bpf.c"
