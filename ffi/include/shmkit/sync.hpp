// Locks, conditions, semaphores, events and barriers between processes and threads.

#ifndef SHMKIT_SYNC_HPP
#define SHMKIT_SYNC_HPP

#include "core.hpp"

#include <condition_variable>
#include <mutex>

namespace shmkit {

/// A lock between processes and threads. Lockable and TimedLockable: std::lock_guard, std::unique_lock and
/// std::scoped_lock take it. Nobody who waits starves.
///
/// When a holder dies, the next one is told: `lock()` and its kin throw `owner_died` and hold nothing,
/// until somebody repairs by `lock_or_recover()`. Only the thread that holds it may unlock; a forked child
/// holds nothing that its parent does.
template <std::uint32_t Flags>
class basic_lock {
public:
    /// Nobody finds it.
    basic_lock() : basic_lock(create(place())) {}

    static basic_lock create(const place &at) { return make(at, SHMKIT_CREATE_EXCLUSIVE); }
    static basic_lock open_or_create(const place &at) { return make(at, SHMKIT_CREATE_OR_OPEN); }

    /// One that was made plain or recursive stays so.
    static basic_lock open(const place &at) {
        shmkit_lock *out = nullptr;
        detail::check(shmkit_lock_open(at.in(), at.name(), &out), "lock::open");
        return adopt(out);
    }

    /// Waits as long as it takes. A thread that holds a plain lock gets an `error` with
    /// SHMKIT_ERR_DEADLOCK.
    void lock() { acquire(forever); }

    bool try_lock() { return acquire(no_wait); }

    template <class Rep, class Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period> &d) {
        return acquire(d);
    }

    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration> &deadline) {
        return detail::until(deadline, [this](timeout left) { return acquire(left); });
    }

    void unlock() { detail::check(shmkit_lock_release(handle()), "lock::unlock"); }

    /// Waits for the lock and holds it, having called `repair()` if its last holder died. If `repair`
    /// throws, the lock is given back unrepaired. True if it was called.
    ///
    ///     const bool repaired = l.lock_or_recover([&] { .. });
    ///     std::lock_guard guard(l, std::adopt_lock);
    template <class Repair>
    bool lock_or_recover(Repair &&repair) {
        const shmkit_status status = shmkit_lock_acquire(handle(), SHMKIT_FOREVER);
        if (status != SHMKIT_OWNER_DIED) {
            detail::check(status, "lock::lock_or_recover");
            return false;
        }
        giver_back back{handle()};
        std::forward<Repair>(repair)();
        detail::check(shmkit_lock_mark_consistent(handle()), "lock::lock_or_recover");
        back.lock = nullptr;
        return true;
    }

    /// The pid of the process that holds the lock, which may be dead; 0 if nobody does. Stale at once.
    std::int32_t owner() const noexcept { return shmkit_lock_owner(handle()); }

    /// The handle of C, which stays this object's.
    shmkit_lock *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static basic_lock adopt(shmkit_lock *handle) noexcept { return basic_lock(unique(handle)); }

private:
    using unique = detail::owned<shmkit_lock, shmkit_lock_free>;

    explicit basic_lock(unique handle) noexcept : handle_(std::move(handle)) {}

    struct giver_back {
        shmkit_lock *lock;

        ~giver_back() {
            if (lock != nullptr) {
                static_cast<void>(shmkit_lock_release(lock));
            }
        }
    };

    static basic_lock make(const place &at, std::uint32_t flags) {
        shmkit_lock *out = nullptr;
        const shmkit_status status =
            shmkit_lock_create(at.in(), at.name(), Flags | flags, &out);
        detail::check(status, "lock::create");
        return adopt(out);
    }

    bool acquire(timeout left) {
        const shmkit_status status = shmkit_lock_acquire(handle(), left.nanoseconds());
        if (status == SHMKIT_OWNER_DIED) {
            static_cast<void>(shmkit_lock_release(handle())); // the next one is told, too
        }
        return detail::done(status, "lock::lock");
    }

    unique handle_;
};

