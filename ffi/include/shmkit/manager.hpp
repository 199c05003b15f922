// Managers: named containers and other objects in one region, without a server.

#ifndef SHMKIT_MANAGER_HPP
#define SHMKIT_MANAGER_HPP

#include "process.hpp"

#include <exception>

namespace shmkit {

/// Bytes that a container takes: text, or any bytes. Lives as long as what it was made of.
class blob {
public:
    blob(const char *text) noexcept : blob(std::string_view(text)) {}
    blob(const std::string &text) noexcept : blob(std::string_view(text)) {}
    blob(std::string_view text) noexcept : data_(text.data()), size_(text.size()) {}
    blob(bytes_view bytes) noexcept : data_(bytes.data()), size_(bytes.size()) {}

    /// The bytes of a plain value.
    template <class T>
    static blob of(const T &v) noexcept {
        detail::must_be_plain<T>();
        return blob(bytes_view(reinterpret_cast<const std::byte *>(&v), sizeof v));
    }

    const void *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

private:
    const void *data_;
    std::size_t size_;
};

namespace detail {

/// Calls `get(buffer, size, &len)` until the buffer is large enough; empty if there is nothing.
template <class Get>
std::optional<std::string> all_of(Get get, const char *where) {
    std::string out(256, '\0');
    for (;;) {
        std::size_t len = 0;
        const shmkit_status status = get(static_cast<void *>(out.data()), out.size(), &len);
        if (status == SHMKIT_ERR_NOT_FOUND) {
            return std::nullopt;
        }
        if (status != SHMKIT_ERR_BUFFER_TOO_SMALL) {
            check(status, where);
            out.resize(len);
            return out;
        }
        out.resize(len); // it may be another one next time
    }
}

template <class T, class Get>
std::optional<T> one_of(Get get, const char *where) {
    must_be_plain<T>();
    room<T> out;
    std::size_t len = 0;
    const shmkit_status status = get(static_cast<void *>(&out), sizeof(T), &len);
    if (status == SHMKIT_ERR_NOT_FOUND) {
        return std::nullopt;
    }
    if (status == SHMKIT_ERR_BUFFER_TOO_SMALL || (status == SHMKIT_OK && len != sizeof(T))) {
        refuse(SHMKIT_ERR_TYPE_MISMATCH, where);
    }
    check(status, where);
    return out.value;
}

/// True, or false if there is none.
inline bool there(shmkit_status status, const char *where) {
    if (status == SHMKIT_ERR_NOT_FOUND) {
        return false;
    }
    check(status, where);
    return true;
}

/// Takes an `F` through C, and what it throws back.
template <class F>
struct courier {
    explicit courier(F &carried) noexcept : f(carried) {}

    F &f;
#if defined(__cpp_exceptions)
    std::exception_ptr thrown;
#endif

    template <class Call>
    int run(Call call) noexcept {
#if defined(__cpp_exceptions)
        try {
            call(f);
            return 0;
        } catch (...) {
            thrown = std::current_exception();
            return 1;
        }
#else
        call(f);
        return 0;
#endif
    }

