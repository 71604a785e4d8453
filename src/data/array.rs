//! A numeric array as it lies in a file, whatever the file's format.

use half::f16;

use super::error::Problem;
use super::{Numbers, Storage};
use crate::file::little_endian;

/// The type of an array's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned integer of 8 bits.
    U8,
    /// Unsigned integer of 16 bits.
    U16,
    /// Unsigned integer of 32 bits.
    U32,
    /// Unsigned integer of 64 bits.
    U64,
    /// Signed integer of 8 bits.
    I8,
    /// Signed integer of 16 bits.
    I16,
    /// Signed integer of 32 bits.
    I32,
    /// Signed integer of 64 bits.
    I64,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl Dtype {
    /// Bytes per value.
    pub fn size(self) -> usize {
        match self {
            Dtype::Bool | Dtype::U8 | Dtype::I8 => 1,
            Dtype::U16 | Dtype::I16 | Dtype::F16 => 2,
            Dtype::U32 | Dtype::I32 | Dtype::F32 => 4,
            Dtype::U64 | Dtype::I64 | Dtype::F64 => 8,
        }
    }

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::Bool => "bool",
            Dtype::U8 => "uint8",
            Dtype::U16 => "uint16",
            Dtype::U32 => "uint32",
            Dtype::U64 => "uint64",
            Dtype::I8 => "int8",
            Dtype::I16 => "int16",
            Dtype::I32 => "int32",
            Dtype::I64 => "int64",
            Dtype::F16 => "float16",
            Dtype::F32 => "float32",
            Dtype::F64 => "float64",
        }
    }

    /// Whether an integer is a value of the type.
    pub(crate) fn holds(self, value: i128) -> bool {
        let bits = 8 * self.size() as u32;
        match self {
            Dtype::Bool | Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::U64 => (0..1 << bits).contains(&value),
            Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => (-(1 << (bits - 1))..1 << (bits - 1)).contains(&value),
            Dtype::F16 | Dtype::F32 | Dtype::F64 => false,
        }
    }

    /// True for the floating-point types.
    pub fn is_float(self) -> bool {
        matches!(self, Dtype::F16 | Dtype::F32 | Dtype::F64)
    }
}

/// Values of a mapped array that are turned into others at a time.
const PIECE: usize = 1 << 16;

/// An array of numbers: rows first (C order), little-endian.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Numbers<u8>,
}

/// Runs `$body` with `$read`, a function from a value's index to the value, for whatever type `$array` holds.
macro_rules! with_values {
    ($array:expr, |$values:ident| $body:expr) => {{
        let bytes = &$array.bytes;
        match $array.dtype {
            Dtype::Bool | Dtype::U8 => with_values!(@ bytes, u8, 1, $values, $body),
            Dtype::I8 => with_values!(@ bytes, i8, 1, $values, $body),
            Dtype::U16 => with_values!(@ bytes, u16, 2, $values, $body),
            Dtype::I16 => with_values!(@ bytes, i16, 2, $values, $body),
            Dtype::U32 => with_values!(@ bytes, u32, 4, $values, $body),
            Dtype::I32 => with_values!(@ bytes, i32, 4, $values, $body),
            Dtype::U64 => with_values!(@ bytes, u64, 8, $values, $body),
            Dtype::I64 => with_values!(@ bytes, i64, 8, $values, $body),
            Dtype::F16 => with_values!(@ bytes, f16, 2, $values, $body),
            Dtype::F32 => with_values!(@ bytes, f32, 4, $values, $body),
            Dtype::F64 => with_values!(@ bytes, f64, 8, $values, $body),
        }
    }};
    (@ $bytes:ident, $type:ty, $size:literal, $values:ident, $body:expr) => {{
        let $values = $bytes.as_chunks::<$size>().0.iter().map(|bytes| <$type>::from_le_bytes(*bytes));
        $body
    }};
}

/// The conversions that labels and features need, with the rounding of Rust's `as`.
trait Number: Copy {
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    /// The value, when it is an integer.
    fn to_integer(self) -> Option<i128>;
}

macro_rules! integer_numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn to_f32(self) -> f32 { self as f32 }
            fn to_f64(self) -> f64 { self as f64 }
            fn to_integer(self) -> Option<i128> { Some(i128::from(self)) }
        }
    )*};
}
integer_numbers!(u8, i8, u16, i16, u32, i32, u64, i64);

impl Number for f64 {
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn to_integer(self) -> Option<i128> {
        // Beyond 2^53 a double's neighbours are further apart than 1: it names no integer exactly.
        (self == self.trunc() && self.abs() <= 9_007_199_254_740_992.0).then_some(self as i128)
    }
}

