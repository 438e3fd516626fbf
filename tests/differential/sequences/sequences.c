/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences of calls on both ends of a connection, after something has happened to it: what a program sees must be right in whichever
 * order it asks. From a number each sequence is made at random, and is the same each time.
 *
 *     sequences FIRST COUNT            prints a line for each of COUNT sequences: what was called, and what came of it
 *     sequences FIRST COUNT WAIT_MS    the same on connections that are open before: says "ready" on standard error, talks on them until
 *                                      there is a line on standard input, and waits so long after what happens to them
 *
 * Both ends belong to this process. What a read returns is read to its end, since where it stops is not promised. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SETTLE_US 1500
#define HAPPENED_MS 20
#define WARM_UPS 3
#define ROUND_TRIPS 10
#define LEARNT_MS 700
#define TAKEN_OUT_MS 400
#define CONNECTIONS 100
#define TALK_MS 50
#define CALLS_MAX 6
#define CLIENT 0
#define SERVER 1

struct sequence {
	uint64_t number, random;
	int fds[2]; /* -1: closed */
	struct sockaddr_in server;
	const char *event;
	int whose;
	bool shut[2]; /* for writing, by itself */
	char text[16384];
	size_t length;
};

/* The one in hand. */
static struct sequence *it;

static bool adopted;
static volatile sig_atomic_t signals;
static int file; /* of 3 bytes */

static void caught(int signal)
{
	(void)signal;
	signals++;
}

static void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	it->length += vsnprintf(it->text + it->length, sizeof(it->text) - it->length, format, arguments);
	va_end(arguments);
	if (it->length >= sizeof(it->text))
		abort();
}

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/* SplitMix64. */
static uint32_t below(uint32_t limit)
{
	uint64_t z = (it->random += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (uint32_t)((z ^ (z >> 31)) >> 32) % limit;
}

static void settle(void)
{
	usleep(SETTLE_US);
}

static const char *outcome(ssize_t result)
{
	static char text[32];

	if (result < 0)
		return strerrorname_np(errno);
	snprintf(text, sizeof(text), "%zd", result);
	return text;
}

/* What has been read, and how it ends. */
static void receive_all(int fd)
{
	char bytes[4096];
	size_t all = 0;
	unsigned int sum = 0;
	ssize_t got;

	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			sum = sum * 31 + (unsigned char)bytes[i];
		all += got;
		/* What is behind the redirected bytes in TCP's queue may be told later. */
		settle();
	}
	say("%zu/%x, then %s", all, sum & 0xffff, outcome(got));
}

static void name_events(short events)
{
	static const struct {
		short event;
		const char *name;
	} names[] = { { POLLIN, "IN" }, { POLLOUT, "OUT" }, { POLLRDHUP, "RDHUP" }, { POLLERR, "ERR" }, { POLLHUP, "HUP" }, { POLLPRI, "PRI" } };
	bool some = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (events & names[i].event) {
			say("%s%s", some ? "|" : "", names[i].name);
			some = true;
		}
	}
	if (!some)
		say("none");
}

static void poll_it(int fd)
{
	struct pollfd at = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI };

	poll(&at, 1, 0);
	name_events(at.revents);
}

static int error_of(int fd)
{
	socklen_t length = sizeof(int);
	int error = 0;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

static int state_of(int fd)
{
	struct tcp_info info = {};
	socklen_t length = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	/* When the end of the stream is acknowledged is not promised. */
	return info.tcpi_state == TCP_FIN_WAIT2 ? TCP_FIN_WAIT1 : info.tcpi_state;
}

static ssize_t send_vector(int fd, bool as_message)
{
	struct iovec parts[2] = { { "ab", 2 }, { "cd", 2 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	return as_message ? sendmsg(fd, &message, 0) : writev(fd, parts, 2);
}

static ssize_t send_from_pipe(int fd)
{
	int ends[2];
	ssize_t sent;
	int error;

	if (pipe(ends) || write(ends[1], "pipe", 4) != 4)
		fail("pipe");
	sent = splice(ends[0], NULL, fd, NULL, 4, SPLICE_F_NONBLOCK);
	error = errno;
	close(ends[0]);
	close(ends[1]);
	errno = error;
	return sent;
}

static ssize_t send_file(int fd)
{
	off_t offset = 0;

	return sendfile(fd, file, &offset, 3);
}

static ssize_t send_many(int fd)
{
	struct iovec part = { "m", 1 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } },
				       { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } } };

	return sendmmsg(fd, messages, 2, 0);
}

