// shmkit for C++17 and later: shared-memory IPC for Linux that goes on working when any process is
// killed at any instruction. Header-only, over the C interface; link with libshmkit.
//
// Rules for all classes
//
// - Objects: `X x(..)` makes one that nobody finds (it goes to others by fork, or with its region);
//   `X::create(place, ..)` one that others find, by a name or by region and name; `X::open(place)` finds
//   it; `X::open_or_create(place, ..)` does what is needed. Objects move, and do not copy. One that was
//   moved from may only be destroyed or assigned to.
// - Threads and processes: any may use an object at once, unless a class says otherwise (ends of pipes
//   and rings: one thread at a time). Destruction is for one thread, after all others are done.
// - Time: std::chrono durations, on the monotonic clock; `forever` and `no_wait` where a `timeout` is
//   expected. Waits do not end at signals.
// - Outcomes that are to be expected are values: `false` or an empty `std::optional` when the time is
//   over or the other side is gone. Exceptions are for real errors: `error`, a `std::system_error` whose
//   code is a `shmkit_status`, and `owner_died`. With -fno-exceptions such an error ends the program with
//   a message. Constructors, `create` and `open` may throw; so may every other function that is not
//   noexcept.
// - Data: `T` is trivially copyable and no pointer: it means the same in every process. It is compared
//   by size, alignment and `tag<T>` when an object is opened.
// - The translation units of a program agree on -fno-exceptions. They may be of different standards.

#ifndef SHMKIT_HPP
#define SHMKIT_HPP

#include "shmkit/core.hpp"
#include "shmkit/data.hpp"
#include "shmkit/manager.hpp"
#include "shmkit/message.hpp"
#include "shmkit/pool.hpp"
#include "shmkit/process.hpp"
#include "shmkit/ring.hpp"
#include "shmkit/sync.hpp"

#endif
