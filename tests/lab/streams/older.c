/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are there before mda is: opened at once, then used as told on standard input, every byte checked.
 *
 *   older 4|6 nonblocking|blocking|mptcp|mptcp-any CONNECTIONS [CLIENT_CPU SERVER_CPU]
 *
 *   trips COUNT BYTES    COUNT round trips of BYTES each on every connection
 *   stream MIB BYTES     so much to the server on every connection, in messages of BYTES, all at the same time
 *   nonblocking          switches all sockets
 *   blocking
 *
 * With `mptcp` an MPTCP socket listens, with `mptcp-any` at any address of both families; the clients are plain TCP's, and
 * all are non-blocking. A thread of its own serves: it sends back what it reads, or, of a stream, 8 bytes for each MiB. Answers `done` to each
 * command. Every socket has two descriptors. */
#include "streams.h"

#include <sched.h>
#include <stdatomic.h>

#define MIB (1u << 20)
#define MESSAGE_MAX (64u << 10)

struct connection {
	int client, server;
	uint64_t sent, returned; /* by the client */
	uint64_t received; /* by the server */
};

static struct connection *connections;
static unsigned long count;
static unsigned long server_cpu = -1ul;
static atomic_bool streaming;
static atomic_bool paused, pausing;

static void run_on(unsigned long cpu)
{
	cpu_set_t set;

	if (cpu == -1ul)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "Cannot run on CPU %lu", cpu);
}

static void serve(struct connection *connection)
{
	static uint8_t bytes[MESSAGE_MAX];
	uint32_t stream = connection - connections;
	ssize_t got = recv(connection->server, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		err(1, "server: recv of connection %u gives %zd", stream, got);
	check(bytes, got, stream, connection->received);
	if (!atomic_load(&streaming)) {
		send_all(connection->server, bytes, got);
	} else {
		uint64_t whole = (connection->received + got) / MIB - connection->received / MIB;

		for (uint64_t i = 0; i < whole; i++)
			send_all(connection->server, "received", 8);
	}
	connection->received += got;
}

static void *serve_all(void *unused)
{
	struct pollfd *polled = calloc(count, sizeof(*polled));

	(void)unused;
	run_on(server_cpu);
	for (unsigned long i = 0; i < count; i++)
		polled[i] = (struct pollfd){ .fd = connections[i].server, .events = POLLIN };
	for (;;) {
		atomic_store(&paused, atomic_load(&pausing));
		if (poll(polled, count, 20) < 0)
			err(1, "poll");
		for (unsigned long i = 0; i < count && !atomic_load(&paused); i++)
			if (polled[i].revents)
				serve(&connections[i]);
	}
	return NULL;
}

static void trips(unsigned long trips, unsigned long bytes)
{
	uint8_t message[MESSAGE_MAX], answer[MESSAGE_MAX];

	if (bytes > sizeof(message))
		errx(1, "Cannot send messages of %lu bytes", bytes);
	for (unsigned long trip = 0; trip < trips; trip++) {
		for (unsigned long i = 0; i < count; i++) {
			fill(message, bytes, i, connections[i].sent);
			send_all(connections[i].client, message, bytes);
		}
		for (unsigned long i = 0; i < count; i++) {
			receive_all(connections[i].client, answer, bytes);
			check(answer, bytes, i, connections[i].sent);
			connections[i].sent += bytes;
		}
	}
}

static void stream(unsigned long mib, unsigned long bytes)
{
	uint8_t message[MESSAGE_MAX], answers[MESSAGE_MAX];
	/* What is sent before ends with a whole MiB, so that each answer is one of this stream's. */
	uint64_t before = (connections[0].sent + MIB - 1) / MIB * MIB - connections[0].sent;
	uint64_t end = connections[0].sent + before + (uint64_t)mib * MIB;

	if (bytes > sizeof(message))
		errx(1, "Cannot send messages of %lu bytes", bytes);
	while (before > 0) {
		unsigned long some = before < MESSAGE_MAX ? before : MESSAGE_MAX;

		trips(1, some);
		before -= some;
	}
	atomic_store(&streaming, true);
	while (connections[0].sent < end) {
		unsigned long some = end - connections[0].sent < bytes ? end - connections[0].sent : bytes;

		for (unsigned long i = 0; i < count; i++) {
			fill(message, some, i, connections[i].sent);
			send_all(connections[i].client, message, some);
			connections[i].sent += some;
		}
	}
	for (unsigned long i = 0; i < count; i++)
		for (unsigned long left = mib * 8; left > 0;) {
			size_t some = left < sizeof(answers) ? left : sizeof(answers);

			receive_all(connections[i].client, answers, some);
			left -= some;
		}
	atomic_store(&streaming, false);
}

static void set_all(bool nonblocking)
{
	/* Not while the server reads: in blocking mode that would be another test. */
	atomic_store(&pausing, true);
	while (!atomic_load(&paused))
		sleep_us(1000);
	for (unsigned long i = 0; i < count; i++) {
		set_nonblocking(connections[i].client, nonblocking);
		set_nonblocking(connections[i].server, nonblocking);
	}
	atomic_store(&pausing, false);
}

static int listen_for(const char *mode, const char *version, struct address *address)
{
	int protocol = strncmp(mode, "mptcp", 5) ? 0 : IPPROTO_MPTCP;
	struct address any = loopback("6", 0);
	int listening;

	*address = loopback(version, 0);
	if (strcmp(mode, "mptcp-any"))
		return listener_of(protocol, address, SOCK_NONBLOCK);
	any.v6.sin6_addr = in6addr_any;
	listening = listener_of(protocol, &any, SOCK_NONBLOCK);
	*address = loopback(version, ntohs(any.v6.sin6_port));
	return listening;
}

static void obey(const char *line)
{
	unsigned long first, second;

	if (sscanf(line, "trips %lu %lu", &first, &second) == 2)
		trips(first, second);
	else if (sscanf(line, "stream %lu %lu", &first, &second) == 2)
		stream(first, second);
	else if (!strcmp(line, "nonblocking\n") || !strcmp(line, "blocking\n"))
		set_all(*line == 'n');
	else
		errx(1, "Cannot do: %s", line);
}

int main(int argc, char **argv)
{
	struct address address;
	pthread_t server;
	char line[128];
	bool blocking;
	int listening;

	if (argc != 4 && argc != 6)
		errx(2, "usage: older 4|6 nonblocking|blocking|mptcp|mptcp-any CONNECTIONS [CLIENT_CPU SERVER_CPU]");
	signal(SIGPIPE, SIG_IGN);
	limit_seconds(120);
	blocking = !strcmp(argv[2], "blocking");
	count = number(argv[3], "CONNECTIONS");
	if (argc == 6) {
		run_on(number(argv[4], "CLIENT_CPU"));
		server_cpu = number(argv[5], "SERVER_CPU");
	}
	connections = calloc(count, sizeof(*connections));
	listening = listen_for(argv[2], argv[1], &address);
	for (unsigned long i = 0; i < count; i++) {
		struct pair pair = open_pair(mode_named(blocking ? "blocking" : "nonblocking"), listening, &address);

		connections[i] = (struct connection){ .client = pair.client, .server = pair.server };
		if (dup(pair.client) < 0 || dup(pair.server) < 0)
			err(1, "dup");
	}
	start_thread(&server, serve_all, NULL);
	trips(1, 100);
	do {
		printf("done\n");
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin) && (obey(line), true));
	return 0;
}
