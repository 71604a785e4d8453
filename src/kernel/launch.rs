//! A launch as the planner thinks of it.

use crate::ir::{
    Buffer, BufferId, Dispatch, Element, Initial, Io, Limits, Phase, PhaseKind, Plan, Program, ProgramId, Role, Slice,
};
use crate::kernel::norm::over_ranks::Meeting;
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

    /// What ranks that share a batch tell each other before this launch; nothing in one process.
    fn meeting(&self) -> Option<&Meeting> {
        None
    }
}

/// A part of a [`LaunchProgram`].
#[derive(Debug, Clone)]
pub struct LaunchPhase {
    /// What its launches are for.
    pub kind: PhaseKind,
    /// What it launches, in order.
    pub launches: Vec<Arc<dyn Launch>>,
}

impl LaunchPhase {
    /// A phase of these launches.
    pub fn new(kind: PhaseKind, launches: Vec<Arc<dyn Launch>>) -> LaunchPhase {
        LaunchPhase { kind, launches }
    }
}

/// A program whose launches may still be exchanged for others. Its other forms are passes over its phases.
#[derive(Debug, Clone)]
pub struct LaunchProgram {
    /// Readable name, such as `train step`.
    pub name: String,
    /// What it launches, in order.
    pub phases: Vec<LaunchPhase>,
}

impl LaunchProgram {
    /// A program of these phases.
    pub fn new(name: impl Into<String>, phases: Vec<LaunchPhase>) -> LaunchProgram {
        LaunchProgram { name: name.into(), phases }
    }

    /// The same under another name.
    pub fn named(self, name: impl Into<String>) -> LaunchProgram {
        LaunchProgram { name: name.into(), ..self }
    }

    /// The same without its phases of a kind.
    pub fn without(mut self, kind: PhaseKind) -> LaunchProgram {
        self.phases.retain(|phase| phase.kind != kind);
        self
    }

    /// What comes before its phase of a kind, and the rest; nothing where it has no such phase.
    pub fn split(mut self, kind: PhaseKind) -> Option<(LaunchProgram, LaunchProgram)> {
        let at = self.phases.iter().position(|phase| phase.kind == kind)?;
        let rest = LaunchProgram::new(self.name.clone(), self.phases.split_off(at));
        Some((self, rest))
    }

    /// What comes before the first launch for which ranks must meet, and then each meeting with what follows it up to the next.
    pub fn at_meetings(self) -> (LaunchProgram, Vec<(Meeting, LaunchProgram)>) {
        let LaunchProgram { name, phases } = self;
        let mut first = LaunchProgram::new(name.clone(), Vec::new());
        let mut rest: Vec<(Meeting, LaunchProgram)> = Vec::new();
        for (kind, launch) in
            phases.into_iter().flat_map(|phase| phase.launches.into_iter().map(move |l| (phase.kind, l)))
        {
            if let Some(meeting) = launch.meeting() {
                let part = format!("{name}, part {}", rest.len() + 2);
                rest.push((meeting.clone(), LaunchProgram::new(part, Vec::new())));
            }
            let program = rest.last_mut().map_or(&mut first, |(_, program)| program);
            match program.phases.last_mut().filter(|phase| phase.kind == kind) {
                Some(phase) => phase.launches.push(launch),
                None => program.phases.push(LaunchPhase::new(kind, vec![launch])),
            }
        }
        (first, rest)
    }

    /// The same with more launches before the others of a phase that it has.
    pub fn with_first(mut self, kind: PhaseKind, launches: Vec<Arc<dyn Launch>>) -> LaunchProgram {
        if let Some(phase) = self.phases.iter_mut().find(|phase| phase.kind == kind) {
            phase.launches.splice(0..0, launches);
        }
        self
    }

    /// The same with more launches after the others of a phase that it has.
    pub fn with_last(mut self, kind: PhaseKind, launches: Vec<Arc<dyn Launch>>) -> LaunchProgram {
        if let Some(phase) = self.phases.iter_mut().find(|phase| phase.kind == kind) {
            phase.launches.extend(launches);
        }
        self
    }

    /// The same in mixed precision: each launch that has such a form is exchanged for it.
    pub fn mixed(mut self, limits: &Limits) -> LaunchProgram {
        for launch in self.phases.iter_mut().flat_map(|phase| &mut phase.launches) {
            if let Some(mixed) = launch.mixed(limits) {
                *launch = mixed;
            }
        }
        self
    }

    /// The launches of all phases, in order.
    pub fn launches(&self) -> impl Iterator<Item = &Arc<dyn Launch>> {
        self.phases.iter().flat_map(|phase| &phase.launches)
    }
}

/// A plan as the planner makes it: buffers, and programs of launches. Passes exchange launches; [`LaunchPlan::lower`] gives what
/// backends run.
#[derive(Debug, Clone, Default)]
pub struct LaunchPlan {
    /// All buffers; a [`BufferId`] is an index.
    pub buffers: Vec<Buffer>,
    /// All programs; a [`ProgramId`] is an index.
    pub programs: Vec<LaunchProgram>,
    /// What is written before the first step.
    pub init: Vec<Initial>,
    /// Where a host finds what; nothing of a plan of launches alone.
    pub io: Option<Io>,
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
    pub fn program(&mut self, program: LaunchProgram) -> ProgramId {
        self.programs.push(program);
        ProgramId(self.programs.len() - 1)
    }

    /// Every launch of every program.
    pub fn launches(&self) -> impl Iterator<Item = &Arc<dyn Launch>> {
        self.programs.iter().flat_map(LaunchProgram::launches)
    }

    /// The plan that backends run, with each launch exchanged for what `exchange` gives for it.
    pub fn lower_with(&self, exchange: impl Fn(&Arc<dyn Launch>) -> Dispatch) -> Plan {
        let phase = |phase: &LaunchPhase| Phase {
            kind: phase.kind,
            dispatches: phase.launches.iter().map(&exchange).collect(),
        };
        let program = |program: &LaunchProgram| Program {
            name: program.name.clone(),
            phases: program.phases.iter().map(phase).collect(),
        };
        Plan {
            buffers: self.buffers.clone(),
            programs: self.programs.iter().map(program).collect(),
            init: self.init.clone(),
            io: self.io.clone(),
        }
    }

    /// The plan that backends run.
    pub fn lower(&self) -> Plan {
        self.lower_with(|launch| launch.lower())
    }
}
