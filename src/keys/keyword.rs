//! Enums that a recipe writes as one word.

/// An enum whose values a recipe writes as one lowercase word. The one table serves reading, writing, and the list of
/// allowed values in error messages, so that the three cannot disagree.
pub trait Keyword: Copy + PartialEq + 'static {
    /// Every word and its value.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("?", |(word, _)| word)
    }

    /// The value of `word`, if there is one.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }
}

/// The words of the values that `chosen` accepts.
pub(crate) fn words_where<K: Keyword>(chosen: impl Fn(&K) -> bool) -> Vec<&'static str> {
    K::WORDS.iter().filter(|(_, value)| chosen(value)).map(|(word, _)| *word).collect()
}

/// Implements [`Keyword`] and `Display`.
macro_rules! keywords {
    ($type:ident { $($word:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::keys::Keyword for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$variant)),+];
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                // `pad`, not `write_str`, so that a width given in a table's format string is kept.
                f.pad($crate::keys::Keyword::word(*self))
            }
        }
    };
}

pub(crate) use keywords;
