//! What kernels compute. Each is declared once, in the folder of its family and in a WGSL file in `shaders/`.
//!
//! A family's file states the kernel's bindings and parameter struct, its typed launch, the CPU reference (plain loops with f64
//! sums: the specification) and the cases that `verify` runs. [`REGISTRY`] lists them all.

mod args;
mod case;
pub mod conv;
pub mod dense;
#[cfg(test)]
mod difference;
pub mod embedding;
pub mod formula;
pub mod fused;
mod launch;
pub mod loss;
pub mod mixup;
pub mod norm;
pub mod optimizer;
pub mod pointwise;
pub mod pool;
mod real;
pub mod reduce;
pub mod step;
mod text;

pub(crate) use args::constant;
pub use args::{Args, MAX_BINDINGS, Operand};
pub use case::{Case, Contents};
pub use formula::activation::Activation;
pub use launch::{Launch, LaunchPhase, LaunchPlan, LaunchProgram};
pub use loss::Loss;
pub use real::Real;
pub use text::shader_source;
pub(crate) use text::{constant_name, has_source};

use crate::ir::Kernel;

/// What a kernel computes, and how that is verified.
pub struct Specification {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The specification on f32 storage, which is also how the CPU backend runs the kernel when it has no faster way.
    pub reference: fn(&mut Args<f32>),
    /// The specification on f64 storage, for gradient checks.
    pub reference_f64: fn(&mut Args<f64>),
    /// Largest error that `verify` accepts: `|x - reference| / (|reference| + rms(reference))`.
    pub tolerance: f64,
    /// What `verify` runs.
    pub cases: fn() -> Vec<Case>,
}

impl Specification {
    /// What a kernel computes: every kernel of the [`REGISTRY`] has a specification.
    pub fn of(kernel: &Kernel) -> &'static Specification {
        let found = REGISTRY.iter().find(|specification| specification.kernel == kernel);
        found.unwrap_or_else(|| unreachable!("{} is not in the registry of kernels", kernel.name))
    }

    /// What `verify` runs: the cases, and those of several workgroups once more in lines of two, as a launch of more than
    /// 65,535 comes in several lines (see [`linear_grid`](crate::ir::linear_grid)).
    pub fn all_cases(&self) -> Vec<Case> {
        let mut cases = (self.cases)();
        if self.counts_workgroups() {
            let folded: Vec<Case> = cases.iter().filter_map(Case::folded).collect();
            cases.extend(folded);
        }
        cases
    }

    /// Whether the shader counts its workgroups through, in whatever lines they are launched. The others have few.
    fn counts_workgroups(&self) -> bool {
        shader_source(self.kernel, &[]).contains("fn linear_group(")
    }
}

impl std::fmt::Debug for Specification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kernel.name)
    }
}

/// Every kernel there is.
pub static REGISTRY: &[&Specification] = &[
    &step::gather::SPECIFICATION,
    &step::augment::SPECIFICATION,
    &mixup::pairs::SPECIFICATION,
    &mixup::rows::SPECIFICATION,
    &mixup::losses::SPECIFICATION,
    &dense::forward::SPECIFICATION,
    &dense::backward_input::SPECIFICATION,
    &dense::backward_weight::SPECIFICATION,
    &dense::forward::SPECIFICATION_F16,
    &dense::backward_input::SPECIFICATION_F16,
    &dense::backward_weight::SPECIFICATION_F16,
    &dense::forward::SPECIFICATION_COOPERATIVE,
    &dense::backward_input::SPECIFICATION_COOPERATIVE,
    &dense::backward_weight::SPECIFICATION_COOPERATIVE,
    &pointwise::activation_forward::SPECIFICATION,
    &pointwise::activation_backward::SPECIFICATION,
    &pointwise::add::SPECIFICATION,
    &pointwise::add_gradients::SPECIFICATION,
    &pointwise::copy_columns::SPECIFICATION,
    &pointwise::dropout::SPECIFICATION,
    &pointwise::softmax_forward::SPECIFICATION,
    &pointwise::softmax_backward::SPECIFICATION,
    &loss::softmax_cross_entropy::SPECIFICATION,
    &loss::squared_error::SPECIFICATION,
    &loss::absolute_error::SPECIFICATION,
    &loss::binary_cross_entropy::SPECIFICATION,
    &loss::sum_weights::SPECIFICATION,
    &loss::weigh_rows::SPECIFICATION,
    &loss::weigh_epoch::SPECIFICATION,
    &conv::forward::SPECIFICATION,
    &conv::forward::SPECIFICATION_DIRECT,
    &conv::forward::SPECIFICATION_DEPTHWISE,
    &conv::forward::SPECIFICATION_F16,
    &conv::forward::SPECIFICATION_COOPERATIVE,
    &conv::backward_input::SPECIFICATION,
    &conv::backward_input::SPECIFICATION_DIRECT,
    &conv::backward_input::SPECIFICATION_DEPTHWISE,
    &conv::backward_input::SPECIFICATION_F16,
    &conv::backward_input::SPECIFICATION_COOPERATIVE,
    &conv::backward_weight::SPECIFICATION,
    &conv::backward_weight::SPECIFICATION_DEPTHWISE,
    &conv::backward_weight::SPECIFICATION_F16,
    &conv::backward_weight::SPECIFICATION_COOPERATIVE,
    &reduce::sum_partials::SPECIFICATION,
    &pool::max_forward::SPECIFICATION,
    &pool::max_backward::SPECIFICATION,
    &pool::average_forward::SPECIFICATION,
    &pool::average_backward::SPECIFICATION,
    &pool::upsample_forward::SPECIFICATION,
    &pool::upsample_backward::SPECIFICATION,
    &embedding::forward::SPECIFICATION,
    &embedding::backward_weight::SPECIFICATION,
    &norm::row_forward::SPECIFICATION,
    &norm::row_backward_input::SPECIFICATION,
    &norm::backward_weight::SPECIFICATION,
    &norm::batch_moments::SPECIFICATION,
    &norm::batch_statistics::SPECIFICATION,
    &norm::batch_forward::SPECIFICATION,
    &norm::batch_backward_input::SPECIFICATION,
    &reduce::sum_squares::SPECIFICATION,
    &optimizer::unscale_gradients::SPECIFICATION,
    &optimizer::adjust_loss_scale::SPECIFICATION,
    &optimizer::accumulate_gradients::SPECIFICATION,
    &optimizer::average_weights::SPECIFICATION,
    &optimizer::lion::SPECIFICATION,
    &optimizer::muon::SPECIFICATION,
    &optimizer::muon_normalise::SPECIFICATION,
    &optimizer::muon_polynomial::SPECIFICATION,
    &optimizer::muon_apply::SPECIFICATION,
    &optimizer::rmsprop::SPECIFICATION,
    &optimizer::sgd::SPECIFICATION,
    &optimizer::adam::SPECIFICATION,
    &step::begin_epoch::SPECIFICATION,
    &step::scheduled_rate::SPECIFICATION,
    &step::finish_step::SPECIFICATION,
    &fused::forward_backward::SPECIFICATION,
    &fused::update_sgd::SPECIFICATION,
    &fused::update_adam::SPECIFICATION,
];
