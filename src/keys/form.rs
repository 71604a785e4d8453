//! How the value of a key is written, and what is allowed.

use std::marker::PhantomData;

use super::entries::{Entries, Written};
use super::keyed::Keyed;
#[cfg(test)]
use super::reference::KeyReference;
use super::table::one_of;
use super::{Item, KeyError, Keyword, Table, Value};

/// How a value of type `T` is written, and what is allowed.
pub(crate) trait Form<T: Written> {
    /// What is allowed, in words.
    fn expected(&self) -> String;

    /// Reads the value.
    fn read(&self, item: &Item<'_>) -> Result<T, KeyError>;

    /// The value of a key without a default.
    fn get(&self, table: &Table<'_>, key: &str) -> Result<T, KeyError> {
        self.read(&table.require(key, &self.expected())?)
    }

    /// Writes the key with its value.
    fn write(&self, key: &str, value: &T, entries: &mut Entries) {
        entries.put(key, value);
    }

    /// The keys that the field stands for in a table: mostly the one that is called like it.
    fn known<'a>(&self, key: &'static str, _: &Table<'a>) -> Result<Vec<&'a str>, KeyError> {
        Ok(vec![key])
    }

    /// What the reference says of these keys.
    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        vec![key]
    }
}

/// A form of values of one type.
pub(crate) struct Typed<T, F>(F, PhantomData<T>);

impl<T: Written, F: Form<T>> Typed<T, F> {
    pub(crate) fn new(form: F) -> Typed<T, F> {
        Typed(form, PhantomData)
    }

    pub(crate) fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        self.0.read(item)
    }

    pub(crate) fn get(&self, table: &Table<'_>, key: &str) -> Result<T, KeyError> {
        self.0.get(table, key)
    }

    pub(crate) fn write(&self, key: &str, value: &T, entries: &mut Entries) {
        self.0.write(key, value, entries);
    }

    pub(crate) fn known<'a>(&self, key: &'static str, table: &Table<'a>) -> Result<Vec<&'a str>, KeyError> {
        self.0.known(key, table)
    }

    /// What the reference says of a key; `needed` is one without a default.
    #[cfg(test)]
    pub(crate) fn reference(
        &self,
        key: &str,
        doc: &str,
        example: Option<&'static str>,
        needed: bool,
        kinds: Vec<&'static str>,
    ) -> Vec<KeyReference> {
        let place = super::Place::Setting("nothing".into());
        let required = needed && self.get(&Table::new(&place, &[]), key).is_err();
        self.0.reference(KeyReference { required, example, kinds, ..KeyReference::new(key, doc, self.0.expected()) })
    }
}

/// A key that may be left out.
pub(crate) struct Optional<F>(pub(crate) F);

impl<T: Written, F: Form<T>> Form<Option<T>> for Optional<F> {
    fn expected(&self) -> String {
        self.0.expected()
    }

    fn read(&self, item: &Item<'_>) -> Result<Option<T>, KeyError> {
        self.0.read(item).map(Some)
    }

    fn get(&self, table: &Table<'_>, key: &str) -> Result<Option<T>, KeyError> {
        table.get(key).map(|item| self.0.read(&item)).transpose()
    }

    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        self.0.reference(key)
    }
}

/// The one form of a type that needs no more words.
pub(crate) struct Plain;

impl Form<bool> for Plain {
    fn expected(&self) -> String {
        "true or false".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<bool, KeyError> {
        item.boolean()
    }
}

impl<T: Keyword> Form<T> for Plain {
    fn expected(&self) -> String {
        one_of(&T::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>())
    }

    fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        item.word()
    }

    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        vec![key.with_words(T::WORDS.iter().zip(T::MEANINGS).map(|((word, _), meaning)| (*word, *meaning)))]
    }
}

/// Height and width: one number for both, or two.
impl Form<[usize; 2]> for Plain {
    fn expected(&self) -> String {
        "a number, or [height, width]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<[usize; 2], KeyError> {
        let Value::Array(_) = item.node.value else {
            let both = item.whole(1)?;
            return Ok([both, both]);
        };
        match &item.list("")?[..] {
            [height, width] => Ok([height.whole(1)?, width.whole(1)?]),
            _ => Err(item.wrong(Form::<[usize; 2]>::expected(self))),
        }
    }
}

/// `true`, the one value of a key without a choice.
impl Form<()> for Plain {
    fn expected(&self) -> String {
        "true; to go without the layer, remove it".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<(), KeyError> {
        match item.node.value {
            Value::Boolean(true) => Ok(()),
            _ => Err(item.wrong(Form::<()>::expected(self))),
        }
    }
}

/// What the key that tells the kind says by itself: no key of its own.
pub(crate) struct OfKind<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy + Written> Form<T> for OfKind<T> {
    fn expected(&self) -> String {
        String::new()
    }

    fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        Err(item.wrong(""))
    }

