//! What the commands call examples, features and classes.

use crate::binary::{Workplace, fail, last_line, succeed, text};
use std::process::Output;

const CPU: [&str; 2] = ["--backend", "cpu"];

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// A table of so many houses, whose columns come as they are asked for.
fn houses(count: usize, columns: &str) -> String {
    let cell = |row: usize, column: &str| match column {
        "pid" => format!("P{}", 100 + row),
        "size" => format!("{}.5", row * 7 % 23),
        "garden" => (row * 5 % 11).to_string(),
        "district" => ["north", "so\u{1b}[31muth", "west"][row % 3].into(),
        "kind" => ["big", "small"][usize::from(row * 7 % 23 < 11)].into(),
        _ => "other".to_string() + &(row % 2).to_string(),
    };
    let line = |row: usize| columns.split(',').map(|column| cell(row, column)).collect::<Vec<_>>().join(",") + "\n";
    format!("{columns}\n{}", (0..count).map(line).collect::<String>())
}

/// A folder with the table `t.csv` and a run on it.
fn trained(columns: &str, settings: &[&str]) -> Workplace {
    let place = Workplace::new("");
    std::fs::write(place.path("t.csv"), houses(40, columns)).unwrap();
    let [table, run] = ["t.csv", "run"].map(|name| place.text(name));
    let train = ["train", "--train", &table, "--target", "kind", "--epochs", "3", "--out", &run];
    succeed(&[&CPU, &train[..], &["--set", "data.drop=[\"pid\"]"], settings].concat());
    place
}

