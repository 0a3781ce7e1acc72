//! From records to a package and back: what dd-pack writes, the reader reads, and the file follows from it.

use std::io::{Cursor, Read};

use crate::support;
use crate::support::{Content, World};
use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::failure::{Category, classify};
use dd_inspect::package::{BlobKind, Form, Means, Options, Reader, Recipe, verify};
use dd_inspect::range::ReadAt;
use dd_inspect::record::{Compression, Record};
use dd_pack::container::{Blob, Container};
use dd_pack::plan::{Plan, PlanOptions, plan};

const CONFIG: &[u8] = br#"{"os":"linux","rootfs":{"type":"layers"}}"#;

fn long(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

/// An old docker-archive with three layers (one of the base, one changed, one new), one of them twice.
fn docker_archive() -> World {
    let mut world = World::new();
    let key = "target:1";
    let layers = [long(1, 5000), long(2, 3000), long(3, 700)];
    let documents = br#"[{"Config":"c.json"}]"#;
    let members = [
        ("2.tar", Content::File(&layers[1])),
        ("1.tar", Content::File(&layers[0])),
        ("c.json", Content::File(CONFIG)),
        ("x/layer.tar", Content::Link("../1.tar")),
        ("3.tar", Content::File(&layers[2])),
        ("again.tar", Content::File(&layers[1])),
        ("manifest.json", Content::File(documents)),
    ];
    world.image(key, &["app:2"]);
    let places = world.archive("app.tar", key, &members);
    let place = |n: usize| places[n].clone().unwrap();
    world.manifest(key, None, b"", CONFIG);
    world.config(key, &place(2), CONFIG);
    for (position, (content, at)) in (0..).zip(layers.iter().zip([1, 0, 4])) {
        world.layer(key, position, content, content, Some(&place(at)));
        world.blob(content, None);
    }
    world.delta(&layers[0], None);
    world.delta(&layers[1], Some((&[DiffId::of(b"base 1"), DiffId::of(&layers[0])], b"1")));
    world.delta(&layers[2], Some((&[], b"2")));
    world
}

fn blobs(plan: &Plan) -> Vec<Blob> {
    let recipe = Blob::of(BlobKind::Recipe, serde_json::to_vec(&plan.recipe).unwrap());
    std::iter::once(recipe).chain(plan.blobs.iter().cloned()).collect()
}

fn pack(world: &World, options: PlanOptions) -> (Plan, Vec<u8>) {
    let plan = plan(&world.gathered(), world.store(), options).unwrap();
    let mut package = Vec::new();
    let container = Container::new(blobs(&plan), plan.subject.clone()).unwrap();
    container.write(&mut package, false).unwrap();
    (plan, package)
}

fn open(package: Vec<u8>) -> Reader {
    Reader::open(Cursor::new(package), &Options::default()).unwrap()
}

/// The file that follows from a package when the layers' stored bytes are known.
fn rebuild(reader: &Reader, layer: impl Fn(Digest) -> Vec<u8>) -> Vec<u8> {
    let (recipe, documents) = (reader.recipe(), reader.documents());
    let file = recipe.targets[0].file.as_ref().unwrap();
    let (mut tar, mut at) = (Vec::new(), file.skeleton);
    for part in &file.parts {
        let mut bytes = vec![0; usize::try_from(part.bytes).unwrap()];
        documents.read_exact_at(&mut bytes, at).unwrap();
        at += part.bytes;
        tar.extend(bytes);
        tar.extend(part.layer.map_or(Vec::new(), |n| layer(recipe.layer_digest(n).unwrap())));
    }
    tar
}

#[test]
fn an_archive_comes_back_from_its_skeleton() {
    let world = docker_archive();
    let (_, package) = pack(&world, PlanOptions::default());
    let reader = open(package.clone());
    let recipe = reader.recipe();
    let stored = |digest: Digest| std::fs::read(support::path_in(&world, &digest.hex())).unwrap();
    let file = std::fs::read(support::path_in(&world, "app.tar")).unwrap();
    assert!(rebuild(&reader, stored) == file);
    assert_eq!(recipe.targets[0].file.as_ref().unwrap().digest, Digest::of(&file));
    let config = recipe.targets[0].manifests[0].config.unwrap();
    assert_eq!(reader.documents().read(config.document.unwrap()).unwrap(), CONFIG);
    assert!((recipe.documents as usize) < file.len() - 8000, "layers are not among the documents");
    assert_eq!(recipe.memory, 5000);
    assert_eq!(recipe.requires, ["program-1"]);
    verify(reader).unwrap();
    let text = zstd::decode_all(&package[..]).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("secret"), "no path of this machine");
}

