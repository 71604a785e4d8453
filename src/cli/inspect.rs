//! `inspect`: what is in a recipe, a model or a data file.

use super::inspect_augment::draw;
use super::inspect_model as of_model;
use super::inspect_plan::say_plan;
use super::recipe_args::settings;
use super::table::table;
use super::{CliError, Context, FusionArgs};
use clap::Args;
use gputrain::data::{self, ArrayInfo, ColumnInfo, Loading, PictureFolder, PictureSets, Problem};
use gputrain::export::{SavedModel, parameter_hash};
use gputrain::job::Job;
use gputrain::model::Model;
use gputrain::place::{self, Place};
use gputrain::recipe::{Batch, Broken, DataSpec, Recipe, RecipeText, Scale};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Shows what is in a file
///
/// Of a recipe (a file or the name of a bundled one) or a model (.safetensors or the folder of a run): the table of
/// layers with output shapes and parameter counts; of a model its columns, levels and classes, too. Of a data file: arrays with
/// shapes, types, ranges and classes; of a table with texts or gaps its columns. Of a folder or a table of pictures: classes with
/// their counts, sizes, and the pictures that cannot be read.
#[derive(Debug, Clone, Default, Args)]
pub struct InspectArgs {
    /// A recipe, a model, the folder of a run, a data file, or a folder of pictures
    #[arg(value_name = "FILE")]
    file: String,
    /// Also lists every launch of the training plan with its kernel, grid and work, and the memory by role
    #[arg(long)]
    plan: bool,
    /// Draws some training images of a recipe as they are and as its augmentation shows them in the first epochs
    #[arg(long, requires = "out", conflicts_with = "plan")]
    augment: bool,
    /// With --plan: writes plan.json and plan.bin into this folder, which hold all that a replay needs to know but the data.
    /// With --augment: the .png file to draw
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Overrides a key of a recipe, as in --set train.batch=64
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder in which the recipe's data files are looked for
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    fusion: FusionArgs,
}

pub fn run(args: &InspectArgs, context: &Context) -> Result<(), CliError> {
    if args.out.is_some() && !args.plan && !args.augment {
        return Err(CliError::Usage("--out goes with --plan or --augment".into()));
    }
    let path = Path::new(&args.file);
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let is_recipe = || extension == "toml" || !path.is_file() && !args.file.contains(['.', '#', '/', '\\']);
    if place::is_cifar(path) {
        return inspect_arrays(args, context);
    }
    if path.is_dir() && !path.join("model.safetensors").exists() && !path.join("recipe.toml").exists() {
        return inspect_pictures(args, path, context);
    }
    if path.is_file() && data::is_picture_table(path)? {
        return inspect_pictures(args, path, context);
    }
    if path.is_dir() || extension == "safetensors" {
        return inspect_model(args, path, context);
    }
    if is_recipe() {
        return if args.augment { inspect_augment(args, context) } else { inspect_recipe(args, context) };
    }
    inspect_arrays(args, context)
}

fn inspect_arrays(args: &InspectArgs, context: &Context) -> Result<(), CliError> {
    if args.plan || !args.set.is_empty() {
        return Err(CliError::Usage(format!("{}: --plan and --set are for recipes and models", args.file)));
    }
    refuse_augment(args)?;
    inspect_data(&args.file, context)
}

fn refuse_augment(args: &InspectArgs) -> Result<(), CliError> {
    if args.augment {
        return Err(CliError::Usage(format!("{}: --augment draws what a recipe's [augment] does", args.file)));
    }
    Ok(())
}

fn inspect_augment(args: &InspectArgs, context: &Context) -> Result<(), CliError> {
    let text = RecipeText::find(&args.file)?;
    let mut recipe = text.parse(&settings(&args.set)?)?;
    recipe.prefer_data(args.data.as_deref(), text.path.as_deref());
    let job = ready(recipe, args.data.as_deref())?;
    draw(&job, args.out.as_deref().unwrap_or(Path::new("")), context)
}

fn inspect_model(args: &InspectArgs, path: &Path, context: &Context) -> Result<(), CliError> {
    refuse_augment(args)?;
    if !args.set.is_empty() {
        return Err(CliError::Usage("--set changes a recipe, but this is a trained model".into()));
    }
    let saved = SavedModel::load(path)?;
    let hash = parameter_hash(&saved.parameters);
    context.say(format!("model {}, trained with seed {}", saved.recipe.name, saved.recipe.seed));
    context.say(saved.model.summary().to_string().trim_end());
    let scaling = &saved.scaling;
    let features = match scaling.divide.len() {
        1 => format!("(x - {}) / {} + {}", scaling.subtract[0], scaling.divide[0], scaling.add),
        n => format!("each of {n} features by its own mean and deviation"),
    };
    context.say(format!("inputs are scaled: {features}"));
    of_model::in_words(&saved).iter().for_each(|line| context.say(line));
    context.say(format!("parameters' hash: {hash}"));
    let plan = args.plan.then(|| plan(args, saved.recipe.clone(), Some(&saved.parameters), context)).transpose()?;
    context.emit(&json!({
        "kind": "model",
        "name": saved.recipe.name,
        "seed": saved.recipe.seed,
        "loss": saved.model.loss.to_string(),
        "model": saved.model.summary(),
        "parameter_hash": hash,
        "data": of_model::in_json(&saved.trained_on),
        "memory": plan,
    }));
    Ok(())
}

