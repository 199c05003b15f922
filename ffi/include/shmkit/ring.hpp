// Rings: the fastest way from one process to another.

#ifndef SHMKIT_RING_HPP
#define SHMKIT_RING_HPP

#include "core.hpp"

namespace shmkit {

/// The end of a ring that pushes. One thread of one process at a time uses it; what a forked child has
/// inherited is its parent's.
///
/// A ring wakes nobody: a call that waits looks again and again, at first without a pause and then after
/// sleeps of up to a millisecond. `why` says, when a call comes back with nothing, whether the time was
/// over (SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_WOULD_BLOCK) or the other end is gone (SHMKIT_ERR_CLOSED,
/// SHMKIT_ERR_PEER_DIED).
template <class T>
class producer {
public:
    /// Once this says true, the element is in the ring, also if this process dies next.
    bool push(const T &element, timeout limit = forever, shmkit_status *why = nullptr) {
        return detail::said(shmkit_tx_push(handle(), &element, limit.nanoseconds()), why,
                            "producer::push");
    }

    /// Pushes all, waiting for room; returns how many were pushed. Ten times cheaper for each than single
    /// pushes.
    std::size_t push_n(span<const T> elements, timeout limit = forever,
                       shmkit_status *why = nullptr) {
        std::size_t moved = 0;
        const shmkit_status status = shmkit_tx_push_n(handle(), elements.data(), elements.size(),
                                                      limit.nanoseconds(), &moved);
        static_cast<void>(detail::said(status, why, "producer::push_n"));
        return moved;
    }

    /// Up to `want` free slots in a row, at least one, to be filled in place; none when there are none in
    /// time. They hold what they held before. A later `reserve` or `push` takes them back.
    span<T> reserve(std::size_t want, timeout limit = forever, shmkit_status *why = nullptr) {
        void *first = nullptr;
        std::size_t got = 0;
        const shmkit_status status =
            shmkit_tx_reserve(handle(), want, limit.nanoseconds(), &first, &got);
        if (!detail::said(status, why, "producer::reserve")) {
            return {};
        }
        return {static_cast<T *>(first), got};
    }

    /// Pushes the first `n` of the slots that were reserved last.
    void commit(std::size_t n) {
        detail::check(shmkit_tx_commit(handle(), n), "producer::commit");
    }

    /// The consumer pops what is left.
    void close() { detail::check(shmkit_tx_close(handle()), "producer::close"); }

    /// Where the ring lies in this process, for programs that go without calls.
    shmkit_ring_view view() const {
        shmkit_ring_view out{};
        detail::check(shmkit_tx_view(handle(), &out), "producer::view");
        return out;
    }

    /// The handle of C, which stays this object's.
    shmkit_tx *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C, of a ring of these elements.
    static producer adopt(shmkit_tx *handle) noexcept { return producer(unique(handle)); }

private:
    using unique = detail::owned<shmkit_tx, shmkit_tx_free>;

    explicit producer(unique handle) noexcept : handle_(std::move(handle)) {}

    unique handle_;
};

/// The end of a ring that pops: as `producer`.
template <class T>
class consumer {
public:
    /// The oldest element.
    std::optional<T> pop(timeout limit = forever, shmkit_status *why = nullptr) {
        detail::room<T> room;
        const shmkit_status status = shmkit_rx_pop(handle(), &room, limit.nanoseconds());
        if (!detail::said(status, why, "consumer::pop")) {
            return std::nullopt;
        }
        return room.value;
    }

    /// Fills `elements`, waiting for all of them (with `no_wait`: with those that are there); returns how
    /// many were popped. Ten times cheaper for each than single pops.
    std::size_t pop_n(span<T> elements, timeout limit = forever, shmkit_status *why = nullptr) {
        std::size_t moved = 0;
        const shmkit_status status = shmkit_rx_pop_n(handle(), elements.data(), elements.size(),
                                                     limit.nanoseconds(), &moved);
        static_cast<void>(detail::said(status, why, "consumer::pop_n"));
        return moved;
    }

