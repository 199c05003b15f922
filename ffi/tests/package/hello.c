/* A program in C that uses the package. */
#include <shmkit.h>
#include <stdio.h>

int main(void) {
    shmkit_queue *queue;
    char word[16];
    size_t len;
    if (shmkit_version() != SHMKIT_VERSION || shmkit_queue_create(NULL, NULL, NULL, &queue) != SHMKIT_OK
        || shmkit_queue_put(queue, "hello from C", 12, SHMKIT_FOREVER) != SHMKIT_OK
        || shmkit_queue_get(queue, word, sizeof word, &len, SHMKIT_FOREVER) != SHMKIT_OK) {
        fprintf(stderr, "%s\n", shmkit_last_error());
        return 1;
    }
    printf("%.*s\n", (int)len, word);
    shmkit_queue_free(queue);
    return 0;
}
