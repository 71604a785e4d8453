//! Python's pickles of dictionaries, lists, texts, numbers and NumPy's arrays, as data sets are published in. A pickle is a program that
//! calls what it names; nothing is called here: of names those are known that make an array, and any other is refused.

mod machine;
mod value;

use super::array::Array;
use super::error::Problem;
use value::{Value, bad};

/// A dictionary out of a pickle.
pub(in crate::data) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    /// The dictionary's place.
    root: usize,
}

/// Reads a pickle.
pub(in crate::data) fn read(bytes: &[u8]) -> Result<Pickle<'_>, Problem> {
    let (values, root) = machine::run(bytes)?;
    match values[root] {
        Value::Dictionary(_) => Ok(Pickle { values, root }),
        _ => Err(bad("it holds something else than a dictionary")),
    }
}

impl Pickle<'_> {
    fn get(&self, key: &str) -> Result<&Value<'_>, Problem> {
        let Value::Dictionary(pairs) = &self.values[self.root] else { return Err(missing(key)) };
        let found = pairs.iter().rev().find(|(name, _)| self.bytes(*name) == Some(key.as_bytes()));
        found.map(|(_, value)| &self.values[*value]).ok_or_else(|| missing(key))
    }

    fn bytes(&self, place: usize) -> Option<&[u8]> {
        match &self.values[place] {
            Value::Bytes(bytes) => Some(bytes),
            Value::Owned(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An array.
    pub(in crate::data) fn array(&self, key: &str) -> Result<&Array, Problem> {
        match self.get(key)? {
            Value::Array(Some(array)) => Ok(array),
            _ => Err(bad(format!("its {key:?} is no array"))),
        }
    }

    /// A list of integers, or an array of them.
    pub(in crate::data) fn integers(&self, key: &str) -> Result<Vec<i128>, Problem> {
        let wrong = || bad(format!("its {key:?} is no list of integers"));
        match self.get(key)? {
            Value::Array(Some(array)) => array.integers().collect(),
            Value::List(list) => list
                .iter()
                .map(|place| match self.values[*place] {
                    Value::Integer(value) => Ok(value.into()),
                    _ => Err(wrong()),
                })
                .collect(),
            _ => Err(wrong()),
        }
    }

    /// A list of texts.
    pub(in crate::data) fn texts(&self, key: &str) -> Result<Vec<String>, Problem> {
        let wrong = || bad(format!("its {key:?} is no list of texts"));
        let Value::List(list) = self.get(key)? else { return Err(wrong()) };
        let text = |place: &usize| Ok(String::from_utf8_lossy(self.bytes(*place).ok_or_else(wrong)?).into_owned());
        list.iter().map(text).collect()
    }
}

fn missing(key: &str) -> Problem {
    bad(format!("it has no {key:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dictionary with an array of bytes `a`, made of this shape, type and content.
    fn pickle(shape: &[u8], dtype: &str, order: u8, content: &[u8]) -> Vec<u8> {
        let text = |text: &[u8]| [&[b'U', text.len() as u8], text].concat();
        let shape: Vec<u8> = shape.iter().flat_map(|length| [b'K', *length]).collect();
        let made =
            b"\x80\x02}U\x01acnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01(";
        let dtype =
            [b"tcnumpy\ndtype\n", &text(dtype.as_bytes())[..], b"K\x00K\x01\x87R(K\x03", &text(&[order]), b"NNNtb\x89"];
        [made, &shape[..], &dtype.concat(), &text(content), b"tbs."].concat()
    }

    #[test]
    fn arrays_have_their_types_and_orders() {
        let bytes = pickle(&[2, 1], "i2", b'>', &[1, 0, 0, 2]);
        let read = read(&bytes).unwrap();
        assert_eq!((read.array("a").unwrap().shape(), read.integers("a").unwrap()), (&[2, 1][..], vec![256, 2]));
        assert!(read.texts("a").is_err() && read.array("b").is_err());
    }

    #[test]
    fn what_is_no_plain_pickle_of_arrays_is_refused() {
        let said = |bytes: &[u8]| read(bytes).err().unwrap().to_string();
        assert!(said(b"\x80\x02cposix\nsystem\nU\x02ls\x85R.").contains("posix.system, which is not called here"));
        assert!(said(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.").contains("builtins.eval"));
        assert!(said(&pickle(&[3], "i2", b'<', &[0; 4])).contains("unusual way"));
        assert!(said(&pickle(&[1], "O8", b'|', &[0; 8])).contains("type O8"));
        for odd in [
            &b""[..],
            b".",
            b"\x80\x02",
            b"]a.",
            b"a",
            b"e",
            b"R",
            b"b",
            b"(0.",
            b"\x94",
            b"h\x05",
            b"T\xff\xff\xff\xff",
            b"].",
            b"\x82.",
        ] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn many_arrays_of_the_same_bytes_are_refused() {
        // Ten thousand bytes, which are remembered and stand for the content of a hundred arrays.
        let whole = pickle(&[1], "u1", b'|', &[]);
        let made = whole.iter().position(|byte| *byte == b'c').unwrap();
        let array = &whole[made..whole.len() - "U\0tbs.".len()];
        let shape = array.windows(4).position(|bytes| bytes == b"(K\x01t").unwrap();
        let array = [&array[..shape], b"(M\x10\x27t", &array[shape + 4..], b"h\x00tb0"].concat();
        let once = [b"\x80\x02}T\x10\x27\0\0", &[7; 10_000][..], b"q\x000"].concat();
        assert!(read(&[&once[..], &array, b"."].concat()).is_ok());
        let bytes = [&once[..], &array.repeat(100), b"."].concat();
        assert!(read(&bytes).err().unwrap().to_string().contains("more than a file of this size can hold"));
    }
}
