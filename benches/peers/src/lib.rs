//! shmkit beside its peers: `benches` compares speed, `tests` behaviour.
