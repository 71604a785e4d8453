//! `[start]`: weights of another training, and layers that keep them.

use crate::keys::{Entries, Entry, Form, Item, KeyError, List, Optional, Plain, Table, Text, Unless, Written, keyed};

keyed! {
    /// What training begins with: weights of a file, and layers that stay as they are.
    #[derive(Debug, Clone, PartialEq, Default)]
    pub struct StartSpec {
        /// A model of another training, or its weights: a .safetensors file (a PyTorch state dict too), a .npz file or the folder of a run.
        /// What fits by name and shape is taken, running statistics too; the rest is drawn as without it, and listed. A relative path is
        /// looked for as those of `[data]` are.
        pub from: Option<String> [Optional(Text("a file of weights, or the folder of a run", |path| !path.is_empty())); "\"model.safetensors\""],
        /// What the file's names begin with, up to a dot, and what they begin with here: `{ fc = "head" }` takes `fc.weight` for
        /// `head.weight`. The longest that fits counts. An empty name takes the beginning away, or puts one before every name.
        pub rename: Renames [Unless(Renames(Vec::new()), Plain); "{ fc = \"head\" }"],
        /// Whether the file must have every tensor of the model, in its shape, and no others, as `--init` demands.
        pub strict: bool [Unless(false, Plain)],
        /// Layers whose tensors no step changes, by name (`layers.N`, where they have none) or by what names begin with up to a dot. Their
        /// batch norms take the running statistics in training too.
        pub freeze: Vec<String> [Unless(Vec::new(), FREEZE); "[\"stem\", \"layer1\"]"],
    }
    check something_to_rename
}

const FREEZE: List<Text, String> = List(
    "a list of names of layers, such as [\"stem\", \"layers.0\"]",
    Text("the name of a layer", |name| !name.is_empty()),
    |_| true,
);

fn something_to_rename(spec: &StartSpec, table: &Table<'_>) -> Result<(), KeyError> {
    let needless = ["rename", "strict"].into_iter().find_map(|key| table.get(key)).filter(|_| spec.from.is_none());
    needless.map_or(Ok(()), |item| Err(item.conflict("needs a file; add from = \"model.safetensors\", or remove it")))
}

/// Beginnings of a file's names, and what stands in their place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renames(pub Vec<(String, String)>);

impl Renames {
    /// The name in the model of a tensor of the file, and which of the beginnings it has.
    pub fn apply(&self, name: &str) -> (String, Option<usize>) {
        let rest = |from: &str| match from {
            "" => Some(name),
            _ => {
                name.strip_prefix(from).and_then(|rest| if rest.is_empty() { Some("") } else { rest.strip_prefix('.') })
            }
        };
        let fitting = self.0.iter().enumerate().filter_map(|(index, (from, to))| Some((index, from, to, rest(from)?)));
        match fitting.max_by_key(|(_, from, ..)| from.len()) {
            Some((index, _, to, rest)) => {
                let parts = [to.as_str(), rest].into_iter().filter(|part| !part.is_empty());
                (parts.collect::<Vec<_>>().join("."), Some(index))
            }
            None => (name.to_string(), None),
        }
    }
}

impl Form<Renames> for Plain {
    fn expected(&self) -> String {
        "a table of beginnings of names and what stands in their place, such as { fc = \"head\" }".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Renames, KeyError> {
        let expected = Form::<Renames>::expected(self);
        let table = item.table(&expected)?;
        let pairs = table.items().map(|(from, to)| Ok((from.to_string(), to.text(&expected)?.to_string())));
        Ok(Renames(pairs.collect::<Result<_, KeyError>>()?))
    }
}

impl Written for Renames {
    fn written(&self) -> Option<Entry> {
        let mut entries = Entries::default();
        for (from, to) in &self.0 {
            entries.put(&quoted(from), to);
        }
        Some(Entry::Table(entries))
    }
}

/// A key as a TOML string of one line, whatever is in it.
fn quoted(key: &str) -> String {
    let escaped = key.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use crate::recipe::Recipe;

    fn recipe(start: &str) -> Result<Recipe, String> {
        let text = format!("[model]\ninput = [4]\nlayers = \"3:relu,2\"\n{start}");
        Recipe::parse(&text, "r.toml", &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_renamed_by_their_longest_beginning() {
        let text = "[start]\nfrom = \"a.npz\"\nrename = { fc = \"head\", \"module.fc\" = \"top\", \"module\" = \"\" }";
        let renames = recipe(text).unwrap().start.rename;
        let name = |name: &str| renames.apply(name).0;
        assert_eq!(name("fc.weight"), "head.weight");
        assert_eq!(name("fc2.weight"), "fc2.weight");
        assert_eq!(name("module.conv1.weight"), "conv1.weight");
        assert_eq!(name("module.fc.bias"), "top.bias");
        let all = recipe("[start]\nfrom = \"a.npz\"\nrename = { \"\" = \"trunk\" }").unwrap().start.rename;
        assert_eq!(all.apply("conv1.weight"), ("trunk.conv1.weight".into(), Some(0)));
    }

    #[test]
    fn a_start_is_written_as_it_is_read_and_none_is_not_written() {
        let text =
            "[start]\nfrom = \"a.npz\"\nrename = { \"layer1.0\" = \"a\" }\nstrict = true\nfreeze = [\"a\", \"b.c\"]";
        let given = recipe(text).unwrap();
        assert_eq!(Recipe::parse(&given.to_toml(), "r.toml", &[]).unwrap(), given);
        assert!(!recipe("").unwrap().to_toml().contains("start"));
    }

    #[test]
    fn a_start_without_a_file_has_nothing_to_rename() {
        for line in ["strict = true", "rename = { a = \"b\" }"] {
            let error = recipe(&format!("[start]\n{line}")).unwrap_err();
            assert!(error.contains("needs a file"), "{error}");
        }
        assert!(recipe("[start]\nfreez = [\"a\"]").unwrap_err().contains("did you mean \"freeze\"?"));
        assert!(recipe("[start]\nrename = \"a\"").unwrap_err().contains("{ fc = \"head\" }"));
        recipe("[start]\nfreeze = [\"layers.0\"]").unwrap();
    }
}
