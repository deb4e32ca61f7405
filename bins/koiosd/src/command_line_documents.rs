//! What is made of the command line: completions for shells, and manual pages.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::command_line::Arguments;

/// Prints what a shell needs to complete the command line.
///
/// # Errors
///
/// When standard output cannot be written.
pub fn print_completions(shell: Shell) -> io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "koiosd", &mut text);
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}

/// Writes `koiosd.1` and a page for each command into a folder, which is made when it is not there.
///
/// # Errors
///
/// When a page cannot be written.
pub fn write_manual_pages(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    write_page(folder, "koiosd", &command)
}

fn write_page(folder: &Path, name: &str, command: &Command) -> io::Result<()> {
    // Leaked by clap's builder, which takes names that live for ever; once per page.
    let page_name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let page = Man::new(command.clone().name(page_name)).manual("Koios");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(folder.join(format!("{name}.1")), text)?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_page(folder, &format!("{name}-{}", below.get_name()), below)?;
    }
    Ok(())
}
