//! The library's rooms, the folders and files right under `src`, stand on floors: each imports only rooms below it, and only
//! those that the table allows. Unit tests may look at everything; the program (`main.rs`, `cli`) is a crate of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rooms from the ground up, and what each may import.
const FLOORS: &[Floor] = &[
    ("file", &[]),
    ("lock", &["file"]),
    ("place", &[]),
    ("sealed", &[]),
    ("ir", &[]),
    ("keys", &[]),
    ("metrics", &["keys"]),
    ("ranks", &[]),
    ("kernel", &["ir", "keys"]),
    ("backend", &["file", "lock", "ir", "kernel"]),
    ("parity", &["ir", "kernel", "backend"]),
    ("tune", &["ir", "kernel", "backend", "parity"]),
    ("onnx", &["file", "kernel"]),
    ("graph", &["ir", "kernel"]),
    ("layers", &["ir", "keys", "kernel", "onnx", "graph"]),
    ("recipe", &["file", "place", "keys", "metrics", "kernel", "layers"]),
    ("model", &["keys", "kernel", "graph", "layers", "recipe"]),
    ("data", &["file", "lock", "place", "keys", "recipe", "model"]),
    ("suggest", &["recipe", "model", "data"]),
    ("planner", &["ir", "kernel", "graph", "layers", "recipe", "model"]),
    (
        "train",
        &[
            "file", "sealed", "metrics", "ir", "kernel", "backend", "parity", "layers", "recipe", "model", "data",
            "planner", "ranks",
        ],
    ),
    ("plan_file", &["file", "ir", "kernel"]),
    ("verify", &["ir", "kernel", "backend", "parity"]),
    ("gradcheck", &["ir", "kernel", "backend", "layers", "recipe", "model", "planner", "train"]),
    ("export", &["file", "sealed", "keys", "kernel", "onnx", "layers", "recipe", "model", "data"]),
    ("job", &["place", "ranks", "backend", "recipe", "model", "data", "train", "export"]),
    ("report", &["file"]),
    ("tensorboard", &["file"]),
    ("landscape", &["file", "backend", "recipe", "model", "data", "train", "export", "report"]),
    (
        "run",
        &[
            "file",
            "lock",
            "metrics",
            "backend",
            "recipe",
            "model",
            "data",
            "train",
            "export",
            "report",
            "tensorboard",
            "landscape",
        ],
    ),
    (
        "web",
        &[
            "file",
            "ir",
            "onnx",
            "recipe",
            "model",
            "data",
            "planner",
            "train",
            "plan_file",
            "export",
            "job",
            "report",
            "run",
        ],
    ),
    (
        "sweep",
        &[
            "file", "lock", "metrics", "ir", "backend", "recipe", "model", "data", "planner", "train", "job", "export",
            "report", "run", "ranks", "web",
        ],
    ),
];