/// A lock whose holder may not take it again.
using lock = basic_lock<0>;
/// A lock whose holder may take it again, and gives it back as often.
using rlock = basic_lock<SHMKIT_LOCK_RECURSIVE>;

/// A lock for many readers or one writer, with the names of std::shared_timed_mutex: std::shared_lock and
/// std::unique_lock take it. When a writer dies, it is as of `lock`.
class rw_lock {
public:
    /// Nobody finds it.
    rw_lock() : rw_lock(create(place())) {}

    static rw_lock create(const place &at) { return make(at, SHMKIT_CREATE_EXCLUSIVE); }
    static rw_lock open_or_create(const place &at) { return make(at, SHMKIT_CREATE_OR_OPEN); }

    static rw_lock open(const place &at) {
        shmkit_rwlock *out = nullptr;
        detail::check(shmkit_rwlock_open(at.in(), at.name(), &out), "rw_lock::open");
        return adopt(out);
    }

    /// To write, alone.
    void lock() { static_cast<void>(taken(shmkit_rwlock_write, forever)); }
    bool try_lock() { return taken(shmkit_rwlock_write, no_wait); }

    template <class Rep, class Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period> &d) {
        return taken(shmkit_rwlock_write, d);
    }

    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration> &deadline) {
        return detail::until(deadline,
                             [this](timeout left) { return taken(shmkit_rwlock_write, left); });
    }

    void unlock() { detail::check(shmkit_rwlock_release(handle()), "rw_lock::unlock"); }

    /// To read, with others who do.
    void lock_shared() { static_cast<void>(taken(shmkit_rwlock_read, forever)); }
    bool try_lock_shared() { return taken(shmkit_rwlock_read, no_wait); }

    template <class Rep, class Period>
    bool try_lock_shared_for(const std::chrono::duration<Rep, Period> &d) {
        return taken(shmkit_rwlock_read, d);
    }

    template <class Clock, class Duration>
    bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration> &deadline) {
        return detail::until(deadline,
                             [this](timeout left) { return taken(shmkit_rwlock_read, left); });
    }

    void unlock_shared() { unlock(); }

    /// Holds the lock to write, having called `repair()` if a writer died. As of `lock`.
    template <class Repair>
    bool lock_or_recover(Repair &&repair) {
        const shmkit_status status = shmkit_rwlock_write(handle(), SHMKIT_FOREVER);
        if (status != SHMKIT_OWNER_DIED) {
            detail::check(status, "rw_lock::lock_or_recover");
            return false;
        }
        giver_back back{handle()};
        std::forward<Repair>(repair)();
        detail::check(shmkit_rwlock_mark_consistent(handle()), "rw_lock::lock_or_recover");
        back.lock = nullptr;
        return true;
    }

    /// The handle of C, which stays this object's.
    shmkit_rwlock *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static rw_lock adopt(shmkit_rwlock *handle) noexcept { return rw_lock(unique(handle)); }

private:
    using unique = detail::owned<shmkit_rwlock, shmkit_rwlock_free>;

    struct giver_back {
        shmkit_rwlock *lock;

        ~giver_back() {
            if (lock != nullptr) {
                static_cast<void>(shmkit_rwlock_release(lock));
            }
        }
    };

    explicit rw_lock(unique handle) noexcept : handle_(std::move(handle)) {}

    static rw_lock make(const place &at, std::uint32_t flags) {
        shmkit_rwlock *out = nullptr;
        detail::check(shmkit_rwlock_create(at.in(), at.name(), flags, &out), "rw_lock::create");
        return adopt(out);
    }

    template <class Acquire>
    bool taken(Acquire acquire, timeout left) {
        const shmkit_status status = acquire(handle(), left.nanoseconds());
        if (status == SHMKIT_OWNER_DIED) {
            static_cast<void>(shmkit_rwlock_release(handle())); // the next one is told, too
        }
        return detail::done(status, "rw_lock::lock");
    }

    unique handle_;
};