#[test]
fn payloads_come_in_the_order_of_the_file() {
    let (plan, package) = pack(&docker_archive(), PlanOptions::default());
    let means: Vec<_> = plan.recipe.contents.iter().map(|c| (c.size, c.means())).collect();
    assert_eq!(means, [(3000, Means::Delta), (5000, Means::Base), (700, Means::Whole)]);
    let needs = plan.recipe.all_needs().contents;
    assert_eq!(needs, [DiffId::of(b"base 1"), DiffId::of(&long(1, 5000))]);
    let mut reader = open(package);
    for (number, end) in [(2, b'1'), (3, b'2')] {
        let mut bytes = Vec::new();
        reader.blob(number).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.last(), Some(&end));
    }
}

#[test]
fn the_same_records_give_the_same_bytes_wherever_they_lie() {
    let (_, one) = pack(&docker_archive(), PlanOptions::default());
    let (_, two) = pack(&docker_archive(), PlanOptions::default());
    assert!(one == two);
}

/// A change here is a change of the format: packages that exist must stay readable, and docs/package-format.md must
/// say what is new.
#[test]
fn the_bytes_are_pinned() {
    let world = docker_archive();
    let (plan, _) = pack(&world, PlanOptions::default());
    let container = Container::new(blobs(&plan), plan.subject.clone()).unwrap();
    let mut plain = Vec::new();
    container.write(&mut plain, true).unwrap();
    assert_eq!(
        Digest::of(&plain).to_string(),
        "sha256:30ab328aee4001d1fe30bb8237ba4a2d821de394f1e5c75aba2e6b7379fa22cc"
    );
}

/// The archive of [`docker_archive`] inside a compressed file.
#[test]
fn a_compressed_file_follows_from_its_tar() {
    let mut world = docker_archive();
    let tar = std::fs::read(support::path_in(&world, "app.tar")).unwrap();
    let file = &[7; 600];
    for record in &mut world.records {
        if let Record::Archive(archive) = record {
            archive.compression = Compression::Gzip;
            archive.file_digest = Digest::of(file);
            archive.size = file.len() as u64;
        }
    }
    let error = plan(&world.gathered(), world.store(), PlanOptions::default()).unwrap_err();
    assert!(error.to_string().contains("how the file"), "{error}");
    let encoding = serde_json::json!({ "encoding": "bytes" });
    world.blob(&tar, Some((file, encoding.clone(), Some(file))));
    let (plan, package) = pack(&world, PlanOptions::default());
    let layout = plan.recipe.targets[0].file.as_ref().unwrap();
    assert_eq!((layout.digest, layout.tar_digest), (Digest::of(file), Some(Digest::of(&tar))));
    assert_eq!(
        (&layout.encoding, layout.corrections),
        (&Some(encoding), Some(2)),
        "before all programs"
    );
    assert!(plan.warnings[0].contains("600 bytes travel"), "{:?}", plan.warnings);
    verify(open(package)).unwrap();
}