static ssize_t send_large(int fd)
{
	static char bytes[20000];

	return send(fd, bytes, sizeof(bytes), 0);
}

static int disconnect(int fd)
{
	struct sockaddr address = { .sa_family = AF_UNSPEC };

	return connect(fd, &address, sizeof(address));
}

static void close_it(int *fd, bool with_reset)
{
	struct linger linger = { .l_onoff = 1 };

	if (with_reset)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(*fd);
	*fd = -1;
}

/* What `ss -K` does: SOCK_DESTROY. */
static int destroy(int fd)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = { .header = { .nlmsg_len = sizeof(message),
				  .nlmsg_type = SOCK_DESTROY,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		      .request = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u } };
	struct sockaddr_in local, remote;
	socklen_t length = sizeof(local);
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer = {};
	int netlink;

	if (getsockname(fd, (struct sockaddr *)&local, &length) || getpeername(fd, (struct sockaddr *)&remote, &length))
		return -1;
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	message.request.id.idiag_sport = local.sin_port;
	message.request.id.idiag_dport = remote.sin_port;
	message.request.id.idiag_src[0] = local.sin_addr.s_addr;
	message.request.id.idiag_dst[0] = remote.sin_addr.s_addr;
	message.request.id.idiag_cookie[0] = message.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (send(netlink, &message, sizeof(message), 0) < 0 || recv(netlink, &answer, sizeof(answer), 0) < 0)
		fail("sock_diag");
	close(netlink);
	errno = -answer.error.error;
	return answer.error.error ? -1 : 0;
}

/* Calls that a program makes, one of them at a time. */
static const char *const calls[] = { "send", "send of 0", "send quietly", "sendmsg", "writev", "write",
				     "sendfile", "splice to it", "sendmmsg", "send more", "send large", "fast open",
				     "receive", "receive", "receive", "peek", "read", "SO_ERROR",
				     "poll", "poll", "state", "getpeername", "connect again", "shutdown WR",
				     "shutdown RD", "send", "send", "write of 0" };

static void call(int fd, const char *name)
{
	char bytes[9];

	errno = 0;
	if (!strcmp(name, "send"))
		say("%s", outcome(send(fd, "x", 1, 0)));
	else if (!strcmp(name, "send of 0"))
		say("%s", outcome(send(fd, "", 0, 0)));
	else if (!strcmp(name, "write of 0"))
		say("%s", outcome(write(fd, "", 0)));
	else if (!strcmp(name, "send quietly"))
		say("%s", outcome(send(fd, "quiet", 5, MSG_NOSIGNAL)));
	else if (!strcmp(name, "sendmsg"))
		say("%s", outcome(send_vector(fd, true)));
	else if (!strcmp(name, "writev"))
		say("%s", outcome(send_vector(fd, false)));
	else if (!strcmp(name, "write"))
		say("%s", outcome(write(fd, "write", 5)));
	else if (!strcmp(name, "sendfile"))
		say("%s", outcome(send_file(fd)));
	else if (!strcmp(name, "splice to it"))
		say("%s", outcome(send_from_pipe(fd)));
	else if (!strcmp(name, "sendmmsg"))
		say("%s", outcome(send_many(fd)));
	else if (!strcmp(name, "send more"))
		say("%s", outcome(send(fd, "more", 4, MSG_MORE | MSG_NOSIGNAL) < 0 ? -1 : send(fd, ".", 1, MSG_NOSIGNAL)));
	else if (!strcmp(name, "send large"))
		say("%s", outcome(send_large(fd)));
	else if (!strcmp(name, "fast open"))
		say("%s", outcome(send(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL)));
	else if (!strcmp(name, "receive"))
		receive_all(fd);
	else if (!strcmp(name, "peek"))
		say("%s", outcome(recv(fd, bytes, 1, MSG_PEEK)));
	else if (!strcmp(name, "read"))
		say("%s", outcome(read(fd, bytes, 1)));
	else if (!strcmp(name, "SO_ERROR"))
		say("%d", error_of(fd));
	else if (!strcmp(name, "poll"))
		poll_it(fd);
	else if (!strcmp(name, "state"))
		say("%d", state_of(fd));
	else if (!strcmp(name, "getpeername"))
		say("%s", outcome(getpeername(fd, (struct sockaddr *)&(struct sockaddr_in){}, &(socklen_t){ sizeof(struct sockaddr_in) })));
	else if (!strcmp(name, "connect again"))
		say("%s", outcome(connect(fd, (struct sockaddr *)&it->server, sizeof(it->server))));
	else if (!strcmp(name, "shutdown WR"))
		say("%s", outcome(shutdown(fd, SHUT_WR)));
	else if (!strcmp(name, "shutdown RD"))
		say("%s", outcome(shutdown(fd, SHUT_RD)));
}

