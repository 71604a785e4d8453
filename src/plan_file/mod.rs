//! A plan in files, for hosts that replay it: `plan.json`, and the words that it begins with in `plan.bin`.
//!
//! The JSON has the buffers, each distinct shader's complete text once, pipelines (a shader with its bindings), programs as
//! phases of dispatches, what is written before the first step (few words in place, many as a range of the blob, whose words
//! are little-endian), and where a host finds data, parameters, scores and learning rates
//! ([`Io`]). Its first key is a hash of all that follows
//! it. Reading takes nothing on trust but what kernels do with the numbers in `params`: those are held by the hash alone, so
//! read plans from where you would take a program.

mod check;

use crate::file::{FileError, write_whole};
use crate::ir::{
    Access, Buffer, Cost, Demands, Dispatch, Element, Initial, Io, Kernel, Limits, Phase, PhaseKind, Plan,
};
use crate::ir::{BufferId, PlanError, Program, Slice};
use crate::kernel::{REGISTRY, constant_name, has_source, shader_source};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What every such file says it is.
const FORMAT: &str = "gputrain plan";
/// The version that is written, and the only one that is read.
const VERSION: u32 = 2;
/// Up to so many words are written in place.
const WORDS_IN_PLACE: usize = 64;
/// How the JSON begins.
const HASH_KEY: &str = "{\"hash\":\"";

/// A plan as it is written: its JSON by [`Serialize`], or as a text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// BLAKE3 of the text behind it.
    hash: String,
    format: String,
    version: u32,
    blob: BlobEntry,
    buffers: Vec<Buffer>,
    shaders: Vec<String>,
    pipelines: Vec<PipelineEntry>,
    programs: Vec<ProgramEntry>,
    init: Vec<InitialEntry>,
    io: Option<Io>,
    #[serde(skip)]
    words: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlobEntry {
    bytes: u64,
    hash: String,
}

