// What all parts of shmkit.hpp share: errors, durations, views, places, names of types, regions.

#ifndef SHMKIT_CORE_HPP
#define SHMKIT_CORE_HPP

#include "../shmkit.h"

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "shmkit.hpp needs C++17"
#endif

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#if __cplusplus >= 202002L && __has_include(<span>)
#include <span>
#define SHMKIT_STD_SPAN 1
#endif

static_assert(SHMKIT_ABI_VERSION == 1, "shmkit.hpp and shmkit.h are of different versions");

// ---- Errors

/// The code of a status; `std::error_code(SHMKIT_ERR_BUSY)` works too.
inline std::error_code make_error_code(shmkit_status status) noexcept;

template <>
struct std::is_error_code_enum<shmkit_status> : std::true_type {};

namespace shmkit {

namespace detail {

class status_category final : public std::error_category {
public:
    const char *name() const noexcept override { return "shmkit"; }

    std::string message(int status) const override { return shmkit_status_message(status); }

    std::error_condition default_error_condition(int status) const noexcept override {
        return {shmkit_status_errno(status), std::generic_category()};
    }
};

} // namespace detail

/// The category of codes that are a `shmkit_status`. They compare equal to the `std::errc` that comes
/// nearest.
inline const std::error_category &category() noexcept {
    static const auto &it = *new detail::status_category; // for as long as anybody may ask
    return it;
}

/// Something failed that should not; `what()` says what.
class error : public std::system_error {
public:
    error(shmkit_status status, const std::string &what)
        : std::system_error(std::error_code(static_cast<int>(status), category()), what) {}

    shmkit_status status() const noexcept { return static_cast<shmkit_status>(code().value()); }
};

/// The last holder of the lock died in its section, or left it unrepaired, so what the lock protects may
/// be half done. The lock is not held. `lock_or_recover()` repairs.
class owner_died : public error {
public:
    explicit owner_died(const std::string &what) : error(SHMKIT_OWNER_DIED, what) {}
};

namespace detail {

/// Fails in the name of `where`.
[[noreturn]] inline void fail(shmkit_status status, const char *where) {
    std::string what(where);
    switch (status) {
    case SHMKIT_OWNER_DIED:
    case SHMKIT_ERR_WOULD_BLOCK:
    case SHMKIT_ERR_TIMED_OUT:
    case SHMKIT_ERR_CLOSED:
    case SHMKIT_ERR_PEER_DIED:
    case SHMKIT_ERR_BUFFER_TOO_SMALL:
        break; // these leave no text
    default:
        what.append(": ").append(shmkit_last_error());
    }
#if defined(__cpp_exceptions)
    if (status == SHMKIT_OWNER_DIED) {
        throw owner_died(what);
    }
    throw error(status, what);
#else
    std::fprintf(stderr, "%s: %s\n", what.c_str(), shmkit_status_message(status));
    std::abort();
#endif
}

/// Fails because of what the caller of this header did.
[[noreturn]] inline void refuse(shmkit_status status, const char *what) {
#if defined(__cpp_exceptions)
    throw error(status, what);
#else
    std::fprintf(stderr, "%s: %s\n", what, shmkit_status_message(status));
    std::abort();
#endif
}

inline void check(shmkit_status status, const char *where) {
    if (status != SHMKIT_OK) {
        fail(status, where);
    }
}

/// True, or false for what is no error: the time is over, or the other side gone.
inline bool done(shmkit_status status, const char *where) {
    switch (status) {
    case SHMKIT_OK:
        return true;
    case SHMKIT_ERR_WOULD_BLOCK:
    case SHMKIT_ERR_TIMED_OUT:
    case SHMKIT_ERR_CLOSED:
    case SHMKIT_ERR_PEER_DIED:
        return false;
    default:
        fail(status, where);
    }
}

/// Room for a T that C fills.
template <class T>
union room {
    room() noexcept : none() {}

    char none;
    T value;
};

/// True, or false for what is no error, having told the caller who asks why.
inline bool said(shmkit_status status, shmkit_status *why, const char *where) {
    if (why != nullptr) {
        *why = status;
    }
    return done(status, where);
}

/// Owns a handle of C, which `Free` gives up.
template <auto Free>
struct deleter {
    template <class Handle>
    void operator()(Handle *handle) const noexcept {
        Free(handle);
    }
};

template <class Handle, auto Free>
using owned = std::unique_ptr<Handle, deleter<Free>>;

} // namespace detail

// ---- Time

/// How long a call may wait: any duration (rounded up to nanoseconds; none or less: not at all), or
/// `forever`.
class timeout {
public:
    constexpr timeout() noexcept : ns_(SHMKIT_FOREVER) {}