    /// Up to `want` of the oldest elements in a row, at least one, to be read in place; none when there are
    /// none in time. A later `peek` or `pop` takes them back.
    span<const T> peek(std::size_t want, timeout limit = forever, shmkit_status *why = nullptr) {
        const void *first = nullptr;
        std::size_t got = 0;
        const shmkit_status status =
            shmkit_rx_peek(handle(), want, limit.nanoseconds(), &first, &got);
        if (!detail::said(status, why, "consumer::peek")) {
            return {};
        }
        return {static_cast<const T *>(first), got};
    }

    /// Pops the first `n` of the elements that were lent last.
    void release(std::size_t n) {
        detail::check(shmkit_rx_release(handle(), n), "consumer::release");
    }

    /// The producer is told.
    void close() { detail::check(shmkit_rx_close(handle()), "consumer::close"); }

    /// Where the ring lies in this process, for programs that go without calls.
    shmkit_ring_view view() const {
        shmkit_ring_view out{};
        detail::check(shmkit_rx_view(handle(), &out), "consumer::view");
        return out;
    }

    /// The handle of C, which stays this object's.
    shmkit_rx *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C, of a ring of these elements.
    static consumer adopt(shmkit_rx *handle) noexcept { return consumer(unique(handle)); }

private:
    using unique = detail::owned<shmkit_rx, shmkit_rx_free>;

    explicit consumer(unique handle) noexcept : handle_(std::move(handle)) {}

    unique handle_;
};

/// A lock-free ring for elements of one type, from one producer to one consumer. Rust has the ends as
/// `ring::Producer<T>` and `ring::Consumer<T>`.
template <class T>
class ring {
public:
    /// For `capacity` elements; nobody finds it.
    explicit ring(std::size_t capacity) : ring(create(place(), capacity)) {}

    static ring create(const place &at, std::size_t capacity) {
        return make(at, capacity, SHMKIT_CREATE_EXCLUSIVE);
    }

    static ring open_or_create(const place &at, std::size_t capacity) {
        return make(at, capacity, SHMKIT_CREATE_OR_OPEN);
    }

    static ring open(const place &at) {
        constexpr shmkit_elem elem = detail::element<T>();
        shmkit_ring *out = nullptr;
        detail::check(shmkit_ring_open(at.in(), at.name(), &elem, &out), "ring::open");
        return adopt(out);
    }

    /// Takes the end that pushes: the first time, or after its owner has died. Throws with SHMKIT_ERR_BUSY
    /// if it has a live owner, or was closed. It does not need this object any more.
    shmkit::producer<T> producer() {
        shmkit_tx *out = nullptr;
        detail::check(shmkit_ring_producer(handle(), &out), "ring::producer");
        return shmkit::producer<T>::adopt(out);
    }

    /// Takes the end that pops.
    shmkit::consumer<T> consumer() {
        shmkit_rx *out = nullptr;
        detail::check(shmkit_ring_consumer(handle(), &out), "ring::consumer");
        return shmkit::consumer<T>::adopt(out);
    }

    std::size_t capacity() const noexcept { return shmkit_ring_capacity(handle()); }

    /// Stale at once.
    std::size_t size() const noexcept { return shmkit_ring_len(handle()); }

    /// The handle of C, which stays this object's.
    shmkit_ring *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C, of a ring of these elements.
    static ring adopt(shmkit_ring *handle) noexcept { return ring(unique(handle)); }

private:
    using unique = detail::owned<shmkit_ring, shmkit_ring_free>;

    explicit ring(unique handle) noexcept : handle_(std::move(handle)) {}

    static ring make(const place &at, std::size_t capacity, std::uint32_t flags) {
        constexpr shmkit_elem elem = detail::element<T>();
        shmkit_ring *out = nullptr;
        const shmkit_status status =
            shmkit_ring_create(at.in(), at.name(), &elem, capacity, flags, &out);
        detail::check(status, "ring::create");
        return adopt(out);
    }

    unique handle_;
};

} // namespace shmkit

#endif
