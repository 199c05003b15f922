// A camera and a viewer share images without copying: each lies where it was drawn until it was seen.
#include <shmkit.hpp>

#include <cstring>
#include <iostream>

constexpr std::uint32_t width = 640, height = 480, count = 50;

struct frame {
    std::uint32_t number;
    unsigned char pixels[height][width];
};

int main() {
    shmkit::init();
    shmkit::queue_options room;
    room.max_message = sizeof(frame);
    room.max_messages = 4;
    shmkit::queue frames(room);

    shmkit::process viewer(
        [](shmkit::queue &mine) {
            std::uint32_t seen = 0;
            while (const auto message = mine.acquire()) {
                const auto &image = message->as<frame>();
                if (image.number != seen || image.pixels[height - 1][width - 1] != seen) {
                    return 1;
                }
                ++seen;
            }
            return seen == count ? 0 : 2;
        },
        frames);

    for (std::uint32_t n = 0; n < count; ++n) {
        auto loan = frames.reserve(sizeof(frame));
        auto &image = *static_cast<frame *>(static_cast<void *>(loan->bytes().data()));
        image.number = n;
        std::memset(image.pixels, static_cast<int>(n), sizeof image.pixels);
        loan->commit();
    }
    frames.close();
    std::cout << count << " frames of " << width << " x " << height << ": the viewer ended with "
              << viewer.join().code << '\n';
}