impl Number for f32 {
    fn to_f32(self) -> f32 {
        self
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn to_integer(self) -> Option<i128> {
        f64::from(self).to_integer()
    }
}

impl Number for f16 {
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }
    fn to_integer(self) -> Option<i128> {
        f16::to_f64(self).to_integer()
    }
}

impl Array {
    /// An array over `bytes`, which must be in C order and little-endian. `None` when their number does not fit.
    pub fn new(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Option<Array> {
        Array::over(dtype, shape, bytes.into())
    }

    /// The same over bytes that may be mapped.
    pub(crate) fn over(dtype: Dtype, shape: Vec<usize>, bytes: Numbers<u8>) -> Option<Array> {
        let needed = byte_count(dtype, &shape)?;
        (needed == bytes.len() as u64).then_some(Array { dtype, shape, bytes })
    }

    /// An array of bytes. `None` when the number of values is not the shape's.
    pub fn from_u8(shape: &[usize], values: Vec<u8>) -> Option<Array> {
        Array::new(Dtype::U8, shape.to_vec(), values)
    }

    /// An array of floats. `None` when the number of values is not the shape's.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Option<Array> {
        Array::new(Dtype::F32, shape.to_vec(), little_endian(values.iter().map(|value| value.to_le_bytes())))
    }

    /// An array of doubles. `None` when the number of values is not the shape's.
    pub fn from_f64(shape: &[usize], values: &[f64]) -> Option<Array> {
        Array::new(Dtype::F64, shape.to_vec(), little_endian(values.iter().map(|value| value.to_le_bytes())))
    }

    /// An array of unsigned integers. `None` when the number of values is not the shape's.
    pub fn from_u32(shape: &[usize], values: &[u32]) -> Option<Array> {
        Array::new(Dtype::U32, shape.to_vec(), little_endian(values.iter().map(|value| value.to_le_bytes())))
    }

    /// The type of the values.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values as bytes: C order, little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// True when there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The values as floats, rounded to the nearest.
    pub fn to_f32(&self) -> Vec<f32> {
        with_values!(self, |values| values.map(Number::to_f32).collect())
    }

    /// The values as doubles.
    pub fn to_f64(&self) -> Vec<f64> {
        with_values!(self, |values| values.map(Number::to_f64).collect())
    }

