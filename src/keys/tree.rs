//! TOML as a tree whose every value knows where it comes from, so that an error about a recipe can name the line or
//! the override, and so that overrides can replace parts before anything is interpreted.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{KeyError, Place};

/// A recipe is a few kilobytes; a limit keeps a wrong file from exhausting memory.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A TOML value. Tables keep the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    String(String),
    /// Wide enough for a seed beyond i64, which TOML files may hold.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Node {
    /// Parses a whole recipe; `origin` names it in errors.
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Node, KeyError> {
        let origin: Arc<str> = origin.into();
        let bytes = text.len() as u64;
        if bytes > MAX_BYTES {
            return Err(KeyError::TooLarge { origin: origin.to_string(), bytes, limit: MAX_BYTES });
        }
        // A byte-order mark is not TOML, but some editors write one.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = Lines::new(text);
        let place = |offset: usize| Place::Line { origin: origin.clone(), line: lines.of(offset) };
        let table = DeTable::parse(text).map_err(|error| KeyError::Syntax {
            place: place(error.span().map_or(0, |span| span.start)),
            message: one_line(error.message()),
        })?;
        table_node(table.get_ref(), 0, &place)
    }

    /// Parses the value of an override: TOML if it is TOML, otherwise a plain string, so that quotes are not needed.
    pub(crate) fn parse_setting(text: &str, place: &Place) -> Result<Node, KeyError> {
        match DeValue::parse(text).map(|value| node(&value, &|_| place.clone())) {
            // A name such as 2020-01-02 is not meant as a date: no key takes one.
            Ok(Ok(Node { value: Value::Datetime(_), .. })) | Err(_) => {
                // `.5` and `1.` are numbers to everybody but TOML.
                let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
                let value = match text.parse::<f64>() {
                    Ok(value) if number => Value::Float(value),
                    _ => Value::String(text.to_string()),
                };
                Ok(Node { value, place: place.clone() })
            }
            Ok(result) => result,
        }
    }

    /// A tree from a plain value, all of it at one place.
    pub(crate) fn from_toml(value: &toml::Value, place: &Place) -> Node {
        let value = match value {
            toml::Value::String(text) => Value::String(text.clone()),
            toml::Value::Integer(n) => Value::Integer((*n).into()),
            toml::Value::Float(x) => Value::Float(*x),
            toml::Value::Boolean(b) => Value::Boolean(*b),
            toml::Value::Datetime(time) => Value::Datetime(time.to_string()),
            toml::Value::Array(items) => Value::Array(items.iter().map(|item| Node::from_toml(item, place)).collect()),
            toml::Value::Table(entries) => {
                Value::Table(entries.iter().map(|(key, item)| (key.clone(), Node::from_toml(item, place))).collect())
            }
        };
        Node { value, place: place.clone() }
    }

    /// The plain value. Integers beyond i64 and dates, which no recipe key takes, become text.
    pub(crate) fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::String(text) | Value::Datetime(text) => toml::Value::String(text.clone()),
            Value::Integer(n) => i64::try_from(*n).map_or_else(|_| toml::Value::String(n.to_string()), Into::into),
            Value::Float(x) => toml::Value::Float(*x),
            Value::Boolean(b) => toml::Value::Boolean(*b),
            Value::Array(items) => toml::Value::Array(items.iter().map(Node::to_toml).collect()),
            Value::Table(entries) => {
                toml::Value::Table(entries.iter().map(|(key, item)| (key.clone(), item.to_toml())).collect())
            }
        }
    }

    /// The value in a few words, for errors.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::String(text) if text.chars().count() > 60 => {
                format!("{:?}…", text.chars().take(60).collect::<String>())
            }
            Value::String(text) => format!("{text:?}"),
            Value::Integer(n) => n.to_string(),
            Value::Float(x) => format!("{x:?}"),
            Value::Boolean(b) => b.to_string(),
            Value::Datetime(text) => text.clone(),
            Value::Array(items) if items.is_empty() => "[] (an empty list)".into(),
            Value::Array(_) => "[…] (a list)".into(),
            Value::Table(_) => "{…} (a table)".into(),
        }
    }

    /// Applies an override: puts `new` at the dotted path. In the `[sweep]` table it replaces the values of a key however
    /// the file spells that key: quoted, dotted, or as a table.
    pub(crate) fn replace(&mut self, path: &[String], new: Node) -> Result<(), String> {
        let [first, key @ ..] = path else { return self.set(path, new) };
        if first != "sweep" || key.is_empty() {
            return self.set(path, new);
        }
        let parts: Vec<&str> = key.iter().flat_map(|part| part.split('.')).collect();
        let sweep = match &self.value {
            Value::Table(entries) => entries.iter().find(|(name, _)| name == "sweep").map(|(_, node)| &node.value),
            _ => None,
        };
        let found = match sweep {
            Some(Value::Table(entries)) => spelled(entries, &parts),
            _ => None,
        };
        let key = found.unwrap_or_else(|| vec![parts.join(".")]);
        self.set(&[vec![first.clone()], key].concat(), new)
    }

    /// Puts `new` at the dotted path, making tables on the way; numbers index lists.
    pub(crate) fn set(&mut self, path: &[String], new: Node) -> Result<(), String> {
        let Some((first, rest)) = path.split_first() else {
            *self = new;
            return Ok(());
        };
        if let Value::Array(items) = &mut self.value {
            let count = items.len();
            let index = first.parse::<usize>().ok().filter(|index| *index < count);
            return match index.and_then(|index| items.get_mut(index)) {
                Some(item) => item.set(rest, new),
                None if count == 0 => Err(format!("\"{first}\" is no item of an empty list")),
                None => Err(format!("\"{first}\" is no item of this list; expected 0 to {}", count - 1)),
            };
        }
        if !matches!(self.value, Value::Table(_)) {
            // `data.validation.images=…` where the recipe has `validation = 0.1`: the override wins.
            *self = Node { value: Value::Table(Vec::new()), place: new.place.clone() };
        }
        let Value::Table(entries) = &mut self.value else { return Ok(()) };
        if let Some((_, entry)) = entries.iter_mut().find(|(key, _)| key == first) {
            return entry.set(rest, new);
        }
        let mut entry = Node { value: Value::Table(Vec::new()), place: new.place.clone() };
        entry.set(rest, new)?;
        entries.push((first.clone(), entry));
        Ok(())
    }
}