    fn get(&self, table: &Table<'_>, key: &str) -> Result<T, KeyError> {
        let found = self.0.iter().find(|(word, _)| table.kind() == Some(word));
        found.map(|(_, value)| *value).ok_or_else(|| table.missing(key, ""))
    }

    fn write(&self, _: &str, _: &T, _: &mut Entries) {}

    fn known<'a>(&self, _: &'static str, _: &Table<'a>) -> Result<Vec<&'a str>, KeyError> {
        Ok(Vec::new())
    }

    #[cfg(test)]
    fn reference(&self, _: KeyReference) -> Vec<KeyReference> {
        Vec::new()
    }
}

/// A whole number of at least so much.
pub(crate) struct Whole(pub(crate) i128);

/// A type of whole numbers.
pub(crate) trait Int: TryFrom<i128> + Written {}
impl Int for u32 {}
impl Int for u64 {}
impl Int for usize {}

impl<T: Int> Form<T> for Whole {
    fn expected(&self) -> String {
        format!("a whole number, {} or more", self.0)
    }

    fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        item.whole(self.0)
    }
}

/// A number: what is allowed in words, and as a test of it once rounded to f32.
pub(crate) struct Number(pub(crate) &'static str, pub(crate) fn(f32) -> bool);

impl Form<f32> for Number {
    fn expected(&self) -> String {
        self.0.into()
    }

    fn read(&self, item: &Item<'_>) -> Result<f32, KeyError> {
        item.number(self.0, self.1)
    }
}

/// A text: what is allowed in words, and as a test.
pub(crate) struct Text(pub(crate) &'static str, pub(crate) fn(&str) -> bool);

impl Form<String> for Text {
    fn expected(&self) -> String {
        self.0.into()
    }

    fn read(&self, item: &Item<'_>) -> Result<String, KeyError> {
        let text = item.text(self.0)?;
        if (self.1)(text) { Ok(text.to_string()) } else { Err(item.wrong(self.0)) }
    }
}

/// A list: what is allowed in words, the form of an item, and a test of the whole.
pub(crate) struct List<F, T>(pub(crate) &'static str, pub(crate) F, pub(crate) fn(&[T]) -> bool);

impl<T: Written, F: Form<T>> Form<Vec<T>> for List<F, T> {
    fn expected(&self) -> String {
        self.0.into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Vec<T>, KeyError> {
        let items = item.list(self.0)?.iter().map(|item| self.1.read(item)).collect::<Result<Vec<T>, _>>()?;
        if (self.2)(&items) { Ok(items) } else { Err(item.wrong(self.0)) }
    }
}

/// A key that is left out where it has this value, which it also has where it is not given.
pub(crate) struct Unless<T, F>(pub(crate) T, pub(crate) F);

impl<T: Written + Clone + PartialEq, F: Form<T>> Form<T> for Unless<T, F> {
    fn expected(&self) -> String {
        self.1.expected()
    }

    fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        self.1.read(item)
    }

    fn get(&self, table: &Table<'_>, key: &str) -> Result<T, KeyError> {
        table.get(key).map_or_else(|| Ok(self.0.clone()), |item| self.read(&item))
    }

    fn write(&self, key: &str, value: &T, entries: &mut Entries) {
        if *value != self.0 {
            self.1.write(key, value, entries);
        }
    }

    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        self.1.reference(KeyReference { default: self.0.written().map(|entry| entry.text()), ..key })
    }
}

/// A table inside a section, and how errors show it.
pub(crate) struct Inline(pub(crate) &'static str);

impl<T: Keyed + Written> Form<T> for Inline {
    fn expected(&self) -> String {
        self.0.into()
    }

    fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        T::of(item.table(self.0)?)
    }
}

/// A section of the recipe; one that is not there is an empty one.
pub(crate) struct Section;

impl<T: Keyed + Written> Form<T> for Section {
    fn expected(&self) -> String {
        "a table".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        T::of(item.table(&format!("a table, such as [{}]", item.path))?)
    }

    fn get(&self, table: &Table<'_>, key: &str) -> Result<T, KeyError> {
        T::of(table.section(key)?)
    }
}

/// The keys of another type, in the same table.
pub(crate) struct Flat;

impl<T: Keyed + Written> Form<T> for Flat {
    fn expected(&self) -> String {
        String::new()
    }

    fn read(&self, item: &Item<'_>) -> Result<T, KeyError> {
        Err(item.wrong(""))
    }

    fn get(&self, table: &Table<'_>, _: &str) -> Result<T, KeyError> {
        T::read(table)
    }

    fn write(&self, _: &str, value: &T, entries: &mut Entries) {
        value.write(entries);
    }

    fn known<'a>(&self, _: &'static str, table: &Table<'a>) -> Result<Vec<&'a str>, KeyError> {
        T::known(table)
    }

    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        let mut keys = T::reference();
        keys[0].doc = key.doc;
        keys
    }
}
