/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a connection: how it reads and writes, and what it finds wrong. */
#pragma once

#include "plan.h"

#include <linux/sockios.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define BLOCK_MS 20 /* a read or write in blocking mode waits so long */
#define CALLS_IN_TURN 4
#define FAILURES_MAX 20 /* that are printed */

/* What one end sends and the other receives. Each field has one thread that writes it. */
struct direction {
	_Atomic uint64_t sent, received;
	_Atomic bool written; /* all of it */
	_Atomic bool ended; /* the reader has seen the end, or will not look for it */
	_Atomic bool reader_wants, writer_wants;
	_Atomic bool awaited; /* the writer waits until all is read */
	_Atomic uint32_t lowat;
	/* The monitor's: since when nothing has moved, in time that the ends' threads have had. */
	uint64_t seen_sent, seen_received;
	uint32_t still_ms;
};

enum state {
	CLOSED,
	OPENING,
	OPEN
};

struct end {
	struct connection *connection;
	int side; /* 0: the client */
	struct thread *thread;
	_Atomic int fd; /* -1: not open */
	const struct end_plan *plan;
	/* Waiting. */
	uint32_t watched; /* events that epoll(7) knows of */
	int polled; /* where it is in poll(2)'s list */
	bool readable, writable, hung_up;
	/* Reading. */
	struct random reads, pauses;
	int pipe[2];
	uint64_t pause_at, resume_ms;
	bool eof;
	/* Writing. */
	struct random writes, splits;
	struct phase phase;
	uint32_t message_left, message_style;
	uint64_t messages, rest_until_ms;
	bool connected, awaits, shut, holds;
	/* Blocking mode and SO_RCVLOWAT come and go. */
	struct random modes;
	uint64_t calls, toggle_at;
	bool blocks;
};

struct connection {
	_Atomic enum state state;
	_Atomic int closed_ends;
	_Atomic bool given_up; /* one end has closed in the middle, or is about to */
	_Atomic bool dropped; /* the monitor has seen enough */
	uint64_t number, opened_ms, incarnation;
	uint32_t slot;
	struct plan plan;
	struct end ends[2];
	struct direction directions[2]; /* what ends[i] sends */
};

struct thread {
	pthread_t id;
	int epoll, listeners[2];
	uint16_t ports[2];
	_Atomic uint64_t turns;
	bool moved, has_blocked; /* in this turn */
	uint64_t now_ms;
	_Atomic uint64_t bytes_verified, connections_opened, blocks_cut_short;
	struct end **ends;
	uint32_t ends_count;
	/* Which connection's client has a port: clients_at[family][port], a slot plus 1. */
	_Atomic uint32_t *clients_at[2];
	struct {
		int fd;
		uint16_t port;
		int family;
		uint64_t since_ms;
	} accepted[1024]; /* whose client is not known yet */
	uint32_t accepted_count;
	uint8_t read_bytes[READ_MAX], write_bytes[MESSAGE_MAX];
};

static struct {
	_Atomic uint64_t wrong, stalled, broken;
} failures;
static _Atomic uint64_t highest_number;
static _Atomic bool stopping;

/* So that the checker itself can be checked: what one end does wrong once, after so many bytes. */
static enum harm {
	NO_HARM,
	LOSE,
	REPEAT,
	STRAY,
	HOLD
} harm;
#define HARM_AFTER_BYTES 1000000
static _Atomic bool harm_done;

/* Whether it is this call that is to do it. */
static bool does_harm(enum harm kind, uint64_t bytes)
{
	return harm == kind && bytes >= HARM_AFTER_BYTES && !atomic_exchange(&harm_done, true);
}

static void describe_end(const struct end *end, char *text, size_t size)
{
	size_t length;

	habit_names(end->plan->habits & ~(PAUSES | BULK), text, size);
	length = strlen(text);
	if (end->plan->habits & LOWAT)
		length += snprintf(text + length, size - length, " lowat=%u", end->plan->lowat);
	if (end->blocks)
		snprintf(text + length, size - length, " in blocking mode");
}

