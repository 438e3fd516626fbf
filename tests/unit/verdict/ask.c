/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the verdict (bpf/verdict.h), compiled for this host. A line of facts is read for each answer: what holds, presses and is wished, as
 * sets in decimal; why it leaves; whether redirected bytes are unread, and whether the sender is silenced, 1 or 0. */
#include <stdio.h>

#include "../../../bpf/verdict.h"

int main(void)
{
	static const char *const actions[] = { [REDIRECT] = "redirect", [PASS] = "pass", [REFUSE] = "refuse" };
	struct facts facts = {};
	int leaves, unread, silenced;

	while (scanf("%u %u %u %d %d %d", &facts.holds, &facts.presses, &facts.wishes, &leaves, &unread, &silenced) == 6) {
		struct verdict verdict;

		facts.leaves = leaves;
		facts.unread = unread;
		facts.silenced = silenced;
		verdict = decide(&facts);
		printf("%s %d %d %d\n", actions[verdict.action], verdict.action == PASS ? (int)verdict.reason : -1, verdict.needs_edge,
		       verdict.leaves_now);
	}
	return 0;
}
