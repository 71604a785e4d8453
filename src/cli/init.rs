//! `init` and `recipes`: recipes to begin with.

use super::recipe_args::settings;
use super::table::table;
use super::{CliError, Context};
use clap::Args;
use gputrain::recipe::{Recipe, RecipeText, builtin_names};
use gputrain::suggest::{self, Wanted};
use serde_json::json;

/// Looks at data and writes a commented recipe that suits it
///
/// It is what `train --train PATH` trains with. Examples:
///
///   gputrain init house.csv --target price > my.toml
///   gputrain train my.toml
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct InitArgs {
    /// A folder of pictures, a table, which may be one of pictures, or a file of arrays such as x_train and y_train
    #[arg(value_name = "PATH")]
    path: String,
    /// A column of the table that is to be predicted; may be given several times
    #[arg(long, value_name = "COLUMN")]
    target: Vec<String>,
    /// A setting of how the data is read, as in --set data.missing=mean
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Another folder or table, to measure the trained network on
    #[arg(long, value_name = "PATH")]
    test: Option<String>,
}

pub fn run(args: &InitArgs, context: &Context) -> Result<(), CliError> {
    let overrides = settings(&args.set)?;
    let (target, test) = (&args.target, args.test.as_deref());
    let text = suggest::recipe(&Wanted { train: &args.path, target, test, overrides: &overrides })?;
    if text.parse(&overrides)? != text.parse(&[])? {
        return Err(CliError::Usage(format!(
            "--set {}: init takes settings of how the data is read (data.drop, data.missing, …); change others in the recipe",
            args.set.join(" --set ")
        )));
    }
    let text = text.text;
    context.emit(&json!({ "recipe": text }));
    if !context.global.json {
        context.print(text.trim_end());
    }
    Ok(())
}

/// Lists the recipes that come with the program, or prints one
///
/// Example:
///
///   gputrain recipes mnist-99 > my.toml
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct RecipesArgs {
    /// The recipe to print
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn recipes(args: &RecipesArgs, context: &Context) -> Result<(), CliError> {
    match &args.name {
        None => list(context),
        Some(name) => {
            let text = RecipeText::find(name)?.text;
            context.emit(&json!({ "name": name, "recipe": text }));
            if !context.global.json {
                context.print(text.trim_end());
            }
        }
    }
    Ok(())
}

fn list(context: &Context) {
    let mut rows = Vec::new();
    for name in builtin_names() {
        let about = about(Recipe::builtin(name).unwrap_or_default());
        context.emit(&json!({ "name": name, "about": about }));
        rows.push(vec![name.to_string(), about]);
    }
    context.say(table(&["recipe", "about"], &rows));
    context.say(
        "\ngputrain train NAME --data DIR trains one, gputrain inspect NAME shows its network, \
                 gputrain recipes NAME its text",
    );
}

/// The first sentence of a recipe's comment.
fn about(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join(" ");
    // A point between digits, or in a name, ends no sentence.
    comment.split_once(". ").map_or(comment.trim_end_matches('.'), |(first, _)| first).to_string()
}
