// Queues and pipes: messages of bytes, copied or in place.

#ifndef SHMKIT_MESSAGE_HPP
#define SHMKIT_MESSAGE_HPP

#include "core.hpp"

#include <algorithm>
#include <new>
#include <vector>

namespace shmkit {

/// How a queue is made.
struct queue_options {
    /// The messages that it holds at most; 0: 64.
    std::size_t max_messages = 0;
    /// The longest message, in bytes, that has a place in the queue itself, which is faster; 0: 232.
    std::size_t max_message = 0;
    /// Memory for all longer messages together, in bytes, taken as it is needed; 0: 128 MiB, or none in a
    /// region.
    std::size_t capacity = 0;
    /// For a Rust program that uses its typed calls: the name of its T; otherwise any T will do.
    const char *tag = nullptr;
};

/// How a pipe is made.
struct pipe_options {
    /// What a direction holds, in bytes; 0: 64 KiB.
    std::size_t capacity = 0;
    /// The longest message that is to travel in one piece; 0: half of `capacity`.
    std::size_t max_message = 0;
    /// As of `queue_options`.
    const char *tag = nullptr;
};

namespace detail {

/// What C calls the same things at queues.
struct queue_calls {
    using handle = shmkit_queue;
    using owner = owned<shmkit_queue, shmkit_queue_free>;
    static constexpr auto put = shmkit_queue_put;
    static constexpr auto put_n = shmkit_queue_put_n;
    static constexpr auto get = shmkit_queue_get;
    static constexpr auto get_n = shmkit_queue_get_n;
    static constexpr auto reserve = shmkit_queue_reserve;
    static constexpr auto commit = shmkit_queue_commit;
    static constexpr auto abort = shmkit_queue_abort;
    static constexpr auto acquire = shmkit_queue_acquire;
    static constexpr auto release = shmkit_queue_release;
    static constexpr auto fd = shmkit_queue_fd;
    static constexpr auto stats = shmkit_queue_stats;
    static constexpr auto close = shmkit_queue_close;
};

/// And at pipes.
struct pipe_calls {
    using handle = shmkit_pipe;
    using owner = owned<shmkit_pipe, shmkit_pipe_free>;
    static constexpr auto put = shmkit_pipe_send;
    static constexpr auto put_n = shmkit_pipe_send_n;
    static constexpr auto get = shmkit_pipe_recv;
    static constexpr auto get_n = shmkit_pipe_recv_n;
    static constexpr auto reserve = shmkit_pipe_reserve;
    static constexpr auto commit = shmkit_pipe_commit;
    static constexpr auto abort = shmkit_pipe_abort;
    static constexpr auto acquire = shmkit_pipe_acquire;
    static constexpr auto release = shmkit_pipe_release;
    static constexpr auto fd = shmkit_pipe_fd;
    static constexpr auto stats = shmkit_pipe_stats;
    static constexpr auto close = shmkit_pipe_close;
};

/// A `T` at `data`, which has so many bytes: checks that it fits there.
template <class T>
void must_fit(const void *data, std::size_t size) {
    must_be_plain<T>();
    if (size < sizeof(T)) {
        refuse(SHMKIT_ERR_TYPE_MISMATCH, "message: shorter than the type");
    }
    if (reinterpret_cast<std::uintptr_t>(data) % alignof(T) != 0) {
        refuse(SHMKIT_ERR_INVALID_ARGUMENT, "message: not as aligned as the type");
    }
}

/// What is left of a timeout.
class countdown {
public:
    explicit countdown(timeout limit) noexcept : limit_(limit) {
        if (limit.nanoseconds() > 0) {
            began_ = std::chrono::steady_clock::now();
        }
    }

    std::int64_t left() const noexcept {
        if (limit_.nanoseconds() <= 0) {
            return limit_.nanoseconds();
        }
        const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - began_;
        return std::max<std::int64_t>(limit_.nanoseconds() - passed.count(), SHMKIT_NO_WAIT);
    }

private:
    timeout limit_;
    std::chrono::steady_clock::time_point began_{};
};

} // namespace detail

/// Room in a queue or pipe, to be filled in place. It is put by `commit()`; otherwise the destructor gives
/// it back, and nobody sees it. It does not outlive the queue or pipe.
template <class Calls>
class basic_loan {
public:
    basic_loan(basic_loan &&other) noexcept
        : channel_(std::exchange(other.channel_, nullptr)), slot_(other.slot_) {}

