/* SPDX-License-Identifier: Apache-2.0 */
/* What the two ends of a connection do: all of it follows from the seed and the connection's number. */
#pragma once

#include "bytes.h"

#define MESSAGE_MAX (256u << 10)
#define READ_MAX (256u << 10)

enum {
	/* How an end waits. */
	LEVEL = 1 << 0,
	EDGE = 1 << 1, /* and takes a short read for the last, as tokio and nginx do */
	POLL = 1 << 2,
	/* How it reads. */
	RECV = 1 << 3,
	READV = 1 << 4,
	RECVMSG = 1 << 5,
	PEEK = 1 << 6, /* MSG_PEEK, then recv */
	SPLICE = 1 << 7, /* through a pipe */
	/* How it writes. */
	SEND = 1 << 8,
	WRITEV = 1 << 9,
	MORE = 1 << 10, /* sendmsg with MSG_MORE */
	/* What else it does. */
	LOWAT = 1 << 11, /* sets SO_RCVLOWAT, and back */
	BLOCKING = 1 << 12, /* switches to blocking mode, and back */
	HALF_CLOSE = 1 << 13, /* shuts its side down when it has sent everything, and reads on */
	ABORT = 1 << 14, /* closes in the middle */
	SHORT_LIVED = 1 << 15, /* some connections are opened anew all the time */
	PAUSES = 1 << 16, /* stops reading for a while */
	BULK = 1 << 17, /* has phases of large messages */
	BUFFERS = 1 << 18, /* sets SO_RCVBUF and SO_SNDBUF */
};

#define WAITS (LEVEL | EDGE | POLL)
#define READS (RECV | READV | RECVMSG | PEEK | SPLICE)
#define WRITES (SEND | WRITEV | MORE)

static const struct {
	const char *name;
	uint32_t habit;
} habits[] = {
	{ "level", LEVEL },
	{ "edge", EDGE },
	{ "poll", POLL },
	{ "recv", RECV },
	{ "readv", READV },
	{ "recvmsg", RECVMSG },
	{ "peek", PEEK },
	{ "splice", SPLICE },
	{ "send", SEND },
	{ "writev", WRITEV },
	{ "more", MORE },
	{ "lowat", LOWAT },
	{ "blocking", BLOCKING },
	{ "half-close", HALF_CLOSE },
	{ "abort", ABORT },
	{ "short-lived", SHORT_LIVED },
	{ "pauses", PAUSES },
	{ "bulk", BULK },
	{ "buffers", BUFFERS },
};

#define HABITS (sizeof(habits) / sizeof(habits[0]))

/* `all` or names, and with a minus what is left out: "recv,send,level", "all,-splice". */
static inline uint32_t habits_named(char *list)
{
	uint32_t chosen = 0;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		bool without = *name == '-';
		uint32_t named = 0;

		for (size_t i = 0; i < HABITS; i++)
			if (!strcmp(name + without, habits[i].name) || !strcmp(name + without, "all"))
				named |= habits[i].habit;
		if (!named)
			errx(2, "Cannot use %s as a habit: not one of them", name + without);
		chosen = without ? chosen & ~named : chosen | named;
	}
	if (!(chosen & WAITS) || !(chosen & READS) || !(chosen & WRITES))
		errx(2, "Cannot use these habits: a way to wait, one to read and one to write are needed");
	return chosen;
}

static inline const char *habit_names(uint32_t chosen, char *text, size_t size)
{
	size_t length = 0;

	*text = 0;
	for (size_t i = 0; i < HABITS && length < size; i++)
		if (chosen & habits[i].habit)
			length += snprintf(text + length, size - length, "%s%s", length ? "," : "", habits[i].name);
	return text;
}

static inline bool one_in(struct random *random, unsigned int count)
{
	return random_between(random, 1, count) == 1;
}

/* One bit of a set. */
static inline uint32_t one_of(struct random *random, uint32_t set)
{
	int skip = random_between(random, 0, __builtin_popcount(set) - 1);

	while (skip--)
		set &= set - 1;
	return set & -set;
}

/* A part of a set, not empty: mostly one bit. */
static inline uint32_t some_of(struct random *random, uint32_t set)
{
	uint32_t some = one_of(random, set);

	return one_in(random, 3) ? some | one_of(random, set) | one_of(random, set) : some;
}

/* What a run allows, from the command line. */
static uint32_t allowed;
static uint64_t seed;

struct end_plan {
	uint32_t habits; /* one of WAITS, some of READS and WRITES */
	bool greedy; /* reads until nothing is left, where it waits for levels */
	bool no_delay;
	uint32_t read_max, lowat, buffer_bytes;
	uint64_t messages; /* to send; UINT64_MAX: until the run ends */
	uint64_t abort_after; /* so many messages */
};

