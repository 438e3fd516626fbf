/* SPDX-License-Identifier: Apache-2.0 */
/* Many short connections whose ends send at once, while the other end is just about to enter the sockhash: every byte
 * checked in order.
 *
 *   order 4|6 ordinary|defer CONNECTIONS CONCURRENT
 *
 * The client sends three times as soon as it is connected (with TCP_DEFER_ACCEPT that is before there is a server's
 * socket at all); the server sends three times when it accepts, and then sends back what it reads. */
#include "streams.h"

#include <sys/epoll.h>
#include <sys/wait.h>

#define QUICK_SENDS 3
#define QUICK_BYTES_MAX 200
#define LATER_BYTES 500 /* in round trips, after the first bytes came back */
#define STREAM_MAX (QUICK_SENDS * QUICK_BYTES_MAX + LATER_BYTES)
#define EVENTS 64

/* Both ends know the client's port: it names the streams, and seeds what is random. */
struct end {
	int fd;
	uint32_t stream; /* that it sends */
	uint64_t sent, received, total_bytes;
};

enum {
	TO_SERVER,
	TO_CLIENT,
	DIRECTIONS
};

static uint32_t stream_of(uint16_t client_port, int direction)
{
	return client_port * DIRECTIONS + direction;
}

static uint16_t port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *))
{
	struct address address = { .length = sizeof(struct sockaddr_in6) };

	if (name(fd, &address.any, &address.length))
		err(1, "Cannot find out a port");
	/* At the same place in both families. */
	return ntohs(address.v4.sin_port);
}

static void send_quickly(struct end *end)
{
	struct random random = random_from(end->stream);

	for (int i = 0; i < QUICK_SENDS; i++) {
		uint8_t bytes[QUICK_BYTES_MAX];
		size_t count = random_between(&random, 1, sizeof(bytes));
		ssize_t put;

		fill(bytes, count, end->stream, end->sent);
		put = send(end->fd, bytes, count, MSG_NOSIGNAL);
		if (put != (ssize_t)count)
			errx(1, "send %d of %zu bytes at once: %s", i + 1, count, outcome(put));
		end->sent += count;
	}
	end->total_bytes = end->sent + LATER_BYTES;
}

static void watch(int epoll, int fd, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "Cannot watch a socket");
}

static int wait_events(int epoll, struct epoll_event *events, const char *who)
{
	int count = epoll_wait(epoll, events, EVENTS, STALL_MS);

	if (count <= 0)
		errx(1, "%s: nothing happened for %d ms", who, STALL_MS);
	return count;
}

/* What the client sent comes back after what the server sent of its own. False at the end. */
static bool serve_one(struct end *end)
{
	uint8_t bytes[STREAM_MAX];
	ssize_t got;

	while ((got = recv(end->fd, bytes, sizeof(bytes), 0)) > 0) {
		check(bytes, got, stream_of(end->stream / DIRECTIONS, TO_SERVER), end->received);
		end->received += got;
		send_all(end->fd, bytes, got);
	}
	if (got < 0 && errno != EAGAIN)
		err(1, "server: recv");
	return got < 0;
}

static void serve(int listening, unsigned long connections)
{
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0);

	watch(epoll, listening, EPOLLIN, NULL);
	while (connections) {
		int count = wait_events(epoll, events, "server");

		for (int i = 0; i < count; i++) {
			struct end *end = events[i].data.ptr;
			int fd;

			if (end) {
				if (!serve_one(end)) {
					close(end->fd);
					free(end);
					connections--;
				}
				continue;
			}
			while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				end = calloc(1, sizeof(*end));
				end->fd = fd;
				end->stream = stream_of(port_of(fd, getpeername), TO_CLIENT);
				send_quickly(end);
				watch(epoll, fd, EPOLLIN, end);
			}
			if (errno != EAGAIN)
				err(1, "server: accept4");
		}
	}
}

static uint64_t quick_bytes_from_server(const struct end *end)
{
	struct random random = random_from(stream_of(end->stream / DIRECTIONS, TO_CLIENT));
	uint64_t bytes = 0;

	for (int i = 0; i < QUICK_SENDS; i++)
		bytes += random_between(&random, 1, QUICK_BYTES_MAX);
	return bytes;
}

/* False when all that was expected came. */
static bool talk(struct end *end)
{
	uint64_t greeting = quick_bytes_from_server(end);
	uint8_t bytes[STREAM_MAX];
	ssize_t got;

	while ((got = recv(end->fd, bytes, sizeof(bytes), 0)) > 0) {
		uint64_t own = end->received < greeting ? greeting - end->received : 0;
		uint64_t first = own < (uint64_t)got ? own : (uint64_t)got;

		check(bytes, first, stream_of(end->stream / DIRECTIONS, TO_CLIENT), end->received);
		check(bytes + first, got - first, end->stream, end->received + first - greeting);
		end->received += got;
		while (end->sent < end->total_bytes && end->received >= greeting + end->sent) {
			size_t count = end->total_bytes - end->sent < 100 ? end->total_bytes - end->sent : 100;

			fill(bytes, count, end->stream, end->sent);
			send_all(end->fd, bytes, count);
			end->sent += count;
		}
	}
	if (!got || errno != EAGAIN)
		errx(1, "client: recv after %llu bytes: %s", (unsigned long long)end->received, outcome(got));
	if (end->received > greeting + end->total_bytes)
		errx(1, "client: more came back than was sent");
	return end->received < greeting + end->total_bytes;
}

static void call(const struct address *address, unsigned long connections, unsigned long concurrent)
{
	struct epoll_event events[EVENTS];
	unsigned long open = 0, left = connections;
	int epoll = epoll_create1(0);

	while (left || open) {
		int count;

		for (; left && open < concurrent; open++, left--) {
			struct end *end = calloc(1, sizeof(*end));

			end->fd = start_connect(address, SOCK_NONBLOCK);
			/* On loopback it is connected by now. */
			finish_connect(end->fd);
			end->stream = stream_of(port_of(end->fd, getsockname), TO_SERVER);
			send_quickly(end);
			watch(epoll, end->fd, EPOLLIN, end);
		}
		count = wait_events(epoll, events, "client");
		for (int i = 0; i < count; i++) {
			struct end *end = events[i].data.ptr;

			if (talk(end))
				continue;
			close(end->fd);
			free(end);
			open--;
		}
	}
}

int main(int count, char **arguments)
{
	unsigned long connections, concurrent;
	struct address address;
	bool defer;
	int listening, status;
	pid_t server;

	if (count != 5)
		errx(1, "usage: order 4|6 ordinary|defer CONNECTIONS CONCURRENT");
	address = loopback(arguments[1], 0);
	defer = !strcmp(arguments[2], "defer");
	connections = number(arguments[3], "CONNECTIONS");
	concurrent = number(arguments[4], "CONCURRENT");

	limit_seconds(60);
	listening = listener(&address, SOCK_NONBLOCK);
	if (defer)
		set_option(listening, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	server = fork();
	if (server == 0) {
		limit_seconds(60);
		serve(listening, connections);
		return 0;
	}
	call(&address, connections, concurrent);
	if (waitpid(server, &status, 0) != server || status)
		errx(1, "server: wait status %#x", status);
	printf("%lu connections, every byte right\n", connections);
	return 0;
}
