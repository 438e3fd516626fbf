/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <linux/sockios.h>
#include <sys/mman.h>
#include <time.h>

#include "run.h"

#define STEP_SECONDS 4
#define AWAIT_MS 2500
#define TRY_MS 3000
#define TRY_AGAIN_MS 5
#define ARRIVAL_MS 300
#define DEPARTURE_MS 100
#define PATTERN_BYTES (16 << 20)

bool is_client, server_sends;
int conn = -1, listening = -1;
struct shared *shared;

static struct {
	int to_other, from_other;
	unsigned int tried_ms; /* in this block */
	bool collects; /* lines wait in `lines` until both processes are done */
	char lines[16384];
	size_t lines_bytes;
} self;

/* A turn that ends. */
struct message {
	uint64_t sent_bytes; /* through TCP, so far */
};

static const char *name_of(bool client)
{
	return client ? "client" : "server";
}

static void put_out(const char *text, size_t count)
{
	while (count) {
		ssize_t put = write(STDOUT_FILENO, text, count);

		if (put <= 0)
			_exit(2);
		text += put;
		count -= put;
	}
}

void say(const char *format, ...)
{
	char line[1024];
	int count = snprintf(line, sizeof(line), "%s: ", name_of(is_client));
	va_list arguments;

	va_start(arguments, format);
	count += vsnprintf(line + count, sizeof(line) - count - 1, format, arguments);
	va_end(arguments);
	if (count > (int)sizeof(line) - 2)
		count = sizeof(line) - 2;
	line[count++] = '\n';
	if (!self.collects) {
		put_out(line, count);
	} else if (self.lines_bytes + count <= sizeof(self.lines)) {
		memcpy(self.lines + self.lines_bytes, line, count);
		self.lines_bytes += count;
	}
}

static void put_out_lines(void)
{
	put_out(self.lines, self.lines_bytes);
	self.lines_bytes = 0;
}

static void hangs(int signal)
{
	(void)signal;
	self.collects = false;
	put_out_lines();
	say("hangs");
	_exit(1);
}

void be_end(bool client, int to_other, int from_other)
{
	is_client = client;
	self.to_other = to_other;
	self.from_other = from_other;
	*(client ? &shared->client : &shared->server) = getpid();
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = hangs }, NULL);
}

static bool tcp_info_of(int fd, struct tcp_info *info)
{
	socklen_t bytes = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return fd >= 0 && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &bytes);
}

/* glibc's struct tcp_info ends before these. */
struct byte_counts {
	uint64_t sent, received;
};

static struct byte_counts byte_counts_of(int fd)
{
	/* include/uapi/linux/tcp.h: tcpi_bytes_received, tcpi_bytes_sent, tcpi_bytes_retrans */
	enum {
		RECEIVED_AT = 128,
		SENT_AT = 200,
		RETRANSMITTED_AT = 208
	};
	uint8_t info[256] = {};
	socklen_t bytes = sizeof(info);
	struct byte_counts counts = {};
	uint64_t retransmitted;

	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &bytes))
		return counts;
	memcpy(&counts.received, info + RECEIVED_AT, sizeof(uint64_t));
	memcpy(&counts.sent, info + SENT_AT, sizeof(uint64_t));
	memcpy(&retransmitted, info + RETRANSMITTED_AT, sizeof(retransmitted));
	counts.sent -= retransmitted;
	return counts;
}

static uint64_t other_sent_bytes;

static void await_other(void)
{
	struct message message;

	/* The other process has said what was wrong, or the parent does. */
	if (read(self.from_other, &message, sizeof(message)) != sizeof(message)) {
		self.collects = false;
		put_out_lines();
		_exit(1);
	}
	other_sent_bytes = message.sent_bytes;
}

/* The congestion window may hold back what is small, until an acknowledgement comes that is delayed. */
static void await_departure(void)
{
	int unsent;

	for (int ms = 0; ms < DEPARTURE_MS && conn >= 0 && !ioctl(conn, SIOCOUTQNSD, &unsent) && unsent > 0; ms++)
		nap_ms(1);
}

