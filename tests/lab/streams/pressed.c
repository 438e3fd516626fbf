/* SPDX-License-Identifier: Apache-2.0 */
/* Streams while there is no memory for sockets: what senders are told, and whether all arrives.
 *
 *     pressed CGROUP|- CONNECTIONS MESSAGES BYTES [FILE TEXT [TEXT]]
 *
 * A process with all readers, in CGROUP and not to be killed for want of memory, and one with all senders; both wait for edges. They
 * greet each other, then TEXT is written to FILE, such as a sysctl's; the senders send as much as there is room for before the readers
 * begin to read. The second TEXT is written at the end. Exit 1 when a send says anything but EAGAIN, or bytes are wrong, or nothing
 * happens for 20 s. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../vm/kernels/lab.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define ROUND_TRIPS 20
#define STALL_MS 20000
#define LATE_US 700000
#define CONNECTIONS_MAX 256
#define BYTES_MAX 65536
#define GREETING 8

struct end {
	int fd;
	uint64_t moved; /* bytes of the stream */
	bool done;
};

static struct end ends[CONNECTIONS_MAX];
static unsigned long connections;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "Cannot write %s to %s", text, path);
	close(fd);
}

/* Once memory.max is reached TCP itself has a reader killed: what it takes from its backlog is charged with GFP_KERNEL. Where that may
 * not be turned off (CAP_SYS_RESOURCE), it must be cgroup v1, which has a limit for sockets alone and kills nobody for it. */
static void survive(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (fd < 0 || (write(fd, "-1000", 5) < 0 && errno != EACCES))
		err(1, "Cannot write -1000 to /proc/self/oom_score_adj");
	close(fd);
}

static void await(int fd, short events)
{
	struct pollfd wait = { .fd = fd, .events = events };

	if (poll(&wait, 1, STALL_MS) != 1)
		errx(1, "nothing for %d ms", STALL_MS);
}

static void greet(int fd)
{
	char bytes[GREETING] = "hello";

	if (send(fd, bytes, GREETING, MSG_NOSIGNAL) != GREETING)
		err(1, "Cannot send a greeting");
}

static void be_greeted(int fd)
{
	char bytes[GREETING];

	await(fd, POLLIN);
	if (recv(fd, bytes, GREETING, 0) != GREETING)
		err(1, "Cannot read a greeting");
}

static int watch(uint32_t events)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (unsigned long i = 0; i < connections; i++) {
		struct epoll_event event = { .events = events | EPOLLET, .data.u32 = i };

		if (epoll_ctl(epoll, EPOLL_CTL_ADD, ends[i].fd, &event))
			err(1, "Cannot watch");
	}
	return epoll;
}

/* Reads until there is nothing more. The end of a stream is where it was to be. */
static void read_end(unsigned long i, uint64_t total)
{
	static uint8_t bytes[BYTES_MAX];
	ssize_t got;

	while ((got = recv(ends[i].fd, bytes, sizeof(bytes), 0)) > 0) {
		check(bytes, got, i, ends[i].moved);
		ends[i].moved += got;
	}
	if (got < 0 && errno != EAGAIN)
		err(1, "stream %lu, byte %llu", i, (unsigned long long)ends[i].moved);
	if (!got && ends[i].moved != total)
		errx(1, "stream %lu ends at byte %llu", i, (unsigned long long)ends[i].moved);
	ends[i].done = !got;
}

/* @found: what a send said that was not EAGAIN, 0 for nothing */
static void send_end(unsigned long i, uint64_t total, size_t message, int *found)
{
	static uint8_t bytes[BYTES_MAX];
	ssize_t sent;

	while (ends[i].moved < total) {
		size_t count = total - ends[i].moved < message ? total - ends[i].moved : message;

		fill(bytes, count, i, ends[i].moved);
		sent = send(ends[i].fd, bytes, count, MSG_NOSIGNAL);
		if (sent < 0) {
			if (errno != EAGAIN && !*found)
				*found = errno;
			return;
		}
		ends[i].moved += sent;
	}
	shutdown(ends[i].fd, SHUT_WR);
	ends[i].done = true;
}

