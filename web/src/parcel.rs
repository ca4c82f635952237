//! How a message travels: as one [`Parcel`], which `serde-wasm-bindgen` makes a JavaScript value of.
//!
//! Everything that is said goes into three lists: numbers, texts, files. The types of `protocol.rs` and `answer.rs` say
//! in which order, and read themselves back in the same. That is a fraction of the code of a visitor for each type,
//! and both sides are always of the same module: a `Parcel` never has to be understood by another version.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim_core::math;

/// A message on its way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    /// Numbers, switches, lengths of lists: 8 bytes each, in the order of the machine.
    numbers: ByteBuf,
    texts: Vec<String>,
    files: Vec<ByteBuf>,
}

impl Parcel {
    /// Packs a message.
    pub(crate) fn of(message: impl Wire) -> Self {
        let mut parcel = Self::default();
        message.put(&mut parcel);
        parcel
    }

    /// Unpacks a message; `None` if it is not one of this type.
    pub(crate) fn open<T: Wire>(self) -> Option<T> {
        let mut open = OpenParcel {
            numbers: self.numbers.into_vec(),
            place: 0,
            texts: self.texts.into_iter(),
            files: self.files.into_iter(),
            is_torn: false,
        };
        let message = T::take(&mut open);
        (!open.is_torn && open.place == open.numbers.len()).then_some(message)
    }

    #[inline(never)]
    fn put_number(&mut self, number: u64) {
        self.numbers.extend_from_slice(&number.to_ne_bytes());
    }
}

/// A parcel that is being unpacked. What it lacks reads as nothing and leaves it torn.
#[derive(Debug)]
pub(crate) struct OpenParcel {
    numbers: Vec<u8>,
    /// In `numbers`.
    place: usize,
    texts: std::vec::IntoIter<String>,
    files: std::vec::IntoIter<ByteBuf>,
    is_torn: bool,
}

