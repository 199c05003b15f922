// Four processes fill an array and add to a value, of which the lock is not needed.
#include <shmkit.hpp>

#include <iostream>
#include <vector>

int main() {
    shmkit::init();
    shmkit::array<double> squares(8); // a Rust program opens it as Array<f64>
    shmkit::value<std::int64_t> sum(0);

    std::vector<shmkit::process> processes;
    for (std::size_t me = 0; me < 4; ++me) {
        processes.emplace_back(
            [](shmkit::array<double> &all, shmkit::value<std::int64_t> &total, std::size_t first) {
                {
                    const auto elements = all.lock();
                    for (std::size_t i = first; i < elements.size(); i += 4) {
                        elements[i] = static_cast<double>(i * i);
                    }
                }
                for (int i = 0; i < 1000; ++i) {
                    total.fetch_add(1);
                }
            },
            squares, sum, me);
    }
    for (auto &process : processes) {
        process.join();
    }
    for (const double square : squares.lock()) {
        std::cout << square << ' ';
    }
    std::cout << "and " << sum.get() << '\n';
}