/// The keys that lead to an entry of a `[sweep]` table, where one key may stand for several ("train.epochs") and a table
/// for a part of one ([sweep.train]). What is left of the path beyond an entry comes last.
fn spelled(entries: &[(String, Node)], path: &[&str]) -> Option<Vec<String>> {
    entries.iter().find_map(|(key, node)| {
        let parts: Vec<&str> = key.split('.').collect();
        let rest = path.strip_prefix(&parts[..])?;
        let inner = match &node.value {
            Value::Table(inner) if !rest.is_empty() => spelled(inner, rest)?,
            _ => rest.iter().map(|part| part.to_string()).collect(),
        };
        Some([vec![key.clone()], inner].concat())
    })
}

/// Splits a dotted key as TOML does, so that quoted parts may hold dots.
pub(crate) fn split_key(key: &str) -> Result<Vec<String>, String> {
    let bad = || format!("\"{key}\" is no key; expected names joined by dots, such as optimizer.learning_rate");
    if key.contains(['=', '\n', '\r', '#', '[', ']', '{', '}']) {
        return Err(bad());
    }
    let text = format!("{key} = 0");
    let mut path = Vec::new();
    let document = DeTable::parse(&text).map_err(|_| bad())?;
    let mut table = document.get_ref();
    while let Some((name, value)) = table.iter().next() {
        path.push(name.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    Ok(path)
}

fn table_node(table: &DeTable<'_>, offset: usize, place: &dyn Fn(usize) -> Place) -> Result<Node, KeyError> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter().map(|(key, value)| {
        let mut node = node(value, place)?;
        // The key's line: a value may start on a later one, and a table of a [header] has no line of its own.
        node.place = place(key.span().start);
        Ok((key.get_ref().to_string(), node))
    });
    Ok(Node { value: Value::Table(entries.collect::<Result<_, KeyError>>()?), place: place(offset) })
}

/// Recursion is bounded: the TOML parser refuses deep nesting.
fn node(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Place) -> Result<Node, KeyError> {
    let offset = value.span().start;
    let number =
        |text: &str| KeyError::Syntax { place: place(offset), message: format!("number {text} is out of range") };
    let parsed = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(n) => {
            Value::Integer(i128::from_str_radix(n.as_str(), n.radix()).map_err(|_| number(n.as_str()))?)
        }
        DeValue::Float(x) => Value::Float(x.as_str().parse().map_err(|_| number(x.as_str()))?),
        DeValue::Boolean(b) => Value::Boolean(*b),
        DeValue::Datetime(time) => Value::Datetime(time.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| node(item, place)).collect::<Result<_, KeyError>>()?)
        }
        DeValue::Table(table) => return table_node(table, offset, place),
    };
    Ok(Node { value: parsed, place: place(offset) })
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Byte offsets to line numbers.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Lines {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { starts }
    }

    fn of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}
