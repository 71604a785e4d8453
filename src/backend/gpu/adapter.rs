//! Which adapters there are, and which one to take.

use crate::backend::BackendError;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// A graphics interface, or the best there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// The best hardware GPU, whatever its interface.
    #[default]
    Auto,
    /// Vulkan.
    Vulkan,
    /// Metal.
    Metal,
    /// Direct3D 12.
    Dx12,
    /// OpenGL.
    Gl,
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackendName::Auto => "auto",
            BackendName::Vulkan => "vulkan",
            BackendName::Metal => "metal",
            BackendName::Dx12 => "dx12",
            BackendName::Gl => "gl",
        })
    }
}

/// What the user asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceChoice {
    /// The interface.
    pub backend: BackendName,
    /// Index in [`list_adapters`](super::list_adapters), or a part of the name in any case.
    pub device: Option<String>,
    /// Compile shaders with bounds checks.
    pub checked: bool,
}

/// What kind of device an adapter is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A card with memory of its own.
    Discrete,
    /// Part of the CPU's chip.
    Integrated,
    /// A share of a GPU, given to a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// Computes on the CPU.
    Software,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::Discrete => "discrete GPU",
            DeviceKind::Integrated => "integrated GPU",
            DeviceKind::Virtual => "virtual GPU",
            DeviceKind::Other => "GPU",
            DeviceKind::Software => "software",
        })
    }
}

/// One adapter as `devices` shows it. One GPU may answer through several interfaces and is then listed several times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterReport {
    /// What `--device` takes.
    pub index: usize,
    /// The device's name.
    pub name: String,
    /// Its interface.
    pub backend: BackendName,
    /// Its kind.
    pub kind: DeviceKind,
    /// The driver's name and version.
    pub driver: String,
    /// True for the one that `auto` takes.
    pub auto: bool,
    /// Why gputrain cannot use it; `None` when it can.
    pub unusable: Option<String>,
    /// The limits that matter.
    pub limits: AdapterLimits,
    /// The features that matter and that it has.
    pub features: Vec<&'static str>,
    /// The features that it lists and yet refused to open with; known of an opened device alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<&'static str>,
    /// Shapes that its matrix units multiply, such as `16x16x16 f16 -> f32`.
    pub cooperative_matrices: Vec<String>,
}

/// The limits of an adapter that decide what fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct AdapterLimits {
    /// Largest buffer in bytes.
    pub buffer_bytes: u64,
    /// Largest range of a buffer that one dispatch can see, in bytes.
    pub binding_bytes: u64,
    /// Storage buffers that one kernel can bind.
    pub storage_buffers: u32,
    /// Memory that a workgroup shares, in bytes.
    pub workgroup_bytes: u32,
    /// Most threads of a workgroup.
    pub workgroup_threads: u32,
    /// Most workgroups along one side of a grid.
    pub workgroups: u32,
}

impl fmt::Display for AdapterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}, {})", self.index, self.name, self.backend, self.kind)?;
        match &self.unusable {
            Some(reason) => write!(f, ", which cannot be used: {reason}"),
            None => Ok(()),
        }
    }
}

/// The position in `adapters` of the one that fits the choice.
pub(super) fn pick(adapters: &[AdapterReport], choice: &DeviceChoice) -> Result<usize, BackendError> {
    let wanted = |a: &AdapterReport| choice.backend == BackendName::Auto || a.backend == choice.backend;
    let position = match &choice.device {
        Some(device) => named(adapters, device, wanted, choice.backend)?,
        None => best(adapters, |a| {
            wanted(a) && a.unusable.is_none() && (choice.backend != BackendName::Auto || a.kind != DeviceKind::Software)
        })
        .ok_or_else(|| nothing(adapters, choice.backend))?,
    };
    match &adapters[position].unusable {
        Some(_) => Err(BackendError::NotFound(adapters[position].to_string())),
        None => Ok(position),
    }
}