/// Where threads of any process wait for what a `lock` protects to change: what std::condition_variable
/// is within one process.
///
/// If another holder of the lock dies meanwhile, waits throw `owner_died`, and the lock is not held any
/// more (`guard.owns_lock()` is false).
class condition {
public:
    /// Nobody finds it.
    condition() : condition(create(place())) {}

    static condition create(const place &at) {
        shmkit_condition *out = nullptr;
        detail::check(shmkit_condition_create(at.in(), at.name(), &out), "condition::create");
        return adopt(out);
    }

    static condition open_or_create(const place &at) {
        shmkit_condition *out = nullptr;
        const shmkit_status status = detail::open_or_create(
            [&] { return shmkit_condition_create(at.in(), at.name(), &out); },
            [&] { return shmkit_condition_open(at.in(), at.name(), &out); });
        detail::check(status, "condition::open_or_create");
        return adopt(out);
    }

    static condition open(const place &at) {
        shmkit_condition *out = nullptr;
        detail::check(shmkit_condition_open(at.in(), at.name(), &out), "condition::open");
        return adopt(out);
    }

    /// Gives the lock back, waits to be notified, and takes the lock again. It may return without.
    void wait(std::unique_lock<lock> &guard) { static_cast<void>(notified(guard, forever)); }

    template <class Predicate>
    void wait(std::unique_lock<lock> &guard, Predicate is_true) {
        while (!is_true()) {
            wait(guard);
        }
    }

    template <class Rep, class Period>
    std::cv_status wait_for(std::unique_lock<lock> &guard,
                            const std::chrono::duration<Rep, Period> &d) {
        return notified(guard, d) ? std::cv_status::no_timeout : std::cv_status::timeout;
    }

    template <class Clock, class Duration>
    std::cv_status wait_until(std::unique_lock<lock> &guard,
                              const std::chrono::time_point<Clock, Duration> &deadline) {
        const auto now = Clock::now();
        const bool in_time = notified(guard, deadline <= now ? no_wait : timeout(deadline - now));
        return in_time ? std::cv_status::no_timeout : std::cv_status::timeout;
    }

    /// What the predicate says at last.
    template <class Rep, class Period, class Predicate>
    bool wait_for(std::unique_lock<lock> &guard, const std::chrono::duration<Rep, Period> &d,
                  Predicate is_true) {
        const timeout limit(d);
        if (limit.nanoseconds() < 0) { // more than can be counted
            wait(guard, is_true);
            return true;
        }
        const std::chrono::nanoseconds rest(limit.nanoseconds());
        const auto now = std::chrono::steady_clock::now();
        if (rest > std::chrono::steady_clock::time_point::max() - now) {
            wait(guard, is_true);
            return true;
        }
        return wait_until(guard, now + rest, is_true);
    }

    template <class Clock, class Duration, class Predicate>
    bool wait_until(std::unique_lock<lock> &guard,
                    const std::chrono::time_point<Clock, Duration> &deadline, Predicate is_true) {
        while (!is_true()) {
            if (Clock::now() >= deadline) {
                return false;
            }
            static_cast<void>(wait_until(guard, deadline));
        }
        return true;
    }

    void notify_one() { notify(1); }

    /// Wakes up to `n` of those who wait now, those who came first.
    void notify(std::uint32_t n) {
        detail::check(shmkit_condition_notify(handle(), n), "condition::notify");
    }

    void notify_all() {
        detail::check(shmkit_condition_notify_all(handle()), "condition::notify_all");
    }

    /// The handle of C, which stays this object's.
    shmkit_condition *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static condition adopt(shmkit_condition *handle) noexcept { return condition(unique(handle)); }

private:
    using unique = detail::owned<shmkit_condition, shmkit_condition_free>;

    explicit condition(unique handle) noexcept : handle_(std::move(handle)) {}

