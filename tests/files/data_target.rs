//! Tables with a target: what columns are taken for, what becomes of gaps, and what a model keeps of both.

use gputrain::data::{RawTable, Scaling, Storage, TargetKind, Targets, TrainedOn, column_texts};
use gputrain::export::SavedModel;
use gputrain::job::{Job, load};
use gputrain::recipe::{Holdout, Loss, Recipe, Source};
use gputrain::suggest::{Wanted, recipe};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with a table.
struct Table {
    _folder: TempDir,
    path: PathBuf,
}

fn table(text: &str) -> Table {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    fs::write(&path, text).unwrap();
    Table { _folder: folder, path }
}

impl Table {
    fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// The job of the recipe that suits the table, with settings.
    fn job(&self, target: &[&str], settings: &[(&str, &str)]) -> Result<Job, String> {
        let target: Vec<String> = target.iter().map(|name| name.to_string()).collect();
        let overrides: Vec<_> = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let wanted = Wanted { train: &self.path(), target: &target, test: None, overrides: &overrides };
        let text = recipe(&wanted).map_err(|error| error.to_string())?;
        let recipe = text.parse(&overrides).map_err(|error| error.to_string())?;
        Job::load(recipe).map_err(|error| error.to_string())
    }
}

fn said(job: &Job) -> String {
    job.described().join("\n")
}

fn features(job: &Job) -> Vec<f32> {
    let Storage::F32(values) = &job.dataset.train.features.storage else { panic!("these are floats") };
    values.to_vec()
}

const NO_SPLIT: (&str, &str) = ("data.validation", "0");

/// Twelve houses with an index, a number, a category, a boolean, a column without values, and a price.
fn houses() -> String {
    let row = |i: usize| {
        let (district, garden) =
            (["north", "south", "west"][i % 3], if i.is_multiple_of(4) { "True" } else { "False" });
        format!("{},{},{district},{garden},,{}\n", i + 1, 40 + 7 * i % 50, 150_000 + 12_345 * i)
    };
    format!("Id,size,district,garden,pool,price\n{}", (0..12).map(row).collect::<String>())
}

