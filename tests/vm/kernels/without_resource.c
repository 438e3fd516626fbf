/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command without CAP_SYS_RESOURCE: root that may not raise its limits.
 *
 *   without_resource COMMAND... */
#include <err.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int count, char **words)
{
	if (count < 2)
		errx(1, "usage: without_resource COMMAND...");
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0)) /* the bounding set: execve() gives root all that is in it */
		err(1, "Cannot drop CAP_SYS_RESOURCE");
	execv(words[1], words + 1);
	err(1, "Cannot run %s", words[1]);
}