/* What happens first. All that was sent is read before an end is closed, since what its peer is told of bytes that nobody reads is
 * a case of its own. */
static const char *const events[] = { "nothing", "reset", "reset", "reset unread", "close", "shutdown WR",
				      "shutdown RD", "shutdown RDWR", "destroyed", "disconnect", "bytes unread" };

static void happen(const char *name, int whose)
{
	int fd = it->fds[whose], other = it->fds[!whose];

	if (!strcmp(name, "reset"))
		close_it(&it->fds[whose], true);
	else if (!strcmp(name, "close"))
		close_it(&it->fds[whose], false);
	else if (!strcmp(name, "shutdown WR"))
		shutdown(fd, SHUT_WR);
	else if (!strcmp(name, "shutdown RD"))
		shutdown(fd, SHUT_RD);
	else if (!strcmp(name, "shutdown RDWR"))
		shutdown(fd, SHUT_RDWR);
	else if (!strcmp(name, "destroyed"))
		say(" (%s)", outcome(destroy(fd)));
	else if (!strcmp(name, "disconnect"))
		disconnect(fd);
	else if (!strcmp(name, "bytes unread")) {
		send(other, "some bytes", 10, 0);
		send(fd, "others", 6, 0);
	} else if (!strcmp(name, "reset unread")) {
		send(fd, "the last bytes", 14, 0);
		settle();
		close_it(&it->fds[whose], true);
	}
}

