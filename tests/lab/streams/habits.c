/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes of one program that answer each other, and what else one of them then does with its socket.
 *
 *   habits trips CONNECTIONS TRIPS PAUSE_US     nothing
 *   habits splice|map CONNECTIONS TRIPS PAUSE_US
 *                                               it asks its socket, when there is nothing in it, for bytes by splice(2) or
 *                                               by TCP_ZEROCOPY_RECEIVE, and both go on for as many trips
 *   habits count CONNECTIONS TRIPS PAUSE_US     it asks how much is unread (FIONREAD) before it receives
 *   habits late CONNECTIONS TRIPS PAUSE_US      it splices, for the first time, when a message waits for it: see send_around_splice()
 *   habits execute PROGRAM TRIPS PAUSE_US       it executes another program, which goes on for as many trips
 *   habits inherited FD TRIPS PAUSE_US          that other program
 *   habits wait                                 until it is killed
 *
 * A trip is a message and its answer. With -DCAN_SPLICE, splice(2) is in the program's code. */
#include "streams.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MESSAGE 100
#define LIMIT_SECONDS 60

static void ask(int fd, uint64_t begin, uint64_t trips, unsigned long pause_us)
{
	uint8_t bytes[MESSAGE];

	for (uint64_t i = begin; i < begin + trips; i++) {
		fill(bytes, sizeof(bytes), 1, i * sizeof(bytes));
		send_all(fd, bytes, sizeof(bytes));
		receive_all(fd, bytes, sizeof(bytes));
		check(bytes, sizeof(bytes), 2, i * sizeof(bytes));
		sleep_us(pause_us);
	}
}

static bool counts;

static void count_unread(int fd)
{
	int unread;

	must_be_ready(fd, POLLIN, "count");
	if (ioctl(fd, FIONREAD, &unread))
		err(1, "FIONREAD");
	if (unread > MESSAGE)
		errx(1, "FIONREAD says %d, which is more than was sent", unread);
}

static void answer(int fd, uint64_t begin, uint64_t trips)
{
	uint8_t bytes[MESSAGE];

	for (uint64_t i = begin; i < begin + trips; i++) {
		if (counts)
			count_unread(fd);
		receive_all(fd, bytes, sizeof(bytes));
		check(bytes, sizeof(bytes), 1, i * sizeof(bytes));
		fill(bytes, sizeof(bytes), 2, i * sizeof(bytes));
		send_all(fd, bytes, sizeof(bytes));
	}
}

#ifdef CAN_SPLICE
static void splice_nothing(int fd)
{
	int ends[2];

	if (pipe(ends))
		err(1, "Cannot make a pipe");
	if (splice(fd, NULL, ends[1], NULL, MESSAGE, SPLICE_F_NONBLOCK) != -1 || errno != EAGAIN)
		errx(1, "splice takes something from an empty socket, or cannot: %s", strerror(errno));
	close(ends[0]);
	close(ends[1]);
}
#else
static void splice_nothing(int fd)
{
	(void)fd;
	errx(2, "It cannot splice");
}
#endif

#ifdef CAN_SPLICE
static void splice_late(int fd, uint64_t begin)
{
	uint8_t bytes[2 * MESSAGE];
	uint64_t end = now_ms() + STALL_MS;
	size_t got = 0;
	int ends[2];

	if (pipe(ends))
		err(1, "Cannot make a pipe");
	must_be_ready(fd, POLLIN, "late");
	for (bool told = false; got < sizeof(bytes); told = true) {
		ssize_t moved = splice(fd, NULL, ends[1], NULL, sizeof(bytes) - got, SPLICE_F_NONBLOCK);

		if (!moved) {
			printf("the stream ends after %zu bytes\n", got);
			return;
		}
		if (moved < 0 && errno != EAGAIN)
			err(1, "splice");
		if (moved < 0 && now_ms() > end)
			errx(1, "splice: EAGAIN for %d ms", STALL_MS);
		if (moved > 0 && read(ends[0], bytes + got, moved) != moved)
			err(1, "read from the pipe");
		if (moved > 0)
			got += moved;
		if (!told)
			send_all(fd, "!", 1);
		sleep_us(1000);
	}
	check(bytes, sizeof(bytes), 1, begin * MESSAGE);
	printf("it splices every byte\n");
}
#else
static void splice_late(int fd, uint64_t begin)
{
	(void)fd;
	(void)begin;
	errx(2, "It cannot splice");
}
#endif

