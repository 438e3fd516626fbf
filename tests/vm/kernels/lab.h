/* SPDX-License-Identifier: Apache-2.0 */
/* What the workload programs share: loopback sockets, bytes that can be checked, an end in any case. */
#pragma once

#include "../../lab/streams/pattern.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline unsigned long number(const char *text, const char *name)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text)
		errx(1, "Cannot use %s as %s: not a number", text, name);
	return value;
}

/* Every position differs from its neighbours and from the same position of any other stream, so that a lost, repeated,
 * swapped or strange byte shows. */
static inline uint64_t word_at(uint32_t stream, uint64_t index)
{
	uint64_t word = ((uint64_t)stream << 40 ^ index) * 0x9e3779b97f4a7c15ull;

	return word ^ word >> 29;
}

static inline uint8_t byte_at(uint32_t stream, uint64_t offset)
{
	return pattern_byte(word_at, stream, offset);
}

static inline void fill(uint8_t *bytes, size_t count, uint32_t stream, uint64_t offset)
{
	fill_pattern(word_at, bytes, count, stream, offset);
}

static inline void check(const uint8_t *bytes, size_t count, uint32_t stream, uint64_t offset)
{
	size_t right = match_pattern(word_at, bytes, count, stream, offset);

	if (right < count)
		errx(1, "stream %u, byte %llu: read %#x, sent %#x", stream, (unsigned long long)(offset + right), bytes[right],
		     byte_at(stream, offset + right));
}

struct address {
	socklen_t length;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

/* version is "4" or "6"; port 0 lets the kernel choose one. */
static inline struct address loopback(const char *version, uint16_t port)
{
	struct address address = { 0 };

	if (!strcmp(version, "4")) {
		address.length = sizeof(address.v4);
		address.v4.sin_family = AF_INET;
		address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		address.v4.sin_port = htons(port);
	} else if (!strcmp(version, "6")) {
		address.length = sizeof(address.v6);
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_addr = in6addr_loopback;
		address.v6.sin6_port = htons(port);
	} else {
		errx(1, "Cannot use %s as IP version: 4 or 6", version);
	}
	return address;
}

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* flags: 0 or SOCK_NONBLOCK; protocol: 0 for TCP, or IPPROTO_MPTCP. On return *address holds the port that was bound. */
static inline int listener_of(int protocol, struct address *address, int flags)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | flags, protocol);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, &address->any, address->length) || listen(fd, 1024) ||
	    getsockname(fd, &address->any, &address->length))
		err(1, "Cannot listen");
	return fd;
}

static inline int listener(struct address *address, int flags)
{
	return listener_of(0, address, flags);
}
