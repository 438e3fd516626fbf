/* SPDX-License-Identifier: Apache-2.0 */
/* An event-driven client and an event-driven echo server, every byte checked.
 *
 *   nonblocking 4|6 PORT CONNECTIONS ROUND_TRIPS BYTES [levels|mptcp]
 *
 * Each connection makes ROUND_TRIPS round trips (0: until SIGTERM) of 1 to BYTES bytes. PORT 0 is any port. Both wait for
 * edges, or with `levels` for input as epoll does without EPOLLET. With `mptcp` an MPTCP socket listens, as Go's servers
 * do; the clients are plain TCP's. */
#define _GNU_SOURCE
#include "lab.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#define BYTES_MAX 65536
#define STALL_MS 20000
#define EVENTS 64

static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static bool levels;

static void watch(int epoll, int operation, int fd, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	if (!levels)
		event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	if (epoll_ctl(epoll, operation, fd, &event))
		err(1, "Cannot watch a socket");
}

/* For an event that only an edge would bring. */
static bool wait_to_write(void)
{
	if (levels)
		errx(1, "Cannot wait to write: messages are too long for `levels`");
	return true;
}

static int wait_events(int epoll, struct epoll_event *events, const char *who)
{
	int count = epoll_wait(epoll, events, EVENTS, STALL_MS);

	if (count == 0)
		errx(1, "%s: nothing happened for %d ms", who, STALL_MS);
	if (count < 0 && errno != EINTR)
		err(1, "%s: epoll_wait", who);
	return count < 0 ? 0 : count;
}

struct echo {
	int fd;
	size_t kept; /* read and not yet written back */
	uint8_t bytes[BYTES_MAX];
};

/* False at the end of the stream. */
static bool echo_all(struct echo *echo)
{
	for (;;) {
		ssize_t count;

		while (echo->kept) {
			count = write(echo->fd, echo->bytes, echo->kept);
			if (count < 0 && errno == EAGAIN)
				return wait_to_write();
			if (count < 0)
				err(1, "server: write");
			echo->kept -= count;
			memmove(echo->bytes, echo->bytes + count, echo->kept);
		}
		count = read(echo->fd, echo->bytes, sizeof(echo->bytes));
		if (count < 0 && errno == EAGAIN)
			return true;
		if (count < 0)
			err(1, "server: read");
		if (count == 0)
			return false;
		echo->kept = count;
	}
}

static void serve(int listening, unsigned long connections)
{
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0);

	watch(epoll, EPOLL_CTL_ADD, listening, EPOLLIN, NULL);
	while (connections) {
		int count = wait_events(epoll, events, "server");

		for (int i = 0; i < count; i++) {
			struct echo *echo = events[i].data.ptr;
			int fd;

			if (echo) {
				if (!echo_all(echo)) {
					close(echo->fd);
					free(echo);
					connections--;
				}
				continue;
			}
			while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				echo = calloc(1, sizeof(*echo));
				echo->fd = fd;
				watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, echo);
			}
			if (errno != EAGAIN)
				err(1, "server: accept4");
		}
	}
}

struct caller {
	int fd;
	uint32_t stream;
	unsigned long round_trips;
	uint64_t sent, received, target; /* bytes; target ends this round trip */
};

static unsigned long round_trips, message_bytes;

/* True while the connection has work to do. */
static bool talk(struct caller *caller)
{
	uint8_t bytes[BYTES_MAX];

	for (;;) {
		ssize_t count;

		if (caller->received == caller->target) {
			if (round_trips ? caller->round_trips == round_trips : stopping)
				return false;
			caller->round_trips++;
			caller->target += 1 + byte_at(caller->stream, caller->target) * message_bytes / 256;
		}
		while (caller->sent < caller->target) {
			fill(bytes, caller->target - caller->sent, caller->stream, caller->sent);
			count = write(caller->fd, bytes, caller->target - caller->sent);
			if (count < 0 && errno == EAGAIN)
				return wait_to_write();
			if (count < 0)
				err(1, "client: write");
			caller->sent += count;
		}
		count = read(caller->fd, bytes, sizeof(bytes));
		if (count < 0 && errno == EAGAIN)
			return true;
		if (count < 0)
			err(1, "client: read");
		if (count == 0)
			errx(1, "client, stream %u: the stream ends after %llu bytes", caller->stream,
			     (unsigned long long)caller->received);
		check(bytes, count, caller->stream, caller->received);
		caller->received += count;
		if (caller->received > caller->sent)
			errx(1, "client, stream %u: more came back than was sent", caller->stream);
	}
}

int main(int count, char **arguments)
{
	struct epoll_event events[EVENTS];
	unsigned long connections, working, done = 0;
	struct caller *callers;
	struct address address;
	int listening, epoll, status;
	pid_t server;
	bool mptcp;

	levels = count == 7 && !strcmp(arguments[6], "levels");
	mptcp = count == 7 && !strcmp(arguments[6], "mptcp");
	if (count != 6 && !levels && !mptcp)
		errx(1, "usage: nonblocking 4|6 PORT CONNECTIONS ROUND_TRIPS BYTES [levels|mptcp]");
	address = loopback(arguments[1], number(arguments[2], "PORT"));
	connections = working = number(arguments[3], "CONNECTIONS");
	round_trips = number(arguments[4], "ROUND_TRIPS");
	message_bytes = number(arguments[5], "BYTES");
	if (message_bytes > BYTES_MAX)
		errx(1, "Cannot send %lu bytes at once: %d is the limit", message_bytes, BYTES_MAX);

	listening = listener_of(mptcp ? IPPROTO_MPTCP : 0, &address, SOCK_NONBLOCK);
	server = fork();
	if (server == 0) {
		serve(listening, connections);
		return 0;
	}
	close(listening);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);

	epoll = epoll_create1(0);
	callers = calloc(connections, sizeof(*callers));
	for (unsigned long i = 0; i < connections; i++) {
		callers[i].stream = i + 1;
		callers[i].fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(callers[i].fd, &address.any, address.length) && errno != EINPROGRESS)
			err(1, "Cannot connect");
		/* Writable once it is connected. */
		watch(epoll, EPOLL_CTL_ADD, callers[i].fd, EPOLLOUT, &callers[i]);
	}
	while (working) {
		int ready = wait_events(epoll, events, "client");

		for (int i = 0; i < ready; i++) {
			struct caller *caller = events[i].data.ptr;

			if (caller->fd >= 0 && events[i].events & EPOLLOUT && levels)
				watch(epoll, EPOLL_CTL_MOD, caller->fd, EPOLLIN, caller);
			if (caller->fd < 0 || talk(caller))
				continue;
			close(caller->fd);
			caller->fd = -1;
			done += caller->round_trips;
			working--;
		}
	}
	if (waitpid(server, &status, 0) != server || status)
		errx(1, "server: wait status %#x", status);
	printf("%lu connections, %lu round trips, every byte right\n", connections, done);
	return 0;
}
