//! The structs that C sees, byte by byte: asserted here, and by `tests/compile.rs` of the header.

#![cfg(target_pointer_width = "64")]

use crate::args::shmkit_elem;
use crate::loans::shmkit_slot;
use crate::passed::shmkit_handle;
use crate::pool::shmkit_pool_config;
use crate::process::{shmkit_exit, shmkit_process_config};
use crate::queue::{shmkit_buf, shmkit_channel_config, shmkit_stats};
use crate::ring::shmkit_ring_view;

macro_rules! layout {
    ($([$name:ident is $size:literal] $($field:ident of $of:ident at $offset:literal;)*)*) => {
        const _: () = {
            $(
                assert!(size_of::<$name>() == $size);
                $(assert!(std::mem::offset_of!($of, $field) == $offset);)*
            )*
        };
    };
}

layout! {
    [shmkit_elem is 24]
    size of shmkit_elem at 0;
    align of shmkit_elem at 8;
    tag of shmkit_elem at 16;
    [shmkit_slot is 32]
    data of shmkit_slot at 0;
    len of shmkit_slot at 8;
    token of shmkit_slot at 16;
    [shmkit_channel_config is 48]
    struct_size of shmkit_channel_config at 0;
    flags of shmkit_channel_config at 8;
    capacity of shmkit_channel_config at 16;
    max_message of shmkit_channel_config at 24;
    max_messages of shmkit_channel_config at 32;
    tag of shmkit_channel_config at 40;
    [shmkit_buf is 16]
    data of shmkit_buf at 0;
    len of shmkit_buf at 8;
    [shmkit_stats is 32]
    capacity of shmkit_stats at 0;
    len of shmkit_stats at 8;
    max_inline of shmkit_stats at 16;
    closed of shmkit_stats at 24;
    [shmkit_ring_view is 48]
    head of shmkit_ring_view at 0;
    tail of shmkit_ring_view at 8;
    data of shmkit_ring_view at 16;
    mask of shmkit_ring_view at 24;
    stride of shmkit_ring_view at 32;
    layout of shmkit_ring_view at 40;
    [shmkit_handle is 16]
    kind of shmkit_handle at 0;
    object of shmkit_handle at 8;
    [shmkit_process_config is 48]
    struct_size of shmkit_process_config at 0;
    flags of shmkit_process_config at 8;
    name of shmkit_process_config at 16;
    cpu of shmkit_process_config at 24;
    handles of shmkit_process_config at 32;
    handle_count of shmkit_process_config at 40;
    [shmkit_exit is 8]
    code of shmkit_exit at 0;
    signal of shmkit_exit at 4;
    [shmkit_pool_config is 32]
    struct_size of shmkit_pool_config at 0;
    max_tasks_per_worker of shmkit_pool_config at 8;
    retries of shmkit_pool_config at 16;
    arena_bytes of shmkit_pool_config at 24;
}
