//! The recipe reference, `docs/recipe.md`: what the declarations of the keys say, and nothing else.

use super::schema::data::{FOLDERS, TABLES};
use super::schema::*;
use crate::keys::{Entries, Item, KeyReference, Keyed, Node};
use std::fmt::Write;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/recipe.md");

const HEAD: &str = "# Recipes

Every key of a recipe, written from the declarations in `src/recipe/schema` and `src/layers`. A key with the default *none* may be left
out. The blocks show every key with its default, or with an example where it has none.
";

const LAYERS: &str = "
## Layers

An item of `model.layers` is a table. One key names the kind of layer; beside the keys of its kind each may have a `name`, by which
other layers take its output, and `from`, the name of the layer whose output it takes in place of the one before.
";

#[test]
fn the_reference_says_what_the_declarations_say() {
    let text = reference();
    if std::env::var("GPUTRAIN_WRITE_REFERENCE").is_ok_and(|v| v == "1") {
        std::fs::write(FILE, &text).unwrap();
    }
    let stored = std::fs::read_to_string(FILE).unwrap_or_default();
    let line = stored.lines().zip(text.lines()).position(|(stored, text)| stored != text);
    assert!(
        stored == text,
        "docs/recipe.md differs from the declarations of the keys, first at line {}; write it anew:\n\
         GPUTRAIN_WRITE_REFERENCE=1 cargo test --lib the_reference_says",
        1 + line.unwrap_or_else(|| stored.lines().count().min(text.lines().count()))
    );
}

fn reference() -> String {
    let mut book = Book { text: HEAD.into(), words: Vec::new() };
    let own = ["name", "seed", "precision"];
    let keys = Recipe::reference().into_iter().filter(|key| own.contains(&key.key.as_str())).collect();
    book.chapter("## The whole", Recipe::DOC, keys, vec![(None, String::new())], Some(""), &|lines| {
        read::<Recipe>(&format!("{lines}\n[model]\nlayers = [{{ dense = 1 }}]\n"))
    });
    let data = DataSpec::reference();
    let sources = [(TABLES, "table = \"house.csv\", target = \"price\""), (FOLDERS, "folder = \"flowers\"")];
    let sources = sources.map(|(whose, source)| (Some(whose), format!("train = {{ {source} }}\n")));
    let sources = [vec![(None, String::new())], sources.to_vec()].concat();
    book.chapter("## [data]", DataSpec::DOC, data, sources, Some("[data]\n"), &read::<DataSpec>);
    book.item::<Source>("### A source: `data.train`, or what is held out");
    book.item::<ImageSpec>("### `data.image`");
    book.section::<ModelSpec>("model");
    book.layers();
    book.section::<StartSpec>("start");
    book.section::<AugmentSpec>("augment");
    book.section::<OptimizerSpec>("optimizer");
    book.section::<Schedule>("schedule");
    book.item::<Phase>("### An item of `schedule.phases`");
    book.section::<TrainSpec>("train");
    book.item::<EarlyStop>("### `train.early_stop`");
    book.section::<SweepSpec>("sweep");
    book.end()
}

/// Reads lines of TOML and writes them with every default.
fn read<K: Keyed>(lines: &str) -> Entries {
    let node = Node::parse(lines, "reference").unwrap_or_else(|error| panic!("{error}\n{lines}"));
    let value = Item { path: String::new(), node: &node }.table("").and_then(K::of);
    let mut entries = Entries::default();
    value.unwrap_or_else(|error| panic!("{error}\n{lines}")).write(&mut entries);
    entries
}

fn read_layer(lines: &str) -> Entries {
    let node = Node::parse(lines, "reference").unwrap_or_else(|error| panic!("{error}\n{lines}"));
    let layer = LayerSpec::read(&Item { path: String::new(), node: &node });
    let mut entries = Entries::default();
    layer.unwrap_or_else(|error| panic!("{error}\n{lines}")).kind.write(&mut entries);
    entries
}