/* One message before the reader first splices, one after it. */
static void send_around_splice(int fd, uint64_t begin)
{
	uint8_t bytes[2 * MESSAGE], byte;

	fill(bytes, sizeof(bytes), 1, begin * MESSAGE);
	sleep_us(100000); /* until the reader waits: without a process nothing is redirected to one that does not */
	send_all(fd, bytes, MESSAGE);
	receive_all(fd, &byte, 1);
	if (send(fd, bytes + MESSAGE, MESSAGE, MSG_NOSIGNAL) < 0) {
		printf("the sender is told %s\n", strerrorname_np(errno));
		return;
	}
	/* Until the reader has read all, and closes. */
	if (receive_some(fd, &byte, 1))
		errx(1, "there is more than was sent");
}

static void map_nothing(int fd)
{
	void *pages = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);
	uint8_t request[64] = {};
	socklen_t length = sizeof(request);

	if (pages == MAP_FAILED)
		err(1, "Cannot map a socket");

	/* Whatever the kernel says to this one. */
	getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, request, &length);
}

static pid_t start(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "Cannot fork");
	if (!child)
		limit_seconds(LIMIT_SECONDS);
	return child;
}

/* The client says, by one byte that is no part of a trip, that it has read the last answer. */
static void do_something(const char *what, int fd, char **argv)
{
	uint8_t byte;
	char number[16];

	receive_all(fd, &byte, 1);
	if (!strcmp(what, "splice"))
		splice_nothing(fd);
	else if (!strcmp(what, "map"))
		map_nothing(fd);
	send_all(fd, "!", 1);
	if (!strcmp(what, "execute")) {
		snprintf(number, sizeof(number), "%d", fd);
		execl(argv[2], argv[2], "inherited", number, argv[3], argv[4], NULL);
		err(1, "Cannot execute %s", argv[2]);
	}
}

int main(int argc, char **argv)
{
	unsigned long connections = 1, trips, pause_us;
	struct address address;
	int listening, failed = 0;
	const char *what;
	bool goes_on, splices_late;

	if (argc == 2 && !strcmp(argv[1], "wait")) {
		puts("waits");
		fflush(stdout);
		limit_seconds(LIMIT_SECONDS);
		pause();
		return 1;
	}
	if (argc != 5)
		errx(2, "usage: habits WHAT CONNECTIONS|PROGRAM|FD TRIPS PAUSE_US");
	what = argv[1];
	trips = number(argv[3], "TRIPS");
	pause_us = number(argv[4], "PAUSE_US");
	if (!strcmp(what, "inherited")) {
		limit_seconds(LIMIT_SECONDS);
		answer(number(argv[2], "FD"), trips, trips);
		return 0;
	}
	splices_late = !strcmp(what, "late");
	goes_on = strcmp(what, "trips") && strcmp(what, "count") && !splices_late;
	counts = !strcmp(what, "count");
	if (strcmp(what, "execute"))
		connections = number(argv[2], "CONNECTIONS");
	address = loopback("4", 0);
	listening = listener(&address, SOCK_NONBLOCK);
	for (unsigned long i = 0; i < connections; i++) {
		struct pair pair = open_pair(mode_named("nonblocking"), listening, &address);

		if (!start()) {
			uint8_t byte;

			close(pair.server);
			ask(pair.client, 0, trips, pause_us);
			if (goes_on) {
				send_all(pair.client, "!", 1);
				receive_all(pair.client, &byte, 1);
				ask(pair.client, trips, trips, pause_us);
			} else if (splices_late) {
				send_around_splice(pair.client, trips);
			}
			return 0;
		}
		if (!start()) {
			close(pair.client);
			answer(pair.server, 0, trips);
			if (splices_late) {
				splice_late(pair.server, trips);
				return 0;
			}
			if (goes_on) {
				do_something(what, pair.server, argv);
				answer(pair.server, trips, trips);
			}
			/* Its peer closes. */
			if (receive_some(pair.server, (uint8_t[1]){}, 1))
				errx(1, "there is more than was sent");
			return 0;
		}
		close_pair(pair);
	}
	for (int status; wait(&status) > 0;)
		failed |= status;
	return failed ? 1 : 0;
}
