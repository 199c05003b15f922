/* Managers: containers of bytes, and objects under keys. */
#include "suites.h"

static int count_two(void *ctx, void *data, size_t cap, size_t *len, bool *present) {
    (void)ctx;
    uint64_t number = 0;
    CHECK(cap >= sizeof number);
    if (*present) {
        CHECK(*len == sizeof number);
        memcpy(&number, data, sizeof number);
    }
    number += 2;
    memcpy(data, &number, sizeof number);
    *len = sizeof number;
    *present = true;
    return 0;
}

static int gives_up(void *ctx, void *data, size_t cap, size_t *len, bool *present) {
    (void)ctx, (void)data, (void)cap, (void)len;
    *present = false;
    return 1;
}

static int add_lengths(void *ctx, const void *key, size_t key_len, const void *data, size_t len) {
    (void)key, (void)data;
    *(size_t *)ctx += key_len + len;
    return 0;
}

static int stops(void *ctx, const void *key, size_t key_len, const void *data, size_t len) {
    (void)key, (void)data, (void)key_len, (void)len;
    *(size_t *)ctx += 1;
    return 1;
}

static void dicts(shmkit_manager *manager) {
    shmkit_dict *dict;
    char text[16];
    size_t len, sum = 0;
    OK(shmkit_manager_dict(manager, "dict", &dict));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_dict_get(dict, "a", 1, text, sizeof text, &len));
    OK(shmkit_dict_set(dict, "a", 1, "one", 3));
    OK(shmkit_dict_set(dict, "a", 1, "two!", 4));
    OK(shmkit_dict_get(dict, "a", 1, text, sizeof text, &len));
    CHECK(len == 4 && memcmp(text, "two!", 4) == 0 && shmkit_dict_len(dict) == 1);
    EXPECT(SHMKIT_ERR_BUFFER_TOO_SMALL, shmkit_dict_get(dict, "a", 1, text, 3, &len));
    CHECK(len == 4);
    OK(shmkit_dict_contains(dict, "a", 1));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_dict_contains(dict, "b", 1));
    OK(shmkit_dict_update(dict, "count", 5, 8, count_two, NULL));
    OK(shmkit_dict_update(dict, "count", 5, 8, count_two, NULL));
    EXPECT(SHMKIT_ERR_BROKEN, shmkit_dict_update(dict, "count", 5, 8, gives_up, NULL));
    uint64_t four;
    OK(shmkit_dict_get(dict, "count", 5, &four, sizeof four, &len));
    CHECK(four == 4 && len == 8);
    OK(shmkit_dict_each(dict, add_lengths, &sum));
    CHECK(sum == 1 + 4 + 5 + 8);
    sum = 0;
    OK(shmkit_dict_each(dict, stops, &sum));
    CHECK(sum == 1);
    OK(shmkit_dict_remove(dict, "a", 1));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_dict_remove(dict, "a", 1));
    OK(shmkit_dict_clear(dict));
    CHECK(shmkit_dict_len(dict) == 0);
    shmkit_dict_free(dict);
}

static void lists(shmkit_manager *manager) {
    shmkit_list *list;
    char text[16];
    size_t len, sum = 0;
    OK(shmkit_manager_list(manager, "list", &list));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_list_pop(list, text, sizeof text, &len));
    OK(shmkit_list_push(list, "b", 1));
    OK(shmkit_list_push(list, "ccc", 3));
    OK(shmkit_list_insert(list, 0, "aa", 2));
    OK(shmkit_list_get(list, 0, text, sizeof text, &len));
    CHECK(len == 2 && memcmp(text, "aa", 2) == 0);
    OK(shmkit_list_set(list, 1, "bbbb", 4));
    EXPECT(SHMKIT_ERR_INVALID_ARGUMENT, shmkit_list_set(list, 3, "x", 1));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_list_get(list, 3, text, sizeof text, &len));
    OK(shmkit_list_each(list, add_lengths, &sum));
    CHECK(sum == 3 * sizeof(size_t) + 2 + 4 + 3);
    EXPECT(SHMKIT_ERR_BUFFER_TOO_SMALL, shmkit_list_pop(list, text, 1, &len));
    CHECK(len == 3 && shmkit_list_len(list) == 3);
    OK(shmkit_list_pop(list, text, sizeof text, &len));
    CHECK(len == 3 && memcmp(text, "ccc", 3) == 0);
    OK(shmkit_list_remove(list, 0));
    CHECK(shmkit_list_len(list) == 1);
    OK(shmkit_list_clear(list));
    shmkit_list_free(list);
}

static void namespaces(shmkit_manager *manager) {
    shmkit_namespace *space;
    shmkit_dict *dict;
    char text[16];
    size_t len, sum = 0;
    OK(shmkit_manager_namespace(manager, "space", &space));
    EXPECT(SHMKIT_ERR_TYPE_MISMATCH, shmkit_manager_dict(manager, "space", &dict));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_namespace_get(space, "x", text, sizeof text, &len));
    OK(shmkit_namespace_set(space, "x", "value", 5));
    OK(shmkit_namespace_get(space, "x", text, sizeof text, &len));
    CHECK(len == 5 && memcmp(text, "value", 5) == 0);
    OK(shmkit_namespace_contains(space, "x"));
    OK(shmkit_namespace_each(space, add_lengths, &sum));
    CHECK(sum == 1 && shmkit_namespace_len(space) == 1);
    OK(shmkit_namespace_remove(space, "x"));
    EXPECT(SHMKIT_ERR_NOT_FOUND, shmkit_namespace_remove(space, "x"));
    OK(shmkit_namespace_clear(space));
    shmkit_namespace_free(space);
}

void managers(void) {
    shmkit_manager *manager;
    OK(shmkit_manager_create(NULL, 1 << 20, &manager));
    dicts(manager);
    lists(manager);
    namespaces(manager);

    shmkit_region *region;
    shmkit_queue *queue, *same;
    shmkit_channel_config config = {0};
    config.struct_size = sizeof config;
    config.flags = SHMKIT_CREATE_OR_OPEN;
    config.max_messages = 4;
    OK(shmkit_manager_region(manager, &region));
    OK(shmkit_queue_create(region, "queue", &config, &queue));
    OK(shmkit_queue_create(region, "queue", &config, &same));
    OK(shmkit_queue_put(queue, "x", 1, LONG));
    CHECK(shmkit_queue_len(same) == 1);
    shmkit_queue_free(queue);
    shmkit_queue_free(same);
    shmkit_region_free(region);
    shmkit_manager_free(manager);
}