    basic_loan &operator=(basic_loan &&other) noexcept {
        std::swap(channel_, other.channel_);
        std::swap(slot_, other.slot_);
        return *this;
    }

    ~basic_loan() { abort(); }

    /// What may be written to; it holds whatever was there before.
    bytes_span bytes() const noexcept { return {static_cast<std::byte *>(slot_.data), slot_.len}; }

    std::size_t size() const noexcept { return slot_.len; }

    /// Makes a T at its beginning. Throws with SHMKIT_ERR_TYPE_MISMATCH if it does not fit.
    template <class T, class... Args>
    T &emplace(Args &&...args) const {
        detail::must_fit<T>(slot_.data, slot_.len);
        return *::new (slot_.data) T{std::forward<Args>(args)...};
    }

    /// Puts all of it.
    void commit() { commit(slot_.len); }

    /// Puts the first `size` bytes.
    void commit(std::size_t size) {
        detail::check(Calls::commit(channel_, &slot_, size), "loan::commit");
        channel_ = nullptr;
    }

    /// Gives it back.
    void abort() noexcept {
        if (channel_ != nullptr) {
            static_cast<void>(Calls::abort(std::exchange(channel_, nullptr), &slot_));
        }
    }

    /// Takes over a slot of C that was reserved.
    static basic_loan adopt(typename Calls::handle *of, const shmkit_slot &slot) noexcept {
        return {of, slot};
    }

private:
    basic_loan(typename Calls::handle *of, const shmkit_slot &slot) noexcept
        : channel_(of), slot_(slot) {}

    typename Calls::handle *channel_;
    shmkit_slot slot_;
};

/// A message, to be read in place. The destructor is done with it, or of a joinable queue (`MustSay`) puts
/// it back. It does not outlive the queue or pipe.
template <class Calls, bool MustSay = false>
class basic_borrow {
public:
    basic_borrow(basic_borrow &&other) noexcept
        : channel_(std::exchange(other.channel_, nullptr)), slot_(other.slot_) {}

    basic_borrow &operator=(basic_borrow &&other) noexcept {
        std::swap(channel_, other.channel_);
        std::swap(slot_, other.slot_);
        return *this;
    }

    ~basic_borrow() {
        if (MustSay) {
            put_back();
        } else if (channel_ != nullptr) {
            static_cast<void>(Calls::release(channel_, &slot_));
        }
    }

    bytes_view bytes() const noexcept {
        return {static_cast<const std::byte *>(slot_.data), slot_.len};
    }

    std::string_view text() const noexcept {
        return {static_cast<const char *>(slot_.data), slot_.len};
    }

    std::size_t size() const noexcept { return slot_.len; }

    /// The T at its beginning. Throws with SHMKIT_ERR_TYPE_MISMATCH if the message is shorter.
    template <class T>
    const T &as() const {
        detail::must_fit<T>(slot_.data, slot_.len);
        return *std::launder(static_cast<const T *>(slot_.data));
    }

    /// Done with it: its place is free.
    void release() {
        detail::check(Calls::release(channel_, &slot_), "borrow::release");
        channel_ = nullptr;
    }

    /// It is the next message again, for whoever gets it.
    void put_back() noexcept {
        if (channel_ != nullptr) {
            static_cast<void>(Calls::abort(std::exchange(channel_, nullptr), &slot_));
        }
    }

    /// Takes over a slot of C that was acquired.
    static basic_borrow adopt(typename Calls::handle *of, const shmkit_slot &slot) noexcept {
        return {of, slot};
    }

private:
    basic_borrow(typename Calls::handle *of, const shmkit_slot &slot) noexcept
        : channel_(of), slot_(slot) {}

    typename Calls::handle *channel_;
    shmkit_slot slot_;
};

using loan = basic_loan<detail::queue_calls>;
using borrow = basic_borrow<detail::queue_calls>;
using job = basic_borrow<detail::queue_calls, true>;
using pipe_loan = basic_loan<detail::pipe_calls>;
using pipe_borrow = basic_borrow<detail::pipe_calls>;

namespace detail {

/// What queues and pipes have in common.
///
/// Calls that wait have a last argument `why`: when they come back with nothing, it says whether the time
/// was over (SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_WOULD_BLOCK) or nothing will come any more
/// (SHMKIT_ERR_CLOSED, SHMKIT_ERR_PEER_DIED).
template <class Calls>
class channel {
public:
    /// Room for a message of `size` bytes, to be filled in place.
    std::optional<basic_loan<Calls>> reserve(std::size_t size, timeout limit = forever,
                                             shmkit_status *why = nullptr) {
        shmkit_slot slot{};
        if (!said(Calls::reserve(handle(), size, limit.nanoseconds(), &slot), why, "reserve")) {
            return std::nullopt;
        }
        return basic_loan<Calls>::adopt(handle(), slot);
    }

