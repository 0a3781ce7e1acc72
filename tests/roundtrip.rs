//! Base and package give the target again, byte for byte, whatever the forms.

use serde_json::Value;

use crate::support::format::{Pressed, Shape, tar_of};
use crate::support::image::{Image, layer, versions};
use crate::support::world::{Run, World, sha256};

const SHAPES: [Shape; 8] = [
    Shape::Docker,
    Shape::DockerOci(Pressed::No),
    Shape::DockerOci(Pressed::Gzip(6)),
    Shape::Nested(Pressed::Gzip(9)),
    Shape::Nested(Pressed::Zstd(3)),
    Shape::Oci(Pressed::Gzip(1)),
    Shape::Oci(Pressed::Zstd(7)),
    Shape::Oci(Pressed::No),
];

/// A world with two versions as files `1` and `2`.
fn world(base: Shape, target: Shape) -> World {
    let (one, two) = versions();
    with(&base.archive(&[&one]), &target.archive(&[&two]))
}

fn with(base: &[u8], target: &[u8]) -> World {
    let world = World::new();
    world.write("1", base);
    world.write("2", target);
    world
}

/// Makes the package, applies it, and compares the files; returns what dd-apply said.
fn there_and_back(world: &World) -> Value {
    world.package("1", "2", "p");
    let applied = world.apply("p", "1", "out").record("applied");
    assert_eq!(world.digest("out"), world.digest("2"));
    assert_eq!(applied["file_exact"], true);
    assert_eq!(applied["file_digest"], Value::from(world.digest("2")));
    applied
}

#[test]
fn every_shape_of_file_comes_back() {
    for shape in SHAPES {
        let world = world(shape, shape);
        there_and_back(&world);
        let (package, target) = (world.read("p").len(), world.read("2").len());
        assert!(package * 5 < target, "{shape:?}: {package} bytes for {target}");
    }
}

#[test]
fn a_base_is_known_by_its_content_alone() {
    let (one, _) = versions();
    let world = world(Shape::Oci(Pressed::Gzip(6)), Shape::Oci(Pressed::Gzip(6)));
    world.package("1", "2", "p");
    for (number, shape) in SHAPES.into_iter().enumerate() {
        let base = format!("base{number}");
        world.write(&base, shape.archive(&[&one]));
        world.apply("p", &base, &format!("out{number}"));
        assert_eq!(world.digest(&format!("out{number}")), world.digest("2"), "{shape:?}");
    }
}

#[test]
fn whole_files_may_be_compressed() {
    for pressed in [Pressed::Gzip(6), Pressed::Zstd(3)] {
        let (one, two) = versions();
        let shape = Shape::DockerOci(Pressed::No);
        let world =
            with(&pressed.bytes(&shape.archive(&[&one])), &pressed.bytes(&shape.archive(&[&two])));
        there_and_back(&world);
    }
}

#[test]
fn without_a_base_the_package_holds_everything() {
    let world = world(Shape::Docker, Shape::Oci(Pressed::Gzip(6)));
    world.sh("dd-inspect --target 2 | dd-extract | dd-diff | dd-pack -o p").ok();
    world.sh("rm 1; dd-apply p --output out").ok();
    assert_eq!(world.digest("out"), world.digest("2"));
}

#[test]
fn unusual_layers_come_back() {
    let long = format!("text {}/file long", ["directory"; 30].join("/"));
    let odd = format!(
        "{long}\nfifo pipe\nbytes na%ffme 00 01 02\ntext empty-line \nsymlink a %41\nwhiteout gone"
    );
    let base = Image::new("a:1").layer("prose words 1 50000");
    let target = Image::new("a:2")
        .layer("prose words 1 50000")
        .layer(&odd)
        .raw_layer(vec![0; 1024])
        .raw_layer(Vec::new())
        .raw_layer(b"this is not a tar".repeat(100))
        .layer("prose words 1 50000")
        .layer(&format!("mtime 4102444800\n{odd}\nprose words 1 50000 4"));
    for shape in [Shape::Docker, Shape::Oci(Pressed::Gzip(6)), Shape::Nested(Pressed::Zstd(3))] {
        let world = with(&shape.archive(&[&base]), &shape.archive(&[&target]));
        there_and_back(&world);
    }
}

