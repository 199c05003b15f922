//! Containers that grow, in the memory of one region: hash tables and lists of byte strings.
//!
//! ```text
//! the heap: one object of the region                     a container: another one
//! +-----------+----------------+---------------------+   +------+------------+---------+
//! | segments, | table: whose   | pages of 4096 bytes |   | door | root, seed | records |
//! | hint      | each page is   | with blocks in them |<--|      | free lists |         |
//! +-----------+----------------+---------------------+   +------+------------+---------+
//! ```
//!
//! All containers of a region share the pages of its heap. A page belongs to one container; whoever
//! writes to that one, alone, cuts it into blocks. Readers and writers of a container meet at its
//! door ([`crate::lock::door`]); two containers have nothing in common but the words that say whose
//! the pages are, and those are changed by single steps.
//!
//! # Invariants
//!
//! - H1. All of it is words, and reached as atomic words within checked bounds: whatever they say,
//!   an access is an access to this region. So nothing here needs `unsafe`, and a region full of
//!   garbage leads to [`Error::Corrupt`] or to wrong answers.
//! - H2. What can be reached from the root of a container is whole, at every instruction of a writer: he
//!   writes what is new into blocks that nothing leads to, and commits by one word. What he replaced
//!   he frees after that. (A word of 8 bytes or less within a block is replaced in place: also one word.)
//! - H3. Everything else can be derived from what can be reached: the length, the free lists, which
//!   pages are in use. Whoever comes after the death of a writer derives it anew (`mend.rs`), before he
//!   reads or writes. He changes nothing that can be reached, so that he may die as well.
//! - H4. The words of a writer are stores in the order of the program ([`Word::put`]), so that his death
//!   cuts them off at one point.
//! - H5. A page says that it is a container's before it is used and until it is used no more; the first
//!   word of its entry is changed from free by one step, and back by its owner.
//!
//! # Death
//!
//! | killed | left behind | found by |
//! |---|---|---|
//! | with the door, before the commit | the old state; blocks or pages that nothing leads to | the next at the door, who frees them |
//! | after the commit, before all is freed | the new state; the same | the same |
//! | while it mends | the same | the same |
//! | while it reads | a count at the door | the next writer |
//! | while it makes the table of pages longer | memory behind a part of it | whoever needs that part next |
//!
//! So no memory is lost beyond the next access to the container. There is no journal: it would be
//! written by every change, while this costs nothing before somebody has died, and then a walk over
//! the container.
//!
//! # Limits
//!
//! The walk, the growth of a table and copies of all that is in a container take a time that grows with
//! it, and keep others out as long; a stopped process with the door in its hand keeps others out until
//! it goes on, also if it only reads: then the next writer waits for it, and all readers for the
//! writer. A block of more than 16 KiB takes whole pages, and needs neighbouring ones.

mod blocks;
mod bytes;
mod classes;
mod container;
mod hash;
mod mend;
mod pages;
mod row;
mod table;

pub(crate) use bytes::Strings;
pub(crate) use container::{Container, Form};
pub(crate) use pages::Heap;
pub(crate) use row::Row;
pub(crate) use table::{Change, Table};

#[cfg(doc)]
use crate::{error::Error, region::Word};

#[cfg(test)]
mod tests;
