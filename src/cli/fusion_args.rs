//! Options of the commands that plan a training run.

use clap::Args;
use gputrain::planner::Fusion;

/// Whether training steps are fused.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FusionArgs {
    /// Never fuses a training step into two launches [default: for small dense networks on GPUs]
    #[arg(long)]
    unfused: bool,
    /// Fuses training steps also where it does not pay; an error where it is not possible
    #[arg(long, conflicts_with = "unfused")]
    fused: bool,
}

impl FusionArgs {
    /// What the options ask for.
    pub fn fusion(self) -> Fusion {
        match (self.fused, self.unfused) {
            (true, _) => Fusion::Always,
            (_, true) => Fusion::Never,
            _ => Fusion::Auto,
        }
    }
}
