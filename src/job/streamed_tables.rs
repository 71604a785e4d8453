//! Tables whose values and rows lie in files train as those in memory do, whatever their form.

use super::Job;
use crate::backend::cpu::CpuBackend;
use crate::data::{RawTable, TargetKind, column_texts, with_large_from};
use crate::export::parameter_hash;
use crate::recipe::Recipe;
use crate::train::Silent;

const FORMS: [&str; 4] = ["homes.csv", "homes.csv.gz", "homes.parquet", "homes.arrow"];

/// What is predicted, the settings of the data, and the layers.
const CASES: [(&str, &str, &str); 6] = [
    ("[\"sold\"]", "missing = \"mean\"\nclass_weights = \"balanced\"\ndrop = [\"weight\"]", "{ dense = 2 }"),
    ("[\"sold\"]", "missing = \"mean\"\nseed = 3\ntest = 50\nexamples = 300", "{ embedding = 3 }, { dense = 2 }"),
    ("[\"sold\"]", "missing = \"indicator\"\ntest = 0.2\nstratify = false", "{ dense = 5 }, { dense = 2 }"),
    ("[\"price\", \"rent\"]", "missing = \"median\"\nsample_weights = \"weight\"", "{ dense = 6 }, { dense = 2 }"),
    ("[\"rent\"]", "missing = \"median\"\ndrop = [\"price\"]\ncategorical = [\"count\"]", "{ dense = 1 }"),
    ("[\"count\"]", "features = [\"colour\", \"price\"]\nclass_weights = [1, 2, 1, 0.5, 1]", "{ dense = 5 }"),
];

fn table(form: &str) -> String {
    format!("{}/tests/fixtures/tables/{form}", env!("CARGO_MANIFEST_DIR"))
}

fn job(form: &str, (target, data, layers): (&str, &str, &str)) -> Job {
    let train = format!("train = {{ table = {:?}, target = {target} }}", table(form));
    let loss = if target.contains("sold") || target.contains("count") { "softmax_cross_entropy" } else { "mse" };
    let text = format!(
        "[data]\n{train}\nvalidation = 0.1\n{data}\n[model]\nlayers = [{layers}]\nloss = \"{loss}\"\n[train]\nepochs = 2\nbatch = 32\n"
    );
    Job::load(Recipe::parse(&text, form, &[]).unwrap()).unwrap_or_else(|error| panic!("{form}, {data}: {error}"))
}

/// The hash of the parameters that a job trains.
fn trained(job: &Job) -> String {
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    trainer.train(&mut Silent).unwrap();
    parameter_hash(&trainer.finish().unwrap()[0].parameters)
}

/// The forms that this program reads.
fn forms() -> impl Iterator<Item = &'static str> {
    FORMS.into_iter().filter(|form| cfg!(feature = "parquet") || form.contains(".csv"))
}

#[test]
fn tables_in_files_train_to_the_bits_of_those_in_memory() {
    for case in CASES {
        let mut hashes = Vec::new();
        for form in forms() {
            let here = job(form, case);
            let there = with_large_from(1, || job(form, case));
            let are_mapped = |job: &Job| {
                let sets = [Some(&job.dataset.train), job.dataset.validation.as_ref(), job.dataset.test.as_ref()];
                sets.into_iter().flatten().map(|set| set.features.storage.is_mapped()).collect::<Vec<bool>>()
            };
            assert!(are_mapped(&here).iter().all(|is_mapped| !is_mapped), "{form}");
            assert!(are_mapped(&there).iter().all(|is_mapped| *is_mapped), "{form}");
            assert_eq!(here.dataset, there.dataset, "{form}, {}", case.1);
            assert_eq!(here.trained_on, there.trained_on, "{form}, {}", case.1);
            assert_eq!(here.scaling, there.scaling, "{form}, {}", case.1);
            assert_eq!(here.described(), there.described(), "{form}, {}", case.1);
            hashes.extend([trained(&here), trained(&there)]);
        }
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{}: {hashes:?}", case.1);
    }
}

#[test]
fn tables_in_files_are_read_by_a_model_as_those_in_memory() {
    for case in [CASES[1], CASES[2], CASES[3]] {
        let known = job("homes.csv", case);
        for form in forms() {
            let read = || {
                let data = &known.recipe.data;
                let raw = RawTable::read(&table(form), &[], data, &known.trained_on).unwrap();
                let (examples, ..) = raw.fit(known.model.input, TargetKind::for_model(&known.model), None).unwrap();
                let raw = RawTable::read(&table(form), &[], data, &known.trained_on).unwrap();
                let (features, notes) = raw.features(known.model.input).unwrap();
                let ids = column_texts(&table(form), None, "id").unwrap();
                (examples, features, notes, ids)
            };
            let (here, there) = (read(), with_large_from(1, read));
            assert!(there.1.storage.is_mapped() && !here.1.storage.is_mapped());
            assert_eq!(here, there, "{form}, {}", case.1);
            assert_eq!((here.0.features, here.3.len()), (here.1, 600));
        }
    }
}