    void finish() {
#if defined(__cpp_exceptions)
        if (thrown) {
            std::rethrow_exception(thrown);
        }
#endif
    }
};

inline std::string_view text_of(const void *data, std::size_t len) noexcept {
    return {static_cast<const char *>(data), len};
}

/// `f(key, value)`.
template <class F>
int visit_entry(void *ctx, const void *key, std::size_t key_len, const void *data,
                std::size_t len) noexcept {
    return static_cast<courier<F> *>(ctx)->run(
        [&](F &f) { f(text_of(key, key_len), text_of(data, len)); });
}

/// `f(value)`.
template <class F>
int visit_element(void *ctx, const void *, std::size_t, const void *data,
                  std::size_t len) noexcept {
    return static_cast<courier<F> *>(ctx)->run([&](F &f) { f(text_of(data, len)); });
}

/// `f(key)`.
template <class F>
int visit_name(void *ctx, const void *key, std::size_t key_len, const void *,
               std::size_t) noexcept {
    return static_cast<courier<F> *>(ctx)->run([&](F &f) { f(text_of(key, key_len)); });
}

/// `f(std::optional<T> &)`.
template <class T, class F>
int edit_value(void *ctx, void *data, std::size_t cap, std::size_t *len, bool *present) noexcept {
    return static_cast<courier<F> *>(ctx)->run([&](F &f) {
        std::optional<T> edited;
        if (*present) {
            if (*len != sizeof(T)) {
                refuse(SHMKIT_ERR_TYPE_MISMATCH, "dict::update: a value of another size");
            }
            room<T> old;
            std::memcpy(&old, data, sizeof(T));
            edited = old.value;
        }
        f(edited);
        *present = edited.has_value();
        if (edited && cap >= sizeof(T)) {
            std::memcpy(data, &*edited, sizeof(T));
            *len = sizeof(T);
        }
    });
}

} // namespace detail

/// A dictionary from bytes to bytes. Any thread of any process may use it at once. Rust has it as
/// `Dict<Vec<u8>, Vec<u8>>`.
class dict {
    auto getter(const blob &key) const {
        return [this, key](void *buffer, std::size_t cap, std::size_t *len) {
            return shmkit_dict_get(handle(), key.data(), key.size(), buffer, cap, len);
        };
    }

public:
    /// Sets the value of a key, and replaces the one that is there. All or nothing, also if this process
    /// dies.
    void set(const blob &key, const blob &v) {
        const shmkit_status status =
            shmkit_dict_set(handle(), key.data(), key.size(), v.data(), v.size());
        detail::check(status, "dict::set");
    }

    template <class T>
    void set_value(const blob &key, const T &v) {
        set(key, blob::of(v));
    }

    /// The value; empty if there is none.
    std::optional<std::string> get(const blob &key) const {
        return detail::all_of(getter(key), "dict::get");
    }

    /// Throws with SHMKIT_ERR_TYPE_MISMATCH if the value has another size.
    template <class T>
    std::optional<T> get_value(const blob &key) const {
        return detail::one_of<T>(getter(key), "dict::get_value: a value of another size");
    }

    bool contains(const blob &key) const {
        return detail::there(shmkit_dict_contains(handle(), key.data(), key.size()),
                             "dict::contains");
    }

    /// Whether there was a value.
    bool remove(const blob &key) {
        return detail::there(shmkit_dict_remove(handle(), key.data(), key.size()), "dict::remove");
    }

    /// Lets `f(std::optional<T> &)` edit the value of a key, or make or remove it, while nobody else changes
    /// it. `f` must not use the dict. If `f` throws, nothing changes.
    template <class T, class F>
    void update(const blob &key, F f) {
        detail::must_be_plain<T>();
        detail::courier<F> ctx(f);
        const shmkit_status status = shmkit_dict_update(handle(), key.data(), key.size(), sizeof(T),
                                                        detail::edit_value<T, F>, &ctx);
        ctx.finish();
        detail::check(status, "dict::update");
    }

    /// Shows all entries, as they are at one moment, to `f(std::string_view key, std::string_view value)`.
    template <class F>
    void each(F f) const {
        detail::courier<F> ctx(f);
        const shmkit_status status = shmkit_dict_each(handle(), detail::visit_entry<F>, &ctx);
        ctx.finish();
        detail::check(status, "dict::each");
    }

    /// Stale at once.
    std::size_t size() const noexcept { return shmkit_dict_len(handle()); }
    void clear() { detail::check(shmkit_dict_clear(handle()), "dict::clear"); }

    /// The handle of C, which stays this object's.
    shmkit_dict *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static dict adopt(shmkit_dict *handle) noexcept { return dict(unique(handle)); }

private:
    using unique = detail::owned<shmkit_dict, shmkit_dict_free>;

    explicit dict(unique handle) noexcept : handle_(std::move(handle)) {}

