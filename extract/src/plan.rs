//! What there is to do: the records of images become a list of contents, each worked on by itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use dd_inspect::digest::{DiffId, Digest};
use dd_inspect::fail;
use dd_inspect::ndjson::Line;
use dd_inspect::record::{Archive, Compression, Image, Layer, Location, Role};

/// One layer's content, however often and in whatever form the images hold it.
#[derive(Debug)]
pub(crate) struct Content {
    /// What it hashes to.
    pub diff_id: DiffId,
    /// It is carried as it is: never unpacked, never read as a tar.
    pub opaque: bool,
    /// Its entries are wanted.
    pub list: bool,
    /// How images hold it, each form once.
    pub forms: Vec<Form>,
}

/// One form in which a content is stored.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// The digest of the bytes as stored, where it was declared.
    pub digest: Option<Digest>,
    /// The bytes.
    pub location: Location,
    /// How these very bytes are made again is wanted: a target holds them, or an image that is only looked at.
    pub exact: bool,
    /// For messages: the image, and which layer of it.
    pub name: String,
}

/// All that there is to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Contents in the order in which the records name them first.
    pub contents: Vec<Content>,
    /// Archive files of targets that are compressed as a whole.
    pub archives: Vec<Archive>,
}

/// Reads records and makes the plan.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    images: HashMap<String, (Role, String)>,
    layers: Vec<Layer>,
    archives: Vec<Archive>,
}

impl Planner {
    /// Takes in a record, if it is of a kind that matters.
    pub fn read(&mut self, line: &Line) -> anyhow::Result<()> {
        match line.kind.as_str() {
            "image" => {
                let Image { key, role, reference, .. } = line.parse()?;
                self.images.insert(key, (role, reference));
            }
            "layer" => self.layers.push(line.parse()?),
            "archive" => {
                let archive: Archive = line.parse()?;
                if archive.compression != Compression::None {
                    self.archives.push(archive);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The plan for what was read.
    ///
    /// A layer of a base is only of interest if some layer of a target is not in a base: then all of the bases'
    /// layers may have a part of it.
    pub fn finish(self) -> anyhow::Result<Plan> {
        let mut by_role: BTreeMap<Role, HashSet<DiffId>> = BTreeMap::new();
        for layer in self.layers.iter().filter(|layer| !layer.gap) {
            let (role, _) = self.image(layer)?;
            by_role.entry(*role).or_default().insert(layer.diff_id);
        }
        let empty = HashSet::new();
        let bases = by_role.get(&Role::Base).unwrap_or(&empty);
        let changed = by_role.get(&Role::Target).is_some_and(|target| !target.is_subset(bases));
        let mut contents: Vec<Content> = Vec::new();
        let mut places: HashMap<DiffId, usize> = HashMap::new();
        for layer in self.layers.iter().filter(|layer| !layer.gap) {
            let (role, reference) = self.image(layer)?;
            let Some(location) = layer.location.clone().filter(|_| *role != Role::Base || changed)
            else {
                continue;
            };
            let place = *places.entry(layer.diff_id).or_insert_with(|| {
                contents.push(Content {
                    diff_id: layer.diff_id,
                    opaque: false,
                    list: false,
                    forms: Vec::new(),
                });
                contents.len() - 1
            });
            let content = &mut contents[place];
            content.opaque |= layer.opaque;
            content.list |= match role {
                Role::Target => !bases.contains(&layer.diff_id),
                Role::Base | Role::Image => true,
            };
            let name = format!("layer {} of {reference}", layer.position);
            content.add(Form { digest: layer.digest, location, exact: *role != Role::Base, name });
        }
        Ok(Plan { contents, archives: self.archives })
    }

    fn image(&self, layer: &Layer) -> anyhow::Result<&(Role, String)> {
        match self.images.get(&layer.image) {
            Some(image) => Ok(image),
            None => {
                fail!(Usage, "a layer record names the image {:?}, of which there is no record", layer.image;
                    "a filter dropped it: keep all `image` records")
            }
        }
    }
}

impl Content {
    /// Adds a form. What lies in a base and in a target is one form: the target's, which must be made again.
    fn add(&mut self, form: Form) {
        let same = |other: &&mut Form| match (other.digest, form.digest) {
            (Some(a), Some(b)) => a == b,
            _ => other.location == form.location,
        };
        match self.forms.iter_mut().find(same) {
            Some(other) if form.exact && !other.exact => *other = form,
            Some(_) => {}
            None => self.forms.push(form),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plan(records: &[String]) -> anyhow::Result<Plan> {
        let mut planner = Planner::default();
        for (number, record) in records.iter().enumerate() {
            let value: serde_json::Value = serde_json::from_str(record)?;
            let kind = value["type"].as_str().unwrap().to_owned();
            planner.read(&Line {
                number: number as u64,
                kind,
                raw: record.clone().into_bytes(),
            })?;
        }
        planner.finish()
    }

    fn image(role: &str) -> String {
        format!(
            r#"{{"type":"image","key":"{role}:0","role":"{role}","reference":"{role}.tar","transport":"oci-archive","names":[],"exact":"file"}}"#
        )
    }

    fn layer(role: &str, content: &str, stored: &str, more: &str) -> String {
        let (diff_id, digest) = (DiffId::of(content.as_bytes()), Digest::of(stored.as_bytes()));
        format!(
            r#"{{"type":"layer","image":"{role}:0","manifest":0,"position":0,"digest":"{digest}","diff_id":"{diff_id}","location":{{"file":"/{role}/{stored}","offset":0,"size":1,"file_size":1,"mtime_ns":"0"}}{more}}}"#
        )
    }

    /// Contents as text: which are listed, and whose forms they have.
    fn summary(plan: &Plan) -> Vec<(bool, String)> {
        let of = |form: &Form| if form.exact { "t" } else { "b" };
        plan.contents.iter().map(|c| (c.list, c.forms.iter().map(of).collect())).collect()
    }

    #[test]
    fn bases_matter_if_a_target_has_something_new() {
        let (base, target) = (image("base"), image("target"));
        let same = [base, target, layer("base", "1", "1", ""), layer("target", "1", "1.gz", "")];
        assert_eq!(summary(&plan(&same).unwrap()), [(false, "t".to_owned())]);
        let more = [&same[..], &[layer("target", "2", "2", "")]].concat();
        let expected = [(true, "bt".to_owned()), (true, "t".to_owned())];
        assert_eq!(summary(&plan(&more).unwrap()), expected);
    }

    #[test]
    fn an_image_alone_is_looked_at_whole() {
        let records = [image("image"), layer("image", "1", "1.gz", "")];
        assert_eq!(summary(&plan(&records).unwrap()), [(true, "t".to_owned())]);
    }

    #[test]
    fn one_form_in_both_is_the_targets() {
        let records = [
            image("base"),
            image("target"),
            layer("base", "1", "1", ""),
            layer("target", "1", "1", ""),
            layer("target", "2", "2", ",\"opaque\":true"),
            layer("target", "3", "3", ",\"gap\":true"),
        ];
        let plan = plan(&records).unwrap();
        assert_eq!(summary(&plan), [(true, "t".to_owned()), (true, "t".to_owned())]);
        assert_eq!(plan.contents.iter().map(|c| c.opaque).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_layer_without_its_image_is_named() {
        let error = plan(&[layer("base", "1", "1", "")]).unwrap_err();
        assert!(error.to_string().contains("base:0"), "{error}");
    }
}
