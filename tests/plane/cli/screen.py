"""Runs a program on a terminal: says what it writes and how the terminal is set, types what it is told on standard input.

A line each way: `type HEX`, `size COLUMNS ROWS`, `signal NAME` in; `wrote HEX`, `mode cooked|raw`, `ended STATUS` out.
"""
import fcntl, os, pty, select, signal, struct, sys, termios

columns, rows, *argv = sys.argv[1:]
size = lambda fd, columns, rows: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
say = lambda *words: print(*words, flush=True)
pid, fd = pty.fork()
if pid == 0:
    size(0, columns, rows)
    os.execvp(argv[0], argv)
mode = None
commands = b""
while True:
    ready, _, _ = select.select([fd, 0], [], [], 0.1)
    # The terminal's own end stays open after the program's.
    now = "cooked" if termios.tcgetattr(fd)[3] & termios.ICANON else "raw"
    if now != mode:
        say("mode", now)
        mode = now
    if fd in ready:
        try:
            say("wrote", os.read(fd, 65536).hex())
            continue
        except OSError:
            pass
    ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    if ended and os.WIFSTOPPED(status):
        say("stopped")
    elif ended:
        say("ended", os.waitstatus_to_exitcode(status))
        break
    if 0 in ready:
        more = os.read(0, 4096)
        if not more:
            os.kill(pid, signal.SIGKILL)
            continue
        commands += more
        *lines, commands = commands.split(b"\n")
        for line in lines:
            what, *words = line.decode().split()
            if what == "type":
                os.write(fd, bytes.fromhex(words[0]))
            elif what == "size":
                size(fd, *words)
            elif what == "signal":
                os.kill(pid, getattr(signal, words[0]))
