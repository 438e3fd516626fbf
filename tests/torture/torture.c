/* SPDX-License-Identifier: Apache-2.0 */
/* Many connections at once, both directions at once, between ends that read, write and wait in every way; each byte's
 * position is checked, and no direction may stand still.
 *
 *   torture [OPTION...]
 *
 * It needs nothing but a kernel, so that a shell in a virtual machine can run it:
 *
 *   gcc -std=gnu11 -O2 -static -pthread -o torture tests/torture/torture.c
 *   tests/vm/kernels/run.sh 5.10 --with torture -- /lab/torture --seconds 20 --connections 40 --seed 1
 *
 *   --seconds COUNT      how long, 10 when absent; SIGTERM ends it sooner
 *   --connections COUNT  at once, 200 when absent
 *   --threads COUNT      each with a loop of its own, 3 when absent
 *   --seed NUMBER        of all randomness: sizes, pauses, styles. One of the kernel's when absent
 *   --habits LIST        what ends may do, by name: "recv,send,level", "all,-splice"; all when absent
 *   --stall-ms COUNT     how long a direction may stand still, 2000 when absent
 *   --edges-late-ms COUNT
 *                        how much longer where the reader waits for edges, 0 when absent
 *   --harm lose|repeat|stray|hold
 *                        does this to one stream, and must find it
 *   --progress           prints the bytes verified every second
 *
 * Between SIGUSR1 and SIGUSR2 readers on edges may stand still: nobody makes the edges that mda owes them.
 *
 * The last line has the seed, the connections opened, the bytes verified and what went wrong; the exit code is 1 when
 * anything did, and each is a line of its own on standard error. */
#include "end.h"

#include <getopt.h>
#include <sys/random.h>
#include <sys/resource.h>

#define TURN_MS 10 /* a thread's loop turns at least so often */
#define TICK_MS 50
#define TICK_MAX_MS 100 /* a longer one is the machine's doing */
#define OPEN_MAX_MS 15000 /* a SYN may be dropped, and sent again after 1, 3 and 7 s */
#define END_MAX_MS 60000
#define EVENTS_MAX 256
#define LISTEN_MAX 4096

static unsigned long seconds = 10, connections_count = 200, threads_count = 3, stall_ms = 2000, edges_late_ms;
static bool prints_progress;
static struct connection *connections;
static struct thread *threads;
static volatile sig_atomic_t asked_to_stop, untended;

static void start_end(struct end *end, int fd, bool connected)
{
	const struct end_plan *plan = &end->connection->plan.ends[end->side];
	struct timeval limit = { .tv_usec = BLOCK_MS * 1000 };
	uint64_t own = mix(seed, end->connection->number * 8 + 1 + end->side);
	struct epoll_event event = { .data.ptr = end };

	end->plan = plan;
	end->reads = random_from(mix(own, 0));
	end->pauses = random_from(mix(own, 1));
	end->writes = random_from(mix(own, 2));
	end->splits = random_from(mix(own, 3));
	end->modes = random_from(mix(own, 4));
	end->watched = 0;
	end->readable = end->writable = end->hung_up = end->eof = end->awaits = end->shut = end->blocks =
		end->holds = false;
	end->connected = connected;
	end->resume_ms = end->rest_until_ms = end->messages = end->calls = 0;
	end->phase = (struct phase){};
	end->message_left = 0;
	end->pause_at = random_between(&end->pauses, 1, 300000);
	end->toggle_at = random_between(&end->modes, 1, 100);
	end->pipe[0] = -1;
	if (plan->habits & SPLICE && pipe2(end->pipe, O_NONBLOCK))
		err(1, "Cannot make a pipe");
	if (plan->no_delay)
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (plan->habits & BLOCKING && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
					setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit))))
		err(1, "Cannot set a time limit");
	if (plan->habits & BUFFERS) {
		set_option(fd, SOL_SOCKET, SO_RCVBUF, plan->buffer_bytes);
		set_option(fd, SOL_SOCKET, SO_SNDBUF, plan->buffer_bytes);
	}
	if (!(plan->habits & POLL) && epoll_ctl(end->thread->epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "Cannot watch a socket");
	end->fd = fd;
}

