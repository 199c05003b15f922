"""Python's pools: prints nanoseconds for each task or item of one kind of work."""

import concurrent.futures
import multiprocessing as mp
import sys
import time

kind, what, workers, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def square(x):
    return x * x & 0xFFFF_FFFF_FFFF_FFFF


def main():
    context = mp.get_context("fork")
    if kind == "Pool":
        pool = context.Pool(workers)
        one = lambda n: pool.apply(square, (n,))
    else:
        pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context)
        one = lambda n: pool.submit(square, n).result()
    chunk = {"chunksize": 1} if what == "single" else {}
    one(0)
    start = time.monotonic_ns()
    if what == "trip":
        for n in range(count):
            one(n)
    else:
        assert len(list(pool.map(square, range(count), **chunk))) == count
    print((time.monotonic_ns() - start) / count)


main()