    /// The next message, to be read in place.
    std::optional<basic_borrow<Calls>> acquire(timeout limit = forever,
                                               shmkit_status *why = nullptr) {
        return taken<false>(limit, why);
    }

    /// Readable, for `poll` and `epoll`, when there is a message or the end. It stays this object's.
    int fd() {
        int out = -1;
        check(Calls::fd(handle(), &out), "fd");
        return out;
    }

    shmkit_stats stats() const {
        shmkit_stats out{};
        check(Calls::stats(handle(), &out), "stats");
        return out;
    }

    /// Closes a queue for everybody, or this end of a pipe: what was put can still be got.
    void close() { check(Calls::close(handle()), "close"); }

    /// The handle of C, which stays this object's.
    typename Calls::handle *handle() const noexcept { return handle_.get(); }

protected:
    explicit channel(typename Calls::owner handle) noexcept : handle_(std::move(handle)) {}

    static shmkit_channel_config config(std::size_t capacity, std::size_t max_message,
                                        std::size_t max_messages, const char *tag,
                                        std::uint32_t flags) noexcept {
        shmkit_channel_config out{};
        out.struct_size = sizeof out;
        out.flags = flags;
        out.capacity = capacity;
        out.max_message = max_message;
        out.max_messages = max_messages;
        out.tag = tag;
        return out;
    }

    bool put_bytes(const void *data, std::size_t size, timeout limit, shmkit_status *why) {
        return said(Calls::put(handle(), data, size, limit.nanoseconds()), why, "put");
    }

    std::optional<std::size_t> get_into(bytes_span buffer, timeout limit, shmkit_status *why) {
        std::size_t size = 0;
        const shmkit_status status = Calls::get(handle(), buffer.data(), buffer.size(), &size,
                                                limit.nanoseconds());
        if (!said(status, why, "get")) {
            return std::nullopt;
        }
        return size;
    }

    template <class Container>
    std::optional<Container> get_all(timeout limit, shmkit_status *why) {
        const auto message = acquire(limit, why);
        if (!message) {
            return std::nullopt;
        }
        const auto *data = static_cast<const typename Container::value_type *>(
            static_cast<const void *>(message->bytes().data()));
        return Container(data, data + message->size());
    }

    template <class T>
    std::optional<T> get_one(timeout limit, shmkit_status *why) {
        must_be_plain<T>();
        room<T> out;
        const auto size = get_into({reinterpret_cast<std::byte *>(&out), sizeof(T)}, limit, why);
        if (!size) {
            return std::nullopt;
        }
        if (*size != sizeof(T)) {
            refuse(SHMKIT_ERR_TYPE_MISMATCH, "get: a message shorter than the type");
        }
        return out.value;
    }

    template <class T>
    std::size_t put_many(span<const T> values, timeout limit, shmkit_status *why) {
        must_be_plain<T>();
        const countdown time(limit);
        std::size_t put = 0;
        bool go_on = true;
        while (go_on && put < values.size()) {
            shmkit_buf bufs[batch];
            const std::size_t n = std::min(values.size() - put, batch);
            for (std::size_t i = 0; i < n; ++i) {
                // C does not write there.
                bufs[i] = {const_cast<T *>(&values[put + i]), sizeof(T)};
            }
            std::size_t moved = 0;
            go_on = said(Calls::put_n(handle(), bufs, n, time.left(), &moved), why, "put");
            put += moved;
        }
        return put;
    }

    template <class T>
    std::size_t get_many(span<T> values, timeout limit, shmkit_status *why) {
        must_be_plain<T>();
        std::size_t got = 0;
        bool go_on = true;
        while (go_on && got < values.size()) {
            shmkit_buf bufs[batch];
            const std::size_t n = std::min(values.size() - got, batch);
            for (std::size_t i = 0; i < n; ++i) {
                bufs[i] = {&values[got + i], sizeof(T)};
            }
            std::size_t moved = 0;
            const std::int64_t wait = got == 0 ? limit.nanoseconds() : SHMKIT_NO_WAIT;
            const shmkit_status status = Calls::get_n(handle(), bufs, n, wait, &moved);
            for (std::size_t i = 0; i < moved; ++i) {
                if (bufs[i].len != sizeof(T)) {
                    refuse(SHMKIT_ERR_TYPE_MISMATCH, "get: a message shorter than the type");
                }
            }
            got += moved;
            if (got != 0 && status != SHMKIT_OK) {
                return got; // the next call says why
            }
            go_on = said(status, why, "get") && moved == n;
        }
        return got;
    }