static void open_connection(struct connection *connection)
{
	struct end *client = &connection->ends[0];
	struct thread *server = connection->ends[1].thread;
	struct address address, own = { .length = sizeof(own.v6) };
	int fd, family;

	connection->number = connection->slot + connection->incarnation++ * connections_count;
	connection->plan = plan_connection(connection->number, connection->slot);
	for (uint64_t highest = highest_number; highest < connection->number;)
		if (atomic_compare_exchange_weak(&highest_number, &highest, connection->number))
			break;
	connection->closed_ends = 0;
	connection->given_up = connection->dropped = false;
	connection->opened_ms = now_ms();
	memset(connection->directions, 0, sizeof(connection->directions));
	connection->ends[1].plan = &connection->plan.ends[1];
	family = connection->plan.v6;
	address = loopback(family ? "6" : "4", server->ports[family]);
	fd = start_connect(&address, SOCK_NONBLOCK);
	if (getsockname(fd, &own.any, &own.length))
		err(1, "Cannot read a socket's address");
	connection->state = OPENING;
	client->thread->connections_opened++;
	start_end(client, fd, false);
	server->clients_at[family][ntohs(family ? own.v6.sin6_port : own.v4.sin_port)] = connection->slot + 1;
}

/* False when its client has not told its port yet. */
static bool find_client(struct thread *thread, int fd, int family, uint16_t port)
{
	uint32_t slot = atomic_exchange(&thread->clients_at[family][port], 0);
	struct connection *connection;

	if (!slot)
		return false;
	connection = &connections[slot - 1];
	start_end(&connection->ends[1], fd, true);
	connection->ends[1].writable = true;
	connection->state = OPEN;
	return true;
}

static void accept_all(struct thread *thread, int family)
{
	struct address peer;
	int fd;

	for (;;) {
		peer.length = sizeof(peer.v6);
		fd = accept4(thread->listeners[family], &peer.any, &peer.length, SOCK_NONBLOCK);
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0)
			err(1, "Cannot accept");
		if (thread->accepted_count == sizeof(thread->accepted) / sizeof(thread->accepted[0]))
			errx(1, "Cannot tell whose the accepted sockets are");
		thread->moved = true;
		thread->accepted[thread->accepted_count].fd = fd;
		thread->accepted[thread->accepted_count].family = family;
		thread->accepted[thread->accepted_count++].port =
			ntohs(family ? peer.v6.sin6_port : peer.v4.sin_port);
	}
}

static void find_clients(struct thread *thread)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < thread->accepted_count; i++)
		if (!find_client(thread, thread->accepted[i].fd, thread->accepted[i].family, thread->accepted[i].port))
			thread->accepted[kept++] = thread->accepted[i];
	thread->accepted_count = kept;
}

static void happened(struct end *end, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		end->writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->hung_up = true;
}

/* EPOLLIN and POLLIN are the same numbers, and so are the others. */
static void wait_for_events(struct thread *thread, struct pollfd *list, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	nfds_t count = 0;
	int ready;

	list[count++] = (struct pollfd){ .fd = thread->epoll, .events = POLLIN };
	for (int family = 0; family < 2; family++)
		list[count++] = (struct pollfd){ .fd = thread->listeners[family], .events = POLLIN };
	for (uint32_t i = 0; i < thread->ends_count; i++) {
		struct end *end = thread->ends[i];
		struct epoll_event event = { .data.ptr = end };

		if (end->fd < 0)
			continue;
		event.events = wanted(end);
		end->polled = 0;
		if (end->plan->habits & POLL) {
			end->polled = count;
			list[count++] = (struct pollfd){ .fd = end->fd, .events = event.events };
		} else if (event.events != end->watched) {
			end->watched = event.events;
			if (epoll_ctl(thread->epoll, EPOLL_CTL_MOD, end->fd, &event))
				err(1, "Cannot watch a socket");
		}
	}
	if (poll(list, count, timeout_ms) < 0 && errno != EINTR)
		err(1, "poll");
	for (uint32_t i = 0; i < thread->ends_count; i++)
		if (thread->ends[i]->fd >= 0 && thread->ends[i]->polled)
			happened(thread->ends[i], list[thread->ends[i]->polled].revents);
	do {
		ready = epoll_wait(thread->epoll, events, EVENTS_MAX, 0);
		for (int i = 0; i < ready; i++)
			happened(events[i].data.ptr, events[i].events);
		/* Levels are told again and again, edges once. */
	} while (ready == EVENTS_MAX && !(allowed & (LEVEL | POLL)));
	for (int family = 0; family < 2; family++)
		if (list[1 + family].revents)
			accept_all(thread, family);
}

