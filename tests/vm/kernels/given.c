/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sockets that are the kernel's, or are given to it: it has its own use for their sk_user_data, and takes their bytes itself.
 *
 *   given kcm    each server's end goes to a KCM socket
 *   given smc    SMC sockets, which fall back to TCP where no device can do better
 *   given nbd    a client's end goes to /dev/nbd0 after some round trips; what is read from the device is checked
 *
 * With kcm and smc the connections are opened at once; for each line on standard input there are round trips on all of them, then
 * `done`. */
#define _GNU_SOURCE
#include "lab.h"

#include <fcntl.h>
#include <endian.h>
#include <linux/bpf.h>
#include <linux/kcm.h>
#include <linux/nbd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CONNECTIONS 8
#define TRIPS 20
#define BYTES 1000
#define DEADLINE_MS 10000
#define DEVICE_BYTES (4 << 20)
#define READ_BYTES (64 << 10)

#ifndef AF_SMC
#define AF_SMC 43
#endif

static void wait_for(int fd, short events)
{
	struct pollfd polled = { .fd = fd, .events = events };

	if (poll(&polled, 1, DEADLINE_MS) <= 0)
		errx(1, "nothing came within %d ms", DEADLINE_MS);
}

static void put(int fd, const void *bytes, size_t count)
{
	for (size_t sent = 0; sent < count;) {
		ssize_t some = send(fd, (const uint8_t *)bytes + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (some < 0 && errno != EAGAIN)
			err(1, "send");
		if (some < 0)
			wait_for(fd, POLLOUT);
		else
			sent += some;
	}
}

/* False at the end of the stream. */
static bool get(int fd, void *bytes, size_t count)
{
	for (size_t got = 0; got < count;) {
		ssize_t some = recv(fd, (uint8_t *)bytes + got, count - got, MSG_DONTWAIT);

		if (some < 0 && errno != EAGAIN)
			err(1, "recv");
		if (some == 0)
			return false;
		if (some < 0)
			wait_for(fd, POLLIN);
		else
			got += some;
	}
	return true;
}

struct pair {
	int client, server;
};

static struct pair open_pair(int family, int listening, const struct address *address)
{
	struct pair pair = { .client = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0) };
	int on = 1;

	if (pair.client < 0)
		err(1, "Cannot make a socket of family %d", family);
	if (connect(pair.client, &address->any, address->length) && errno != EINPROGRESS)
		err(1, "Cannot connect");
	wait_for(listening, POLLIN);
	pair.server = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	if (pair.server < 0)
		err(1, "Cannot accept");
	wait_for(pair.client, POLLOUT);
	setsockopt(pair.client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(pair.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return pair;
}

static void trip(int from, int to, uint32_t stream, uint64_t *offset)
{
	uint8_t bytes[BYTES];

	fill(bytes, sizeof(bytes), stream, *offset);
	put(from, bytes, sizeof(bytes));
	if (!get(to, bytes, sizeof(bytes)))
		errx(1, "the stream ends");
	check(bytes, sizeof(bytes), stream, *offset);
	*offset += sizeof(bytes);
}

/* For each message: its length, which is always the same. */
static int parser(void)
{
	struct bpf_insn instructions[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = BYTES },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)instructions,
		.insn_cnt = 2,
		.license = (uintptr_t)"GPL",
	};
	int fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		err(1, "Cannot load a parser");
	return fd;
}

/* The KCM socket, by which the server's end is read and written from then on. */
static int give_to_kcm(int fd)
{
	struct kcm_attach attach = { .fd = fd, .bpf_fd = parser() };
	int kcm = socket(AF_KCM, SOCK_DGRAM, KCMPROTO_CONNECTED);

	if (kcm < 0 || ioctl(kcm, SIOCKCMATTACH, &attach))
		err(1, "Cannot give a socket to KCM");
	return kcm;
}

