/* SPDX-License-Identifier: Apache-2.0 */
/* One end of connections, a process of its own: so that either can be stopped, traced, moved, killed or replaced while
 * bytes flow both ways. Event-driven, non-blocking, every byte checked.
 *
 *   ends listen RECORDS ADDRESS PORT [reuseport]   accepts connections
 *   ends connect RECORDS ADDRESS PORT COUNT        opens them
 *   ends take RECORDS PATH                         gets descriptors of connections over a UNIX socket, when told to
 *   ends inherit RECORDS [inetd] FD...             has connections from its parent, with `inetd` as its standard input
 *   ends activated RECORDS                         has a listener of systemd's, as sd_listen_fds(3) says
 *
 * What it is told on standard input, a line each, and answers with `done`:
 *
 *   read on|off, write on|off
 *   window BYTES         it sends as long as it has sent no more than so many bytes more than it has received
 *   open COUNT           opens more connections
 *   churn COUNT          opens so many more that each end after some messages, for a new one; 0 ends and tells
 *   accept COUNT         accepts so many connections more, and no others
 *   probe on|off         once a stream has ended, looks what a send and a receive still say
 *   finish               shuts down what it sends, and reads on to the end
 *   close, unlisten      closes all connections; closes the listener
 *   drain                waits until all connections have ended
 *   pass PATH            gives all connections to who takes them, and closes its own descriptors
 *   share PATH           the same, and keeps them
 *   take                 takes what was passed
 *   exec EXECUTABLE      becomes another program, which inherits all connections
 *   leave NAMESPACE      goes to another network namespace; its sockets stay where they are
 *
 *   lose COUNT           counts so many bytes as sent that are not: the other end must find it
 *
 * RECORDS is a file that all ends of a test map: what each has sent and received, by the client's port, and how the
 * stream has ended for it. So who gets a connection knows where it stands; and what was lost shows, whoever was
 * killed. */
#include "streams.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/un.h>

#define MESSAGE_MAX 3000
#define READ_MAX 8192
#define CALLS_IN_TURN 4
#define TURN_US 400
#define STREAMS_MAX 4096
#define EVENTS_MAX 64
#define FDS_MAX 200 /* that are passed in one message: SCM_MAX_FD is 253 */
#define CHURN_BYTES 100000
#define LIMIT_S 120
#define CLIENT_PORTS 10000

enum side {
	CLIENT,
	SERVER
};

struct direction {
	/* What the sender was about to have sent, and has: one that is killed in between does not tell. */
	_Atomic uint64_t intended, sent, received;
};

struct record {
	struct direction directions[2]; /* by who sends */
	char ended[2][104]; /* for each side, empty until then */
};

struct stream {
	int fd;
	uint16_t port;
	enum side side;
	bool readable, writable, shut, churned;
	struct random random;
};

static struct record *records;
static struct stream *streams[STREAMS_MAX];
static unsigned long streams_count, accepts = -1ul, churning;
static struct address address;
static int epoll, listening = -1, taking = -1;
static bool reads = true, writes = true, probes, drains, talks = true;
static uint64_t window_bytes = 32u << 10, opened;
static struct findings churned;
static const char *records_path;

static uint32_t stream_number(const struct stream *stream, enum side sender)
{
	return stream->port * 2 + sender;
}

static struct direction *outgoing(const struct stream *stream)
{
	return &records[stream->port].directions[stream->side];
}

static struct direction *incoming(const struct stream *stream)
{
	return &records[stream->port].directions[!stream->side];
}

static void answer(const char *text)
{
	if (!talks)
		return;
	printf("%s\n", text);
	fflush(stdout);
}

static void watch(int fd, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "Cannot watch a descriptor");
}

static uint16_t port_of(int fd, enum side side)
{
	struct address own = { .length = sizeof(own.v6) };

	if ((side == CLIENT ? getsockname : getpeername)(fd, &own.any, &own.length))
		err(1, "Cannot read a socket's address");
	return ntohs(own.any.sa_family == AF_INET ? own.v4.sin_port : own.v6.sin6_port);
}