impl OpenParcel {
    #[inline(never)]
    fn number(&mut self) -> u64 {
        let bytes = self.numbers.get(self.place..).and_then(<[u8]>::first_chunk::<8>);
        self.is_torn |= bytes.is_none();
        self.place += 8;
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    #[inline(never)]
    fn text(&mut self) -> String {
        let text = self.texts.next();
        self.is_torn |= text.is_none();
        text.unwrap_or_default()
    }

    /// For a choice that is not one of those there are.
    pub(crate) const fn must(&mut self, holds: bool) {
        self.is_torn |= !holds;
    }
}

/// What can be put into a parcel.
pub(crate) trait Wire {
    /// Puts it in.
    fn put(self, parcel: &mut Parcel);
    /// Takes it out.
    fn take(parcel: &mut OpenParcel) -> Self;
}

impl Wire for u64 {
    fn put(self, parcel: &mut Parcel) {
        parcel.put_number(self);
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        parcel.number()
    }
}

impl Wire for u32 {
    fn put(self, parcel: &mut Parcel) {
        parcel.put_number(Self::into(self));
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        math::u64_to_u32(parcel.number())
    }
}

impl Wire for bool {
    fn put(self, parcel: &mut Parcel) {
        parcel.put_number(Self::into(self));
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        parcel.number() != 0
    }
}

impl Wire for f64 {
    fn put(self, parcel: &mut Parcel) {
        parcel.put_number(self.to_bits());
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        Self::from_bits(parcel.number())
    }
}

impl Wire for String {
    fn put(self, parcel: &mut Parcel) {
        parcel.texts.push(self);
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        parcel.text()
    }
}

/// A file's content.
impl Wire for Vec<u8> {
    fn put(self, parcel: &mut Parcel) {
        parcel.files.push(self.into());
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        let file = parcel.files.next();
        parcel.must(file.is_some());
        file.unwrap_or_default().into_vec()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(self, parcel: &mut Parcel) {
        parcel.put_number(math::usize_to_u64(self.len()));
        for item in self {
            item.put(parcel);
        }
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        let mut items = Self::new();
        for _ in 0..parcel.number() {
            if parcel.is_torn {
                break;
            }
            items.push(T::take(parcel));
        }
        items
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(self, parcel: &mut Parcel) {
        self.is_some().put(parcel);
        if let Some(value) = self {
            value.put(parcel);
        }
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        bool::take(parcel).then(|| T::take(parcel))
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(self, parcel: &mut Parcel) {
        (*self).put(parcel);
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        Self::new(T::take(parcel))
    }
}

impl<T: Wire, const N: usize> Wire for [T; N] {
    fn put(self, parcel: &mut Parcel) {
        for item in self {
            item.put(parcel);
        }
    }
    fn take(parcel: &mut OpenParcel) -> Self {
        core::array::from_fn(|_| T::take(parcel))
    }
}

macro_rules! tuples {
    ($(($($type:ident $place:tt),+))+) => { $(
        impl<$($type: Wire),+> Wire for ($($type,)+) {
            fn put(self, parcel: &mut Parcel) {
                $(self.$place.put(parcel);)+
            }
            fn take(parcel: &mut OpenParcel) -> Self {
                ($($type::take(parcel),)+)
            }
        }
    )+ };
}
tuples! { (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) }

/// Types that are their fields, in this order.
macro_rules! records {
    ($($type:ty { $($field:ident),+ $(,)? })+) => { $(
        impl $crate::parcel::Wire for $type {
            fn put(self, parcel: &mut $crate::parcel::Parcel) {
                let Self { $($field),+ } = self;
                $($crate::parcel::Wire::put($field, parcel);)+
            }
            fn take(parcel: &mut $crate::parcel::OpenParcel) -> Self {
                $(let $field = $crate::parcel::Wire::take(parcel);)+
                Self { $($field),+ }
            }
        }
    )+ };
}

/// Types that are one of several, each with its number and fields; the last stands for every other number, too, and
/// leaves the parcel torn then.
macro_rules! choices {
    ($($type:ty {
        $($number:literal $name:ident { $($field:tt $value:ident),* })*;
        $last_number:literal $last:ident { $($last_field:tt $last_value:ident),* }
    })+) => { $(
        impl $crate::parcel::Wire for $type {
            fn put(self, parcel: &mut $crate::parcel::Parcel) {
                match self {
                    $(Self::$name { $($field: $value),* } => {
                        u32::put($number, parcel);
                        $($crate::parcel::Wire::put($value, parcel);)*
                    })*
                    Self::$last { $($last_field: $last_value),* } => {
                        u32::put($last_number, parcel);
                        $($crate::parcel::Wire::put($last_value, parcel);)*
                    }
                }
            }
            fn take(parcel: &mut $crate::parcel::OpenParcel) -> Self {
                match u32::take(parcel) {
                    $($number => Self::$name { $($field: $crate::parcel::Wire::take(parcel)),* },)*
                    number => {
                        parcel.must(number == $last_number);
                        Self::$last { $($last_field: $crate::parcel::Wire::take(parcel)),* }
                    }
                }
            }
        }
    )+ };
}
pub(crate) use {choices, records};

#[cfg(test)]
mod tests {
    use super::*;

    type Message = (String, Vec<(u32, f64)>, Option<bool>, Vec<u8>, [u64; 2]);

    fn message() -> Message {
        ("a".to_owned(), vec![(1, 0.1), (2, f64::INFINITY)], Some(false), vec![1, 2, 3], [u64::MAX, 0])
    }

    #[test]
    fn what_is_packed_comes_out() {
        assert_eq!(Parcel::of(message()).open::<Message>(), Some(message()));
    }

    #[test]
    fn a_parcel_that_lacks_something_is_no_message() {
        let whole = Parcel::of(message());
        for count in 0..whole.numbers.len() {
            let numbers = ByteBuf::from(whole.numbers.get(..count).unwrap_or_default().to_vec());
            assert_eq!(Parcel { numbers, ..whole.clone() }.open::<Message>(), None, "{count} bytes of numbers");
        }
        assert_eq!(Parcel { texts: Vec::new(), ..whole.clone() }.open::<Message>(), None, "without its text");
        assert_eq!(Parcel { files: Vec::new(), ..whole.clone() }.open::<Message>(), None, "without its file");
        assert_eq!(whole.open::<(String, u32)>(), None, "of another type");
    }
}