/// The indices of the adapters that are like the one that fits the choice, itself among them: of its interface and its kind.
pub(super) fn like(adapters: &[AdapterReport], choice: &DeviceChoice) -> Vec<usize> {
    let Ok(position) = pick(adapters, choice) else { return Vec::new() };
    let AdapterReport { backend, kind, .. } = adapters[position];
    let alike = adapters.iter().filter(|a| (a.backend, a.kind) == (backend, kind) && a.unusable.is_none());
    alike.map(|a| a.index).collect()
}

fn best(adapters: &[AdapterReport], fits: impl Fn(&AdapterReport) -> bool) -> Option<usize> {
    // OpenGL last within a kind: its compute shaders are the slowest way to the same device.
    let rank = |&(_, a): &(usize, &AdapterReport)| (a.kind, a.backend == BackendName::Gl);
    adapters.iter().enumerate().filter(|(_, a)| fits(a)).min_by_key(rank).map(|(position, _)| position)
}

fn named(
    adapters: &[AdapterReport],
    device: &str,
    wanted: impl Fn(&AdapterReport) -> bool,
    backend: BackendName,
) -> Result<usize, BackendError> {
    let number = device.trim().parse::<usize>().ok();
    if let Some(position) = adapters.iter().position(|a| Some(a.index) == number) {
        if wanted(&adapters[position]) {
            return Ok(position);
        }
        let text = format!("--device {device} is {}, not a {backend} device", adapters[position]);
        return Err(BackendError::NotFound(text));
    }
    let part = device.trim().to_lowercase();
    let fits = |a: &AdapterReport| wanted(a) && a.name.to_lowercase().contains(&part);
    // The same GPU often answers through OpenGL too: that is no reason to call its name ambiguous.
    let modern = adapters.iter().any(|a| fits(a) && a.backend != BackendName::Gl);
    let fits = |a: &AdapterReport| fits(a) && !(modern && a.backend == BackendName::Gl);
    let matches: Vec<usize> = (0..adapters.len()).filter(|&p| fits(&adapters[p])).collect();
    match matches[..] {
        [position] => Ok(position),
        [] => Err(BackendError::NotFound(format!(
            "no {} device fits --device {device}; {}",
            if backend == BackendName::Auto { "GPU".to_string() } else { backend.to_string() },
            listing(adapters.iter().filter(|a| wanted(a)))
        ))),
        _ => Err(BackendError::NotFound(format!(
            "--device {device} fits several; give an index or more of the name; {}",
            listing(matches.iter().map(|&p| &adapters[p]))
        ))),
    }
}

fn nothing(adapters: &[AdapterReport], backend: BackendName) -> BackendError {
    let what = match backend {
        BackendName::Auto => "no hardware GPU answers".to_string(),
        name => format!("no {name} device answers"),
    };
    let hint = missing_driver().map_or(String::new(), |hint| format!("; {hint}"));
    BackendError::NotFound(format!("{what}; {}{hint}; --backend cpu always works", listing(adapters.iter())))
}

/// What this system lacks, where no hardware adapter answers although there is a GPU.
pub fn missing_driver() -> Option<&'static str> {
    missing_where(|path| Path::new(path).exists())
}

fn missing_where(exists: impl Fn(&str) -> bool) -> Option<&'static str> {
    if exists("/dev/nvidiactl") {
        Some(
            "an NVIDIA GPU is here, but no Vulkan driver for it: install the Vulkan loader (libvulkan1), and start a \
             container with NVIDIA_DRIVER_CAPABILITIES=all",
        )
    } else if exists("/dev/dri/renderD128") {
        Some(
            "a GPU is here, but no Vulkan driver for it: install one (mesa-vulkan-drivers), and see that you may read \
             and write /dev/dri/renderD128",
        )
    } else {
        None
    }
}

