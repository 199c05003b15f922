//! State machines on one word: the robust lock, the published cell and the event count.
