//! Where data files are looked for.

use std::fs;
use std::path::Path;

use gputrain::recipe::{Holdout, Recipe, Source};

fn touch(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    path.display().to_string()
}

fn recipe(images: &str, labels: &str) -> String {
    format!("[data]\ntrain = {{ images = \"{images}\", labels = \"{labels}\" }}\n[model]\nlayers = \"3\"\n")
}

fn resolved(images: &str, labels: &str, folder: &Path) -> Result<Source, String> {
    let mut recipe = Recipe::parse(&recipe(images, labels), "r.toml", &[]).unwrap();
    recipe.resolve_data(Some(folder)).map_err(|error| error.to_string())?;
    Ok(recipe.data.train.unwrap())
}

#[test]
fn the_data_folder_and_keys_inside_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = touch(folder.path(), "set/all.npz");
    let source = resolved("set/all.npz#images", "set/all.npz#labels", folder.path()).unwrap();
    assert_eq!(source, Source::Arrays { images: format!("{file}#images"), labels: format!("{file}#labels") });
    let odd = touch(folder.path(), "a#b.npy");
    assert_eq!(resolved("a#b.npy", "set/all.npz#y", folder.path()).unwrap().name(), odd);
    // Keys and the names of files may hold a # of their own.
    let source = resolved("set/all.npz#x#1", "a#b.npy#y", folder.path()).unwrap();
    assert_eq!(source, Source::Arrays { images: format!("{file}#x#1"), labels: format!("{odd}#y") });
    let missing = resolved("no.npz#x#1", "a#b.npy", folder.path()).unwrap_err();
    assert!(missing.contains(&folder.path().join("no.npz").display().to_string()), "{missing}");
    assert!(!missing.contains("no.npz#x,"), "{missing}");
}

#[test]
fn the_recipes_own_folder_comes_first() {
    let [beside, data] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    touch(data.path(), "x.npy");
    touch(data.path(), "y.npy");
    let (x, y) = (touch(beside.path(), "x.npy"), touch(beside.path(), "y.npy"));
    let path = beside.path().join("r.toml");
    fs::write(&path, recipe("x.npy", "y.npy")).unwrap();
    let mut recipe = Recipe::load(&path, &[]).unwrap();
    recipe.resolve_data(Some(data.path())).unwrap();
    assert_eq!(recipe.data.train, Some(Source::Arrays { images: x, labels: y }));
}

#[test]
fn alternatives_go_together() {
    let folder = tempfile::tempdir().unwrap();
    // Images of the first, but labels of the second alternative only: neither is complete without the other's.
    touch(folder.path(), "a-images");
    let b = (touch(folder.path(), "b-images"), touch(folder.path(), "b-labels"));
    let source = resolved("a-images | b-images", "a-labels | b-labels", folder.path()).unwrap();
    assert_eq!(source.paths(), [b.0, b.1]);
}

#[test]
fn an_error_lists_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let error = resolved("set/x.npy", "set/y.npy", folder.path()).unwrap_err();
    assert!(error.starts_with("data.train.images = \"set/x.npy\": no such file"), "{error}");
    for place in [folder.path().join("set/x.npy"), Path::new("data").join("set/x.npy")] {
        assert!(error.contains(&place.display().to_string()), "{error}");
    }
    assert!(error.contains("--data DIR") && !error.contains("y.npy"), "{error}");
    touch(folder.path(), "set/x.npy");
    let error = resolved("set/x.npy", "set/y.npy", folder.path()).unwrap_err();
    assert!(error.starts_with("data.train.labels = \"set/y.npy\": no such file"), "{error}");
}

#[test]
fn held_out_files_are_found_too() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = (touch(folder.path(), "x.npy"), touch(folder.path(), "y.npy"));
    let text = "[data]\ntest = { images = \"x.npy\", labels = \"y.npy\" }\n[model]\nlayers = \"3\"\n";
    let mut recipe = Recipe::parse(text, "r.toml", &[]).unwrap();
    recipe.resolve_data(Some(folder.path())).unwrap();
    assert_eq!(recipe.data.test, Holdout::Files(Source::Arrays { images: x, labels: y }));
}
