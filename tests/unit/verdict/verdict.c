/* SPDX-License-Identifier: Apache-2.0 */
/* Tries every combination of facts on the verdict (bpf/verdict.h), compiled for this host, and prints what it has seen: a line for each
 * promise that was broken, with the facts, then the reasons and actions that came. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../bpf/verdict.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define PRINTED_MAX 20

#define NAME_OF_PASS(NAME, urgency, lasts, words, remedy) #NAME,
#define NAME_OF_LEAVE(NAME, words, remedy) #NAME,
static const char *const passes[] = { PASSES(NAME_OF_PASS) };
static const char *const departures[] = { "STAY", DEPARTURES(NAME_OF_LEAVE) };
static const char *const handovers[] = { "no handover", "handover passes", "handover redirects", "handover refuses" };

#define URGENCY_OF(NAME, urgency, lasts, words, remedy) urgency,
static const enum urgency urgencies[] = { PASSES(URGENCY_OF) };

/* What the facts say of reasons to pass. LEAVING and UNKNOWN follow from `leaves` and `wishes`, PEER_LEFT from the redirection. */
static const enum pass facts_hold[] = {
	PASSED_UNPAIRED,
	PASSED_SPECIAL,
	PASSED_STOPPING,
	PASSED_MEMORY,
	PASSED_CLOSING,
	PASSED_BLOCKING,
	PASSED_SILENT_CLIENT,
	PASSED_UNTENDED,
	PASSED_PROTOCOL,
	PASSED_LOWAT,
	PASSED_OPTION,
	PASSED_PACED,
	PASSED_UNREAD,
	PASSED_REFRESH,
	PASSED_ACKNOWLEDGING,
	PASSED_FULL,
};
static const enum pass may_press[] = { PASSED_MEMORY, PASSED_CLOSING, PASSED_REFRESH };
static const enum leave may_wish[] = {
	LEAVE_UNPAIRED,
	LEAVE_WITH_PEER,
	LEAVE_BY_HABIT,
	LEAVE_UNKNOWN,
	LEAVE_BLOCKING,
	LEAVE_BULK,
	LEAVE_WITHOUT_MEMORY,
};
/* The verdict may not depend on which other one it is. */
static const enum leave leaves_tried[] = { STAY, LEAVE_UNKNOWN, LEAVE_BULK };

struct seen {
	uint64_t combinations, broken, actions[REFUSE + 1], reasons[PASSES_END], left[LEAVE_END];
};

static void print_set(__u32 set, const char *const names[])
{
	for (int bit = 0; bit < 32; bit++)
		if (set & SET_OF(bit))
			printf(" %s", names[bit]);
}

static void broken(struct seen *seen, const char *promise, const struct facts *facts)
{
	if (seen->broken++ >= PRINTED_MAX)
		return;
	printf("broken: %s; holds", promise);
	print_set(facts->holds, passes);
	printf("; presses");
	print_set(facts->presses, passes);
	printf("; wishes");
	print_set(facts->wishes, departures);
	printf("; leaves %s, %s%s%s\n", departures[facts->leaves], handovers[facts->handover], facts->unread ? ", unread" : "",
	       facts->silenced ? ", silenced" : "");
}

static __u32 those_of(enum urgency urgency)
{
	__u32 set = 0;

	for (unsigned int pass = 0; pass < LENGTH(urgencies); pass++)
		if (urgencies[pass] == urgency)
			set |= SET_OF(pass);
	return set;
}

