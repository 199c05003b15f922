/* A program with two archives that were made by Rust. */
#include <shmkit.h>
#include <stdio.h>

extern int other_answer(void);

int main(void) {
    shmkit_lock *lock;
    if (shmkit_lock_create(NULL, NULL, 0, &lock) != SHMKIT_OK) {
        return 1;
    }
    shmkit_lock_free(lock);
    printf("%d\n", other_answer());
    return 0;
}