#[test]
fn rows_that_were_held_out_are_called_as_in_their_table() {
    let place = trained("pid,size,garden,kind", &["--set", "data.test=8"]);
    let [run, table, out] = ["run", "t.csv", "p.csv"].map(|name| place.text(name));
    let predict = |options: &[&str]| -> Vec<String> {
        succeed(&[&CPU, &["predict", &run, "--out", &out][..], options].concat());
        std::fs::read_to_string(&out).unwrap().lines().skip(1).map(str::to_string).collect()
    };
    let all = predict(&[&table]);
    let ids = |lines: &[String]| -> Vec<usize> {
        lines.iter().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
    };
    let mut seen = Vec::new();
    for (split, count) in [("train", 29), ("validation", 3), ("test", 8)] {
        let lines = predict(&["--split", split]);
        assert_eq!(lines.len(), count, "{split}");
        // The answer to a row of the share is that to the row of its number in the table, in batches of other sizes.
        let sure = |line: &String| line.split(',').nth(2).unwrap().parse::<f32>().unwrap();
        let same = |(line, row): (&String, usize)| (sure(line) - sure(&all[row])).abs() < 1e-6;
        assert!(lines.iter().zip(ids(&lines)).all(same), "{split}: {lines:?}, {all:?}");
        let named = predict(&["--split", split, "--id", "pid", "--columns", "id"]);
        assert_eq!(named, ids(&lines).iter().map(|row| format!("P{}", 100 + row)).collect::<Vec<_>>());
        let first: Vec<usize> = ids(&predict(&["--split", split, "--first-id", "1", "--columns", "id"]));
        assert_eq!(first, ids(&lines).iter().map(|row| row + 1).collect::<Vec<_>>());
        let printed = succeed(&[&CPU, &["--json", "predict", &run, "--split", split, "--count", "1"][..]].concat());
        let printed = text(&printed.stdout);
        assert!(printed.contains(&format!("\"index\":{},", ids(&lines)[0])), "{printed}");
        seen.extend(ids(&lines));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    let (code, error) = fail(&[&CPU, &["predict", &run, "--out", &out, "--id", "nosuch"][..]].concat());
    assert!(code == 2 && error.contains("has no column \"nosuch\"; it has pid, size"), "{error}");
}

#[test]
fn pictures_that_were_held_out_are_called_by_their_files() {
    let place = Workplace::new("");
    for index in 0..12u8 {
        for (class, brightness) in [("dark", 10), ("light", 180)] {
            crate::cli_pictures::draw(&place.path(&format!("photos/{class}/{index}.png")), brightness, index);
        }
    }
    let [photos, run, out] = ["photos", "run", "p.csv"].map(|name| place.text(name));
    let train = ["train", "--train", &photos, "--epochs", "4", "--lr", "0.01", "--out", &run];
    succeed(&[&CPU, &train[..], &["--set", "data.validation=6"]].concat());
    let files = |split: &str| -> Vec<String> {
        succeed(&[&CPU, &["predict", &run, "--split", split, "--out", &out, "--columns", "id"][..]].concat());
        std::fs::read_to_string(&out).unwrap().lines().skip(1).map(str::to_string).collect()
    };
    let [trained, held] = ["train", "validation"].map(files);
    assert_eq!((trained.len(), held.len()), (18, 6));
    assert!(trained.iter().chain(&held).all(|file| std::path::Path::new(file).is_file()), "{held:?}");
    assert!(held.iter().all(|file| !trained.contains(file)) && held[0].contains("dark"), "{held:?}");
}

#[test]
fn inspect_shows_what_a_model_knows_of_its_data() {
    let place = trained("pid,size,garden,district,kind", &[]);
    let run = place.text("run");
    let words = said(&succeed(&["inspect", &run]));
    for part in [
        "size      number",
        r"category, 3 levels  north, so\u{1b}[31muth, west",
        "2 classes: big, small",
        "target: kind",
    ] {
        assert!(words.contains(part), "no {part} in: {words}");
    }
    assert!(!words.contains('\u{1b}'));
    let data = last_line(&succeed(&["--json", "inspect", &run]))["data"].clone();
    assert_eq!(data["classes"], serde_json::json!(["big", "small"]));
    assert_eq!(data["columns"][2]["levels"][1], "so\u{1b}[31muth");
    assert_eq!((&data["columns"][0]["column"], &data["columns"][0]["holds"]), (&"size".into(), &"number".into()));
}

#[test]
fn a_run_says_what_of_its_data_has_changed() {
    let place = trained("pid,size,garden,district,kind", &[]);
    let [table, run] = ["t.csv", "run"].map(|name| place.text(name));
    let resume = [&CPU[..], &["train", "--resume", &run, "--epochs", "5"]].concat();
    let before = houses(40, "pid,size,garden,district,kind");
    let error = |text: &str| {
        std::fs::write(&table, text).unwrap();
        let (code, error) = fail(&resume);
        assert!(code == 2 && error.contains("the training data is not what the run began with"), "{error}");
        assert!(error.contains("train its recipe.toml anew"), "{error}");
        error
    };
    let words = error(&before.replace(",west,", ",east,"));
    assert!(
        words.contains(r#"features that are new: "district=east"; features that are gone: "district=west""#),
        "{words}"
    );
    let words = error(&houses(40, "pid,size,garden,more,district,kind"));
    assert!(words.contains(r#"features that are new: "more=other0", "more=other1"."#), "{words}");
    let words = error(&houses(40, "pid,garden,district,kind"));
    assert!(words.contains(r#"features that are gone: "size""#), "{words}");
    let words = error(&before.replacen(",big\n", ",odd\n", 1));
    assert!(words.contains("the target has \"odd\", which the training table had not; it had big, small"), "{words}");
    let words = error(&houses(400, "pid,size,garden,district,kind"));
    assert!(words.contains("36 training examples before, 360 now"), "{words}");
    // As it was, it goes on.
    std::fs::write(&table, before).unwrap();
    assert!(!said(&succeed(&resume)).contains("warning: the training examples"));
}

#[test]
fn a_first_line_that_may_be_something_else_is_named_where_a_column_is_not_found() {
    let place = Workplace::new("");
    let table = place.text("t.csv");
    let refused = |text: &str, target: &str| {
        std::fs::write(&table, text).unwrap();
        fail(&[&CPU, &["train", "--train", &table, "--target", target][..]].concat())
    };
    let (code, error) = refused("z,z\ny,y\nz,y\ny,z\n", "1");
    assert!(code == 2 && error.contains("are both called \"z\"") && error.contains("data.header = false"), "{error}");
    let (code, error) = refused("2019,2021\n5.5,3.25\n1.5,2.5\n", "2021");
    assert!(code == 2 && error.contains("no column \"2021\"") && error.contains("data.header = true"), "{error}");
    // Where it is said what the first line is, no more is to be said.
    let said = ["train", "--train", &table, "--target", "2022", "--set", "data.header=true"];
    let (code, error) = fail(&[&CPU, &said[..]].concat());
    assert!(code == 2 && error.contains("it has 2019, 2021") && !error.contains("data.header"), "{error}");
}
