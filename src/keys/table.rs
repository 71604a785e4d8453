//! Typed access to the tree: every wrong type, range or key becomes an error that names its place.

use super::error::{KeyError, Place, nearest};
use super::keyword::{Keyword, words_where};
use super::tree::{Node, Value};

/// A table.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    path: String,
    place: &'a Place,
    entries: &'a [(String, Node)],
    /// What a declaration calls the key that tells the table's kind, and the key.
    head: Option<(&'static str, &'static str)>,
}

/// A value and its whole key.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    pub(crate) path: String,
    pub(crate) node: &'a Node,
}

impl<'a> Table<'a> {
    /// A table of its own.
    pub(crate) fn new(place: &'a Place, entries: &'a [(String, Node)]) -> Table<'a> {
        Table { path: String::new(), place, entries, head: None }
    }

    /// The same table, where the key `word` tells the kind, and the kind's declaration calls its value `name`.
    pub(crate) fn of_kind(self, name: &'static str, word: &'static str) -> Table<'a> {
        Table { head: Some((name, word)), ..self }
    }

    /// The key that tells the kind.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        self.head.map(|(_, word)| word)
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<Item<'a>> {
        let key = self.head.filter(|(name, _)| *name == key).map_or(key, |(_, word)| word);
        let node = self.entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)?;
        Some(Item { path: join(&self.path, key), node })
    }

    /// The table at `key`; an empty one if there is none.
    pub(crate) fn section(&self, key: &str) -> Result<Table<'a>, KeyError> {
        match self.get(key) {
            Some(item) => item.table(&format!("a table, such as [{key}]")),
            None => Ok(Table { path: join(&self.path, key), place: self.place, entries: &[], head: None }),
        }
    }

    /// The kind that the table says it is: by the word of the key `tag`, or without one by the key that it has.
    pub(crate) fn kind_of(
        &self,
        tag: Option<&&str>,
        kinds: &[&'static str],
        default: &'static str,
    ) -> Result<&'static str, KeyError> {
        match tag {
            Some(tag) => self.get(tag).map_or(Ok(default), |item| Ok(kinds[item.one_of(kinds)?])),
            None => Ok(kinds.iter().find(|kind| self.get(kind).is_some()).copied().unwrap_or(default)),
        }
    }

    /// Refuses a key that belongs to something else than what is there.
    pub(crate) fn belongs_to(&self, key: &str, is_there: bool, whose: &str) -> Result<(), KeyError> {
        match self.get(key) {
            Some(item) if !is_there => Err(item.conflict(format!("is for {whose}; remove it"))),
            _ => Ok(()),
        }
    }

    /// Refuses a key that belongs to other kinds than this one.
    pub(crate) fn belongs<K: Keyword>(&self, key: &str, kind: K, owns: impl Fn(&K) -> bool) -> Result<(), KeyError> {
        match self.get(key) {
            Some(item) if !owns(&kind) => {
                let owners = words_where(owns).iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>();
                let (owners, this) = (owners.join(" and "), &self.path);
                let kind = kind.word();
                let problem = format!(
                    "belongs to kind = {owners}, but the {this} is \"{kind}\"; remove it, or give the table anew, as by \
                     --set '{this}={{kind=\"{kind}\"}}'"
                );
                Err(item.conflict(problem))
            }
            _ => Ok(()),
        }
    }

    /// The value of `key`, which must be there.
    pub(crate) fn require(&self, key: &str, expected: &str) -> Result<Item<'a>, KeyError> {
        self.get(key).ok_or_else(|| self.missing(key, expected))
    }

    /// The error for a key that must be there.
    pub(crate) fn missing(&self, key: &str, expected: &str) -> KeyError {
        KeyError::Missing { place: self.place.clone(), key: join(&self.path, key), expected: expected.into() }
    }

    /// Every key and value.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> + '_ {
        self.entries.iter().map(|(key, node)| (key.as_str(), Item { path: join(&self.path, key), node }))
    }

    /// Refuses keys that are not in `known`.
    pub(crate) fn only(self, known: &[&str]) -> Result<Table<'a>, KeyError> {
        match self.entries.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(self),
            Some((key, node)) => Err(KeyError::UnknownKey {
                place: node.place.clone(),
                key: join(&self.path, key),
                suggestion: nearest(key, known.iter().copied()).map(str::to_string),
                known: known.iter().map(|known| known.to_string()).collect(),
            }),
        }
    }
}

