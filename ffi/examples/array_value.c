/* Four processes fill an array and add to a value, of which the lock is not needed. */
#include "example.h"

static int fill(void *arg) {
    const int me = *(const int *)arg;
    shmkit_array *squares, *sum;
    void *data;
    must(shmkit_array_passed(0, &squares));
    must(shmkit_array_passed(1, &sum));

    must(shmkit_array_lock(squares, SHMKIT_FOREVER, &data));
    double *square = data;
    for (int i = me; i < 8; i += 4) square[i] = (double)i * i;
    must(shmkit_array_unlock(squares));

    for (int i = 0; i < 1000; i++) must(shmkit_array_add_i64(sum, 0, 1, NULL));
    shmkit_array_free(squares);
    shmkit_array_free(sum);
    return 0;
}

int main(void) {
    shmkit_init();
    /* The tags are the names that Rust gives these types: a Rust program opens Array<f64>. */
    const shmkit_elem f64 = {sizeof(double), _Alignof(double), "f64"};
    const shmkit_elem i64 = {sizeof(int64_t), _Alignof(int64_t), "i64"};
    shmkit_array *squares, *sum;
    must(shmkit_array_create(NULL, NULL, &f64, 8, 0, &squares));
    must(shmkit_array_create(NULL, NULL, &i64, 1, 0, &sum));

    const shmkit_handle handles[] = {{SHMKIT_HANDLE_ARRAY, squares}, {SHMKIT_HANDLE_ARRAY, sum}};
    const shmkit_process_config config = {
        .struct_size = sizeof config, .handles = handles, .handle_count = 2};
    shmkit_process *processes[4];
    for (int i = 0; i < 4; i++) must(shmkit_process_spawn(fill, &i, sizeof i, &config, &processes[i]));
    for (int i = 0; i < 4; i++) {
        must(shmkit_process_wait(processes[i], SHMKIT_FOREVER, NULL));
        shmkit_process_free(processes[i]);
    }

    double copy[8];
    int64_t total;
    must(shmkit_array_read(squares, 0, 8, copy));
    must(shmkit_array_load_i64(sum, 0, &total));
    for (int i = 0; i < 8; i++) printf("%g ", copy[i]);
    printf("and %lld\n", (long long)total);
    shmkit_array_free(squares);
    shmkit_array_free(sum);
    return 0;
}
