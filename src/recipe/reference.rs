//! The recipe reference, `docs/recipe.md`: what the declarations of the keys say, and nothing else.

use super::schema::*;
use crate::keys::{Entries, Item, KeyReference, Keyed, Node};
use std::fmt::Write;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/recipe.md");

const HEAD: &str = "# Recipes

Every key of a recipe, written from the declarations in `src/recipe/schema` and `src/layers`. A key without a default must be there;
where it says *none*, the key may be left out. The blocks show every key with its default, or with an example where it has none.
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
    let mut out = HEAD.to_string();
    let own = ["name", "seed", "precision"];
    let keys = Recipe::reference().into_iter().filter(|key| own.contains(&key.key.as_str())).collect();
    chapter(&mut out, "## The whole", Recipe::DOC, keys, &|keys| {
        let text = format!("{keys}\n[model]\nlayers = [{{ dense = 1 }}]\n");
        written(&super::read::recipe(&Node::parse(&text, "recipe.toml").unwrap(), "recipe.toml").unwrap())
    });
    section::<ModelSpec>(&mut out, "## [model]");
    section::<OptimizerSpec>(&mut out, "## [optimizer]");
    section::<Schedule>(&mut out, "## [schedule]");
    section::<Phase>(&mut out, "### Items of `schedule.phases`");
    section::<TrainSpec>(&mut out, "## [train]");
    section::<EarlyStop>(&mut out, "### `train.early_stop`");
    section::<SweepSpec>(&mut out, "## [sweep]");
    out
}

fn section<K: Keyed>(out: &mut String, title: &str) {
    chapter(out, title, K::DOC, K::reference(), &|keys| {
        let node = Node::parse(keys, title).unwrap();
        let table = Item { path: String::new(), node: &node }.table("").unwrap();
        written(&K::of(table).unwrap_or_else(|error| panic!("an example in the declarations is wrong: {error}")))
    });
}

fn written(value: &impl Keyed) -> Entries {
    let mut entries = Entries::default();
    value.write(&mut entries);
    entries
}

/// The table of the keys, and a block for each kind. `read` reads lines of TOML and writes them with all defaults.
fn chapter(out: &mut String, title: &str, doc: &str, keys: Vec<KeyReference>, read: &dyn Fn(&str) -> Entries) {
    writeln!(out, "\n{title}\n\n{}\n\n| key | default | allowed | |\n|---|---|---|---|", doc.trim()).unwrap();
    let mut kinds: Vec<&str> = Vec::new();
    for kind in keys.iter().flat_map(|key| key.words.iter().map(|(word, _)| word).chain(&key.kinds)) {
        if !kinds.contains(kind) {
            kinds.push(kind);
        }
    }
    let named: Vec<Option<&str>> = if kinds.is_empty() { vec![None] } else { kinds.into_iter().map(Some).collect() };
    let blocks: Vec<(Vec<&KeyReference>, Entries)> = named.iter().map(|kind| block(&keys, *kind, read)).collect();
    let usual = read(&needed(&keys, None));
    for key in &keys {
        // With the usual kind, or else with the first that has the key.
        let text = key.kinds.is_empty().then(|| usual.text(&key.key)).flatten();
        let first = blocks.iter().find(|(of_kind, _)| of_kind.iter().any(|of_kind| of_kind.key == key.key));
        let default = match (key.required, text.or_else(|| first.and_then(|(_, entries)| entries.text(&key.key)))) {
            (true, _) => String::new(),
            (false, None) => "*none*".into(),
            (false, Some(text)) => format!("`{text}`"),
        };
        let kinds: Vec<String> = key.kinds.iter().map(|kind| format!("`kind = \"{kind}\"`")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!("{}: ", kinds.join(", ")) };
        let cells = [format!("`{}`", key.key), default, key.allowed.clone(), format!("{kinds}{}", key.doc)];
        writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
    }
    for (word, doc) in keys.iter().flat_map(|key| &key.words) {
        write!(out, "\n- `\"{word}\"`: {doc}").unwrap();
    }
    for (keys, entries) in &blocks {
        let lines = keys.iter().filter_map(|key| {
            let value = entries.text(&key.key).or(key.example.map(str::to_string))?;
            Some(format!("{} = {value}\n", key.key))
        });
        let text: String = lines.collect();
        read(&text);
        write!(out, "\n```toml\n{text}```\n").unwrap();
    }
}

/// The keys that a kind has, and what is written where only those are given that must be.
fn block<'a>(
    keys: &'a [KeyReference],
    kind: Option<&str>,
    read: &dyn Fn(&str) -> Entries,
) -> (Vec<&'a KeyReference>, Entries) {
    let has = |key: &&KeyReference| key.kinds.is_empty() || kind.is_some_and(|kind| key.kinds.contains(&kind));
    (keys.iter().filter(has).collect(), read(&needed(keys, kind)))
}

/// The lines that a kind cannot do without.
fn needed(keys: &[KeyReference], kind: Option<&str>) -> String {
    let tag = kind.map_or(String::new(), |kind| format!("kind = \"{kind}\"\n"));
    let has = |key: &&KeyReference| key.kinds.is_empty() || kind.is_some_and(|kind| key.kinds.contains(&kind));
    let lines = keys.iter().filter(has).filter(|key| key.required);
    let line = |key: &KeyReference| {
        let example = key.example.unwrap_or_else(|| panic!("{} needs an example in its declaration", key.key));
        format!("{} = {example}\n", key.key)
    };
    lines.fold(tag, |text, key| text + &line(key))
}
