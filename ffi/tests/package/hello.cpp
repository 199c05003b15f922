// A program in C++ that uses the package.
#include <shmkit.hpp>

#include <iostream>

int main() {
    shmkit::queue queue;
    if (!queue.put("hello from C++")) {
        return 1;
    }
    std::cout << *queue.get_string() << '\n';
    return 0;
}
