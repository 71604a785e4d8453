//! A recipe as TOML again, every default written out.

use super::schema::*;
use crate::keys::{Entries, Keyed};

impl Recipe {
    /// The recipe as TOML with every default written out; it parses back to an equal recipe.
    pub fn to_toml(&self) -> String {
        let mut entries = Entries::default();
        self.write(&mut entries);
        entries.document()
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn source(source: &Source) -> String {
    format!("{{ images = {}, labels = {} }}", quoted(&source.images), quoted(&source.labels))
}

/// `[data]`, whose keys are not declared yet.
pub(super) fn data(out: &mut Entries, spec: &DataSpec) {
    if let Some(train) = &spec.train {
        out.put_text("train", source(train));
    }
    for (key, holdout) in [("test", &spec.test), ("validation", &spec.validation)] {
        match holdout {
            Holdout::None => {}
            Holdout::Fraction(share) => out.put(key, share),
            Holdout::Count(count) => out.put(key, count),
            Holdout::Files(files) => out.put_text(key, source(files)),
        }
    }
    out.put("header", &spec.header);
    out.put("scale", &spec.scale);
    out.put("seed", &spec.seed);
    out.put("classes", &spec.classes);
    out.put("examples", &spec.examples);
}