    unique handle_;
};

/// A list of bytes. Any thread of any process may use it at once. Rust has it as `List<Vec<u8>>`.
class list {
    auto getter(std::size_t index) const {
        return [this, index](void *buffer, std::size_t cap, std::size_t *len) {
            return shmkit_list_get(handle(), index, buffer, cap, len);
        };
    }

public:
    void push(const blob &v) {
        detail::check(shmkit_list_push(handle(), v.data(), v.size()), "list::push");
    }

    template <class T>
    void push_value(const T &v) {
        push(blob::of(v));
    }

    /// Removes the last element; empty if there is none.
    std::optional<std::string> pop() {
        return detail::all_of(
            [this](void *buffer, std::size_t cap, std::size_t *len) {
                return shmkit_list_pop(handle(), buffer, cap, len);
            },
            "list::pop");
    }

    /// Empty if there is no such element.
    std::optional<std::string> get(std::size_t index) const {
        return detail::all_of(getter(index), "list::get");
    }

    /// Throws with SHMKIT_ERR_TYPE_MISMATCH if the element has another size.
    template <class T>
    std::optional<T> get_value(std::size_t index) const {
        return detail::one_of<T>(getter(index), "list::get_value: an element of another size");
    }

    /// Throws with SHMKIT_ERR_INVALID_ARGUMENT if there is no such element.
    void set(std::size_t index, const blob &v) {
        detail::check(shmkit_list_set(handle(), index, v.data(), v.size()), "list::set");
    }

    /// Before the one at `index`, or at the end.
    void insert(std::size_t index, const blob &v) {
        detail::check(shmkit_list_insert(handle(), index, v.data(), v.size()), "list::insert");
    }

    void remove(std::size_t index) {
        detail::check(shmkit_list_remove(handle(), index), "list::remove");
    }

    /// Shows all elements, as they are at one moment, to `f(std::string_view)`, in order.
    template <class F>
    void each(F f) const {
        detail::courier<F> ctx(f);
        const shmkit_status status = shmkit_list_each(handle(), detail::visit_element<F>, &ctx);
        ctx.finish();
        detail::check(status, "list::each");
    }

    /// Stale at once.
    std::size_t size() const noexcept { return shmkit_list_len(handle()); }
    void clear() { detail::check(shmkit_list_clear(handle()), "list::clear"); }

    /// The handle of C, which stays this object's.
    shmkit_list *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static list adopt(shmkit_list *handle) noexcept { return list(unique(handle)); }

private:
    using unique = detail::owned<shmkit_list, shmkit_list_free>;

    explicit list(unique handle) noexcept : handle_(std::move(handle)) {}

    unique handle_;
};

/// Values by name, for settings and the like. Any thread of any process may use it at once. Rust gets and
/// sets the same values as `Vec<u8>`.
class namespace_ {
    auto getter(const std::string &name) const {
        return [this, &name](void *buffer, std::size_t cap, std::size_t *len) {
            return shmkit_namespace_get(handle(), name.c_str(), buffer, cap, len);
        };
    }

public:
    void set(const std::string &name, const blob &v) {
        const shmkit_status status =
            shmkit_namespace_set(handle(), name.c_str(), v.data(), v.size());
        detail::check(status, "namespace_::set");
    }

    template <class T>
    void set_value(const std::string &name, const T &v) {
        set(name, blob::of(v));
    }

    /// Empty if nothing has the name.
    std::optional<std::string> get(const std::string &name) const {
        return detail::all_of(getter(name), "namespace_::get");
    }

    /// Throws with SHMKIT_ERR_TYPE_MISMATCH if the value has another size.
    template <class T>
    std::optional<T> get_value(const std::string &name) const {
        return detail::one_of<T>(getter(name), "namespace_::get_value: a value of another size");
    }

    bool contains(const std::string &name) const {
        return detail::there(shmkit_namespace_contains(handle(), name.c_str()),
                             "namespace_::contains");
    }

    /// Whether there was a value.
    bool remove(const std::string &name) {
        return detail::there(shmkit_namespace_remove(handle(), name.c_str()), "namespace_::remove");
    }