/* A client's end that is closed is opened again, until the run ends. */
static bool is_over(struct thread *thread)
{
	bool over = stopping;

	for (uint32_t i = 0; i < thread->ends_count; i++) {
		struct end *end = thread->ends[i];

		if (end->connection->state != CLOSED)
			over = false;
		else if (!end->side && !stopping) {
			open_connection(end->connection);
			thread->moved = true;
		}
	}
	return over;
}

static void *turn(void *argument)
{
	struct thread *thread = argument;
	struct pollfd *list = calloc(thread->ends_count + 3, sizeof(*list));

	while (!is_over(thread)) {
		wait_for_events(thread, list, thread->moved ? 0 : TURN_MS / 5);
		thread->turns++;
		thread->now_ms = now_ms();
		thread->moved = thread->has_blocked = false;
		find_clients(thread);
		for (uint32_t i = 0; i < thread->ends_count; i++) {
			struct end *end = thread->ends[i];

			if (end->fd < 0)
				continue;
			take_turn(end);
			if (!(end->plan->habits & EDGE))
				end->readable = false;
		}
	}
	free(list);
	return NULL;
}

/* Whether something is to move in a direction. */
static bool is_due(const struct connection *connection, int side)
{
	const struct direction *direction = &connection->directions[side];
	const struct end *writer = &connection->ends[side], *reader = &connection->ends[!side];
	int64_t in_flight = direction->sent - direction->received;

	if (!direction->reader_wants || direction->ended || connection->given_up)
		return false;
	if (untended && reader->plan->habits & EDGE)
		return false;
	if (in_flight > 0)
		return in_flight >= direction->lowat || direction->awaited || direction->written;
	return direction->writer_wants || writer->shut || writer->fd < 0;
}

/* What TCP waits for, and how full the reader's buffer is. */
static void describe_sockets(int writer, int reader, char *text, size_t size)
{
	uint32_t memory[16] = {}; /* SK_MEMINFO_RMEM_ALLOC, SK_MEMINFO_RCVBUF, ... */
	/* The kernel's struct tcp_info goes on where libc's ends. */
	union {
		struct tcp_info known;
		struct {
			uint8_t before_pacing_rate[104];
			uint64_t pacing_rate;
			uint8_t before_window[116];
			uint32_t window;
		};
	} all = {};
	const struct tcp_info *info = &all.known;
	socklen_t info_size = sizeof(all), memory_size = sizeof(memory), lowat_size = sizeof(int);
	int lowat = 0;

	getsockopt(writer, IPPROTO_TCP, TCP_INFO, &all, &info_size);
	getsockopt(reader, SOL_SOCKET, SO_MEMINFO, memory, &memory_size);
	getsockopt(reader, SOL_SOCKET, SO_RCVLOWAT, &lowat, &lowat_size);
	snprintf(text, size,
		 "the writer has %u segments unacknowledged, %u retransmits, %u probes, backoff %u, RTO %u ms, sent %u ms "
		 "and was answered %u ms ago, may send %u at once and %llu bytes/s, and has a window of %u bytes; the reader has %u of %u bytes of its buffer in use, its SO_RCVLOWAT is %d",
		 info->tcpi_unacked, info->tcpi_retransmits, info->tcpi_probes, info->tcpi_backoff, info->tcpi_rto / 1000,
		 info->tcpi_last_data_sent, info->tcpi_last_ack_recv, info->tcpi_snd_cwnd, (unsigned long long)all.pacing_rate, all.window, memory[0], memory[1], lowat);
}

