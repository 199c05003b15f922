// Pools: a crew of processes that run functions of this program.

#ifndef SHMKIT_POOL_HPP
#define SHMKIT_POOL_HPP

#include "process.hpp"

#include <iterator>

namespace shmkit {

/// How a pool is made.
struct pool_options {
    /// A worker is replaced after so many tasks; 0: never.
    std::uint64_t max_tasks_per_worker = 0;
    /// A task whose worker died is begun again so many times.
    std::uint32_t retries = 0;
    /// Memory for inputs and outputs that are under way, in bytes; 0: what does by default.
    std::uint64_t arena_bytes = 0;
};

namespace detail {

template <class T>
using plain = std::remove_cv_t<std::remove_reference_t<T>>;

/// Where a worker begins with a task: an F, which has no state, with plain arguments.
template <class F, class R, class... Args>
int tasked(const void *in, std::size_t, void *out, std::size_t, std::size_t *out_len) noexcept {
    return run([=] {
        room<F> f;
        std::memset(static_cast<void *>(&f), 0, sizeof f);
        unpacking source(in);
        std::tuple<Args...> arguments{source.next<Args>()...};
        if constexpr (std::is_void_v<R>) {
            std::apply(f.value, std::move(arguments));
        } else {
            const R result = std::apply(f.value, std::move(arguments));
            std::memcpy(out, &result, sizeof result);
            *out_len = sizeof result;
        }
        return 0;
    });
}

template <class F>
constexpr void must_be_stateless() {
    static_assert(std::is_empty_v<F> && std::is_trivially_copyable_v<F>,
                  "the function has no captures: workers do not have this process's memory");
}

} // namespace detail

/// A task that was submitted, and its result. One thread at a time uses it.
template <class R>
class task {
public:
    /// Waits for the result. Throws an `error`: SHMKIT_ERR_BROKEN if the task threw, or the pool is broken;
    /// SHMKIT_ERR_PEER_DIED if its worker died, and it may have had effects; SHMKIT_ERR_CLOSED if the pool was
    /// terminated.
    R get() {
        if constexpr (std::is_void_v<R>) {
            static_cast<void>(ready(forever, nullptr));
        } else {
            detail::room<R> room;
            static_cast<void>(ready(forever, &room));
            return room.value;
        }
    }

    /// Whether it is done in time: then `get()` does not wait, and tells of a failure.
    template <class Rep, class Period>
    bool wait_for(const std::chrono::duration<Rep, Period> &d) {
        const shmkit_status status =
            shmkit_task_wait(handle(), timeout(d).nanoseconds(), nullptr, nullptr, nullptr);
        return status != SHMKIT_ERR_WOULD_BLOCK && status != SHMKIT_ERR_TIMED_OUT;
    }

    /// The handle of C, which stays this object's.
    shmkit_task *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C, of a task with this result.
    static task adopt(shmkit_task *handle) noexcept { return task(unique(handle)); }

private:
    using unique = detail::owned<shmkit_task, shmkit_task_free>;

    explicit task(unique handle) noexcept : handle_(std::move(handle)) {}

    bool ready(timeout limit, void *to) {
        const void *out = nullptr;
        std::size_t len = 0;
        int result = 0;
        detail::check(shmkit_task_wait(handle(), limit.nanoseconds(), &out, &len, &result),
                      "task::get");
        if (result != 0) {
            detail::refuse(SHMKIT_ERR_BROKEN, "task::get: the function threw an exception");
        }
        if (to != nullptr) {
            std::memcpy(to, out, len);
        }
        return true;
    }

    unique handle_;
};

/// A crew of processes that run functions of this program: lambdas without captures, with plain arguments
/// and results. Any thread of the process that made it may use it. `init()` must have been called there.
///
/// The destructor terminates the workers; `close()` and `join()` let them finish.
class pool {
public:
    /// Of so many workers; 0: one for each processor.
    explicit pool(std::uint32_t workers = 0, const pool_options &options = {})
        : pool(make(workers, options, nullptr, nullptr, 0)) {}

    /// Each worker runs `f(arguments..)` before its first task. Throws if one of them throws.
    template <class F, class... Args>
    static pool with_initializer(std::uint32_t workers, const pool_options &options, F,
                                 const Args &...arguments) {
        detail::must_be_stateless<F>();
        (detail::must_be_plain<Args>(), ...);
        detail::parcel parcel;
        (parcel.put(arguments), ...);
        return make(workers, options, detail::spawned<F, Args...>, parcel.bytes().data(),
                    parcel.bytes().size());
    }