/// What is expected of a value that is one of several words.
pub(crate) fn one_of(words: &[&str]) -> String {
    format!("one of {}", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

impl<'a> Item<'a> {
    /// The error for a value that is not what was expected.
    pub(crate) fn wrong(&self, expected: impl Into<String>) -> KeyError {
        KeyError::Value {
            place: self.node.place.clone(),
            key: self.path.clone(),
            found: self.node.describe(),
            expected: expected.into(),
        }
    }

    /// The error for a value that contradicts another.
    pub(crate) fn conflict(&self, problem: impl Into<String>) -> KeyError {
        KeyError::Conflict { place: self.node.place.clone(), key: self.path.clone(), problem: problem.into() }
    }

    /// The value as a table; `expected` says what the table would hold.
    pub(crate) fn table(&self, expected: &str) -> Result<Table<'a>, KeyError> {
        match &self.node.value {
            Value::Table(entries) => {
                Ok(Table { path: self.path.clone(), place: &self.node.place, entries, head: None })
            }
            _ => Err(self.wrong(expected)),
        }
    }

    /// The value as a list.
    pub(crate) fn list(&self, expected: &str) -> Result<Vec<Item<'a>>, KeyError> {
        match &self.node.value {
            Value::Array(nodes) => {
                let items = nodes.iter().enumerate();
                Ok(items.map(|(index, node)| Item { path: format!("{}.{index}", self.path), node }).collect())
            }
            _ => Err(self.wrong(expected)),
        }
    }

    /// The value as text.
    pub(crate) fn text(&self, expected: &str) -> Result<&'a str, KeyError> {
        match &self.node.value {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(expected)),
        }
    }

    /// One word of an enum.
    pub(crate) fn word<T: Keyword>(&self) -> Result<T, KeyError> {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        Ok(T::WORDS[self.one_of(&words)?].1)
    }

    /// Which of the words the value is.
    pub(crate) fn one_of(&self, words: &[&str]) -> Result<usize, KeyError> {
        let Value::String(text) = &self.node.value else { return Err(self.wrong(one_of(words))) };
        words.iter().position(|word| word == text).ok_or_else(|| {
            let near = nearest(text, words.iter().copied());
            self.wrong(one_of(words) + &near.map_or(String::new(), |near| format!(" (did you mean \"{near}\"?)")))
        })
    }

    /// true or false.
    pub(crate) fn boolean(&self) -> Result<bool, KeyError> {
        match self.node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A whole number of at least `least` that fits the type.
    pub(crate) fn whole<T: TryFrom<i128>>(&self, least: i128) -> Result<T, KeyError> {
        let expected = format!("a whole number, {least} or more");
        match self.node.value {
            Value::Integer(n) if n >= least => {
                T::try_from(n).map_err(|_| self.wrong(format!("{expected}, but not as large as this")))
            }
            _ => Err(self.wrong(expected)),
        }
    }

    /// A finite number that `allowed` accepts, once rounded to f32 (so that 1e-60 does not pass as positive).
    pub(crate) fn number(&self, expected: &str, allowed: impl Fn(f32) -> bool) -> Result<f32, KeyError> {
        let value = self.wide_number(expected, |_| true)? as f32;
        if value.is_finite() && allowed(value) { Ok(value) } else { Err(self.wrong(expected)) }
    }

    /// A finite number that `allowed` accepts; integers are numbers too.
    pub(crate) fn wide_number(&self, expected: &str, allowed: impl Fn(f64) -> bool) -> Result<f64, KeyError> {
        let value = match self.node.value {
            Value::Float(value) => value,
            Value::Integer(value) => value as f64,
            _ => return Err(self.wrong(expected)),
        };
        if value.is_finite() && allowed(value) { Ok(value) } else { Err(self.wrong(expected)) }
    }
}