/* Where the bytes are: what the kernel says of both sockets. */
static void report_stall(struct connection *connection, int side)
{
	char sockets[400];
	struct direction *direction = &connection->directions[side];
	struct end *writer = &connection->ends[side], *reader = &connection->ends[!side];
	int unread = -1, unsent = -1, reader_fd = reader->fd, writer_fd = writer->fd;
	struct pollfd now[] = { { .fd = reader_fd, .events = POLLIN | POLLRDHUP },
				{ .fd = writer_fd, .events = POLLOUT } };
	static uint8_t bytes[READ_MAX];
	ssize_t peeked;

	poll(now, 2, 0);
	ioctl(reader_fd, SIOCINQ, &unread);
	ioctl(writer_fd, SIOCOUTQ, &unsent);
	peeked = recv(reader_fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	describe_sockets(writer_fd, reader_fd, sockets, sizeof(sockets));
	stalled(writer,
		"nothing moved for %u ms of the threads' time; %s%s%s%s; poll says %#x to the reader and %#x to the writer, "
		"SIOCINQ %d, SIOCOUTQ %d, MSG_PEEK %zd bytes of which %zu are the next; %s",
		direction->still_ms, direction->writer_wants ? "the writer wants to write" : "the writer waits",
		direction->awaited ? " until all is read" : "", direction->written ? ", has written all" : "",
		writer->shut ? ", has shut down" : "", now[0].revents, now[1].revents, unread, unsent, peeked,
		peeked > 0 ? count_right(bytes, peeked, stream_of(writer), direction->received) : 0, sockets);
	connection->given_up = connection->dropped = true;
}

static void watch_directions(struct connection *connection, uint32_t elapsed_ms)
{
	for (int side = 0; side < 2; side++) {
		struct direction *direction = &connection->directions[side];
		const struct end *reader = &connection->ends[!side];

		if (direction->sent != direction->seen_sent || direction->received != direction->seen_received ||
		    !is_due(connection, side)) {
			direction->seen_sent = direction->sent;
			direction->seen_received = direction->received;
			direction->still_ms = 0;
		} else {
			direction->still_ms += elapsed_ms;
			if (direction->still_ms >= stall_ms + (reader->plan->habits & EDGE ? edges_late_ms : 0))
				return report_stall(connection, side);
		}
	}
}

/* Only time in which the threads of both ends have turned counts: a machine that is busy with others is no stall. */
static void watch(uint64_t *turns, uint32_t elapsed_ms)
{
	bool turned[threads_count];

	for (unsigned long i = 0; i < threads_count; i++) {
		uint64_t now = threads[i].turns;

		/* The second has begun after the first tick, and so has seen what was there. */
		turned[i] = now >= turns[i] + 2;
		turns[i] = now;
	}
	for (unsigned long i = 0; i < connections_count; i++) {
		struct connection *connection = &connections[i];
		enum state state = connection->state;

		if (state == CLOSED || connection->dropped)
			continue;
		if (state == OPENING && now_ms() - connection->opened_ms > OPEN_MAX_MS) {
			broken(&connection->ends[0], "not accepted after %d ms", OPEN_MAX_MS);
			errx(1, "Cannot go on without it");
		}
		if (state == OPEN && turned[connection->ends[0].thread - threads] &&
		    turned[connection->ends[1].thread - threads])
			watch_directions(connection, elapsed_ms);
	}
}

static uint64_t verified(void)
{
	uint64_t bytes = 0;

	for (unsigned long i = 0; i < threads_count; i++)
		bytes += threads[i].bytes_verified;
	return bytes;
}

static bool all_closed(void)
{
	for (unsigned long i = 0; i < connections_count; i++)
		if (connections[i].state != CLOSED)
			return false;
	return true;
}

static void supervise(void)
{
	uint64_t turns[threads_count], begin_ms = now_ms(), last_ms = begin_ms, progress_ms = begin_ms, stop_ms = 0;

	memset(turns, 0, sizeof(turns));
	while (!stopping || !all_closed()) {
		uint64_t now;

		sleep_us(TICK_MS * 1000);
		now = now_ms();
		watch(turns, now - last_ms < TICK_MAX_MS ? now - last_ms : TICK_MAX_MS);
		last_ms = now;
		if (!stopping && (asked_to_stop || now - begin_ms >= seconds * 1000)) {
			stop_ms = now;
			stopping = true;
		}
		if (stopping && now - stop_ms > END_MAX_MS)
			errx(1, "Cannot end: connections are still open after %d ms", END_MAX_MS);
		if (prints_progress && now - progress_ms >= 1000) {
			progress_ms = now;
			printf("%llu bytes\n", (unsigned long long)verified());
			fflush(stdout);
		}
	}
}

static void signalled(int signal)
{
	if (signal == SIGTERM || signal == SIGINT)
		asked_to_stop = 1;
	else
		untended = signal == SIGUSR1;
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		err(1, "Cannot read RLIMIT_NOFILE");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "Cannot raise RLIMIT_NOFILE");
}

