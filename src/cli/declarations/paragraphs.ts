/** What the help of more than one command says. */

export const aboutStates = `\
STATE is redirected (messages skip TCP), passed (the last message went by TCP,
the next may not), idle (nothing was sent yet), leaving or left (going back, or
gone back, to TCP), refused (on TCP from the start) or outside (mda has not
decided about it, most often because an end is outside of its cgroup).`;

export const aboutSockets = `\
With --sockets all, sockets in blocking mode are accelerated too. A blocking
read may then fail with EAGAIN, and MSG_WAITALL return less than was asked for:
only for programs that are known to expect both.`;

export const aboutUnknown = `\
How programs take what they are sent, with recv(2) or in ways that only TCP can
serve as splice(2), is learnt from their first connections, which stay on TCP
until it is known. --unknown strict leaves programs that have splice(2) in their
code to TCP for good, --unknown fast accelerates the first ones too.`;
