//! Enums that a recipe writes as one word.

/// An enum whose values a recipe writes as one lowercase word. The one table serves reading, writing, and the list of
/// allowed values in error messages, so that the three cannot disagree.
pub trait Keyword: Copy + PartialEq + 'static {
    /// Every word and its value.
    const WORDS: &'static [(&'static str, Self)];

    /// What the recipe reference says of each word, in their order.
    #[cfg(test)]
    const MEANINGS: &'static [&'static str] = &[];

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

/// Declares an enum whose values are words, or implements [`Keyword`] and `Display` for one that is there. A value after the enum's
/// name is its default.
macro_rules! keywords {
    (
        $(#[doc = $doc:literal])*
        #[derive($($derive:ident),*)]
        pub enum $type:ident $(= $default:ident)? {
            $($(#[doc = $meaning:literal])* $word:literal => $variant:ident),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive($($derive),*)]
        pub enum $type {
            $($(#[doc = $meaning])* $variant),+
        }

        $(impl Default for $type {
            fn default() -> Self {
                $type::$default
            }
        })?

        $crate::keys::keywords!($type { $($word => $variant),+ } $(concat!($($meaning),*)),+);
    };
    ($type:ident { $($word:literal => $variant:ident),+ $(,)? } $($meaning:expr),*) => {
        impl $crate::keys::Keyword for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$variant)),+];

            #[cfg(test)]
            const MEANINGS: &'static [&'static str] = &[$($meaning),*];
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
