/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small messages gain, bulk loses. */
#pragma once

#define BULK_BYTES (1u << 20)

static __always_inline bool is_bulk(struct link *link, __u32 size)
{
	link->bulk = size >= BULK_BYTES;
	return link->bulk;
}
