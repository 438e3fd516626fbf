/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD: programs that block in their calls, on sockets that do not.
 *
 * mda leaves sockets in blocking mode to TCP, and others' tests are often written with them. Underneath, every TCP socket is
 * set to O_NONBLOCK as soon as it is there; a call that would have blocked waits in poll(2) and is made again. What the
 * program asks of the mode, and of its time-outs, it is answered as it has set them.
 *
 * With SUITES_FIONREAD=refuse in the environment FIONREAD fails on TCP sockets: mda leaves a program that asks for it to TCP
 * on some kernels, and libevent, which always asks, reads on without an answer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS 65536
#define PARTS 1024

/* Of each descriptor, whether the program takes it for one in blocking mode, and what it has asked for. */
static struct {
	unsigned char tcp, blocking;
	int receive_ms, send_ms;
} sockets[DESCRIPTORS];

#define REAL(name) \
	static __typeof__(&name) real; \
	if (!real) \
	real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int known(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS;
}

static int blocks(int fd)
{
	return known(fd) && sockets[fd].tcp && sockets[fd].blocking;
}

static int get_flags(int fd)
{
	static int (*real)(int, int, ...);

	if (!real)
		real = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl");
	return real(fd, F_GETFL);
}

static void set_flags(int fd, int flags)
{
	static int (*real)(int, int, ...);

	if (!real)
		real = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl");
	real(fd, F_SETFL, flags);
}

static void begin(int fd, int blocking)
{
	if (!known(fd))
		return;
	sockets[fd].tcp = 1;
	sockets[fd].blocking = blocking;
	sockets[fd].receive_ms = sockets[fd].send_ms = -1;
	if (blocking)
		set_flags(fd, get_flags(fd) | O_NONBLOCK);
}

/* Whether the call that failed is to be made again, after a wait for `events`; errno says why not. */
static int wait_for(int fd, short events, int ms)
{
	struct pollfd pollfd = { .fd = fd, .events = events };
	int ready = poll(&pollfd, 1, ms);

	if (!ready)
		errno = EAGAIN;
	return ready > 0;
}

#define would_block() (errno == EAGAIN || errno == EWOULDBLOCK)

int socket(int domain, int type, int protocol)
{
	REAL(socket);
	int fd = real(domain, type, protocol);

	if (known(fd))
		sockets[fd].tcp = 0;
	if (fd >= 0 && (domain == AF_INET || domain == AF_INET6) && (type & 0xf) == SOCK_STREAM &&
	    (!protocol || protocol == IPPROTO_TCP))
		begin(fd, !(type & SOCK_NONBLOCK));
	return fd;
}

