# SPDX-License-Identifier: Apache-2.0
"""Python's own tests, a class at a time.

python_tests.py list MODULE...  the classes of tests that there are, one line each
python_tests.py run CLASS       runs one, and says of each test how it ended
python_tests.py warm-up         reads some messages, as asyncio does
"""
import asyncio
import sys
import unittest


def classes(modules):
    def each(suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from each(test)
            else:
                yield type(test).__module__ + "." + type(test).__qualname__

    seen = dict.fromkeys(
        name for module in modules for name in each(unittest.defaultTestLoader.loadTestsFromName("test." + module))
    )
    # What is left of a module that cannot be imported here.
    return [name for name in seen if not name.startswith("unittest.")]


class Result(unittest.TextTestResult):
    """Says of each test how it ended, in lines of its own."""

    def tell(self, how, test):
        print(f"\nRESULT {how} {test.id()}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tell("passed", test)

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.tell("passed", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell("skipped", test)

    def addError(self, test, error):
        super().addError(test, error)
        self.tell("failed", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.tell("failed", test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.tell("failed", test)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.tell("failed", test)


async def warm_up():
    async def answer(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(50):
        writer.write(b"warm\n")
        await reader.readline()
        await asyncio.sleep(0.01)
    writer.close()


if __name__ == "__main__":
    command, *names = sys.argv[1:]
    if command == "list":
        print("\n".join(classes(names)))
    elif command == "warm-up":
        asyncio.run(warm_up())
    else:
        from test import support

        support.use_resources = ["network", "cpu", "urlfetch"]
        tests = unittest.defaultTestLoader.loadTestsFromNames(names)
        unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(tests)
        print("\nRESULT passed the end")