    template <class Rep, class Period>
    constexpr timeout(std::chrono::duration<Rep, Period> d) noexcept : ns_(rounded(d)) {}

    constexpr std::int64_t nanoseconds() const noexcept { return ns_; }

private:
    template <class Rep, class Period>
    static constexpr std::int64_t rounded(std::chrono::duration<Rep, Period> d) {
        using seconds = std::chrono::duration<double>;
        if (d <= d.zero()) {
            return SHMKIT_NO_WAIT;
        }
        if (!(seconds(d) < seconds(9e9))) { // 285 years, near what 64 bits hold; NaN is here, too
            return SHMKIT_FOREVER;
        }
        return std::chrono::ceil<std::chrono::nanoseconds>(d).count();
    }

    std::int64_t ns_;
};

/// Wait as long as it takes.
inline constexpr timeout forever{};
/// Do not wait.
inline constexpr timeout no_wait{std::chrono::nanoseconds(0)};

namespace detail {

/// Calls `attempt` with what is left until `deadline`, until it succeeds or nothing is left.
template <class Clock, class Duration, class Attempt>
bool until(const std::chrono::time_point<Clock, Duration> &deadline, Attempt attempt) {
    // Once for the monotonic clock; others may have been moved meanwhile.
    for (;;) {
        const auto now = Clock::now();
        if (deadline <= now) {
            return attempt(no_wait);
        }
        if (attempt(timeout(deadline - now))) {
            return true;
        }
    }
}

} // namespace detail

// ---- Views

#if defined(SHMKIT_STD_SPAN)
using std::as_bytes;
using std::as_writable_bytes;
using std::span;
#else

/// What `std::span` is from C++20 on: a view of neighbouring elements.
template <class T>
class span {
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using size_type = std::size_t;
    using pointer = T *;
    using reference = T &;
    using iterator = T *;

    constexpr span() noexcept = default;

    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

    template <std::size_t N>
    constexpr span(element_type (&array)[N]) noexcept : data_(array), size_(N) {}

