//! The commands on folders of pictures.

use crate::binary::{Workplace, fail, gputrain, json, last_line, succeed, text};
use std::path::Path;

/// Writes a grey picture of 8 x 8 pixels around this brightness.
pub fn draw(path: &Path, brightness: u8, index: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 8, 8);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> =
        (0..64u8).map(|pixel| brightness + (pixel.wrapping_mul(37) ^ index.wrapping_mul(11)) % 60).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

/// Twenty pictures of two classes to train on, and four to test with.
fn photos() -> Workplace {
    let place = Workplace::new("");
    for index in 0..10 {
        draw(&place.path(&format!("photos/train/dark/{index}.png")), 10, index);
        draw(&place.path(&format!("photos/train/hell ☀/{index}.png")), 180, index);
    }
    for index in 20..22 {
        draw(&place.path(&format!("photos/test/dark/{index}.png")), 10, index);
        draw(&place.path(&format!("photos/test/hell ☀/{index}.png")), 180, index);
    }
    place
}

#[test]
fn a_folder_of_pictures_is_all_that_training_needs() {
    let place = photos();
    let [photos, run, test, one, csv] =
        ["photos", "run", "photos/test", "photos/test/dark/20.png", "answers.csv"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "train", "--train", &photos, "--epochs", "12", "--lr", "0.01", "--out", &run];
    let output = succeed(&train);
    let words = text(&output.stdout);
    for word in [
        "8 x 8 pixels (height x width), grey, fit crop",
        "classes: dark: 10, hell ☀: 10",
        "conv2d 16",
        "18 train, 2 validation, 4 test",
    ] {
        assert!(words.contains(word), "{word}: {words}");
    }
    assert_eq!(json(&place.path("run/summary.json"))["test_accuracy"], 1.0, "{words}");

    let eval = last_line(&succeed(&["--backend", "cpu", "--json", "eval", &run, &test]));
    assert_eq!((&eval["accuracy"], &eval["examples"]), (&1.0.into(), &4.into()));
    let split = last_line(&succeed(&["--backend", "cpu", "--json", "eval", &run, "--split", "validation"]));
    assert_eq!(split["examples"], 2);

    // Pictures by name and a folder, without a truth.
    let predict = ["--backend", "cpu", "predict", &run, &one, &test, "--out", &csv];
    succeed(&predict);
    let answers = std::fs::read_to_string(&csv).unwrap();
    let rows: Vec<&str> = answers.lines().collect();
    assert_eq!((rows[0], rows.len()), ("id,class,dark,hell ☀", 6), "{answers}");
    assert!(rows[1].starts_with(&format!("{one},dark,")), "{answers}");

    // A class that the model does not have is no truth, and that is said.
    for class in ["dark", "cat"] {
        std::fs::create_dir_all(place.path("odd").join(class)).unwrap();
        std::fs::copy(&one, place.path("odd").join(class).join("1.png")).unwrap();
    }
    let (code, error) = fail(&["--backend", "cpu", "eval", &run, &place.text("odd")]);
    assert!(code == 2 && error.contains("not trained on: \"cat\"") && error.contains("or use predict"), "{error}");
    let (code, error) = fail(&["--backend", "cpu", "eval", &run, &one]);
    assert!(code == 2 && error.contains("nothing tells their classes"), "{error}");

    let broken = place.path("photos/test/dark/20.png");
    std::fs::write(&broken, "no picture").unwrap();
    let (code, error) = fail(&["--backend", "cpu", "eval", &run, &test]);
    assert!(code == 2 && error.contains("20.png") && error.contains("data.broken = \"skip\""), "{error}");
    let told = text(&succeed(&["--backend", "cpu", "eval", &run, &test, "--skip-broken"]).stdout);
    assert!(told.contains("20.png"), "{told}");
    std::fs::remove_file(&broken).unwrap();
    let own = place.text("own.csv");
    succeed(&["--backend", "cpu", "predict", &run, "--out", &own]);
    let own = std::fs::read_to_string(own).unwrap();
    assert!(
        own.lines().nth(1).is_some_and(|line| line.contains(".png,")),
        "pictures of the recipe are told apart by files: {own}"
    );
    let one = place.text("photos/test/dark/21.png");
    let before = std::fs::read(&one).unwrap();
    let (code, error) = fail(&["--backend", "cpu", "predict", &run, &one, "--grid", &one]);
    assert!(code == 2 && error.contains("that is read here") && std::fs::read(&one).unwrap() == before, "{error}");
    std::fs::write(&broken, "no picture").unwrap();
    let two = ["--loss", "binary_cross_entropy", "--epochs", "1", "--set", "data.broken=skip", "--out"];
    let output =
        succeed(&[&["--backend", "cpu", "train", "--train", &photos], &two[..], &[&place.text("bits")]].concat());
    assert!(text(&output.stdout).contains("validation: loss"), "{}", text(&output.stdout));
    let (code, error) = fail(&["--backend", "cpu", "train", "--train", &photos, "--target", "x"]);
    assert!(code == 2 && error.contains("leave --target out"), "{error}");
    let inspect = text(&succeed(&["inspect", &photos]).stdout);
    for word in ["20 pictures of 2 classes", "3 pictures of 2 classes", "hell ☀", "20.png cannot be read"] {
        assert!(inspect.contains(word), "{word}: {inspect}");
    }
    let (code, error) = fail(&["--backend", "cpu", "train", "--train", &place.text("photos/train/dark")]);
    assert!(code == 2 && error.contains("in no folders for classes"), "{error}");
    let output =
        gputrain(&["--backend", "cpu", "train", "--train", &photos, "--layers", "3", "--out", "x"]).output().unwrap();
    let error = text(&output.stderr);
    assert!(output.status.code() == Some(2) && error.contains("has 2 classes, but the last layer gives 3"), "{error}");
}