fn listing<'a>(adapters: impl Iterator<Item = &'a AdapterReport>) -> String {
    let lines: Vec<String> = adapters.map(AdapterReport::to_string).collect();
    if lines.is_empty() { "there is none here".into() } else { format!("there is {}", lines.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_without_a_driver_is_told() {
        assert!(missing_where(|path| path == "/dev/nvidiactl").unwrap().contains("NVIDIA_DRIVER_CAPABILITIES"));
        assert!(missing_where(|path| path == "/dev/dri/renderD128").unwrap().contains("mesa"));
        assert_eq!(missing_where(|_| false), None);
    }

    fn adapters(list: &[(&str, BackendName, DeviceKind)]) -> Vec<AdapterReport> {
        let report = |(index, (name, backend, kind)): (usize, &(&str, BackendName, DeviceKind))| AdapterReport {
            index,
            name: name.to_string(),
            backend: *backend,
            kind: *kind,
            driver: String::new(),
            auto: false,
            unusable: None,
            limits: AdapterLimits::default(),
            features: Vec::new(),
            refused: Vec::new(),
            cooperative_matrices: Vec::new(),
        };
        list.iter().enumerate().map(report).collect()
    }

    fn machine() -> Vec<AdapterReport> {
        adapters(&[
            ("llvmpipe", BackendName::Vulkan, DeviceKind::Software),
            ("Intel UHD", BackendName::Vulkan, DeviceKind::Integrated),
            ("NVIDIA A", BackendName::Gl, DeviceKind::Discrete),
            ("NVIDIA A", BackendName::Vulkan, DeviceKind::Discrete),
            ("NVIDIA B", BackendName::Vulkan, DeviceKind::Discrete),
        ])
    }

    fn choose(adapters: &[AdapterReport], backend: BackendName, device: Option<&str>) -> Result<usize, String> {
        let choice = DeviceChoice { backend, device: device.map(String::from), checked: false };
        pick(adapters, &choice).map_err(|e| e.to_string())
    }

    #[test]
    fn auto_takes_the_best_hardware_and_no_software() {
        assert_eq!(choose(&machine(), BackendName::Auto, None), Ok(3));
        let software = &machine()[..1];
        let error = choose(software, BackendName::Auto, None).unwrap_err();
        assert!(error.contains("no hardware GPU") && error.contains("0: llvmpipe (vulkan, software)"), "{error}");
        assert_eq!(choose(software, BackendName::Vulkan, None), Ok(0));
    }

    #[test]
    fn devices_of_one_kind_are_alike() {
        let of = |backend| like(&machine(), &DeviceChoice { backend, ..DeviceChoice::default() });
        assert_eq!(of(BackendName::Auto), [3, 4]);
        assert_eq!(of(BackendName::Gl), [2]);
        assert_eq!(of(BackendName::Metal), [0; 0]);
    }

    #[test]
    fn a_named_backend_is_never_replaced() {
        let error = choose(&machine(), BackendName::Metal, None).unwrap_err();
        assert!(error.starts_with("no metal device answers; there is 0: llvmpipe"), "{error}");
        let error = choose(&[], BackendName::Vulkan, None).unwrap_err();
        assert!(error.contains("there is none here"), "{error}");
    }

    #[test]
    fn a_device_is_an_index_or_part_of_a_name() {
        let machine = machine();
        assert_eq!(choose(&machine, BackendName::Auto, Some("1")), Ok(1));
        assert_eq!(choose(&machine, BackendName::Auto, Some("LLVM")), Ok(0));
        assert_eq!(choose(&machine, BackendName::Auto, Some("nvidia a")), Ok(3), "not ambiguous with OpenGL");
        assert_eq!(choose(&machine, BackendName::Gl, Some("nvidia a")), Ok(2));
        let several = choose(&machine, BackendName::Auto, Some("nvidia")).unwrap_err();
        assert!(several.contains("3: NVIDIA A") && several.contains("4: NVIDIA B"), "{several}");
        let none = choose(&machine, BackendName::Vulkan, Some("radeon")).unwrap_err();
        assert!(none.contains("no vulkan device fits") && none.contains("1: Intel UHD"), "{none}");
        let other = choose(&machine, BackendName::Vulkan, Some("2")).unwrap_err();
        assert!(other.contains("not a vulkan device"), "{other}");
    }

    #[test]
    fn an_unusable_adapter_is_passed_over_or_named() {
        let mut machine = machine();
        machine[3].unusable = Some("too few buffers".into());
        assert_eq!(choose(&machine, BackendName::Auto, None), Ok(4));
        let error = choose(&machine, BackendName::Auto, Some("3")).unwrap_err();
        assert!(error.contains("too few buffers"), "{error}");
    }
}
