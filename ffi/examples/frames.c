/* A camera and a viewer share images without copying: each lies where it was drawn until it was seen. */
#include "example.h"
#include <string.h>

enum { WIDTH = 640, HEIGHT = 480, FRAMES = 50 };

struct frame {
    uint32_t number;
    unsigned char pixels[HEIGHT][WIDTH];
};

static int viewer(void *arg) {
    shmkit_queue *frames;
    shmkit_slot slot;
    uint32_t seen = 0;
    (void)arg;
    must(shmkit_queue_passed(0, &frames));
    while (shmkit_queue_acquire(frames, SHMKIT_FOREVER, &slot) == SHMKIT_OK) {
        const struct frame *frame = slot.data;
        if (slot.len != sizeof *frame || frame->number != seen
            || frame->pixels[HEIGHT - 1][WIDTH - 1] != (unsigned char)seen) {
            return 1;
        }
        seen++;
        must(shmkit_queue_release(frames, &slot));
    }
    shmkit_queue_free(frames);
    return seen == FRAMES ? 0 : 2;
}

int main(void) {
    shmkit_init();
    const shmkit_channel_config room = {.struct_size = sizeof room,
                                        .max_message = sizeof(struct frame), .max_messages = 4};
    shmkit_queue *frames;
    must(shmkit_queue_create(NULL, NULL, &room, &frames));
    const shmkit_handle handles[] = {{SHMKIT_HANDLE_QUEUE, frames}};
    const shmkit_process_config config = {
        .struct_size = sizeof config, .handles = handles, .handle_count = 1};
    shmkit_process *process;
    must(shmkit_process_spawn(viewer, NULL, 0, &config, &process));

    for (uint32_t n = 0; n < FRAMES; n++) {
        shmkit_slot slot;
        must(shmkit_queue_reserve(frames, sizeof(struct frame), SHMKIT_FOREVER, &slot));
        struct frame *frame = slot.data;
        frame->number = n;
        memset(frame->pixels, (int)n, sizeof frame->pixels);
        must(shmkit_queue_commit(frames, &slot, sizeof *frame));
    }
    must(shmkit_queue_close(frames));

    shmkit_exit end;
    must(shmkit_process_wait(process, SHMKIT_FOREVER, &end));
    printf("%d frames of %d x %d: the viewer ended with %d\n", FRAMES, WIDTH, HEIGHT, end.code);
    shmkit_process_free(process);
    shmkit_queue_free(frames);
    return 0;
}
