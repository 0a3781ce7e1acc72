//! Manual pages and completions follow from the command lines. `scripts/generate` writes them.

use std::collections::BTreeMap;
use std::fs;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};

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

/// Variables that all programs heed, beside those of the helper programs.
const VARIABLES: [(&str, &str); 2] = [
    ("DD_STORE", "The store, where neither --store nor the stage before names one."),
    ("XDG_CACHE_HOME", "Has the store in docker-delta, where nothing else names one."),
];

/// The manual page: clap's sections, and those of the text at the end of `--help`, whose titles stand before a colon.
fn page(command: &Command) -> Vec<u8> {
    let mut command = command.clone();
    let name = command.get_name().to_owned();
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page).expect("a title");
    man.render_name_section(&mut page).expect("a name");
    let mut more = Roff::new();
    let usage = command.render_usage().to_string();
    let usage =
        usage.strip_prefix("Usage: ").expect("a usage").strip_prefix(&name).expect("the name");
    more.control("SH", ["SYNOPSIS"]).text([bold(&name), roman(usage)]);
    more.to_writer(&mut page).expect("sections");
    man.render_description_section(&mut page).expect("a description");
    man.render_options_section(&mut page).expect("options");
    let mut more = Roff::new();
    let after = command.get_after_help().expect("examples and exit codes").to_string();
    for part in after.split("\n\n") {
        let (title, text) = part.split_once(':').expect("a title");
        if title == "Exit codes" {
            more.control("SH", ["EXIT STATUS"]);
            for (code, meaning) in text.split(';').filter_map(|one| one.trim().split_once(' ')) {
                more.control("TP", [])
                    .text([bold(code)])
                    .text([roman(meaning.trim_end_matches('.'))]);
            }
        } else {
            more.control("SH", [title.to_uppercase().as_str()]).control("nf", []);
            for line in text.trim_matches('\n').lines() {
                more.text([roman(line)]);
            }
            more.control("fi", []);
        }
    }
    more.control("SH", ["ENVIRONMENT"]);
    for (variable, meaning) in VARIABLES {
        more.control("TP", []).text([bold(variable)]).text([roman(meaning)]);
    }
    more.control("SH", ["SEE ALSO"]);
    let others = commands().map(|command| command.get_name().to_owned());
    let others = others.iter().filter(|other| **other != name).map(String::as_str);
    let mut others: Vec<_> = others.chain(["docker", "skopeo", "jq"]).collect();
    others.sort_unstable();
    let see = others.iter().flat_map(|other| [bold(*other), roman("(1), ")]);
    let mut see: Vec<_> = see.collect();
    see.pop();
    more.text([see, vec![roman("(1)")]].concat());
    more.to_writer(&mut page).expect("sections");
    man.render_version_section(&mut page).expect("a version");
    // Each part begins with the same lines, which a page needs once.
    let preamble = Roff::new().render();
    let page = String::from_utf8(page).expect("UTF-8").replace(&preamble, "");
    (preamble + &page).into_bytes()
}

/// Every generated file, by its path in the project.
fn generated() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for command in commands() {
        let name = command.get_name().to_owned();
        files.insert(format!("docs/man/{name}.1"), page(&command));
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
fn every_page_and_help_has_what_readers_look_for() {
    for command in commands() {
        let name = command.get_name().to_owned();
        let page = String::from_utf8(page(&command)).expect("UTF-8");
        for section in
            ["SYNOPSIS", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\"", "ENVIRONMENT", "\"SEE ALSO\""]
        {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{name}: {section}");
        }
        assert!(!page.contains("EXTRA"), "{name}");
        assert_eq!(page.contains("[REF]..."), name == "dd-inspect", "{name}");
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Exit codes: 0 done; "), "{name}");
    }
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
