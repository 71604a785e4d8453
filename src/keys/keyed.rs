//! Structs and enums whose keys are declared where their fields are.

use super::entries::Entries;
#[cfg(test)]
use super::reference::KeyReference;
use super::{KeyError, Node, Place, Table, Value};

/// A type that recipes write as the keys of a table. [`keyed`] and [`kinds`] implement it.
pub(crate) trait Keyed: Sized {
    /// The fields' names: mostly the keys.
    const KEYS: &'static [&'static str];

    /// The keys that the table may hold.
    fn known<'a>(table: &Table<'a>) -> Result<Vec<&'a str>, KeyError>;

    /// Reads a table without unknown keys.
    fn read(table: &Table<'_>) -> Result<Self, KeyError>;

    /// Writes every key.
    fn write(&self, entries: &mut Entries);

    /// What the reference says of the whole.
    #[cfg(test)]
    const DOC: &'static str;

    /// What the reference says of every key.
    #[cfg(test)]
    fn reference() -> Vec<KeyReference>;

    /// Reads a table.
    fn of(table: Table<'_>) -> Result<Self, KeyError> {
        let known = Self::known(&table)?;
        Self::read(&table.only(&known)?)
    }

    /// What a table with only these words means.
    fn with_defaults(words: &[(&str, &str)]) -> Self {
        let place = Place::Setting("defaults".into());
        let node = |word: &str| Node { value: Value::String(word.to_string()), place: place.clone() };
        let entries: Vec<_> = words.iter().map(|(key, word)| (key.to_string(), node(word))).collect();
        let table = Table::new(&place, &entries);
        Self::read(&table).unwrap_or_else(|error| unreachable!("the other keys have defaults: {error}"))
    }
}

