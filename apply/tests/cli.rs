//! The program: outputs, refusals, and what it leaves behind.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::Stdio;

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::package::Recipe;
use support::{Shape, World};

fn shapes() -> Vec<Shape> {
    let plain = Shape::default();
    vec![
        plain,
        Shape { gzip: true, ..plain },
        Shape { whole: true, ..plain },
        Shape { gzip: true, whole: true, plain: true, old: false },
        Shape { old: true, ..plain },
    ]
}

#[test]
fn the_very_file_comes_back() {
    for shape in shapes() {
        let world = World::new(shape);
        for jobs in ["", " --jobs 1"] {
            let run = world.apply(&format!("package --base base --output out -f{jobs}")).ok();
            let applied = run.record("applied");
            assert!(world.read("out") == world.read("target"));
            assert_eq!(applied["file_exact"], true);
            assert_eq!(applied["exact"], "file");
            assert_eq!(applied["expected"], "none");
            assert_eq!(applied["file_digest"], Digest::of(&world.read("target")).to_string());
            std::fs::remove_file(world.path("out")).unwrap();
        }
        assert_eq!(world.made(), Vec::<String>::new());
    }
}

#[test]
fn through_pipes() {
    for shape in shapes() {
        let world = World::new(shape);
        let mut command = world.command("- --base base --output -");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&world.read("package")).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == world.read("target"));
        assert_eq!(world.made(), Vec::<String>::new());
    }
}

#[test]
fn records_may_go_beside_the_image() {
    let world = World::new(Shape::default());
    world.apply("package --base base --output - --records r").ok();
    let records = String::from_utf8(world.read("r")).unwrap();
    assert!(
        records.contains(r#""type":"applied""#) && records.ends_with("\"dd-apply\"}\n"),
        "{records}"
    );
}

#[test]
fn other_outputs_keep_the_manifest() {
    let world = World::new(Shape { gzip: true, ..Shape::default() });
    let wanted = world.manifest.to_string();
    for output in ["docker-archive:a:other:3", "oci-archive:b", "oci:c", "dir:d"] {
        let run =
            world.apply(&format!("package --base base --output {output} --digestfile digest")).ok();
        let applied = run.record("applied");
        assert_eq!(applied["exact"], "manifest", "{output}");
        assert_eq!(applied["images"][0]["manifest_digest"], wanted.as_str(), "{output}");
        assert_eq!(world.read("digest"), wanted.as_bytes());
        let again = world.apply(&format!("package --base base --output {output}")).ok();
        assert_eq!(again.record("applied")["unchanged"], true, "{output}");
    }
    let hex = world.manifest.hex();
    assert_eq!(Digest::of(&world.read(&format!("c/blobs/sha256/{hex}"))), world.manifest);
    assert_eq!(Digest::of(&world.read("d/manifest.json")), world.manifest);
    let archive = String::from_utf8_lossy(&world.read("a")).into_owned();
    assert!(archive.contains("docker.io/library/other:3") && !archive.contains("app:2"));
    assert_eq!(world.made(), ["a", "b", "c", "d", "digest"]);
}

#[test]
fn uncompressed_layers_for_old_readers() {
    let world = World::new(Shape { gzip: true, ..Shape::default() });
    let run =
        world.apply("package --base base --output out --uncompressed --digestfile digest").ok();
    let applied = run.record("applied");
    assert_eq!(applied["exact"], "config");
    assert!(applied["images"][0].get("manifest_digest").is_none(), "{applied}");
    assert_eq!(world.read("digest"), world.config.to_string().as_bytes());
    for other in ["oci:d", "oci-archive:d", "dir:d", "docker-daemon:"] {
        world
            .apply(&format!("package --base base --output {other} --uncompressed"))
            .fails(3, "--uncompressed");
    }
    let archive = world.read("out");
    let mut names = Vec::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        if let Some(hex) = name.strip_prefix("blobs/sha256/").filter(|hex| !hex.is_empty()) {
            assert_eq!(Digest::of(&content).hex(), hex);
        }
        names.push(name);
    }
    assert!(names.contains(&format!("blobs/sha256/{}", world.same.hex())));
    assert!(!names.contains(&"index.json".to_owned()));
}

