// Processes: functions of this program that run in a new one.

#ifndef SHMKIT_PROCESS_HPP
#define SHMKIT_PROCESS_HPP

#include "core.hpp"
#include "data.hpp"
#include "message.hpp"
#include "ring.hpp"
#include "sync.hpp"

#include <csignal>
#include <cstring>
#include <exception>
#include <tuple>
#include <vector>

namespace shmkit {

/// Takes this process over if it is a child that `process` has started, and does not return then: call it
/// first in `main`, or write SHMKIT_AUTO_INIT once in the executable. Without it no process starts, except by
/// `fork` and `exec`.
inline void init() noexcept { shmkit_init(); }

/// How a process has ended.
struct exit_status {
    /// The exit code, if no signal has ended it; or else 0.
    int code = 0;
    /// The signal that has ended it; or else 0.
    int signal = 0;

    /// Whether it ended as it should.
    bool ok() const noexcept { return code == 0 && signal == 0; }
};

/// How a process is started.
struct process_options {
    /// nullptr: "Process-1", and so on.
    const char *name = nullptr;
    /// It ends with this process, however that ends.
    bool daemon = false;
    /// It is made by a small server process, which is several times faster.
    bool fork_server = false;
    /// For `fork`: although there are other threads, which do not exist in the child.
    bool allow_threads = false;
    /// The processor that it is to run on; less than 0: any.
    int cpu = -1;
};

namespace detail {

/// What may go to a process as it starts, besides plain data: `T` with its kind, and how it is taken there.
template <class T>
struct passing;

template <class T, class Handle, int Kind, auto Passed>
struct passing_as {
    static constexpr int kind = Kind;

    static T take(std::size_t index) {
        Handle *out = nullptr;
        check(Passed(index, &out), "process: a handle that was passed");
        return T::adopt(out);
    }
};

template <>
struct passing<region>
    : passing_as<region, shmkit_region, SHMKIT_HANDLE_REGION, shmkit_region_passed> {};
template <std::uint32_t Flags>
struct passing<basic_lock<Flags>>
    : passing_as<basic_lock<Flags>, shmkit_lock, SHMKIT_HANDLE_LOCK, shmkit_lock_passed> {};
template <>
struct passing<semaphore> : passing_as<semaphore, shmkit_semaphore, SHMKIT_HANDLE_SEMAPHORE,
                                       shmkit_semaphore_passed> {};
template <>
struct passing<condition> : passing_as<condition, shmkit_condition, SHMKIT_HANDLE_CONDITION,
                                       shmkit_condition_passed> {};
template <>
struct passing<event> : passing_as<event, shmkit_event, SHMKIT_HANDLE_EVENT, shmkit_event_passed> {
};
template <>
struct passing<barrier>
    : passing_as<barrier, shmkit_barrier, SHMKIT_HANDLE_BARRIER, shmkit_barrier_passed> {};
template <class T>
struct passing<array<T>>
    : passing_as<array<T>, shmkit_array, SHMKIT_HANDLE_ARRAY, shmkit_array_passed> {};
template <class T>
struct passing<value<T>>
    : passing_as<value<T>, shmkit_array, SHMKIT_HANDLE_ARRAY, shmkit_array_passed> {};
template <>
struct passing<queue> : passing_as<queue, shmkit_queue, SHMKIT_HANDLE_QUEUE, shmkit_queue_passed> {
};
template <>
struct passing<joinable_queue> : passing_as<joinable_queue, shmkit_queue, SHMKIT_HANDLE_QUEUE,
                                            shmkit_queue_passed> {};
template <>
struct passing<pipe> : passing_as<pipe, shmkit_pipe, SHMKIT_HANDLE_PIPE, shmkit_pipe_passed> {};
template <class T>
struct passing<ring<T>>
    : passing_as<ring<T>, shmkit_ring, SHMKIT_HANDLE_RING, shmkit_ring_passed> {};
template <class T>
struct passing<producer<T>>
    : passing_as<producer<T>, shmkit_tx, SHMKIT_HANDLE_TX, shmkit_tx_passed> {};
template <class T>
struct passing<consumer<T>>
    : passing_as<consumer<T>, shmkit_rx, SHMKIT_HANDLE_RX, shmkit_rx_passed> {};

template <class T, class = void>
inline constexpr bool is_passed = false;
template <class T>
inline constexpr bool is_passed<T, std::void_t<decltype(passing<T>::kind)>> = true;

/// Ends move to the process; everything else stays usable here, too.
template <class T>
inline constexpr bool is_end = false;
template <>
inline constexpr bool is_end<pipe> = true;
template <class T>
inline constexpr bool is_end<producer<T>> = true;
template <class T>
inline constexpr bool is_end<consumer<T>> = true;

/// Arguments on their way: plain ones as bytes, the others as handles.
class parcel {
public:
    template <class T>
    void put(const T &argument) {
        if constexpr (is_passed<T>) {
            handles_.push_back({passing<T>::kind, argument.handle()});
        } else {
            must_be_plain<T>();
            const std::size_t at = bytes_.size();
            bytes_.resize(at + sizeof(T));
            std::memcpy(bytes_.data() + at, &argument, sizeof(T));
        }
    }