static void prepare(void)
{
	unsigned long event_driven = threads_count;

	connections = calloc(connections_count, sizeof(*connections));
	if (allowed & BLOCKING)
		threads_count += 2;
	threads = calloc(threads_count, sizeof(*threads));
	for (unsigned long i = 0; i < threads_count; i++) {
		struct thread *thread = &threads[i];

		thread->epoll = epoll_create1(0);
		thread->ends = calloc(2 * connections_count, sizeof(*thread->ends));
		for (int family = 0; family < 2; family++) {
			struct address address = loopback(family ? "6" : "4", 0);

			thread->clients_at[family] = calloc(65536, sizeof(uint32_t));
			thread->listeners[family] = listener(&address, SOCK_NONBLOCK);
			listen(thread->listeners[family], LISTEN_MAX);
			thread->ports[family] = ntohs(family ? address.v6.sin6_port : address.v4.sin_port);
		}
	}
	for (unsigned long i = 0; i < connections_count; i++) {
		struct random random = random_from(mix(seed, ~i));

		connections[i].slot = i;
		for (int side = 0; side < 2; side++) {
			struct end *end = &connections[i].ends[side];

			end->connection = &connections[i];
			end->side = side;
			end->fd = -1;
			end->thread = &threads[random_between(&random, 0, event_driven - 1)];
			if (may_block(i))
				end->thread = &threads[event_driven + side];
			end->thread->ends[end->thread->ends_count++] = end;
		}
	}
}

static enum harm harm_named(const char *name)
{
	static const char *const names[] = { [LOSE] = "lose", [REPEAT] = "repeat", [STRAY] = "stray", [HOLD] = "hold" };

	for (enum harm kind = LOSE; kind <= HOLD; kind++)
		if (!strcmp(name, names[kind]))
			return kind;
	errx(2, "Cannot do %s as harm: lose, repeat, stray or hold", name);
}

static void read_options(int count, char **arguments)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "connections", required_argument, NULL, 'c' },
		{ "threads", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 'r' },
		{ "habits", required_argument, NULL, 'h' },
		{ "stall-ms", required_argument, NULL, 'm' },
		{ "edges-late-ms", required_argument, NULL, 'e' },
		{ "harm", required_argument, NULL, 'w' },
		{ "progress", no_argument, NULL, 'p' },
		{},
	};
	char everything[] = "all";
	int option;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		err(1, "Cannot get a seed");
	seed %= 1000000000;
	allowed = habits_named(everything);
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seconds = number(optarg, "--seconds");
			break;
		case 'c':
			connections_count = number(optarg, "--connections");
			break;
		case 't':
			threads_count = number(optarg, "--threads");
			break;
		case 'r':
			seed = number(optarg, "--seed");
			break;
		case 'h':
			allowed = habits_named(optarg);
			break;
		case 'm':
			stall_ms = number(optarg, "--stall-ms");
			break;
		case 'e':
			edges_late_ms = number(optarg, "--edges-late-ms");
			break;
		case 'w':
			harm = harm_named(optarg);
			break;
		case 'p':
			prints_progress = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind < count || !connections_count || !threads_count || threads_count > 64)
		errx(2, "Cannot use these arguments: see the top of torture.c");
}

int main(int count, char **arguments)
{
	uint64_t opened = 0, cut_short = 0;
	char names[256];

	read_options(count, arguments);
	bytes_key = mix(seed, 0);
	printf("seed %llu, habits %s\n", (unsigned long long)seed, habit_names(allowed, names, sizeof(names)));
	limit_seconds(2 * seconds + 180);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 4; i++)
		sigaction((int[]){ SIGTERM, SIGINT, SIGUSR1, SIGUSR2 }[i],
			  &(struct sigaction){ .sa_handler = signalled, .sa_flags = SA_RESTART }, NULL);
	allow_descriptors();
	prepare();
	printf("ports");
	for (unsigned long i = 0; i < 2 * threads_count; i++)
		printf(" %d", threads[i / 2].ports[i % 2]);
	printf("\n");
	fflush(stdout);
	for (unsigned long i = 0; i < threads_count; i++)
		start_thread(&threads[i].id, turn, &threads[i]);
	supervise();
	for (unsigned long i = 0; i < threads_count; i++) {
		pthread_join(threads[i].id, NULL);
		opened += threads[i].connections_opened;
		cut_short += threads[i].blocks_cut_short;
	}
	if (cut_short)
		printf("%llu reads in blocking mode ended early with EAGAIN\n", (unsigned long long)cut_short);
	printf("seed %llu: %llu connections opened, %llu bytes verified, %llu wrong, %llu stalled, %llu broken\n",
	       (unsigned long long)seed, (unsigned long long)opened, (unsigned long long)verified(),
	       (unsigned long long)failures.wrong, (unsigned long long)failures.stalled,
	       (unsigned long long)failures.broken);
	return failures.wrong || failures.stalled || failures.broken ? 1 : 0;
}
