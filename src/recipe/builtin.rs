//! The recipes that come with the program.

use super::schema::Recipe;

macro_rules! bundled {
    ($($name:literal),+ $(,)?) => {
        /// Name and text, in the order of the gallery.
        const BUNDLED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/recipes/", $name, ".toml")))),+];
    };
}

bundled!(
    "digits",
    "mnist-mlp-adam",
    "mnist-mlp-tanh",
    "mnist-rates",
    "mnist-99",
    "fashion-mlp-10x3",
    "fashion-mlp-40x5-l2",
    "fashion-grid",
    "fashion-landscape",
    "fashion-modern",
    "fashion-94",
    "notmnist-mlp-1000",
    "notmnist-sizes",
    "fashion5-mlp1",
    "fashion5-mlp2",
    "fashion5-cnn3",
    "fashion5-cnn4",
    "fashion5-cnn5",
    "fashion5-trials",
    "fashion5-activations",
    "fashion5-rates",
    "wide-mlp-4096",
    "two-layer-sigmoid",
    "resnet18",
    "resnet20",
    "cifar-94",
);

impl Recipe {
    /// The text of a recipe that comes with the program.
    pub fn builtin(name: &str) -> Option<&'static str> {
        BUNDLED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }
}

/// The names of the recipes that come with the program.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(name, _)| *name)
}
