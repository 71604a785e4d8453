//! What the recipe reference says of keys.

/// A key in the reference.
#[derive(Clone, Default)]
pub(crate) struct KeyReference {
    pub(crate) key: String,
    /// What it means.
    pub(crate) doc: String,
    /// What is allowed.
    pub(crate) allowed: String,
    /// What stands for the key where it is neither given nor written.
    pub(crate) default: Option<String>,
    /// A value, where the key has no default.
    pub(crate) example: Option<&'static str>,
    /// Whether it must be there.
    pub(crate) required: bool,
    /// The kinds that have it; none where all have.
    pub(crate) kinds: Vec<&'static str>,
    /// What each word of the value means, where it is one of several.
    pub(crate) words: Vec<(&'static str, String)>,
}

impl KeyReference {
    /// A key that may be left out.
    pub(crate) fn new(key: &str, doc: &str, allowed: String) -> KeyReference {
        KeyReference { key: key.into(), doc: doc.trim().into(), allowed, ..KeyReference::default() }
    }

    /// The same, where the value is one of these words.
    pub(crate) fn with_words(self, words: impl IntoIterator<Item = (&'static str, &'static str)>) -> KeyReference {
        let words = words.into_iter().map(|(word, meaning)| (word, meaning.trim().to_string())).collect();
        KeyReference { words, ..self }
    }
}