static unsigned long undone(void)
{
	unsigned long count = 0;

	for (unsigned long i = 0; i < connections; i++)
		count += !ends[i].done;
	return count;
}

static void read_all(int listening, uint64_t total)
{
	struct epoll_event events[64];
	int epoll, count;

	for (unsigned long i = 0; i < connections; i++) {
		await(listening, POLLIN);
		ends[i].fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
		greet(ends[i].fd);
	}
	epoll = watch(EPOLLIN);
	/* Nothing but its sockets takes memory from here on, for want of which it could be killed. */
	if (mlockall(MCL_CURRENT))
		err(1, "Cannot lock memory");
	for (int trip = 0; trip < ROUND_TRIPS; trip++) {
		for (unsigned long i = 0; i < connections; i++) {
			be_greeted(ends[i].fd);
			greet(ends[i].fd);
		}
	}
	usleep(LATE_US);
	while (undone()) {
		count = epoll_wait(epoll, events, 64, STALL_MS);
		if (count <= 0)
			errx(1, "%lu readers wait in vain", undone());
		for (int at = 0; at < count; at++)
			read_end(events[at].data.u32, total);
	}
	_exit(0);
}

static int send_all(const struct address *address, uint64_t total, size_t message, char **pressure)
{
	struct epoll_event events[64];
	int epoll, count, found = 0;

	for (unsigned long i = 0; i < connections; i++) {
		ends[i].fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(ends[i].fd, &address->any, address->length) && errno != EINPROGRESS)
			err(1, "Cannot connect");
		be_greeted(ends[i].fd);
	}
	for (int trip = 0; trip < ROUND_TRIPS; trip++) {
		for (unsigned long i = 0; i < connections; i++)
			greet(ends[i].fd);
		for (unsigned long i = 0; i < connections; i++)
			be_greeted(ends[i].fd);
	}
	if (*pressure)
		put(pressure[0], pressure[1]);
	epoll = watch(EPOLLOUT);
	while (undone() && !found) {
		count = epoll_wait(epoll, events, 64, STALL_MS);
		if (count <= 0)
			errx(1, "%lu senders wait in vain", undone());
		for (int at = 0; at < count; at++)
			if (!ends[events[at].data.u32].done)
				send_end(events[at].data.u32, total, message, &found);
	}
	return found;
}

int main(int count, char **arguments)
{
	struct address address = loopback("4", 0);
	int listening, status, found;
	uint64_t total;
	size_t message;
	pid_t readers;

	if (count != 5 && count != 7 && count != 8)
		errx(2, "usage: pressed CGROUP|- CONNECTIONS MESSAGES BYTES [FILE TEXT [TEXT]]");
	connections = number(arguments[2], "CONNECTIONS");
	message = number(arguments[4], "BYTES");
	total = number(arguments[3], "MESSAGES") * message;
	if (connections > CONNECTIONS_MAX || message > BYTES_MAX)
		errx(2, "at most %d connections, and %d bytes", CONNECTIONS_MAX, BYTES_MAX);
	listening = listener(&address, SOCK_NONBLOCK);
	readers = fork();
	if (!readers) {
		if (strcmp(arguments[1], "-")) {
			char path[4096];

			snprintf(path, sizeof(path), "%s/cgroup.procs", arguments[1]);
			put(path, "0");
			survive();
		}
		read_all(listening, total);
	}
	found = send_all(&address, total, message, arguments + 5);
	waitpid(readers, &status, 0);
	if (count == 8)
		put(arguments[5], arguments[7]);
	if (found)
		errx(1, "a send said %s", strerrorname_np(found));
	if (status)
		errx(1, "the readers ended with %#x", status);
	printf("%lu streams of %llu bytes\n", connections, (unsigned long long)total);
	return 0;
}
