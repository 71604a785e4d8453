//! Layers, their shapes and their parameters.

mod shape;

pub use shape::Shape;
