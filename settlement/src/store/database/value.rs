//! Values that rows and parameters are made of.

use super::DatabaseError;

/// A value as every store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'v> {
    /// Nothing.
    Null,
    /// A number. What is true is 1, what is false is 0.
    Integer(i64),
    /// Bytes.
    Bytes(&'v [u8]),
    /// Text.
    Text(&'v str),
}

impl Value<'_> {
    /// What it is, for messages.
    #[must_use]
    pub const fn kind_name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Integer(_) => "a number that does not fit",
            Self::Bytes(_) => "other bytes",
            Self::Text(_) => "other text",
        }
    }
}

/// What can be written.
pub trait ToValue {
    /// The value of it.
    fn to_value(&self) -> Value<'_>;
}

/// What can be read.
pub trait FromValue: Sized {
    /// It, if this value is one.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

/// Parameters of a statement.
pub trait Params {
    /// Calls `take` with each and its number, counted from 1.
    ///
    /// # Errors
    /// Of `take`.
    fn each(
        &self,
        take: impl FnMut(usize, Value<'_>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError>;
}

/// A parameter among others of other types.
#[expect(missing_debug_implementations, reason = "it lives within one call")]
pub struct Param<'v> {
    /// Its value.
    pub value: &'v dyn ToValue,
}

impl<const N: usize> Params for &[Param<'_>; N] {
    fn each(
        &self,
        mut take: impl FnMut(usize, Value<'_>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        (1..).zip(self.iter()).try_for_each(|(number, param)| take(number, param.value.to_value()))
    }
}

/// No parameters.
impl Params for [Value<'_>; 0] {
    fn each(
        &self,
        _: impl FnMut(usize, Value<'_>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        Ok(())
    }
}

macro_rules! params_of_one_type {
    ($($count:literal)*) => {$(
        impl<T: ToValue> Params for [T; $count] {
            fn each(
                &self,
                mut take: impl FnMut(usize, Value<'_>) -> Result<(), DatabaseError>,
            ) -> Result<(), DatabaseError> {
                (1..).zip(self).try_for_each(|(number, value)| take(number, value.to_value()))
            }
        }
    )*};
}
params_of_one_type!(1 2 3 4 5 6 13);

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl ToValue for $integer {
            fn to_value(&self) -> Value<'_> {
                Value::Integer(i64::from(*self))
            }
        }
        impl FromValue for $integer {
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Integer(number) => number.try_into().ok(),
                    Value::Null | Value::Bytes(_) | Value::Text(_) => None,
                }
            }
        }
    )*};
}
integers!(i64 i32 u32 i16 u16 u8);

impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            Value::Null | Value::Integer(_) | Value::Bytes(_) => None,
        }
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            Value::Null | Value::Integer(_) | Value::Text(_) => None,
        }
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.try_into().ok(),
            Value::Null | Value::Integer(_) | Value::Text(_) => None,
        }
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (*self).to_value()
    }
}
