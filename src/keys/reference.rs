//! What the recipe reference says of keys.

/// A key in the reference.
pub(crate) struct KeyReference {
    pub(crate) key: String,
    /// What it means.
    pub(crate) doc: String,
    /// What is allowed.
    pub(crate) allowed: String,
    /// A value, where the key has no default.
    pub(crate) example: Option<&'static str>,
    /// Whether it must be there.
    pub(crate) required: bool,
    /// The kinds that have it; none where all have.
    pub(crate) kinds: Vec<&'static str>,
    /// Of the key that names the kind: each word, and what it means.
    pub(crate) words: Vec<(&'static str, String)>,
}

impl KeyReference {
    /// The key that names the kind.
    pub(crate) fn kind(key: &str, words: Vec<(&'static str, &str)>) -> KeyReference {
        let allowed = super::table::one_of(&words.iter().map(|(word, _)| *word).collect::<Vec<_>>());
        let words = words.iter().map(|(word, doc)| (*word, doc.trim().to_string())).collect();
        KeyReference { key: key.into(), doc: String::new(), allowed, example: None, required: false, kinds: Vec::new(), words }
    }
}