static void open_connection(void)
{
	socklen_t length = sizeof(it->server);
	struct pollfd accepted = { .events = POLLIN };

	it->server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	accepted.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(accepted.fd, (struct sockaddr *)&it->server, sizeof(it->server)) || listen(accepted.fd, 1) ||
	    getsockname(accepted.fd, (struct sockaddr *)&it->server, &length))
		fail("listen");
	it->fds[CLIENT] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connect(it->fds[CLIENT], (struct sockaddr *)&it->server, sizeof(it->server)) && errno != EINPROGRESS)
		fail("connect");
	if (poll(&accepted, 1, 5000) != 1)
		fail("accept");
	it->fds[SERVER] = accept4(accepted.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(accepted.fd);
	/* What TCP holds back, to send it with more, would be thrown away by a reset. */
	for (int end = 0; end < 2; end++)
		setsockopt(it->fds[end], IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

static void await(int fd)
{
	struct pollfd at = { .fd = fd, .events = POLLIN };

	if (poll(&at, 1, 5000) != 1)
		fail("poll");
}

static void talk(int round_trips)
{
	char bytes[100];

	for (int i = 0; i < 2 * round_trips; i++) {
		int from = it->fds[i % 2], to = it->fds[(i + 1) % 2];

		if (send(from, "hello", 5, 0) != 5)
			fail("send");
		await(to);
		if (recv(to, bytes, sizeof(bytes), 0) != 5)
			fail("recv");
	}
}

static void close_connection(void)
{
	char bytes[4096];

	for (int end = 0; end < 2; end++) {
		while (it->fds[end] >= 0 && recv(it->fds[end], bytes, sizeof(bytes), 0) > 0) {
		}
	}
	for (int end = 0; end < 2; end++) {
		if (it->fds[end] >= 0)
			close_it(&it->fds[end], true);
	}
}

/* What happens to the connection. */
static void begin(void)
{
	it->random = it->number * 7919 + 1;
	it->event = events[below(sizeof(events) / sizeof(*events))];
	it->whose = below(2);
	say("%llu: %s of the %s", (unsigned long long)it->number, it->event, it->whose == CLIENT ? "client" : "server");
	happen(it->event, it->whose);
	it->shut[it->whose] = !strcmp(it->event, "shutdown WR") || !strcmp(it->event, "shutdown RDWR");
}

/* Before it has read what there is each send would tell it of the reset: docs/limits.md. */
static void read_first(void)
{
	say("; receive = ");
	receive_all(it->fds[!it->whose]);
}

/* A send of 0 bytes after shutdown(SHUT_WR), with bytes unread or on a connection that was adopted, is one that docs/limits.md tells
 * of. */
static bool is_told(int end, const char *name)
{
	char byte;

	return it->shut[end] && strstr(name, " of 0") && (adopted || recv(it->fds[end], &byte, 1, MSG_PEEK) > 0);
}

static void go_on(void)
{
	int count = 1 + below(CALLS_MAX);

	for (int i = 0; i < count; i++) {
		int end = below(4) ? !it->whose : it->whose;
		const char *name = calls[below(sizeof(calls) / sizeof(*calls))];

		if (it->fds[end] < 0 || is_told(end, name))
			continue;
		signals = 0;
		say("; %s: %s = ", end == CLIENT ? "client" : "server", name);
		call(it->fds[end], name);
		if (!strcmp(name, "shutdown WR"))
			it->shut[end] = true;
		if (signals)
			say(" and SIGPIPE");
		settle();
	}
}

static struct sequence sequences[CONNECTIONS];

static void open_all(uint64_t first, int count)
{
	memset(sequences, 0, sizeof(sequences));
	for (it = sequences; it < sequences + count; it++) {
		it->number = first + (it - sequences);
		open_connection();
		talk(3);
	}
}

static void run_all(int count, int wait_ms)
{
	bool some = false;

	for (it = sequences; it < sequences + count; it++)
		begin();
	usleep(wait_ms * 1000);
	for (it = sequences; it < sequences + count; it++) {
		if (strcmp(it->event, "reset unread"))
			continue;
		read_first();
		some = true;
	}
	if (some)
		usleep(TAKEN_OUT_MS * 1000);
	for (it = sequences; it < sequences + count; it++) {
		go_on();
		puts(it->text);
		close_connection();
	}
	fflush(stdout);
}

static void talk_until_told(int count)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	fprintf(stderr, "ready\n");
	while (!poll(&input, 1, TALK_MS)) {
		for (it = sequences; it < sequences + count; it++)
			talk(1);
	}
}

static void warm_up(void)
{
	for (it = sequences; it < sequences + WARM_UPS; it++) {
		open_connection();
		talk(ROUND_TRIPS);
		close_connection();
	}
	usleep(LEARNT_MS * 1000);
}

int main(int count, char **arguments)
{
	uint64_t first, left;

	if (count < 3)
		return 2;
	first = strtoull(arguments[1], NULL, 10);
	left = strtoull(arguments[2], NULL, 10);
	signal(SIGPIPE, caught);
	file = memfd_create("three", MFD_CLOEXEC);
	if (write(file, "abc", 3) != 3)
		fail("write");
	alarm(240);
	if (count > 3) {
		adopted = true;
		if (left > CONNECTIONS)
			return 2;
		open_all(first, left);
		talk_until_told(left);
		run_all(left, atoi(arguments[3]));
		return 0;
	}
	warm_up();
	for (uint64_t some; left; left -= some, first += some) {
		some = left < CONNECTIONS ? left : CONNECTIONS;
		open_all(first, some);
		run_all(some, HAPPENED_MS);
	}
	return 0;
}
