//! `completions` and `man`: what shells and readers know of the command line, written from its own declaration.

use super::{Cli, CliError, Context};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

/// Prints a script that completes commands and options in a shell
///
/// Examples:
///
///   gputrain completions bash > ~/.local/share/bash-completion/completions/gputrain
///   gputrain completions zsh > ~/.zfunc/_gputrain
///   gputrain completions fish > ~/.config/fish/completions/gputrain.fish
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the manual page, with every command and option
///
/// Read it at once, or install it:
///
///   gputrain man | man -l -
///   gputrain man > ~/.local/share/man/man1/gputrain.1
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct ManArgs {}

pub fn completions(args: &CompletionsArgs, context: &Context) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gputrain", &mut script);
    context.print(String::from_utf8_lossy(&script).trim_end());
}

pub fn man(context: &Context) -> Result<(), CliError> {
    let page = page().map_err(|error| CliError::Failed(format!("the manual page cannot be written: {error}")))?;
    context.print(page.trim_end());
    Ok(())
}

/// The page in roff: the program, then a section for each command.
fn page() -> std::io::Result<String> {
    let command = Cli::command();
    let mut page = Vec::new();
    // `gputrain help COMMAND` says what the sections do.
    Man::new(command.clone().disable_help_subcommand(true)).render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    for command in command.get_subcommands() {
        // It has a section here, and no page of its own.
        let (name, refers) = (command.get_name(), format!("gputrain\\-{}(1)", command.get_name()));
        page = page.replace(&refers, &format!("gputrain {name}"));
        append(&mut page, command, "gputrain")?;
    }
    Ok(page)
}

/// Adds the section of a command, and those of its own commands.
fn append(page: &mut String, command: &Command, above: &str) -> std::io::Result<()> {
    let name = format!("{above} {}", command.get_name());
    let man = Man::new(command.clone().bin_name(&name));
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    man.render_description_section(&mut section)?;
    man.render_options_section(&mut section)?;
    // The sections of a page of its own are parts of one section here.
    let section = String::from_utf8_lossy(&section).replace(".SH ", ".SS ");
    page.push_str(&format!(".SH \"{}\"\n{section}", name.to_uppercase()));
    command.get_subcommands().try_for_each(|command| append(page, command, &name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command below one, with its long options.
    fn each(command: &Command, found: &mut Vec<(String, Vec<String>)>) {
        for command in command.get_subcommands() {
            let long = command.get_arguments().filter(|argument| !argument.is_hide_set());
            let long = long.filter_map(|argument| argument.get_long().map(String::from)).collect();
            found.push((command.get_name().into(), long));
            each(command, found);
        }
    }

    #[test]
    fn the_manual_has_every_command_and_long_option() {
        let page = page().unwrap();
        let (mut commands, cli) = (Vec::new(), Cli::command());
        each(&cli, &mut commands);
        assert!(commands.iter().any(|(name, long)| name == "train" && long.contains(&"resume".into())));
        for (name, long) in commands {
            let heading = format!("{}\"\n", name.to_uppercase());
            let at = page.find(&heading).unwrap_or_else(|| panic!("no section of {name}"));
            let section = page[at + heading.len()..].split(".SH ").next().unwrap();
            for option in long {
                // roff reads a hyphen after a backslash as a minus.
                let written = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(section.contains(&written), "{name}: no --{option}");
            }
        }
        for option in ["backend", "device", "json", "quiet", "verbose"] {
            assert!(page.split(".SH \"GPUTRAIN TRAIN\"").next().unwrap().contains(&format!("\\-\\-{option}")));
        }
        let refers = page.lines().find(|line| line.starts_with("gputrain\\-") && line.ends_with("(1)"));
        assert_eq!(refers, None, "a page that there is not");
        assert!(page.contains(".TH gputrain 1"), "{}", &page[..200]);
    }

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "gputrain", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            assert!(script.contains("side-by-side"), "{shell}");
        }
    }
}
