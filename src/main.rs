//! `tillgate`: see [`tillgate::cli`].

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    tillgate::faults::arm();
    match tillgate::cli::run(tillgate::cli::Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tillgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}
