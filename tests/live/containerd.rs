//! Archives that containerd exports.

use super::{service, unique};
use crate::support::format::{Pressed, Shape};
use crate::support::image::versions;
use crate::support::world::{World, have};

#[test]
fn an_export_and_its_gzip_come_back_as_the_same_files() {
    if !have(&["ctr"]) {
        return;
    }
    let Some(socket) = service("DD_TEST_CONTAINERD") else { return };
    let world = World::new();
    let namespace = unique("export").replace('/', "-");
    let ctr = format!("ctr -a {socket} -n {namespace}");
    let (mut one, mut two) = versions();
    for (image, version) in [(&mut one, "1"), (&mut two, "2")] {
        image.name = format!("example.com/app:{version}");
        world.write("given", Shape::DockerOci(Pressed::Gzip(6)).archive(&[image]));
        world
            .sh(&format!(
                "{ctr} images import given >/dev/null && {ctr} images export {version}.tar {} && gzip -k {version}.tar",
                image.name
            ))
            .ok();
    }
    world
        .sh(&format!("{ctr} images rm --sync example.com/app:1 example.com/app:2 >/dev/null"))
        .ok();
    for ending in ["tar", "tar.gz"] {
        world.package(&format!("1.{ending}"), &format!("2.{ending}"), &format!("{ending}.p"));
        world.apply(&format!("{ending}.p"), &format!("1.{ending}"), &format!("out.{ending}"));
        assert_eq!(
            world.digest(&format!("out.{ending}")),
            world.digest(&format!("2.{ending}")),
            "{ending}"
        );
        let (package, target) =
            (world.read(&format!("{ending}.p")).len(), world.read(&format!("2.{ending}")).len());
        assert!(package * 5 < target, "{ending}: {package} bytes for {target}");
    }
}
