// A crew of processes squares numbers: all at once, and one by itself.
#include <shmkit.hpp>

#include <iostream>
#include <numeric>
#include <vector>

int main() {
    shmkit::init();
    shmkit::pool pool(2);

    std::vector<int> numbers(10);
    std::iota(numbers.begin(), numbers.end(), 0);
    for (const long square : pool.map(numbers, [](int n) { return static_cast<long>(n) * n; })) {
        std::cout << square << ' ';
    }

    auto task = pool.submit([](int n) { return static_cast<long>(n) * n; }, 1000);
    std::cout << "and " << task.get() << '\n';

    pool.close();
    pool.join();
}
