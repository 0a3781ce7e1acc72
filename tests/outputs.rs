//! Files that the programs write: what they never overwrite, what is left when something fails, names of every kind.

use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::World;

/// Images `1` and `2`, the package `p` between them, and `d.nd`, the records that dd-pack made it of.
fn world() -> World {
    let (one, two) = versions();
    let world = World::new();
    let shape = Shape::DockerOci(Pressed::Gzip(6));
    world.write("1", shape.archive(&[&one]));
    world.write("2", shape.archive(&[&two]));
    world.sh("dd-inspect --base 1 --target 2 | dd-extract | dd-diff >d.nd").ok();
    world.sh("dd-pack -o p <d.nd >p.nd").ok();
    world
}

#[test]
fn two_outputs_are_never_one_file() {
    let world = world();
    world.sh("ln -s q link; ln -s there soft; echo old >there").ok();
    for script in [
        "dd-apply p -b 1 -o q --records q",
        "dd-apply p -b 1 -o q --records ./q",
        "dd-apply p -b 1 -o q --records link",
        "dd-apply p -b 1 -o q --digestfile $PWD/q",
        "dd-apply p -b 1 -o docker-archive:q:app:2 --digestfile q",
        "dd-apply p -b 1 -f -o there --digestfile soft",
        "dd-apply p -b 1 -o q --records r --digestfile r",
        "dd-apply p -b 1 -o q --digestfile /dev/stdout",
        "dd-apply p -b 1 -o - --records -",
        "dd-pack -o - --records - <d.nd",
        "dd-pack -o q --records q <d.nd",
        "dd-pack -o q --changes link <d.nd",
        "dd-pack -o q --changes c --sha256sums c <d.nd",
        "dd-pack -f -o there --sha256sums ./there <d.nd",
    ] {
        world.fails(3, "would both be written to", script);
    }
    for script in [
        "dd-apply p -b 1 -o - --records - >f",
        "dd-pack -o - --records - <d.nd >f",
        "dd-pack -o - --records /dev/stdout <d.nd >f",
    ] {
        world.sh(script).failed(3, "both be written to");
        assert!(world.read("f").len() < 1000, "{script}");
    }
    world.sh("dd-apply p -b 1 -o - --records /dev/fd/5 5>&1 >f && cmp f 2").ok();
}

#[test]
fn an_input_is_never_overwritten() {
    let world = world();
    world.sh("ln -s 1 base; ln p package").ok();
    for script in [
        "dd-inspect 1 -o 1",
        "dd-inspect --base 1 --target 2 -f -o base",
        "dd-inspect --verify p -f -o package",
        "dd-inspect docker-archive:1 -f -o ./1",
        "dd-extract -o s.nd <s.nd",
        "dd-apply p -b 1 -o q --records p",
        "dd-apply p -b 1 -o q --records 1",
        "dd-apply p -b 1 -f -o q --records base",
        "dd-apply p -b 1 -f -o q --digestfile package",
        "dd-apply p -b 1 -f -o package",
        "dd-apply p -b 1 -f -o base",
        "dd-apply - -b 1 -f -o p <p",
        "dd-apply -b 1 -f -o p <p.nd",
        "dd-pack -f -o d.nd <d.nd",
    ] {
        world.sh("cp d.nd s.nd").ok();
        world.fails(3, "would overwrite", script);
    }
    world.fails(3, "the records would overwrite the image, stdout", "dd-inspect 1 >>1");
}