/// A kernel with its constants. The parameter struct is a uniform at binding 0, where there is one; the storage bindings follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineEntry {
    kernel: String,
    shader: usize,
    constants: Vec<(String, u32)>,
    params: Vec<FieldEntry>,
    bindings: Vec<BindingEntry>,
    demands: Demands,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    name: String,
    element: Element,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BindingEntry {
    name: String,
    access: Access,
    element: Element,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramEntry {
    name: String,
    phases: Vec<PhaseEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseEntry {
    kind: PhaseKind,
    dispatches: Vec<DispatchEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DispatchEntry {
    label: String,
    pipeline: usize,
    params: Vec<u32>,
    slices: Vec<Slice>,
    grid: [u32; 3],
    cost: Cost,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InitialEntry {
    buffer: BufferId,
    /// In place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<Vec<u32>>,
    /// First word and number of words in the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blob: Option<[usize; 2]>,
}

/// What is to be known before the rest is read.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    version: Option<u32>,
}

/// Why a plan could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no plan, or none that this version reads.
    #[error(
        "{path} is not a plan that this gputrain reads: {problem}; write it anew with gputrain inspect RECIPE --plan --out"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl PlanFile {
    /// A plan as it is written.
    pub fn new(plan: &Plan) -> PlanFile {
        let (mut words, mut shaders, mut pipelines) = (Vec::new(), Shaders::default(), Pipelines::default());
        let mut dispatch = |dispatch: &Dispatch| DispatchEntry {
            label: dispatch.label.clone(),
            pipeline: pipelines.place(dispatch, &mut shaders),
            params: dispatch.params.clone(),
            slices: dispatch.slices.clone(),
            grid: dispatch.grid,
            cost: dispatch.cost,
        };
        let mut phase = |phase: &Phase| PhaseEntry {
            kind: phase.kind,
            dispatches: phase.dispatches.iter().map(&mut dispatch).collect(),
        };
        let mut program = |program: &Program| ProgramEntry {
            name: program.name.clone(),
            phases: program.phases.iter().map(&mut phase).collect(),
        };
        let programs = plan.programs.iter().map(&mut program).collect();
        let mut initial = |initial: &Initial| {
            let buffer = initial.buffer;
            if initial.words.len() <= WORDS_IN_PLACE {
                return InitialEntry { buffer, words: Some(initial.words.clone()), blob: None };
            }
            let first = words.len() / 4;
            words.extend(initial.words.iter().flat_map(|word| word.to_le_bytes()));
            InitialEntry { buffer, words: None, blob: Some([first, initial.words.len()]) }
        };
        let init = plan.init.iter().map(&mut initial).collect();
        let mut file = PlanFile {
            hash: String::new(),
            format: FORMAT.into(),
            version: VERSION,
            blob: BlobEntry { bytes: words.len() as u64, hash: hash(&words) },
            buffers: plan.buffers.clone(),
            shaders: shaders.texts,
            pipelines: pipelines.entries,
            programs,
            init,
            io: plan.io.clone(),
            words,
        };
        file.hash = hash(&file.json().as_bytes()[HASH_KEY.len()..]);
        file
    }

    /// The JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| unreachable!("numbers, texts and lists are JSON: {error}"))
    }

    /// The blob.
    pub fn blob(&self) -> &[u8] {
        &self.words
    }

    /// Writes `plan.json` and `plan.bin` into a folder, which is made.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        write_whole(&folder.join(BLOB_FILE), self.blob())?;
        write_whole(&folder.join(JSON_FILE), self.json().as_bytes())
    }
}

const JSON_FILE: &str = "plan.json";
const BLOB_FILE: &str = "plan.bin";

/// Reads the plan that [`PlanFile::save`] wrote into a folder.
pub fn load(folder: &Path) -> Result<Plan, PlanFileError> {
    let bytes = |name: &str| {
        let path = folder.join(name);
        crate::file::read(&path).map_err(FileError::at(&path))
    };
    let (json, blob) = (bytes(JSON_FILE)?, bytes(BLOB_FILE)?);
    read(&json, &blob).map_err(|problem| PlanFileError::Unreadable { path: folder.join(JSON_FILE), problem })
}

/// The plan in a JSON text and its blob, or what is wrong with them.
pub fn read(json: &[u8], blob: &[u8]) -> Result<Plan, String> {
    let head: Head = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if head.format.as_deref() != Some(FORMAT) {
        return Err(format!("its format is not {FORMAT:?}"));
    }
    if head.version != Some(VERSION) {
        let version = head.version.map_or("none".into(), |version| version.to_string());
        return Err(format!("its version is {version}, and {VERSION} is read"));
    }
    let file: PlanFile = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let hashed = json.strip_prefix(HASH_KEY.as_bytes()).and_then(|rest| rest.strip_prefix(file.hash.as_bytes()));
    match hashed {
        Some(hashed) if hash(hashed) == file.hash => {}
        Some(_) => return Err("its hash is another than it says: it was changed or damaged".into()),
        None => return Err("its hash is not the first that it says".into()),
    }
    if (file.blob.bytes, &file.blob.hash) != (blob.len() as u64, &hash(blob)) {
        let (found, expected) = (blob.len(), file.blob.bytes);
        return Err(format!("the {found} bytes of {BLOB_FILE} are not the {expected} that it was written with"));
    }
    file.plan(blob)
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Distinct texts.
#[derive(Default)]
struct Shaders {
    texts: Vec<String>,
    places: HashMap<String, usize>,
}

impl Shaders {
    fn place(&mut self, text: String) -> usize {
        *self.places.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            self.texts.len() - 1
        })
    }
}

/// What makes two pipelines the same.
type PipelineKey = (&'static str, Vec<(&'static str, u32)>);

/// Distinct pipelines.
#[derive(Default)]
struct Pipelines {
    entries: Vec<PipelineEntry>,
    places: HashMap<PipelineKey, usize>,
}

impl Pipelines {
    fn place(&mut self, dispatch: &Dispatch, shaders: &mut Shaders) -> usize {
        let Dispatch { kernel, constants, demands, .. } = dispatch;
        *self.places.entry((kernel.name, constants.clone())).or_insert_with(|| {
            self.entries.push(PipelineEntry {
                kernel: kernel.name.into(),
                shader: shaders.place(shader_source(kernel, constants)),
                constants: constants.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
                params: fields(kernel),
                bindings: bindings(kernel),
                demands: *demands,
            });
            self.entries.len() - 1
        })
    }
}

fn fields(kernel: &Kernel) -> Vec<FieldEntry> {
    kernel.params.iter().map(|field| FieldEntry { name: field.name.into(), element: field.element }).collect()
}

fn bindings(kernel: &Kernel) -> Vec<BindingEntry> {
    let entry = |binding: &crate::ir::Binding| BindingEntry {
        name: binding.name.into(),
        access: binding.access,
        element: binding.element,
    };
    kernel.bindings.iter().map(entry).collect()
}

