# SPDX-License-Identifier: Apache-2.0
"""Connections that are busy for a while and then end, each in a way of its own.

nat_state.py serve PORT COUNT        serves so many of them, on all addresses
nat_state.py connect SECONDS JSON    opens those of a list: name, address, port, pattern, ending, and options to set
nat_state.py forget                  makes conntrack forget every IPv4 connection of this network namespace

Each end prints what it has received and how that ended, as `NAME SIDE: ...`; and what TCP_INFO said meanwhile, as `tcp_info JSON`.
A program that is to be killed does it itself once its connections are quiet."""
import asyncio, hashlib, json, os, signal, socket, struct, sys, time

SIZE, PERIOD = 100, 0.04
BURST, IDLE = 25, 8  # messages, seconds
BULK = 300_000
WAIT = 20  # longer than anything is silent
REAP = 5  # seconds


class Silence(Exception):
    pass


class End:
    def __init__(self, side, reader, writer, plan):
        self.name, self.side, self.plan = plan["name"], side, plan
        self.reader, self.writer = reader, writer
        self.count, self.digest = 0, hashlib.sha256()
        self.idle, self.still, self.reaped = 0, 0, False

    async def wait(self, what):
        try:
            async with asyncio.timeout(WAIT) as limit:
                return await what
        except TimeoutError:
            if limit.expired():
                raise Silence() from None
            raise

    def took(self, data):
        self.count += len(data)
        self.digest.update(data)

    async def take(self, size):
        try:
            data = await self.wait(self.reader.readexactly(size))
        except asyncio.IncompleteReadError as error:
            self.took(error.partial)
            raise
        self.took(data)
        return data

    async def take_all(self):
        while data := await self.wait(self.reader.read(65536)):
            self.took(data)

    async def give(self, data):
        self.writer.write(data)
        await self.wait(self.writer.drain())

    async def give_messages(self, answered=False):
        begun, messages, pauses = time.monotonic(), self.plan["messages"], 0
        for index in range(messages):
            if self.plan["pattern"] == "bursts" and index and index % BURST == 0:
                pauses += IDLE
            await asyncio.sleep(begun + pauses + index * PERIOD - time.monotonic())
            message = f"{self.name} {self.side} {index} ".encode().ljust(SIZE, b".")
            await self.give(message)
            if answered:
                await self.take(SIZE)

    async def be_busy(self):
        giver = "server" if self.plan["pattern"] == "down" else "client"
        answered = self.plan["pattern"] in ("requests", "bursts")
        if self.side == giver:
            await self.give_messages(answered)
            return
        for _ in range(self.plan["messages"]):
            message = await self.take(SIZE)
            if answered:
                await self.give(message)

    async def end(self, quiet):
        ending = self.plan["ending"]
        if ending == f"{self.side}_killed":
            await quiet(self)
        elif ending == f"{self.side}_closes":
            return
        elif ending == "half_close" and self.side == "client":
            self.writer.write_eof()
        elif ending == "bulk":
            await asyncio.gather(self.give(bytes(BULK)), self.take(BULK))
            if self.side == "client":
                return
        await self.take_all()
        if ending == "half_close" and self.side == "server":
            await self.give(b"last words" * 500)

    async def watch(self):
        """Does what programs do that take a connection for idle by TCP_INFO."""
        own, growth, grown_at = self.writer.get_extra_info("socket"), 0, time.monotonic()
        gives = self.plan["pattern"] in ("requests", "down" if self.side == "server" else "up")
        takes = self.plan["pattern"] in ("requests", "up" if self.side == "server" else "down")
        while True:
            await asyncio.sleep(0.5)
            info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
            last_data, last_ack = struct.unpack_from("II", info, 52)
            acked, received = struct.unpack_from("QQ", info, 120)
            idle = max(last_data if takes else 0, last_ack if gives else 0) / 1000
            if acked + received != growth:
                growth, grown_at = acked + received, time.monotonic()
            self.idle = max(self.idle, idle)
            self.still = max(self.still, time.monotonic() - grown_at)
            if idle > REAP or self.still > REAP:
                self.reaped = True
                self.writer.transport.abort()
                return

    async def live(self, quiet):
        watcher = None
        try:
            for level, option, value in self.plan.get("options", []):
                self.writer.get_extra_info("socket").setsockopt(level, option, value)
            if self.side == "client":
                await self.give(json.dumps(self.plan).encode() + b"\n")
            if self.plan["pattern"] != "bursts" and not self.plan.get("unwatched"):
                watcher = asyncio.create_task(self.watch())
            await self.be_busy()
            if watcher:
                watcher.cancel()
            await self.end(quiet)
            how = "the end"
        except Silence:
            how = "nothing more"
        except asyncio.IncompleteReadError:
            how = "an early end"
        except OSError as error:
            # asyncio has its own word for it when the kernel's came before.
            error = self.reader.exception() or error
            how = os.strerror(error.errno) if error.errno else type(error).__name__
        if self.reaped:
            how = "reaped"
        if watcher:
            watcher.cancel()
            print("tcp_info", json.dumps({"name": f"{self.name} {self.side}", "idle": self.idle, "still": self.still}))
        self.print(how)
        self.writer.close()
        try:
            await self.wait(self.writer.wait_closed())
        except (OSError, Silence):
            pass

    def print(self, how):
        print(f"{self.name} {self.side}: {self.count} bytes {self.digest.hexdigest()[:12]}, {how}", flush=True)


class Quiet:
    """Kills this process when all connections that are to end so have nothing to say any more."""

    def __init__(self, count):
        self.count = count

    async def __call__(self, end):
        end.print("killed")
        self.count -= 1
        if self.count == 0:
            await asyncio.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(60)


async def serve(port, count):
    done, left, quiet = asyncio.Event(), count, Quiet(count)

    async def handle(reader, writer):
        nonlocal left
        plan = json.loads(await reader.readline())
        await End("server", reader, writer, plan).live(quiet)
        left -= 1
        if left == 0:
            done.set()

    async with await asyncio.start_server(handle, "0.0.0.0", port, backlog=1024):
        print("listening", flush=True)
        await done.wait()


async def connect(seconds, plans):
    quiet, connected = Quiet(len(plans)), 0

    async def one(index, plan):
        # Not all at the same moment.
        await asyncio.sleep(index % 10 * PERIOD / 10)
        messages = round(seconds / PERIOD)
        if plan["pattern"] == "bursts":
            messages = (round(seconds) // (IDLE + 1) + 1) * BURST
        plan["messages"] = messages
        reader, writer = await asyncio.open_connection(plan["address"], plan["port"])
        nonlocal connected
        connected += 1
        if connected == len(plans):
            print("connected", flush=True)
        await End("client", reader, writer, plan).live(quiet)

    await asyncio.gather(*(one(index, plan) for index, plan in enumerate(plans)))


def forget():
    # IPCTNL_MSG_CT_DELETE of NFNL_SUBSYS_CTNETLINK without a tuple, NLM_F_REQUEST | NLM_F_ACK
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
        netfilter.send(struct.pack("IHHIIBBH", 20, 1 << 8 | 2, 1 | 4, 1, 0, socket.AF_INET, 0, 0))
        error, = struct.unpack_from("i", netfilter.recv(4096), 16)
        if error:
            sys.exit(f"Cannot make conntrack forget: {os.strerror(-error)}")


match sys.argv[1:]:
    case "serve", port, count:
        asyncio.run(serve(int(port), int(count)))
    case "connect", seconds, plans:
        asyncio.run(connect(float(seconds), json.loads(plans)))
    case ["forget"]:
        forget()
    case _:
        sys.exit(__doc__)
