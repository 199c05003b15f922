"""A multiprocessing.Queue between so many producers and consumers: prints nanoseconds for each put or get."""

import multiprocessing as mp
import os
import sys
import time

pairs, size, count, capacity = map(int, sys.argv[1:5])
cpus = sorted(os.sched_getaffinity(0))


def work(nth, produces, queue, barrier):
    os.sched_setaffinity(0, [cpus[nth % len(cpus)]])
    item = bytes(size)
    barrier.wait()
    for _ in range(count):
        if produces:
            queue.put(item)
        else:
            queue.get()


context = mp.get_context("fork")
queue, barrier = context.Queue(capacity), context.Barrier(2 * pairs + 1)
roles = [(nth ^ nth >> 1) & 1 == 0 for nth in range(2 * pairs)]
crew = [context.Process(target=work, args=(n, role, queue, barrier)) for n, role in enumerate(roles)]
for process in crew:
    process.start()
barrier.wait()
start = time.monotonic_ns()
for process in crew:
    process.join()
print((time.monotonic_ns() - start) / (2 * pairs * count))
