//! Lock-free rings. They never sleep and make no system call.
