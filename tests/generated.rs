//! Manual pages and completions follow from the command lines. `scripts/generate` writes them.

use std::collections::BTreeMap;
use std::fs;

use clap::Command;
use clap_complete::Shell;

use crate::support::world::project;

fn commands() -> [Command; 5] {
    use clap::CommandFactory;
    [
        dd_inspect::cli::Args::command(),
        dd_extract::cli::Args::command(),
        dd_diff::cli::Args::command(),
        dd_pack::cli::Args::command(),
        dd_apply::cli::Args::command(),
    ]
}

/// Every generated file, by its path in the project.
fn generated() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for command in commands() {
        let name = command.get_name().to_owned();
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut page).expect("a page");
        files.insert(format!("docs/man/{name}.1"), page);
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command.clone(), &name, &mut script);
            let file = match shell {
                Shell::Bash => format!("{name}.bash"),
                Shell::Zsh => format!("_{name}"),
                _ => format!("{name}.fish"),
            };
            files.insert(format!("completions/{file}"), script);
        }
    }
    files
}

#[test]
fn pages_and_completions_are_current() {
    for (path, wanted) in generated() {
        let file = project().join(&path);
        if std::env::var_os("DD_GENERATE").is_some() {
            fs::create_dir_all(file.parent().expect("a directory")).expect("directories");
            fs::write(&file, &wanted).expect("written");
        }
        let current = fs::read(&file).unwrap_or_default();
        assert!(current == wanted, "{path} is out of date: run scripts/generate");
    }
}