/// A pipeline that was read: its kernel, and its constants under the kernel's own names.
struct Pipeline {
    kernel: &'static Kernel,
    constants: Vec<(&'static str, u32)>,
    demands: Demands,
}

impl PipelineEntry {
    fn read(&self, number: usize, shaders: &[String]) -> Result<Pipeline, String> {
        let name = &self.kernel;
        let wrong = |problem: String| format!("pipeline {number} ({name}): {problem}");
        let known = REGISTRY.iter().map(|specification| specification.kernel).find(|kernel| kernel.name == *name);
        let kernel = known.ok_or_else(|| wrong("there is no such kernel".into()))?;
        if self.params != fields(kernel) || self.bindings != bindings(kernel) {
            return Err(wrong("its parameters or bindings are those of another version of the kernel".into()));
        }
        let constant = |(name, value): &(String, u32)| {
            let known =
                constant_name(kernel, name).ok_or_else(|| wrong(format!("its shader has no constant {name}")))?;
            Ok((known, *value))
        };
        let constants = self.constants.iter().map(constant).collect::<Result<Vec<_>, String>>()?;
        let text = shaders.get(self.shader).ok_or_else(|| wrong(format!("there is no shader {}", self.shader)))?;
        if !has_source(kernel, &constants, text) {
            return Err(wrong(format!("shader {} is not its text in this version of gputrain", self.shader)));
        }
        Ok(Pipeline { kernel, constants, demands: self.demands })
    }
}

impl PlanFile {
    /// The plan, if all of it goes together.
    fn plan(self, blob: &[u8]) -> Result<Plan, String> {
        if let Some(buffer) = self.buffers.iter().find(|b| b.len == 0 || u32::try_from(b.len).is_err()) {
            return Err(format!("the buffer {} has {} elements; expected 1 to {}", buffer.name, buffer.len, u32::MAX));
        }
        let pipelines = self.pipelines.iter().enumerate();
        let pipelines = pipelines.map(|(number, entry)| entry.read(number, &self.shaders));
        let pipelines = pipelines.collect::<Result<Vec<Pipeline>, String>>()?;
        let dispatch = |entry: DispatchEntry| {
            let DispatchEntry { label, pipeline, params, slices, grid, cost } = entry;
            let found = pipelines.get(pipeline).ok_or_else(|| format!("{label}: there is no pipeline {pipeline}"))?;
            if !(cost.flops >= 0.0 && cost.bytes >= 0.0) {
                return Err(format!("{label}: its cost is {cost:?}"));
            }
            let Pipeline { kernel, constants, demands } = found;
            let (constants, demands) = (constants.clone(), *demands);
            Ok(Dispatch { kernel, label, constants, params, slices, grid, cost, demands })
        };
        let phase = |PhaseEntry { kind, dispatches }: PhaseEntry| {
            Ok(Phase { kind, dispatches: dispatches.into_iter().map(&dispatch).collect::<Result<_, String>>()? })
        };
        let program = |ProgramEntry { name, phases }: ProgramEntry| {
            Ok(Program { name, phases: phases.into_iter().map(phase).collect::<Result<_, String>>()? })
        };
        let programs = self.programs.into_iter().map(program).collect::<Result<Vec<_>, String>>()?;
        let buffers = self.buffers;
        let init = self.init.into_iter().map(|entry| entry.read(&buffers, blob)).collect::<Result<_, String>>()?;
        let plan = Plan { buffers, programs, init, io: self.io };
        plan.check(&Limits::UNLIMITED).map_err(|error| match error {
            PlanError::Inconsistent { label, kernel, problem } => format!("{label} ({kernel}): {problem}"),
            error => error.to_string(),
        })?;
        check::check(&plan)?;
        Ok(plan)
    }
}

impl InitialEntry {
    fn read(self, buffers: &[Buffer], blob: &[u8]) -> Result<Initial, String> {
        let InitialEntry { buffer, words, blob: range } = self;
        let found = buffers.get(buffer.0).ok_or_else(|| format!("init: there is no buffer {}", buffer.0))?;
        let words = match (words, range) {
            (Some(words), None) => words,
            (None, Some([first, len])) => {
                let range = first.checked_mul(4).zip(len.checked_mul(4));
                let bytes = range.and_then(|(first, len)| blob.get(first..first.checked_add(len)?));
                let bytes = bytes.ok_or_else(|| format!("init: {BLOB_FILE} has no {len} words from {first} on"))?;
                bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
            }
            _ => return Err(format!("init: {} begins with either words or a part of {BLOB_FILE}", found.name)),
        };
        if words.len() > found.len {
            return Err(format!("init: {} words for {}, which has {}", words.len(), found.name, found.len));
        }
        Ok(Initial { buffer, words })
    }
}