/* fresh: not from another process, which has noted where it stands. Half of them wait for edges. */
static struct stream *add_stream(int fd, enum side side, bool fresh)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (streams_count == STREAMS_MAX)
		errx(1, "more than %d connections", STREAMS_MAX);
	*stream = (struct stream){ .fd = fd, .side = side, .port = port_of(fd, side) };
	stream->random = random_from(stream_number(stream, side) + opened++ * 131072);
	if (fresh) {
		atomic_store(&outgoing(stream)->intended, 0);
		atomic_store(&outgoing(stream)->sent, 0);
		atomic_store(&incoming(stream)->received, 0);
		records[stream->port].ended[side][0] = 0;
	}
	streams[streams_count++] = stream;
	watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | (opened % 2 ? EPOLLET : 0), stream);
	return stream;
}

static void forget(unsigned long i)
{
	/* Closing does not take it out of the epoll when another process has it too. */
	epoll_ctl(epoll, EPOLL_CTL_DEL, streams[i]->fd, NULL);
	close(streams[i]->fd);
	free(streams[i]);
	streams[i] = streams[--streams_count];
}

static struct stream *open_stream(void)
{
	int fd = start_connect(&address, SOCK_NONBLOCK);

	must_be_ready(fd, POLLOUT, "connect");
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return add_stream(fd, CLIENT, true);
}

static void accept_streams(void)
{
	while (accepts) {
		int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
			return;
		if (fd < 0)
			err(1, "Cannot accept");
		accepts--;
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		add_stream(fd, SERVER, true);
	}
}

static const char *events_of(int fd)
{
	static char text[48];
	struct pollfd now = { .fd = fd, .events = POLLIN | POLLRDHUP };

	poll(&now, 1, 0);
	snprintf(text, sizeof(text), "%s%s%s%s", now.revents & POLLIN ? " IN" : "",
		 now.revents & POLLRDHUP ? " RDHUP" : "", now.revents & POLLERR ? " ERR" : "",
		 now.revents & POLLHUP ? " HUP" : "");
	return text;
}

static void add(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
}

/* After the end of the stream: what who sends once more is told, and who looks then. */
static void probe(int fd, char *text, size_t size)
{
	uint8_t byte = 0;
	int error = 0;
	socklen_t error_size = sizeof(error);

	add(text, size, ":%s", events_of(fd));
	add(text, size, ", send %s", outcome(send(fd, &byte, 1, MSG_NOSIGNAL)));
	if (!ready(fd, 0, STALL_MS)) /* an error or a hang-up */
		add(text, size, ", nothing");
	add(text, size, ",%s", events_of(fd));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
	add(text, size, ", error %s", error ? strerrorname_np(error) : "0");
	add(text, size, ", recv %s", outcome(recv(fd, &byte, 1, 0)));
	add(text, size, ", send %s", outcome(send(fd, &byte, 1, MSG_NOSIGNAL)));
}

/* How the stream ended for this end, for all to read; and the end of this end. */
static void end_stream(struct stream *stream, const char *how)
{
	struct record *record = &records[stream->port];
	char text[sizeof(record->ended[0])];
	uint64_t sent = atomic_load(&incoming(stream)->sent), received = atomic_load(&incoming(stream)->received);

	snprintf(text, sizeof(text), "%s", how);
	if (probes)
		probe(stream->fd, text, sizeof(text));
	strcpy(record->ended[stream->side], text);
	if (stream->churned && !strcmp(how, "EOF") && sent != received)
		found(&churned, "EOF early");
	else if (stream->churned)
		found(&churned, "%s", how);
	for (unsigned long i = 0; i < streams_count; i++)
		if (streams[i] == stream)
			return forget(i);
}

/* False once it has ended. */
static bool receive(struct stream *stream)
{
	uint8_t bytes[READ_MAX];

	for (int i = 0; i < CALLS_IN_TURN && reads && stream->readable; i++) {
		struct direction *direction = incoming(stream);
		ssize_t got = recv(stream->fd, bytes, random_between(&stream->random, 1, READ_MAX), 0);
		uint64_t received = atomic_load(&direction->received);

		if (got > 0) {
			check(bytes, got, stream_number(stream, !stream->side), received);
			atomic_store(&direction->received, received + got);
		} else if (got < 0 && errno == EAGAIN) {
			stream->readable = false;
		} else if (got < 0) {
			return end_stream(stream, strerrorname_np(errno)), false;
		} else {
			if (!stream->shut && !probes)
				shutdown(stream->fd, SHUT_WR);
			return end_stream(stream, "EOF"), false;
		}
	}
	return true;
}

