/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that sleeps in recv(2) on a socket which another thread then makes non-blocking: what is redirected would not
 * wake it.
 *
 *   asleep 4|6
 *
 * Says `asleep`; at the next line of standard input it sends, and says how many bytes the thread has got. */
#include "streams.h"

static int server;
static ssize_t got;

static void *receive(void *unused)
{
	char bytes[100];

	(void)unused;
	got = recv(server, bytes, sizeof(bytes), 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct timespec deadline;
	struct address address;
	struct pair pair;
	pthread_t thread;

	if (argc != 2)
		errx(2, "usage: asleep 4|6");
	limit_seconds(60);
	address = loopback(argv[1], 0);
	pair = open_pair(mode_named("blocking"), listener(&address, 0), &address);
	server = pair.server;
	start_thread(&thread, receive, NULL);
	sleep_us(200000);
	set_nonblocking(pair.client, true);
	set_nonblocking(pair.server, true);
	printf("asleep\n");
	fflush(stdout);
	getchar();
	send_all(pair.client, "0123456789", 10);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 5;
	if (pthread_timedjoin_np(thread, NULL, &deadline))
		errx(1, "the thread still sleeps");
	printf("got %zd bytes\n", got);
	return 0;
}