static void tell_other(void)
{
	struct message message = { .sent_bytes = byte_counts_of(conn).sent };

	if (write(self.to_other, &message, sizeof(message)) != sizeof(message))
		_exit(1);
}

static void await_arrival(void)
{
	for (int ms = 0; ms < ARRIVAL_MS && conn >= 0 && byte_counts_of(conn).received < other_sent_bytes; ms++)
		nap_ms(1);
}

bool begin_turn(bool clients)
{
	if (clients != is_client) {
		await_other();
		return false;
	}
	await_arrival();
	self.tried_ms = 0;
	alarm(STEP_SECONDS);
	return true;
}

bool end_turn(void)
{
	alarm(0);
	await_departure();
	tell_other();
	return false;
}

bool begin_together(void)
{
	tell_other();
	await_other();
	await_arrival();
	self.collects = true;
	self.tried_ms = 0;
	alarm(STEP_SECONDS);
	return true;
}

/* The client's lines come first. */
bool end_together(void)
{
	alarm(0);
	if (!is_client)
		await_other();
	self.collects = false;
	put_out_lines();
	tell_other();
	if (is_client)
		await_other();
	return false;
}

const char *outcome(ssize_t result)
{
	static char texts[4][32];
	static unsigned int at;
	char *text = texts[at++ % 4];

	if (result < 0)
		return strerrorname_np(errno);
	snprintf(text, sizeof(texts[0]), "%zd", result);
	return text;
}

static uint32_t hash_of(const uint8_t *bytes, size_t count)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

const char *bytes_as_text(const void *bytes, size_t count)
{
	static char texts[4][96];
	static unsigned int at;
	char *text = texts[at++ % 4];
	bool readable = count <= 64;

	for (size_t i = 0; i < count && readable; i++)
		readable = ((const char *)bytes)[i] >= ' ' && ((const char *)bytes)[i] <= '~';
	if (readable)
		snprintf(text, sizeof(texts[0]), "\"%.*s\"", (int)count, (const char *)bytes);
	else
		snprintf(text, sizeof(texts[0]), "hash %08x", hash_of(bytes, count));
	return text;
}

static const struct {
	short event;
	const char *name;
} event_names[] = {
	{ POLLIN, "IN" },
	{ POLLPRI, "PRI" },
	{ POLLOUT, "OUT" },
	{ POLLERR, "ERR" },
	{ POLLHUP, "HUP" },
	{ POLLNVAL, "NVAL" },
	{ POLLRDHUP, "RDHUP" },
};

/* epoll's events have the same numbers. */
const char *poll_events(short events)
{
	static char texts[4][64];
	static unsigned int at;
	char *text = texts[at++ % 4];

	*text = 0;
	for (size_t i = 0; i < sizeof(event_names) / sizeof(event_names[0]); i++) {
		if (!(events & event_names[i].event))
			continue;
		if (*text)
			strcat(text, "|");
		strcat(text, event_names[i].name);
	}
	return *text ? text : "nothing";
}

static const char *with_flags(int flags, const char *flags_as_text)
{
	static char text[96];

	snprintf(text, sizeof(text), flags ? ", %s" : "", flags_as_text);
	return text;
}

ssize_t send_and_say(int fd, const void *bytes, size_t count, int flags, const char *flags_as_text)
{
	ssize_t result = send(fd, bytes, count, flags);

	say("send(%zu%s) = %s", count, with_flags(flags, flags_as_text), outcome(result));
	return result;
}

ssize_t receive_and_say(int fd, size_t count, int flags, const char *flags_as_text)
{
	static uint8_t bytes[1 << 20];
	ssize_t result = recv(fd, bytes, count < sizeof(bytes) ? count : sizeof(bytes), flags);

	if (result > 0)
		say("recv(%zu%s) = %zd %s", count, with_flags(flags, flags_as_text), result,
		    bytes_as_text(bytes, result));
	else
		say("recv(%zu%s) = %s", count, with_flags(flags, flags_as_text), outcome(result));
	return result;
}

