//! A published value in a region, and the handle that keeps it mapped.
//!
//! - C1. The span of the cell is checked when the handle is made and never looked up again; `object`
//!   keeps it mapped for as long as `cell` exists.
#![allow(unsafe_code)]

use super::cell::Cell;
use crate::error::{Error, Result};
use crate::region::Object;
use bytemuck::Pod;
use std::ops::Deref;

/// A [`Cell`] that is part of an object.
pub(crate) struct PlacedCell<T> {
    cell: Cell<T>,
    object: Object,
}

impl<T: Pod> PlacedCell<T> {
    /// The cell `offset` bytes into `object`, where the layout of the object has nothing but a cell.
    pub(crate) fn at(object: &Object, offset: u64) -> Result<PlacedCell<T>> {
        let needed = Cell::<T>::bytes_needed();
        let base = object.span(offset, needed as u64, Cell::<T>::ALIGN as u64)?;
        // SAFETY: C1; and all layouts use these bytes as a cell only.
        let cell = unsafe { Cell::at(base, needed) }.ok_or(Error::Corrupt("place of a value"))?;
        Ok(PlacedCell { cell, object: object.clone() })
    }
}

impl<T> Deref for PlacedCell<T> {
    type Target = Cell<T>;

    #[inline(always)]
    fn deref(&self) -> &Cell<T> {
        &self.cell
    }
}

impl<T> Clone for PlacedCell<T> {
    fn clone(&self) -> PlacedCell<T> {
        PlacedCell { cell: self.cell.clone(), object: self.object.clone() }
    }
}
