//! Keys and values on their way to TOML.

use super::Keyword;

/// The keys of a table with their values, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries(Vec<(String, Entry)>);

/// A value as TOML.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// As it stands after `key = `.
    Value(String),
    /// A table: a section of a document, or `{ … }` inside one.
    Table(Entries),
}

impl Entries {
    /// Adds a key, if it has a value.
    pub(crate) fn put(&mut self, key: &str, value: &(impl Written + ?Sized)) {
        self.0.extend(value.written().map(|entry| (key.to_string(), entry)));
    }

    /// Adds a key with the text of its value.
    pub(crate) fn put_text(&mut self, key: &str, text: String) {
        self.0.push((key.to_string(), Entry::Value(text)));
    }

    /// Adds all of the others, the first of them under another key.
    pub(crate) fn append(&mut self, first: &str, mut others: Entries) {
        others.0.iter_mut().take(1).for_each(|(key, _)| *key = first.to_string());
        self.0.append(&mut others.0);
    }

    /// `{ key = value, … }`.
    pub(crate) fn inline(&self) -> String {
        let entries: Vec<String> = self.0.iter().map(|(key, entry)| format!("{key} = {}", entry.text())).collect();
        format!("{{ {} }}", entries.join(", "))
    }

    /// The text of a key's value.
    #[cfg(test)]
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, entry)| entry.text())
    }

    /// A line for each key.
    fn lines(&self) -> String {
        self.0.iter().map(|(key, entry)| format!("{key} = {}\n", entry.text())).collect()
    }

    /// A line for each key, and a section for each table.
    pub(crate) fn document(&self) -> String {
        let part = |(key, entry): &(String, Entry)| match entry {
            Entry::Value(text) => format!("{key} = {text}\n"),
            Entry::Table(entries) => format!("\n[{key}]\n{}", entries.lines()),
        };
        self.0.iter().map(part).collect()
    }
}

impl Entry {
    /// The value on one line.
    pub(crate) fn text(&self) -> String {
        match self {
            Entry::Value(text) => text.clone(),
            Entry::Table(entries) => entries.inline(),
        }
    }
}

/// A type whose values are written as TOML.
pub(crate) trait Written {
    /// The value; `None` where its key is left out.
    fn written(&self) -> Option<Entry>;
}

macro_rules! written {
    ($($type:ty, $format:literal);+) => {
        $(impl Written for $type {
            fn written(&self) -> Option<Entry> {
                Some(Entry::Value(format!($format, self)))
            }
        })+
    };
}

// Fractions always have a point or an exponent, and are short enough to read back as the same number.
written!(bool, "{}"; u32, "{}"; u64, "{}"; usize, "{}"; f32, "{:?}"; f64, "{:?}"; toml::Value, "{}"; [usize; 2], "{:?}");

/// A key without a choice.
impl Written for () {
    fn written(&self) -> Option<Entry> {
        true.written()
    }
}

impl Written for str {
    fn written(&self) -> Option<Entry> {
        Some(Entry::Value(toml::Value::String(self.into()).to_string()))
    }
}

impl Written for String {
    fn written(&self) -> Option<Entry> {
        self.as_str().written()
    }
}

impl<T: Keyword> Written for T {
    fn written(&self) -> Option<Entry> {
        self.word().written()
    }
}

impl<T: Written> Written for Option<T> {
    fn written(&self) -> Option<Entry> {
        self.as_ref()?.written()
    }
}

impl<T: Written> Written for Vec<T> {
    fn written(&self) -> Option<Entry> {
        let items: Vec<String> = self.iter().filter_map(|item| Some(item.written()?.text())).collect();
        Some(Entry::Value(format!("[{}]", items.join(", "))))
    }
}