    /// The values as text, each as short as it can be without becoming another value.
    pub(crate) fn to_texts(&self) -> Box<dyn Iterator<Item = String> + '_> {
        with_values!(self, |values| Box::new(values.map(|value| value.to_string())))
    }

    /// Calls `visit` with each value's index and the value, until one is refused.
    pub(crate) fn try_for_each<E>(&self, mut visit: impl FnMut(usize, f64) -> Result<(), E>) -> Result<(), E> {
        with_values!(self, |values| {
            for (index, value) in values.enumerate() {
                visit(index, value.to_f64())?;
            }
            Ok(())
        })
    }

    /// Calls `visit` with each value as an integer, `None` where it is none, until one is refused.
    pub(crate) fn try_for_each_integer(&self, mut visit: impl FnMut(Option<i128>) -> Option<()>) -> Option<()> {
        with_values!(self, |values| {
            for value in values {
                visit(value.to_integer())?;
            }
            Some(())
        })
    }

    /// The values as integers, exactly; an error in place of one that is none.
    pub(crate) fn integers(&self) -> Box<dyn Iterator<Item = Result<i128, Problem>> + '_> {
        with_values!(self, |values| Box::new(
            values
                .enumerate()
                .map(|(index, value)| value.to_integer().ok_or(Problem::NotInteger { index, value: value.to_f64() }))
        ))
    }

    /// The first value.
    pub(crate) fn first(&self) -> Option<f64> {
        with_values!(self, |values| values.map(Number::to_f64).next())
    }

    /// The array, if each value of it is one: a boolean is 0 or 1.
    pub(crate) fn checked(self, format: &'static str) -> Result<Array, Problem> {
        match self.bytes.iter().position(|&byte| byte > 1).filter(|_| self.dtype == Dtype::Bool) {
            None => Ok(self),
            Some(index) => {
                let value = self.bytes[index];
                Err(Problem::malformed(format, format!("the boolean at index {index} is {value}, not 0 or 1")))
            }
        }
    }

    /// The values to train on: bytes stay bytes, everything else becomes floats.
    pub(crate) fn into_storage(self) -> Storage {
        match self.dtype {
            Dtype::U8 => Storage::U8(self.bytes),
            Dtype::F32 if cfg!(target_endian = "little") && self.bytes.is_mapped() => {
                Storage::F32(self.bytes.cast().unwrap_or_else(|| self.floats()))
            }
            _ => Storage::F32(self.floats()),
        }
    }

    /// The values as floats, which take no memory where the array is mapped.
    fn floats(&self) -> Numbers<f32> {
        if !self.bytes.is_mapped() {
            return self.to_f32().into();
        }
        Numbers::made(true, self.len(), |write| {
            with_values!(self, |values| {
                let mut values = values.map(Number::to_f32);
                loop {
                    let piece: Vec<f32> = values.by_ref().take(PIECE).collect();
                    if piece.is_empty() {
                        return Ok(());
                    }
                    write(&piece)?;
                }
            })
        })
    }

    /// Turns big-endian values into little-endian ones: in place, or in another file where the array is mapped.
    pub(crate) fn swap_bytes(&mut self) {
        let size = self.dtype.size();
        if size > 1 {
            self.bytes.change(size, |bytes| bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse));
        }
    }

    /// Turns values that lie columns first (Fortran order) into rows first.
    pub(crate) fn into_c_order(self) -> Array {
        let axes: Vec<usize> = (0..self.shape.len()).collect();
        self.rows_first(&axes)
    }

    /// The same values under a shape of as many.
    pub(crate) fn reshaped(self, shape: Vec<usize>) -> Array {
        debug_assert_eq!(byte_count(self.dtype, &shape), Some(self.bytes.len() as u64));
        Array { shape, ..self }
    }

    /// The same with the axes in another order.
    pub(crate) fn rows_first(self, axes: &[usize]) -> Array {
        let shape: Vec<usize> = axes.iter().map(|axis| self.shape[*axis]).collect();
        if shape.len() < 2 || self.bytes.is_empty() {
            return Array { shape, ..self };
        }
        let size = self.dtype.size();
        let mut ordered = Vec::with_capacity(self.bytes.len());
        // How far apart neighbours along each axis lie in the file, in bytes.
        let strides: Vec<usize> = self
            .shape
            .iter()
            .scan(size, |stride, &length| {
                let this = *stride;
                *stride *= length;
                Some(this)
            })
            .collect();
        let strides: Vec<usize> = axes.iter().map(|axis| strides[*axis]).collect();
        let mut index = vec![0; shape.len()];
        let mut at = 0;
        while ordered.len() < self.bytes.len() {
            ordered.extend_from_slice(&self.bytes[at..at + size]);
            // Count up the index, last axis fastest, as an odometer does.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * index[axis];
                index[axis] = 0;
            }
        }
        Array { shape, bytes: ordered.into(), ..self }
    }
}

/// Bytes of an array, or `None` when that number overflows.
pub(crate) fn byte_count(dtype: Dtype, shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(dtype.size() as u64, |bytes, &length| bytes.checked_mul(length as u64))
}

/// Transposes every `rows` x `columns` matrix in `values`.
pub(crate) fn transpose<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    let mut transposed = Vec::with_capacity(values.len());
    for matrix in values.chunks_exact(rows * columns) {
        for column in 0..columns {
            transposed.extend(matrix.iter().skip(column).step_by(columns));
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_bytes_must_fit_the_shape() {
        assert!(Array::from_u8(&[2, 3], vec![0; 6]).is_some());
        assert!(Array::from_u8(&[2, 3], vec![0; 5]).is_none());
        assert!(Array::new(Dtype::F64, vec![usize::MAX, 2], Vec::new()).is_none());
    }

    #[test]
    fn fortran_order_is_undone() {
        // The matrix [[1, 2, 3], [4, 5, 6]] stored column by column.
        let array = Array::from_f32(&[2, 3], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]).unwrap();
        assert_eq!(array.into_c_order().to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn integers_stay_exact_beyond_single_precision() {
        let large = (1 << 24) + 1;
        let integers = |array: Array| array.integers().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(integers(Array::from_u32(&[1], &[large]).unwrap()), [i128::from(large)]);
        let most = Array::new(Dtype::U64, vec![1], u64::MAX.to_le_bytes().to_vec()).unwrap();
        assert_eq!(integers(most), [i128::from(u64::MAX)]);
    }

    #[test]
    fn what_is_no_integer_is_named() {
        let array = Array::from_f32(&[3], &[1.0, 2.0, 2.5]).unwrap();
        let error = array.integers().collect::<Result<Vec<_>, _>>().unwrap_err();
        assert!(matches!(error, Problem::NotInteger { index: 2, value: 2.5 }), "{error}");
        for none in [f64::NAN, f64::INFINITY, 1e300] {
            assert!(Array::from_f64(&[1], &[none]).unwrap().integers().any(|value| value.is_err()));
        }
    }
}
