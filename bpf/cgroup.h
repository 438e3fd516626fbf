/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a socket is of a cgroup, or of one below it. */
#pragma once

#include "cast.h"

#define CGROUP_DEPTH_MAX 64
#define CGROUP_ROOT_ID 1

static __noinline int is_in_cgroup(struct sock *sk, __u64 id)
{
	struct sock_cgroup_data___numbers *old = (void *)__builtin_preserve_access_index(&sk->sk_cgrp_data);
	struct cgroup_subsys_state *parent;
	struct cgroup *at;

	if (bpf_core_field_exists(old->val)) {
		__u64 value = READ(old, val);

		if (value & 3 || !value)
			return id == CGROUP_ROOT_ID; /* sock_cgroup_ptr() */
		at = (void *)value;
	} else {
		at = READ(sk, sk_cgrp_data.cgroup);
	}
	for (int i = 0; i < CGROUP_DEPTH_MAX; i++) {
		if (!at)
			return 0;
		if (READ(at, kn, id) == id)
			return 1;
		parent = READ(at, self.parent);
		if (!parent)
			return 0;
		at = (void *)parent - bpf_core_field_offset(struct cgroup, self);
	}
	return 0;
}
