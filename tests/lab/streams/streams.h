/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of this directory share: connections of every kind of ends, waits that end, findings that can be
 * compared between a run on plain TCP and a run under mda. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../vm/kernels/lab.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

#define STALL_MS 10000 /* nothing that is waited for takes so long */

static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static inline void sleep_us(unsigned long us)
{
	struct timespec wait = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	while (nanosleep(&wait, &wait) && errno == EINTR)
		;
}

static inline bool ready(int fd, short events, int timeout_ms)
{
	struct pollfd wait = { .fd = fd, .events = events };

	return poll(&wait, 1, timeout_ms) > 0;
}

static inline void must_be_ready(int fd, short events, const char *what)
{
	if (!ready(fd, events, STALL_MS))
		errx(1, "%s: nothing for %d ms", what, STALL_MS);
}

static inline void give_up(int signal)
{
	static const char message[] = "it takes too long\n";

	(void)signal;
	_exit(write(STDERR_FILENO, message, sizeof(message) - 1) < 0 ? 2 : 1);
}

/* Ends this process, whatever it then waits for. fork(2) does not inherit it. */
static inline void limit_seconds(unsigned int seconds)
{
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = give_up }, NULL);
	alarm(seconds);
}

static inline void set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK))
		err(1, "Cannot set O_NONBLOCK");
}

static inline void set_option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		err(1, "Cannot set option %d of level %d", name, level);
}

static inline void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
	int error = pthread_create(thread, NULL, run, argument);

	if (error)
		errx(1, "Cannot start a thread: %s", strerror(error));
}

/* Which ends are in blocking mode, and since when: that is what decides whether mda may touch them. */
struct mode {
	const char *name;
	bool client_connects_nonblocking;
	bool client_blocks; /* afterwards */
	bool listener_blocks;
	bool server_blocks; /* the accepted socket */
};

static const struct mode modes[] = {
	{ "blocking", .client_blocks = true, .listener_blocks = true, .server_blocks = true },
	{ "nonblocking", .client_connects_nonblocking = true },
	/* hiredis, libpq, whoever wants a time limit for connect(2) */
	{ "connected", .client_connects_nonblocking = true, .client_blocks = true },
	/* accept(2) from an event-driven listener: the flag is not inherited */
	{ "accepted", .client_connects_nonblocking = true, .server_blocks = true },
	{ "both", .client_connects_nonblocking = true, .client_blocks = true, .server_blocks = true },
};

static inline const struct mode *mode_named(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	errx(1, "Cannot use %s as MODE", name);
}

static inline int start_connect(const struct address *address, int flags)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | flags, 0);

	if (fd < 0 || (connect(fd, &address->any, address->length) && errno != EINPROGRESS))
		err(1, "Cannot connect");
	return fd;
}

static inline void finish_connect(int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	must_be_ready(fd, POLLOUT, "connect");
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) || error)
		errx(1, "Cannot connect: %s", strerrorname_np(error));
}

struct pair {
	int client, server;
};

static inline struct pair open_pair(const struct mode *mode, int listening, const struct address *address)
{
	struct pair pair;

	pair.client = start_connect(address, mode->client_connects_nonblocking ? SOCK_NONBLOCK : 0);
	must_be_ready(listening, POLLIN, "accept");
	pair.server = accept4(listening, NULL, NULL, mode->server_blocks ? 0 : SOCK_NONBLOCK);
	if (pair.server < 0)
		err(1, "Cannot accept");
	finish_connect(pair.client);
	if (mode->client_connects_nonblocking && mode->client_blocks)
		set_nonblocking(pair.client, false);
	return pair;
}

static inline void close_pair(struct pair pair)
{
	close(pair.client);
	close(pair.server);
}

/* Sends all of it, on a socket of either mode. */
static inline void send_all(int fd, const void *bytes, size_t count)
{
	for (size_t sent = 0; sent < count;) {
		ssize_t put = send(fd, (const uint8_t *)bytes + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0 && errno != EAGAIN)
			err(1, "send, %zu of %zu bytes sent", sent, count);
		if (put < 0)
			must_be_ready(fd, POLLOUT, "send");
		else
			sent += put;
	}
}

/* Receives up to count bytes, on a socket of either mode; 0 at the end of the stream. */
static inline size_t receive_some(int fd, void *bytes, size_t count)
{
	for (;;) {
		ssize_t got = recv(fd, bytes, count, MSG_DONTWAIT);

		if (got >= 0)
			return got;
		if (errno != EAGAIN)
			err(1, "recv");
		must_be_ready(fd, POLLIN, "recv");
	}
}

static inline void receive_all(int fd, void *bytes, size_t count)
{
	for (size_t received = 0; received < count;) {
		size_t got = receive_some(fd, (uint8_t *)bytes + received, count - received);

		if (!got)
			errx(1, "the stream ends after %zu of %zu bytes", received, count);
		received += got;
	}
}

/* The number, or the error's name. */
static inline const char *outcome(ssize_t result)
{
	static __thread char text[32];

	if (result < 0)
		return strerrorname_np(errno);
	snprintf(text, sizeof(text), "%zd", result);
	return text;
}

/* How often each outcome was seen. */
struct findings {
	struct {
		char outcome[48];
		unsigned long times;
	} seen[32];
};

static inline void found(struct findings *findings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline void found(struct findings *findings, const char *format, ...)
{
	char text[sizeof(findings->seen[0].outcome)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (size_t i = 0; i < sizeof(findings->seen) / sizeof(findings->seen[0]); i++) {
		if (findings->seen[i].times && strcmp(findings->seen[i].outcome, text))
			continue;
		strcpy(findings->seen[i].outcome, text);
		findings->seen[i].times++;
		return;
	}
	errx(1, "more different outcomes than anyone would read, the last is: %s", text);
}

/* Bytes go to and fro until both programs are known. */
static inline void become_known(const struct pair *pair)
{
	for (int i = 0; i < 2000; i++) {
		char byte = i;

		send_all(pair->client, &byte, 1);
		receive_all(pair->server, &byte, 1);
		send_all(pair->server, &byte, 1);
		receive_all(pair->client, &byte, 1);
	}
}

/* One line: what was tried, and how often it came out how. */
static inline void print_findings(const char *what, const struct findings *findings)
{
	printf("%s:", what);
	for (size_t i = 0; i < sizeof(findings->seen) / sizeof(findings->seen[0]) && findings->seen[i].times; i++)
		printf("%s %lu x %s", i ? "," : "", findings->seen[i].times, findings->seen[i].outcome);
	printf("\n");
	fflush(stdout);
}

/* Numbers that look random and are the same in every run: xorshift64*. */
struct random {
	uint64_t state;
};

static inline struct random random_from(uint64_t seed)
{
	return (struct random){ (seed + 1) * 0x9e3779b97f4a7c15ull };
}

/* From least to most, both included. */
static inline uint64_t random_between(struct random *random, uint64_t least, uint64_t most)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return least + (random->state * 0x2545f4914f6cdd1dull >> 16) % (most - least + 1);
}
