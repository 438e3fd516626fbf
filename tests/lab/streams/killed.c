/* SPDX-License-Identifier: Apache-2.0 */
/* Two workers that share an address (SO_REUSEPORT). One is killed when it has read a part of each of its requests and has sent a
 * part of each answer: what do its clients see, and do the other's go on?
 *
 *   killed 4|6 CONNECTIONS [times]
 *
 * Prints the outcomes; with `times`, also what no two runs agree on: how many there were, and how long they took. */
#include "streams.h"

#include <sys/epoll.h>
#include <sys/wait.h>

#define WORKERS 2
#define WARM_UP 20
#define CONNECTIONS 1000

struct connection {
	int fd;
	char worker;
};

static struct connection connections[CONNECTIONS];

static int listen_at(struct address *address)
{
	int listening = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	set_option(listening, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind(listening, &address->any, address->length) || listen(listening, CONNECTIONS) ||
	    getsockname(listening, &address->any, &address->length))
		err(1, "Cannot listen");
	return listening;
}

/* Reads one byte at a time: 'w' is answered with the worker's number; at 'h', which has more behind it, it stops. */
static void serve(int fd, char number, int epoll)
{
	char byte;

	if (recv(fd, &byte, 1, 0) <= 0)
		return;
	if (byte == 'w') {
		send(fd, &number, 1, MSG_NOSIGNAL);
		return;
	}
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	send(fd, "half", 4, MSG_NOSIGNAL);
}

static void work(int listening, char number)
{
	int epoll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listening };

	limit_seconds(60);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event);
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) < 1)
			continue;
		if (event.data.fd != listening) {
			serve(event.data.fd, number, epoll);
			continue;
		}
		event.data.fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
		if (event.data.fd >= 0)
			epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
	}
}

static char ask(int fd)
{
	char worker;

	send_all(fd, "w", 1);
	receive_all(fd, &worker, 1);
	return worker;
}

static void see_the_end(struct connection *connection, struct findings *findings)
{
	char text[48] = "", buffer[100];

	for (int i = 0; i < 3; i++) {
		ssize_t got;

		must_be_ready(connection->fd, POLLIN, "the end");
		got = recv(connection->fd, buffer, sizeof(buffer), 0);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", outcome(got));
	}
	found(findings, "%s", text);
}

static void print_outcomes(const char *what, const struct findings *findings)
{
	printf("%s:", what);
	for (size_t i = 0; i < sizeof(findings->seen) / sizeof(findings->seen[0]) && findings->seen[i].times; i++)
		printf("%s%s", i ? "," : "", findings->seen[i].outcome);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct findings with_answer = {}, without = {}, others = {};
	unsigned long count = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct address address;
	int listening[WORKERS];
	pid_t workers[WORKERS];
	uint64_t killed_ms;

	if (!count || count > CONNECTIONS)
		errx(2, "usage: killed 4|6 CONNECTIONS [times]");
	limit_seconds(60);
	address = loopback(argv[1], 0);
	for (int i = 0; i < WORKERS; i++) {
		listening[i] = listen_at(&address);
		workers[i] = fork();
		if (!workers[i] && i)
			close(listening[0]);
		if (!workers[i])
			work(listening[i], '0' + i);
	}
	for (int i = 0; i < WORKERS; i++)
		close(listening[i]);
	for (unsigned long i = 0; i < count; i++) {
		connections[i].fd = start_connect(&address, SOCK_NONBLOCK);
		finish_connect(connections[i].fd);
		for (int j = 0; j < WARM_UP; j++)
			connections[i].worker = ask(connections[i].fd);
	}
	for (unsigned long i = 0; i < count; i++) {
		if (connections[i].worker != '0')
			continue;
		send_all(connections[i].fd, "hx", 2);
		must_be_ready(connections[i].fd, POLLIN, "half of an answer");
		if (i % 2)
			receive_all(connections[i].fd, (char[4]){}, 4);
	}
	killed_ms = now_ms();
	kill(workers[0], SIGKILL);
	for (unsigned long i = 0; i < count; i++)
		if (connections[i].worker == '0')
			see_the_end(&connections[i], i % 2 ? &without : &with_answer);
	if (argc > 3) {
		printf("after %llu ms\n", (unsigned long long)(now_ms() - killed_ms));
		print_findings("with", &with_answer);
		print_findings("read", &without);
	}
	for (unsigned long i = 0; i < count; i++)
		if (connections[i].worker == '1')
			found(&others, "%s", ask(connections[i].fd) == '1' ? " an answer" : " another's answer");
	print_outcomes("with half of an answer", &with_answer);
	print_outcomes("with half of an answer read", &without);
	print_outcomes("of the other worker", &others);
	for (int i = 0; i < WORKERS; i++) {
		kill(workers[i], SIGKILL);
		waitpid(workers[i], NULL, 0);
	}
	return 0;
}