#[test]
fn an_image_without_a_manifest_gets_one_where_it_needs_one() {
    let world = World::new(Shape { old: true, ..Shape::default() });
    let exact = world.apply("package --base base --output a").ok().record("applied");
    assert!(exact["images"][0].get("manifest_digest").is_none(), "{exact}");
    let made = world.apply("package --base base --output oci:b").ok().record("applied");
    assert_eq!(made["images"][0]["manifest"], "made");
    assert_eq!(made["images"][0]["config_digest"], world.config.to_string());
    assert_eq!(made["exact"], "config");
    let plain = world.apply("package --base base --output d --uncompressed").ok().record("applied");
    assert!(plain["images"][0].get("manifest").is_none(), "{plain}");
    assert!(plain["images"][0].get("manifest_digest").is_none(), "{plain}");
    world.apply("package --base base --output oci:c --exact-file").fails(3, "own file");
}

#[test]
fn the_wrong_base_is_refused_before_work() {
    let world = World::new(Shape::default());
    let run = world.apply("package --output out").fails(3, &world.same.to_string());
    assert!(run.stderr().contains(&world.old_layer.to_string()) && run.stderr().contains("app:2"));
    assert_eq!(run.record("error")["category"], "wrong-base");
    world.apply("package --check").fails(3, &world.same.to_string());
    assert_eq!(world.made(), Vec::<String>::new());
}

#[test]
fn check_tells_the_figures_and_writes_nothing() {
    let world = World::new(Shape::default());
    let check = world.apply("package --base base --output out --check").ok().record("check");
    assert_eq!(check["output_size"], world.read("target").len());
    assert_eq!(check["file_exact"], true);
    assert!(check["memory"].as_u64() > Some(16 << 20));
    assert_eq!(world.made(), Vec::<String>::new());
    world.apply("package --base base --output out --check --memory 1M").fails(4, "memory");
    world.apply("package --base base --output out --memory 1M").fails(4, "memory");
}

#[test]
fn expectations() {
    let world = World::new(Shape::default());
    let other = Digest::of(b"other");
    let apply = |expect: String| {
        world.apply(&format!("package --base base --output out --expect {expect}"))
    };
    for wrong in
        [format!("{other}"), format!("manifest={other}"), format!("config={}", world.manifest)]
    {
        apply(wrong).fails(4, "expected");
    }
    apply("x=y".to_owned()).fails(3, "kinds");
    assert_eq!(world.made(), Vec::<String>::new());
    let file = Digest::of(&world.read("target"));
    for right in
        [format!("{}", world.manifest), format!("config={}", world.config), format!("file={file}")]
    {
        assert_eq!(apply(right).ok().record("applied")["expected"], "match");
    }
    world
        .apply(&format!("package --base base --output oci:d --expect file={file}"))
        .fails(4, "expected");
}

#[test]
fn a_damaged_base_is_told_from_a_damaged_package() {
    for gzip in [false, true] {
        let world = World::new(Shape { gzip, ..Shape::default() });
        let good = world.read("base");
        for (at, layer) in [(1000, world.same), (110_000, world.old_layer)] {
            let mut base = good.clone();
            base[at] ^= 1;
            std::fs::write(world.path("base"), &base).unwrap();
            for output in ["out", "oci:dir", "-"] {
                let run = world.apply(&format!("package --base base --output {output}"));
                run.fails(4, "the base is damaged").fails(4, &layer.to_string());
            }
        }
        std::fs::write(world.path("base"), &good).unwrap();
        let mut recipe = world.recipe.clone();
        recipe.contents[1].size += 1;
        world.pack("wrong", &recipe);
        world.apply("wrong --base base --output oci:dir").fails(4, "package");
        assert_eq!(world.made(), ["wrong"]);
    }
}