#[test]
fn a_last_file_without_padding_is_one() {
    let cut = |edits: u64| {
        let mut tar = layer(&format!("prose first 1 3000 {edits}\nprose last 2 3000 {edits}"));
        let end = tar.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        tar.truncate(end);
        tar
    };
    let image = |edits: u64| Image::new("a:1").raw_layer(cut(edits));
    let world = with(&Shape::Docker.archive(&[&image(0)]), &Shape::Docker.archive(&[&image(2)]));
    let records = world.sh("dd-inspect 2 | dd-extract").ok().records();
    let paths: Vec<_> = records.iter().filter(|record| record["type"] == "entry").collect();
    let paths: Vec<_> = paths.iter().map(|entry| &entry["path"]).collect();
    assert_eq!(paths, ["first", "last"]);
    there_and_back(&world);
}

#[test]
fn names_and_platforms_that_no_recipe_holds_come_back() {
    let (one, two) = versions();
    let base = Shape::Docker.archive(&[&one]);
    let named = |name: &str| Image { name: name.to_owned(), ..two.clone() };
    let odd = [
        named("app\u{1b}[31m:2"),
        named(&format!("{}:2", "a".repeat(5000))),
        two.clone().platform("linux\n", "amd64"),
    ];
    for shape in [Shape::Docker, Shape::DockerOci(Pressed::No)] {
        for image in &odd {
            there_and_back(&with(&base, &shape.archive(&[image])));
        }
    }
}

#[test]
fn extra_members_and_trailers_come_back() {
    let (one, two) = versions();
    let shape = Shape::DockerOci(Pressed::No);
    let mut target = shape.archive(&[&two]);
    let end = target.len() - 1024;
    target.truncate(end);
    target.extend(tar_of(&vec![
        ("repositories".to_owned(), b"{}".to_vec()),
        ("extra".to_owned(), vec![7; 3000]),
    ]));
    target.extend(vec![0; 9 * 512]);
    there_and_back(&with(&shape.archive(&[&one]), &target));
}

#[test]
fn a_directory_comes_back() {
    let (one, two) = versions();
    let world = World::new();
    let shape = Shape::Oci(Pressed::Gzip(6));
    shape.directory(&[&one], &world.path("1"));
    shape.directory(&[&two], &world.path("2"));
    world.package("1", "2", "p");
    world.sh("dd-apply p --base 1 --output oci:out && diff -r 2 out").ok();
}

#[test]
fn other_forms_keep_the_digests() {
    let world = world(Shape::Docker, Shape::Oci(Pressed::Gzip(6)));
    world.package("1", "2", "p");
    let digests = |run: &Run| {
        let image = run.record("image");
        (image["manifest_digest"].clone(), image["config_digest"].clone())
    };
    let wanted = digests(&world.sh("dd-inspect 2").ok());
    assert!(wanted.0.is_string() && wanted.1.is_string());
    for output in ["docker-archive:a", "oci-archive:b", "oci:c", "dir:d"] {
        world.sh(&format!("dd-apply p --base 1 --output {output}")).ok();
        let image = world.sh(&format!("dd-inspect {output}")).ok();
        assert_eq!(digests(&image), wanted, "{output}");
    }
}

#[test]
fn of_a_bundle_only_what_is_chosen_needs_its_base() {
    let a =
        [Image::new("a:1").layer("noise a 1 50000"), Image::new("a:2").layer("noise a 1 50000 3")];
    let b =
        [Image::new("b:1").layer("noise b 2 50000"), Image::new("b:2").layer("noise b 2 50000 3")];
    let shape = Shape::DockerOci(Pressed::Gzip(6));
    let world = with(&shape.archive(&[&a[0], &b[0]]), &shape.archive(&[&a[1], &b[1]]));
    there_and_back(&world);
    world.write("b1", shape.archive(&[&b[0]]));
    world.sh("dd-apply p --base b1 --image b:2 --output docker-archive:b2").ok();
    let image = world.sh("dd-inspect b2").ok().record("config");
    assert_eq!(image["digest"], Value::from(sha256(&b[1].config())));
}

