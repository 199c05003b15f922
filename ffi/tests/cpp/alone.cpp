// The headers can be included again, in any order.
#include <shmkit.hpp>
#include <shmkit.hpp>
#include <shmkit/core.hpp>
#include <shmkit/data.hpp>
#include <shmkit/message.hpp>
#include <shmkit/process.hpp>
#include <shmkit/ring.hpp>
#include <shmkit/sync.hpp>
#include <shmkit.h>

#include <array>
#include <string_view>
#include <type_traits>
#include <vector>

// The names of types for other programs.
template <class T>
constexpr std::string_view name = shmkit::tag<T>::value;

enum class color : std::uint16_t { red };

static_assert(name<char> == "u8" && name<std::byte> == "u8" && name<unsigned char> == "u8");
static_assert(name<signed char> == "i8" && name<short> == "i16" && name<int> == "i32");
static_assert(name<long> == "i64" && name<long long> == "i64" && name<std::size_t> == "u64");
static_assert(name<std::uint16_t> == "u16" && name<std::uint32_t> == "u32");
static_assert(name<float> == "f32" && name<double> == "f64" && name<bool> == "bool");
static_assert(name<color> == "u16");
static_assert(name<std::array<std::uint64_t, 4>> == "[u64; 4]");
static_assert(name<std::array<std::array<float, 16>, 120>> == "[[f32; 16]; 120]");

// Durations.
using namespace std::chrono_literals;
constexpr std::int64_t ns(shmkit::timeout t) { return t.nanoseconds(); }

static_assert(ns(shmkit::forever) == SHMKIT_FOREVER && ns(shmkit::no_wait) == SHMKIT_NO_WAIT);
static_assert(ns(1500us) == 1500000 && ns(-1s) == SHMKIT_NO_WAIT && ns(0h) == SHMKIT_NO_WAIT);
static_assert(ns(std::chrono::duration<double>(1e-12)) == 1, "rounded up");
static_assert(ns(std::chrono::hours::max()) == SHMKIT_FOREVER);
static_assert(ns(std::chrono::duration<double>(1e300)) == SHMKIT_FOREVER);

// Handles move and do not copy.
template <class T>
constexpr bool moves = std::is_nothrow_move_constructible_v<T> &&
                       std::is_nothrow_move_assignable_v<T> && !std::is_copy_constructible_v<T> &&
                       !std::is_copy_assignable_v<T>;

static_assert(moves<shmkit::region> && moves<shmkit::lock> && moves<shmkit::rlock>);
static_assert(moves<shmkit::condition> && moves<shmkit::semaphore> && moves<shmkit::event>);
static_assert(moves<shmkit::barrier> && moves<shmkit::array<int>> && moves<shmkit::value<int>>);
static_assert(moves<shmkit::queue> && moves<shmkit::joinable_queue> && moves<shmkit::pipe>);
static_assert(moves<shmkit::loan> && moves<shmkit::borrow> && moves<shmkit::job>);
static_assert(moves<shmkit::ring<int>> && moves<shmkit::producer<int>>);
static_assert(moves<shmkit::consumer<int>> && moves<shmkit::process>);
static_assert(moves<shmkit::rw_lock> && moves<shmkit::atomic_value<int>> && moves<shmkit::listener>);
static_assert(moves<shmkit::pipe_loan> && moves<shmkit::guard<int>>);
static_assert(sizeof(shmkit::lock) == sizeof(void *), "a handle and nothing else");
static_assert(sizeof(shmkit::span<int>) == 2 * sizeof(void *));

// Views of what can be viewed.
using ints = shmkit::span<int>;
using const_ints = shmkit::span<const int>;
static_assert(std::is_convertible_v<std::vector<int> &, ints>);
static_assert(std::is_convertible_v<const std::vector<int> &, const_ints>);
static_assert(std::is_convertible_v<std::array<int, 3> &, const_ints>);
static_assert(std::is_convertible_v<ints, const_ints>);
static_assert(!std::is_convertible_v<const_ints, ints>);
static_assert(!std::is_convertible_v<std::vector<long> &, const_ints>);
static_assert(!std::is_convertible_v<int *, ints>);