/* What went wrong, when, and where: `writer` is the end that sends in the direction meant. */
static void __attribute__((format(printf, 4, 5))) fail(_Atomic uint64_t *kind, const char *name,
						       const struct end *writer, const char *format, ...)
{
	const struct connection *connection = writer->connection;
	const struct direction *direction = &connection->directions[writer->side];
	char what[768], ends[2][256];
	struct timespec now;
	struct tm utc;
	va_list arguments;

	if (++*kind > FAILURES_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	for (int i = 0; i < 2; i++)
		describe_end(&connection->ends[i], ends[i], sizeof(ends[i]));
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	fprintf(stderr,
		"%02d:%02d:%02d.%03ld %s: connection %llu (IPv%d, %llu ms old), %s, %llu bytes sent, %llu received: %s; "
		"client: %s; server: %s\n",
		utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000, name,
		(unsigned long long)connection->number, connection->plan.v6 ? 6 : 4,
		(unsigned long long)(now_ms() - connection->opened_ms),
		writer->side ? "server to client" : "client to server", (unsigned long long)direction->sent,
		(unsigned long long)direction->received, what, ends[0], ends[1]);
}

#define wrong(writer, ...) fail(&failures.wrong, "wrong", writer, __VA_ARGS__)
#define stalled(writer, ...) fail(&failures.stalled, "stalled", writer, __VA_ARGS__)
#define broken(writer, ...) fail(&failures.broken, "broken", writer, __VA_ARGS__)

static uint32_t stream_of(const struct end *writer)
{
	return writer->connection->number * 2 + writer->side;
}

static struct end *other_end(struct end *end)
{
	return &end->connection->ends[!end->side];
}

static struct direction *sends(struct end *end)
{
	return &end->connection->directions[end->side];
}

static struct direction *receives(struct end *end)
{
	return &end->connection->directions[!end->side];
}

static void close_end(struct end *end)
{
	int fd = end->fd;

	end->fd = -1;
	sends(end)->writer_wants = false;
	receives(end)->reader_wants = false;
	receives(end)->ended = true;
	close(fd);
	if (end->pipe[0] >= 0) {
		close(end->pipe[0]);
		close(end->pipe[1]);
		end->pipe[0] = -1;
	}
	if (++end->connection->closed_ends == 2)
		end->connection->state = CLOSED;
}

/* The other end will find a stream cut off, and is not to wonder. */
static void abandon(struct end *end, bool resets)
{
	struct linger linger = { .l_onoff = 1 };

	end->connection->given_up = true;
	if (resets)
		setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_end(end);
}

/* A call has failed: with the connection, or it is what an abort by the other end looks like. */
static void fail_call(struct end *end, struct end *writer, const char *call)
{
	int error = errno;

	if (!end->connection->given_up)
		broken(writer, "%s: %s", call, strerrorname_np(error));
	abandon(end, false);
}

/* False when they are not what was sent. */
static bool verify(struct end *end, const uint8_t *bytes, size_t count)
{
	struct end *writer = other_end(end);
	uint64_t position = receives(end)->received;
	size_t right = count_right(bytes, count, stream_of(writer), position);
	struct place place;
	char where[128];

	if (right == count)
		return true;
	position += right;
	if (!find_place(bytes + right, count - right, 2 * (highest_number + 1), &place))
		snprintf(where, sizeof(where), "of no stream");
	else if (place.stream != stream_of(writer))
		snprintf(where, sizeof(where), "those of position %llu of connection %u, %s",
			 (unsigned long long)place.position, place.stream / 2,
			 place.stream & 1 ? "server to client" : "client to server");
	else if (place.position > position)
		snprintf(where, sizeof(where), "those of position %llu: %llu are missing or late",
			 (unsigned long long)place.position, (unsigned long long)(place.position - position));
	else
		snprintf(where, sizeof(where), "those of position %llu: repeated or late by %llu",
			 (unsigned long long)place.position, (unsigned long long)(position - place.position));
	wrong(writer, "byte %llu is %#04x and should be %#04x (byte %zu of the %zu of a read); from there on the bytes are %s",
	      (unsigned long long)position, bytes[right], stream_byte(stream_of(writer), position), right, count, where);
	return false;
}

/* Three parts, of which some may be empty. */
static int split(struct random *random, struct iovec parts[3], uint8_t *bytes, size_t count)
{
	size_t first = random_between(random, 0, count), second = random_between(random, 0, count - first);

	parts[0] = (struct iovec){ bytes, first };
	parts[1] = (struct iovec){ bytes + first, second };
	parts[2] = (struct iovec){ bytes + first + second, count - first - second };
	return 3;
}

/* What a read brings: the number of bytes, 0 at the end of the stream, -1 with errno. Sets *all when a read that
 * brings less than was asked for has taken everything. */
static ssize_t read_once(struct end *end, size_t most, bool *all)
{
	uint32_t style = one_of(&end->reads, end->plan->habits & READS);
	uint8_t *bytes = end->thread->read_bytes;
	struct iovec parts[3];
	struct msghdr message = { .msg_iov = parts };
	ssize_t got, again;

	*all = true;
	switch (style) {
	case READV:
		return readv(end->fd, parts, split(&end->splits, parts, bytes, most));
	case RECVMSG:
		message.msg_iovlen = split(&end->splits, parts, bytes, most);
		return recvmsg(end->fd, &message, 0);
	case PEEK:
		*all = false;
		got = recv(end->fd, bytes, most, MSG_PEEK);
		if (got <= 0)
			return got;
		if (!verify(end, bytes, got)) {
			errno = EBADMSG;
			return -1;
		}
		memset(bytes, 0, got);
		again = recv(end->fd, bytes, got, 0);
		if (again < got)
			broken(other_end(end), "recv after MSG_PEEK of %zd bytes: %s", got, outcome(again));
		return again;
	case SPLICE:
		*all = false;
		got = splice(end->fd, NULL, end->pipe[1], NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (got <= 0)
			return got;
		if (read(end->pipe[0], bytes, got) != got)
			errx(1, "Cannot read what was spliced into a pipe");
		return got;
	default:
		return recv(end->fd, bytes, most, 0);
	}
}

static void find_end_of_stream(struct end *end)
{
	struct direction *direction = receives(end);

	end->eof = true;
	direction->ended = true;
	direction->reader_wants = false;
	if (!end->connection->given_up && (!direction->written || direction->received != direction->sent))
		broken(other_end(end), "the stream ends too early");
}

/* In blocking mode a read waits by itself; the other ends of the thread wait as well, so not all of them do. */
static bool can_wait(struct end *end)
{
	bool may = end->blocks && !end->thread->has_blocked && end->thread->turns % 4 == 0;

	if (may)
		end->thread->has_blocked = true;
	return may;
}

static void read_some(struct end *end)
{
	struct direction *direction = receives(end);
	struct thread *thread = end->thread;

	if (end->eof)
		return;
	if (thread->now_ms < end->resume_ms)
		return;
	direction->reader_wants = true;
	if (end->holds || (end->holds = does_harm(HOLD, direction->received)))
		return;
	for (int call = 0; call < CALLS_IN_TURN; call++) {
		size_t most = random_between(&end->reads, 1, end->plan->read_max);
		bool waits = false, all;
		uint64_t begin = 0;
		ssize_t got;

		if (!end->readable) {
			if (call || !can_wait(end))
				return;
			waits = true;
			begin = now_ms();
		}
		end->calls++;
		got = read_once(end, most, &all);
		if (got < 0 && errno == EBADMSG)
			return abandon(end, false);
		if (got < 0 && errno == EAGAIN) {
			/* Jiffies may be 10 ms long. */
			if (waits && now_ms() - begin + 11 < BLOCK_MS)
				thread->blocks_cut_short++;
			if (!end->hung_up)
				end->readable = false;
			return;
		}
		if (got < 0)
			return fail_call(end, other_end(end), "read");
		thread->moved = true;
		if (got == 0)
			return find_end_of_stream(end);
		if (!verify(end, thread->read_bytes, got))
			return abandon(end, false);
		direction->received += got;
		thread->bytes_verified += got;
		if (end->plan->habits & EDGE && all && (size_t)got < most && !end->hung_up)
			end->readable = false;
		if (end->plan->habits & PAUSES && direction->received >= end->pause_at) {
			direction->reader_wants = false;
			end->resume_ms = now_ms() + pause_ms(&end->pauses);
			end->pause_at = direction->received + random_between(&end->pauses, 1, 300000);
			return;
		}
		if (!(end->plan->habits & EDGE) && !end->plan->greedy)
			return;
	}
}

/* False when there is nothing to write now. */
static bool next_message(struct end *end)
{
	struct direction *direction = sends(end);
	struct phase *phase = &end->phase;
	struct random *random = &end->writes;

	if (end->thread->now_ms < end->rest_until_ms)
		return false;
	if (end->awaits && direction->received < direction->sent && !stopping)
		return false;
	direction->awaited = end->awaits = false;
	if (end->messages >= end->plan->abort_after) {
		/* Not before it is known whose the accepted socket is: the client's port would be free. */
		if (end->connection->state == OPEN)
			abandon(end, one_in(random, 2));
		return false;
	}
	if (stopping || end->messages == end->plan->messages) {
		direction->written = true;
		return false;
	}
	if (!phase->messages) {
		*phase = next_phase(random, end->plan->habits & BULK);
		if (one_in(random, 4)) {
			end->rest_until_ms = end->thread->now_ms + random_between(random, 1, 300);
			return false;
		}
	}
	phase->messages--;
	end->messages++;
	end->message_left = random_between(random, phase->size_min, phase->size_max);
	end->message_style = one_of(random, end->plan->habits & WRITES);
	/* TCP holds the rest of what another message is to follow: one must. */
	if (end->message_style == MORE &&
	    (phase->pace != AT_ONCE || !phase->messages || end->messages == end->plan->messages))
		end->message_style = SEND;
	return true;
}

static void message_sent(struct end *end)
{
	struct random *random = &end->writes;

	if (end->phase.pace == ASKS)
		sends(end)->awaited = end->awaits = true;
	else if (end->phase.pace == RESTS)
		end->rest_until_ms = now_ms() + random_between(random, 0, 20);
}

static ssize_t write_once(struct end *end)
{
	uint8_t *bytes = end->thread->write_bytes;
	size_t count = end->message_left;
	uint64_t position = sends(end)->sent;
	struct iovec parts[3];
	struct msghdr message = { .msg_iov = parts };

	fill_bytes(bytes, count, stream_of(end), position);
	if (count >= 1000 && does_harm(LOSE, position))
		fill_bytes(bytes, count, stream_of(end), position + 700);
	else if (count >= 1000 && does_harm(REPEAT, position))
		fill_bytes(bytes, count, stream_of(end), position - 700);
	else if (count >= 1000 && does_harm(STRAY, position))
		fill_bytes(bytes, count, stream_of(end) ^ 1, position);
	switch (end->message_style) {
	case WRITEV:
		return writev(end->fd, parts, split(&end->splits, parts, bytes, count));
	case MORE:
		message.msg_iovlen = split(&end->splits, parts, bytes, count);
		return sendmsg(end->fd, &message, MSG_MORE | MSG_NOSIGNAL);
	default:
		return send(end->fd, bytes, count, MSG_NOSIGNAL);
	}
}

static void write_some(struct end *end)
{
	struct direction *direction = sends(end);

	for (int call = 0; call < CALLS_IN_TURN; call++) {
		ssize_t put;

		if (direction->written)
			return;
		if (!end->message_left && !next_message(end)) {
			if (end->fd >= 0)
				direction->writer_wants = false;
			return;
		}
		direction->writer_wants = true;
		if (!end->writable && (call || !can_wait(end)))
			return;
		end->calls++;
		put = write_once(end);
		if (put < 0 && errno == EAGAIN) {
			end->writable = false;
			return;
		}
		if (put < 0)
			return fail_call(end, end, "write");
		direction->sent += put;
		end->thread->moved = true;
		end->message_left -= put;
		if (end->message_left)
			end->writable = false;
		else
			message_sent(end);
	}
}

static void set_blocking(struct end *end, bool on)
{
	end->blocks = on;
	set_nonblocking(end->fd, !on);
}

/* On TCP too, a reader with SO_RCVLOWAT never gets the last bytes of a writer that waits for it. */
static void set_lowat(struct end *end, uint32_t bytes)
{
	receives(end)->lowat = bytes;
	set_option(end->fd, SOL_SOCKET, SO_RCVLOWAT, bytes);
}

static void change_modes(struct end *end)
{
	struct direction *direction = receives(end);

	if (direction->lowat > 1 && (direction->awaited || direction->written))
		set_lowat(end, 1);
	if (end->calls < end->toggle_at)
		return;
	end->toggle_at = end->calls + random_between(&end->modes, 1, 300);
	if (end->plan->habits & BLOCKING)
		set_blocking(end, !end->blocks);
	if (end->plan->habits & LOWAT && !end->eof)
		set_lowat(end, direction->lowat > 1 || direction->written ? 1 : end->plan->lowat);
}

/* Closes what has done its part. */
static void finish(struct end *end)
{
	struct direction *own = sends(end), *other = receives(end);
	bool has_all = end->eof;

	if (!own->written)
		return;
	if (end->plan->habits & HALF_CLOSE && !end->shut) {
		end->shut = true;
		if (shutdown(end->fd, SHUT_WR) && !end->connection->given_up)
			broken(end, "shutdown: %s", strerrorname_np(errno));
	}
	if (end->connection->plan.closes_first == end->side)
		has_all |= other->written && other->received == other->sent;
	if (has_all)
		close_end(end);
}

static void finish_connecting(struct end *end)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (!end->writable)
		return;
	getsockopt(end->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	end->connected = true;
	errno = error;
	if (error)
		fail_call(end, end, "connect");
}

static void take_turn(struct end *end)
{
	if (end->connection->dropped || (end->connection->given_up && end->eof))
		return close_end(end);
	if (!end->connected)
		finish_connecting(end);
	if (end->fd >= 0 && end->connected)
		change_modes(end);
	if (end->fd >= 0 && end->connected)
		read_some(end);
	if (end->fd >= 0 && end->connected)
		write_some(end);
	if (end->fd >= 0 && end->connected)
		finish(end);
}

/* What it waits for. */
static uint32_t wanted(const struct end *end)
{
	uint32_t events = 0;

	if (end->plan->habits & EDGE)
		return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	if (end->connected && !end->eof && end->thread->now_ms >= end->resume_ms)
		events |= EPOLLIN;
	if (!end->writable && (end->message_left || !end->connected))
		events |= EPOLLOUT;
	return events;
}
