//! Benches of shmkit: `cargo bench -p shmkit-benches --bench NAME`.
