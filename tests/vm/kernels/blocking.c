/* SPDX-License-Identifier: Apache-2.0 */
/* A client and an echo server on blocking sockets, every byte checked. Reads use MSG_WAITALL, which sockmap cuts
 * short: it must find a socket that is TCP's alone.
 *
 *   blocking 4|6 CONNECTIONS ROUND_TRIPS BYTES */
#include "lab.h"

#include <sys/wait.h>

#define BYTES_MAX 65536

static void read_all(int fd, uint8_t *bytes, size_t count)
{
	ssize_t got = recv(fd, bytes, count, MSG_WAITALL);

	if (got < 0)
		err(1, "recv(%zu, MSG_WAITALL)", count);
	if ((size_t)got < count)
		errx(1, "recv(%zu, MSG_WAITALL) returned %zd", count, got);
}

static void write_all(int fd, const uint8_t *bytes, size_t count)
{
	ssize_t put = write(fd, bytes, count);

	if (put < 0)
		err(1, "write(%zu)", count);
	if ((size_t)put < count)
		errx(1, "write(%zu) returned %zd", count, put);
}

int main(int count, char **arguments)
{
	unsigned long connections, round_trips, bytes;
	static uint8_t buffer[BYTES_MAX];
	struct address address;
	int listening, status;
	pid_t server;

	if (count != 5)
		errx(1, "usage: blocking 4|6 CONNECTIONS ROUND_TRIPS BYTES");
	address = loopback(arguments[1], 0);
	connections = number(arguments[2], "CONNECTIONS");
	round_trips = number(arguments[3], "ROUND_TRIPS");
	bytes = number(arguments[4], "BYTES");
	if (bytes < 2 || bytes > BYTES_MAX)
		errx(1, "Cannot send %lu bytes at once: 2 to %d", bytes, BYTES_MAX);

	listening = listener(&address, 0);
	alarm(60);
	server = fork();
	for (unsigned long i = 0; i < connections; i++) {
		int fd = server ? socket(address.any.sa_family, SOCK_STREAM, 0) : accept(listening, NULL, NULL);

		if (fd < 0 || (server && connect(fd, &address.any, address.length)))
			err(1, "Cannot connect");
		for (unsigned long trip = 0; trip < round_trips; trip++) {
			if (server) {
				/* In two pieces: the server's recv must wait for the second. */
				fill(buffer, bytes, i, trip * bytes);
				write_all(fd, buffer, bytes / 2);
				usleep(1000);
				write_all(fd, buffer + bytes / 2, bytes - bytes / 2);
			}
			read_all(fd, buffer, bytes);
			check(buffer, bytes, i, trip * bytes);
			if (!server)
				write_all(fd, buffer, bytes);
		}
		close(fd);
	}
	if (server == 0)
		return 0;
	if (waitpid(server, &status, 0) != server || status)
		errx(1, "server: wait status %#x", status);
	printf("%lu connections, %lu round trips, every byte right\n", connections, connections * round_trips);
	return 0;
}
