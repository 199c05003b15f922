// Arrays and values in shared memory.

#ifndef SHMKIT_DATA_HPP
#define SHMKIT_DATA_HPP

#include "core.hpp"


namespace shmkit {

template <class T>
class array;

/// The elements of an array, or the one of a value, while this thread holds the lock. It gives the lock back
/// in its destructor, in the thread that took it.
template <class T>
class guard {
public:
    guard(guard &&other) noexcept
        : array_(std::exchange(other.array_, nullptr)), elements_(other.elements_) {}

    guard &operator=(guard &&other) noexcept {
        std::swap(array_, other.array_);
        std::swap(elements_, other.elements_);
        return *this;
    }

    ~guard() {
        if (array_ != nullptr) {
            static_cast<void>(shmkit_array_unlock(array_));
        }
    }

    T *begin() const noexcept { return elements_.data(); }
    T *end() const noexcept { return elements_.data() + elements_.size(); }
    T *data() const noexcept { return elements_.data(); }
    std::size_t size() const noexcept { return elements_.size(); }
    T &operator[](std::size_t i) const { return elements_[i]; }
    T &operator*() const { return elements_[0]; }
    T *operator->() const { return elements_.data(); }
    span<T> elements() const & noexcept { return elements_; }
    span<T> elements() && = delete; // the lock would be given back before they are used

private:
    friend class array<T>;

    guard(shmkit_array *locked, span<T> elements) noexcept : array_(locked), elements_(elements) {}