bool set_and_say(int fd, int level, int option, int value, const char *option_as_text, const char *value_as_text)
{
	int result = setsockopt(fd, level, option, &value, sizeof(value));

	say("%s %s = %s", option_as_text, value_as_text, outcome(result));
	return !result;
}

void polled_and_say(int fd, short events, int timeout_ms)
{
	struct pollfd wait = { .fd = fd, .events = events };
	int result = poll(&wait, 1, timeout_ms);

	if (result < 0)
		say("poll = %s", outcome(result));
	else
		say("poll(%s) = %s", poll_events(events), poll_events(result ? wait.revents : 0));
}

void say_result(const char *call, ssize_t result)
{
	say("%s = %s", call, outcome(result));
}

void say_error(int fd)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
		say("SO_ERROR = %s", outcome(-1));
	else
		say("SO_ERROR: %s", error ? strerrorname_np(error) : "none");
}

void say_state(int fd)
{
	static const char *const names[] = { "0", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1",
					     "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
					     "LISTEN", "CLOSING" };
	struct tcp_info info;

	if (!tcp_info_of(fd, &info))
		say("TCP_INFO = %s", outcome(-1));
	else
		say("state: %s", info.tcpi_state < 12 ? names[info.tcpi_state] : "unknown");
}

void say_unread(int fd)
{
	int count = -1;
	int result = ioctl(fd, FIONREAD, &count);

	say("FIONREAD: %s", result ? outcome(result) : outcome(count));
}

void await(int fd, short events)
{
	struct pollfd wait = { .fd = fd, .events = events };

	if (poll(&wait, 1, AWAIT_MS) == 0)
		say("no %s for %d ms", poll_events(events), AWAIT_MS);
}

void nap_ms(unsigned int ms)
{
	struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&wait, &wait) && errno == EINTR)
		;
}

bool is_to_try_again(int fd)
{
	struct pollfd now = { .fd = fd, .events = POLLIN };
	int error = errno;
	bool again = self.tried_ms < TRY_MS && poll(&now, 1, 0) == 1 && now.revents & POLLIN;

	if (again) {
		nap_ms(TRY_AGAIN_MS);
		self.tried_ms += TRY_AGAIN_MS;
	}
	errno = error;
	return again;
}

void set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK))
		say("fcntl = %s", outcome(-1));
}

static uint8_t pattern_at(uint64_t offset)
{
	return (offset * 2654435761u) >> 24 ^ offset >> 13;
}

const void *pattern(uint64_t offset, size_t count)
{
	static uint8_t *bytes;
	static size_t filled;
	static uint64_t filled_from;

	if (!bytes)
		bytes = mmap(NULL, PATTERN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED || count > PATTERN_BYTES)
		_exit(2);
	if (!filled || filled_from != offset || filled < count) {
		for (size_t i = 0; i < count; i++)
			bytes[i] = pattern_at(offset + i);
		filled_from = offset;
		filled = count;
	}
	return bytes;
}

void send_stream(int fd, uint64_t total, size_t chunk)
{
	uint64_t sent = 0;
	ssize_t put = 0;

	while (sent < total) {
		size_t count = total - sent < chunk ? total - sent : chunk;

		put = send(fd, pattern(sent, count), count, MSG_NOSIGNAL);
		if (put > 0) {
			sent += put;
		} else if (errno == EAGAIN) {
			struct pollfd wait = { .fd = fd, .events = POLLOUT };

			poll(&wait, 1, -1);
		} else {
			break;
		}
	}
	if (sent == total)
		say("sent %llu", (unsigned long long)sent);
	else
		say("sent %llu, then %s", (unsigned long long)sent, outcome(put));
}

