//! The rules of the stream: docs/records.md.

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::strict::record;
use crate::support::world::{World, have};

fn world() -> World {
    let (one, two) = versions();
    let world = World::new();
    let shape = Shape::DockerOci(Pressed::Gzip(6));
    world.write("1", shape.archive(&[&one]));
    world.write("2", shape.archive(&[&two]));
    world
}

const INSPECT: &str = "dd-inspect --base 1 --target 2";
const REST: &str = "dd-extract | dd-diff | dd-pack -o p";

#[test]
fn every_record_is_as_documented() {
    let world = world();
    world
        .sh(&format!(
            "{INSPECT} | tee a | dd-extract | tee b | dd-diff | tee c | dd-pack -o p | tee d | \
             dd-apply --base 1 --output out >e"
        ))
        .ok();
    for file in ["a", "b", "c", "d", "e"] {
        let text = String::from_utf8(world.read(file)).expect("UTF-8");
        for line in text.lines() {
            record(line).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        let kinds: Vec<String> = text.lines().map(kind).collect();
        assert_eq!(kinds.first().map(String::as_str), Some("stream"), "{file}");
        assert_eq!(kinds.last().map(String::as_str), Some("end"), "{file}");
        assert_eq!(
            kinds.iter().filter(|kind| *kind == "stream" || *kind == "end").count(),
            2,
            "{file}"
        );
    }
}

fn kind(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
    value["type"].as_str().expect("a type").to_owned()
}

#[test]
fn unknown_records_pass_as_the_same_bytes() {
    let world = world();
    let foreign =
        r#"{"type":"note",  "z":1.50,"a":"\u00e4\/ü", "big":123456789012345678901234567890}"#;
    world.write("note", format!("{foreign}\n"));
    let run = world.sh(&format!("{INSPECT} | sed '1r note' | dd-extract | dd-diff")).ok();
    assert!(run.text().lines().any(|line| line == foreign), "{}", run.text());
}

#[test]
fn a_dead_stage_upstream_never_looks_finished() {
    let world = world();
    for cut in ["head -n 4", "sed '$d'", "true", "head -c 3000"] {
        world.fails(4, "dd-", &format!("{INSPECT} | {cut} | {REST}"));
        world.fails(4, "dd-", &format!("{INSPECT} | dd-extract | {cut} | dd-diff | dd-pack -o p"));
        world.fails(4, "dd-", &format!("{INSPECT} | dd-extract | dd-diff | {cut} | dd-pack -o p"));
    }
}

#[test]
fn a_failure_upstream_is_told_once_and_decides_the_exit_code() {
    let world = world();
    let run =
        world.fails(3, "absent", &format!("dd-inspect --base absent.tar --target 2 | {REST}"));
    assert!(run.stderr.starts_with("dd-inspect: "), "{}", run.stderr);
    let run = world.fails(3, "absent", "dd-inspect --base absent.tar --target 2 | dd-extract | dd-diff | dd-pack -o p | dd-apply --base 1 --output out");
    assert!(run.stderr.starts_with("dd-inspect: "), "{}", run.stderr);
    let script = "dd-inspect --base absent.tar --target 2 2>/dev/null | dd-extract | dd-diff; true";
    let error = world.sh(script).ok().record("error");
    assert_eq!((error["stage"].as_str(), error["exit"].as_u64()), (Some("dd-inspect"), Some(3)));
    assert_eq!(error["category"], "not-found");
}

#[test]
fn streams_may_follow_each_other() {
    let world = world();
    world.sh(&format!("{INSPECT} >s && cat s s | {REST}")).ok();
    world.apply("p", "1", "out");
    assert_eq!(world.digest("out"), world.digest("2"));
}

#[test]
fn what_is_no_record_is_refused_with_its_line() {
    let world = world();
    let cases = [
        ("sed '2s/.*/{\"type\":/'", "line 2"),
        ("sed '2s/.*/[1]/'", "line 2"),
        ("sed '2s/.*/{\"typ\":1}/'", "line 2"),
        ("sed '1s/\"version\":1/\"version\":2/'", "version 2"),
    ];
    for (filter, says) in cases {
        let run = world.sh(&format!("{INSPECT} | {filter} | {REST}"));
        assert!(matches!(run.status, Some(3 | 4)), "{filter}: {:?}: {}", run.status, run.stderr);
        let exit = run.status.unwrap_or_default();
        run.failed(exit, says);
        assert!(!world.path("p").exists());
    }
    if have(&["jq"]) {
        let run = world.sh(&format!("{INSPECT} | jq . | {REST}"));
        let exit = run.status.unwrap_or_default();
        run.failed(exit, "jq");
    }
}

#[test]
fn a_line_has_a_limit() {
    let world = world();
    let long = "awk 'NR==2{printf \"{\\\"type\\\":\\\"x\\\",\\\"y\\\":\\\"\"; for(i=0;i<1200000;i++) printf \"sixteen letters!\"; print \"\\\"}\"} {print}'";
    let run = world.sh(&format!("{INSPECT} | {long} | {REST}"));
    assert!(matches!(run.status, Some(3 | 4)), "{}", run.stderr);
    let exit = run.status.unwrap_or_default();
    run.failed(exit, "line 2");
}

#[test]
fn a_filter_between_two_stages_is_welcome() {
    let world = world();
    let filters = [
        "jq -c 'select(.type != \"entry\" or (.path // \"\" | startswith(\"usr/\") | not))'",
        "jq -c '.colour = \"red\"'",
        "grep -v '\"type\":\"entry\"'",
    ];
    for filter in filters {
        if filter.starts_with("jq") && !have(&["jq"]) {
            continue;
        }
        world.sh(&format!("{INSPECT} | dd-extract | {filter} | dd-diff | dd-pack -f -o p")).ok();
        world.sh("dd-apply p --base 1 --output out -f && cmp out 2").ok();
    }
}

#[test]
fn a_filter_in_python_is_welcome() {
    if !have(&["python3"]) {
        return;
    }
    let world = world();
    world.write(
        "filter.py",
        "import json, sys\n\
         for line in sys.stdin:\n    \
             record = json.loads(line)\n    \
             if record['type'] == 'entry' and record.get('path', '').startswith('usr/'):\n        \
                 continue\n    \
             if record['type'] == 'blob':\n        \
                 record['seen_by'] = 'filter.py'\n    \
             print(json.dumps(record))\n",
    );
    world.sh(&format!("{INSPECT} | dd-extract | python3 filter.py | dd-diff | dd-pack -o p")).ok();
    world.sh("dd-apply p --base 1 --output out && cmp out 2").ok();
}

#[test]
fn a_broken_stdout_ends_a_stage_quietly() {
    let world = world();
    for stage in [
        INSPECT.to_owned(),
        format!("{INSPECT} | dd-extract"),
        format!("{INSPECT} | dd-extract | dd-diff"),
    ] {
        let run = world.sh(&format!("({stage}; echo $? >status) | true; cat status")).ok();
        assert_eq!((run.text().as_str(), run.stderr.as_str()), ("0\n", ""), "{stage}");
    }
    world.package("1", "2", "p");
    world.sh("(dd-apply p --base 1 --output - ; echo $? >status) 2>err | true").ok();
    assert_eq!(String::from_utf8_lossy(&world.read("status")), "4\n");
}

#[test]
fn records_go_to_files_that_appear_whole() {
    let world = world();
    world.sh(&format!("{INSPECT} -o s.ndjson")).ok();
    world.sh("dd-extract -o e.ndjson <s.ndjson && dd-diff -o d.ndjson <e.ndjson && dd-pack -o p <d.ndjson").ok();
    world.apply("p", "1", "out");
    world.fails(3, "absent", "dd-inspect absent.tar -o x.ndjson");
}

/// `sh` exports `DD_STORE`.
#[test]
fn the_stages_use_the_store_of_the_first_one() {
    let world = world();
    let store_of = |script: &str, variables: &[(&str, &str)]| {
        let stream = world.sh_with(script, variables).ok().record("stream");
        let store = stream["store"].as_str().expect("a store").to_owned();
        std::path::Path::new(&store).strip_prefix(world.dir()).map(std::path::PathBuf::from).ok()
    };
    let first = store_of("dd-inspect --store first --target 2 | dd-extract | dd-diff", &[]);
    assert_eq!(first, Some("first".into()));
    assert!(!world.store().exists());
    let own = store_of("dd-inspect --store first --target 2 | dd-extract --store own", &[]);
    assert_eq!(own, Some("own".into()));
    assert_eq!(
        store_of("dd-inspect --target 2 | dd-extract", &[("DD_STORE", "named")]),
        Some("named".into())
    );
    let cache = world.path("cache");
    let cache = [("DD_STORE", ""), ("XDG_CACHE_HOME", cache.to_str().expect("UTF-8"))];
    assert_eq!(store_of("dd-inspect --target 2", &cache), Some("cache/docker-delta".into()));
}

/// What a user who wants to know hears of each stage.
#[test]
fn every_stage_says_more_with_v() {
    let world = world();
    let run = |v: &str| {
        world.sh(&format!(
            "dd-inspect {v} --base 1 --target 2 | dd-extract {v} | dd-diff {v} | dd-pack {v} -f -o p && \
             dd-apply {v} p --base 1 -o out"
        ))
    };
    let said = run("-v").ok().stderr;
    for stage in ["dd-inspect", "dd-extract", "dd-diff", "dd-pack", "dd-apply"] {
        assert!(
            said.lines().any(|line| line.starts_with(&format!("{stage}: "))),
            "{stage}: {said}"
        );
    }
    std::fs::remove_file(world.path("out")).expect("removed");
    assert_eq!(run("").ok().stderr, "");
}

/// Each stage's last word on its progress says that it is done.
#[test]
fn progress_ends_with_the_work() {
    let world = world();
    let last = |stage: &str, script: &str| {
        let records = world.sh(script).ok().records();
        let of =
            |record: &&serde_json::Value| record["type"] == "progress" && record["stage"] == stage;
        let last = records.iter().rfind(of).expect("progress").clone();
        assert_eq!(last["done"], last["total"], "{last}");
    };
    last("dd-inspect", "dd-inspect --base 1 --target 2 | cat");
    last("dd-extract", "dd-inspect --base 1 --target 2 | dd-extract | cat");
    last("dd-diff", "dd-inspect --base 1 --target 2 | dd-extract | dd-diff | cat");
}

#[test]
fn shards_by_layer_make_the_same_package() {
    let world = world();
    world.sh(&format!("{INSPECT} | dd-extract >e && dd-diff <e | dd-pack -o p")).ok();
    let layers: Vec<String> = world
        .sh("cat e")
        .records()
        .iter()
        .filter(|record| record["type"] == "layer" && record["in_base"].is_boolean())
        .map(|record| record["diff_id"].as_str().expect("a diff_id").to_owned())
        .collect();
    for (number, layer) in layers.iter().enumerate() {
        world.sh(&format!("dd-diff --only {layer} <e >d{number}")).ok();
    }
    world.sh("cat d? | dd-pack -o q").ok();
    assert_eq!(world.digest("p"), world.digest("q"));
}