static void stop_sending(struct stream *stream)
{
	if (!stream->shut)
		shutdown(stream->fd, SHUT_WR);
	stream->shut = true;
}

static void send_some(struct stream *stream)
{
	struct direction *direction = outgoing(stream);
	uint8_t bytes[MESSAGE_MAX];

	for (int i = 0; i < CALLS_IN_TURN && writes && stream->writable && !stream->shut; i++) {
		size_t count = random_between(&stream->random, 1, MESSAGE_MAX);
		uint64_t sent = atomic_load(&direction->sent);
		ssize_t put;

		if (sent >= atomic_load(&incoming(stream)->received) + window_bytes)
			return;
		fill(bytes, count, stream_number(stream, stream->side), sent);
		atomic_store(&direction->intended, sent + count);
		put = send(stream->fd, bytes, count, MSG_NOSIGNAL);
		if (put > 0)
			atomic_store(&direction->sent, sent + put);
		else if (errno == EAGAIN)
			stream->writable = false;
		else
			return end_stream(stream, strerrorname_np(errno));
		if (stream->churned && sent + put > CHURN_BYTES)
			stop_sending(stream);
	}
}

static void churn(void)
{
	unsigned long open = 0;

	for (unsigned long i = 0; i < streams_count; i++)
		open += streams[i]->churned;
	/* One a turn: a new one now and then, not all at once. */
	if (open < churning)
		open_stream()->churned = true;
}

static void finish_churning(void)
{
	churning = 0;
	for (unsigned long i = 0; i < streams_count; i++)
		if (streams[i]->churned)
			stop_sending(streams[i]);
}

static int unix_socket(const char *path, struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fd < 0 || strlen(path) >= sizeof(name->sun_path))
		err(1, "Cannot use %s", path);
	strcpy(name->sun_path, path);
	return fd;
}

union control {
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr aligned;
};

static void pass_streams(const char *path, bool keep)
{
	struct sockaddr_un name;
	int fd = unix_socket(path, &name), *fds;
	enum side sides[FDS_MAX];
	union control control = {};
	struct iovec what = { .iov_base = sides, .iov_len = streams_count * sizeof(sides[0]) };
	struct msghdr message = { .msg_iov = &what, .msg_iovlen = 1, .msg_control = control.bytes };

	if (!streams_count || streams_count > FDS_MAX)
		errx(1, "Cannot pass %lu connections", streams_count);
	message.msg_controllen = CMSG_SPACE(streams_count * sizeof(int));
	control.aligned = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS,
					    .cmsg_len = CMSG_LEN(streams_count * sizeof(int)) };
	fds = (int *)CMSG_DATA(&control.aligned);
	for (unsigned long i = 0; i < streams_count; i++) {
		fds[i] = streams[i]->fd;
		sides[i] = streams[i]->side;
	}
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) || sendmsg(fd, &message, 0) != (ssize_t)what.iov_len)
		err(1, "Cannot pass the connections");
	close(fd);
	while (!keep && streams_count)
		forget(0);
}