static void try(struct seen *seen, const struct facts *facts)
{
	struct verdict verdict = decide(facts);
	bool waits = facts->unread && !facts->silenced;
	bool leaves = facts->leaves || facts->wishes;

	seen->combinations++;
	seen->actions[verdict.action]++;
	if (verdict.action == PASS)
		seen->reasons[verdict.reason]++;
	seen->left[verdict.leave]++;

	if (verdict.leave != STAY && (facts->leaves || !(facts->wishes & SET_OF(verdict.leave))))
		broken(seen, "a socket leaves once, for a reason that it has", facts);
	if (facts->wishes && !facts->leaves && verdict.leave == STAY)
		broken(seen, "who has a reason to leave says so", facts);
	if (facts->holds & SET_OF(PASSED_UNPAIRED)) {
		if (verdict.action != PASS || verdict.reason != PASSED_UNPAIRED)
			broken(seen, "without a peer everything passes", facts);
		return;
	}
	if (verdict.action == REFUSE && facts->handover != HANDOVER_REFUSE)
		broken(seen, "only what a handover cannot move is refused", facts);
	if (facts->handover != HANDOVER_NONE)
		return; /* what it says is done, and it has looked at the queues */
	if (verdict.action == PASS && facts->unread && !verdict.needs_edge && verdict.reason != PASSED_UNREAD)
		broken(seen, "what passes over unread redirected bytes is followed by an edge", facts);
	if (verdict.action == REDIRECT) {
		if (facts->holds & SET_OF(PASSED_UNREAD))
			broken(seen, "nothing is redirected while TCP bytes are unread", facts);
		if (facts->holds & (those_of(AT_ONCE) | those_of(NEVER_BEGUN) | facts->presses))
			broken(seen, "what cannot be served is not redirected to", facts);
		if (!waits && (facts->holds || leaves))
			broken(seen, "what can wait until the reader has read does not wait longer", facts);
		return;
	}
	if (!facts->holds && !leaves)
		broken(seen, "what has no reason to pass is redirected", facts);
	if (verdict.leaves_now && !leaves)
		broken(seen, "only who leaves says its last", facts);
	if (!(facts->holds & SET_OF(verdict.reason)) && !verdict.leaves_now)
		broken(seen, "the reason holds", facts);
	if (waits && urgencies[verdict.reason] == WHEN_READ && !(facts->presses & SET_OF(verdict.reason)))
		broken(seen, "what can wait until the reader has read waits", facts);
}

static __u32 chosen(unsigned int which, const void *from, unsigned int length)
{
	const int *values = from; /* an enum's */
	__u32 set = 0;

	for (unsigned int i = 0; i < length; i++)
		if (which & SET_OF(i))
			set |= SET_OF(values[i]);
	return set;
}

static void try_all_with(struct seen *seen, struct facts *facts)
{
	for (unsigned int press = 0; press < SET_OF(LENGTH(may_press)); press++) {
		facts->presses = chosen(press, may_press, LENGTH(may_press));
		if (facts->presses & ~facts->holds)
			continue;
		for (unsigned int wish = 0; wish < SET_OF(LENGTH(may_wish)); wish++) {
			facts->wishes = chosen(wish, may_wish, LENGTH(may_wish));
			for (unsigned int leave = 0; leave < LENGTH(leaves_tried); leave++) {
				facts->leaves = leaves_tried[leave];
				for (int rest = 0; rest < 16; rest++) {
					facts->unread = rest & 1;
					facts->silenced = rest & 2;
					facts->handover = rest >> 2;
					try(seen, facts);
				}
			}
		}
	}
}

/* Each n-th combination of what holds; or one in so many of these, and all of at most two. */
static void try_share(struct seen *seen, unsigned int first, unsigned int step, unsigned int part)
{
	struct facts facts = {};

	for (unsigned int hold = first; hold < SET_OF(LENGTH(facts_hold)); hold += step) {
		if (hold % part && __builtin_popcount(hold) > 2)
			continue;
		facts.holds = chosen(hold, facts_hold, LENGTH(facts_hold));
		try_all_with(seen, &facts);
	}
	fflush(stdout);
}

static void add(struct seen *sum, const struct seen *seen)
{
	const uint64_t *from = (const void *)seen;
	uint64_t *to = (void *)sum;

	for (unsigned int i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

/* With a number: only one in so many combinations of reasons that hold, and all of at most two. */
int main(int argc, char **argv)
{
	unsigned int processes = sysconf(_SC_NPROCESSORS_ONLN), part = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	struct seen sum = {}, seen = {};
	int pipes[2];

	if (pipe(pipes))
		return 2;
	for (unsigned int i = 0; i < processes; i++) {
		if (fork() == 0) {
			try_share(&seen, i, processes, part);
			exit(write(pipes[1], &seen, sizeof(seen)) != sizeof(seen));
		}
	}
	for (unsigned int i = 0; i < processes; i++) {
		int status;

		if (read(pipes[0], &seen, sizeof(seen)) != sizeof(seen) || wait(&status) < 0 || status)
			return 2;
		add(&sum, &seen);
	}
	printf("combinations %llu\nbroken %llu\n", (unsigned long long)sum.combinations, (unsigned long long)sum.broken);
	printf("redirect %llu\npass %llu\nrefuse %llu\n", (unsigned long long)sum.actions[REDIRECT],
	       (unsigned long long)sum.actions[PASS], (unsigned long long)sum.actions[REFUSE]);
	for (int pass = 0; pass < PASSES_END; pass++)
		printf("reason %s %llu\n", passes[pass], (unsigned long long)sum.reasons[pass]);
	for (int leave = 0; leave < LEAVE_END; leave++)
		printf("leave %s %llu\n", departures[leave], (unsigned long long)sum.left[leave]);
	return sum.broken != 0;
}