    bool notified(std::unique_lock<lock> &guard, timeout limit) {
        if (!guard.owns_lock()) {
            detail::refuse(SHMKIT_ERR_NOT_OWNER, "condition::wait");
        }
        const shmkit_status status =
            shmkit_condition_wait(handle(), guard.mutex()->handle(), limit.nanoseconds());
        if (status == SHMKIT_OWNER_DIED) {
            guard.unlock(); // unrepaired: the next holder is told, too
        }
        return detail::done(status, "condition::wait");
    }

    unique handle_;
};

/// A number of permits, with the names of std::counting_semaphore. What a process has acquired comes back
/// when it dies.
class semaphore {
public:
    /// Nobody finds it. `max` 0: no limit.
    explicit semaphore(std::uint32_t initial, std::uint32_t max = 0)
        : semaphore(create(place(), initial, max)) {}

    static semaphore create(const place &at, std::uint32_t initial, std::uint32_t max = 0) {
        shmkit_semaphore *out = nullptr;
        const shmkit_status status =
            shmkit_semaphore_create(at.in(), at.name(), initial, max, &out);
        detail::check(status, "semaphore::create");
        return adopt(out);
    }

    static semaphore open_or_create(const place &at, std::uint32_t initial, std::uint32_t max = 0) {
        shmkit_semaphore *out = nullptr;
        const shmkit_status status = detail::open_or_create(
            [&] { return shmkit_semaphore_create(at.in(), at.name(), initial, max, &out); },
            [&] { return shmkit_semaphore_open(at.in(), at.name(), &out); });
        detail::check(status, "semaphore::open_or_create");
        return adopt(out);
    }

    static semaphore open(const place &at) {
        shmkit_semaphore *out = nullptr;
        detail::check(shmkit_semaphore_open(at.in(), at.name(), &out), "semaphore::open");
        return adopt(out);
    }

    void acquire() { static_cast<void>(acquired(forever)); }

    bool try_acquire() { return acquired(no_wait); }

    template <class Rep, class Period>
    bool try_acquire_for(const std::chrono::duration<Rep, Period> &d) {
        return acquired(d);
    }

    template <class Clock, class Duration>
    bool try_acquire_until(const std::chrono::time_point<Clock, Duration> &deadline) {
        return detail::until(deadline, [this](timeout left) { return acquired(left); });
    }

    /// Throws with SHMKIT_ERR_OVERFLOW if there would be more permits than there may be.
    void release(std::uint32_t n = 1) {
        detail::check(shmkit_semaphore_release(handle(), n), "semaphore::release");
    }

    /// Lets go of up to `n` permits that another process is to release.
    void forget(std::uint32_t n = 1) {
        detail::check(shmkit_semaphore_forget(handle(), n), "semaphore::forget");
    }

    /// The permits that are to be had now. Stale at once.
    std::uint32_t value() const noexcept { return shmkit_semaphore_value(handle()); }

    /// The handle of C, which stays this object's.
    shmkit_semaphore *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static semaphore adopt(shmkit_semaphore *handle) noexcept { return semaphore(unique(handle)); }

private:
    using unique = detail::owned<shmkit_semaphore, shmkit_semaphore_free>;

    explicit semaphore(unique handle) noexcept : handle_(std::move(handle)) {}

    bool acquired(timeout left) {
        return detail::done(shmkit_semaphore_acquire(handle(), left.nanoseconds()),
                            "semaphore::acquire");
    }

    unique handle_;
};

/// A flag to wait for.
class event {
public:
    /// Clear, and nobody finds it.
    event() : event(create(place())) {}

    static event create(const place &at) { return make(at, SHMKIT_CREATE_EXCLUSIVE); }
    static event open_or_create(const place &at) { return make(at, SHMKIT_CREATE_OR_OPEN); }

    static event open(const place &at) {
        shmkit_event *out = nullptr;
        detail::check(shmkit_event_open(at.in(), at.name(), &out), "event::open");
        return adopt(out);
    }

    /// Lets all go on who wait. A signal handler may call it.
    void set() { detail::check(shmkit_event_set(handle()), "event::set"); }

