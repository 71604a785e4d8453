//! Runs a plan's programs in host memory, in f32 (training) or in f64 (gradient checks).

use super::fast;
use crate::backend::{BackendError, LaunchTime};
use crate::ir::{Access, Binding, BufferId, Dispatch, Element, Kernel, Limits, Plan, ProgramId, Slice};
use crate::kernel::{Args, MAX_BINDINGS, Operand, Real, Specification};
use arrayvec::ArrayVec;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Which implementation of a kernel to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// The fast one where there is one, on several threads where that pays.
    Fast,
    /// Always the reference: slow, single-threaded, the specification itself.
    Reference,
}

/// A scalar type that plans run in.
pub trait Scalar: Real {
    /// The code that runs a kernel on this type.
    fn code(kernel: &Kernel, implementation: Implementation) -> Code<Self>;
}

/// What computes a kernel on the CPU.
pub(super) type Code<T> = fn(&mut Args<T>);

impl Scalar for f32 {
    fn code(kernel: &Kernel, implementation: Implementation) -> Code<f32> {
        let specification = Specification::of(kernel);
        match implementation {
            Implementation::Fast => fast::code(kernel).unwrap_or(specification.reference),
            Implementation::Reference => specification.reference,
        }
    }
}

impl Scalar for f64 {
    fn code(kernel: &Kernel, _: Implementation) -> Code<f64> {
        Specification::of(kernel).reference_f64
    }
}

/// One buffer's elements.
#[derive(Debug, Clone, PartialEq)]
pub enum Data<T> {
    /// Floats, in the machine's type.
    Floats(Vec<T>),
    /// Integers.
    Words(Vec<u32>),
}

/// No element and no allocation: what a buffer is while a dispatch writes it.
impl<T> Default for Data<T> {
    fn default() -> Self {
        Data::Words(Vec::new())
    }
}

impl<T> Data<T> {
    fn read(&self, range: Range<usize>) -> Operand<'_, T> {
        match self {
            Data::Floats(values) => Operand::Read(&values[range]),
            Data::Words(words) => Operand::ReadU32(&words[range]),
        }
    }

    fn write(&mut self, range: Range<usize>) -> Operand<'_, T> {
        match self {
            Data::Floats(values) => Operand::Write(&mut values[range]),
            Data::Words(words) => Operand::WriteU32(&mut words[range]),
        }
    }
}

/// The memory of a plan: one entry per buffer.
#[derive(Debug)]
pub struct Memory<T> {
    buffers: Vec<Data<T>>,
}

impl<T: Real> Memory<T> {
    /// Allocates a plan's buffers, zeroed.
    pub fn new(plan: &Plan) -> Result<Memory<T>, BackendError> {
        let allocate = |buffer: &crate::ir::Buffer| match buffer.element {
            Element::F32 => zeroed(buffer.len).map(Data::Floats),
            Element::U32 => zeroed(buffer.len).map(Data::Words),
        };
        let fail = |buffer: &crate::ir::Buffer| BackendError::OutOfMemory {
            device: "the CPU".into(),
            bytes: buffer.bytes() / 4 * size_of::<T>() as u64,
            what: buffer.name.clone(),
        };
        let buffers = plan.buffers.iter().map(|b| allocate(b).ok_or_else(|| fail(b))).collect::<Result<_, _>>()?;
        Ok(Memory { buffers })
    }

    /// A buffer's elements.
    pub fn data(&self, buffer: BufferId) -> &Data<T> {
        &self.buffers[buffer.0]
    }

    /// A buffer's elements, to change.
    pub fn data_mut(&mut self, buffer: BufferId) -> &mut Data<T> {
        &mut self.buffers[buffer.0]
    }
}

fn zeroed<E: Default + Clone>(len: usize) -> Option<Vec<E>> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).ok()?;
    values.resize(len, E::default());
    Some(values)
}

/// Runs one dispatch of a checked plan. A buffer that it writes is taken out of the memory meanwhile; the plan's check
/// made sure that no other binding sees it.
pub fn execute<T: Scalar>(dispatch: &Dispatch, memory: &mut Memory<T>, implementation: Implementation) {
    execute_with(dispatch, memory, T::code(dispatch.kernel, implementation));
}

fn execute_with<T: Scalar>(dispatch: &Dispatch, memory: &mut Memory<T>, code: Code<T>) {
    let take = |(binding, slice): (&Binding, &Slice)| {
        (binding.access == Access::ReadWrite).then(|| std::mem::take(&mut memory.buffers[slice.buffer.0]))
    };
    let mut taken: ArrayVec<_, MAX_BINDINGS> =
        dispatch.kernel.bindings.iter().zip(&dispatch.slices).map(take).collect();
    let operands = dispatch.slices.iter().zip(&mut taken).map(|(slice, taken)| {
        let range = slice.offset..slice.offset + slice.len;
        match taken {
            Some(data) => data.write(range),
            None => memory.buffers[slice.buffer.0].read(range),
        }
    });
    let (params, constants) = (dispatch.params.as_slice(), dispatch.constants.as_slice());
    let mut args = Args { params, constants, grid: dispatch.grid, operands: operands.collect() };
    code(&mut args);
    drop(args);
    for (slice, taken) in dispatch.slices.iter().zip(taken) {
        if let Some(data) = taken {
            memory.buffers[slice.buffer.0] = data;
        }
    }
}

