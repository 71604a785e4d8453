//! What every command gets: the backend that was asked for, and where output goes.

use super::{CliError, print};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::gpu::{BackendName, DeviceChoice, GpuBackend, device_of_rank, missing_driver};
use gputrain::backend::{Backend, BackendError, DataMemory};
use gputrain::data::show_picture_progress;
use gputrain::ranks::{Exchange, local_rank};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BackendArg {
    /// The best hardware GPU; the CPU if there is none
    #[default]
    Auto,
    /// Vulkan (a software adapter if nothing better answers)
    Vulkan,
    /// Metal
    Metal,
    /// Direct3D 12
    Dx12,
    /// OpenGL
    Gl,
    /// The CPU, with every kernel held to its reference
    Cpu,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Where to compute
    #[arg(long, value_enum, default_value_t, global = true)]
    pub backend: BackendArg,
    /// The device: an index or part of a name, as `devices` lists them
    #[arg(long, global = true, value_name = "INDEX|NAME")]
    pub device: Option<String>,
    /// Memory of the device for examples, such as 2GiB; a set that finds no room is streamed [default: what a buffer can
    /// hold for each set]
    #[arg(long, global = true, value_name = "SIZE")]
    pub data_memory: Option<ByteSize>,
    /// Compile shaders with bounds checks (slower; every kernel guards its accesses itself)
    #[arg(long, global = true)]
    pub checked: bool,
    /// One JSON object per line on stdout, the last one the summary; people's text goes to stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Say less
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// A command's surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// The options of every command.
    pub global: GlobalArgs,
    /// When the command began: the process, or this part of it.
    pub started: Instant,
    /// Whether JSON is written where it is asked for: not by a command that another one runs, and by rank 0 alone.
    emits: bool,
    /// The ranks that share the work, where there are several.
    ranks: Option<Arc<dyn Exchange>>,
    /// The first error of stdout.
    unwritten: Arc<Mutex<Option<io::Error>>>,
}

impl Context {
    /// For a process that began at `started`. Of several that share the work, rank 0 alone says anything.
    pub fn new(global: &GlobalArgs, started: Instant, ranks: Option<Arc<dyn Exchange>>) -> Context {
        let mut global = global.clone();
        let follows = ranks.as_ref().is_some_and(|ranks| ranks.rank() > 0);
        if follows {
            (global.quiet, global.verbose) = (true, false);
        }
        Context { global, started, emits: !follows, ranks, unwritten: Arc::default() }
    }

    /// The ranks that share the work, where there are several.
    pub(super) fn ranks(&self) -> Option<Arc<dyn Exchange>> {
        self.ranks.clone()
    }

    /// Whether this is a rank that neither prints nor writes.
    pub(super) fn follows(&self) -> bool {
        self.ranks.as_ref().is_some_and(|ranks| ranks.rank() > 0)
    }

    /// For a command that begins now as a part of another: what it says is for people alone.
    pub(super) fn as_part(&self) -> Context {
        Context { emits: false, started: Instant::now(), ..self.clone() }
    }

    /// Opens the backend that was asked for. `auto` without a hardware GPU takes the CPU and says so.
    pub fn open_backend(&self) -> Result<Box<dyn Backend>, CliError> {
        let backend = self.open_device()?;
        Ok(match self.global.data_memory {
            Some(ByteSize(bytes)) => Box::new(DataMemory { backend, bytes }),
            None => backend,
        })
    }

    fn open_device(&self) -> Result<Box<dyn Backend>, CliError> {
        let name = match self.global.backend {
            BackendArg::Cpu => {
                if self.global.device.is_some() {
                    return Err(CliError::Usage("--device chooses a GPU, but --backend is cpu; leave one out".into()));
                }
                return Ok(Box::new(CpuBackend::new()));
            }
            BackendArg::Auto => BackendName::Auto,
            BackendArg::Vulkan => BackendName::Vulkan,
            BackendArg::Metal => BackendName::Metal,
            BackendArg::Dx12 => BackendName::Dx12,
            BackendArg::Gl => BackendName::Gl,
        };
        let mut choice =
            DeviceChoice { backend: name, device: self.global.device.clone(), checked: self.global.checked };
        if self.ranks.is_some() && choice.device.is_none() {
            choice.device = device_of_rank(&choice, local_rank().unwrap_or(0));
        }
        match GpuBackend::open(&choice) {
            Ok(gpu) => {
                let refused = &gpu.adapter().refused;
                if !refused.is_empty() {
                    let (device, refused) = (&gpu.info().device, refused.join(", "));
                    self.say(format!("{device} lists {refused} and refuses to open with it: going on without"));
                }
                Ok(Box::new(gpu))
            }
            Err(BackendError::NotFound(_)) if name == BackendName::Auto && self.global.device.is_none() => {
                self.say("no hardware GPU answers: computing on the CPU (--backend vulkan takes a software adapter)");
                if let Some(hint) = missing_driver() {
                    self.say(hint);
                }
                Ok(Box::new(CpuBackend::new()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A line for people: on stdout, or on stderr when stdout is for machines. Silent with --quiet.
    pub fn say(&self, line: impl std::fmt::Display) {
        if self.global.quiet {
            return;
        }
        if self.global.json {
            print::error_line(line);
        } else {
            self.print_line(&line.to_string());
        }
    }

    /// Text that was asked for, on stdout whatever else is said.
    pub(super) fn print(&self, text: &str) {
        self.print_line(text);
    }

    /// A line for people who want to know more (--verbose).
    pub fn detail(&self, line: impl std::fmt::Display) {
        if self.global.verbose {
            self.say(line);
        }
    }

    /// A bar over `length` steps in indicatif's template language; hidden with --quiet.
    pub(super) fn progress_bar(&self, length: u64, template: &str) -> ProgressBar {
        let bar = if self.global.quiet { ProgressBar::hidden() } else { ProgressBar::new(length) };
        let style = ProgressStyle::with_template(template);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// Shows how many pictures are decoded, wherever that is done.
    pub(super) fn show_decoding(&self) {
        let bar = self.progress_bar(0, "{bar:30} {pos}/{len} pictures decoded  {per_sec}  {eta} left");
        show_picture_progress(move |_, total| {
            if bar.is_finished() {
                bar.reset();
            }
            bar.set_length(total as u64);
            bar.inc(1);
            if bar.position() >= total as u64 {
                bar.finish_and_clear();
            }
        });
    }

    /// A JSON object on a line of stdout, with --json.
    pub fn emit(&self, value: &impl Serialize) {
        if self.global.json && self.emits {
            match serde_json::to_string(value) {
                Ok(text) => self.print_line(&text),
                Err(error) => self.note(Err(error.into())),
            }
        }
    }

    fn print_line(&self, line: &str) {
        self.note(print::line(line));
    }

    /// A reader that went away (`| head`) has what it wanted: the work goes on, and nothing is said. Any other error is
    /// kept for the end, so that it loses no work.
    fn note(&self, result: io::Result<()>) {
        if let Err(error) = result
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// Fails where some of the output could not be written.
    pub(super) fn check_output(&self) -> Result<(), CliError> {
        self.note(print::flush());
        match self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(CliError::Failed(format!(
                "standard output: {error}; what is written to files is whole, but some of what was to be printed is missing"
            ))),
            None => Ok(()),
        }
    }
}
