//! The program alone, in an empty folder: what comes with it is in it.

use crate::binary::{gputrain, json, text};
use std::path::Path;

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let arguments = [&["--backend", "cpu"], arguments].concat();
    let output = gputrain(&arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn bundled_data_and_weights_need_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let weights = "bundled:two-layer-sigmoid/weights.npz";
    let said = succeed(at, &["grad", "two-layer-sigmoid", "--init", weights, "--check"]);
    assert!(
        said.contains("loss 0.1332476") && said.contains(", in f64 0.1332476") && said.contains("all gradients agree"),
        "{said}"
    );
    assert!(succeed(at, &["inspect", weights]).contains("layers.1.bias"));
    assert_eq!(std::fs::read_dir(at).unwrap().count(), 0, "nothing is copied");

    succeed(at, &["train", "two-layer-sigmoid", "--init", weights, "--epochs", "2", "--out", "run"]);
    let evaluated = succeed(at, &["eval", "run", "--split", "train"]);
    assert!(evaluated.contains("loss 0.1"), "{evaluated}");

    succeed(at, &["gallery", "--only", "two-layer-sigmoid", "--out", "gallery"]);
    let found = json(&at.join("gallery/gallery.json"));
    assert_eq!((&found["done"], &found["missing"], &found["failed"]), (&1.into(), &0.into(), &0.into()));
    let published = &found["experiments"][0]["figures"][1]["number"];
    assert!(published.as_f64().unwrap() < 1e-6, "{published}");
}

#[test]
fn what_does_not_come_with_the_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["grad", "two-layer-sigmoid", "--init", "bundled:two-layer-sigmoid/weight.npz"];
    let output = gputrain(&arguments).current_dir(folder.path()).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no such file comes with gputrain; it has "), "{said}");
    assert!(said.contains("bundled:two-layer-sigmoid/weights.npz"), "{said}");
}