struct plan {
	bool v6;
	int closes_first; /* the end that need not see the other's close */
	struct end_plan ends[2];
};

static inline struct end_plan plan_end(struct random *random, uint64_t least, uint64_t most, bool may_block)
{
	static const uint32_t read_maxima[] = { 200, 1000, 4096, 16384, 65536, 65536, READ_MAX };
	struct end_plan plan = {
		.habits = one_of(random, allowed & WAITS) | some_of(random, allowed & READS & ~SPLICE ?: SPLICE) |
			  some_of(random, allowed & WRITES),
		.greedy = one_in(random, 2),
		.no_delay = !one_in(random, 4),
		.read_max = read_maxima[random_between(random, 0, 6)],
		.messages = most ? random_between(random, least, most) : UINT64_MAX,
		.abort_after = UINT64_MAX,
	};
	bool splices = one_in(random, 3), lowat = one_in(random, 5), blocks = one_in(random, 2);
	bool half_closes = one_in(random, 3), aborts = one_in(random, 6), buffers = one_in(random, 4);
	uint32_t lowat_bytes = random_between(random, 2, 4096);
	/* TCP itself stands still for seconds where a buffer holds less than loopback's segment of 64 KiB. */
	uint32_t buffer_bytes = random_between(random, 96 << 10, 208 << 10);
	uint64_t abort_after = random_between(random, 0, most ? most : 1);

	/* Drawn whether they are allowed or not: without one habit the others stay what they were. */
	if (allowed & SPLICE && splices)
		plan.habits |= SPLICE;
	if (allowed & LOWAT && lowat) {
		plan.habits |= LOWAT;
		plan.lowat = lowat_bytes;
	}
	if (may_block && blocks)
		plan.habits |= BLOCKING;
	if (allowed & HALF_CLOSE && half_closes)
		plan.habits |= HALF_CLOSE;
	if (allowed & ABORT && aborts && most) {
		plan.habits |= ABORT;
		plan.abort_after = abort_after;
	}
	if (allowed & BUFFERS && buffers) {
		plan.habits |= BUFFERS;
		plan.buffer_bytes = buffer_bytes;
	}
	plan.habits |= allowed & (PAUSES | BULK);
	return plan;
}

/* Whether a slot's connections switch to blocking mode: such ends have threads of their own, since others would wait. */
static inline bool may_block(uint32_t slot)
{
	return allowed & BLOCKING && slot % 8 == 5;
}

/* The slot decides how long its connections live: a third is short-lived, a third lasts until the run ends. */
static inline struct plan plan_connection(uint64_t number, uint32_t slot)
{
	struct random random = random_from(mix(seed, number * 8));
	uint64_t least = 30, most = 2000;
	struct plan plan = { .v6 = one_in(&random, 2), .closes_first = random_between(&random, 0, 1) };

	if (slot % 3 == 0 && allowed & SHORT_LIVED)
		least = 0, most = 20;
	else if (slot % 3 == 1)
		least = most = 0;
	for (int end = 0; end < 2; end++)
		plan.ends[end] = plan_end(&random, least, most, may_block(slot));
	/* Megabytes, read by the dozen, take minutes. */
	for (int end = 0; end < 2; end++)
		if (plan.ends[!end].read_max < 4096)
			plan.ends[end].habits &= ~BULK;
	return plan;
}

/* What writes alike for some messages. */
enum pace {
	AT_ONCE, /* one message after the other */
	ASKS, /* waits until all is read, as one does that waits for an answer */
	RESTS,
	PACES,
};

struct phase {
	enum pace pace;
	uint32_t messages, size_max, size_min;
};

static inline struct phase next_phase(struct random *random, bool bulk)
{
	struct phase phase = { .pace = random_between(random, 0, PACES - 1), .size_min = 1 };
	uint64_t size = random_between(random, 1, 100);

	phase.messages = random_between(random, 1, 60);
	if (size <= 35) {
		phase.size_max = 64;
	} else if (size <= 75 || !bulk) {
		phase.size_max = 2000;
	} else if (size <= 95) {
		phase.size_max = 16 << 10;
	} else {
		phase.size_min = 32 << 10;
		phase.size_max = MESSAGE_MAX;
		phase.messages = random_between(random, 1, 40);
	}
	return phase;
}

/* Most are too short for anyone to fall behind, a few long enough for any buffer to fill. */
static inline uint32_t pause_ms(struct random *random)
{
	switch (random_between(random, 0, 7)) {
	case 0:
		return random_between(random, 20, 400);
	case 1:
	case 2:
		return random_between(random, 5, 50);
	default:
		return random_between(random, 0, 5);
	}
}