static void take_streams(void)
{
	int fd = accept(taking, NULL, NULL), *fds;
	enum side sides[FDS_MAX];
	union control control = {};
	struct iovec what = { .iov_base = sides, .iov_len = sizeof(sides) };
	struct msghdr message = { .msg_iov = &what,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

	if (got <= 0 || !message.msg_controllen)
		err(1, "Cannot take connections");
	close(fd);
	fds = (int *)CMSG_DATA(CMSG_FIRSTHDR(&message));
	for (size_t i = 0; i < got / sizeof(sides[0]); i++)
		add_stream(fds[i], sides[i], false);
}

static void become(const char *executable)
{
	char *arguments[FDS_MAX + 4] = { (char *)executable, "inherit", (char *)records_path };

	if (streams_count > FDS_MAX)
		errx(1, "Cannot hand on %lu connections", streams_count);
	for (unsigned long i = 0; i < streams_count; i++) {
		fcntl(streams[i]->fd, F_SETFD, 0);
		if (asprintf(&arguments[3 + i], "%d", streams[i]->fd) < 0)
			err(1, "asprintf");
	}
	fcntl(epoll, F_SETFD, FD_CLOEXEC);
	execv(executable, arguments);
	err(1, "Cannot execute %s", executable);
}

static void leave_for(const char *namespace)
{
	int fd = open(namespace, O_RDONLY);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "Cannot go to network namespace %s", namespace);
	close(fd);
}

static void obey(const char *line)
{
	unsigned long count;
	char word[512];

	if (sscanf(line, "read %15s", word) == 1) {
		reads = !strcmp(word, "on");
	} else if (sscanf(line, "write %15s", word) == 1) {
		writes = !strcmp(word, "on");
	} else if (sscanf(line, "probe %15s", word) == 1) {
		probes = !strcmp(word, "on");
	} else if (sscanf(line, "window %lu", &count) == 1) {
		window_bytes = count;
	} else if (sscanf(line, "open %lu", &count) == 1) {
		while (count--)
			printf("port %d\n", open_stream()->port);
	} else if (sscanf(line, "churn %lu", &count) == 1 && count) {
		churning = count;
	} else if (!strcmp(line, "churn 0\n")) {
		return finish_churning();
	} else if (sscanf(line, "lose %lu", &count) == 1) {
		for (unsigned long i = 0; i < streams_count; i++)
			atomic_fetch_add(&outgoing(streams[i])->sent, count);
	} else if (sscanf(line, "accept %lu", &count) == 1) {
		accepts = count;
		accept_streams();
	} else if (!strcmp(line, "finish\n")) {
		for (unsigned long i = 0; i < streams_count; i++)
			stop_sending(streams[i]);
	} else if (!strcmp(line, "close\n")) {
		while (streams_count)
			forget(0);
	} else if (!strcmp(line, "drain\n")) {
		drains = true;
		return;
	} else if (!strcmp(line, "unlisten\n")) {
		close(listening);
		listening = -1;
	} else if (sscanf(line, "pass %500s", word) == 1) {
		pass_streams(word, false);
	} else if (sscanf(line, "share %500s", word) == 1) {
		pass_streams(word, true);
	} else if (!strcmp(line, "take\n")) {
		take_streams();
	} else if (sscanf(line, "exec %500s", word) == 1) {
		become(word);
	} else if (sscanf(line, "leave %500s", word) == 1) {
		leave_for(word);
	} else {
		errx(1, "Cannot do: %s", line);
	}
	answer("done");
}