#[test]
fn indexes_come_before_what_they_name_and_gaps_stay() {
    let (mut world, _) = registry(10);
    let key = "target:1";
    let index = br#"{"manifests":[]}"#;
    let place = world.file("index", index);
    let missing = Digest::of(b"another platform");
    for record in &mut world.records {
        if let Record::Manifest(manifest) = record {
            manifest.parent = Some(Digest::of(index));
        }
    }
    world.manifest(key, Some(&place), index, CONFIG);
    world.manifest(key, None, b"", CONFIG);
    let mut last = world.records.iter_mut().rev().filter_map(|record| match record {
        Record::Manifest(manifest) => Some(manifest),
        _ => None,
    });
    let (gap, top) = (last.next().unwrap(), last.next().unwrap());
    (top.position, top.config_digest) = (1, None);
    (gap.position, gap.config_digest, gap.digest, gap.gap) = (2, None, Some(missing), true);
    (gap.size, gap.parent) = (Some(77), top.digest);
    let (plan, package) = pack(&world, PlanOptions::default());
    let manifests = &plan.recipe.targets[0].manifests;
    let rows: Vec<_> = manifests.iter().map(|m| (m.digest.unwrap(), m.parent, m.gap())).collect();
    let image = Digest::of(br#"{"schemaVersion":2}"#);
    assert_eq!(
        rows,
        [(Digest::of(index), None, false), (image, Some(0), false), (missing, Some(0), true)]
    );
    assert_eq!((manifests[1].layers.len(), manifests[2].size), (3, Some(77)));
    assert_eq!(plan.subject.unwrap().digest, Digest::of(index));
    verify(open(package)).unwrap();
}

#[test]
fn missing_records_are_named() {
    let without = |wanted: fn(&Record) -> bool| {
        let mut world = docker_archive();
        world.records.retain(|record| !wanted(record));
        let error = plan(&world.gathered(), world.store(), PlanOptions::default()).unwrap_err();
        let failure = classify(&error);
        assert_eq!(failure.category, Category::Usage, "{failure}");
        failure.message
    };
    assert!(without(|r| matches!(r, Record::Delta(_))).contains("how layer"));
    assert!(without(|r| matches!(r, Record::Image(_))).contains("no target"));
}

#[test]
fn an_unproven_delta_is_refused() {
    let mut world = docker_archive();
    for record in &mut world.records {
        if let Record::Delta(delta) = record {
            delta.proven = false;
        }
    }
    let error = plan(&world.gathered(), world.store(), PlanOptions::default()).unwrap_err();
    assert!(error.to_string().contains("not proven"), "{error}");
}

#[test]
fn deltas_that_read_each_other_are_refused_and_targets_come_first() {
    let (second, third) = (long(2, 3000), long(3, 700));
    let with = |of_third: &[DiffId]| {
        let mut world = docker_archive();
        world.records.retain(|record| !matches!(record, Record::Delta(d) if d.means != "base"));
        world.delta(&second, Some((&[DiffId::of(b"base 1"), DiffId::of(&third)], b"1")));
        world.delta(&third, Some((of_third, b"2")));
        world
    };
    let (plan_, _) = pack(&with(&[]), PlanOptions::default());
    let sizes: Vec<_> = plan_.recipe.contents.iter().map(|c| c.size).collect();
    assert_eq!(sizes, [700, 3000, 5000], "what is read comes first");
    assert_eq!(plan_.recipe.all_needs().contents.len(), 2, "targets are no requirement");
    let world = with(&[DiffId::of(&second)]);
    let error = plan(&world.gathered(), world.store(), PlanOptions::default()).unwrap_err();
    assert!(error.to_string().contains("read each other"), "{error}");
}

/// An image of a registry: documents alone, a gzip layer of the base, and an attestation.
fn registry(corrections: usize) -> (World, Vec<u8>) {
    let mut world = World::new();
    let key = "target:1";
    let (content, stored) = (long(1, 50_000), long(9, 20_000));
    let manifest = br#"{"schemaVersion":2}"#;
    let attestation = br#"{"_type":"in-toto"}"#;
    world.image(key, &["example/app:2"]);
    let place = world.file("manifest", manifest);
    world.manifest(key, Some(&place), manifest, CONFIG);
    let place = world.file("config", CONFIG);
    world.config(key, &place, CONFIG);
    world.layer(key, 0, &content, &stored, None);
    let place = world.file("attestation", attestation);
    let mut opaque = support::layer(key, 1, attestation, attestation, Some(&place));
    opaque.opaque = true;
    world.push(opaque);
    let mut absent = support::layer(key, 2, b"absent", b"absent", None);
    absent.gap = true;
    world.push(absent);
    let encoding = serde_json::json!({ "encoding": "bytes" });
    world.blob(&content, Some((&stored, encoding, Some(&long(4, corrections)))));
    world.delta(&content, None);
    (world, stored)
}

fn layers(recipe: &Recipe) -> Vec<(bool, Option<Form>, bool, bool)> {
    let row = |l: &dd_inspect::package::Layer| {
        (l.encoding.is_some(), l.form, l.document.is_some(), l.gap)
    };
    recipe.layers.iter().map(row).collect()
}

#[test]
fn costly_corrections_of_unchanged_layers_stay_out_unless_asked_for() {
    let rest = [(false, None, true, false), (false, None, false, true)];
    let any_form = PlanOptions { any_form: true };
    let cases = [
        (20_000, PlanOptions::default(), (false, Some(Form::Compressed), false, false)),
        (20_000, any_form, (true, None, false, false)),
        (500, PlanOptions::default(), (true, None, false, false)),
    ];
    for (corrections, options, expected) in cases {
        let (world, stored) = registry(corrections);
        let (plan, package) = pack(&world, options);
        assert_eq!(layers(&plan.recipe)[0], expected, "{corrections}");
        assert_eq!(layers(&plan.recipe)[1..], rest);
        assert_eq!(plan.blobs.len(), 1 + usize::from(expected.0), "corrections travel or not");
        let blobs = plan.recipe.all_needs().blobs;
        assert_eq!(blobs, expected.1.map(|_| Digest::of(&stored)).into_iter().collect::<Vec<_>>());
        let reader = open(package);
        assert_eq!(reader.recipe().targets[0].exact, dd_inspect::record::Exact::Config);
        let range = reader.recipe().layers[1].document.unwrap();
        assert_eq!(reader.documents().read(range).unwrap(), br#"{"_type":"in-toto"}"#);
        verify(reader).unwrap();
    }
}

#[test]
fn the_only_manifest_is_the_subject() {
    let (world, _) = registry(10);
    let plan = plan(&world.gathered(), world.store(), PlanOptions::default()).unwrap();
    assert_eq!(plan.subject.unwrap().digest, Digest::of(br#"{"schemaVersion":2}"#));
    assert_eq!(plan.recipe.targets[0].names, ["example/app:2"]);
}
