//! Dense layers: the three products of a layer, each in f32, and with factors rounded to f16 in registers or on matrix units.
//! All forms of a product have the same operands and parameters, and share their shader's text (`shaders/lib/dense_*.wgsl`); they
//! differ in what multiplies a tile.

pub mod backward_input;
pub mod backward_weight;
pub mod forward;
mod matrix_units;
pub mod rounding;
pub mod tiling;
pub(crate) mod trial;

pub use backward_input::BackwardInput;
pub use backward_weight::BackwardWeight;
pub use forward::Forward;
pub use tiling::Tiling;
