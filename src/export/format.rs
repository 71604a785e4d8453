//! What models are exported to.

use std::path::Path;

/// A file format that models are exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The weights, with the model's definition in the metadata.
    Safetensors,
    /// NumPy: the weights alone.
    Npz,
    /// The network, ready to run: scaling, layers and output.
    Onnx {
        /// Batch norms are part of the dense and convolution layers before them, where they can be.
        norms_folded: bool,
    },
}

impl Format {
    /// Every format; of ONNX, the form with every layer as it was trained.
    pub const ALL: [Format; 3] = [Format::Safetensors, Format::Npz, Format::Onnx { norms_folded: false }];

    /// The format's name, which is also its files' extension.
    pub fn name(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::Npz => "npz",
            Format::Onnx { .. } => "onnx",
        }
    }

    /// The format that a file's name tells.
    pub fn from_path(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?;
        Format::ALL.into_iter().find(|format| extension.eq_ignore_ascii_case(format.name()))
    }
}
