/* SPDX-License-Identifier: Apache-2.0 */
/* One-way streams between two event-driven programs: non-blocking sockets, and epoll that tells levels.
 *
 *   one_way read PORT             reads streams until it is killed
 *   one_way send PORT BYTES MS    sends messages of BYTES for so long, and prints how many bytes the reader has read in
 *                                 how many microseconds
 *
 * The reader greets, before which nothing is sent: mda cannot know of a socket that was not accepted yet who reads it. It
 * answers the end of a stream with the number of its bytes: what a sender's buffer has taken has not arrived. */
#include "streams.h"

#include <sys/epoll.h>

#define BUFFER (64u << 10)
#define EVENTS 64
#define CLOCK_MESSAGES 64 /* between two looks at the clock */

static const char greeting = '!';
static uint8_t bytes[BUFFER];
static int events;

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void wait_for(int fd, uint32_t event, void *data)
{
	struct epoll_event wanted = { .events = event, .data.ptr = data };

	if (epoll_ctl(events, EPOLL_CTL_ADD, fd, &wanted))
		err(1, "epoll_ctl");
}

struct stream {
	int fd;
	uint64_t received;
};

static void begin_stream(int listening)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	stream->fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	if (stream->fd < 0)
		err(1, "Cannot accept");
	wait_for(stream->fd, EPOLLIN, stream);
	send_all(stream->fd, &greeting, sizeof(greeting));
}

static void read_stream(struct stream *stream)
{
	ssize_t got = recv(stream->fd, bytes, sizeof(bytes), 0);

	if (got > 0) {
		stream->received += got;
		return;
	}
	if (got < 0 && errno == EAGAIN)
		return;
	/* A sender that was killed resets its connection: no reason to end. */
	if (got == 0)
		send_all(stream->fd, &stream->received, sizeof(stream->received));
	close(stream->fd);
	free(stream);
}

static void read_streams(uint16_t port)
{
	struct address address = loopback("4", port);
	int listening = listener(&address, SOCK_NONBLOCK);

	wait_for(listening, EPOLLIN, NULL);
	for (;;) {
		struct epoll_event happened[EVENTS];
		int count = epoll_wait(events, happened, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			if (happened[i].data.ptr)
				read_stream(happened[i].data.ptr);
			else
				begin_stream(listening);
		}
	}
}

static void send_message(int fd, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		ssize_t put = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL);
		struct epoll_event happened;

		if (put >= 0)
			sent += put;
		else if (errno != EAGAIN)
			err(1, "send");
		else if (epoll_wait(events, &happened, 1, STALL_MS) != 1)
			errx(1, "send: no room for %d ms", STALL_MS);
	}
}

static void send_stream(uint16_t port, size_t size, unsigned long ms)
{
	struct address address = loopback("4", port);
	int fd = start_connect(&address, SOCK_NONBLOCK);
	uint64_t begin, received;
	char greeted;

	finish_connect(fd);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	wait_for(fd, EPOLLOUT, NULL);
	receive_all(fd, &greeted, sizeof(greeted));
	begin = now_us();
	while (now_us() - begin < ms * 1000)
		for (int i = 0; i < CLOCK_MESSAGES; i++)
			send_message(fd, size);
	shutdown(fd, SHUT_WR);
	receive_all(fd, &received, sizeof(received));
	printf("%lu %lu\n", (unsigned long)received, (unsigned long)(now_us() - begin));
}

int main(int count, char **arguments)
{
	events = epoll_create1(0);
	if (events < 0)
		err(1, "Cannot make an epoll");
	if (count == 3 && !strcmp(arguments[1], "read")) {
		read_streams(number(arguments[2], "PORT"));
	} else if (count == 5 && !strcmp(arguments[1], "send")) {
		size_t size = number(arguments[3], "BYTES");

		if (size < 1 || size > sizeof(bytes))
			errx(1, "Cannot use %zu as BYTES: 1 to %zu", size, sizeof(bytes));
		limit_seconds(60);
		send_stream(number(arguments[2], "PORT"), size, number(arguments[4], "MS"));
	} else {
		errx(2, "usage: one_way read PORT | one_way send PORT BYTES MS");
	}
	return 0;
}