    shmkit_array *array_;
    span<T> elements_;
};

namespace detail {

/// The integers that processors change in one piece.
template <class T>
inline constexpr bool is_atomic = std::is_integral_v<T> && sizeof(T) <= 8;

/// Lock-free changes of one element; all sequentially consistent.
template <class T>
T fetch_add(T *at, T v) noexcept {
    return __atomic_fetch_add(at, v, __ATOMIC_SEQ_CST);
}

template <class T>
T fetch_sub(T *at, T v) noexcept {
    return __atomic_fetch_sub(at, v, __ATOMIC_SEQ_CST);
}

template <class T>
bool compare_exchange(T *at, T &expected, T desired) noexcept {
    return __atomic_compare_exchange_n(at, &expected, desired, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

} // namespace detail

/// A fixed number of elements in shared memory, under one lock. What Rust opens as `Array<T>`.
///
/// When a holder of the lock dies, the elements may be half written: whoever locks, reads or writes gets
/// `owner_died`, until somebody repairs by `lock_or_recover()`.
template <class T>
class array {
public:
    using value_type = T;

    /// `size` zeroed elements; nobody finds it.
    explicit array(std::size_t size) : array(create(place(), size)) {}

    static array create(const place &at, std::size_t size) {
        return make(at, size, SHMKIT_CREATE_EXCLUSIVE);
    }

    static array open_or_create(const place &at, std::size_t size) {
        return make(at, size, SHMKIT_CREATE_OR_OPEN);
    }

    static array open(const place &at) {
        constexpr shmkit_elem elem = detail::element<T>();
        shmkit_array *out = nullptr;
        detail::check(shmkit_array_open(at.in(), at.name(), &elem, &out), "array::open");
        return adopt(out);
    }

    std::size_t size() const noexcept { return shmkit_array_len(handle()); }

    /// The elements, once this thread has the lock.
    guard<T> lock() { return *locked(forever); }

    std::optional<guard<T>> try_lock() { return locked(no_wait); }

    template <class Rep, class Period>
    std::optional<guard<T>> try_lock_for(const std::chrono::duration<Rep, Period> &d) {
        return locked(d);
    }

    /// The elements, once this thread has the lock and, if a holder died, `repair(span<T>)` has made them
    /// good. If `repair` throws, the lock is given back unrepaired.
    template <class Repair>
    guard<T> lock_or_recover(Repair &&repair) {
        const shmkit_status status = shmkit_array_lock(handle(), SHMKIT_FOREVER, nullptr);
        if (status != SHMKIT_OWNER_DIED) {
            detail::check(status, "array::lock_or_recover");
            return guard<T>(handle(), unsynchronized());
        }
        guard<T> held(handle(), unsynchronized());
        std::forward<Repair>(repair)(held.elements());
        detail::check(shmkit_array_mark_consistent(handle()), "array::lock_or_recover");
        return held;
    }

    /// The elements without the lock: others may read and write them at the same time. Valid as long as
    /// this object.
    span<T> unsynchronized() const noexcept {
        return {static_cast<T *>(shmkit_array_data(handle())), size()};
    }

    /// Copies elements from `index` on, under the lock.
    void read(std::size_t index, span<T> to) const {
        detail::check(shmkit_array_read(handle(), index, to.size(), to.data()), "array::read");
    }

    /// Copies over the elements from `index` on, under the lock.
    void write(std::size_t index, span<const T> from) {
        detail::check(shmkit_array_write(handle(), index, from.size(), from.data()),
                      "array::write");
    }

    /// One element, under the lock.
    T get(std::size_t index) const {
        detail::room<T> room;
        detail::check(shmkit_array_read(handle(), index, 1, &room), "array::get");
        return room.value;
    }

    void set(std::size_t index, const T &element) {
        detail::check(shmkit_array_write(handle(), index, 1, &element), "array::set");
    }

    /// Adds to an integer without the lock; returns what was there. It wraps around.
    T fetch_add(std::size_t index, T v) { return detail::fetch_add(atomic(index), v); }

    T fetch_sub(std::size_t index, T v) { return detail::fetch_sub(atomic(index), v); }

    /// Replaces an integer, without the lock, if it is what was expected; or else says what it is.
    bool compare_exchange(std::size_t index, T &expected, T desired) {
        return detail::compare_exchange(atomic(index), expected, desired);
    }

    /// An integer, without the lock.
    T load(std::size_t index) const { return __atomic_load_n(atomic(index), __ATOMIC_SEQ_CST); }

    void store(std::size_t index, T v) { __atomic_store_n(atomic(index), v, __ATOMIC_SEQ_CST); }

    /// The handle of C, which stays this object's.
    shmkit_array *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C, of an array of these elements.
    static array adopt(shmkit_array *handle) noexcept { return array(unique(handle)); }

private:
    using unique = detail::owned<shmkit_array, shmkit_array_free>;

    explicit array(unique handle) noexcept : handle_(std::move(handle)) {}

    static array make(const place &at, std::size_t size, std::uint32_t flags) {
        constexpr shmkit_elem elem = detail::element<T>();
        shmkit_array *out = nullptr;
        const shmkit_status status =
            shmkit_array_create(at.in(), at.name(), &elem, size, flags, &out);
        detail::check(status, "array::create");
        return adopt(out);
    }

    std::optional<guard<T>> locked(timeout limit) {
        const shmkit_status status =
            shmkit_array_lock(handle(), limit.nanoseconds(), nullptr);
        if (status == SHMKIT_OWNER_DIED) {
            static_cast<void>(shmkit_array_unlock(handle()));
        }
        if (!detail::done(status, "array::lock")) {
            return std::nullopt;
        }
        return guard<T>(handle(), unsynchronized());
    }

    T *atomic(std::size_t index) const {
        static_assert(detail::is_atomic<T>, "only integers change without the lock");
        const span<T> all = unsynchronized();
        if (index >= all.size()) {
            detail::refuse(SHMKIT_ERR_INVALID_ARGUMENT, "array: an element that is not there");
        }
        return &all[index];
    }

    unique handle_;
};

/// One `T` in shared memory, under a lock: an array of one, which Rust opens as `Array<T>`.
template <class T>
class value {
public:
    /// Nobody finds it.
    explicit value(const T &initial = T()) : value(create(place(), initial)) {}

    /// Who opens it at once may still find zeros.
    static value create(const place &at, const T &initial = T()) {
        value made(array<T>::create(at, 1));
        made.set(initial);
        return made;
    }

    /// Zeros, if it is made.
    static value open_or_create(const place &at) { return value(array<T>::open_or_create(at, 1)); }

    static value open(const place &at) { return value(array<T>::open(at)); }

    /// All of one moment: it waits for the lock.
    T get() const { return array_.get(0); }

    void set(const T &v) { array_.set(0, v); }

    /// Calls `f(T &)` under the lock, and returns what it does.
    template <class F>
    auto update(F &&f) {
        const guard<T> held = lock();
        return std::forward<F>(f)(*held);
    }

    /// As of `array`.
    guard<T> lock() { return array_.lock(); }

    std::optional<guard<T>> try_lock() { return array_.try_lock(); }

    template <class Rep, class Period>
    std::optional<guard<T>> try_lock_for(const std::chrono::duration<Rep, Period> &d) {
        return array_.try_lock_for(d);
    }

    /// As of `array`, with `repair(T &)`.
    template <class Repair>
    guard<T> lock_or_recover(Repair &&repair) {
        return array_.lock_or_recover(
            [&repair](span<T> elements) { std::forward<Repair>(repair)(elements[0]); });
    }

    /// The T without the lock: others may read and write it at the same time.
    T &unsynchronized() const noexcept { return array_.unsynchronized()[0]; }

    /// For integers, without the lock, as of `array`.
    T fetch_add(T v) { return array_.fetch_add(0, v); }
    T fetch_sub(T v) { return array_.fetch_sub(0, v); }
    bool compare_exchange(T &expected, T desired) {
        return array_.compare_exchange(0, expected, desired);
    }
    T load() const { return array_.load(0); }
    void store(T v) { array_.store(0, v); }

    /// The handle of C, which stays this object's.
    shmkit_array *handle() const noexcept { return array_.handle(); }

    /// Takes over a handle of C, of an array of one T.
    static value adopt(shmkit_array *handle) { return value(array<T>::adopt(handle)); }

private:
    explicit value(array<T> elements) : array_(std::move(elements)) {
        if (array_.size() != 1) {
            detail::refuse(SHMKIT_ERR_TYPE_MISMATCH, "value: an array of another length");
        }
    }

    array<T> array_;
};

/// One `T` in shared memory that is read whole and without a lock, and replaced whole: whoever reads never
/// waits, and a process that is killed leaves the old one or the new one. Rust has it as `Value<T>`.
template <class T>
class atomic_value {
public:
    /// Nobody finds it.
    explicit atomic_value(const T &initial = T()) : atomic_value(create(place(), initial)) {}

    static atomic_value create(const place &at, const T &initial = T()) {
        return make(at, initial, SHMKIT_CREATE_EXCLUSIVE);
    }

    static atomic_value open_or_create(const place &at, const T &initial = T()) {
        return make(at, initial, SHMKIT_CREATE_OR_OPEN);
    }

    static atomic_value open(const place &at) {
        constexpr shmkit_elem elem = detail::element<T>();
        shmkit_value *out = nullptr;
        detail::check(shmkit_value_open(at.in(), at.name(), &elem, &out), "atomic_value::open");
        return adopt(out);
    }

    /// As it was last set, never torn.
    T get() const {
        detail::room<T> room;
        detail::check(shmkit_value_get(handle(), &room), "atomic_value::get");
        return room.value;
    }

    /// One of more than 8 bytes is replaced under its lock.
    void set(const T &v) { detail::check(shmkit_value_set(handle(), &v), "atomic_value::set"); }

    /// Sets it to what `f(T &)` makes of a copy, while nobody else does so, and returns what `f` does. If `f`
    /// throws, nothing changes. A holder that died has left a whole value: the next one goes on from it.
    template <class F>
    auto update(F &&f) {
        const shmkit_status status = shmkit_value_lock(handle(), SHMKIT_FOREVER);
        if (status == SHMKIT_OWNER_DIED) {
            static_cast<void>(shmkit_value_mark_consistent(handle()));
        } else {
            detail::check(status, "atomic_value::update");
        }
        const giver_back back{handle()};
        T copy = get();
        if constexpr (std::is_void_v<std::invoke_result_t<F &, T &>>) {
            f(copy);
            set(copy);
        } else {
            auto result = f(copy);
            set(copy);
            return result;
        }
    }

    /// Adds to an integer of 8 bytes without the lock; returns what was there. It wraps around.
    T fetch_add(T v) {
        static_assert(std::is_integral_v<T> && sizeof(T) == 8, "others change by update()");
        std::int64_t old = 0;
        detail::check(shmkit_value_add_i64(handle(), static_cast<std::int64_t>(v), &old),
                      "atomic_value::fetch_add");
        return static_cast<T>(old);
    }

    /// Replaces an integer of 8 bytes, without the lock, if it is what was expected; or else says what it is.
    bool compare_exchange(T &expected, T desired) {
        static_assert(std::is_integral_v<T> && sizeof(T) == 8, "others change by update()");
        auto found = static_cast<std::int64_t>(expected);
        const shmkit_status status =
            shmkit_value_cas_i64(handle(), &found, static_cast<std::int64_t>(desired));
        expected = static_cast<T>(found);
        return detail::done(status, "atomic_value::compare_exchange");
    }

    /// The handle of C, which stays this object's.
    shmkit_value *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C, of a T.
    static atomic_value adopt(shmkit_value *handle) noexcept {
        return atomic_value(unique(handle));
    }

private:
    using unique = detail::owned<shmkit_value, shmkit_value_free>;

    struct giver_back {
        shmkit_value *value;

        ~giver_back() { static_cast<void>(shmkit_value_unlock(value)); }
    };

    explicit atomic_value(unique handle) noexcept : handle_(std::move(handle)) {}

    static atomic_value make(const place &at, const T &initial, std::uint32_t flags) {
        constexpr shmkit_elem elem = detail::element<T>();
        shmkit_value *out = nullptr;
        const shmkit_status status =
            shmkit_value_create(at.in(), at.name(), &elem, &initial, flags, &out);
        detail::check(status, "atomic_value::create");
        return adopt(out);
    }

    unique handle_;
};

} // namespace shmkit

#endif