    template <bool MustSay>
    std::optional<basic_borrow<Calls, MustSay>> taken(timeout limit, shmkit_status *why) {
        shmkit_slot slot{};
        if (!said(Calls::acquire(handle(), limit.nanoseconds(), &slot), why, "acquire")) {
            return std::nullopt;
        }
        return basic_borrow<Calls, MustSay>::adopt(handle(), slot);
    }

private:
    /// Messages in one call of C.
    static constexpr std::size_t batch = 64;

    typename Calls::owner handle_;
};

} // namespace detail

/// Messages of bytes from any number of producers to any number of consumers, each to one of them. Any
/// thread of any process may use it at once. Rust opens it as `Queue<T>`: `loan` and `receive` there are
/// the same bytes as here.
///
/// Puts say false, and gets come back empty, when the time is over, or when the queue is closed (for gets:
/// and nothing is left), or nobody else has a handle any more: without a time limit only the latter.
class queue : public detail::channel<detail::queue_calls> {
public:
    /// Nobody finds it.
    explicit queue(const queue_options &options = {}) : queue(create(place(), options)) {}

    static queue create(const place &at, const queue_options &options = {}) {
        return make(at, options, SHMKIT_CREATE_EXCLUSIVE);
    }

    static queue open_or_create(const place &at, const queue_options &options = {}) {
        return make(at, options, SHMKIT_CREATE_OR_OPEN);
    }

    static queue open(const place &at) { return find(at); }

    /// Copies a message in. Once this says true, it is in the queue, also if this process dies next.
    bool put(bytes_view message, timeout limit = forever, shmkit_status *why = nullptr) {
        return put_bytes(message.data(), message.size(), limit, why);
    }

    bool put(std::string_view message, timeout limit = forever, shmkit_status *why = nullptr) {
        return put_bytes(message.data(), message.size(), limit, why);
    }

    /// A message of the bytes of `v`.
    template <class T>
    bool put_value(const T &v, timeout limit = forever, shmkit_status *why = nullptr) {
        detail::must_be_plain<T>();
        return put_bytes(&v, sizeof v, limit, why);
    }

    /// A message for each value; returns how many were put. Several times faster than one by one.
    template <class T>
    std::size_t put_values(span<const T> values, timeout limit = forever,
                           shmkit_status *why = nullptr) {
        return put_many(values, limit, why);
    }

    /// Copies the next message to `buffer`; returns its size. Throws with SHMKIT_ERR_BUFFER_TOO_SMALL if
    /// it does not fit: it stays then.
    std::optional<std::size_t> get(bytes_span buffer, timeout limit = forever,
                                   shmkit_status *why = nullptr) {
        return get_into(buffer, limit, why);
    }

    std::optional<std::vector<std::byte>> get_bytes(timeout limit = forever,
                                                    shmkit_status *why = nullptr) {
        return get_all<std::vector<std::byte>>(limit, why);
    }

    std::optional<std::string> get_string(timeout limit = forever, shmkit_status *why = nullptr) {
        return get_all<std::string>(limit, why);
    }

    /// The value in the next message. Throws with SHMKIT_ERR_BUFFER_TOO_SMALL if that is longer than a T:
    /// it stays then; with SHMKIT_ERR_TYPE_MISMATCH if it is shorter: it is gone then.
    template <class T>
    std::optional<T> get_value(timeout limit = forever, shmkit_status *why = nullptr) {
        return get_one<T>(limit, why);
    }

    /// Gets as many values as are there and fit, waiting for the first only; returns how many. Several
    /// times faster than one by one. Throws as `get_value()`.
    template <class T>
    std::size_t get_values(span<T> values, timeout limit = forever, shmkit_status *why = nullptr) {
        return get_many(values, limit, why);
    }

    /// Messages that are to be had now. Stale at once.
    std::size_t size() const noexcept { return shmkit_queue_len(handle()); }
    bool empty() const noexcept { return size() == 0; }