    /// Of anything with `data()` and `size()`.
    template <class Range, class = std::enable_if_t<std::is_convertible_v<
                               std::remove_pointer_t<decltype(std::declval<Range &>().data())> (*)[],
                               T (*)[]>>>
    constexpr span(Range &&range) noexcept : data_(range.data()), size_(range.size()) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T &operator[](std::size_t i) const { return data_[i]; }
    constexpr T &front() const { return data_[0]; }
    constexpr T &back() const { return data_[size_ - 1]; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr span first(std::size_t n) const { return {data_, n}; }
    constexpr span last(std::size_t n) const { return {data_ + (size_ - n), n}; }
    constexpr span subspan(std::size_t from) const { return {data_ + from, size_ - from}; }
    constexpr span subspan(std::size_t from, std::size_t n) const { return {data_ + from, n}; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

template <class T>
span<const std::byte> as_bytes(span<T> view) noexcept {
    return {reinterpret_cast<const std::byte *>(view.data()), view.size_bytes()};
}

template <class T>
span<std::byte> as_writable_bytes(span<T> view) noexcept {
    return {reinterpret_cast<std::byte *>(view.data()), view.size_bytes()};
}
#endif

/// Bytes to read, and to write.
using bytes_view = span<const std::byte>;
using bytes_span = span<std::byte>;

// ---- Types

/// The name of `T` for other programs: `tag<T>::value` is a `const char *`. Numbers, and arrays of them,
/// have the names that Rust gives them. Name a type of your own, by a name that all programs use (for Rust:
/// what `std::any::type_name` says), with
///
///     template <> struct shmkit::tag<frame> { static constexpr const char *value = "camera::Frame"; };
template <class T, class = void>
struct tag;

namespace detail {

template <class T>
constexpr const char *number_tag() {
    constexpr std::size_t bits = sizeof(T) * 8;
    // Bytes are "u8", as they are in Rust, whatever the sign of `char`.
    constexpr bool is_byte = std::is_same_v<T, char> || std::is_same_v<T, std::byte>;
    if constexpr (std::is_same_v<T, bool>) {
        return "bool";
    } else if constexpr (std::is_floating_point_v<T>) {
        static_assert(bits == 32 || bits == 64, "no other language has this type: specialise tag<T>");
        return bits == 32 ? "f32" : "f64";
    } else if constexpr (std::is_signed_v<T> && !is_byte) {
        return bits == 8 ? "i8" : bits == 16 ? "i16" : bits == 32 ? "i32" : "i64";
    } else {
        return bits == 8 ? "u8" : bits == 16 ? "u16" : bits == 32 ? "u32" : "u64";
    }
}

constexpr std::size_t length(const char *text) {
    std::size_t n = 0;
    while (text[n] != 0) {
        ++n;
    }
    return n;
}

/// "[inner; n]", with a NUL.
template <std::size_t Size>
constexpr std::array<char, Size> array_tag(const char *inner, std::size_t n) {
    std::array<char, Size> text{};
    std::size_t at = 0;
    text[at++] = '[';
    for (; *inner != 0; ++inner) {
        text[at++] = *inner;
    }
    text[at++] = ';';
    text[at++] = ' ';
    std::size_t unit = 1;
    while (n / unit >= 10) {
        unit *= 10;
    }
    for (; unit != 0; unit /= 10) {
        text[at++] = static_cast<char>('0' + n / unit % 10);
    }
    text[at] = ']';
    return text;
}

constexpr std::size_t digits(std::size_t n) { return n < 10 ? 1 : 1 + digits(n / 10); }

template <class T, class = void>
struct has_tag : std::false_type {};

template <class T>
struct has_tag<T, std::void_t<decltype(tag<T>::value)>> : std::true_type {};

/// What may lie in shared memory.
template <class T>
constexpr void must_be_plain() {
    static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T>,
                  "an address means nothing in another process: share an index or an offset");
    static_assert(!std::is_reference_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T>,
                  "shared elements are plain types");
    static_assert(std::is_trivially_copyable_v<T>,
                  "what lies in shared memory is trivially copyable: no std::string, no std::vector");
}

template <class T>
constexpr shmkit_elem element() {
    must_be_plain<T>();
    static_assert(has_tag<T>::value, "name the type for other programs: specialise shmkit::tag<T>");
    static_assert(alignof(T) <= 128, "shared elements are aligned to at most 128 bytes");
    return {sizeof(T), alignof(T), tag<T>::value};
}

} // namespace detail

template <class T>
struct tag<T, std::enable_if_t<std::is_arithmetic_v<T> || std::is_same_v<T, std::byte>>> {
    static constexpr const char *value = detail::number_tag<T>();
};

/// As the number that it is.
template <class T>
struct tag<T, std::enable_if_t<std::is_enum_v<T> && !std::is_same_v<T, std::byte>>> {
    static constexpr const char *value = tag<std::underlying_type_t<T>>::value;
};

template <class T, std::size_t N>
struct tag<std::array<T, N>> {
private:
    static constexpr std::size_t size = detail::length(tag<T>::value) + detail::digits(N) + 5;
    static constexpr std::array<char, size> text = detail::array_tag<size>(tag<T>::value, N);

public:
    static constexpr const char *value = text.data();
};

// ---- Regions and places

/// Shared memory for many objects, under one descriptor.
class region {
public:
    /// One without a name, for objects of up to `size` bytes in all. It goes to others by fork, or by its
    /// descriptor.
    explicit region(std::size_t size) : region(make(nullptr, size, SHMKIT_CREATE_EXCLUSIVE)) {}

    static region anonymous(std::size_t size) { return region(size); }

    /// The name must be free.
    static region create(const std::string &name, std::size_t size) {
        return make(name.c_str(), size, SHMKIT_CREATE_EXCLUSIVE);
    }

    /// Takes the one that has the name, whatever its size, or makes it.
    static region open_or_create(const std::string &name, std::size_t size) {
        return make(name.c_str(), size, SHMKIT_CREATE_OR_OPEN);
    }

    static region open(const std::string &name) {
        shmkit_region *out = nullptr;
        detail::check(shmkit_region_open(name.c_str(), 0, &out), "region::open");
        return adopt(out);
    }

    /// The one behind a descriptor that came from another process, which stays the caller's.
    static region from_fd(int fd) {
        shmkit_region *out = nullptr;
        detail::check(shmkit_region_from_fd(fd, 0, &out), "region::from_fd");
        return adopt(out);
    }

    /// Takes a name away from whatever has it; false if nothing has.
    static bool unlink(const std::string &name) {
        const shmkit_status status = shmkit_region_unlink(name.c_str());
        if (status == SHMKIT_ERR_NOT_FOUND) {
            return false;
        }
        detail::check(status, "region::unlink");
        return true;
    }

    /// Takes `size` zeroed bytes; returns where they are: the same in every process. They stay until
    /// `dealloc()`, also if this process dies.
    std::uint64_t alloc(std::size_t size, std::size_t align = alignof(std::max_align_t)) {
        std::uint64_t offset = 0;
        detail::check(shmkit_region_alloc(handle(), size, align, &offset), "region::alloc");
        return offset;
    }

    /// Gives them back, and their name. Nobody may use them any more.
    void dealloc(std::uint64_t offset) {
        detail::check(shmkit_region_dealloc(handle(), offset), "region::dealloc");
    }

    /// The `count` T at `offset`; null if they are not all in the region. Valid as long as this object.
    template <class T>
    T *at(std::uint64_t offset, std::size_t count = 1) const {
        detail::must_be_plain<T>();
        const std::size_t most = static_cast<std::size_t>(-1) / sizeof(T);
        void *found =
            count > most ? nullptr : shmkit_region_at(handle(), offset, count * sizeof(T));
        return offset % alignof(T) == 0 ? static_cast<T *>(found) : nullptr;
    }

    /// The offset of what lies in the region, for other processes.
    std::uint64_t offset_of(const void *inside) const {
        std::uint64_t offset = 0;
        detail::check(shmkit_region_offset(handle(), inside, &offset), "region::offset_of");
        return offset;
    }

    /// Gives bytes that were taken the name `key`, as a T or several, for others to find.
    template <class T>
    void publish(const std::string &key, std::uint64_t offset) {
        constexpr shmkit_elem elem = detail::element<T>();
        detail::check(shmkit_region_publish(handle(), key.c_str(), offset, &elem),
                      "region::publish");
    }

    /// Where the T are that were published as `key`; empty if nothing was.
    template <class T>
    std::optional<std::uint64_t> find(const std::string &key) const {
        constexpr shmkit_elem elem = detail::element<T>();
        std::uint64_t offset = 0;
        const shmkit_status status = shmkit_region_find(handle(), key.c_str(), &elem, &offset);
        if (status == SHMKIT_ERR_NOT_FOUND) {
            return std::nullopt;
        }
        detail::check(status, "region::find");
        return offset;
    }

    /// To send to another process; it stays the region's.
    int fd() const noexcept { return shmkit_region_fd(handle()); }

    /// With its tables, in bytes.
    std::size_t size() const noexcept { return shmkit_region_size(handle()); }

    /// All of it as it lies in this process. Its first bytes are tables of the library.
    bytes_view bytes() const noexcept {
        return {static_cast<const std::byte *>(shmkit_region_base(handle())), size()};
    }

    /// The handle of C, which stays this object's.
    shmkit_region *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static region adopt(shmkit_region *handle) noexcept { return region(unique(handle)); }

private:
    using unique = detail::owned<shmkit_region, shmkit_region_free>;

    explicit region(unique handle) noexcept : handle_(std::move(handle)) {}

    static region make(const char *name, std::size_t size, std::uint32_t flags) {
        shmkit_region *out = nullptr;
        detail::check(shmkit_region_create(name, size, flags, 0, &out), "region::create");
        return adopt(out);
    }

    unique handle_;
};

/// Where an object is, or is to be. It lives no longer than what it was made of: use it in one call.
class place {
public:
    /// On its own, and nobody finds it.
    place() noexcept = default;
    /// On its own, by a name.
    place(const char *name) noexcept : name_(name) {}
    place(const std::string &name) noexcept : name_(name.c_str()) {}
    /// In a region, and nobody finds it there.
    place(const region &in) noexcept : region_(in.handle()) {}
    /// In a region, by a name.
    place(const region &in, const char *name) noexcept : region_(in.handle()), name_(name) {}
    place(const region &in, const std::string &name) noexcept : place(in, name.c_str()) {}

    const shmkit_region *in() const noexcept { return region_; }
    const char *name() const noexcept { return name_; }

private:
    const shmkit_region *region_ = nullptr;
    const char *name_ = nullptr;
};

namespace detail {

/// Opens by `open` what is there, or makes it by `create`.
template <class Create, class Open>
shmkit_status open_or_create(Create create, Open open) {
    for (;;) {
        shmkit_status status = create();
        if (status != SHMKIT_ERR_EXISTS) {
            return status;
        }
        status = open();
        if (status != SHMKIT_ERR_NOT_FOUND) { // its last user has gone in between
            return status;
        }
    }
}

} // namespace detail

} // namespace shmkit

inline std::error_code make_error_code(shmkit_status status) noexcept {
    return {static_cast<int>(status), shmkit::category()};
}

#endif