    const std::vector<std::byte> &bytes() const noexcept { return bytes_; }
    const std::vector<shmkit_handle> &handles() const noexcept { return handles_; }

private:
    std::vector<std::byte> bytes_;
    std::vector<shmkit_handle> handles_;
};

/// The same at the other side, in the same order.
class unpacking {
public:
    explicit unpacking(const void *bytes) noexcept : bytes_(static_cast<const std::byte *>(bytes)) {}

    template <class T>
    T next() {
        if constexpr (is_passed<T>) {
            return passing<T>::take(handle_++);
        } else {
            room<T> out;
            std::memcpy(&out, bytes_, sizeof(T));
            bytes_ += sizeof(T);
            return out.value;
        }
    }

private:
    const std::byte *bytes_;
    std::size_t handle_ = 0;
};

/// Calls `f` with what it asks for: the arguments themselves, or references to them.
template <class F, class... Args>
int call(F &f, std::tuple<Args...> &arguments) {
    constexpr bool by_value = std::is_invocable_v<F &, Args...>;
    constexpr bool by_reference = std::is_invocable_v<F &, Args &...>;
    static_assert(by_value || by_reference,
                  "the function takes the arguments that are given, all by value or all by reference");
    if constexpr (by_value) {
        if constexpr (std::is_convertible_v<std::invoke_result_t<F &, Args...>, int>) {
            return static_cast<int>(std::apply(f, std::move(arguments)));
        } else {
            std::apply(f, std::move(arguments));
            return 0;
        }
    } else if constexpr (by_reference) {
        if constexpr (std::is_convertible_v<std::invoke_result_t<F &, Args &...>, int>) {
            return static_cast<int>(std::apply(f, arguments));
        } else {
            std::apply(f, arguments);
            return 0;
        }
    }
}

/// Runs `f()` as the whole of a process: its exit code, or 1 for an exception, which goes no further.
template <class F>
int run(F f) noexcept {
#if defined(__cpp_exceptions)
    try {
        return f();
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s: %s\n", shmkit_process_name(), e.what());
    } catch (...) {
        std::fprintf(stderr, "%s: an exception of an unknown type\n", shmkit_process_name());
    }
    return 1;
#else
    return f();
#endif
}

/// Where a process begins that runs an F, which has no state, with arguments.
template <class F, class... Args>
int spawned(void *bytes) noexcept {
    return run([bytes] {
        // An F without state is like any other F.
        room<F> f;
        std::memset(static_cast<void *>(&f), 0, sizeof f);
        unpacking source(bytes);
        // Braces: in the order of the arguments.
        std::tuple<Args...> arguments{source.next<Args>()...};
        return call(f.value, arguments);
    });
}

template <auto Function>
struct function {
    template <class... Args>
    auto operator()(Args &&...args) const -> decltype(Function(std::forward<Args>(args)...)) {
        return Function(std::forward<Args>(args)...);
    }
};

template <class F>
int forked(void *f) noexcept {
    return run([f] {
        std::tuple<> none;
        return call(*static_cast<F *>(f), none);
    });
}

} // namespace detail

/// Another process. When this object goes, the process goes on: `join()` it.
class process {
public:
    /// Starts a process that runs `f` with `arguments`, and exits with what that returns: an int, or 0 for
    /// anything else. An exception ends it with code 1, and is printed.
    ///
    /// `f` is a lambda without captures; a plain function goes by `spawn<function>()`. The child is this
    /// program started afresh: `main` is not reached, and globals are as at the start. Arguments are plain
    /// data and objects of shmkit, of which ends (of pipes and rings) are moved there. `f` takes all of them
    /// by value, or all by reference. `init()` must have been called in this process.
    template <class F, class... Args,
              class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, process_options> &&
                                       !std::is_same_v<std::decay_t<F>, process>>>
    explicit process(F f, Args &&...arguments)
        : process(process_options(), f, std::forward<Args>(arguments)...) {}

    template <class F, class... Args>
    process(const process_options &options, F, Args &&...arguments)
        : process(start<F>(options, std::forward<Args>(arguments)...)) {}

    /// The same for a plain function.
    template <auto Function, class... Args>
    static process spawn(Args &&...arguments) {
        return process(detail::function<Function>(), std::forward<Args>(arguments)...);
    }

