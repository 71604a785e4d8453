//! Data sets: loading them from folders of pictures, from .npy, .npz, IDX, CSV, Parquet, Arrow, HDF5 and MATLAB's files and from those
//! of CIFAR, splitting, scaling, generating and writing them.
//!
//! A file is given as `path`, or `path#key` for one array of several; either may hold a `#` of its own. Bytes stay bytes in
//! memory, everything else becomes single-precision floats; images lie channels first, whatever their file's layout.
//!
//! A large file whose values lie as memory has them (uncompressed .npy of bytes or little-endian floats in C order, IDX of bytes,
//! packed pictures) is mapped, not read: a data set need not fit the host's memory. Such a file must not be changed while it is
//! used; where it is shortened, the system ends the process. What a large packed .npy, .npz or IDX file unpacks to is mapped, too, and
//! so is what a large table is read to.

mod array;
mod bytes;
mod cells;
mod cifar;
mod classes;
mod column;
#[cfg_attr(not(feature = "parquet"), path = "no_columnar.rs")]
mod columnar;
mod convert;
mod csv;
mod error;
mod examples;
#[cfg(feature = "fetch")]
mod fetch;
mod frame;
mod generate;
#[cfg_attr(not(feature = "hdf5"), path = "no_hdf5.rs")]
mod hdf5;
mod header;
mod idx;
mod inspect;
mod load;
#[cfg(feature = "hdf5")]
mod lzf;
mod mat5;
mod memory;
mod middle;
mod named;
#[cfg(all(test, feature = "parquet"))]
#[expect(dead_code, reason = "only what it refuses is tested where the feature is on")]
mod no_columnar;
mod npy;
mod npz;
mod numbers;
mod pairs;
mod pickle;
#[cfg(any(feature = "parquet", feature = "pictures"))]
mod picture_format;
mod pictures;
mod random;
pub(crate) mod remarks;
mod scale;
mod source;
mod split;
mod table;
mod table_columns;
mod tar;
mod targets;
mod trained_on;
#[cfg(feature = "fetch")]
mod unpack;
pub(crate) mod weights;
mod whitening;
mod write;

pub use array::{Array, Dtype};
pub use column::WrittenColumn;
pub use convert::convert;
pub(crate) use error::quoted;
pub use error::{DataError, Problem};
pub use examples::{Dataset, Examples, Features, Storage, Targets};
#[cfg(feature = "fetch")]
pub use fetch::{FetchError, PUBLIC_SETS, Progress, PublicFile, PublicSet, fetch};
pub use generate::{DEFAULT_TEST, DEFAULT_TRAIN, generate};
pub use inspect::{ArrayInfo, ColumnInfo, Described, describe, describe_columns};
pub use load::{
    RawExamples, RawFeatures, SourceRef, TableOptions, load_examples, load_features, outputs, reading_notes,
};
pub(crate) use numbers::Access;
pub use numbers::Numbers;
#[cfg(test)]
pub(crate) use numbers::with_large_from;

pub use pairs::{ArraySets, array_sets};
pub use pictures::{
    Form, Loading, PictureFolder, PictureSets, Pictures, is_picture, is_picture_table, label_column, picture_sets,
    show_picture_progress,
};
pub use remarks::{are_no_pixels, other_features};
pub use scale::Scaling;
pub use source::{NamedArrays, read_array, read_arrays};
pub use split::PartSize;
pub use table::{RawTable, column_texts};
pub use table_columns::{FeatureColumn, TableColumns, TargetColumn};
pub use targets::TargetKind;
pub use trained_on::TrainedOn;
#[cfg(feature = "fetch")]
pub use unpack::{Unpacking, unpack};
pub use whitening::whiten;
pub use write::{write_array, write_arrays, write_csv, write_idx, write_npz, write_parquet};
