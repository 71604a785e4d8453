//! Layers that training leaves as they are.

use super::{Layer, Model, ModelError};
use crate::keys::nearest;
use crate::layers::Shape;
use crate::recipe::Recipe;

impl Model {
    /// The model of a recipe, the layers of its `start.freeze` frozen; see [`Model::build`].
    pub fn of(recipe: &Recipe, data: Option<Shape>) -> Result<Model, ModelError> {
        let mut model = Model::build(&recipe.model, data)?;
        model.freeze(&recipe.start.freeze)?;
        Ok(model)
    }

    /// Freezes the layers of these names, and those whose names begin with one of them and a dot: no step changes their tensors, and
    /// their batch norms take the running statistics in training too. The names are those of the tensors, up to the last dot.
    pub fn freeze(&mut self, names: &[String]) -> Result<(), ModelError> {
        for name in names {
            let is_named = |layer: &Layer| self.tensors_of(layer).is_some_and(|found| is_within(found, name));
            let found: Vec<usize> = (0..self.layers.len()).filter(|index| is_named(&self.layers[*index])).collect();
            if found.is_empty() {
                let known = self.layers.iter().filter_map(|layer| self.tensors_of(layer));
                let suggestion = nearest(name, known.flat_map(beginnings)).map(str::to_string);
                return Err(ModelError::NothingToFreeze { name: name.clone(), suggestion });
            }
            found.into_iter().for_each(|index| self.layers[index].frozen = true);
        }
        let trains = self.frozen_parameters().contains(&false);
        if trains || names.is_empty() { Ok(()) } else { Err(ModelError::AllFrozen) }
    }

    /// Of each parameter whether training leaves it as it is.
    pub fn frozen_parameters(&self) -> Vec<bool> {
        let mut frozen = vec![false; self.parameters.len()];
        for layer in self.layers.iter().filter(|layer| layer.frozen) {
            layer.tensors.iter().for_each(|(_, index)| frozen[*index] = true);
        }
        frozen
    }

    /// What the names of a layer's tensors begin with.
    fn tensors_of(&self, layer: &Layer) -> Option<&str> {
        let (_, first) = layer.tensors.first()?;
        self.parameters[*first].name.rsplit_once('.').map(|(layer, _)| layer)
    }
}

/// Whether a name is `prefix`, or begins with it and a dot.
fn is_within(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A name, and what it begins with up to each dot.
fn beginnings(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(dot, _)| &name[..dot]).chain([name])
}