#[test]
fn kinds_of_columns_are_told_and_values_are_scaled() {
    let job = table(&houses()).job(&["price"], &[NO_SPLIT]).unwrap();
    assert_eq!(
        job.trained_on.features,
        ["size", "district=north", "district=south", "district=west", "garden=False", "garden=True"]
    );
    assert_eq!(features(&job)[..6], [40.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let text = said(&job);
    for part in [
        "12 rows, separated by commas; the first line names the columns",
        "left out: Id (counts the rows), pool (no values)",
        "features: 1 number: size; 2 categories: district (3 levels: north, south, west), garden (2 levels: False, True)",
        "target: price, values from 150000 to 285795",
        "price is learned less its mean 217897.5",
    ] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    // Numbers are scaled, levels stay 1 and 0, and so do the values' mean and deviation.
    assert_eq!((job.scaling.subtract[1..].to_vec(), job.scaling.divide[1..].to_vec()), (vec![0.0; 5], vec![1.0; 5]));
    assert!(job.scaling.divide[0] > 1.0);
    let Targets::Values { values, outputs: 1 } = &job.dataset.train.targets else { panic!("these are values") };
    let mean = values.iter().sum::<f32>() / 12.0;
    let variance = values.iter().map(|value| value * value).sum::<f32>() / 12.0;
    assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
    let mut back = values.clone();
    job.trained_on.table.as_ref().unwrap().unscale(&mut back, 1);
    assert!((back[11] - 285_795.0).abs() < 1.0, "{}", back[11]);
    assert_eq!((job.model.outputs(), job.model.loss.to_string()), (1, "mse".into()));
    // Bounded outputs are to meet the values as they are.
    let bounded = table("a,y\n1,0.5\n2,0.25\n3,1\n");
    let layers = ("model.layers", "3:relu,1:sigmoid");
    let job = bounded.job(&["y"], &[NO_SPLIT, layers]).unwrap();
    assert_eq!(job.dataset.train.targets, Targets::Values { values: vec![0.5, 0.25, 1.0], outputs: 1 });
}

#[test]
fn targets_are_classes_or_values_by_the_loss_or_by_what_they_are() {
    let rows = |target: fn(usize) -> String| {
        let line = |i: usize| format!("{},{}\n", i * 37 % 11, target(i));
        table(&format!("x,y\n{}", (0..40).map(line).collect::<String>()))
    };
    let kind = |table: &Table, settings: &[(&str, &str)]| {
        table
            .job(&["y"], settings)
            .map(|job| (job.model.outputs(), job.model.loss.to_string(), job.trained_on.class_names))
    };
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let few = rows(|i| [3, 10, 7][i % 3].to_string());
    let softmax = "softmax_cross_entropy".to_string();
    assert_eq!(kind(&few, &[]).unwrap(), (3, softmax.clone(), names(&["3", "7", "10"])));
    assert!(
        said(&few.job(&["y"], &[]).unwrap())
            .contains("y, 3 classes: 3 14, 7 13, 10 13 (numbers taken for classes; the loss mse")
    );
    assert_eq!(kind(&few, &[("model.loss", "mse")]).unwrap(), (1, "mse".into(), vec![]));
    let texts = rows(|i| ["dog", "cat"][i % 2].to_string());
    assert_eq!(kind(&texts, &[]).unwrap(), (2, softmax.clone(), names(&["cat", "dog"])));
    let binary = ("model.loss", "binary_cross_entropy");
    assert_eq!(kind(&texts, &[binary]).unwrap(), (1, "binary_cross_entropy".into(), names(&["cat", "dog"])));
    let booleans = rows(|i| (i % 2 == 0).to_string());
    assert_eq!(kind(&booleans, &[]).unwrap(), (2, softmax.clone(), names(&["false", "true"])));
    let many = rows(|i| i.to_string());
    assert_eq!(kind(&many, &[]).unwrap(), (1, "mse".into(), vec![]));
    assert_eq!(kind(&many, &[("model.loss", "softmax_cross_entropy")]).unwrap().0, 40);
    for (table, settings, problem) in [
        (&few, [("model.layers", "8:relu,5")], "the target has 3 classes, but the last layer gives 5"),
        (&texts, [("model.loss", "mse")], "line 2, column 2 (\"y\"): \"dog\" is text, but the loss takes numbers"),
        (&rows(|_| "a".into()), [NO_SPLIT], "has one value in all rows"),
        (
            &rows(|i| format!("{}.5", i)),
            [("model.loss", "softmax_cross_entropy")],
            "is 0.5 in row 0, which is no class",
        ),
        (
            &rows(|i| if i == 5 { "".into() } else { "a".into() }),
            [NO_SPLIT],
            "line 7, column 2 (\"y\"): the target is missing",
        ),
        (&rows(|i| format!("2024-01-{i:02}")), [NO_SPLIT], "\"y\" holds dates"),
    ] {
        let error = kind(table, &settings).unwrap_err();
        assert!(error.contains(problem), "no {problem} in: {error}");
    }
}

#[test]
fn several_targets_are_values_each_in_its_own_unit() {
    let text = "a,b,u,v\n1,2,10,0.1\n2,1,20,0.3\n3,5,60,0.2\n4,4,30,0.4\n";
    let job = table(text).job(&["v", "u"], &[NO_SPLIT]).unwrap();
    assert_eq!((job.model.outputs(), job.trained_on.features.join("")), (2, "ab".into()));
    let columns = job.trained_on.table.as_ref().unwrap();
    assert_eq!((columns.targets[0].name.as_str(), columns.targets[1].mean), ("v", 30.0));
    let Targets::Values { mut values, .. } = job.dataset.train.targets.clone() else { panic!("these are values") };
    columns.unscale(&mut values, 2);
    let given = [0.1, 10.0, 0.3, 20.0, 0.2, 60.0, 0.4, 30.0];
    assert!(
        values.iter().zip(given).all(|(value, given): (&f32, f32)| (value - given).abs() < 1e-5 * given),
        "{values:?}"
    );
    let bits = table("a,b,u,v\n1,2,0,1\n2,1,1,1\n3,5,0,0\n4,4,0,1\n");
    let job = bits.job(&["u", "v"], &[("model.loss", "binary_cross_entropy"), NO_SPLIT]).unwrap();
    assert!(said(&job).contains("target: u, 1 (yes) in 1 of 4 rows; v, 1 (yes) in 3 of 4 rows"), "{}", said(&job));
    let error = table(text).job(&["u", "v"], &[("model.loss", "softmax_cross_entropy")]).unwrap_err();
    assert!(error.contains("2 targets cannot be classes together"), "{error}");
    let error = table(text).job(&["w"], &[]).unwrap_err();
    assert!(error.contains("has no column \"w\"; it has a, b, u, v"), "{error}");
    let error = table(text).job(&[], &[]).unwrap_err();
    assert!(error.contains("--target COLUMN") && error.contains("it has a, b, u, v"), "{error}");
}

/// Twenty rows with gaps in a number and in a category.
fn gaps() -> Table {
    let row = |i: usize| {
        let size = if i % 5 == 2 { "NA".to_string() } else { (i * i).to_string() };
        let kind = if i % 7 == 3 { "?" } else { ["x", "y"][i % 2] };
        format!("{size},{i}.5,{kind},{}\n", ["no", "yes"][i / 4 % 2])
    };
    table(&format!("size,full,kind,label\n{}", (0..20).map(row).collect::<String>()))
}

#[test]
fn missing_values_are_refused_or_filled_from_the_training_part() {
    let gaps = gaps();
    let error = gaps.job(&["label"], &[]).unwrap_err();
    assert!(error.contains("line 4, column 1 (\"size\"): the value is missing (in 4 rows;"), "{error}");
    assert!(error.contains("--set data.missing=mean") && error.contains("data.drop = [\"size\"]"), "{error}");
    let of = |missing: &str| gaps.job(&["label"], &[("data.missing", missing), ("data.validation", "0.3")]).unwrap();
    for missing in ["mean", "median"] {
        let job = of(missing);
        assert_eq!(job.trained_on.features, ["size", "full", "kind=x", "kind=y"]);
        let fill = job.trained_on.table.as_ref().unwrap().features[0].fill.unwrap() as f32;
        let rows = features(&job);
        let squares: Vec<f32> = (0..20).map(|i| (i * i) as f32).collect();
        // The second feature tells which row it is.
        let (gaps, rest): (Vec<&[f32]>, Vec<&[f32]>) = rows.chunks(4).partition(|row| row[1] as usize % 5 == 2);
        assert!(!gaps.is_empty() && gaps.iter().all(|row| row[0] == fill), "{gaps:?}");
        let mut present: Vec<f32> = rest.iter().map(|row| row[0]).collect();
        assert!(rest.iter().all(|row| row[0] == squares[row[1] as usize]), "{rest:?}");
        present.sort_by(f32::total_cmp);
        let expected = match missing {
            "mean" => present.iter().sum::<f32>() / present.len() as f32,
            _ => 0.5 * (present[(present.len() - 1) / 2] + present[present.len() / 2]),
        };
        assert!((fill - expected).abs() < 1e-3, "{missing}: {fill}, expected {expected}");
        let whole =
            squares.iter().enumerate().filter(|(i, _)| i % 5 != 2).map(|(_, square)| square).sum::<f32>() / 16.0;
        assert!(missing == "median" || (fill - whole).abs() > 1e-3, "the mean of all rows was taken");
        let validation = job.dataset.validation.as_ref().unwrap();
        assert!((0..validation.features.storage.len()).all(|i| validation.features.storage.get(i).is_finite()));
        assert!(said(&job).contains("missing values: size 4, kind 3; a number becomes"), "{}", said(&job));
    }
    let job = of("indicator");
    assert_eq!(job.trained_on.features, ["size", "size missing", "full", "kind=x", "kind=y", "kind missing"]);
    let rows: Vec<f32> = features(&job);
    for row in rows.chunks(6) {
        assert_eq!(row[3] + row[4] + row[5], 1.0, "{row:?}");
    }
}

#[test]
fn what_is_no_feature_is_refused_with_the_remedy() {
    let line = |text: &str| table(&format!("a,b,y\n{text}"));
    let many: String = (0..30).map(|i| format!("{i},name {i},{}\n", ["u", "v"][i % 2])).collect();
    for (table, settings, problem) in [
        (
            line("1,2024-01-31,u\n2,2024-02-01,v\n"),
            NO_SPLIT,
            "\"b\" holds dates, which are neither numbers nor categories",
        ),
        (
            line("1,5,u\n2,x,v\n"),
            NO_SPLIT,
            "line 3, column 2 (\"b\"): \"x\" is text, but the column holds numbers (\"5\" in line 2",
        ),
        (line("1,x,u\n2,5,v\n"), NO_SPLIT, "line 2, column 2 (\"b\"): \"x\" is text, but the column holds numbers"),
        (line("1,\"1,000\",u\n2,5,v\n"), NO_SPLIT, "\"1,000\" is written with a comma; write a point"),
        (line("1,inf,u\n2,5,v\n"), NO_SPLIT, "line 2, column 2 (\"b\"): the value is inf"),
        (line(&many), NO_SPLIT, "\"b\" has 30; leave out what only names the examples (--set 'data.drop=[\"b\"]')"),
        (line("1,2,u\n2,5,v\n"), ("data.drop", "[\"a\",\"b\"]"), "no column is left to be a feature"),
        (line("1,2,u\n2,5,v\n"), ("data.features", "[\"a\",\"y\"]"), "data.features names \"y\", which is the target"),
        (line("1,2,u\n2,5,v\n"), ("data.features", "[\"c\"]"), "has no column \"c\"; it has a, b, y"),
        (
            line("1,2,u\n2,5,v\n"),
            ("data.features", "[\"a\",\"0\"]"),
            "data.features names \"a\", which is named there before",
        ),
        (line("1,2,u\n2,5,v\n"), ("data.drop", "[\"y\"]"), "data.drop names \"y\", which is the target"),
        (self::table("a,a,y\n1,2,u\n2,5,v\n"), NO_SPLIT, "columns 1 and 2 are both called \"a\""),
    ] {
        let error = table.job(&["y"], &[settings]).map(|_| ()).unwrap_err();
        assert!(error.contains(problem), "no {problem} in: {error}");
    }
    let twice = line("1,2,0.5\n2,5,1.5\n").job(&["y", "y"], &[NO_SPLIT]).map(|_| ()).unwrap_err();
    assert!(twice.contains("the target names \"y\", which is named there before; leave it out"), "{twice}");
    // What the recipe says is done.
    let job = line("1,5,u\n2,x,v\n3,5,u\n4,10,v\n").job(&["y"], &[("data.categorical", "[\"b\"]"), NO_SPLIT]).unwrap();
    assert_eq!(job.trained_on.features, ["a", "b=10", "b=5", "b=x"]);
    let job = line(&many).job(&["y"], &[("data.features", "[\"a\"]"), NO_SPLIT]).unwrap();
    assert_eq!(job.trained_on.features, ["a"]);
}

#[test]
fn other_tables_are_read_by_the_models_columns() {
    let job = table(&houses()).job(&["price"], &[NO_SPLIT, ("data.missing", "mean")]).unwrap();
    let known = &job.trained_on;
    let read = |text: &str| {
        let other = table(text);
        let source = Source::Table { table: other.path(), target: vec!["price".into()] };
        load(&source, &job.recipe.data, (&job.model, known)).map_err(|error| error.to_string())
    };
    // In another order, with a column more, a gap, and a level that is new.
    let text = "price,extra,garden,district,size\n217897.5,1,False,west,60\n150000,2,True,east,\n";
    let (examples, notes) = read(text).unwrap();
    let Storage::F32(values) = &examples.features.storage else { panic!("these are floats") };
    assert_eq!(values[..6], [60.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    let fill = known.table.as_ref().unwrap().features[0].fill.unwrap() as f32;
    assert_eq!(values[6..], [fill, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let Targets::Values { values, .. } = &examples.targets else { panic!("these are values") };
    assert!(values[0].abs() < 1e-6 && values[1] < -1.0, "{values:?}");
    let notes = notes.join("\n");
    assert!(notes.contains("columns that the model does not take: extra"), "{notes}");
    assert!(
        notes.contains("warning: district has levels that the training table had not, in 1 rows: \"east\""),
        "{notes}"
    );
    let error = read("price,size\n1,2\n").unwrap_err();
    assert!(error.contains("has no column \"district\", \"garden\", which the model was trained on"), "{error}");
    let error = read("price,size,district,garden\n1,big,west,True\n").unwrap_err();
    assert!(error.contains("line 2, column 2 (\"size\"): \"big\" is text"), "{error}");
    // Without the target there is something to predict.
    let unlabelled = table("size,garden,district\n60,True,west\n");
    let raw = RawTable::read(&unlabelled.path(), &[], &job.recipe.data, known).unwrap();
    assert!(!raw.is_labelled());
    let (features, _) = raw.features(job.model.input).unwrap();
    assert_eq!((features.count, features.storage.get(0)), (1, 60.0));
    assert_eq!(column_texts(&unlabelled.path(), None, "district").unwrap(), ["west"]);
}

#[test]
fn classes_of_other_tables_are_the_models() {
    let rows: String = (0..12).map(|i| format!("{},{}\n", i * i, ["b", "c", "a"][i % 3])).collect();
    let job = table(&format!("x,y\n{rows}")).job(&["y"], &[NO_SPLIT]).unwrap();
    let read = |text: &str| {
        let other = table(text);
        let source = Source::Table { table: other.path(), target: vec!["y".into()] };
        load(&source, &job.recipe.data, (&job.model, &job.trained_on)).map(|(examples, _)| examples.targets)
    };
    assert_eq!(read("y,x\nc,1\nc,2\n").unwrap(), Targets::Classes { labels: vec![2, 2], classes: 3 });
    let error = |text: &str| read(text).unwrap_err().to_string();
    for (text, says) in [
        ("y,x\nc,1\nd,2\n", "the target has \"d\", which the training table had not; it had a, b, c"),
        ("x\n1\n2\n", "has no column \"y\", which the model was trained on; it has x"),
        ("y,x\nc,one\n", "\"one\" is text, but the model was trained on numbers here; repair the cell"),
        ("y,x\nc,1\na,\n", "fill it in, or train with data.missing = \"mean\""),
    ] {
        assert!(error(text).contains(says), "{}", error(text));
    }
}

#[test]
fn classes_of_other_tables_are_known_by_what_they_say() {
    let rows: String = (0..12).map(|i| format!("{},{}\n", i * i, ["False", "True"][i % 2])).collect();
    let job = table(&format!("x,y\n{rows}")).job(&["y"], &[NO_SPLIT]).unwrap();
    for cells in ["False,True,True", "false,TRUE,true", "0,1,1", "0.0,1.0,1.0"] {
        let cells: Vec<&str> = cells.split(',').collect();
        let other = table(&format!("y,x\n{},1\n{},2\n{},3\n", cells[0], cells[1], cells[2]));
        let source = Source::Table { table: other.path(), target: vec!["y".into()] };
        let (examples, _) = load(&source, &job.recipe.data, (&job.model, &job.trained_on)).unwrap();
        assert_eq!(examples.targets, Targets::Classes { labels: vec![0, 1, 1], classes: 2 }, "{cells:?}");
    }
}

#[test]
fn levels_of_other_tables_are_known_by_what_they_say() {
    let rows: String = (0..12).map(|i| format!("{},{},{}\n", 1950 + i % 3, ["True", "False"][i % 2], i % 5)).collect();
    let settings = [NO_SPLIT, ("data.categorical", "[\"year\"]"), ("model.loss", "mse")];
    let job = table(&format!("year,garden,y\n{rows}")).job(&["y"], &settings).unwrap();
    let features = |text: &str| {
        let other = table(text);
        let raw = RawTable::read(&other.path(), &[], &job.recipe.data, &job.trained_on).unwrap();
        let (features, notes) = raw.features(job.model.input).unwrap();
        let Storage::F32(values) = &features.storage else { panic!("these are floats") };
        (values.to_vec(), notes.join("\n"))
    };
    let (spelled, _) = features("year,garden\n1950,True\n1952,False\n");
    for text in ["year,garden\n1950.0,1\n1952.0,0\n", "year,garden\n1.95e3,true\n1952,FALSE\n"] {
        let (values, notes) = features(text);
        assert_eq!(values, spelled, "{text}");
        assert!(!notes.contains("had not"), "{notes}");
    }
    assert!(features("year,garden\n1951.5,2\n").1.contains("year has levels that the training table had not"));
}

#[test]
fn numbers_that_single_precision_cannot_tell_apart_are_refused() {
    let rows = |offset: f64| -> String {
        (0..40).map(|i| format!("{},{}\n", offset + f64::from(i * 7 % 11), i * 5 % 13)).collect()
    };
    for (columns, target) in [("x,y", "the column \"x\""), ("y,x", "the target \"y\"")] {
        let error =
            table(&format!("{columns}\n{}", rows(1.7e9))).job(&["y"], &[NO_SPLIT, ("model.loss", "mse")]).unwrap_err();
        assert!(error.contains(target) && error.contains("subtract a number like 1700000000"), "{error}");
        // A constant that single precision does not have says as little in it.
        let constant: String = (0..40).map(|i| format!("0.1,16777217,{}\n", i * 5 % 13)).collect();
        table(&format!("a,b,y\n{constant}")).job(&["y"], &[NO_SPLIT, ("model.loss", "mse")]).unwrap();
        table(&format!("{columns}\n{}", rows(1e4))).job(&["y"], &[NO_SPLIT, ("model.loss", "mse")]).unwrap();
    }
}

#[test]
fn several_targets_of_yes_and_no_are_bits() {
    let rows: String = (0..12).map(|i| format!("{i},{},{}\n", i % 2, ["true", "false"][i % 2])).collect();
    let job = table(&format!("x,cat,dog\n{rows}")).job(&["cat", "dog"], &[NO_SPLIT]).unwrap();
    assert_eq!((job.recipe.model.loss, job.model.outputs()), (Loss::BinaryCrossEntropy, 2));
    let notes = job.notes.join("\n");
    assert!(notes.contains("target: cat, 1 (yes) in 6 of 12 rows; dog, 1 (yes) in 6 of 12 rows"), "{notes}");
}

#[test]
fn a_table_without_names_is_taken_by_numbers() {
    let rows: String = (0..8).map(|i| format!("{}.5,{},{}\n", i * i % 5, i * 3 % 7, ["u", "v"][i % 2])).collect();
    let plain = table(&rows);
    for target in ["#2", "2"] {
        let job = plain.job(&[target], &[NO_SPLIT]).unwrap();
        assert_eq!(
            (job.trained_on.features.join(" "), job.trained_on.class_names.len()),
            ("#0 #1".into(), 2),
            "{target}"
        );
        assert!(said(&job).contains("the first line is taken for an example"), "{}", said(&job));
    }
}

#[test]
fn held_out_shares_keep_the_classes_shares() {
    let rows: String =
        (0..100).map(|i| format!("{},{}\n", i * 31 % 17, if i % 10 == 4 { "rare" } else { "common" })).collect();
    let table = table(&format!("x,y\n{rows}"));
    let rare = |job: &Job| {
        let targets = job.dataset.validation.as_ref().unwrap().targets.classes().unwrap();
        targets.iter().filter(|class| **class == 1).count()
    };
    for seed in ["0", "1", "2", "3"] {
        let split = [("data.validation", "0.2"), ("seed", seed)];
        assert_eq!(rare(&table.job(&["y"], &split).unwrap()), 2, "seed {seed}");
    }
    let of = |seed| {
        rare(&table.job(&["y"], &[("data.validation", "0.2"), ("seed", seed), ("data.stratify", "false")]).unwrap())
    };
    assert!(
        ["0", "1", "2", "3", "4", "5"].into_iter().any(|seed| of(seed) != 2),
        "these are drawn without regard to classes"
    );
    let values = table.job(&["x"], &[("data.stratify", "true"), ("model.loss", "mse")]).unwrap_err();
    assert!(values.contains("data.stratify = true keeps the classes' shares, but the targets are values"), "{values}");
}

#[test]
fn a_model_keeps_what_tables_are_read_by() {
    let job = gaps().job(&["label"], &[("data.missing", "indicator")]).unwrap();
    let parameters = job.model.initialise(0);
    let Job { recipe, model, scaling, trained_on, .. } = job;
    let saved = SavedModel { recipe, model, scaling, trained_on, parameters };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    saved.save(&path).unwrap();
    let read = SavedModel::load(&path).unwrap();
    assert_eq!(read.trained_on, saved.trained_on);
    assert_eq!(read.trained_on.class_names, ["no", "yes"]);
    // Put together by hand it may be anything.
    let mut broken = saved.clone();
    let table = broken.trained_on.table.as_mut().unwrap();
    table.features[0].indicator = false;
    broken.save(&path).unwrap();
    let error = SavedModel::load(&path).unwrap_err().to_string();
    assert!(error.contains("has columns that make 5 features, expected 6"), "{error}");
    let mut broken = saved;
    broken.trained_on.class_names.push("more".into());
    broken.save(&path).unwrap();
    let error = SavedModel::load(&path).unwrap_err().to_string();
    assert!(error.contains("names 3 classes, expected 2"), "{error}");
}

#[test]
fn the_suggested_recipe_is_read_back_with_its_comments() {
    let houses = table(&houses());
    let target = ["price".to_string()];
    let wanted = Wanted { train: &houses.path(), target: &target, test: Some("other.csv"), overrides: &[] };
    let text = recipe(&wanted).unwrap();
    assert!(text.text.starts_with("# 12 rows, separated by commas"), "{}", text.text);
    let read = Recipe::parse(&text.text, "houses.csv", &[]).unwrap();
    let source = |path: &str| Source::Table { table: path.into(), target: target.to_vec() };
    assert_eq!(read.data.train, Some(source(&houses.path())));
    assert_eq!(read.data.test, Holdout::Files(source("other.csv")));
    assert_eq!((read.name.as_str(), read.model.layers.len()), ("houses", 3));
    // A name that would end the comment or command a terminal stays in it.
    let odd = table("a\u{1b}[31m,y\n1,u\n2,v\n");
    let wanted = Wanted { train: &odd.path(), target: &["y".to_string()], test: None, overrides: &[] };
    let text = recipe(&wanted).unwrap().text;
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn features_that_are_bits_stay_bits_under_every_scale() {
    let job = |scale: &str| table(&houses()).job(&["price"], &[NO_SPLIT, ("data.scale", scale)]).unwrap();
    let standard = job("standard");
    let plain = Scaling::fit(standard.recipe.data.scale, &standard.dataset.train.features);
    assert_eq!(standard.scaling.subtract[0], plain.subtract[0]);
    assert_ne!(standard.scaling.divide[1], plain.divide[1]);
    assert_eq!(job("none").scaling.divide, [1.0]);
    let kind = TargetKind::for_model(&standard.model);
    assert_eq!(kind, TargetKind::Values { outputs: 1 });
    assert_eq!(TrainedOn::default().class(3), "3");
}
