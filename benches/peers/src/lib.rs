//! shmkit beside its peers: `benches` compares speed, `tests` behaviour.

/// The queues of Boost, between processes that were forked after they were made.
#[cfg(boost)]
pub mod boost {
    use std::ffi::c_void;

    #[repr(C)]
    struct Handle {
        queue: *mut c_void,
        push: Option<extern "C" fn(*mut c_void, *const c_void) -> bool>,
        pop: Option<extern "C" fn(*mut c_void, *mut c_void) -> bool>,
    }

    unsafe extern "C" {
        fn boost_lockfree(words: usize) -> Handle;
        fn boost_message_queue(capacity: usize, bytes: usize) -> *mut c_void;
        fn boost_message_queue_push(
            queue: *mut c_void,
            item: *const c_void,
            bytes: usize,
            waits: bool,
        ) -> bool;
        fn boost_message_queue_pop(
            queue: *mut c_void,
            item: *mut c_void,
            bytes: usize,
            waits: bool,
        ) -> bool;
    }

    /// `boost::lockfree::queue`, with nodes that were made in advance.
    pub struct Lockfree<const W: usize>(Handle);

    impl<const W: usize> Lockfree<W> {
        /// `None` for items of other sizes than 1, 8 and 128 words.
        pub fn new() -> Option<Self> {
            // SAFETY: no conditions; the queue lives for good.
            let handle = unsafe { boost_lockfree(W) };
            (!handle.queue.is_null()).then_some(Lockfree(handle))
        }

        #[inline]
        pub fn try_push(&self, item: &[u64; W]) -> bool {
            self.0.push.is_some_and(|push| push(self.0.queue, item.as_ptr().cast()))
        }

        #[inline]
        pub fn try_pop(&self, item: &mut [u64; W]) -> bool {
            self.0.pop.is_some_and(|pop| pop(self.0.queue, item.as_mut_ptr().cast()))
        }
    }

    /// `boost::interprocess::message_queue`.
    #[derive(Clone, Copy)]
    pub struct MessageQueue<const W: usize>(*mut c_void);

    impl<const W: usize> MessageQueue<W> {
        pub fn new(capacity: usize) -> Option<Self> {
            // SAFETY: no conditions; the queue lives for good.
            let queue = unsafe { boost_message_queue(capacity, 8 * W) };
            (!queue.is_null()).then_some(MessageQueue(queue))
        }

        #[inline]
        pub fn push(&self, item: &[u64; W], waits: bool) -> bool {
            // SAFETY: the queue lives for good, and its messages are of the size of an item.
            unsafe { boost_message_queue_push(self.0, item.as_ptr().cast(), 8 * W, waits) }
        }

        #[inline]
        pub fn pop(&self, item: &mut [u64; W], waits: bool) -> bool {
            // SAFETY: as above.
            unsafe { boost_message_queue_pop(self.0, item.as_mut_ptr().cast(), 8 * W, waits) }
        }
    }
}
