//! What a CPU implementation of a kernel gets to see.

use arrayvec::ArrayVec;

/// One binding's memory.
#[derive(Debug)]
pub enum Operand<'a, T> {
    /// Floats to read.
    Read(&'a [T]),
    /// Floats to read and write.
    Write(&'a mut [T]),
    /// Integers to read.
    ReadU32(&'a [u32]),
    /// Integers to read and write.
    WriteU32(&'a mut [u32]),
}

/// Most storage bindings a kernel may have: eight is what every WebGPU device offers.
pub const MAX_BINDINGS: usize = 8;

/// The arguments of one launch on the CPU.
#[derive(Debug)]
pub struct Args<'a, T> {
    /// The parameter struct's words.
    pub params: &'a [u32],
    /// The shader constants that the dispatch sets.
    pub constants: &'a [(&'static str, u32)],
    /// Workgroups along x, y, z.
    pub grid: [u32; 3],
    /// Memory, in the order of the kernel's bindings.
    pub operands: ArrayVec<Operand<'a, T>, MAX_BINDINGS>,
}

/// One of these shader constants, or the default written in the shader.
pub(crate) fn constant(constants: &[(&'static str, u32)], name: &str, default: u32) -> u32 {
    constants.iter().find(|(known, _)| *known == name).map_or(default, |(_, value)| *value)
}

impl<'a, T> Args<'a, T> {
    /// The parameter struct.
    pub fn params<P: bytemuck::Pod>(&self) -> P {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(self.params))
    }

    /// Number of models in this launch: the grid's z.
    pub fn models(&self) -> usize {
        self.grid[2] as usize
    }

    /// A shader constant, or the default written in the shader.
    pub fn constant(&self, name: &str, default: u32) -> u32 {
        constant(self.constants, name, default)
    }

    /// The last operands, by value; the others stay.
    pub fn last_operands<const N: usize>(&mut self) -> [Operand<'a, T>; N] {
        let first = self.operands.len().saturating_sub(N);
        let last: ArrayVec<_, N> = self.operands.drain(first..).collect();
        last.into_inner().unwrap_or_else(|_| unreachable!("the kernel declares fewer than {N} bindings"))
    }

    /// All operands, by value, so that a kernel can hold several at once.
    pub fn operands<const N: usize>(&mut self) -> [Operand<'a, T>; N] {
        let operands = std::mem::take(&mut self.operands);
        let count = operands.len();
        let taken: Result<ArrayVec<_, N>, _> = operands.into_iter().map(Ok::<_, ()>).collect();
        match taken.ok().and_then(|v| v.into_inner().ok()) {
            Some(array) => array,
            None => unreachable!("the kernel declares {count} bindings and its CPU code expects {N}"),
        }
    }
}

impl<'a, T> Operand<'a, T> {
    /// The floats of a read binding.
    pub fn read(self) -> &'a [T] {
        match self {
            Operand::Read(values) => values,
            _ => unreachable!("the declaration says otherwise: not a float array to read"),
        }
    }

    /// The floats of a written binding.
    pub fn write(self) -> &'a mut [T] {
        match self {
            Operand::Write(values) => values,
            _ => unreachable!("the declaration says otherwise: not a float array to write"),
        }
    }

    /// The integers of a read binding.
    pub fn read_u32(self) -> &'a [u32] {
        match self {
            Operand::ReadU32(values) => values,
            _ => unreachable!("the declaration says otherwise: not an integer array to read"),
        }
    }

    /// The integers of a written binding.
    pub fn write_u32(self) -> &'a mut [u32] {
        match self {
            Operand::WriteU32(values) => values,
            _ => unreachable!("the declaration says otherwise: not an integer array to write"),
        }
    }
}