fn inspect_recipe(args: &InspectArgs, context: &Context) -> Result<(), CliError> {
    let text = RecipeText::find(&args.file)?;
    let overrides = settings(&args.set)?;
    let mut recipe = text.parse(&overrides)?;
    recipe.prefer_data(args.data.as_deref(), text.path.as_deref());
    let variations = match &recipe.sweep {
        Some(sweep) => sweep.expand(&text, &overrides)?,
        None => vec![(Vec::new(), recipe.clone())],
    };
    let runs = variations.len();
    let mut models: Vec<(Recipe, Model)> = Vec::new();
    for (_, variation) in variations {
        if !models.iter().any(|(known, _)| known.model == variation.model) {
            let model = build(&variation, args.data.as_deref())?;
            models.push((variation.clone(), model));
        }
        if let Some((_, model)) = models.iter().find(|(known, _)| known.model == variation.model) {
            check_augment(&variation, model)?;
        }
    }
    let train = &recipe.train;
    context.say(format!("recipe {}: seed {}, {} epochs", recipe.name, recipe.seed, train.epochs));
    if runs > 1 {
        context.say(format!("sweep: {runs} runs, {} different networks", models.len()));
    }
    for (of, model) in &models {
        context.say(format!("\n{}: loss {}", of.name, model.loss_words()));
        context.say(model.summary().to_string().trim_end());
    }
    let first = models.first().map(|(first, _)| first.clone());
    let plan = match first.filter(|_| args.plan) {
        Some(first) => Some(plan(args, first, None, context)?),
        None => None,
    };
    let summaries: Vec<_> = models.iter().map(|(_, model)| model.summary()).collect();
    context.emit(&json!({
        "kind": "recipe",
        "name": recipe.name,
        "seed": recipe.seed,
        "runs": runs,
        "model": summaries.first(),
        "models": if summaries.len() > 1 { json!(summaries) } else { Value::Null },
        "memory": plan,
    }));
    Ok(())
}

/// Refuses an `[augment]` that training would refuse.
fn check_augment(recipe: &Recipe, model: &Model) -> Result<(), CliError> {
    let by_feature = recipe.data.scale == Scale::Standard && model.input.len() > 1;
    let batch = match recipe.train.batch {
        Batch::Size(size) => size,
        Batch::Full => usize::MAX,
    };
    let mixup = recipe.augment.check_mixup(model.takes_levels(), batch);
    mixup.and(recipe.augment.params(model.input, by_feature).map(drop)).map_err(CliError::Usage)
}

/// The recipe's network. Its data is only read where the recipe leaves the input's shape to it.
fn build(recipe: &Recipe, data: Option<&Path>) -> Result<Model, CliError> {
    match Model::of(recipe, None) {
        Err(_) if recipe.model.leaves_to_data() => Ok(ready(recipe.clone(), data)?.model),
        other => Ok(other?),
    }
}

fn ready(mut recipe: Recipe, data: Option<&Path>) -> Result<Job, CliError> {
    recipe.resolve_data(data)?;
    Ok(Job::load(recipe)?)
}

/// Prints the plan of training with the recipe, from these weights or its initial ones; gives the memory by role.
fn plan(
    args: &InspectArgs,
    recipe: Recipe,
    weights: Option<&[Vec<f32>]>,
    context: &Context,
) -> Result<Value, CliError> {
    let job = ready(recipe, args.data.as_deref())?;
    let weights = match weights {
        Some(weights) => weights.to_vec(),
        None => job.initial()?.parameters,
    };
    say_plan(&job, weights, args.fusion.fusion(), args.out.as_deref(), context)
}

/// Classes with their pictures, sizes, and what cannot be read, of every set of a folder.
fn inspect_pictures(args: &InspectArgs, folder: &Path, context: &Context) -> Result<(), CliError> {
    refuse_augment(args)?;
    if args.plan || !args.set.is_empty() {
        return Err(CliError::Usage(format!("{}: --plan and --set are for recipes and models", args.file)));
    }
    let sets = match if folder.is_dir() { data::picture_sets(folder)? } else { None } {
        Some(PictureSets { train, validation, test }) => {
            [Some(train), validation, test].into_iter().flatten().collect()
        }
        None => vec![folder.to_path_buf()],
    };
    let count = sets.len();
    for set in sets {
        let spec = DataSpec { broken: Broken::Skip, ..DataSpec::default() };
        let loading = Loading::of(&spec, None);
        let looked = match set.is_dir() {
            true => PictureFolder::inspect(&set, &loading)?,
            false => PictureFolder::inspect_table(&set, "", &loading)?,
        };
        let PictureFolder { classes, counts, form, notes } = looked;
        let total: usize = counts.iter().sum();
        context.say(format!("{}: {total} pictures of {} classes", set.display(), classes.len()));
        let rows: Vec<Vec<String>> =
            classes.iter().zip(&counts).map(|(name, count)| vec![name.clone(), count.to_string()]).collect();
        context.say(table(&["class", "pictures"], &rows));
        notes.iter().for_each(|note| context.say(note));
        context.emit(&json!({
            "folder": set,
            "classes": classes,
            "counts": counts,
            "size": [form.height, form.width],
            "channels": form.channels,
        }));
    }
    context.emit(&json!({ "kind": "pictures", "folder": folder, "sets": count }));
    Ok(())
}

