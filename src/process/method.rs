//! How a process begins.

/// How to start a process, for [`Builder::method`](super::Builder::method).
///
/// All three run the same functions, pass the same arguments and handles, and give values, panics and
/// exit codes back in the same way.
///
/// | | cost | globals | threads of the parent | may be used |
/// |---|---|---|---|---|
/// | `Spawn` | about that of `posix_spawn` | fresh | do not matter | always |
/// | `ForkServer` | about that of a fork of a tiny process | fresh | do not matter | always |
/// | `Fork` | grows with the parent | the parent's | there must be none | by `unsafe` calls |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The executable is started anew. The default.
    #[default]
    Spawn,
    /// A server process, which was started anew with the first request, makes a copy of itself.
    ///
    /// Nobody sees the server: it is started when it is needed, started again when somebody has killed
    /// it, takes no signals from the terminal, and ends with the process that it works for. Children
    /// of its children have servers of their own. What it makes are children of the process that asked. It
    /// is a child of that process, too, which only those notice who wait for any child, by `wait(2)`.
    ///
    /// The children have the current directory, environment and standard streams of their parent, as
    /// after `Spawn`. What else a process inherits they have as the server got it at its start: limits,
    /// `umask`, priority, processors, user, and descriptors that are not close-on-exec. Their command
    /// line is the server's. Their memory is laid out as each other's, which is of use to whoever
    /// attacks one after the other.
    ///
    /// Where the server cannot work (`clone3(2)` is not allowed, or a constructor has started a thread)
    /// the process is spawned; [`Process::method`](super::Process::method) tells.
    ForkServer,
    /// This process is copied. Only by [`Process::fork`](super::Process::fork) and
    /// [`Builder::fork`](super::Builder::fork), which are unsafe, and say why: the others refuse this
    /// method with [`Error::InvalidArgument`](crate::Error::InvalidArgument).
    Fork,
}