    void clear() { detail::check(shmkit_event_clear(handle()), "event::clear"); }

    /// Stale at once.
    bool is_set() const noexcept { return shmkit_event_is_set(handle()); }

    void wait() { static_cast<void>(set_within(forever)); }

    /// Whether the flag was set in time.
    template <class Rep, class Period>
    bool wait_for(const std::chrono::duration<Rep, Period> &d) {
        return set_within(d);
    }

    template <class Clock, class Duration>
    bool wait_until(const std::chrono::time_point<Clock, Duration> &deadline) {
        return detail::until(deadline, [this](timeout left) { return set_within(left); });
    }

    /// The handle of C, which stays this object's.
    shmkit_event *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static event adopt(shmkit_event *handle) noexcept { return event(unique(handle)); }

private:
    using unique = detail::owned<shmkit_event, shmkit_event_free>;

    explicit event(unique handle) noexcept : handle_(std::move(handle)) {}

    static event make(const place &at, std::uint32_t flags) {
        shmkit_event *out = nullptr;
        detail::check(shmkit_event_create(at.in(), at.name(), flags, &out), "event::create");
        return adopt(out);
    }

    bool set_within(timeout left) {
        return detail::done(shmkit_event_wait(handle(), left.nanoseconds()), "event::wait");
    }

    unique handle_;
};

/// A place where a number of threads of any processes meet. It breaks for all, instead of waiting for one
/// that is dead or has given up: calls then say so, until `reset()`.
class barrier {
public:
    /// Nobody finds it.
    explicit barrier(std::uint32_t parties) : barrier(create(place(), parties)) {}

    static barrier create(const place &at, std::uint32_t parties) {
        shmkit_barrier *out = nullptr;
        detail::check(shmkit_barrier_create(at.in(), at.name(), parties, &out), "barrier::create");
        return adopt(out);
    }

    static barrier open_or_create(const place &at, std::uint32_t parties) {
        shmkit_barrier *out = nullptr;
        const shmkit_status status = detail::open_or_create(
            [&] { return shmkit_barrier_create(at.in(), at.name(), parties, &out); },
            [&] { return shmkit_barrier_open(at.in(), at.name(), &out); });
        detail::check(status, "barrier::open_or_create");
        return adopt(out);
    }

    static barrier open(const place &at) {
        shmkit_barrier *out = nullptr;
        detail::check(shmkit_barrier_open(at.in(), at.name(), &out), "barrier::open");
        return adopt(out);
    }

    /// Waits for the others; returns this one's number in the order of arrival, from 0. Empty when the
    /// barrier is broken: by one whose time was over (this one's, too), by one that died, by `abort()`.
    [[nodiscard]] std::optional<std::uint32_t> arrive_and_wait(timeout limit = forever) {
        std::uint32_t index = 0;
        const shmkit_status status =
            shmkit_barrier_wait(handle(), limit.nanoseconds(), &index);
        if (status == SHMKIT_ERR_BROKEN || !detail::done(status, "barrier::arrive_and_wait")) {
            return std::nullopt;
        }
        return index;
    }

    /// Makes a broken barrier whole again.
    void reset() { detail::check(shmkit_barrier_reset(handle()), "barrier::reset"); }

    /// Breaks the barrier.
    void abort() { detail::check(shmkit_barrier_abort(handle()), "barrier::abort"); }

    bool is_broken() const noexcept { return shmkit_barrier_is_broken(handle()); }
    std::uint32_t parties() const noexcept { return shmkit_barrier_parties(handle()); }
    std::uint32_t waiting() const noexcept { return shmkit_barrier_waiting(handle()); }

    /// The handle of C, which stays this object's.
    shmkit_barrier *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static barrier adopt(shmkit_barrier *handle) noexcept { return barrier(unique(handle)); }

private:
    using unique = detail::owned<shmkit_barrier, shmkit_barrier_free>;

    explicit barrier(unique handle) noexcept : handle_(std::move(handle)) {}

    unique handle_;
};

} // namespace shmkit

#endif