void take(struct stream *stream, const void *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		stream->wrong += ((const uint8_t *)bytes)[i] != pattern_at(stream->received + i);
	stream->received += count;
}

void say_stream(const struct stream *stream)
{
	if (stream->wrong)
		say("received %llu, wrong %llu", (unsigned long long)stream->received,
		    (unsigned long long)stream->wrong);
	else
		say("received %llu, every byte right", (unsigned long long)stream->received);
}

void receive_stream(int fd, uint64_t total, size_t chunk)
{
	static uint8_t bytes[1 << 20];
	struct stream stream = {};

	if (chunk > sizeof(bytes))
		chunk = sizeof(bytes);
	while (stream.received < total) {
		ssize_t got = recv(fd, bytes, chunk < total - stream.received ? chunk : total - stream.received, 0);

		if (got > 0) {
			take(&stream, bytes, got);
		} else if (got < 0 && errno == EAGAIN) {
			struct pollfd wait = { .fd = fd, .events = POLLIN };

			poll(&wait, 1, -1);
		} else {
			say("the stream ends with %s", outcome(got));
			break;
		}
	}
	say_stream(&stream);
}

struct sockaddr_storage loopback_address(int family, uint16_t port)
{
	struct sockaddr_storage address = { .ss_family = family };
	struct sockaddr_in *v4 = (void *)&address;
	struct sockaddr_in6 *v6 = (void *)&address;

	if (family == AF_INET) {
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		v4->sin_port = htons(port);
	} else {
		v6->sin6_addr = in6addr_loopback;
		v6->sin6_port = htons(port);
	}
	return address;
}

int start_listening(const struct sockaddr *address, socklen_t bytes, int flags)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, address, bytes) || listen(fd, 64)) {
		say("listen = %s", outcome(-1));
		return -1;
	}
	return fd;
}

int listen_on_loopback(int family, int flags)
{
	struct sockaddr_storage address = loopback_address(family, 0);
	int fd = start_listening((void *)&address, sizeof(address), flags);

	shared->address_bytes = sizeof(shared->address);
	getsockname(fd, (void *)&shared->address, &shared->address_bytes);
	return fd;
}

int start_connecting(const struct sockaddr_storage *address, int flags)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0 || (connect(fd, (const void *)address, sizeof(*address)) && errno != EINPROGRESS))
		say("connect = %s", outcome(-1));
	return fd;
}

/* As proxies have it: nothing waits for an acknowledgement. */
static void send_at_once(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void open_connection(int family, bool blocking)
{
	int flags = blocking ? 0 : SOCK_NONBLOCK;

	SERVER
		listening = listen_on_loopback(family, flags);
	CLIENT {
		conn = start_connecting(&shared->address, flags);
		send_at_once(conn);
	}
	SERVER {
		await(listening, POLLIN);
		conn = accept4(listening, NULL, NULL, SOCK_CLOEXEC | flags);
		send_at_once(conn);
	}
	CLIENT
		await(conn, POLLOUT);
}

void close_conn(void)
{
	close(conn);
	conn = -1;
}

pid_t in_child(void (*run)(void))
{
	pid_t child = fork();

	if (!child) {
		alarm(STEP_SECONDS);
		run();
		_exit(0);
	}
	return child;
}

void say_end(pid_t child)
{
	int status = 0;

	if (waitpid(child, &status, 0) != child)
		say("waitpid = %s", outcome(-1));
	else if (WIFSIGNALED(status))
		say("child ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		say("child ended with %d", WEXITSTATUS(status));
}

void exchange(int times)
{
	for (int i = 0; i < times; i++) {
		CLIENT
			send_text(conn, "hello", 0);
		SERVER {
			await(conn, POLLIN);
			receive(conn, 100, 0);
			send_text(conn, "hi", 0);
		}
		CLIENT {
			await(conn, POLLIN);
			receive(conn, 100, 0);
		}
	}
}
