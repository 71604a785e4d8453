//! Flatbuffers, as far as Arrow's messages need them. Every access is within bounds, whatever the bytes say.

/// The bytes are no flatbuffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// A field; none where the table leaves it out.
type Found<T> = Result<Option<T>, Broken>;

/// A table of fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A list of values of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a> {
    bytes: &'a [u8],
    start: usize,
    length: usize,
}

fn number<const SIZE: usize>(bytes: &[u8], at: usize) -> Result<[u8; SIZE], Broken> {
    let end = at.checked_add(SIZE).ok_or(Broken)?;
    bytes.get(at..end).and_then(|found| found.try_into().ok()).ok_or(Broken)
}

/// Where the offset that lies at a place leads to.
fn follow(bytes: &[u8], at: usize) -> Result<usize, Broken> {
    let offset = u32::from_le_bytes(number(bytes, at)?);
    let target = at.checked_add(offset as usize).ok_or(Broken)?;
    if target < bytes.len() { Ok(target) } else { Err(Broken) }
}

impl<'a> Table<'a> {
    /// The table that a buffer holds.
    pub(super) fn root(bytes: &'a [u8]) -> Result<Table<'a>, Broken> {
        Ok(Table { bytes, at: follow(bytes, 0)? })
    }

    /// Where a field lies.
    fn field(&self, field: usize) -> Found<usize> {
        let back = i32::from_le_bytes(number(self.bytes, self.at)?);
        let fields = usize::try_from(self.at as i64 - i64::from(back)).map_err(|_| Broken)?;
        let size = usize::from(u16::from_le_bytes(number(self.bytes, fields)?));
        let place = 4 + 2 * field;
        if place + 2 > size {
            return Ok(None);
        }
        let offset = usize::from(u16::from_le_bytes(number(self.bytes, fields.checked_add(place).ok_or(Broken)?)?));
        Ok((offset != 0).then_some(self.at + offset))
    }

    fn value<const SIZE: usize>(&self, field: usize) -> Result<[u8; SIZE], Broken> {
        self.field(field)?.map_or(Ok([0; SIZE]), |at| number(self.bytes, at))
    }

    /// A byte; 0 where it is left out.
    pub(super) fn byte(&self, field: usize) -> Result<u8, Broken> {
        self.value::<1>(field).map(|[byte]| byte)
    }

    pub(super) fn i16(&self, field: usize) -> Result<i16, Broken> {
        self.value(field).map(i16::from_le_bytes)
    }

    pub(super) fn i32(&self, field: usize) -> Result<i32, Broken> {
        self.value(field).map(i32::from_le_bytes)
    }

    pub(super) fn i64(&self, field: usize) -> Result<i64, Broken> {
        self.value(field).map(i64::from_le_bytes)
    }

    pub(super) fn table(&self, field: usize) -> Found<Table<'a>> {
        let Some(at) = self.field(field)? else { return Ok(None) };
        Ok(Some(Table { bytes: self.bytes, at: follow(self.bytes, at)? }))
    }

    pub(super) fn list(&self, field: usize) -> Found<List<'a>> {
        let Some(at) = self.field(field)? else { return Ok(None) };
        let at = follow(self.bytes, at)?;
        let length = u32::from_le_bytes(number(self.bytes, at)?) as usize;
        Ok(Some(List { bytes: self.bytes, start: at + 4, length }))
    }

    pub(super) fn text(&self, field: usize) -> Found<&'a str> {
        let Some(list) = self.list(field)? else { return Ok(None) };
        std::str::from_utf8(list.items::<1>()?.as_flattened()).map(Some).map_err(|_| Broken)
    }
}

impl<'a> List<'a> {
    /// Its items, of so many bytes each.
    pub(super) fn items<const SIZE: usize>(&self) -> Result<&'a [[u8; SIZE]], Broken> {
        let length = self.length.checked_mul(SIZE).ok_or(Broken)?;
        let end = self.start.checked_add(length).ok_or(Broken)?;
        Ok(self.bytes.get(self.start..end).ok_or(Broken)?.as_chunks().0)
    }

    /// Its items, which are tables.
    pub(super) fn tables(&self) -> Result<impl Iterator<Item = Result<Table<'a>, Broken>> + use<'a>, Broken> {
        let (bytes, start) = (self.bytes, self.start);
        let count = self.items::<4>()?.len();
        Ok((0..count).map(move |item| Ok(Table { bytes, at: follow(bytes, start + 4 * item)? })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table whose field 0 is 7 (i32), whose field 1 is left out, and whose field 2 is the text "hi".
    fn buffer() -> Vec<u8> {
        let mut bytes = vec![16, 0, 0, 0];
        // Its fields: their size, the table's size, and where each lies.
        bytes.extend([10, 0, 12, 0, 4, 0, 0, 0, 8, 0, 0, 0]);
        bytes.extend(12i32.to_le_bytes());
        bytes.extend(7i32.to_le_bytes());
        bytes.extend(4u32.to_le_bytes());
        bytes.extend([2, 0, 0, 0, b'h', b'i', 0, 0]);
        bytes
    }

    #[test]
    fn fields_are_read_within_bounds() {
        let bytes = buffer();
        let table = Table::root(&bytes).unwrap();
        assert_eq!((table.i32(0), table.i64(1), table.text(2), table.i32(9)), (Ok(7), Ok(0), Ok(Some("hi")), Ok(0)));
        // Whatever one byte says, nothing outside is read.
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                if let Ok(table) = Table::root(&changed) {
                    let _ = (
                        table.i32(0),
                        table.i64(1),
                        table.text(2),
                        table.table(2).map(|_| ()),
                        table.list(2).map(|_| ()),
                    );
                }
            }
            let _ = Table::root(&bytes[..at]).map(|table| table.text(2));
        }
    }
}