    /// The messages that it holds at most.
    std::size_t capacity() const { return stats().capacity; }
    bool is_closed() const { return stats().closed; }

    /// Takes over a handle of C.
    static queue adopt(shmkit_queue *handle) noexcept {
        return queue(detail::queue_calls::owner(handle));
    }

protected:
    explicit queue(detail::queue_calls::owner handle) noexcept : channel(std::move(handle)) {}

    static queue make(const place &at, const queue_options &options, std::uint32_t flags) {
        const shmkit_channel_config how = config(options.capacity, options.max_message,
                                                 options.max_messages, options.tag, flags);
        shmkit_queue *out = nullptr;
        detail::check(shmkit_queue_create(at.in(), at.name(), &how, &out), "queue::create");
        return adopt(out);
    }

    static queue find(const place &at) {
        shmkit_queue *out = nullptr;
        detail::check(shmkit_queue_open(at.in(), at.name(), &out), "queue::open");
        return adopt(out);
    }
};

/// A queue of messages that are to be done. What was acquired and is not released, because its consumer
/// died or dropped it, comes again. Rust opens it as `JoinableQueue<T>`.
class joinable_queue : public queue {
public:
    /// Nobody finds it.
    explicit joinable_queue(const queue_options &options = {})
        : joinable_queue(create(place(), options)) {}

    static joinable_queue create(const place &at, const queue_options &options = {}) {
        return joinable_queue(make(at, options, SHMKIT_QUEUE_JOINABLE | SHMKIT_CREATE_EXCLUSIVE));
    }

    static joinable_queue open_or_create(const place &at, const queue_options &options = {}) {
        return joinable_queue(make(at, options, SHMKIT_QUEUE_JOINABLE | SHMKIT_CREATE_OR_OPEN));
    }

    static joinable_queue open(const place &at) { return joinable_queue(find(at)); }

    /// The next message, in place. `release()` says that it is done.
    std::optional<job> acquire(timeout limit = forever, shmkit_status *why = nullptr) {
        return taken<true>(limit, why);
    }

    /// Waits until all that was put is done; false if the time is over, or nobody is left to do it.
    bool join(timeout limit = forever, shmkit_status *why = nullptr) {
        return detail::said(shmkit_queue_join(handle(), limit.nanoseconds()), why, "joinable_queue::join");
    }

private:
    explicit joinable_queue(queue q) noexcept : queue(std::move(q)) {}
};

/// One end of a pipe, which carries messages of bytes in both directions, whole and in order. One thread of
/// one process at a time uses an end; what a forked child has inherited is its parent's. Rust has it as
/// `Connection<T>`: `send_bytes` and `recv_bytes` there are the same bytes as here.
///
/// Sends say false, and receives come back empty, when the time is over, or when the other end is closed
/// or its process has died (for receives: and nothing is left): without a time limit only the latter.
class pipe : public detail::channel<detail::pipe_calls> {
public:
    /// Both ends, for this process and those that it forks.
    static std::pair<pipe, pipe> make(const pipe_options &options = {}) {
        return make(place(), options);
    }

    static std::pair<pipe, pipe> make(const place &at, const pipe_options &options = {}) {
        const shmkit_channel_config how = configured(options);
        shmkit_pipe *a = nullptr, *b = nullptr;
        detail::check(shmkit_pipe_create(at.in(), at.name(), &how, &a, &b), "pipe::make");
        return {adopt(a), adopt(b)};
    }

    /// One end; another process opens the other by its name.
    static pipe create(const place &at, const pipe_options &options = {}) {
        const shmkit_channel_config how = configured(options);
        shmkit_pipe *out = nullptr;
        detail::check(shmkit_pipe_create(at.in(), at.name(), &how, &out, nullptr), "pipe::create");
        return adopt(out);
    }

    /// The second end, or one whose owner has died.
    static pipe open(const place &at) {
        shmkit_pipe *out = nullptr;
        detail::check(shmkit_pipe_open(at.in(), at.name(), &out), "pipe::open");
        return adopt(out);
    }

    /// To the listener at `path`, in C, C++ or Rust, waiting for it to accept; empty if it does not in time,
    /// or goes away. Throws with SHMKIT_ERR_NOT_FOUND if nobody listens.
    static std::optional<pipe> connect(const std::string &path, timeout limit = forever,
                                       shmkit_status *why = nullptr) {
        shmkit_pipe *out = nullptr;
        const shmkit_status status = shmkit_pipe_connect(path.c_str(), limit.nanoseconds(), &out);
        if (!detail::said(status, why, "pipe::connect")) {
            return std::nullopt;
        }
        return adopt(out);
    }