/* A line comes as a whole, and one at a time. */
static void read_line(void)
{
	char line[600];
	ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (got > 0) {
		line[got] = 0;
		obey(line);
	} else {
		epoll_ctl(epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	}
}

static void wait_for_events(int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(epoll, events, EVENTS_MAX, timeout_ms);
	bool told = false;

	if (count < 0 && errno != EINTR)
		err(1, "epoll_wait");
	for (int i = 0; i < count; i++) {
		struct stream *stream = events[i].data.ptr;

		if (!stream) {
			told = true;
		} else if ((void *)stream == &listening) {
			if (listening >= 0)
				accept_streams();
		} else {
			if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
				stream->readable = true;
			if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
				stream->writable = true;
		}
	}
	/* Last: it may free streams, which these events name. */
	if (told)
		read_line();
}

static void turn(void)
{
	bool was_churning = churning;

	wait_for_events(1);
	if (churning)
		churn();
	for (unsigned long i = 0; i < streams_count;) {
		struct stream *stream = streams[i];

		if (receive(stream) && i < streams_count && streams[i] == stream)
			send_some(stream);
		if (i < streams_count && streams[i] == stream)
			i++;
	}
	if (drains && !streams_count) {
		drains = false;
		answer("done");
	}
	if (!was_churning && churned.seen[0].times) {
		bool open = false;

		for (unsigned long i = 0; i < streams_count; i++)
			open |= streams[i]->churned;
		if (!open) {
			print_findings("churned", &churned);
			churned = (struct findings){};
			answer("done");
		}
	}
	sleep_us(TURN_US);
}

static void map_records(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	size_t size = 65536 * sizeof(*records);

	records_path = path;
	if (fd < 0 || ftruncate(fd, size))
		err(1, "Cannot use %s", path);
	records = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (records == MAP_FAILED)
		err(1, "Cannot map %s", path);
	close(fd);
}

static struct address address_of(const char *text, uint16_t port)
{
	bool v6 = strchr(text, ':');
	struct address address = loopback(v6 ? "6" : "4", port);
	void *bytes = v6 ? (void *)&address.v6.sin6_addr : (void *)&address.v4.sin_addr;

	if (inet_pton(address.any.sa_family, text, bytes) != 1)
		errx(1, "Cannot use %s as ADDRESS", text);
	return address;
}

static void listen_on(const char *host, const char *port, bool reuseport)
{
	address = address_of(host, number(port, "PORT"));
	listening = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	set_option(listening, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(listening, SOL_SOCKET, SO_REUSEPORT, reuseport);
	if (bind(listening, &address.any, address.length) || listen(listening, 4096))
		err(1, "Cannot listen");
	watch(listening, EPOLLIN, &listening);
}

/* The standard descriptors are the connection, which nothing else may be written to. */
static int detach_inetd(void)
{
	char path[512];
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10), log;

	snprintf(path, sizeof(path), "%s.errors", records_path);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || log < 0)
		err(1, "Cannot leave the standard descriptors");
	for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
		if (dup2(log, standard) < 0)
			err(1, "Cannot leave the standard descriptors");
	talks = false;
	return fd;
}

static void inherit(int count, char **arguments)
{
	if (count && !strcmp(arguments[0], "inetd")) {
		int fd = detach_inetd();

		set_nonblocking(fd, true);
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		add_stream(fd, SERVER, true);
		return;
	}
	for (int i = 0; i < count; i++) {
		int fd = number(arguments[i], "FD");

		/* Those of listeners are below. */
		add_stream(fd, port_of(fd, CLIENT) < CLIENT_PORTS ? SERVER : CLIENT, false);
	}
}

static void take_over_listener(void)
{
	const char *count = getenv("LISTEN_FDS");

	if (!count || strcmp(count, "1"))
		errx(1, "Cannot use LISTEN_FDS=%s", count ? count : "");
	listening = 3;
	set_nonblocking(listening, true);
	watch(listening, EPOLLIN, &listening);
}

int main(int count, char **arguments)
{
	const char *how = count > 2 ? arguments[1] : "";

	signal(SIGPIPE, SIG_IGN);
	limit_seconds(LIMIT_S);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (count > 2)
		map_records(arguments[2]);
	if (!strcmp(how, "listen") && (count == 5 || count == 6)) {
		listen_on(arguments[3], arguments[4], count == 6);
	} else if (!strcmp(how, "connect") && count == 6) {
		address = address_of(arguments[3], number(arguments[4], "PORT"));
		for (unsigned long left = number(arguments[5], "COUNT"); left; left--)
			printf("port %d\n", open_stream()->port);
	} else if (!strcmp(how, "take") && count == 4) {
		struct sockaddr_un name;

		taking = unix_socket(arguments[3], &name);
		if (bind(taking, (struct sockaddr *)&name, sizeof(name)) || listen(taking, 8))
			err(1, "Cannot listen at %s", arguments[3]);
	} else if (!strcmp(how, "inherit")) {
		inherit(count - 3, arguments + 3);
	} else if (!strcmp(how, "activated") && count == 3) {
		take_over_listener();
	} else {
		errx(2, "usage: see the top of ends.c");
	}
	/* /dev/null cannot be watched. */
	if (talks && strcmp(how, "activated"))
		watch(STDIN_FILENO, EPOLLIN, NULL);
	answer("done");
	/* Who has a connection alone ends with it. */
	while (talks || streams_count)
		turn();
	return 0;
}
