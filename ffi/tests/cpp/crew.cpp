// Pools and managers.
#include "check.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <vector>

namespace {

using namespace std::chrono_literals;

struct point {
    double x, y;
};

long square(int n) { return static_cast<long>(n) * n; }

int offset = 0;

void pools() {
    shmkit::pool pool(2);
    CHECK(pool.workers() == 2);
    std::vector<int> numbers(100);
    for (int i = 0; i < 100; ++i) {
        numbers[static_cast<std::size_t>(i)] = i;
    }
    const auto squares = pool.map(numbers, [](int n) { return static_cast<long>(n) * n; });
    CHECK(squares.size() == 100 && squares[99] == 9801);
    std::vector<long> same(100);
    pool.map<int, long, square>(numbers, same, 7);
    CHECK(same == squares);

    auto far = pool.submit([](const point &p, int by) { return point{p.x * by, p.y * by}; },
                           point{1, 2}, 3);
    CHECK(far.wait_for(LONG) && far.get().x == 3 && far.get().y == 6);
    CHECK(pool.apply([] { return 5; }) == 5);
    pool.apply([](int) {}, 1);
    THROWS(SHMKIT_ERR_BROKEN, pool.apply([](int n) {
        if (n == 1) {
            throw std::runtime_error("thrown in a worker, caught there");
        }
        return n;
    },
                                         1));
    THROWS(SHMKIT_ERR_PEER_DIED, pool.apply([] { std::abort(); }));
    CHECK(pool.apply([](int n) { return n + 1; }, 1) == 2);
    THROWS(SHMKIT_ERR_INVALID_ARGUMENT,
           (pool.map<int, long, square>(numbers, shmkit::span<long>(same).first(1))));
    pool.close();
    CHECK(pool.join(LONG));
    THROWS(SHMKIT_ERR_CLOSED, pool.apply([] { return 5; }));

    shmkit::pool_options options;
    options.max_tasks_per_worker = 3;
    options.retries = 1;
    auto prepared = shmkit::pool::with_initializer(1, options, [](int n) { offset = n; }, 100);
    CHECK(prepared.apply([](int n) { return n + offset; }, 1) == 101 && offset == 0);
    bool refused = false;
    try {
        shmkit::pool::with_initializer(1, options, [] { throw std::runtime_error("not ready"); });
    } catch (const shmkit::error &) {
        refused = true;
    }
    CHECK(refused);
}

void managers() {
    shmkit::manager manager(1 << 20);
    auto ages = manager.dict("ages");
    ages.set_value("ann", 40);
    ages.set_value("bob", 41);
    CHECK(ages.get_value<int>("ann") == 40 && !ages.get_value<int>("eve"));
    THROWS(SHMKIT_ERR_TYPE_MISMATCH, ages.get_value<long>("ann"));
    THROWS(SHMKIT_ERR_TYPE_MISMATCH, ages.get_value<char>("ann"));
    ages.update<int>("ann", [](std::optional<int> &age) { ++*age; });
    ages.update<int>("eve", [](std::optional<int> &age) { age = age.value_or(0) + 1; });
    ages.update<int>("bob", [](std::optional<int> &age) { age.reset(); });
    bool thrown = false;
    try {
        ages.update<int>("ann", [](std::optional<int> &age) {
            *age = 0;
            throw std::runtime_error("no change");
        });
    } catch (const std::runtime_error &e) {
        thrown = std::string_view(e.what()) == "no change";
    }
    CHECK(thrown && ages.get_value<int>("ann") == 41 && !ages.contains("bob"));
    std::map<std::string, std::size_t> sizes;
    ages.each([&](std::string_view key, std::string_view v) { sizes[std::string(key)] = v.size(); });
    CHECK(sizes.size() == 2 && sizes["eve"] == sizeof(int) && ages.size() == 2);
    const std::string longest(5000, 'x');
    ages.set(longest.substr(0, 500), longest);
    CHECK(ages.get(longest.substr(0, 500)) == longest);
    CHECK(ages.remove("eve") && !ages.remove("eve"));

    auto words = manager.list("words");
    words.push("one");
    words.push("three");
    words.insert(1, "two");
    words.set(0, "One");
    words.push_value(4);
    CHECK(words.size() == 4 && words.get(1) == "two" && words.get_value<int>(3) == 4);
    CHECK(!words.get(9) && words.pop()->size() == sizeof(int));
    words.remove(1);
    std::string all;
    words.each([&](std::string_view word) { all.append(word).append(" "); });
    CHECK(all == "One three ");
    words.clear();
    CHECK(!words.pop());
    THROWS(SHMKIT_ERR_TYPE_MISMATCH, manager.dict("words"));

    auto settings = manager.namespace_("settings");
    settings.set("name", "shmkit");
    settings.set_value("limit", 3.5);
    CHECK(settings.get("name") == "shmkit" && settings.get_value<double>("limit") == 3.5);
    std::vector<std::string> names;
    settings.each_name([&](std::string_view name) { names.emplace_back(name); });
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>({"limit", "name"}));
    CHECK(settings.remove("name") && !settings.contains("name") && settings.size() == 1);

    auto semaphore = shmkit::semaphore::open_or_create({manager.region(), "permits"}, 1);
    shmkit::process child(
        [](shmkit::manager &mine, shmkit::dict &dict, shmkit::list &list, shmkit::namespace_ &names_) {
            dict.set("from", "the child");
            list.push(*names_.get_value<double>("limit") > 3 ? "yes" : "no");
            shmkit::semaphore::open_or_create({mine.region(), "permits"}, 7).release();
        },
        manager, ages, words, settings);
    CHECK(child.join().ok() && ages.get("from") == "the child" && words.pop() == "yes");
    CHECK(semaphore.value() == 2);
}

} // namespace

int main() {
    shmkit::init();
    pools();
    managers();
    return 0;
}