/// Columns of a table with their kinds, ranges or levels, and gaps.
fn inspect_table(file: &str, context: &Context) -> Result<(), CliError> {
    /// Levels that are listed.
    const SHOWN: usize = 6;
    let (columns, read) = data::describe_columns(file)?;
    let row = |column: &ColumnInfo| {
        let values = match (&column.range, &column.levels[..]) {
            (Some([low, high]), _) => format!("{low} to {high}"),
            (None, []) => String::new(),
            (None, levels) => {
                let more = if levels.len() > SHOWN { ", …" } else { "" };
                format!("{} levels: {}{more}", levels.len(), levels[..levels.len().min(SHOWN)].join(", "))
            }
        };
        vec![column.name.clone(), column.kind.clone(), values, column.missing.to_string()]
    };
    context.say(format!("{file}: {read}"));
    context.say(table(&["column", "holds", "values", "missing"], &columns.iter().map(row).collect::<Vec<_>>()));
    for ColumnInfo { name, kind, range, levels, missing } in &columns {
        let [min, max] = range.map_or([None; 2], |range| range.map(Some));
        let levels = (!levels.is_empty()).then_some(levels);
        context.emit(&json!({
            "column": name,
            "holds": kind,
            "min": min,
            "max": max,
            "levels": levels,
            "missing": missing,
        }));
    }
    context.emit(&json!({ "kind": "table", "file": file, "columns": columns.len() }));
    Ok(())
}

fn inspect_data(file: &str, context: &Context) -> Result<(), CliError> {
    let arrays = match data::describe(file) {
        // A table of nothing but numbers is an array; any other has columns.
        Err(error) if Place::parse(file).key.is_none() && is_of_cells(&error.problem) => {
            return inspect_table(file, context);
        }
        other => other?,
    };
    let unusable = |(name, problem): &(String, Problem)| {
        vec![name.clone(), String::new(), String::new(), String::new(), problem.to_string()]
    };
    let rows: Vec<Vec<String>> = arrays.iter().map(|array| array.as_ref().map_or_else(unusable, row)).collect();
    context.say(table(&["array", "shape", "type", "range", ""], &rows));
    data::reading_notes(file)?.iter().for_each(|note| context.say(note));
    for array in &arrays {
        let array = match array {
            Ok(array) => array,
            Err((name, problem)) => {
                context.emit(&json!({ "array": name, "unusable": problem.to_string() }));
                continue;
            }
        };
        if let Some(classes) = &array.classes {
            let counts = classes.iter().map(|(class, count)| format!("{class}: {count}"));
            let shown: Vec<String> = counts.take(20).collect();
            let rest = classes.len().saturating_sub(shown.len());
            let rest = if rest > 0 { format!(", and {rest} more") } else { String::new() };
            context.say(format!("\nexamples by class in {}: {}{rest}", array.name, shown.join(", ")));
        }
        context.emit(&json!({
            "array": array.name,
            "shape": array.shape,
            "dtype": array.dtype.name(),
            "min": array.min,
            "max": array.max,
            "not_finite": array.not_finite,
            "classes": array.classes.as_ref().map(|classes| classes.iter().map(|(class, _)| class).collect::<Vec<_>>()),
            "counts": array.classes.as_ref().map(|classes| classes.iter().map(|(_, n)| n).collect::<Vec<_>>()),
        }));
    }
    context.emit(&json!({ "kind": "data", "file": file, "arrays": arrays.len() }));
    Ok(())
}

/// Whether a table cannot be an array because of what its cells hold.
fn is_of_cells(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Cell { .. } | Problem::ColumnCell { .. } | Problem::ColumnType { .. } | Problem::Dates { .. }
    )
}

fn row(array: &ArrayInfo) -> Vec<String> {
    let shape = array.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let range = match (array.min, array.max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        _ => "no number".to_string(),
    };
    let mut remark = array.classes.as_ref().map_or(String::new(), |classes| format!("{} classes", classes.len()));
    if array.not_finite > 0 {
        remark = format!("{} values are not finite", array.not_finite);
    }
    vec![array.name.clone(), shape, array.dtype.name().to_string(), range, remark]
}