#[test]
fn several_packages_in_one() {
    let (one, two) = versions();
    let other =
        [Image::new("b:1").layer("noise b 2 50000"), Image::new("b:2").layer("noise b 2 50000 3")];
    let shape = Shape::DockerOci(Pressed::No);
    let world = with(&shape.archive(&[&one]), &shape.archive(&[&two]));
    world.write("b1", shape.archive(&[&other[0]]));
    world.write("b2", shape.archive(&[&other[1]]));
    world
        .sh("(dd-inspect --base 1 --target 2; dd-inspect --base b1 --target b2) | dd-extract | dd-diff | dd-pack -o p")
        .ok();
    world.sh("dd-apply p --base 1 --base b1 --output oci-archive:all").ok();
    let names: Vec<_> = world.sh("dd-inspect all").ok().records();
    let configs: Vec<_> = names.iter().filter(|record| record["type"] == "config").collect();
    assert_eq!(configs.len(), 2);
}

#[test]
fn a_platform_can_be_taken_alone() {
    let platforms = |words: &str| {
        ["amd64", "arm64"].map(|arch| {
            Image::new("a:1").platform("linux", arch).layer(&format!("noise {arch} 1 50000{words}"))
        })
    };
    let (base, target) = (platforms(""), platforms(" 3"));
    let shape = Shape::Oci(Pressed::Gzip(6));
    let world =
        with(&shape.archive(&[&base[0], &base[1]]), &shape.archive(&[&target[0], &target[1]]));
    there_and_back(&world);
    world
        .sh("dd-inspect --base 1 --target 2 --platform linux/arm64 | dd-extract | dd-diff | dd-pack -o arm")
        .ok();
    world.sh("dd-apply arm --base 1 --output oci-archive:arm.tar").ok();
    let records = world.sh("dd-inspect arm.tar").ok().records();
    let gaps = records
        .iter()
        .filter(|record| record["type"] == "manifest" && record["gap"] == true)
        .count();
    assert_eq!(gaps, 1);
}

#[test]
fn the_number_of_threads_does_not_show() {
    let world = world(Shape::DockerOci(Pressed::Gzip(6)), Shape::DockerOci(Pressed::Gzip(6)));
    let package = |jobs: &str, name: &str| {
        world
            .sh(&format!(
                "dd-inspect --base 1 --target 2 | dd-extract --jobs {jobs} --store s{jobs} | \
                 dd-diff --jobs {jobs} --store s{jobs} | dd-pack -o {name} --store s{jobs}"
            ))
            .ok();
        world.digest(name)
    };
    assert_eq!(package("1", "p1"), package("2", "p2"));
}

#[test]
fn what_is_there_already_is_left_alone() {
    let world = world(Shape::Docker, Shape::Docker);
    there_and_back(&world);
    world.package("1", "2", "p");
    let again = world.apply("p", "1", "out").record("applied");
    assert_eq!(again["unchanged"], true);
    world.write("out", "something else");
    world.fails(3, "out", "dd-apply p --base 1 --output out");
    world.sh("dd-apply p --base 1 --output out -f").ok();
    assert_eq!(world.digest("out"), world.digest("2"));
}

#[test]
fn through_pipes_without_files() {
    let world = world(Shape::Docker, Shape::Oci(Pressed::Gzip(6)));
    world.package("1", "2", "p");
    world.sh("dd-inspect --base 1 --target 2 | dd-extract | dd-diff | dd-pack -o - >piped").ok();
    assert_eq!(world.digest("piped"), world.digest("p"));
    world.sh("cat p | dd-apply - --base 1 --output - >out").ok();
    assert_eq!(world.digest("out"), world.digest("2"));
    world.sh("dd-inspect --base 1 --target 2 | dd-extract | dd-diff | dd-pack -o q | dd-apply --base 1 --output out2").ok();
    assert_eq!(world.digest("out2"), world.digest("2"));
}
