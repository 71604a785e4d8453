//! Faster ways to compute kernels in f32, held to the tolerance of their specifications.

mod add;
pub(crate) mod augment;
pub(crate) mod conv;
mod copy_columns;
mod correlate;
pub(crate) mod dense;
mod layout;
pub(crate) mod loss;
mod math;
mod mixup;
mod norm;
pub(crate) mod optimizer;
pub(crate) mod pointwise;
pub(crate) mod pool;
pub(crate) mod reduce;
mod simd;
pub(crate) mod step;
mod upsample;

use crate::ir::Kernel;
use crate::kernel::dense::rounding::on_rounded;
use crate::kernel::{self, Args};

/// What computes a kernel.
type Code = fn(&mut Args<f32>);

/// Each kernel that has a faster way than its reference.
static TABLE: &[(&Kernel, Code)] = &[
    (&kernel::step::gather::KERNEL, step::gather),
    (&kernel::step::augment::KERNEL, augment::augment),
    (&kernel::mixup::rows::KERNEL, mixup::mixup_rows),
    (&kernel::dense::forward::KERNEL, dense::forward),
    (&kernel::dense::forward::KERNEL_F16, |args| on_rounded(args, dense::forward)),
    (&kernel::dense::forward::KERNEL_COOPERATIVE, |args| on_rounded(args, dense::forward)),
    (&kernel::dense::backward_input::KERNEL, dense::backward_input),
    (&kernel::dense::backward_input::KERNEL_F16, |args| on_rounded(args, dense::backward_input)),
    (&kernel::dense::backward_input::KERNEL_COOPERATIVE, |args| on_rounded(args, dense::backward_input)),
    (&kernel::dense::backward_weight::KERNEL, dense::backward_weight),
    (&kernel::dense::backward_weight::KERNEL_F16, |args| on_rounded(args, dense::backward_weight)),
    (&kernel::dense::backward_weight::KERNEL_COOPERATIVE, |args| on_rounded(args, dense::backward_weight)),
    (&kernel::pointwise::activation_forward::KERNEL, pointwise::activation_forward),
    (&kernel::pointwise::activation_backward::KERNEL, pointwise::activation_backward),
    (&kernel::pointwise::dropout::KERNEL, pointwise::dropout),
    (&kernel::loss::softmax_cross_entropy::KERNEL, loss::softmax_cross_entropy),
    (&kernel::loss::squared_error::KERNEL, loss::squared_error),
    (&kernel::loss::absolute_error::KERNEL, loss::absolute_error),
    (&kernel::loss::binary_cross_entropy::KERNEL, loss::binary_cross_entropy),
    (&kernel::conv::forward::KERNEL, conv::forward),
    (&kernel::conv::forward::KERNEL_DIRECT, conv::forward),
    (&kernel::conv::forward::KERNEL_DEPTHWISE, conv::forward),
    (&kernel::conv::forward::KERNEL_F16, |args| on_rounded(args, conv::forward)),
    (&kernel::conv::forward::KERNEL_COOPERATIVE, |args| on_rounded(args, conv::forward)),
    (&kernel::conv::backward_input::KERNEL, conv::backward_input),
    (&kernel::conv::backward_input::KERNEL_DIRECT, conv::backward_input),
    (&kernel::conv::backward_input::KERNEL_DEPTHWISE, conv::backward_input),
    (&kernel::conv::backward_input::KERNEL_F16, |args| on_rounded(args, conv::backward_input)),
    (&kernel::conv::backward_input::KERNEL_COOPERATIVE, |args| on_rounded(args, conv::backward_input)),
    (&kernel::conv::backward_weight::KERNEL, conv::backward_weight),
    (&kernel::conv::backward_weight::KERNEL_DEPTHWISE, conv::backward_weight),
    (&kernel::conv::backward_weight::KERNEL_F16, |args| on_rounded(args, conv::backward_weight)),
    (&kernel::conv::backward_weight::KERNEL_COOPERATIVE, |args| on_rounded(args, conv::backward_weight)),
    (&kernel::reduce::sum_partials::KERNEL, reduce::sum_partials),
    (&kernel::reduce::sum_squares::KERNEL, reduce::sum_squares),
    (&kernel::pool::max_forward::KERNEL, pool::max_forward),
    (&kernel::pool::max_backward::KERNEL, pool::max_backward),
    (&kernel::pool::average_forward::KERNEL, pool::average_forward),
    (&kernel::pool::average_backward::KERNEL, pool::average_backward),
    (&kernel::optimizer::accumulate_gradients::KERNEL, optimizer::accumulate_gradients),
    (&kernel::optimizer::average_weights::KERNEL, optimizer::average_weights),
    (&kernel::optimizer::lion::KERNEL, optimizer::lion),
    (&kernel::optimizer::rmsprop::KERNEL, optimizer::rmsprop),
    (&kernel::optimizer::sgd::KERNEL, optimizer::sgd),
    (&kernel::optimizer::adam::KERNEL, optimizer::adam),
    (&kernel::norm::backward_weight::KERNEL, norm::backward_weight),
    (&kernel::norm::batch_backward_input::KERNEL, norm::batch_backward_input),
    (&kernel::norm::batch_forward::KERNEL, norm::batch_forward),
    (&kernel::norm::batch_moments::KERNEL, norm::batch_moments),
    (&kernel::norm::row_backward_input::KERNEL, norm::row_backward_input),
    (&kernel::norm::row_forward::KERNEL, norm::row_forward),
    (&kernel::pointwise::add::KERNEL, add::values),
    (&kernel::pointwise::add_gradients::KERNEL, add::gradients),
    (&kernel::pointwise::copy_columns::KERNEL, copy_columns::copy),
    (&kernel::pool::upsample_backward::KERNEL, upsample::backward),
    (&kernel::pool::upsample_forward::KERNEL, upsample::forward),
];

/// A faster way to compute a kernel than its reference; `None` where there is none.
pub(super) fn code(kernel: &Kernel) -> Option<Code> {
    TABLE.iter().find(|(known, _)| *known == kernel).map(|(_, code)| *code)
}
