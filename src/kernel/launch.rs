//! A launch as the planner thinks of it.

use crate::ir::{Buffer, BufferId, Dispatch, Element, Limits, Plan, Program, ProgramId, Role, Slice};
use std::fmt::Debug;
use std::sync::Arc;

/// One launch of a kernel family: shapes, variant and slices under their own names. A plan is made of launches; passes exchange
/// them for others, and at last each is lowered to what backends run.
pub trait Launch: Debug + Send + Sync {
    /// What a backend runs.
    fn lower(&self) -> Dispatch;

    /// Every way to launch the same computation, this one among them, all with the same bits; nothing where there is one way.
    /// A device may not allow all of them: see [`Limits::allow`].
    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        Vec::new()
    }

    /// The launch in mixed precision, by the best way that a device with these limits has; `None` where there is none.
    fn mixed(&self, _limits: &Limits) -> Option<Arc<dyn Launch>> {
        None
    }
}

/// A program whose launches may still be exchanged for others.
#[derive(Debug, Clone)]
pub struct LaunchProgram {
    /// Readable name, such as `train step`.
    pub name: String,
    /// What it launches, in order.
    pub launches: Vec<Arc<dyn Launch>>,
}

/// A plan as the planner makes it: buffers, and programs of launches. Passes exchange launches; [`LaunchPlan::lower`] gives what
/// backends run.
#[derive(Debug, Clone, Default)]
pub struct LaunchPlan {
    /// All buffers; a [`BufferId`] is an index.
    pub buffers: Vec<Buffer>,
    /// All programs; a [`ProgramId`] is an index.
    pub programs: Vec<LaunchProgram>,
}

impl LaunchPlan {
    /// Declares a buffer of `len` elements; an empty one gets a single element, since devices know no empty bindings.
    pub fn buffer(&mut self, name: impl Into<String>, element: Element, len: usize, role: Role) -> BufferId {
        self.buffers.push(Buffer { name: name.into(), element, len: len.max(1), role });
        BufferId(self.buffers.len() - 1)
    }

    /// The whole of a buffer as a slice.
    pub fn whole(&self, buffer: BufferId) -> Slice {
        Slice { buffer, offset: 0, len: self.buffers[buffer.0].len }
    }

    /// Adds a program.
    pub fn program(&mut self, name: impl Into<String>, launches: Vec<Arc<dyn Launch>>) -> ProgramId {
        self.programs.push(LaunchProgram { name: name.into(), launches });
        ProgramId(self.programs.len() - 1)
    }

    /// Every launch of every program.
    pub fn launches(&self) -> impl Iterator<Item = &Arc<dyn Launch>> {
        self.programs.iter().flat_map(|program| &program.launches)
    }

    /// The plan that backends run, with each launch exchanged for what `exchange` gives for it.
    pub fn lower_with(&self, exchange: impl Fn(&Arc<dyn Launch>) -> Dispatch) -> Plan {
        let program = |program: &LaunchProgram| Program {
            name: program.name.clone(),
            dispatches: program.launches.iter().map(&exchange).collect(),
        };
        Plan { buffers: self.buffers.clone(), programs: self.programs.iter().map(program).collect() }
    }

    /// The plan that backends run.
    pub fn lower(&self) -> Plan {
        self.lower_with(|launch| launch.lower())
    }
}