    /// Sends a message of any length; long ones in pieces.
    bool send(bytes_view message, timeout limit = forever, shmkit_status *why = nullptr) {
        return put_bytes(message.data(), message.size(), limit, why);
    }

    bool send(std::string_view message, timeout limit = forever, shmkit_status *why = nullptr) {
        return put_bytes(message.data(), message.size(), limit, why);
    }

    /// A message of the bytes of `v`.
    template <class T>
    bool send_value(const T &v, timeout limit = forever, shmkit_status *why = nullptr) {
        detail::must_be_plain<T>();
        return put_bytes(&v, sizeof v, limit, why);
    }

    /// A message for each value; returns how many were sent.
    template <class T>
    std::size_t send_values(span<const T> values, timeout limit = forever,
                            shmkit_status *why = nullptr) {
        return put_many(values, limit, why);
    }

    /// As of `queue::get()`.
    std::optional<std::size_t> recv(bytes_span buffer, timeout limit = forever,
                                    shmkit_status *why = nullptr) {
        return get_into(buffer, limit, why);
    }

    std::optional<std::vector<std::byte>> recv_bytes(timeout limit = forever,
                                                     shmkit_status *why = nullptr) {
        return get_all<std::vector<std::byte>>(limit, why);
    }

    std::optional<std::string> recv_string(timeout limit = forever, shmkit_status *why = nullptr) {
        return get_all<std::string>(limit, why);
    }

    /// As of `queue::get_value()`.
    template <class T>
    std::optional<T> recv_value(timeout limit = forever, shmkit_status *why = nullptr) {
        return get_one<T>(limit, why);
    }

    /// As of `queue::get_values()`.
    template <class T>
    std::size_t recv_values(span<T> values, timeout limit = forever, shmkit_status *why = nullptr) {
        return get_many(values, limit, why);
    }

    /// Whether there is something to receive, or the end.
    bool poll() const noexcept { return shmkit_pipe_len(handle()) != 0; }

    /// Sends a descriptor, which stays open here.
    bool send_fd(int descriptor, timeout limit = forever, shmkit_status *why = nullptr) {
        return detail::said(shmkit_pipe_send_fd(handle(), descriptor, limit.nanoseconds()), why,
                            "pipe::send_fd");
    }

    /// Receives a descriptor, which is the caller's to close.
    std::optional<int> recv_fd(timeout limit = forever, shmkit_status *why = nullptr) {
        int out = -1;
        const shmkit_status status =
            shmkit_pipe_recv_fd(handle(), &out, limit.nanoseconds());
        if (!detail::said(status, why, "pipe::recv_fd")) {
            return std::nullopt;
        }
        return out;
    }

    /// Takes over a handle of C.
    static pipe adopt(shmkit_pipe *handle) noexcept {
        return pipe(detail::pipe_calls::owner(handle));
    }

private:
    explicit pipe(detail::pipe_calls::owner handle) noexcept : channel(std::move(handle)) {}

    static shmkit_channel_config configured(const pipe_options &options) noexcept {
        return config(options.capacity, options.max_message, 0, options.tag,
                      SHMKIT_CREATE_EXCLUSIVE);
    }
};

/// A place in the file system where processes of the same user get a pipe to this one. Any thread of this
/// process may use it at once. Rust has it as `Listener<T>`.
class listener {
public:
    /// Where no file is, or that of a listener which is dead.
    explicit listener(const std::string &path) {
        shmkit_listener *out = nullptr;
        detail::check(shmkit_listener_bind(path.c_str(), &out), "listener");
        handle_.reset(out);
    }

    /// The next client, with its pipe. A client that does not fit is an `error`; others may come next.
    std::optional<pipe> accept(timeout limit = forever, shmkit_status *why = nullptr) {
        shmkit_pipe *out = nullptr;
        const shmkit_status status = shmkit_listener_accept(handle(), limit.nanoseconds(), &out);
        if (!detail::said(status, why, "listener::accept")) {
            return std::nullopt;
        }
        return pipe::adopt(out);
    }

    /// The handle of C, which stays this object's.
    shmkit_listener *handle() const noexcept { return handle_.get(); }

private:
    detail::owned<shmkit_listener, shmkit_listener_free> handle_;
};

} // namespace shmkit

#endif
