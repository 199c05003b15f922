// A child answers what it is sent, in capital letters, until the pipe ends.
#include <shmkit.hpp>

#include <cctype>
#include <iostream>

int main() {
    shmkit::init(); // first: a child does not come back from here

    auto [here, there] = shmkit::pipe::make();
    shmkit::process child(
        [](shmkit::pipe pipe) {
            while (auto text = pipe.recv_string()) {
                for (char &c : *text) {
                    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
                }
                pipe.send(*text);
            }
        },
        std::move(there));

    here.send("hello");
    std::cout << here.recv_string().value_or("nobody answers") << '\n';
    here.close(); // the end, for the child
    std::cout << "the child ended with " << child.join().code << '\n';
}