/// A room, and what it may import.
type Floor = (&'static str, &'static [&'static str]);

/// Files that belong to no room.
const OUTSIDE: [&str; 3] = ["lib.rs", "main.rs", "cli"];

/// A source file: its path below `src`, and its text.
type Source = (String, String);

#[test]
fn every_room_imports_only_what_its_floor_allows() {
    let mut sources = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 100, "the sources are there");
    let faults = faults(FLOORS, &sources);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn collect(folder: &Path, name: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let own = entry.file_name().into_string().unwrap();
        let path = if name.is_empty() { own.clone() } else { format!("{name}/{own}") };
        if entry.path().is_dir() {
            collect(&entry.path(), &path, sources);
        } else if own.ends_with(".rs") {
            sources.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// Everything that is wrong, in words.
fn faults(floors: &[Floor], sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, (room, allowed)) in floors.iter().enumerate() {
        for above in allowed.iter().filter(|name| !floors[..number].iter().any(|(below, _)| below == *name)) {
            faults
                .push(format!("the table lets {room} import {above}, which is not below it: that may close a circle"));
        }
    }
    let found: BTreeSet<&str> = sources.iter().map(|(path, _)| room_of(path)).collect();
    let found: Vec<&str> = found.into_iter().filter(|room| !OUTSIDE.contains(room)).collect();
    let missing = found.iter().filter(|room| !floors.iter().any(|(name, _)| name == *room));
    faults.extend(missing.map(|room| format!("src has the room {room}, which the table of floors lacks: add it")));
    let gone = floors.iter().filter(|(name, _)| !found.contains(name));
    faults.extend(gone.map(|(name, _)| format!("the table of floors has {name}, which src lacks: remove it")));
    for (path, text) in sources.iter().filter(|(path, _)| !is_only_tested(path, sources)) {
        let Some((room, allowed)) = floors.iter().find(|(name, _)| *name == room_of(path)) else { continue };
        for (line, import) in imports(text) {
            let is_room = found.contains(&import.as_str());
            if is_room && import != *room && !allowed.contains(&import.as_str()) {
                faults.push(format!("src/{path}:{line}: {room} imports {import}, which its floor does not allow"));
            }
        }
    }
    faults
}

/// The room of a file: the first folder of its path, or its own name.
fn room_of(path: &str) -> &str {
    match path.split_once('/') {
        Some((folder, _)) => folder,
        None if OUTSIDE.contains(&path) => path,
        None => path.trim_end_matches(".rs"),
    }
}

/// Whether the file of a module is declared for unit tests alone, by `#[cfg(test)] mod NAME;` in the file above it.
fn is_only_tested(path: &str, sources: &[Source]) -> bool {
    let Some((folder, own)) = path.rsplit_once('/') else { return false };
    let name = own.trim_end_matches(".rs");
    let declares = |(above, text): &&Source| {
        let is_above = *above == format!("{folder}/mod.rs") || *above == format!("{folder}.rs");
        let declared = |line: &str| line.starts_with("mod ") || line.contains(" mod ");
        is_above && text.lines().any(|line| declared(line) && line.ends_with(&format!("mod {name};")))
    };
    sources.iter().find(declares).is_some_and(|(_, text)| !without_tests(text).contains(&format!("mod {name};")))
}

/// The text without items marked `#[cfg(test)]` and without comments; lines keep their numbers.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    // The indentation of an item that is left out, and whether its first line has come.
    let mut left_out: Option<(usize, bool)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let code = line.split("//").next().unwrap_or(line).trim_end();
        match left_out {
            None if code.trim_start() == "#[cfg(test)]" => left_out = Some((indent, false)),
            None => kept.push_str(code),
            Some((_, false)) if code.trim_start().starts_with("#[") || code.is_empty() => {}
            // An item of one line, such as `use …;` or `mod tests;`.
            Some((_, false)) if code.ends_with(';') => left_out = None,
            Some((start, false)) => left_out = Some((start, true)),
            Some((start, true)) if indent == start && (code.trim() == "}" || code.ends_with(';')) => left_out = None,
            Some(_) => {}
        }
        kept.push('\n');
    }
    kept
}

/// The rooms that a text names after `crate::`, each with its line: `crate::room::…` and `crate::{room::…, other}`.
fn imports(text: &str) -> Vec<(usize, String)> {
    let text = without_tests(text);
    let mut found = Vec::new();
    for (start, _) in text.match_indices("crate::") {
        let line = 1 + text[..start].matches('\n').count();
        let path = &text[start + "crate::".len()..];
        match path.strip_prefix('{') {
            Some(group) => found.extend(first_names(group).into_iter().map(|name| (line, name))),
            None => found.push((line, first_name(path))),
        }
    }
    found
}

/// The word that a path begins with.
fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The words that the paths of a group begin with, up to the brace that closes it.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth) = (vec![first_name(group)], 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first_name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn what_goes_against_the_table_is_found() {
    let source = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let floors: &[Floor] = &[("ground", &[]), ("first", &["ground"]), ("second", &["ground", "first"])];
    let ground = source("ground.rs", "use std::fmt;\n");
    let first = source("first/mod.rs", "#[cfg(test)]\nmod tests;\n\nuse crate::ground::Stone;\n");
    let second = source("second/mod.rs", "mod stairs;\n");
    let program = source("main.rs", "use crate::second;\n");
    let house = |more: &[Source]| [&[ground.clone(), first.clone(), second.clone(), program.clone()], more].concat();
    assert_eq!(faults(floors, &house(&[])), Vec::<String>::new());

    // Unit tests may look up, and comments may name anything.
    let tests = "use crate::second::Roof;\n";
    let inner = "// crate::second::Roof\n\n#[cfg(test)]\nmod tests {\n    use crate::second::Roof;\n}\n";
    let tested = house(&[source("first/tests.rs", tests), source("first/inner.rs", inner)]);
    assert_eq!(faults(floors, &tested), Vec::<String>::new());

    for (path, text, said) in [
        ("first/a.rs", "\nuse crate::second::Roof;\n", "src/first/a.rs:2: first imports second"),
        ("first/a.rs", "use crate::{ground, second};\n", "src/first/a.rs:1: first imports second"),
        ("first/a.rs", "use crate::{\n    ground::{A, B},\n    second::{C},\n};\n", "first imports second"),
        ("first/a.rs", "fn f() {\n    crate::second::roof();\n}\n", "src/first/a.rs:2: first imports second"),
        (
            "first/a.rs",
            "#[cfg(test)]\nuse crate::ground;\nuse crate::second;\n",
            "src/first/a.rs:3: first imports second",
        ),
        ("first/a.rs", "#[cfg(test)]\nmod tests {\n}\nuse crate::second;\n", "src/first/a.rs:4: first imports second"),
        ("third.rs", "", "src has the room third"),
    ] {
        let found = faults(floors, &house(&[source(path, text)]));
        assert!(found.len() == 1 && found[0].contains(said), "{text}: {found:?}");
    }
    let gone: &[Floor] = &[("ground", &[]), ("first", &["ground"]), ("second", &[]), ("attic", &[])];
    assert_eq!(faults(gone, &house(&[])), ["the table of floors has attic, which src lacks: remove it"]);
    let circle: &[Floor] = &[("ground", &["second"]), ("first", &["ground"]), ("second", &["ground"])];
    let found = faults(circle, &house(&[]));
    assert!(found.len() == 1 && found[0].contains("ground import second"), "{found:?}");
}