    /// Gives the pool a task. Waits while too many are under way.
    template <class F, class... Args>
    auto submit(F, const Args &...arguments) -> task<std::invoke_result_t<F &, Args...>> {
        using R = std::invoke_result_t<F &, Args...>;
        detail::must_be_stateless<F>();
        (detail::must_be_plain<Args>(), ...);
        std::size_t room = 0;
        if constexpr (!std::is_void_v<R>) {
            detail::must_be_plain<R>();
            room = sizeof(R);
        }
        detail::parcel parcel;
        (parcel.put(arguments), ...);
        shmkit_task *out = nullptr;
        const shmkit_status status =
            shmkit_pool_submit(handle(), detail::tasked<F, R, Args...>, parcel.bytes().data(),
                               parcel.bytes().size(), room, &out);
        detail::check(status, "pool::submit");
        return task<R>::adopt(out);
    }

    /// Runs a task and waits for it. Throws as `task::get()`.
    template <class F, class... Args>
    auto apply(F f, const Args &...arguments) {
        return submit(f, arguments...).get();
    }

    /// `f` of each input, in order. `chunk`: how many each task takes; 0: chosen by their number. Throws as
    /// `task::get()`.
    template <class Range, class F>
    auto map(const Range &in, F, std::size_t chunk = 0) {
        using In = detail::plain<decltype(*std::data(in))>;
        using Out = detail::plain<std::invoke_result_t<F &, const In &>>;
        std::vector<Out> out(std::size(in));
        detail::must_be_stateless<F>();
        run_all<F, In, Out>({std::data(in), std::size(in)}, out, chunk);
        return out;
    }

    /// The same with a plain function, into memory of the caller: `map<int, long, square>(in, out)`.
    template <class In, class Out, auto Function>
    void map(span<const In> in, span<Out> out, std::size_t chunk = 0) {
        run_all<detail::function<Function>, In, Out>(in, out, chunk);
    }

    std::uint32_t workers() const noexcept { return shmkit_pool_workers(handle()); }

    /// It takes no more tasks; those that it has are done.
    void close() { detail::check(shmkit_pool_close(handle()), "pool::close"); }

    /// Ends the workers; tasks that are not done fail with SHMKIT_ERR_CLOSED.
    void terminate() { detail::check(shmkit_pool_terminate(handle()), "pool::terminate"); }

    /// Waits until all tasks are done and all workers have ended, after `close()` or `terminate()`; false if
    /// the time is over.
    bool join(timeout limit = forever) {
        return detail::done(shmkit_pool_join(handle(), limit.nanoseconds()), "pool::join");
    }

    /// The handle of C, which stays this object's.
    shmkit_pool *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static pool adopt(shmkit_pool *handle) noexcept { return pool(unique(handle)); }

private:
    using unique = detail::owned<shmkit_pool, shmkit_pool_free>;

    explicit pool(unique handle) noexcept : handle_(std::move(handle)) {}

    static pool make(std::uint32_t workers, const pool_options &options, shmkit_main_fn init,
                     const void *argument, std::size_t size) {
        shmkit_pool_config how{};
        how.struct_size = sizeof how;
        how.max_tasks_per_worker = options.max_tasks_per_worker;
        how.retries = options.retries;
        how.arena_bytes = options.arena_bytes;
        shmkit_pool *out = nullptr;
        detail::check(shmkit_pool_create(workers, &how, init, argument, size, &out), "pool");
        return adopt(out);
    }

    template <class F, class In, class Out>
    void run_all(span<const In> in, span<Out> out, std::size_t chunk) {
        detail::must_be_plain<In>();
        detail::must_be_plain<Out>();
        if (in.size() != out.size()) {
            detail::refuse(SHMKIT_ERR_INVALID_ARGUMENT, "pool::map: as many outputs as inputs");
        }
        const shmkit_status status =
            shmkit_pool_map(handle(), detail::tasked<F, Out, In>, in.data(), sizeof(In), in.size(),
                            out.data(), sizeof(Out), chunk, SHMKIT_FOREVER);
        detail::check(status, "pool::map");
    }

    unique handle_;
};

} // namespace shmkit

#endif