fn lying(change: impl FnOnce(&mut Recipe)) -> World {
    let world = World::new(Shape { gzip: true, ..Shape::default() });
    let mut recipe = world.recipe.clone();
    change(&mut recipe);
    world.pack("package", &recipe);
    world
}

#[test]
fn a_recipe_that_disagrees_with_its_documents_is_refused() {
    let worlds = [
        lying(|recipe| recipe.targets[0].manifests[0].layers.reverse()),
        lying(|recipe| recipe.layers[0].digest = Some(Digest::of(b"other"))),
        lying(|recipe| recipe.contents[1].diff_id = DiffId::of(b"other")),
        lying(|recipe| recipe.targets[0].manifests[0].config = None),
    ];
    for world in worlds {
        for output in ["out", "oci:dir"] {
            let run = world.apply(&format!("package --base base --output {output}"));
            run.fails(4, "package");
        }
        assert_eq!(world.made(), Vec::<String>::new());
    }
}

#[test]
fn a_file_that_is_declared_wrongly_never_appears() {
    for whole in [false, true] {
        let world = World::new(Shape { whole, ..Shape::default() });
        let mut recipe = world.recipe.clone();
        recipe.targets[0].file.as_mut().unwrap().digest = Digest::of(b"other");
        world.pack("package", &recipe);
        world.apply("package --base base --output out").fails(4, "does not give the target's file");
        assert_eq!(world.made(), Vec::<String>::new());
    }
}

#[test]
fn what_exists_stays_unless_forced() {
    let world = World::new(Shape::default());
    std::fs::write(world.path("out"), "mine").unwrap();
    world.apply("package --base base --output out").fails(3, "-f replaces it");
    assert_eq!(world.read("out"), b"mine");
    std::fs::create_dir(world.path("d")).unwrap();
    std::fs::write(world.path("d/mine"), "x").unwrap();
    world.apply("package --base base --output oci:d").fails(3, "not an OCI layout");
    world.apply("package --base base --output dir:d").fails(3, "-f replaces it");
    world.apply("package --base base --output d").fails(3, "d");
    world.apply("package --base base --output out -f").ok();
    assert!(world.read("out") == world.read("target"));
    assert_eq!(world.apply("package --output out").ok().record("applied")["unchanged"], true);
}

#[test]
fn a_package_without_its_end_gives_nothing() {
    let world = World::new(Shape { plain: true, ..Shape::default() });
    let package = world.read("package");
    for len in [0, 1, 700, package.len() / 2, package.len() - 40_000] {
        std::fs::write(world.path("package"), &package[..len]).unwrap();
        for output in ["out", "oci:dir"] {
            let run = world.apply(&format!("package --base base --output {output}"));
            run.fails(4, "package");
        }
        assert_eq!(world.made(), Vec::<String>::new());
    }
}

#[test]
fn records_name_the_package() {
    let world = World::new(Shape::default());
    let run = |input: &str| {
        let mut command = world.command("--base base --output out -f");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let package = world.path("package");
    let digest = Digest::of(b"");
    let records = format!(
        "{{\"type\":\"stream\",\"version\":1,\"stage\":\"dd-pack\",\"tool_version\":\"0\",\"stages\":[]}}\n\
         {{\"type\":\"package\",\"file\":{package:?},\"size\":1,\"file_digest\":\"{digest}\",\"manifest_digest\":\"{digest}\",\
         \"targets\":[],\"config_digests\":[],\"names\":[],\"requires\":[],\"memory\":0,\"scratch\":0,\"target_size\":1}}\n\
         {{\"type\":\"x:mine\"}}\n"
    );
    let good = run(&format!("{records}{{\"type\":\"end\",\"stage\":\"dd-pack\"}}\n"));
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(text.contains("x:mine") && !text.contains("\"package\",\"file\""), "{text}");
    std::fs::remove_file(world.path("out")).unwrap();
    let cut = run(&records);
    assert_eq!(cut.status.code(), Some(4));
    assert_eq!(world.made(), Vec::<String>::new());
}