    /// Shows all names to `f(std::string_view)`.
    template <class F>
    void each_name(F f) const {
        detail::courier<F> ctx(f);
        const shmkit_status status = shmkit_namespace_each(handle(), detail::visit_name<F>, &ctx);
        ctx.finish();
        detail::check(status, "namespace_::each_name");
    }

    /// Stale at once.
    std::size_t size() const noexcept { return shmkit_namespace_len(handle()); }
    void clear() { detail::check(shmkit_namespace_clear(handle()), "namespace_::clear"); }

    /// The handle of C, which stays this object's.
    shmkit_namespace *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static namespace_ adopt(shmkit_namespace *handle) noexcept {
        return namespace_(unique(handle));
    }

private:
    using unique = detail::owned<shmkit_namespace, shmkit_namespace_free>;

    explicit namespace_(unique handle) noexcept : handle_(std::move(handle)) {}

    unique handle_;
};

/// Named objects and containers in one region, without a server: what is asked for under a key is made if
/// it is not there. Any thread of any process may use it at once.
class manager {
public:
    /// Nobody finds it. With room for `capacity` bytes in containers, and as many in other objects, which is
    /// address space; 0: 1 GiB.
    explicit manager(std::size_t capacity = 0) : manager(make(nullptr, capacity)) {}

    /// The name must be free.
    static manager create(const std::string &name, std::size_t capacity = 0) {
        return make(name.c_str(), capacity);
    }

    static manager open(const std::string &name) {
        shmkit_manager *out = nullptr;
        detail::check(shmkit_manager_open(name.c_str(), &out), "manager::open");
        return adopt(out);
    }

    shmkit::dict dict(const std::string &key) {
        shmkit_dict *out = nullptr;
        detail::check(shmkit_manager_dict(handle(), key.c_str(), &out), "manager::dict");
        return shmkit::dict::adopt(out);
    }

    shmkit::list list(const std::string &key) {
        shmkit_list *out = nullptr;
        detail::check(shmkit_manager_list(handle(), key.c_str(), &out), "manager::list");
        return shmkit::list::adopt(out);
    }

    shmkit::namespace_ namespace_(const std::string &key) {
        shmkit_namespace *out = nullptr;
        detail::check(shmkit_manager_namespace(handle(), key.c_str(), &out), "manager::namespace_");
        return shmkit::namespace_::adopt(out);
    }

    /// Where its objects lie: `queue::open_or_create({m.region(), "jobs"})` is what `manager.queue("jobs")`
    /// is in Rust.
    shmkit::region region() const {
        shmkit_region *out = nullptr;
        detail::check(shmkit_manager_region(handle(), &out), "manager::region");
        return shmkit::region::adopt(out);
    }

    /// The handle of C, which stays this object's.
    shmkit_manager *handle() const noexcept { return handle_.get(); }

    /// Takes over a handle of C.
    static manager adopt(shmkit_manager *handle) noexcept { return manager(unique(handle)); }

private:
    using unique = detail::owned<shmkit_manager, shmkit_manager_free>;

    explicit manager(unique handle) noexcept : handle_(std::move(handle)) {}

    static manager make(const char *name, std::size_t capacity) {
        shmkit_manager *out = nullptr;
        detail::check(shmkit_manager_create(name, capacity, &out), "manager::create");
        return adopt(out);
    }

    unique handle_;
};

namespace detail {

template <>
struct passing<manager>
    : passing_as<manager, shmkit_manager, SHMKIT_HANDLE_MANAGER, shmkit_manager_passed> {};
template <>
struct passing<dict> : passing_as<dict, shmkit_dict, SHMKIT_HANDLE_DICT, shmkit_dict_passed> {};
template <>
struct passing<list> : passing_as<list, shmkit_list, SHMKIT_HANDLE_LIST, shmkit_list_passed> {};
template <>
struct passing<namespace_> : passing_as<namespace_, shmkit_namespace, SHMKIT_HANDLE_NAMESPACE,
                                        shmkit_namespace_passed> {};

} // namespace detail

} // namespace shmkit

#endif
