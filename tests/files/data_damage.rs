//! Damaged files of every format: reading them gives an error or odd values, never a panic and never a huge allocation.

use std::path::Path;

use gputrain::backend::tuning::Tuning;
use gputrain::data::{
    Array, SourceRef, TargetKind, describe, load_examples, read_array, read_arrays, write_array, write_arrays,
};
use gputrain::export::SavedModel;
use gputrain::model::Shape;
use gputrain::recipe::RecipeText;
use gputrain::train::Checkpoint;
use proptest::prelude::*;

/// A small valid file of each kind: name and bytes.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let array = Array::from_f32(&[6, 2, 2], &(0..24).map(|v| v as f32).collect::<Vec<_>>()).unwrap();
    let labels = Array::from_u8(&[6], vec![0, 1, 2, 0, 1, 2]).unwrap();
    let mut files = Vec::new();
    for name in ["x.npy", "x.npy.gz", "x.npz", "x-idx3-float", "x.idx.gz", "x.csv"] {
        let path = folder.path().join(name);
        if name == "x.npz" {
            write_arrays(&path, &[("x", &array), ("y", &labels)]).unwrap();
        } else {
            write_array(&path, &array).unwrap();
        }
        files.push((name, std::fs::read(&path).unwrap()));
    }
    for name in ["earliest.h5", "latest.h5"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        files.push((name, std::fs::read(path).unwrap()));
    }
    files
}

/// Reads a file in every way there is; true when it could be read whole.
fn read(name: &str, bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap();
    let described = describe(path).is_ok();
    let (images, labels) = (format!("{path}#x"), format!("{path}#y"));
    for source in [SourceRef { images: path, labels: path }, SourceRef { images: &images, labels: &labels }] {
        for targets in [TargetKind::Classes { outputs: 3 }, TargetKind::Values { outputs: 4 }] {
            // What matters is that it comes back.
            let _ = load_examples(source, Shape::Image { channels: 1, height: 2, width: 2 }, targets);
        }
    }
    let read = read_arrays(path);
    assert_eq!(read.is_ok(), described);
    read.is_ok()
}

#[test]
fn undamaged_files_read() {
    for (name, bytes) in files() {
        assert!(read(name, &bytes), "{name}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (name, bytes) in files() {
        // A table is a table after any line, and HDF5 keeps things that no array needs.
        if name.ends_with(".csv") || name.ends_with(".h5") {
            continue;
        }
        for length in 0..bytes.len() {
            assert!(!read(name, &bytes[..length]), "{name} cut to {length} of {}", bytes.len());
        }
    }
}

#[test]
fn absurd_sizes_are_refused_at_once() {
    let npy = |shape: &str| {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes
    };
    assert!(!read("x.npy", &npy("(1099511627776, 1099511627776, 1099511627776)")));
    assert!(!read("x.npy", &npy("(18446744073709551615,)")));
    // Nothing is as little as nothing, but NumPy, too, refuses axes whose product overflows beside a 0.
    assert!(read("x.npy", &npy("(0, 4294967295, 4)")));
    assert!(!read("x.npy", &npy("(0, 4294967295, 4294967295, 4294967295)")));
    // Version 2 has a header length of 32 bits.
    assert!(!read("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff"));
    assert!(!read("x.npy", &npy(&"(".repeat(9000))));
}

/// A pipe would make its reader wait for ever; a link to /dev/zero never ends.
#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["x.npy", "x.npz", "x.h5", "x.csv.gz", "x.idx", "x.toml", "x.safetensors"];
    let odd = |name: &str, made: bool| folder.path().join(format!("{}-{name}", if made { "pipe" } else { "zero" }));
    for name in names {
        assert!(std::process::Command::new("mkfifo").arg(odd(name, true)).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", odd(name, false)).unwrap();
    }
    for (name, made) in names.into_iter().flat_map(|name| [(name, true), (name, false)]) {
        let path = odd(name, made);
        let text = path.to_str().unwrap();
        let problem = match name {
            "x.toml" => RecipeText::find(text).unwrap_err().to_string(),
            "x.safetensors" => {
                let others =
                    [Checkpoint::load(&path).unwrap_err().to_string(), Tuning::load(&path).unwrap_err().to_string()];
                assert!(others.iter().all(|problem| problem.contains("not a file")), "{others:?}");
                SavedModel::load(&path).unwrap_err().to_string()
            }
            _ => read_array(text).unwrap_err().to_string(),
        };
        assert!(problem.contains(text) && problem.contains("is a pipe, a device or a socket, not a file"), "{problem}");
    }
}

/// What a file, its name or a recipe holds must not command the terminal: change its title, hide lines, answer for the user.
#[test]
fn nothing_of_a_file_reaches_the_terminal_raw() {
    const ESCAPE: &str = "\u{1b}]0;title\u{7}\u{9b}2J";
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let array = Array::from_u8(&[2], vec![0, 1]).unwrap();
    let npz = at("x.npz");
    write_arrays(Path::new(&npz), &[(ESCAPE, &array), ("y", &array)]).unwrap();
    std::fs::write(at("x.csv"), format!("a,{ESCAPE}\n1,2\n")).unwrap();
    let recipe = "name = \"\\u001b]0;title\\u0007\\u009b2J\"\n[model]\ninput = [2]\nlayers = \"2\"\n";
    std::fs::write(at("x.toml"), recipe).unwrap();
    std::fs::write(at("list.toml"), format!("[\"{ESCAPE}\"]\n")).unwrap();
    let named = at(&format!("{ESCAPE}.npz"));
    std::fs::copy(&npz, &named).unwrap();
    for arguments in [
        &["inspect", &npz][..],
        &["--json", "inspect", &npz],
        &["inspect", &named],
        &["inspect", &at(&format!("none{ESCAPE}.npy"))],
        &["inspect", &format!("{npz}#z")],
        &["inspect", &format!("{}#b", at("x.csv"))],
        &["inspect", &at("x.toml")],
        &["data", "convert", &named, &at("y.npz")],
        &["gallery", "--list", &at("list.toml"), "--out", &at("gallery")],
        &["inspect", "--set", ESCAPE, "digits"],
        &["inspect", "digits", ESCAPE],
    ] {
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_gputrain")).args(arguments).output().unwrap();
        let text = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        let shown = text.contains("title") || arguments == ["inspect", "digits", ESCAPE] || arguments[0] == "data";
        assert!(shown, "{arguments:?}: {text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{arguments:?}: {text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        near_start in any::<bool>(),
    ) {
        for (name, original) in files() {
            let mut bytes = original.clone();
            for (index, value) in &changes {
                // Headers are where damage is interesting.
                let range = if near_start { bytes.len().min(600) } else { bytes.len() };
                bytes[index.index(range)] = *value;
            }
            read(name, &bytes);
        }
    }

    #[test]
    fn a_cut_hdf5_file_never_panics(cut in any::<prop::sample::Index>()) {
        for (name, bytes) in files() {
            read(name, &bytes[..cut.index(bytes.len())]);
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (name, original) in files() {
            read(name, &bytes);
            // With a valid start.
            let start = original.len().min(8);
            read(name, &[&original[..start], &bytes].concat());
        }
    }
}
