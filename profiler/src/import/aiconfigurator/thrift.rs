//! As much of Thrift's compact protocol as it takes to walk the structs of a parquet file before the parquet crate (57.3.2)
//! reads them: it reserves memory for as many entries as a list or a page says it has, which may be more than there are
//! bytes, and takes a field for a list whatever type it has.

/// Largest number of a field: an `i16`.
const MAX_FIELD: u64 = i16::MAX as u64;

/// What is left of some bytes.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

/// What a field must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A whole number.
    Number,
    /// A text or bytes.
    Binary,
    /// A list of these.
    List(&'static Self),
    /// A struct; the shapes of its fields by number, from 1. Others may be anything.
    Struct(&'static [Self]),
}

use Shape::{Binary, List, Number, Struct};

impl Shape {
    /// Whether a value of this type of the compact protocol can be one.
    const fn fits(self, kind: u8) -> bool {
        match self {
            Number => matches!(kind, 4..=6),
            Binary => kind == 8,
            List(_) => kind == 9,
            Struct(_) => kind == 12,
        }
    }
}

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// `None` if there are fewer.
    pub(super) fn skip(&mut self, length: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(length).ok()?..)?;
        Some(())
    }

    /// A whole number, seven bits to a byte.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A whole number that is not below 0.
    pub(super) fn natural(&mut self) -> Option<u64> {
        let value = self.varint()?;
        // The lowest bit is the sign.
        (value & 1 == 0).then_some(value >> 1)
    }

    /// The type of a struct's next field; `number`, that of the field before, becomes its own. `Some(None)` at the struct's
    /// end.
    pub(super) fn field(&mut self, number: &mut u64) -> Option<Option<u8>> {
        let header = self.byte()?;
        if header == 0 {
            return Some(None);
        }
        // The distance from the field before, or the field's own number. The crate keeps 16 bits of it, so that a longer one
        // would be another field there.
        *number = match u64::from(header >> 4) {
            0 => self.natural()?,
            distance => number.checked_add(distance)?,
        };
        (*number <= MAX_FIELD).then_some(Some(header & 0x0f))
    }

    /// A struct with fields of these shapes by number, from 1, and any others.
    pub(super) fn skip_struct(&mut self, fields: &[Shape], depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut number = 0_u64;
        loop {
            let Some(kind) = self.field(&mut number)? else { return Some(()) };
            let place = number.checked_sub(1).and_then(|place| usize::try_from(place).ok());
            let shape = place.and_then(|place| fields.get(place)).copied();
            if shape.is_some_and(|shape| !shape.fits(kind)) {
                return None;
            }
            // A boolean field is its header.
            if !matches!(kind, 1 | 2) {
                self.skip_value(kind, shape, depth)?;
            }
        }
    }

    /// A value of this type of the protocol.
    pub(super) fn skip_value(&mut self, kind: u8, shape: Option<Shape>, depth: u32) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => {
                let header = self.byte()?;
                let length = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
                let kind = header & 0x0f;
                let of = if let Some(List(of)) = shape { Some(*of) } else { None };
                // An empty list may say any type. Each entry takes a byte at least.
                let fits = length == 0 || of.is_none_or(|of| of.fits(kind));
                let left = u64::try_from(self.0.len()).ok()?;
                let depth = depth.checked_sub(1).filter(|_| fits && length <= left)?;
                (0..length).try_for_each(|_| self.skip_value(kind, of, depth))
            }
            12 => self.skip_struct(if let Some(Struct(fields)) = shape { fields } else { &[] }, depth),
            // Parquet's footer has no maps.
            _ => None,
        }
    }
}
