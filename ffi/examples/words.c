/* Words go through a queue to two workers, who count the letters. */
#include "example.h"
#include <string.h>

static int worker(void *arg) {
    shmkit_queue *words;
    shmkit_array *letters;
    shmkit_slot word;
    (void)arg;
    must(shmkit_queue_passed(0, &words));
    must(shmkit_array_passed(1, &letters));
    /* Read where it lies; should this process die now, the other worker gets the word. */
    while (shmkit_queue_acquire(words, SHMKIT_FOREVER, &word) == SHMKIT_OK) {
        must(shmkit_array_add_i64(letters, 0, (int64_t)word.len, NULL));
        must(shmkit_queue_release(words, &word));
    }
    shmkit_queue_free(words);
    shmkit_array_free(letters);
    return 0;
}

int main(void) {
    shmkit_init();
    static const char text[] = "shared memory is the fastest way to talk to a neighbour";
    const shmkit_elem u64 = {sizeof(uint64_t), _Alignof(uint64_t), "u64"};
    shmkit_queue *words;
    shmkit_array *letters;
    must(shmkit_queue_create(NULL, NULL, NULL, &words));
    must(shmkit_array_create(NULL, NULL, &u64, 1, 0, &letters));

    const shmkit_handle handles[] = {{SHMKIT_HANDLE_QUEUE, words}, {SHMKIT_HANDLE_ARRAY, letters}};
    const shmkit_process_config config = {
        .struct_size = sizeof config, .handles = handles, .handle_count = 2};
    shmkit_process *workers[2];
    for (int i = 0; i < 2; i++) must(shmkit_process_spawn(worker, NULL, 0, &config, &workers[i]));

    int count = 0;
    for (const char *at = text; *at != '\0'; at += strspn(at, " "), count++) {
        const size_t len = strcspn(at, " ");
        must(shmkit_queue_put(words, at, len, SHMKIT_FOREVER));
        at += len;
    }
    must(shmkit_queue_close(words)); /* what is in it is still got */
    for (int i = 0; i < 2; i++) {
        must(shmkit_process_wait(workers[i], SHMKIT_FOREVER, NULL));
        shmkit_process_free(workers[i]);
    }

    int64_t sum;
    must(shmkit_array_load_i64(letters, 0, &sum));
    printf("%d words, %lld letters\n", count, (long long)sum);
    shmkit_queue_free(words);
    shmkit_array_free(letters);
    return 0;
}
