"""A Manager().dict() used by so many processes: prints nanoseconds for each operation."""

import multiprocessing as mp
import os
import sys
import time

members, size, count, keys, what = sys.argv[1:6]
members, size, count, keys = int(members), int(size), int(count), int(keys)
cpus = sorted(os.sched_getaffinity(0))


def work(nth, shared, lock, barrier):
    os.sched_setaffinity(0, [cpus[nth % len(cpus)]])
    value, key = "x" * size, nth
    barrier.wait()
    for _ in range(count):
        key = (key * 5 + 7) % keys
        if what == "get":
            shared[key]
        elif what == "set":
            shared[key] = value
        else:
            with lock:
                shared[key] = shared[key]


if __name__ == "__main__":
    context = mp.get_context("fork")
    with context.Manager() as manager:
        shared, lock = manager.dict(), manager.Lock()
        for key in range(keys):
            shared[key] = "x" * size
        barrier = context.Barrier(members + 1)
        crew = [context.Process(target=work, args=(n, shared, lock, barrier)) for n in range(members)]
        for process in crew:
            process.start()
        barrier.wait()
        start = time.monotonic_ns()
        for process in crew:
            process.join()
        print((time.monotonic_ns() - start) / (members * count))