static void talk(int family, bool kcm)
{
	struct pair pairs[CONNECTIONS];
	uint64_t there[CONNECTIONS] = { 0 }, back[CONNECTIONS] = { 0 };
	struct address address = loopback("4", 0);
	int listening, unread;
	char line[16];

	listening = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listening < 0 || bind(listening, &address.any, address.length) || listen(listening, CONNECTIONS) ||
	    getsockname(listening, &address.any, &address.length))
		err(1, "Cannot listen");
	for (int i = 0; i < CONNECTIONS; i++) {
		int tcp;

		pairs[i] = open_pair(family, listening, &address);
		tcp = pairs[i].server;
		if (kcm)
			pairs[i].server = give_to_kcm(tcp);
		/* A hook sees this. */
		if (ioctl(tcp, FIONREAD, &unread) || unread)
			errx(1, "FIONREAD says %d", unread);
	}
	do {
		for (int round = 0; round < TRIPS; round++)
			for (int i = 0; i < CONNECTIONS; i++) {
				trip(pairs[i].client, pairs[i].server, i, &there[i]);
				trip(pairs[i].server, pairs[i].client, CONNECTIONS + i, &back[i]);
			}
		printf("done\n");
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));
}

static void serve_device(int fd)
{
	static uint8_t data[READ_BYTES * 16];
	struct nbd_request request;

	for (;;) {
		struct nbd_reply reply = { .magic = htonl(NBD_REPLY_MAGIC) };
		uint32_t length;
		uint64_t from;

		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
		if (!get(fd, &request, sizeof(request)))
			return;
		length = ntohl(request.len);
		from = be64toh(request.from);
		if (ntohl(request.type) == NBD_CMD_DISC)
			return;
		if (ntohl(request.type) != NBD_CMD_READ || length > sizeof(data))
			errx(1, "asked for %u, %u bytes", ntohl(request.type), length);
		memcpy(&reply.handle, &request.handle, sizeof(reply.handle));
		fill(data, length, 1, from);
		put(fd, &reply, sizeof(reply));
		put(fd, data, length);
	}
}

static void read_device(void)
{
	static uint8_t data[READ_BYTES];
	int fd = open("/dev/nbd0", O_RDONLY);

	if (fd < 0)
		err(1, "Cannot open /dev/nbd0");
	for (uint64_t from = 0; from < DEVICE_BYTES; from += sizeof(data)) {
		ssize_t got = pread(fd, data, sizeof(data), from);

		if (got != sizeof(data))
			err(1, "/dev/nbd0: read of %zd bytes at %llu", got, (unsigned long long)from);
		check(data, sizeof(data), 1, from);
	}
	close(fd);
}

static void nbd(void)
{
	struct address address = loopback("4", 0);
	int listening = listener(&address, SOCK_NONBLOCK);
	struct pair pair = open_pair(AF_INET, listening, &address);
	uint64_t there = 0, back = 0;
	pid_t server, client;
	int device, status;

	for (int round = 0; round < TRIPS; round++) {
		trip(pair.client, pair.server, 2, &there);
		trip(pair.server, pair.client, 3, &back);
	}
	server = fork();
	if (server == 0) {
		close(pair.client);
		serve_device(pair.server);
		exit(0);
	}
	close(pair.server);
	device = open("/dev/nbd0", O_RDWR);
	if (device < 0 || ioctl(device, NBD_SET_BLKSIZE, 4096ul) ||
	    ioctl(device, NBD_SET_SIZE_BLOCKS, DEVICE_BYTES / 4096ul) || ioctl(device, NBD_SET_SOCK, pair.client))
		err(1, "Cannot set /dev/nbd0 up");
	client = fork();
	if (client == 0) {
		close(pair.client);
		exit(ioctl(device, NBD_DO_IT) < 0);
	}
	usleep(500000);
	read_device();
	printf("done\n");
	fflush(stdout);
	getchar();
	if (ioctl(device, NBD_DISCONNECT))
		err(1, "NBD_DISCONNECT");
	waitpid(client, &status, 0);
	waitpid(server, &status, 0);
	if (status)
		errx(1, "server: wait status %#x", status);
}

int main(int count, char **arguments)
{
	if (count == 2 && !strcmp(arguments[1], "kcm"))
		talk(AF_INET, true);
	else if (count == 2 && !strcmp(arguments[1], "smc"))
		talk(AF_SMC, false);
	else if (count == 2 && !strcmp(arguments[1], "nbd"))
		nbd();
	else
		errx(1, "usage: given kcm|smc|nbd");
	return 0;
}
