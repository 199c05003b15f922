// What does not compile, one at a time, and beside it the same done right.
#include <shmkit.hpp>

#include <string>

struct nameless {
    int x;
};
struct named {
    int x;
};

template <>
struct shmkit::tag<named> {
    static constexpr const char *value = "named";
};

void all(int captured);

void all(int captured) {
    static_cast<void>(captured);
#if defined(POINTERS)
    shmkit::array<int *> addresses(1);
#elif defined(POINTERS_DONE_RIGHT)
    shmkit::array<std::size_t> indices(1);
#elif defined(STRINGS)
    shmkit::value<std::string> text;
#elif defined(STRINGS_DONE_RIGHT)
    shmkit::array<char> text(20);
#elif defined(NAMELESS)
    shmkit::value<nameless> value;
#elif defined(NAMELESS_DONE_RIGHT)
    shmkit::value<named> value;
#elif defined(CAPTURES)
    shmkit::process([captured] { return captured; });
#elif defined(CAPTURES_DONE_RIGHT)
    shmkit::process([](int passed) { return passed; }, captured);
#elif defined(ENDS)
    auto ends = shmkit::pipe::make();
    shmkit::process([](shmkit::pipe) {}, ends.first);
#elif defined(ENDS_DONE_RIGHT)
    auto ends = shmkit::pipe::make();
    shmkit::process([](shmkit::pipe) {}, std::move(ends.first));
#elif defined(TASKS)
    shmkit::pool().submit([&captured] { return captured; });
#elif defined(TASKS_DONE_RIGHT)
    shmkit::pool().submit([](int passed) { return passed; }, captured);
#elif defined(DANGLING)
    shmkit::array<int> numbers(1);
    for (int &number : numbers.lock().elements()) {
        ++number;
    }
#elif defined(DANGLING_DONE_RIGHT)
    shmkit::array<int> numbers(1);
    for (int &number : numbers.lock()) {
        ++number;
    }
#endif
}
