/* SPDX-License-Identifier: Apache-2.0 */
/* Long answers, written in parts, to a reader that has something to do with what it reads: a server and a client that wait with epoll.
 *
 *   answers serve PORT                                      answers until it is killed
 *   answers ask PORT BYTES PS_A_BYTE edges|levels MS        asks for BYTES again and again for so long, each byte taking the reader
 *                                                           so many picoseconds; prints how many answers came in how many
 *                                                           microseconds
 *
 * A reader on edges takes a short read for the last, as those of tokio and nginx do: beside its sender it is slow, so it is full now and
 * then, and its sender waits for it. */
#include "streams.h"

#include <sys/epoll.h>

#define PART (8u << 10)
#define BUFFER (64u << 10)
#define EVENTS 64

static uint8_t bytes[BUFFER];
static int events;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* A client that waits for an answer, as far as it has been sent. */
struct client {
	int fd;
	uint32_t asked;
	uint64_t left;
};

static void watch(int how, int fd, uint32_t event, void *data)
{
	struct epoll_event wanted = { .events = event, .data.ptr = data };

	if (epoll_ctl(events, how, fd, &wanted))
		err(1, "epoll_ctl");
}

static void accept_client(int listening)
{
	struct client *client = calloc(1, sizeof(*client));

	client->fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	if (client->fd < 0)
		err(1, "Cannot accept");
	set_option(client->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	watch(EPOLL_CTL_ADD, client->fd, EPOLLIN, client);
}

/* Another question, or the end. */
static void read_question(struct client *client)
{
	ssize_t got = recv(client->fd, &client->asked, sizeof(client->asked), 0);

	if (got == sizeof(client->asked)) {
		client->left = client->asked;
		watch(EPOLL_CTL_MOD, client->fd, EPOLLOUT, client);
	} else if (got >= 0 || errno != EAGAIN) {
		close(client->fd);
		free(client);
	}
}

static void send_on(struct client *client)
{
	while (client->left) {
		ssize_t put = send(client->fd, bytes, client->left < PART ? client->left : PART, MSG_NOSIGNAL);

		if (put < 0 && errno == EAGAIN)
			return;
		if (put < 0)
			break;
		client->left -= put;
	}
	watch(EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
}

static void serve(uint16_t port)
{
	struct address address = loopback("4", port);
	int listening = listener(&address, SOCK_NONBLOCK);

	watch(EPOLL_CTL_ADD, listening, EPOLLIN, NULL);
	for (;;) {
		struct epoll_event happened[EVENTS];
		int count = epoll_wait(events, happened, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct client *client = happened[i].data.ptr;

			if (!client)
				accept_client(listening);
			else if (client->left)
				send_on(client);
			else
				read_question(client);
		}
	}
}

/* Has something to do with what was read. */
static void use(size_t count, unsigned long ps_a_byte)
{
	uint64_t end = now_ns() + count * ps_a_byte / 1000;

	while (now_ns() < end)
		;
}

static void read_answer(int fd, uint64_t left, unsigned long ps_a_byte, bool on_edges)
{
	while (left) {
		struct epoll_event happened;
		ssize_t got;

		if (epoll_wait(events, &happened, 1, STALL_MS) != 1)
			errx(1, "nothing comes for %d ms, %llu bytes are missing", STALL_MS, (unsigned long long)left);
		do {
			got = recv(fd, bytes, sizeof(bytes), 0);
			if (got == 0 || (got < 0 && errno != EAGAIN))
				errx(1, "recv: %s", outcome(got));
			if (got > 0) {
				left -= got;
				use(got, ps_a_byte);
			}
		} while (on_edges && got == sizeof(bytes));
	}
}

static void ask(uint16_t port, uint32_t size, unsigned long ps_a_byte, bool on_edges, unsigned long ms)
{
	struct address address = loopback("4", port);
	int fd = start_connect(&address, SOCK_NONBLOCK);
	uint64_t begin, answers = 0;

	finish_connect(fd);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	watch(EPOLL_CTL_ADD, fd, on_edges ? EPOLLIN | EPOLLET : EPOLLIN, NULL);
	begin = now_ns();
	while (now_ns() - begin < ms * 1000000ull) {
		send_all(fd, &size, sizeof(size));
		read_answer(fd, size, ps_a_byte, on_edges);
		answers++;
	}
	printf("%llu %llu\n", (unsigned long long)answers, (unsigned long long)(now_ns() - begin) / 1000);
}

int main(int count, char **arguments)
{
	events = epoll_create1(0);
	if (events < 0)
		err(1, "Cannot make an epoll");
	if (count == 3 && !strcmp(arguments[1], "serve")) {
		serve(number(arguments[2], "PORT"));
	} else if (count == 7 && !strcmp(arguments[1], "ask")) {
		limit_seconds(60);
		ask(number(arguments[2], "PORT"), number(arguments[3], "BYTES"), number(arguments[4], "PS_A_BYTE"),
		    !strcmp(arguments[5], "edges"), number(arguments[6], "MS"));
	} else {
		errx(2, "usage: answers serve PORT | answers ask PORT BYTES PS_A_BYTE edges|levels MS");
	}
	return 0;
}