/// A plan and its memory. In f64 it is what gradients are checked with; in f32 it is inside the CPU backend.
#[derive(Debug)]
pub struct Machine<T> {
    plan: Arc<Plan>,
    memory: Memory<T>,
    /// Of each program, what computes its dispatches.
    codes: Vec<Vec<Code<T>>>,
    implementation: Implementation,
}

impl<T: Scalar> Machine<T> {
    /// Checks the plan and allocates its buffers, zeroed.
    pub fn new(plan: Arc<Plan>, implementation: Implementation) -> Result<Machine<T>, BackendError> {
        plan.check(&Limits::UNLIMITED)?;
        let memory = Memory::new(&plan)?;
        let code = |dispatch: &Dispatch| T::code(dispatch.kernel, implementation);
        let codes = plan.programs.iter().map(|program| program.dispatches().map(code).collect()).collect();
        Ok(Machine { plan, memory, codes, implementation })
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Runs a program `times` times.
    pub fn run(&mut self, program: ProgramId, times: u32) {
        for _ in 0..times {
            for (dispatch, code) in self.plan.programs[program.0].dispatches().zip(&self.codes[program.0]) {
                execute_with(dispatch, &mut self.memory, *code);
            }
        }
    }

    /// Runs one dispatch of the plan.
    pub fn launch(&mut self, dispatch: &Dispatch) {
        execute(dispatch, &mut self.memory, self.implementation);
    }

    /// Runs one launch with this code in the place of the kernel's own.
    pub fn launch_as(&mut self, dispatch: &Dispatch, code: fn(&mut Args<T>)) {
        execute_with(dispatch, &mut self.memory, code);
    }

    /// A buffer's elements.
    pub fn data(&self, buffer: BufferId) -> &Data<T> {
        self.memory.data(buffer)
    }

    /// A buffer's elements, to change.
    pub fn data_mut(&mut self, buffer: BufferId) -> &mut Data<T> {
        self.memory.data_mut(buffer)
    }

    /// Runs a program once and times every dispatch.
    pub fn profile(&mut self, program: ProgramId) -> Vec<LaunchTime> {
        let dispatches = self.plan.programs[program.0].dispatches().zip(&self.codes[program.0]);
        let timed = dispatches.map(|(dispatch, code)| {
            let start = Instant::now();
            execute_with(dispatch, &mut self.memory, *code);
            let nanoseconds = start.elapsed().as_nanos() as f64;
            LaunchTime { label: dispatch.label.clone(), kernel: dispatch.kernel.name, nanoseconds }
        });
        timed.collect()
    }

    /// The floats of a buffer of floats.
    pub fn floats(&self, buffer: BufferId) -> &[T] {
        match self.memory.data(buffer) {
            Data::Floats(values) => values,
            Data::Words(_) => unreachable!("{} holds integers", self.plan.buffers[buffer.0].name),
        }
    }

    /// The floats of a buffer of floats, to change.
    pub fn floats_mut(&mut self, buffer: BufferId) -> &mut [T] {
        match self.memory.data_mut(buffer) {
            Data::Floats(values) => values,
            Data::Words(_) => unreachable!("{} holds integers", self.plan.buffers[buffer.0].name),
        }
    }

    /// The integers of a buffer of integers.
    pub fn words(&self, buffer: BufferId) -> &[u32] {
        match self.memory.data(buffer) {
            Data::Words(words) => words,
            Data::Floats(_) => unreachable!("{} holds floats", self.plan.buffers[buffer.0].name),
        }
    }

    /// The integers of a buffer of integers, to change.
    pub fn words_mut(&mut self, buffer: BufferId) -> &mut [u32] {
        match self.memory.data_mut(buffer) {
            Data::Words(words) => words,
            Data::Floats(_) => unreachable!("{} holds floats", self.plan.buffers[buffer.0].name),
        }
    }
}

impl Machine<f32> {
    /// Writes words into a buffer; floats travel as their bits.
    pub fn write_words(&mut self, slice: Slice, words: &[u32]) {
        let range = slice.offset..slice.offset + slice.len;
        match self.memory.data_mut(slice.buffer) {
            Data::Floats(values) => values[range].copy_from_slice(bytemuck::cast_slice(words)),
            Data::Words(values) => values[range].copy_from_slice(words),
        }
    }

    /// Reads words of a buffer; floats travel as their bits.
    pub fn read_words(&self, slice: Slice) -> Vec<u32> {
        let range = slice.offset..slice.offset + slice.len;
        match self.memory.data(slice.buffer) {
            Data::Floats(values) => bytemuck::cast_slice(&values[range]).to_vec(),
            Data::Words(words) => words[range].to_vec(),
        }
    }
}
