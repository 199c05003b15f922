"""Starts so many processes with multiprocessing, by one method, and prints nanoseconds for each."""

import multiprocessing as mp
import sys
import time


def add(a, b):
    return a + b


if __name__ == "__main__":
    method, count = sys.argv[1], int(sys.argv[2])
    context = mp.get_context(method)

    def start_and_join():
        process = context.Process(target=add, args=(20, 1))
        process.start()
        process.join()
        assert process.exitcode == 0

    start_and_join()  # also starts the fork server
    start = time.monotonic_ns()
    for _ in range(count):
        start_and_join()
    print((time.monotonic_ns() - start) / count)