struct Book {
    text: String,
    /// Keys whose values are words, with their meanings; each list once.
    words: Vec<(String, Vec<(&'static str, String)>)>,
}

impl Book {
    fn section<K: Keyed>(&mut self, name: &str) {
        let keys = K::reference();
        let cases = cases(&keys);
        self.chapter(&format!("## [{name}]"), K::DOC, keys, cases, Some(&format!("[{name}]\n")), &read::<K>);
    }

    fn item<K: Keyed>(&mut self, title: &str) {
        let keys = K::reference();
        let cases = cases(&keys);
        self.chapter(title, K::DOC, keys, cases, None, &read::<K>);
    }

    fn layers(&mut self) {
        self.text += LAYERS;
        for kind in crate::layers::reference() {
            let title = format!("### `{}`", kind.example);
            self.chapter(&title, kind.doc, kind.keys, vec![(None, String::new())], None, &read_layer);
        }
    }

    /// A table of keys, and a block for each case: lines below `head`, or without one a table in braces. `read` reads lines and
    /// writes them with all defaults.
    fn chapter(
        &mut self,
        title: &str,
        doc: &str,
        keys: Vec<KeyReference>,
        cases: Vec<Case>,
        head: Option<&str>,
        read: &dyn Fn(&str) -> Entries,
    ) {
        writeln!(self.text, "\n{title}\n\n{}\n\n| key | default | allowed | |\n|---|---|---|---|", doc.trim()).unwrap();
        let tagged = keys.iter().any(|key| key.key == "kind");
        let blocks: Vec<Block<'_>> = cases.iter().map(|case| Block::new(&keys, case, read)).collect();
        let usual = tagged.then(|| read("").text("kind")).flatten();
        for key in &keys {
            let kinds: Vec<String> = key.kinds.iter().map(|kind| format!("`\"{kind}\"`")).collect();
            let kinds = if tagged && !kinds.is_empty() { format!("Of {}: ", kinds.join(", ")) } else { String::new() };
            let meaning = format!("{kinds}{}", key.doc);
            let cells =
                [format!("`{}`", key.key), default(key, &blocks, usual.as_deref()), key.allowed.clone(), meaning];
            writeln!(self.text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
            if !key.words.is_empty() && !self.words.iter().any(|(_, words)| *words == key.words) {
                let section = title.strip_prefix("## [").map_or(String::new(), |title| title.replace(']', "."));
                self.words.push((section + &key.key, key.words.clone()));
            }
        }
        for Block { keys, entries, .. } in &blocks {
            let lines = keys.iter().filter_map(|key| {
                let value = entries.text(&key.key).or(key.example.map(str::to_string))?;
                Some(format!("{} = {value}", key.key))
            });
            let lines: Vec<String> = lines.collect();
            read(&lines.join("\n"));
            let text = match head {
                Some(head) => head.to_string() + &lines.join("\n"),
                None => format!("{{ {} }}", lines.join(", ")),
            };
            write!(self.text, "\n```toml\n{text}\n```\n").unwrap();
        }
    }

    fn end(mut self) -> String {
        self.text += "\n## Words\n";
        for (key, words) in &self.words {
            write!(self.text, "\n### `{key}`\n\n").unwrap();
            for (word, meaning) in words {
                writeln!(self.text, "- `\"{word}\"`: {meaning}").unwrap();
            }
        }
        self.text
    }
}

/// A kind, and the line that says it.
type Case = (Option<&'static str>, String);

/// The kinds that the keys tell of.
fn cases(keys: &[KeyReference]) -> Vec<Case> {
    if let Some(tag) = keys.iter().find(|key| key.key == "kind") {
        return tag.words.iter().map(|(word, _)| (Some(*word), format!("kind = \"{word}\"\n"))).collect();
    }
    let mut kinds: Vec<Case> = Vec::new();
    for kind in keys.iter().flat_map(|key| &key.kinds) {
        if !kinds.iter().any(|(known, _)| *known == Some(*kind)) {
            kinds.push((Some(kind), String::new()));
        }
    }
    if kinds.is_empty() { vec![(None, String::new())] } else { kinds }
}

/// The keys of a kind, and what is written where only those are given that must be.
struct Block<'a> {
    kind: Option<&'static str>,
    /// The line that says the kind.
    line: String,
    keys: Vec<&'a KeyReference>,
    entries: Entries,
}

impl<'a> Block<'a> {
    fn new(keys: &'a [KeyReference], (kind, line): &Case, read: &dyn Fn(&str) -> Entries) -> Block<'a> {
        let has = |key: &&KeyReference| key.kinds.is_empty() || kind.is_some_and(|kind| key.kinds.contains(&kind));
        let keys: Vec<&KeyReference> = keys.iter().filter(has).collect();
        let required = keys.iter().filter(|key| key.required).map(|key| {
            let example = key.example.unwrap_or_else(|| panic!("{} needs an example in its declaration", key.key));
            format!("{} = {example}\n", key.key)
        });
        let lines: String = std::iter::once(line.clone()).chain(required).collect();
        Block { kind: *kind, line: line.clone(), keys, entries: read(&lines) }
    }
}

/// The default of a key: what is written for it where it is not given; `kind` is that of the key with this name.
fn default(key: &KeyReference, blocks: &[Block<'_>], kind: Option<&str>) -> String {
    if let (Some(kind), "kind") = (kind, &*key.key) {
        return format!("`{kind}`");
    }
    if key.required {
        return "must be there".into();
    }
    let having = blocks.iter().filter(|block| block.keys.iter().any(|other| std::ptr::eq(*other, key)));
    let mut values: Vec<(String, Vec<&str>)> = Vec::new();
    for block in having.filter(|block| !block.line.starts_with(&format!("{} =", key.key))) {
        let Some(value) = block.entries.text(&key.key).or(key.default.clone()) else { continue };
        // Not given and not written.
        if matches!(&*value, "[]" | "{  }") && block.entries.text(&key.key).is_none() {
            continue;
        }
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, kinds)) => kinds.extend(block.kind),
            None => values.push((value, block.kind.into_iter().collect())),
        }
    }
    match &values[..] {
        [] => "*none*".into(),
        [(value, _)] => format!("`{value}`"),
        several => {
            let of = |kinds: &[&str]| if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
            several.iter().map(|(value, kinds)| format!("`{value}`{}", of(kinds))).collect::<Vec<_>>().join(", ")
        }
    }
}
