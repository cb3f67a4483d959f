//! `trailseal`: the command line. Parses, wires adapters to the crates that do the work,
//! prints, and exits with the codes of the contract. Knows no format and no cryptography.

mod args;
mod backend;
mod command;
mod config;
mod error;
mod output;
mod progress;
mod render;
mod stream;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use error::CliError;

fn main() -> ExitCode {
    let args = Args::parse();
    output::set_up(&args.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            output::error(&format!("cannot start: {e}"));
            return ExitCode::from(2);
        }
    };
    let result = runtime.block_on(run(&args));
    // Blocking reads of standard input cannot be cancelled; waiting for one would hang the exit.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(CliError::ClosedPipe) => ExitCode::SUCCESS,
        Err(e) => {
            output::error(&e.to_string());
            ExitCode::from(e.exit_code())
        }
    }
}

async fn run(args: &Args) -> Result<u8, CliError> {
    let global = &args.global;
    match &args.command {
        Command::Demo(options) => command::demo::run(global, options).await,
        Command::Deliver(options) => command::deliver::run(global, options).await,
        Command::Check(options) => command::check::run(global, options).await,
        Command::Verify(options) => command::verify::run(global, options).await,
        Command::Diff(options) => command::report::diff(options),
        Command::Report(options) => command::report::run(&options.action),
        Command::Status(options) => command::status::run(global, options).await,
        Command::Explain(options) => command::explain::run(global, options).await,
        Command::Mirror(options) => command::mirror::run(global, options).await,
        Command::Keys(options) => command::keys::run(global, options).await,
        Command::Completions { shell } => command::meta::completions(*shell),
        Command::Man => command::meta::man(),
    }
}
