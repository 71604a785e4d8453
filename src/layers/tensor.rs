//! What a layer trains, and what it measures while it does.

use super::{Init, LayerProblem};

/// The most numbers in one tensor or in all parameters: shaders index with u32.
pub(crate) const MAX_NUMBERS: u64 = u32::MAX as u64;

/// What a tensor does in its layer. Weight decay, the L2 penalty and initial values follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorRole {
    /// Multiplies inputs and adds them up; the L2 penalty applies.
    Weight,
    /// Is added; the L2 penalty does not apply.
    Bias,
    /// Multiplies what was normalised, value by value; the L2 penalty does not apply.
    Scale,
    /// Is measured while training, not trained: no optimizer, gradient, norm or penalty knows of it. It is saved, and evaluations
    /// read it.
    Statistic,
}

/// A tensor that a layer asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// What follows the layer's name, such as `weight`.
    pub suffix: &'static str,
    /// Its role.
    pub role: TensorRole,
    /// PyTorch's layout: (out, in) or (out, in, kernel height, kernel width); a bias is (out).
    pub shape: Vec<usize>,
    /// Inputs that one output of the layer sees.
    pub fan_in: usize,
    /// Outputs that one input of the layer reaches, as Keras and PyTorch count them.
    pub fan_out: usize,
    /// Initial values, where they are not the model's.
    pub init: Option<Init>,
}

/// One tensor of a model: trained, or a [`TensorRole::Statistic`].
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The layer's name and the tensor's, such as `layers.0.weight`.
    pub name: String,
    /// PyTorch's layout: (out, in) or (out, in, kernel height, kernel width); a bias is (out).
    pub shape: Vec<usize>,
    /// What it does in its layer.
    pub role: TensorRole,
    /// Inputs that one output of the layer sees.
    pub fan_in: usize,
    /// Outputs that one input of the layer reaches, as Keras and PyTorch count them.
    pub fan_out: usize,
    /// Initial values.
    pub init: Init,
}

impl Parameter {
    /// Number of scalars.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether values below 0 mean nothing.
    pub fn is_variance(&self) -> bool {
        self.role == TensorRole::Statistic && self.name.ends_with(".running_var")
    }

    /// True when there is no scalar; `Model::build` makes no such parameter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A weight and, if asked for, a bias of its first dimension.
pub(super) fn weight_and_bias(
    shape: Vec<usize>,
    [fan_in, fan_out]: [usize; 2],
    bias: bool,
    init: Option<Init>,
    bias_init: Option<Init>,
) -> Result<Vec<TensorSpec>, LayerProblem> {
    within_limit("the weight", &shape)?;
    let outputs = vec![shape[0]];
    let tensor = |suffix, role, shape, init| TensorSpec { suffix, role, shape, fan_in, fan_out, init };
    let mut tensors = vec![tensor("weight", TensorRole::Weight, shape, init)];
    tensors.extend(bias.then(|| tensor("bias", TensorRole::Bias, outputs, bias_init)));
    Ok(tensors)
}

/// The product of the sizes, where it can be indexed.
pub(crate) fn within_limit(what: &'static str, sizes: &[usize]) -> Result<usize, LayerProblem> {
    let product = sizes.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64));
    match product {
        Some(n) if n <= MAX_NUMBERS => usize::try_from(n).ok(),
        _ => None,
    }
    .ok_or_else(|| {
        let size = sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        LayerProblem::TooLarge { what, size, limit: MAX_NUMBERS }
    })
}

/// Refuses zeros.
pub(super) fn positive(key: &'static str, numbers: &[usize]) -> Result<(), LayerProblem> {
    if numbers.contains(&0) { Err(LayerProblem::Zero { key }) } else { Ok(()) }
}
