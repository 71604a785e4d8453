//! Training in the shadow of the CPU. Single kernels are held against their references by [`parity`](crate::parity), whole models
//! by [`gradcheck`](crate::gradcheck).

mod shadow;

pub use shadow::Shadow;