#[test]
fn what_is_there_is_replaced_only_with_force() {
    let world = world();
    for script in [
        "dd-inspect 1 -o mine",
        "dd-extract -o mine <d.nd",
        "dd-diff -o mine <d.nd",
        "dd-pack -o q --records mine <d.nd",
        "dd-pack -o q --changes mine <d.nd",
        "dd-pack -o q --sha256sums mine <d.nd",
        "dd-pack -o mine <d.nd",
        "dd-apply p -b 1 -o q --records mine",
        "dd-apply p -b 1 -o q --digestfile mine",
        "dd-apply p -b 1 -o mine",
    ] {
        world.write("mine", "mine");
        let run = world.fails(3, "exists and holds something else", script);
        assert!(run.stderr.contains("-f replaces it"), "{}", run.stderr);
        world.sh(&format!("rm -f q; {}", script.replacen(' ', " -f ", 1))).ok();
        assert_ne!(world.read("mine"), b"mine", "{script}");
    }
    world.fails(3, "exists", "dd-extract -o 1 <d.nd");
    world.fails(3, "exists", "dd-pack -o q2 --records 2 <d.nd");
}

#[test]
fn runs_can_be_repeated() {
    let world = world();
    for script in [
        "dd-inspect --base 1 --target 2 -o s.nd",
        "dd-extract -o e.nd <s.nd",
        "dd-diff -o f.nd <e.nd",
        "dd-pack -o q --records r.nd --changes c.nd --sha256sums SUMS <f.nd",
        "dd-apply q -b 1 -o out --records a.nd --digestfile digest",
    ] {
        world.sh(script).ok();
        let files = world.files();
        world.sh(script).ok();
        assert_eq!(files.len(), world.files().len(), "{script}");
    }
    world.sh("cmp out 2; dd-inspect 1 -o $(mktemp)").ok();
}

#[test]
fn a_step_that_fails_leaves_no_output() {
    let world = world();
    world.write("mine", "mine");
    for script in [
        "dd-pack -o q --changes mine <d.nd",
        "dd-pack -o q --sha256sums mine <d.nd",
        "dd-pack -o mine --sha256sums SUMS --changes c <d.nd",
        "dd-pack -o q --sha256sums nodir/x <d.nd",
        "dd-pack -o q --changes nodir/x <d.nd",
        "dd-apply p -b 1 -o q --digestfile nodir/x",
        "dd-apply p -b 1 -o q --digestfile mine",
        "dd-apply p -b 1 -o q --records nodir/x",
    ] {
        world.fails(3, "", script);
    }
}

#[test]
fn pipes_and_open_files_are_written_directly() {
    let world = world();
    for script in [
        "dd-apply p -b 1 -o /dev/stdout | cmp - 2",
        "dd-apply p -b 1 -o docker-archive:/dev/stdout >f; dd-inspect f >/dev/null",
        "dd-apply p -b 1 -o /dev/stdout >f; cmp f 2",
        "dd-apply p -b 1 -o /dev/fd/5 5>f; cmp f 2",
        "dd-apply p -b 1 -o /dev/fd/5 --exact-file 5>&1 >/dev/null | cmp - 2",
        "mkfifo fifo; cat fifo >f & dd-apply p -b 1 -o fifo; wait; cmp f 2; rm fifo",
        "dd-apply p -b 1 -o out --digestfile /dev/fd/5 5>f; grep -q sha256 f; rm out",
        "dd-pack -o /dev/stdout <d.nd | cmp - p",
        "dd-pack -o /dev/fd/5 5>f <d.nd; cmp f p",
        "dd-pack -o q --sha256sums /dev/fd/5 --changes /dev/fd/6 5>f 6>g <d.nd; sha256sum -c f; grep -q change g; rm q",
        "dd-inspect 1 -o /dev/stdout | tail -n 1 | grep -q end",
        "dd-extract -o /dev/fd/5 5>f <d.nd; tail -n 1 f | grep -q end",
        "dd-inspect --target 1 | dd-extract | dd-diff -o /dev/stdout | dd-pack -n >/dev/null",
        "dd-apply p -b 1 -o f -f --records /dev/stdout | grep -q applied",
        "dd-apply p -b 1 -o - --records /dev/stderr 2>f | cmp - 2; grep -q applied f",
        "dd-apply p -b 1 -o /dev/null >/dev/null",
        "dd-apply p -b 1 -o /dev/null --records /dev/null --digestfile /dev/null",
    ] {
        world.sh("rm -f f g").ok();
        world.sh(&format!("set -e; {script}")).ok();
    }
    world.sh("dd-pack -o /dev/fd/5 5>f <d.nd >r; grep -q '\"file\":\"-\"' r").ok();
    assert_eq!(world.sh("ls -a | grep -c part").text(), "0\n");
}

