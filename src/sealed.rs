//! A .safetensors file with a hash over all that is in it.
//!
//! Reading is left to the `safetensors` crate, which checks every offset. It cannot write what is needed here: it puts
//! the metadata in a random order, and a file with the same content must have the same bytes.

use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorView};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The key of the metadata that holds the hash.
pub(crate) const HASH: &str = "gputrain.hash";

/// A tensor as it is stored: its values least significant byte first.
pub(crate) struct Tensor<'a> {
    pub name: &'a str,
    pub dtype: Dtype,
    pub shape: &'a [usize],
    pub bytes: &'a [u8],
}

/// A file's content is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The hash in the metadata.
    pub expected: String,
    /// That of the content.
    pub found: String,
}

/// The bytes of a file with these tensors, one after the other, and this metadata, to which their common hash is added.
pub(crate) fn encode(mut metadata: BTreeMap<&str, String>, tensors: &[Tensor<'_>]) -> Vec<u8> {
    let texts: Vec<(&str, &str)> = metadata.iter().map(|(key, text)| (*key, text.as_str())).collect();
    metadata.insert(HASH, hash(&texts, tensors));
    let mut header = BTreeMap::<&str, Value>::from([("__metadata__", json!(metadata))]);
    let mut end = 0;
    for Tensor { name, dtype, shape, bytes } in tensors {
        let start = end;
        end += bytes.len();
        header.insert(name, json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }));
    }
    let mut text = json!(header).to_string();
    // The values begin at a multiple of 8, so that a reader may map them.
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(text.as_bytes());
    tensors.iter().for_each(|tensor| file.extend_from_slice(tensor.bytes));
    file
}

/// A file that was read: its header and its tensors.
pub(crate) struct Opened<'a> {
    pub header: Metadata,
    pub tensors: SafeTensors<'a>,
}

/// Takes the bytes of a file apart.
pub(crate) fn open(bytes: &[u8]) -> Result<Opened<'_>, SafeTensorError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    Ok(Opened { header, tensors: SafeTensors::deserialize(bytes)? })
}

impl Opened<'_> {
    /// A text of the metadata.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// Whether the content is what was written. A file without a hash is another program's, or of an earlier version: it
    /// says nothing.
    pub(crate) fn check(&self) -> Result<(), Changed> {
        let Some(expected) = self.text(HASH) else { return Ok(()) };
        let texts = self.header.metadata().iter().flatten().map(|(key, text)| (key.as_str(), text.as_str()));
        let mut texts: Vec<(&str, &str)> = texts.filter(|(key, _)| *key != HASH).collect();
        texts.sort_unstable();
        let views: Vec<(&str, TensorView<'_>)> = self.tensors.iter().collect();
        let tensors: Vec<Tensor<'_>> = views
            .iter()
            .map(|(name, view)| Tensor { name, dtype: view.dtype(), shape: view.shape(), bytes: view.data() })
            .collect();
        let found = hash(&texts, &tensors);
        if expected == found { Ok(()) } else { Err(Changed { expected: expected.into(), found }) }
    }
}

/// The BLAKE3 hash of texts, sorted by key, and of tensors, whatever their order: names, types, shapes and values, each
/// with its length before it.
fn hash(texts: &[(&str, &str)], tensors: &[Tensor<'_>]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(&(texts.len() as u64).to_le_bytes());
    for (key, text) in texts {
        add(key.as_bytes());
        add(text.as_bytes());
    }
    let mut sorted: Vec<&Tensor<'_>> = tensors.iter().collect();
    sorted.sort_unstable_by_key(|tensor| tensor.name);
    for Tensor { name, dtype, shape, bytes } in sorted {
        add(name.as_bytes());
        add(dtype.to_string().as_bytes());
        add(&shape.iter().flat_map(|size| (*size as u64).to_le_bytes()).collect::<Vec<u8>>());
        add(bytes);
    }
    hasher.finalize().to_hex().to_string()
}