/// Declares a struct with the keys of a recipe, each in one place:
///
/// ```text
/// keyed! {
///     /// What the table is.
///     #[derive(Debug, Clone, PartialEq)]
///     pub struct Name {
///         /// What the key means; this is also what the reference says.
///         pub key: Type [form; "example"] where field is (Kind::A | Kind::B, "whose it is") = default,
///     }
///     also { … keys that are no fields … }
///     check function
/// }
/// ```
///
/// All but name and type may be left out. The form says how the value is written and what is allowed (`form.rs`; `Plain` where none
/// is given). A key without a default must be there, unless its form is `Optional` or `Unless`; the example shows it in the
/// reference. A default may depend on the fields before it. `where` says which values of a field before it have the key; "whose it is"
/// is for errors, and may be left out where that field is the `kind`, whose words tell. `also` declares keys that are read, and
/// written as their type's default: one that another form looks at, or one without a choice. `check` names a function of the value
/// and its table that refuses what does not fit together.
macro_rules! keyed {
    (
        $(#[doc = $doc:literal])*
        #[derive($($derive:ident),*)]
        pub struct $name:ident {
            $(
                $(#[doc = $key_doc:literal])*
                pub $field:ident: $type:ty $([$form:expr $(; $example:literal)?])?
                    $(where $kind:ident is ($owner:pat $(, $whose:expr)?))? $(= $default:expr)?
            ),* $(,)?
        }
        $($more:tt)*
    ) => {
        $(#[doc = $doc])*
        #[derive($($derive),*)]
        pub struct $name {
            $($(#[doc = $key_doc])* pub $field: $type,)*
        }

        $crate::keys::keyed!(@impl $name (concat!($($doc),*)) [$({
            $field, $field, $type, ($($form)?), ($($($example)?)?), ($($default)?), ($($kind, $owner $(, $whose)?)?), ($($key_doc),*)
        })*] $($more)*);
    };
    (
        $(#[doc = $doc:literal])*
        #[derive($($derive:ident),*)]
        pub struct $name:ident(
            $(#[doc = $key_doc:literal])*
            pub $field:ident: $type:ty [$form:expr; $example:literal]
        );
    ) => {
        $(#[doc = $doc])*
        #[derive($($derive),*)]
        pub struct $name($(#[doc = $key_doc])* pub $type);

        $crate::keys::keyed!(@impl $name (concat!($($doc),*)) [{
            0, $field, $type, ($form), ($example), (), (), ($($key_doc),*)
        }]);
    };
    (
        $(#[doc = $doc:literal])*
        #[derive($($derive:ident),*)]
        pub struct $name:ident;
        $($more:tt)*
    ) => {
        $(#[doc = $doc])*
        #[derive($($derive),*)]
        pub struct $name;

        $crate::keys::keyed!(@impl $name (concat!($($doc),*)) [] $($more)*);
    };
    (
        @impl $name:ident ($doc:expr) [$({
            $member:tt, $field:ident, $type:ty, ($($form:expr)?), ($($example:literal)?), ($($default:expr)?),
            ($($kind:ident, $owner:pat $(, $whose:expr)?)?), ($($key_doc:literal),*)
        })*]
        $(also {
            $($(#[doc = $also_doc:literal])* $also:ident: $also_type:ty $([$also_form:expr $(; $also_example:literal)?])?),*
            $(,)?
        })?
        $(check $check:path)?
    ) => {
        impl $crate::keys::Keyed for $name {
            const KEYS: &'static [&'static str] = &[$(stringify!($field),)* $($(stringify!($also)),*)?];

            fn known<'a>(_table: &$crate::keys::Table<'a>) -> Result<Vec<&'a str>, $crate::keys::KeyError> {
                let keys = [
                    $($crate::keys::key!(@form $type, $($form)?).known(stringify!($field), _table)?,)*
                    $($(vec![stringify!($also)]),*)?
                ];
                Ok(keys.concat())
            }

            fn read(table: &$crate::keys::Table<'_>) -> Result<Self, $crate::keys::KeyError> {
                $(
                    $($crate::keys::key!(@belongs table, $field, $kind, $owner $(, $whose)?);)?
                    let $field = $crate::keys::key!(@read table, $field, $type, ($($form)?), ($($default)?));
                )*
                $($($crate::keys::key!(@read table, $also, $also_type, ($($also_form)?), ());)*)?
                let read = $name { $($member: $field),* };
                $($check(&read, table)?;)?
                Ok(read)
            }

            fn write(&self, entries: &mut $crate::keys::Entries) {
                let $name { $($member: $field),* } = self;
                $($(if matches!($kind, $owner))? {
                    $crate::keys::key!(@form $type, $($form)?).write(stringify!($field), $field, entries);
                })*
                $($(
                    let none = <$also_type>::default();
                    $crate::keys::key!(@form $also_type, $($also_form)?).write(stringify!($also), &none, entries);
                )*)?
            }

            #[cfg(test)]
            const DOC: &'static str = $doc;

            #[cfg(test)]
            fn reference() -> Vec<$crate::keys::KeyReference> {
                let keys = [
                    $($crate::keys::key!(
                        @reference $field, $type, ($($form)?), ($($example)?), ($($default)?), concat!($($key_doc),*),
                        <[Vec<_>]>::concat(&[$($crate::keys::key!(@owners $owner $(, $whose)?))?])
                    ),)*
                    $($($crate::keys::key!(
                        @reference $also, $also_type, ($($also_form)?), ($($($also_example)?)?), (), concat!($($also_doc),*),
                        Vec::new()
                    )),*)?
                ];
                keys.into_iter().flatten().collect()
            }
        }

        $crate::keys::written_as_table!($name);
    };
}

/// Declares an enum whose kind is one key, which decides what other keys there are:
///
/// ```text
/// kinds! {
///     /// What it is.
///     #[derive(Debug, Clone, PartialEq)]
///     pub enum Name by kind = "the kind where none is named" {
///         /// What the kind does.
///         "word" => Kind { … keys as in `keyed!`, without `pub` … },
///     }
/// }
/// ```
///
/// Without `by kind` no key names the kind: it is the first one whose word is a key of the table.
macro_rules! kinds {
    (
        $(#[doc = $doc:literal])*
        #[derive($($derive:ident),*)]
        pub enum $name:ident $(by $tag:ident)? = $default_word:literal {
            $(
                $(#[doc = $kind_doc:literal])*
                $word:literal => $kind:ident
                $({$(
                    $(#[doc = $key_doc:literal])*
                    $field:ident: $type:ty $([$form:expr $(; $example:literal)?])? $(= $default:expr)?
                ),* $(,)?})?
                $((
                    $(#[doc = $one_doc:literal])*
                    $one:ident: $one_type:ty $([$one_form:expr $(; $one_example:literal)?])? $(= $one_default:expr)?
                ))?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive($($derive),*)]
        pub enum $name {
            $(
                $(#[doc = $kind_doc])*
                $kind $({ $($(#[doc = $key_doc])* $field: $type,)* })? $(($(#[doc = $one_doc])* $one_type))?,
            )*
        }

        impl $name {
            const KINDS: &[&str] = &[$($word),*];

            /// The word of the kind.
            fn kind_of(table: &$crate::keys::Table<'_>) -> Result<&'static str, $crate::keys::KeyError> {
                table.kind_of(<Self as $crate::keys::Keyed>::KEYS.first(), Self::KINDS, $default_word)
            }
        }

        impl $crate::keys::Keyed for $name {
            const KEYS: &'static [&'static str] = &[$(stringify!($tag))?];

            fn known<'a>(table: &$crate::keys::Table<'a>) -> Result<Vec<&'a str>, $crate::keys::KeyError> {
                let own: &[&str] = match Self::kind_of(table)? {
                    $($word => &[$($(stringify!($field),)*)? $(stringify!($one))?],)*
                    _ => &[],
                };
                Ok([Self::KEYS, own].concat())
            }

            fn read(table: &$crate::keys::Table<'_>) -> Result<Self, $crate::keys::KeyError> {
                $(if Self::kind_of(table)? == $word {
                    $($(let $field = $crate::keys::key!(@read table, $field, $type, ($($form)?), ($($default)?));)*)?
                    $(let $one = $crate::keys::key!(@read table, $one, $one_type, ($($one_form)?), ($($one_default)?));)?
                    return Ok($name::$kind { $($($field,)*)? $(0: $one)? });
                })*
                unreachable!("kind_of gives one of these")
            }

            fn write(&self, entries: &mut $crate::keys::Entries) {
                match self {
                    $($name::$kind { $($($field,)*)? $(0: $one)? } => {
                        Self::KEYS.iter().for_each(|tag| entries.put(tag, $word));
                        $($($crate::keys::key!(@form $type, $($form)?).write(stringify!($field), $field, entries);)*)?
                        $($crate::keys::key!(@form $one_type, $($one_form)?).write(stringify!($one), $one, entries);)?
                    })*
                }
            }

            #[cfg(test)]
            const DOC: &'static str = concat!($($doc),*);

            #[cfg(test)]
            fn reference() -> Vec<$crate::keys::KeyReference> {
                let words = [$(($word, concat!($($kind_doc),*))),*];
                let tag = |key: &&str| $crate::keys::KeyReference::new(key, "", $crate::keys::one_of(Self::KINDS)).with_words(words);
                let mut keys: Vec<_> = Self::KEYS.iter().map(tag).collect();
                $(
                    $($(keys.extend($crate::keys::key!(
                        @reference $field, $type, ($($form)?), ($($($example)?)?), ($($default)?),
                        concat!($($key_doc),*), vec![$word]
                    ));)*)?
                    $(keys.extend($crate::keys::key!(
                        @reference $one, $one_type, ($($one_form)?), ($($($one_example)?)?), ($($one_default)?),
                        concat!($($one_doc),*), vec![$word]
                    ));)?
                )*
                keys
            }
        }

        $crate::keys::written_as_table!($name);
    };
}

/// Writes a type with keys as a table.
macro_rules! written_as_table {
    ($name:ident) => {
        impl $crate::keys::Written for $name {
            fn written(&self) -> Option<$crate::keys::Entry> {
                let mut entries = $crate::keys::Entries::default();
                $crate::keys::Keyed::write(self, &mut entries);
                Some($crate::keys::Entry::Table(entries))
            }
        }
    };
}

/// One key: its form, how it is read, and what the reference says of it.
macro_rules! key {
    (@form $type:ty, $form:expr) => { $crate::keys::Typed::<$type, _>::new($form) };
    (@form $type:ty,) => { $crate::keys::Typed::<$type, _>::new($crate::keys::Plain) };
    (@read $table:expr, $key:ident, $type:ty, ($($form:expr)?), ()) => {
        $crate::keys::key!(@form $type, $($form)?).get($table, stringify!($key))?
    };
    (@read $table:expr, $key:ident, $type:ty, ($($form:expr)?), ($default:expr)) => {
        match $table.get(stringify!($key)) {
            Some(item) => $crate::keys::key!(@form $type, $($form)?).read(&item)?,
            None => $default,
        }
    };
    (@belongs $table:expr, $key:ident, $kind:ident, $owner:pat) => {
        $table.belongs(stringify!($key), $kind, |kind| matches!(kind, $owner))?
    };
    (@belongs $table:expr, $key:ident, $kind:ident, $owner:pat, $whose:expr) => {
        $table.belongs_to(stringify!($key), matches!(&$kind, $owner), $whose)?
    };
    (@owners $owner:pat) => { $crate::keys::words_where(|kind| matches!(kind, $owner)) };
    (@owners $owner:pat, $whose:expr) => { vec![$whose] };
    (@reference $key:ident, $type:ty, ($($form:expr)?), ($($example:literal)?), ($($default:expr)?), $doc:expr, $kinds:expr) => {
        $crate::keys::key!(@form $type, $($form)?).reference(
            stringify!($key), $doc, <[&'static str]>::first(&[$($example)?]).copied(), <[&str]>::is_empty(&[$(stringify!($default))?]), $kinds,
        )
    };
}

pub(crate) use {key, keyed, kinds, written_as_table};