#[test]
fn names_that_are_not_utf_8() {
    let world = world();
    let bytes = "n=$(printf 'non\\377utf8'); mkdir -p $n; ";
    let script = |script: &str| world.sh(&format!("set -e; {bytes}{script}"));
    script("cp 1 $n/1; dd-apply p -b $n/1 -o out; cmp out 2").ok();
    script("dd-apply p -b docker-archive:$n/1 -o $n/out >r; cmp $n/out 2; grep applied r").ok();
    script("dd-apply p -b 1 -o oci:$n/layout:app; dd-inspect oci:$n/layout:app >/dev/null").ok();
    script("dd-pack -o $n/q <d.nd | dd-apply -b 1 -o out2; cmp out2 2").ok();
    script("dd-inspect $n/q | dd-apply -b 1 -o out3; cmp out3 2").ok();
    let package = script("dd-pack -o $n/q <d.nd").ok().record("package");
    assert!(package["file"].is_null() && package["file_base64"].is_string(), "{package}");
}

#[test]
fn what_is_last_in_a_pipe_shows_progress() {
    let world = world();
    for script in [
        "dd-apply p -b 1 -o - --progress lines | cat >f",
        "dd-apply - -b 1 -o - --progress lines <p | cat >f",
        "dd-apply p -b 1 -o q -f --progress lines --format table | cat",
        "dd-inspect --target 1 --progress lines --format table | cat",
    ] {
        let run = world.sh(script).ok();
        assert!(run.stderr.contains(" bytes\n"), "{script}: {}", run.stderr);
    }
    world.sh("cmp f 2").ok();
    let progress = r#"{"type":"progress","stage":"dd-diff","task":"encoding","done":1,"total":2}"#;
    world.write("progress", format!("{progress}\n"));
    for script in [
        "sed '1r progress' d.nd | dd-pack -n --progress lines --format table | cat",
        "sed '1r progress' d.nd | dd-pack -o - --progress lines | cmp - p",
    ] {
        let run = world.sh(script).ok();
        assert_eq!(run.stderr, "dd-diff: encoding: 1 of 2 bytes\n", "{script}");
    }
}

#[test]
fn stdin_is_no_image_but_may_be_its_file() {
    let world = world();
    world.fails(3, "not read from stdin", "dd-inspect - <1");
    world.fails(3, "not read from stdin", "dd-apply p -b - -o q <1");
    world.fails(3, "/dev/stdin", "cat 1 | dd-inspect /dev/stdin");
    let records = world.sh("dd-inspect /dev/stdin <1").ok().text();
    assert!(records.contains(&format!("\"{}\"", world.path("1").display())), "{records}");
    world.sh("dd-inspect /dev/stdin <1 | dd-extract >/dev/null").ok();
    world.sh("cp 1 gone; exec 5<gone; rm gone; dd-inspect /dev/fd/5").failed(3, "without a name");
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let world = World::new();
    world.sh("dd-inspect --help >/dev/full").failed(4, "stdout");
    world.sh("dd-pack --version >/dev/full").failed(4, "stdout");
    let run = world.sh("(dd-inspect --help; echo $? >&2) | true").ok();
    assert_eq!(run.stderr, "0\n");
}

#[test]
fn checksums_are_as_sha256sum_writes_them() {
    let world = world();
    world.sh("mkdir sub").ok();
    for name in ["sub/s.delta", "$PWD/sub/t.delta", "'sub/a b\\c'", "'sub/two\nlines'"] {
        let script = format!(
            "set -e; rm -f SUMS; dd-pack -o {name} --sha256sums SUMS <d.nd >/dev/null; sha256sum -c SUMS >/dev/null; \
             sha256sum {name} | cmp - SUMS"
        );
        world.sh(&script).ok();
    }
}
