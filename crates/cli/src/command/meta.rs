//! `completions` and `man`.

use clap::CommandFactory as _;

use crate::args::Args;
use crate::error::CliError;
use crate::output;

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "trailseal", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

/// One page: the program, then every command.
pub(crate) fn man() -> Result<u8, CliError> {
    let mut text = Vec::new();
    let failed = |e| CliError::file("cannot render", std::path::Path::new("the manual page"), e);
    let mut command = Args::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut text).map_err(failed)?;
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let page = clap_mangen::Man::new(sub.clone());
        page.render_name_section(&mut text).map_err(failed)?;
        page.render_synopsis_section(&mut text).map_err(failed)?;
        page.render_options_section(&mut text).map_err(failed)?;
    }
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