static int accepted(int listener, int fd, int flags)
{
	if (known(fd))
		sockets[fd].tcp = 0;
	if (fd >= 0 && known(listener) && sockets[listener].tcp)
		begin(fd, !(flags & SOCK_NONBLOCK));
	return fd;
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags)
{
	REAL(accept4);
	int got;

	do
		got = real(fd, address, length, flags);
	while (got < 0 && would_block() && blocks(fd) && wait_for(fd, POLLIN, sockets[fd].receive_ms));
	return accepted(fd, got, flags);
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length)
{
	return accept4(fd, address, length, 0);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	REAL(connect);
	int error, result = real(fd, address, length);
	socklen_t size = sizeof(error);

	if (!result || errno != EINPROGRESS || !blocks(fd))
		return result;
	if (!wait_for(fd, POLLOUT, sockets[fd].send_ms)) {
		if (errno == EAGAIN)
			errno = EINPROGRESS;
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -1;
	errno = error;
	return error ? -1 : 0;
}

static int duplicated(int from, int to)
{
	if (known(from) && known(to))
		sockets[to] = sockets[from];
	return to;
}

int dup(int fd)
{
	REAL(dup);
	return duplicated(fd, real(fd));
}

int dup2(int fd, int to)
{
	REAL(dup2);
	return duplicated(fd, real(fd, to));
}

int dup3(int fd, int to, int flags)
{
	REAL(dup3);
	return duplicated(fd, real(fd, to, flags));
}

int close(int fd)
{
	REAL(close);
	if (known(fd))
		sockets[fd].tcp = 0;
	return real(fd);
}

/* Both names that C libraries have for it. */
static int control(const char *name, int fd, int command, void *argument)
{
	int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
	int flags = (int)(long)argument, result;

	if (!known(fd) || !sockets[fd].tcp)
		return real(fd, command, argument);
	switch (command) {
	case F_GETFL:
		result = real(fd, command);
		return result >= 0 && sockets[fd].blocking ? result & ~O_NONBLOCK : result;
	case F_SETFL:
		sockets[fd].blocking = !(flags & O_NONBLOCK);
		return real(fd, command, flags | O_NONBLOCK);
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return duplicated(fd, real(fd, command, argument));
	default:
		return real(fd, command, argument);
	}
}

#define CONTROL(name) \
	int name(int fd, int command, ...) \
	{ \
		va_list arguments; \
		void *argument; \
		va_start(arguments, command); \
		argument = va_arg(arguments, void *); \
		va_end(arguments); \
		return control(#name, fd, command, argument); \
	}
CONTROL(fcntl)
CONTROL(fcntl64)

int ioctl(int fd, unsigned long command, ...)
{
	static int (*real)(int, unsigned long, ...);
	va_list arguments;
	void *argument;
	int one = 1;

	if (!real)
		real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (known(fd) && sockets[fd].tcp && command == FIONBIO) {
		sockets[fd].blocking = !*(int *)argument;
		return real(fd, command, &one);
	}
	if (known(fd) && sockets[fd].tcp && command == FIONREAD) {
		const char *wish = getenv("SUITES_FIONREAD");

		if (wish && !strcmp(wish, "refuse")) {
			errno = ENOTTY;
			return -1;
		}
	}
	return real(fd, command, argument);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
	REAL(setsockopt);
	const struct timeval *time = value;
	int result = real(fd, level, option, value, length), ms;

	if (result || !known(fd) || !sockets[fd].tcp || level != SOL_SOCKET || length < sizeof(*time))
		return result;
	if (option != SO_RCVTIMEO && option != SO_SNDTIMEO)
		return result;
	ms = time->tv_sec * 1000 + (time->tv_usec + 999) / 1000;
	*(option == SO_RCVTIMEO ? &sockets[fd].receive_ms : &sockets[fd].send_ms) = ms ? ms : -1;
	return result;
}

/* One call of a kind that reads, again until it has not said EAGAIN. */
#define READING(fd, flags, call) \
	ssize_t got; \
	do \
		got = call; \
	while (got < 0 && would_block() && blocks(fd) && !((flags) & MSG_DONTWAIT) && \
	       wait_for(fd, POLLIN, sockets[fd].receive_ms)); \
	return got

ssize_t read(int fd, void *memory, size_t length)
{
	REAL(read);
	READING(fd, 0, real(fd, memory, length));
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
	REAL(readv);
	READING(fd, 0, real(fd, parts, count));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(recvmsg);
	READING(fd, flags, real(fd, message, flags));
}

static ssize_t receive_once(int fd, void *memory, size_t length, int flags, struct sockaddr *address, socklen_t *size)
{
	REAL(recvfrom);
	READING(fd, flags, real(fd, memory, length, flags, address, size));
}

ssize_t recvfrom(int fd, void *restrict memory, size_t length, int flags, struct sockaddr *restrict address,
		 socklen_t *restrict size)
{
	ssize_t got = 0, all = 0;

	if (!(flags & MSG_WAITALL) || (flags & (MSG_PEEK | MSG_DONTWAIT)) || !blocks(fd))
		return receive_once(fd, memory, length, flags, address, size);
	while ((size_t)all < length) {
		got = receive_once(fd, (char *)memory + all, length - all, flags & ~MSG_WAITALL, address, size);
		if (got <= 0)
			break;
		all += got;
	}
	return all ? all : got;
}

ssize_t recv(int fd, void *memory, size_t length, int flags)
{
	return recvfrom(fd, memory, length, flags, NULL, NULL);
}

/* What fortified programs call. */
ssize_t __read_chk(int fd, void *memory, size_t length, size_t room)
{
	if (length > room)
		abort();
	return read(fd, memory, length);
}

ssize_t __recv_chk(int fd, void *memory, size_t length, size_t room, int flags)
{
	if (length > room)
		abort();
	return recv(fd, memory, length, flags);
}

ssize_t __recvfrom_chk(int fd, void *memory, size_t length, size_t room, int flags, struct sockaddr *address,
		       socklen_t *size)
{
	if (length > room)
		abort();
	return recvfrom(fd, memory, length, flags, address, size);
}

/* A blocking send takes everything: the rest goes after what the socket has taken. */
static ssize_t send_all(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	struct iovec parts[PARTS];
	struct msghdr rest = *message;
	ssize_t sent, all = 0;

	if (!blocks(fd) || (flags & MSG_DONTWAIT) || rest.msg_iovlen > PARTS)
		return real(fd, message, flags);
	memcpy(parts, rest.msg_iov, rest.msg_iovlen * sizeof(*parts));
	rest.msg_iov = parts;
	for (;;) {
		sent = real(fd, &rest, flags);
		if (sent < 0) {
			if (would_block() && wait_for(fd, POLLOUT, sockets[fd].send_ms))
				continue;
			return all ? all : -1;
		}
		all += sent;
		rest.msg_control = NULL;
		rest.msg_controllen = 0;
		while (rest.msg_iovlen && (size_t)sent >= rest.msg_iov->iov_len) {
			sent -= rest.msg_iov->iov_len;
			rest.msg_iov++;
			rest.msg_iovlen--;
		}
		if (!rest.msg_iovlen)
			return all;
		rest.msg_iov->iov_base = (char *)rest.msg_iov->iov_base + sent;
		rest.msg_iov->iov_len -= sent;
	}
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return send_all(fd, message, flags);
}

ssize_t sendto(int fd, const void *memory, size_t length, int flags, const struct sockaddr *address, socklen_t size)
{
	REAL(sendto);
	struct iovec part = { (void *)memory, length };
	struct msghdr message = { .msg_name = (void *)address, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1 };

	return blocks(fd) ? send_all(fd, &message, flags) : real(fd, memory, length, flags, address, size);
}

ssize_t send(int fd, const void *memory, size_t length, int flags)
{
	return sendto(fd, memory, length, flags, NULL, 0);
}

ssize_t write(int fd, const void *memory, size_t length)
{
	REAL(write);
	return blocks(fd) ? send(fd, memory, length, 0) : real(fd, memory, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	REAL(writev);
	struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = count };

	return blocks(fd) && count > 0 ? send_all(fd, &message, 0) : real(fd, parts, count);
}
