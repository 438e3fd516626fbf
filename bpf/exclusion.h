/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that may not enter, whatever the rules say: their bytes are not a plain TCP stream of two programs. */
#pragma once

#include "cast.h"
#include "socket.h"

enum exclusion {
	NOT_EXCLUDED,
	EXCLUDED_PROTOCOL,
	EXCLUDED_KERNEL,
};

static __always_inline enum exclusion exclusion_of(struct sock *sk)
{
	if (has_ulp(sk))
		return EXCLUDED_PROTOCOL;
	return is_kernels(sk) ? EXCLUDED_KERNEL : NOT_EXCLUDED;
}

/* Behind an MPTCP socket is a TCP socket with MPTCP's ULP that listens for it. A plain client's connection has lost the ULP when it is
 * established, but mptcp_stream_accept() takes whatever was put into a sockmap before for MPTCP's: a warning, or worse
 * (CVE-2025-68227). The request says so as well, where a cookie hides which of several listeners has sent it. */
static __always_inline enum exclusion exclusion_behind(struct tcp_request_sock *req, struct sock *listener)
{
	if (bpf_core_field_exists(req->is_mptcp) && READ(req, is_mptcp))
		return EXCLUDED_PROTOCOL;
	return exclusion_of(listener);
}