    /// Starts a process by `fork`, which runs `f()` on a copy of this process's memory: `f` may capture. For
    /// processes without other threads; what locks, permits, slots and ends this process holds, the child
    /// does not. It ends without the destructors of what it inherited.
    template <class F>
    static process fork(F f, const process_options &options = {}) {
        shmkit_process *out = nullptr;
        const shmkit_process_config how = config(options);
        detail::check(shmkit_process_fork(detail::forked<F>, &f, &how, &out), "process::fork");
        return adopt(out);
    }

    /// Starts another program, which is searched for in PATH, with its arguments from the first on.
    static process exec(const std::string &path, const std::vector<std::string> &arguments = {},
                        const process_options &options = {}) {
        std::vector<const char *> argv{path.c_str()};
        for (const std::string &argument : arguments) {
            argv.push_back(argument.c_str());
        }
        argv.push_back(nullptr);
        shmkit_process *out = nullptr;
        const shmkit_process_config how = config(options);
        detail::check(shmkit_process_exec(path.c_str(), argv.data(), &how, &out), "process::exec");
        return adopt(out);
    }

    /// Waits until it has ended; may be called again.
    exit_status join() { return *ended(forever); }

    /// Empty if it has not ended in time.
    template <class Rep, class Period>
    std::optional<exit_status> join_for(const std::chrono::duration<Rep, Period> &d) {
        return ended(d);
    }

    bool is_alive() const noexcept { return shmkit_process_is_alive(handle()); }
    std::int32_t pid() const noexcept { return shmkit_process_pid(handle()); }

    /// Sends a signal; nothing if it has ended. Never hits another process.
    void kill(int signal = SIGKILL) {
        detail::check(shmkit_process_kill(handle(), signal), "process::kill");
    }

    void terminate() { kill(SIGTERM); }

    /// A pidfd: readable, for `poll` and `epoll`, once it has ended. It stays this object's.
    int fd() const {
        int out = -1;
        detail::check(shmkit_process_fd(handle(), &out), "process::fd");
        return out;
    }

    /// The name of the process that asks.
    static const char *own_name() noexcept { return shmkit_process_name(); }

    /// The handle of C, which stays this object's.
    shmkit_process *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static process adopt(shmkit_process *handle) noexcept { return process(unique(handle), 0); }

private:
    using unique = detail::owned<shmkit_process, shmkit_process_free>;

    // The number only tells it from the other constructors.
    process(unique handle, int) noexcept : handle_(std::move(handle)) {}

    static shmkit_process_config config(const process_options &options) noexcept {
        shmkit_process_config out{};
        out.struct_size = sizeof out;
        out.name = options.name;
        out.cpu = options.cpu < 0 ? 0 : options.cpu + 1;
        out.flags = (options.daemon ? SHMKIT_PROCESS_DAEMON : 0u) |
                    (options.fork_server ? SHMKIT_PROCESS_FORKSERVER : 0u) |
                    (options.allow_threads ? SHMKIT_PROCESS_ALLOW_THREADS : 0u);
        return out;
    }

    template <class Arg>
    static constexpr void must_go() {
        static_assert(!detail::is_end<std::decay_t<Arg>> || std::is_rvalue_reference_v<Arg &&>,
                      "the end of a pipe or ring moves to the process: std::move it");
    }

    template <class F, class... Args>
    static process start(const process_options &options, Args &&...arguments) {
        static_assert(std::is_empty_v<F>, "the function has no captures: pass what it needs as "
                                          "arguments; a plain function goes by process::spawn<f>()");
        static_assert(std::is_trivially_copyable_v<F>);
        (must_go<Args>(), ...);
        detail::parcel parcel;
        (parcel.put(arguments), ...);
        shmkit_process_config how = config(options);
        how.handles = parcel.handles().data();
        how.handle_count = parcel.handles().size();
        shmkit_process *out = nullptr;
        const shmkit_status status =
            shmkit_process_spawn(detail::spawned<F, std::decay_t<Args>...>, parcel.bytes().data(),
                                 parcel.bytes().size(), &how, &out);
        detail::check(status, "process");
        (leave(std::forward<Args>(arguments)), ...);
        return adopt(out);
    }

    /// An end that has moved is given up here.
    template <class T>
    static void leave(T &&argument) {
        if constexpr (detail::is_end<std::decay_t<T>>) {
            static_cast<void>(std::decay_t<T>(std::forward<T>(argument)));
        }
    }

    std::optional<exit_status> ended(timeout limit) {
        shmkit_exit end{};
        if (!detail::done(shmkit_process_wait(handle(), limit.nanoseconds(), &end),
                          "process::join")) {
            return std::nullopt;
        }
        return exit_status{end.code, end.signal};
    }

    unique handle_;
};

} // namespace shmkit

#endif
