/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a memcached as an event-driven client does: non-blocking sockets, and epoll that tells levels. Each connection asks for
 * the same value again as soon as it has got it.
 *
 *   gets ADDRESS CONNECTIONS BYTES MS   ADDRESS is a port of 127.0.0.1, or the path of an AF_UNIX socket. Prints how many
 *                                       values of BYTES were got in how many microseconds */
#include "streams.h"

#include <sys/epoll.h>
#include <sys/un.h>

#define BUFFER (64u << 10)
#define EVENTS 64
#define MOST_CONNECTIONS 10000

static const char question[] = "get value\r\n";
static char bytes[BUFFER];
static size_t answer_bytes;

struct connection {
	int fd;
	size_t missing; /* of the answer that it waits for */
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static int connect_to_path(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errx(1, "Cannot use %s as ADDRESS: too long", path);
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "Cannot connect to %s", path);
	return fd;
}

static int open_connection(const char *text)
{
	struct address address;
	int fd;

	if (text[0] == '/')
		return connect_to_path(text);
	address = loopback("4", number(text, "ADDRESS"));
	fd = start_connect(&address, SOCK_NONBLOCK);
	finish_connect(fd);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return fd;
}

static void must_get(int fd, const char *expected)
{
	size_t length = strlen(expected);

	receive_all(fd, bytes, length);
	if (memcmp(bytes, expected, length))
		errx(1, "memcached: %.*s instead of %s", (int)length, bytes, expected);
}

/* Stores the value, and looks whether it can be got as it was stored. */
static void store(const char *address, size_t size)
{
	char header[64];
	int fd = open_connection(address);

	memset(bytes, 'a', size);
	snprintf(header, sizeof(header), "set value 0 0 %zu\r\n", size);
	send_all(fd, header, strlen(header));
	send_all(fd, bytes, size);
	send_all(fd, "\r\n", 2);
	must_get(fd, "STORED\r\n");
	snprintf(header, sizeof(header), "VALUE value 0 %zu\r\n", size);
	send_all(fd, question, strlen(question));
	must_get(fd, header);
	receive_all(fd, bytes, size);
	must_get(fd, "\r\nEND\r\n");
	answer_bytes = strlen(header) + size + strlen("\r\nEND\r\n");
	close(fd);
}

static void ask(struct connection *connection)
{
	send_all(connection->fd, question, strlen(question));
	connection->missing = answer_bytes;
}

/* Whether the whole answer is there. */
static bool take(struct connection *connection)
{
	ssize_t got = recv(connection->fd, bytes, sizeof(bytes), 0);

	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0 || (size_t)got > connection->missing)
		errx(1, "recv: %zd of %zu", got, connection->missing);
	connection->missing -= got;
	return connection->missing == 0;
}

int main(int count, char **arguments)
{
	struct connection *connections;
	unsigned long number_of, ms, answers = 0;
	uint64_t begin, now;
	int events;

	if (count != 5)
		errx(2, "usage: gets ADDRESS CONNECTIONS BYTES MS");
	number_of = number(arguments[2], "CONNECTIONS");
	ms = number(arguments[4], "MS");
	if (number_of < 1 || number_of > MOST_CONNECTIONS || number(arguments[3], "BYTES") > sizeof(bytes))
		errx(1, "Cannot use so many CONNECTIONS or BYTES: at most %d and %zu", MOST_CONNECTIONS, sizeof(bytes));
	limit_seconds(60);
	store(arguments[1], number(arguments[3], "BYTES"));
	events = epoll_create1(0);
	connections = calloc(number_of, sizeof(*connections));
	if (events < 0 || !connections)
		err(1, "Cannot make an epoll");
	for (unsigned long i = 0; i < number_of; i++) {
		struct epoll_event wanted = { .events = EPOLLIN, .data.ptr = &connections[i] };

		connections[i].fd = open_connection(arguments[1]);
		if (epoll_ctl(events, EPOLL_CTL_ADD, connections[i].fd, &wanted))
			err(1, "epoll_ctl");
	}
	begin = now = now_us();
	for (unsigned long i = 0; i < number_of; i++)
		ask(&connections[i]);
	while (now - begin < ms * 1000) {
		struct epoll_event happened[EVENTS];
		int ready = epoll_wait(events, happened, EVENTS, STALL_MS);

		if (ready < 1)
			errx(1, "nothing for %d ms", STALL_MS);
		for (int i = 0; i < ready; i++) {
			if (take(happened[i].data.ptr)) {
				answers++;
				ask(happened[i].data.ptr);
			}
		}
		now = now_us();
	}
	printf("%lu %lu\n", answers, (unsigned long)(now - begin));
	return 0;
}
